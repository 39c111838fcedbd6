use serde_json::{Value, json};

use super::*;
use crate::cluster::Scope;
use crate::state::observe::observe;

const ENV: &str = "e1";

fn info(group: &str, kind: &str, scope: Scope) -> KindInfo {
    let resource = kube::core::ApiResource {
        group: group.into(),
        version: "v1".into(),
        api_version: if group.is_empty() {
            "v1".into()
        } else {
            format!("{group}/v1")
        },
        kind: kind.into(),
        plural: format!("{}s", kind.to_lowercase()),
    };
    KindInfo {
        resource,
        scope,
        verbs: vec!["list".into(), "watch".into()],
        subresources: Vec::new(),
    }
}

fn config_map() -> KindName {
    KindName::new("", "ConfigMap")
}

/// An index that has one environment in the namespace `shop` and has listed its ConfigMaps: there were none.
fn index() -> Index {
    let mut index = Index::default();
    index.environment_added(ENV, "shop");
    index.watch(&config_map(), &info("", "ConfigMap", Scope::Namespaced));
    let run = index.begin_list(&config_map(), Reach::Cluster);
    index.end_list(&config_map(), run, Version(1));
    index
}

fn object(name: &str, version: u64) -> Value {
    json!({"metadata": {
        "namespace": "shop", "name": name, "uid": format!("uid-{name}"), "resourceVersion": version.to_string(),
    }})
}

/// As if the agent had applied it with these fields.
fn managed(name: &str, version: u64, fields: &[&str]) -> Value {
    let mut object = object(name, version);
    let owned: serde_json::Map<String, Value> = fields
        .iter()
        .map(|field| (format!("f:{field}"), json!({})))
        .collect();
    object["metadata"]["labels"] = json!({c7n_manifests::labels::PART_OF: applyset_of("shop")});
    object["metadata"]["annotations"] = json!({
        c7n_manifests::labels::MANIFEST_DIGEST: "d1", c7n_manifests::labels::FILE: "a.yaml",
    });
    object["metadata"]["managedFields"] =
        json!([{"manager": "c7n-agent", "operation": "Apply", "fieldsV1": {"f:data": owned}}]);
    object
}

fn look(index: &Index, mut object: Value) -> Observed {
    observe(
        &index.homes(),
        &info("", "ConfigMap", Scope::Namespaced),
        &mut object,
    )
    .unwrap()
}

fn watched(index: &mut Index, object: Value) -> Effects {
    let seen = look(index, object);
    index.seen(&config_map(), &Reach::Cluster, seen)
}

fn written(index: &mut Index, name: &str, object: Value) -> Effects {
    let seen = look(index, object);
    index.written(&config_map(), "shop", name, Some(seen))
}

fn told(effects: &Effects) -> Vec<String> {
    let tell = |say: &Say| match say {
        Say::State(state) if state.deleted => format!("-{}", state.key.name),
        Say::State(state) => format!("{}@{}", state.key.name, state.resource_version),
        other => panic!("{other:?}"),
    };
    effects.says.iter().map(tell).collect()
}

fn drifted(effects: &Effects) -> bool {
    effects.drifted.contains(ENV)
}

#[test]
fn what_a_first_list_shows_is_told_by_digest_and_what_changes_afterwards_by_object() {
    let mut index = index();
    index.environment_added("e2", "other");
    let before = index.digests();

    let run = index.begin_list(&config_map(), Reach::Namespace("other".into()));
    let mut first = object("a", 5);
    first["metadata"]["namespace"] = "other".into();
    let seen = look(&index, first.clone());
    assert_eq!(told(&index.listed(&config_map(), &run, seen)), [""; 0]);
    assert!(!index.covers(&config_map(), "e2") && !index.is_settled());
    index.end_list(&config_map(), run, Version(6));
    assert!(index.covers(&config_map(), "e2") && index.is_settled());
    assert_ne!(index.digests(), before);

    first["metadata"]["resourceVersion"] = "7".into();
    assert_eq!(told(&watched(&mut index, first)), ["a@7"]);
}

#[test]
fn an_older_look_changes_nothing() {
    let mut index = index();
    watched(&mut index, object("a", 7));
    let digests = index.digests();
    assert_eq!(watched(&mut index, object("a", 5)), Effects::default());
    assert_eq!(
        told(&index.gone(&config_map(), &Reach::Cluster, "shop", "a", Version(6))),
        [""; 0]
    );
    assert_eq!(index.digests(), digests);
}

