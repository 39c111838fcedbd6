//! Items of every sort, at random.

use bytes::Bytes;
use c7n_link::messages::*;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

fn word() -> impl Strategy<Value = String> {
    "[a-z/ä€\\-]{0,12}"
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn key() -> impl Strategy<Value = ObjectKey> {
    (word(), word(), word(), word()).prop_map(|(group, kind, namespace, name)| ObjectKey {
        group,
        kind,
        namespace,
        name,
    })
}

pub fn any_item() -> impl Strategy<Value = Say> {
    prop_oneof![
        state(),
        status(),
        delivery(),
        result(),
        digests(),
        detail(),
        cluster(),
        kinds(),
        environment(),
        command(),
        word().prop_map(|command_id| Say::Cancel(CancelCommand { command_id })),
        detail_request(),
        object_request(),
    ]
}

/// With values in the fields where an empty one would not show.
pub fn one_of_each() -> Vec<Say> {
    vec![
        Say::State(ObjectState {
            deleted: true,
            ..ObjectState::default()
        }),
        Say::EnvironmentStatus(EnvironmentStatus {
            tags_checked: true,
            ..EnvironmentStatus::default()
        }),
        Say::Delivery(DeliveryReport {
            held: Some(HeldPrune::default()),
            ..DeliveryReport::default()
        }),
        Say::Result(CommandResult::default()),
        Say::Digests(Digests {
            entries: vec![KindDigest::default()],
        }),
        Say::Detail(KindDetail {
            objects: vec![ObjectDigest::default()],
            ..KindDetail::default()
        }),
        Say::Cluster(ClusterInfo {
            nodes: vec![Node::default()],
            ..ClusterInfo::default()
        }),
        Say::Kinds(Kinds {
            kinds: vec![Kind::default()],
        }),
        Say::Environment(EnvironmentSpec::default()),
        Say::Command(Command {
            action: Some(Action::Sync(Sync {})),
            ..Command::default()
        }),
        Say::Cancel(CancelCommand::default()),
        Say::DetailRequest(DetailRequest::default()),
        Say::ObjectRequest(ObjectRequest {
            objects: vec![ObjectKey::default()],
            ..ObjectRequest::default()
        }),
        Say::Credential(NewCredential {
            credential: "c".into(),
        }),
        Say::OpenStream(OpenStream {
            wish: Some(Wish::Logs(ReadLogs {
                from: vec![LogFrom::default()],
                ..ReadLogs::default()
            })),
            ..OpenStream::default()
        }),
    ]
}

fn state() -> impl Strategy<Value = Say> {
    let owner = (word(), word(), word()).prop_map(|(uid, kind, name)| Owner { uid, kind, name });
    let summary = btree_map(word(), word(), 0..4);
    let told = (
        word(),
        any::<i32>(),
        word(),
        summary,
        vec(owner, 0..3),
        bytes(),
        word(),
        word(),
    );
    (word(), key(), any::<bool>(), any::<bool>(), any::<i64>(), told).prop_map(
        |(environment_id, key, deleted, managed, created_ms, told)| {
            let (resource_version, health, message, summary, owners, digest, release, cause) = told;
            Say::State(ObjectState {
                environment_id,
                key,
                deleted,
                managed,
                created_ms,
                resource_version,
                health,
                message,
                summary,
                owners,
                digest,
                release,
                cause,
                ..ObjectState::default()
            })
        },
    )
}

fn status() -> impl Strategy<Value = Say> {
    (word(), any::<i32>(), word(), any::<bool>(), word()).prop_map(
        |(environment_id, phase, public_key, tags_checked, message)| {
            Say::EnvironmentStatus(EnvironmentStatus {
                environment_id,
                phase,
                public_key,
                tags_checked,
                message,
            })
        },
    )
}

fn delivery() -> impl Strategy<Value = Say> {
    let drifted = (word(), word(), any::<i64>()).prop_map(|(field, manager, time_ms)| DriftedField {
        field,
        manager,
        time_ms,
    });
    let drifted = vec(drifted, 0..3);
    let object = (key(), word(), any::<u32>(), any::<i32>(), word(), word(), drifted).prop_map(
        |(key, file, line, outcome, message, code, drifted)| ObjectResult {
            key,
            file,
            line,
            outcome,
            message,
            code,
            drifted,
        },
    );
    let error =
        (word(), any::<u32>(), any::<u32>(), word()).prop_map(|(file, line, column, message)| FileError {
            file,
            line,
            column,
            message,
            ..FileError::default()
        });
    let held =
        (any::<u32>(), any::<u32>(), vec(word(), 0..4)).prop_map(|(count, total, objects)| HeldPrune {
            count,
            total,
            objects,
        });
    let lists = (vec(object, 0..5), vec(error, 0..3), proptest::option::of(held));
    (word(), word(), any::<u64>(), any::<i64>(), any::<u32>(), lists).prop_map(
        |(environment_id, commit, generation, finished_ms, attempt, (objects, file_errors, held))| {
            Say::Delivery(DeliveryReport {
                environment_id,
                commit,
                generation,
                finished_ms,
                attempt,
                objects,
                file_errors,
                held,
                ..DeliveryReport::default()
            })
        },
    )
}

fn result() -> impl Strategy<Value = Say> {
    (word(), any::<i32>(), word(), bytes()).prop_map(|(command_id, outcome, message, payload)| {
        Say::Result(CommandResult {
            command_id,
            outcome,
            message,
            payload,
        })
    })
}

fn digests() -> impl Strategy<Value = Say> {
    let entry = (word(), word(), word(), any::<u64>(), bytes()).prop_map(
        |(environment_id, group, kind, count, digest)| KindDigest {
            environment_id,
            group,
            kind,
            count,
            digest,
        },
    );
    vec(entry, 0..6).prop_map(|entries| Say::Digests(Digests { entries }))
}

fn detail() -> impl Strategy<Value = Say> {
    let object = (word(), word(), bytes()).prop_map(|(namespace, name, digest)| ObjectDigest {
        namespace,
        name,
        digest,
    });
    (word(), word(), word(), vec(object, 0..6)).prop_map(|(environment_id, group, kind, objects)| {
        Say::Detail(KindDetail {
            environment_id,
            group,
            kind,
            objects,
        })
    })
}

fn cluster() -> impl Strategy<Value = Say> {
    let node = (word(), any::<bool>(), word()).prop_map(|(name, ready, kubelet_version)| Node {
        name,
        ready,
        kubelet_version,
    });
    (word(), vec(node, 0..6)).prop_map(|(kubernetes_version, nodes)| {
        Say::Cluster(ClusterInfo {
            kubernetes_version,
            nodes,
        })
    })
}

fn kinds() -> impl Strategy<Value = Say> {
    let kind = (word(), word(), word(), any::<bool>()).prop_map(|(group, version, kind, namespaced)| Kind {
        group,
        version,
        kind,
        namespaced,
    });
    vec(kind, 0..6).prop_map(|kinds| Say::Kinds(Kinds { kinds }))
}

fn environment() -> impl Strategy<Value = Say> {
    (
        word(),
        word(),
        word(),
        any::<u64>(),
        vec(word(), 0..4),
        any::<i32>(),
    )
        .prop_map(
            |(environment_id, namespace, wanted_commit, generation, allowed_cluster_kinds, removal)| {
                Say::Environment(EnvironmentSpec {
                    environment_id,
                    namespace,
                    wanted_commit,
                    generation,
                    allowed_cluster_kinds,
                    removal,
                    ..EnvironmentSpec::default()
                })
            },
        )
}

fn command() -> impl Strategy<Value = Say> {
    let action = prop_oneof![
        Just(Action::Sync(Sync {})),
        key().prop_map(Action::Restart),
        (key(), any::<u32>()).prop_map(|(object, replicas)| Action::Scale(Scale { object, replicas })),
        key().prop_map(Action::DeleteObject),
        key().prop_map(Action::GetObject),
        key().prop_map(Action::CancelRelease),
        key().prop_map(Action::RetryRelease),
        key().prop_map(Action::TestRelease),
    ];
    (
        word(),
        word(),
        any::<i64>(),
        any::<i64>(),
        proptest::option::of(action),
    )
        .prop_map(|(command_id, environment_id, deadline_ms, created_ms, action)| {
            Say::Command(Command {
                command_id,
                environment_id,
                deadline_ms,
                created_ms,
                action,
            })
        })
}

fn detail_request() -> impl Strategy<Value = Say> {
    (word(), word(), word()).prop_map(|(environment_id, group, kind)| {
        Say::DetailRequest(DetailRequest {
            environment_id,
            group,
            kind,
        })
    })
}

fn object_request() -> impl Strategy<Value = Say> {
    (word(), word(), word(), vec(key(), 0..6)).prop_map(|(environment_id, group, kind, objects)| {
        Say::ObjectRequest(ObjectRequest {
            environment_id,
            group,
            kind,
            objects,
        })
    })
}
