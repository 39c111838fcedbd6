//! The namespace of an environment: made, or taken over where nobody owns it; never taken from another environment.

use c7n_link::messages::EnvironmentSpec;
use c7n_manifests::labels;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::world::Obstacle;
use crate::cluster::deadline;

/// Annotation of a namespace that the agent made, and may therefore delete.
pub(super) const CREATED_BY: &str = "choerodon.io/created-by";
/// For people: project and name of the environment.
const ENVIRONMENT_NAME: &str = "choerodon.io/environment";

/// What to do about a namespace, from how it is found. Pure.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Make,
    Ours,
    Adopt,
    Refuse(String),
}

fn judge(found: Option<&Namespace>, spec: &EnvironmentSpec, own: Option<&str>) -> Finding {
    let name = &spec.namespace;
    if name.starts_with("kube-") || own == Some(name) {
        return Finding::Refuse(format!(
            "the namespace {name} belongs to the cluster itself or to this agent; create the environment anew with another"
        ));
    }
    let Some(found) = found else { return Finding::Make };
    let ending = found.metadata.deletion_timestamp.is_some();
    let owner = found
        .metadata
        .labels
        .as_ref()
        .and_then(|known| known.get(labels::ENV));
    match owner {
        _ if ending => Finding::Refuse(format!(
            "the namespace {name} is being deleted; it is made anew when it is gone. If that takes long, look for \
             finalizers with `kubectl get namespace {name} -o yaml`"
        )),
        Some(owner) if *owner == spec.environment_id => Finding::Ours,
        Some(owner) => {
            let annotations = found.metadata.annotations.as_ref();
            let called = annotations
                .and_then(|known| known.get(ENVIRONMENT_NAME))
                .unwrap_or(owner);
            Finding::Refuse(format!(
                "the namespace {name} belongs to the environment {called}; delete that first, or create this one anew \
                 with another namespace"
            ))
        }
        None => Finding::Adopt,
    }
}

/// Makes sure that the namespace is there and is this environment's. `own`: the namespace that the agent runs in.
pub async fn prepare_namespace(
    client: &Client,
    own: Option<&str>,
    spec: &EnvironmentSpec,
) -> Result<(), Obstacle> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let name = spec.namespace.as_str();
    // Twice: when it appears or changes between look and deed, the second look decides.
    for _ in 0..2 {
        let found = match deadline("a namespace", namespaces.get_opt(name)).await {
            Ok(found) => found,
            Err(error) if error.is_status(403) => return Err(Obstacle(no_right(name, "look at", error))),
            Err(error) => return Err(obstacle(error)),
        };
        let missing = found.is_none();
        let done = match judge(found.as_ref(), spec, own) {
            Finding::Ours => return Ok(()),
            Finding::Refuse(words) => return Err(Obstacle(words)),
            Finding::Make => namespaces.create(&PostParams::default(), &made(spec)).await,
            Finding::Adopt => {
                // The resourceVersion makes this a compare-and-swap: two agents cannot both adopt it.
                let version = found.and_then(|found| found.metadata.resource_version);
                let patch = json!({ "metadata": {
                    "resourceVersion": version,
                    "labels": { labels::ENV: spec.environment_id },
                    "annotations": { ENVIRONMENT_NAME: called(spec) },
                }});
                let params = PatchParams {
                    field_manager: Some(labels::FIELD_MANAGER.into()),
                    ..PatchParams::default()
                };
                namespaces.patch(name, &params, &Patch::Merge(&patch)).await
            }
        };
        match done {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(cause @ kube::Error::Api(_)) if is_forbidden(&cause) => {
                let verb = if missing { "make" } else { "label" };
                return Err(Obstacle(no_right(name, verb, cause)));
            }
            Err(cause) => return Err(Obstacle(format!("the namespace {name} cannot be made: {cause}"))),
        }
    }
    Err(Obstacle(format!(
        "somebody else changes the namespace {name} at the same time; it is tried again"
    )))
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// An agent of single namespaces is told of a namespace that is none of them.
fn no_right(name: &str, verb: &str, cause: impl std::fmt::Display) -> String {
    format!(
        "this agent has no right to {verb} the namespace {name}: make it with `kubectl create namespace {name}` where it is \
         missing, and add it to rbac.namespaces of the chart choerodon-cluster-agent. {cause}"
    )
}

/// Gives the namespace back: it may belong to another environment afterwards.
pub(super) async fn release(client: &Client, spec: &EnvironmentSpec) -> Result<(), Obstacle> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let patch = json!({ "metadata": {
        "labels": { labels::ENV: null },
        "annotations": { ENVIRONMENT_NAME: null },
    }});
    let params = PatchParams {
        field_manager: Some(labels::FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(&patch);
    let released = namespaces.patch(&spec.namespace, &params, &patch);
    deadline("a namespace to be released", released)
        .await
        .map(drop)
        .map_err(obstacle)
}

fn made(spec: &EnvironmentSpec) -> Namespace {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(spec.namespace.clone());
    namespace.metadata.labels = Some([(labels::ENV.to_owned(), spec.environment_id.clone())].into());
    namespace.metadata.annotations = Some(
        [
            (CREATED_BY.to_owned(), labels::FIELD_MANAGER.to_owned()),
            (ENVIRONMENT_NAME.to_owned(), called(spec)),
        ]
        .into(),
    );
    namespace
}

fn called(spec: &EnvironmentSpec) -> String {
    format!("{}/{}", spec.project, spec.name)
}

pub(super) fn obstacle(error: impl std::fmt::Display) -> Obstacle {
    Obstacle(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(namespace: &str) -> EnvironmentSpec {
        EnvironmentSpec {
            environment_id: "e1".into(),
            namespace: namespace.into(),
            ..EnvironmentSpec::default()
        }
    }

    fn owned_by(owner: Option<&str>) -> Namespace {
        let mut namespace = Namespace::default();
        namespace.metadata.labels = owner.map(|owner| [(labels::ENV.to_owned(), owner.to_owned())].into());
        namespace
    }

    #[test]
    fn a_namespace_is_made_kept_or_adopted_but_never_taken_from_another_environment() {
        let spec = spec("shop");
        assert_eq!(judge(None, &spec, None), Finding::Make);
        assert_eq!(judge(Some(&owned_by(Some("e1"))), &spec, None), Finding::Ours);
        assert_eq!(judge(Some(&owned_by(None)), &spec, None), Finding::Adopt);
        let Finding::Refuse(words) = judge(Some(&owned_by(Some("e2"))), &spec, None) else {
            panic!()
        };
        assert!(words.contains("belongs to the environment e2"), "{words}");
    }

    #[test]
    fn namespaces_of_the_cluster_and_of_the_agent_are_nobodys() {
        for (name, own) in [
            ("kube-system", None),
            ("kube-public", None),
            ("c7n-agent", Some("c7n-agent")),
        ] {
            assert!(
                matches!(judge(None, &spec(name), own), Finding::Refuse(_)),
                "{name}"
            );
        }
    }

    #[test]
    fn one_that_is_being_deleted_is_waited_for() {
        let mut ending = owned_by(Some("e1"));
        ending.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        ));
        assert!(matches!(
            judge(Some(&ending), &spec("shop"), None),
            Finding::Refuse(_)
        ));
    }

    #[test]
    fn a_made_namespace_says_who_made_it_and_an_adopted_one_does_not() {
        let made = made(&spec("shop")).metadata;
        assert_eq!(made.annotations.unwrap()[CREATED_BY], "c7n-agent");
        assert_eq!(made.labels.unwrap()[labels::ENV], "e1");
    }
}