#[test]
fn what_a_new_list_does_not_show_has_gone_unless_it_is_newer_than_the_list() {
    let mut index = index();
    watched(&mut index, object("old", 3));
    watched(&mut index, object("stays", 4));
    let run = index.begin_list(&config_map(), Reach::Cluster);
    let seen = look(&index, object("stays", 4));
    index.listed(&config_map(), &run, seen);
    written(&mut index, "new", object("new", 12));
    assert_eq!(told(&index.end_list(&config_map(), run, Version(10))), ["-old"]);
    assert_eq!(index.len(), 2);
}

#[test]
fn an_answer_to_a_write_that_comes_after_the_deletion_raises_no_ghost() {
    let mut index = index();
    index.writing(&config_map(), "shop", "a");
    watched(&mut index, managed("a", 5, &["x"]));
    index.gone(&config_map(), &Reach::Cluster, "shop", "a", Version(6));
    assert_eq!(told(&written(&mut index, "a", managed("a", 5, &["x"]))), [""; 0]);
    assert_eq!(index.len(), 0);
}

#[test]
fn an_own_write_is_told_at_once_and_is_no_drift() {
    let mut index = index();
    index.writing(&config_map(), "shop", "a");
    assert_eq!(told(&written(&mut index, "a", managed("a", 5, &["x"]))), ["a@5"]);
    assert_eq!(watched(&mut index, managed("a", 5, &["x"])), Effects::default());

    // The watch may be quicker than the answer.
    index.writing(&config_map(), "shop", "a");
    let quick = watched(&mut index, managed("a", 6, &["x", "y"]));
    assert!(!drifted(&quick) && told(&quick) == ["a@6"]);
    assert_eq!(
        written(&mut index, "a", managed("a", 6, &["x", "y"])),
        Effects::default()
    );
    let entry = index.entry(&config_map(), "shop", "a").unwrap();
    assert!(matches!(
        entry.applied.as_ref().unwrap().fields,
        Fields::Checked { .. }
    ));
}

#[test]
fn a_field_that_somebody_took_is_drift_and_a_status_is_not() {
    let mut index = index();
    written(&mut index, "a", managed("a", 5, &["x", "y"]));
    assert!(!drifted(&watched(&mut index, managed("a", 6, &["x", "y"]))));
    let entry = index.entry(&config_map(), "shop", "a").unwrap();
    assert!(
        matches!(entry.applied.as_ref().unwrap().fields, Fields::Checked { .. }),
        "remembered over changes"
    );
    assert!(drifted(&watched(&mut index, managed("a", 7, &["x"]))));
    let mut stripped = managed("a", 8, &["x"]);
    stripped["metadata"]["labels"] = json!({});
    assert!(drifted(&watched(&mut index, stripped)));
}

#[test]
fn drift_between_a_write_and_its_answer_is_noticed() {
    let mut index = index();
    written(&mut index, "a", managed("a", 5, &["x"]));
    index.writing(&config_map(), "shop", "a");
    assert!(
        !drifted(&watched(&mut index, managed("a", 7, &[]))),
        "it may be the write itself"
    );
    assert!(drifted(&written(&mut index, "a", managed("a", 6, &["x"]))));
}

#[test]
fn a_deletion_by_hand_is_drift_and_one_of_the_agent_is_not() {
    for (by_agent, expected) in [(false, true), (true, false)] {
        let mut index = index();
        written(&mut index, "a", managed("a", 5, &["x"]));
        if by_agent {
            index.leaving(&config_map(), "shop", "a");
        }
        let mut deleting = managed("a", 6, &["x"]);
        deleting["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        assert!(!drifted(&watched(&mut index, deleting)));
        let gone = index.gone(&config_map(), &Reach::Cluster, "shop", "a", Version(7));
        assert_eq!((drifted(&gone), told(&gone)), (expected, vec!["-a".to_owned()]));
    }
}

#[test]
fn a_copy_that_a_controller_made_is_not_managed() {
    let mut index = index();
    let mut copy = managed("a", 5, &["x"]);
    copy["metadata"]["ownerReferences"] =
        json!([{"controller": true, "kind": "Service", "name": "s", "uid": "u"}]);
    let effects = watched(&mut index, copy);
    let Say::State(state) = &effects.says[0] else {
        panic!()
    };
    assert!(!state.managed);
    assert_eq!(state.owners[0].name, "s");
    assert!(!drifted(&index.gone(
        &config_map(),
        &Reach::Cluster,
        "shop",
        "a",
        Version(6)
    )));
}

#[test]
fn a_removed_environment_leaves_nothing() {
    let mut index = index();
    watched(&mut index, object("a", 5));
    let late = look(&index, object("b", 6));
    index.environment_removed(ENV);
    assert_eq!(
        index.seen(&config_map(), &Reach::Cluster, late),
        Effects::default()
    );
    assert_eq!(index.len(), 0);
    assert_eq!(index.digests().entries.len(), 0);
    assert!(
        index.detail(ENV, &config_map()).is_none(),
        "what is not known is not told to be empty"
    );
}

#[test]
fn details_and_objects_agree_with_the_digests() {
    let mut index = index();
    watched(&mut index, object("b", 5));
    watched(&mut index, object("a", 6));
    let detail = index.detail(ENV, &config_map()).unwrap();
    assert_eq!(
        detail
            .objects
            .iter()
            .map(|it| it.name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    let key = |name: &str| ObjectKey {
        kind: "ConfigMap".into(),
        namespace: "shop".into(),
        name: name.into(),
        ..Default::default()
    };
    let state = index.object(ENV, &key("a")).unwrap();
    assert_eq!(
        (state.resource_version.as_str(), &state.digest),
        ("6", &detail.objects[0].digest)
    );
    assert!(index.object(ENV, &key("gone")).unwrap().deleted);
}

#[test]
fn a_kind_that_goes_from_the_cluster_takes_its_objects() {
    let mut index = index();
    watched(&mut index, managed("a", 5, &[]));
    assert_eq!(told(&index.unwatch(&config_map())), ["-a"]);
    assert!(index.digests().entries.is_empty());
}

#[test]
fn a_secret_leaves_only_the_names_of_its_keys() {
    let mut index = index();
    let secret = KindName::new("", "Secret");
    index.watch(&secret, &info("", "Secret", Scope::Namespaced));
    let run = index.begin_list(&secret, Reach::Cluster);
    index.end_list(&secret, run, Version(1));
    let mut object = object("db", 5);
    object["data"] = json!({"password": "Y2FuYXJ5"});
    let seen = observe(
        &index.homes(),
        &info("", "Secret", Scope::Namespaced),
        &mut object,
    )
    .unwrap();
    let effects = index.seen(&secret, &Reach::Cluster, seen);
    let told = format!("{effects:?}");
    assert!(told.contains("password") && !told.contains("Y2FuYXJ5"), "{told}");
}

#[test]
fn objects_of_the_whole_cluster_have_their_home() {
    let mut index = index();
    let of = |index: &Index, kind: &str, mut object: Value| {
        observe(&index.homes(), &info("", kind, Scope::Cluster), &mut object)
            .map(|seen| seen.home.environment.to_string())
    };
    let ours = Some(ENV.to_owned());
    assert_eq!(
        of(&index, "Namespace", json!({"metadata": {"name": "shop"}})),
        ours
    );
    assert_eq!(
        of(&index, "Namespace", json!({"metadata": {"name": "other"}})),
        None
    );
    let claim =
        json!({"metadata": {"name": "pv1"}, "spec": {"claimRef": {"namespace": "shop", "name": "c"}}});
    assert_eq!(of(&index, "PersistentVolume", claim), ours);
    let label = json!({"metadata": {"name": "x", "labels": {c7n_manifests::labels::ENV: ENV}}});
    assert_eq!(of(&index, "ClusterRole", label.clone()), ours);
    index.environment_removed(ENV);
    assert_eq!(of(&index, "ClusterRole", label), None);
}

/// Any order of looks at one history ends in the same table as the history itself, as long as the watch is in order.
#[test]
fn looks_in_any_order_end_in_the_truth() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut index = index();
        let mut truth: BTreeMap<String, u64> = BTreeMap::new();
        // What happened, in order; the watch shows it with a delay, answers to writes come whenever they come.
        let mut shown = Vec::new();
        let mut answers: Vec<(String, u64)> = Vec::new();
        let mut version = 10;
        for _ in 0..random.random_range(1..60) {
            match random.random_range(0..6) {
                0 | 1 => {
                    version += 1;
                    let name = format!("o{}", random.random_range(0..4));
                    truth.insert(name.clone(), version);
                    shown.push((name.clone(), version, false));
                    answers.push((name, version));
                }
                2 => {
                    let name = format!("o{}", random.random_range(0..4));
                    if truth.remove(&name).is_some() {
                        version += 1;
                        shown.push((name, version, true));
                    }
                }
                3 if !answers.is_empty() => {
                    let (name, at) = answers.remove(random.random_range(0..answers.len()));
                    written(&mut index, &name, object(&name, at));
                }
                4 if !shown.is_empty() => show(&mut index, shown.remove(0)),
                _ => {
                    // A list breaks in: it shows the truth of now, and the watch goes on from there.
                    let run = index.begin_list(&config_map(), Reach::Cluster);
                    for (name, at) in &truth {
                        let seen = look(&index, object(name, *at));
                        index.listed(&config_map(), &run, seen);
                    }
                    index.end_list(&config_map(), run, Version(version));
                    shown.clear();
                }
            }
        }
        shown.into_iter().for_each(|event| show(&mut index, event));
        for (name, at) in answers {
            written(&mut index, &name, object(&name, at));
        }

        let home = index.homes().by_id[ENV].clone();
        let kept: BTreeMap<String, u64> = index
            .entries_of(&home, &config_map())
            .map(|(_, name, entry)| (name.to_owned(), entry.version.0))
            .collect();
        assert_eq!(kept, truth, "seed {seed}");
        let mut fresh = self::index();
        for (name, at) in &truth {
            watched(&mut fresh, object(name, *at));
        }
        assert_eq!(index.digests(), fresh.digests(), "seed {seed}");
    }
}

fn show(index: &mut Index, (name, version, deleted): (String, u64, bool)) {
    if deleted {
        index.gone(&config_map(), &Reach::Cluster, "shop", &name, Version(version));
    } else {
        watched(index, object(&name, version));
    }
}

mod causes {
    use super::*;
    use crate::state::index::cause::Wish;

    fn kinds() -> [(KindName, KindInfo); 2] {
        ["Pod", "Event"].map(|kind| (KindName::new("", kind), info("", kind, Scope::Namespaced)))
    }

    /// An index that has listed its Pods and Events: there were none.
    fn index() -> Index {
        let mut index = Index::default();
        index.environment_added(ENV, "shop");
        for (name, info) in kinds() {
            index.watch(&name, &info);
            let run = index.begin_list(&name, Reach::Cluster);
            index.end_list(&name, run, Version(1));
        }
        index
    }

    fn see(index: &mut Index, kind: usize, mut object: Value) -> Effects {
        let (name, info) = &kinds()[kind];
        let seen = observe(&index.homes(), info, &mut object).unwrap();
        index.seen(name, &Reach::Cluster, seen)
    }

    fn pod(version: u64, status: Value) -> Value {
        let mut pod = object("web-1", version);
        pod["metadata"]["labels"] = json!({c7n_manifests::labels::RELEASE: "web"});
        pod["status"] = status;
        pod
    }

    fn unready() -> Value {
        json!({"phase": "Running", "containerStatuses": [{"name": "web", "ready": false, "state": {"running": {}}}]})
    }

    fn crashed(restarts: u64) -> Value {
        json!({"phase": "Running", "containerStatuses": [{
            "name": "web", "restartCount": restarts,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}},
        }]})
    }

    fn event(name: &str, version: u64, uid: &str, message: &str) -> Value {
        let mut event = object(name, version);
        event["involvedObject"] =
            json!({"kind": "Pod", "name": "web-1", "uid": uid, "fieldPath": "spec.containers{web}"});
        event["reason"] = "Unhealthy".into();
        event["message"] = message.into();
        event["lastTimestamp"] = format!("2026-01-01T00:00:{version:02}Z").into();
        event
    }

    fn cause(index: &Index) -> String {
        let key = ObjectKey {
            kind: "Pod".into(),
            namespace: "shop".into(),
            name: "web-1".into(),
            ..ObjectKey::default()
        };
        index.object(ENV, &key).unwrap().cause
    }

    fn last_cause(effects: &Effects) -> Option<&str> {
        effects.says.iter().rev().find_map(|say| match say {
            Say::State(state) if state.key.kind == "Pod" => Some(state.cause.as_str()),
            _ => None,
        })
    }

    const FAILS: &str = "the readiness probe of container web fails: HTTP status 503";
    const MESSAGE: &str = "Readiness probe failed: HTTP probe failed with statuscode: 503";

    #[test]
    fn an_event_says_why_and_its_object_is_told_anew_in_the_same_digest() {
        let mut index = index();
        see(&mut index, 0, pod(5, unready()));
        assert_eq!(cause(&index), "container web runs and is not ready");
        let set = |index: &Index| index.detail(ENV, &KindName::new("", "Pod"));
        let before = set(&index);
        let effects = see(&mut index, 1, event("e1", 6, "uid-web-1", MESSAGE));
        assert_eq!(last_cause(&effects), Some(FAILS));
        assert_eq!(set(&index), before, "a cause is no part of the digest");
        let again = see(&mut index, 1, event("e1", 7, "uid-web-1", MESSAGE));
        assert_eq!(last_cause(&again), None, "what was told is not told again");
        assert_eq!(index.causes().count(), 1);

        let gone = index.gone(
            &KindName::new("", "Event"),
            &Reach::Cluster,
            "shop",
            "e1",
            Version(8),
        );
        assert_eq!(last_cause(&gone), Some("container web runs and is not ready"));
        let well = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        let effects = see(&mut index, 0, pod(9, well));
        assert_eq!(last_cause(&effects), Some(""));
        assert_eq!(index.causes().count(), 0);
    }

    #[test]
    fn an_event_of_an_earlier_pod_of_the_same_name_says_nothing() {
        let mut index = index();
        see(&mut index, 0, pod(5, unready()));
        see(&mut index, 1, event("e1", 6, "uid-of-another", MESSAGE));
        assert_eq!(cause(&index), "container web runs and is not ready");
    }

    #[test]
    fn the_log_of_a_crash_is_asked_for_once_per_run() {
        let mut index = index();
        let effects = see(&mut index, 0, pod(5, crashed(1)));
        let wish = Wish {
            namespace: "shop".into(),
            pod: "web-1".into(),
            uid: "uid-web-1".into(),
            container: "web".into(),
            restarts: 1,
            run: c7n_manifests::Run::Previous,
        };
        assert_eq!(effects.wishes, std::slice::from_ref(&wish));
        assert_eq!(see(&mut index, 0, pod(6, crashed(1))).wishes, []);

        let effects = index.tail(&wish, Some(vec!["no database".into(), "bye".into()]));
        let told = "container web crashes with exit code 1, 1 restart\nno database\nbye";
        assert_eq!(last_cause(&effects), Some(told));
        assert_eq!(cause(&index), told);
        assert_eq!(
            index.tail(&wish, Some(vec!["no database".into(), "bye".into()])),
            Effects::default()
        );

        // The next run says the same, and its log could not be read: it is asked for when the pod is seen again.
        let next = see(&mut index, 0, pod(7, crashed(2))).wishes;
        assert_eq!(next[0].restarts, 2);
        assert!(cause(&index).ends_with("2 restarts\nno database\nbye"));
        index.tail(&next[0], None);
        assert_eq!(see(&mut index, 0, pod(8, crashed(2))).wishes, next);

        index.gone(
            &KindName::new("", "Pod"),
            &Reach::Cluster,
            "shop",
            "web-1",
            Version(9),
        );
        assert_eq!(
            index.tail(&wish, Some(vec!["late".into()])),
            Effects::default(),
            "of a pod that is gone"
        );
    }

    #[test]
    fn a_label_says_which_release_made_an_object() {
        let mut index = index();
        let effects = see(&mut index, 0, pod(5, unready()));
        let Say::State(state) = &effects.says[0] else {
            panic!()
        };
        assert_eq!(state.release, "web");
    }

    /// Pod, events and log, in every order: the last word is the same.
    #[test]
    fn the_order_in_which_things_come_makes_no_difference() {
        type Step = fn(&mut Index);
        let steps: [Step; 4] = [
            |index| drop(see(index, 0, pod(5, crashed(1)))),
            |index| {
                drop(see(
                    index,
                    1,
                    event("e1", 6, "uid-web-1", "Liveness probe failed: refused"),
                ))
            },
            |index| {
                let mut killing = event(
                    "e2",
                    7,
                    "uid-web-1",
                    "Container web failed liveness probe, will be restarted",
                );
                killing["reason"] = "Killing".into();
                drop(see(index, 1, killing));
            },
            |index| drop(see(index, 1, event("e3", 3, "uid-web-1", MESSAGE))),
        ];
        let mut orders = vec![vec![]];
        for step in 0..steps.len() {
            orders = orders
                .into_iter()
                .flat_map(|order: Vec<usize>| {
                    (0..=order.len()).map(move |at| {
                        let mut order = order.clone();
                        order.insert(at, step);
                        order
                    })
                })
                .collect();
        }
        assert_eq!(orders.len(), 24);
        for order in orders {
            let mut index = index();
            for step in &order {
                steps[*step](&mut index);
            }
            assert_eq!(
                cause(&index),
                "container web is ended because its liveness probe fails, 1 restart: refused",
                "{order:?}"
            );
        }
    }
}
