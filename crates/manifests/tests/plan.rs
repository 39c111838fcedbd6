//! What a plan writes, deletes, holds and refuses; and that it comes to rest.

// clippy.toml allows it in tests, and does not count their helpers among them.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use c7n_manifests::{
    Action, Confinement, Drift, GroupKind, HeldReason, Lifecycle, Limits, Live, Object, Ownership, Plan,
    PrunePolicy, Refusal, Wave, applyset_id, assemble, builtin_scope, decorate, labels, parse_file, plan,
    wave_of,
};
use proptest::prelude::*;

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

/// `kind name file` for every object.
fn objects(specs: &[(&str, &str, &str)]) -> Vec<Object> {
    let files = specs.iter().map(|(kind, name, file)| {
        let (version, kind) = kind.rsplit_once('/').unwrap();
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\n");
        (
            (*file).to_owned(),
            parse_file(file, text.as_bytes(), &Limits::default()),
        )
    });
    let everything = Confinement::to("shop").allowing([
        GroupKind::new("", "Namespace"),
        GroupKind::new("rbac.authorization.k8s.io", "ClusterRole"),
        GroupKind::new("apiextensions.k8s.io", "CustomResourceDefinition"),
    ]);
    let tree = assemble(files, &everything, &builtin_scope);
    assert_eq!(tree.errors, []);
    tree.objects
}

/// As it is after a successful apply.
fn live(object: &Object) -> Live {
    let applied = decorate(object, "shop", &object.source.file, "c0ffee", "set");
    Live::from_object(&applied, "set", Drift::InSync).unwrap()
}

fn maps(count: usize) -> Vec<Object> {
    let names: Vec<_> = (0..count)
        .map(|at| (format!("m{at}"), format!("m{at}.yaml")))
        .collect();
    objects(
        &names
            .iter()
            .map(|(name, file)| ("v1/ConfigMap", name.as_str(), file.as_str()))
            .collect::<Vec<_>>(),
    )
}

fn actions(plan: &Plan) -> Vec<(Action, String)> {
    plan.waves
        .iter()
        .flatten()
        .map(|step| (step.action, step.id.to_string()))
        .collect()
}

#[test]
fn each_object_gets_the_one_action_that_its_state_calls_for() {
    let wanted = maps(6);
    let mut seen: Vec<Live> = wanted[1..].iter().map(live).collect();
    seen[0].manifest_digest = Some("other".to_owned());
    seen[1].owner = Ownership::Unowned;
    seen[2].drift = Drift::Drifted;
    seen[3].source_file = Some("elsewhere.yaml".to_owned());

    let plan = plan(&wanted, &seen, &none(), &PrunePolicy::default());

    assert_eq!(
        actions(&plan),
        [
            (Action::Create, "ConfigMap shop/m0".to_owned()),
            (Action::Update, "ConfigMap shop/m1".to_owned()),
            (Action::Adopt, "ConfigMap shop/m2".to_owned()),
            (Action::Repair, "ConfigMap shop/m3".to_owned()),
            (Action::Update, "ConfigMap shop/m4".to_owned()),
        ]
    );
    assert_eq!(plan.unchanged, 1);
    assert!(plan.prune.is_empty());
}

#[test]
fn what_belongs_to_others_is_refused_with_the_reason() {
    let wanted = objects(&[
        ("v1/ConfigMap", "a", "a.yaml"),
        ("rbac.authorization.k8s.io/v1/ClusterRole", "b", "b.yaml"),
    ]);
    let mut seen: Vec<Live> = wanted.iter().map(live).collect();
    seen[0].owner = Ownership::Other("applyset-x-v1".to_owned());
    seen[1].owner = Ownership::Unowned;

    let plan = plan(&wanted, &seen, &none(), &PrunePolicy::default());

    assert_eq!(plan.writes(), 0);
    let reasons: Vec<_> = plan
        .refused
        .iter()
        .map(|refused| refused.reason.clone())
        .collect();
    assert_eq!(
        reasons,
        [
            Refusal::OwnedByOther("applyset-x-v1".to_owned()),
            Refusal::ClusterScopedNotOurs
        ]
    );
    insta::assert_snapshot!(
        plan.refused
            .iter()
            .map(|r| format!("{}: {}", r.id, r.reason))
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn what_is_being_deleted_is_waited_for_and_not_written() {
    let wanted = maps(1);
    let mut seen = vec![live(&wanted[0])];
    seen[0].lifecycle = Lifecycle::Deleting;
    let waiting = plan(&wanted, &seen, &none(), &PrunePolicy::default());
    assert_eq!((waiting.writes(), waiting.waiting.len()), (0, 1));
    assert!(!waiting.is_settled());

    let gone = plan(&[], &seen, &none(), &PrunePolicy::default());
    assert!(gone.is_settled(), "it is on its way out already");
}

#[test]
fn waves_write_what_others_need_first_and_delete_in_reverse() {
    let wanted = objects(&[
        ("networking.k8s.io/v1/Ingress", "i", "i.yaml"),
        ("apps/v1/Deployment", "d", "d.yaml"),
        ("v1/Secret", "s", "s.yaml"),
        ("v1/Namespace", "shop", "n.yaml"),
        ("example.org/v1/Thing", "t", "t.yaml"),
        ("v1/Service", "v", "v.yaml"),
    ]);
    let create = plan(&wanted, &[], &none(), &PrunePolicy::default());
    let kinds: Vec<Vec<&str>> = create
        .waves
        .iter()
        .map(|wave| wave.iter().map(|step| step.id.kind.as_str()).collect())
        .collect();
    assert_eq!(
        kinds,
        [
            vec!["Namespace"],
            vec!["Secret"],
            vec!["Service", "Deployment"],
            vec!["Thing", "Ingress"]
        ]
    );

    let seen: Vec<Live> = wanted.iter().map(live).collect();
    let agreed = wanted.iter().map(|object| object.id.clone()).collect();
    let delete = plan(
        &[],
        &seen,
        &none(),
        &PrunePolicy {
            confirmed: Some(agreed),
            ..PrunePolicy::default()
        },
    );
    let kinds: Vec<&str> = delete.prune.iter().map(|id| id.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["Ingress", "Thing", "Deployment", "Service", "Secret", "Namespace"]
    );
    assert_eq!(
        wave_of(&GroupKind::new(
            "apiextensions.k8s.io",
            "CustomResourceDefinition"
        )),
        Wave::Foundations
    );
}

#[test]
fn deletions_beyond_the_share_wait_and_small_ones_do_not() {
    let all = maps(20);
    let seen: Vec<Live> = all.iter().map(live).collect();
    let policy = PrunePolicy::default();
    let table = [
        (19, None),
        (14, None),
        (13, Some(HeldReason::LargeShare { share_percent: 30 })),
        (1, Some(HeldReason::LargeShare { share_percent: 30 })),
        (0, Some(HeldReason::NothingWanted)),
    ];
    for (kept, reason) in table {
        let plan = plan(&all[..kept], &seen, &none(), &policy);
        let lost = 20 - kept;
        assert_eq!(
            plan.held.as_ref().map(|held| held.reason.clone()),
            reason,
            "{kept} kept"
        );
        assert_eq!(
            plan.prune.len(),
            if reason.is_some() { 0 } else { lost },
            "{kept} kept"
        );
        if let Some(held) = plan.held {
            assert_eq!((held.count, held.total, held.objects.len()), (lost, 20, lost));
        }
    }
    let few: Vec<Live> = seen[..4].to_vec();
    assert_eq!(
        plan(&all[..1], &few, &none(), &policy).prune.len(),
        3,
        "below the floor nobody is asked"
    );
}

#[test]
fn a_confirmation_lets_exactly_what_was_asked_go() {
    let all = maps(20);
    let mut seen: Vec<Live> = all.iter().map(live).collect();
    let asked = plan(&[], &seen[..10], &none(), &PrunePolicy::default())
        .held
        .unwrap();
    let confirmed = PrunePolicy {
        confirmed: Some(asked.objects.iter().cloned().collect()),
        ..PrunePolicy::default()
    };

    let first = plan(&[], &seen, &none(), &confirmed);
    assert_eq!(
        (first.prune.len(), first.held.as_ref().unwrap().count),
        (10, 10),
        "the others were not asked about"
    );
    assert_ne!(first.held.unwrap().token(), asked.token());

    seen.drain(..5);
    seen.truncate(5);
    let rest = plan(&[], &seen, &none(), &confirmed);
    assert_eq!(
        (rest.prune.len(), rest.held),
        (5, None),
        "cut off half-way, it goes on without asking"
    );
}

#[test]
fn what_a_commit_creates_does_not_make_its_own_deletions_small() {
    let all = maps(24);
    let seen: Vec<Live> = all[..10].iter().map(live).collect();
    let wanted = &all[5..];
    let gone_of_ten = plan(wanted, &seen, &none(), &PrunePolicy::default());
    let asked = gone_of_ten.held.clone().unwrap();
    assert_eq!((asked.count, asked.total), (5, 10));

    let after = carry_out(&gone_of_ten, wanted, &seen);
    let policy = PrunePolicy {
        asked: Some(asked.clone()),
        ..PrunePolicy::default()
    };
    let again = plan(wanted, &after, &none(), &policy);
    assert!(
        again.prune.is_empty(),
        "5 of 24 are only a fifth, and still nobody has agreed"
    );
    let still = again.held.unwrap();
    assert_eq!(
        (still.total, still.token(), still.reason),
        (24, asked.token(), asked.reason)
    );

    let agreed = PrunePolicy {
        confirmed: Some(asked.objects.iter().cloned().collect()),
        ..policy
    };
    assert_eq!(plan(wanted, &after, &none(), &agreed).prune.len(), 5);
}

#[test]
fn a_held_file_keeps_its_objects_and_a_vanished_one_beside_it_is_asked_about() {
    let all = maps(6);
    let mut seen: Vec<Live> = all.iter().map(live).collect();
    let held: BTreeSet<String> = ["m0.yaml".to_owned()].into();
    let kept = plan(&all[1..], &seen, &held, &PrunePolicy::default());
    assert!(kept.is_settled());

    let renamed: BTreeSet<String> = ["new-name.yaml".to_owned()].into();
    seen[2].source_file = Some("m1.yaml".to_owned());
    let wanted = [&all[1..2], &all[3..]].concat();
    let asked = plan(&wanted, &seen, &renamed, &PrunePolicy::default());
    assert_eq!(
        asked.prune,
        [all[2].id.clone()],
        "its file is still there, so it was taken out of it"
    );
    let question = asked.held.unwrap();
    assert_eq!(question.objects, [all[0].id.clone()]);
    assert_eq!(
        question.reason,
        HeldReason::PossiblyRenamed {
            files: vec!["new-name.yaml".to_owned()]
        }
    );
}

#[test]
fn what_controllers_made_is_never_pruned_though_it_carries_the_label() {
    let all = maps(3);
    let mut seen: Vec<Live> = all.iter().map(live).collect();
    seen[1].controller = Some("Service web".to_owned());
    seen[2].manifest_digest = None;
    let plan = plan(&all[..1], &seen, &none(), &PrunePolicy::default());
    assert!(plan.is_settled());
}

#[test]
fn the_id_of_a_set_is_the_one_kubectl_computes() {
    // KEP-3659: base64url of sha256 of "name.namespace.kind.group", without padding.
    let id = applyset_id("shop", "c7n", "ConfigMap", "");
    assert_eq!(id, applyset_id("shop", "c7n", "ConfigMap", ""));
    assert!(id.starts_with("applyset-") && id.ends_with("-v1") && id.len() == 9 + 43 + 3 && id.len() <= 63);
    assert_eq!(
        applyset_id("", "", "", ""),
        "applyset-q132Jbx229ThY77S3YiN-Cj5AVm7k1VlJcMYIbZUHUY-v1"
    );
}

#[test]
fn what_is_sent_names_its_origin_and_leaves_out_what_the_server_sets() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  uid: x\n  resourceVersion: '1'\n  creationTimestamp: null\n  managedFields: []\n  annotations: {own: x}\ndata: {k: v}\nstatus: {}\n";
    let object = parse_file("a.yaml", text.as_bytes(), &Limits::default())
        .unwrap()
        .remove(0);
    let sent = decorate(&object, "shop", "a.yaml", "c0ffee", "set");
    insta::assert_json_snapshot!(sent);
    assert_eq!(
        sent["metadata"]["annotations"][labels::MANIFEST_DIGEST],
        object.digest.to_string()
    );
}

/// A cluster that does what a plan says.
fn carry_out(plan: &Plan, wanted: &[Object], seen: &[Live]) -> Vec<Live> {
    let mut cluster: BTreeMap<_, _> = seen.iter().map(|live| (live.id.clone(), live.clone())).collect();
    for step in plan.waves.iter().flatten() {
        cluster.insert(step.id.clone(), live(&wanted[step.object]));
    }
    for id in &plan.prune {
        cluster.remove(id);
    }
    cluster.into_values().collect()
}

fn states() -> impl Strategy<Value = Vec<(bool, u8, u8, u8)>> {
    proptest::collection::vec((any::<bool>(), 0..6u8, 0..4u8, 0..4u8), 12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// After a plan is carried out there is nothing more to write or delete; what a broken file held is never deleted; what is
    /// another's is never touched.
    #[test]
    fn a_plan_comes_to_rest_and_deletes_nothing_it_may_not(
        states in states(),
        held in proptest::collection::btree_set(0..16usize, 0..3),
        share in 0..100u8,
    ) {
        let all = maps(12);
        let held: BTreeSet<String> = held.iter().map(|at| format!("m{at}.yaml")).collect();
        // A held file contributes no objects.
        let wanted: Vec<Object> = all.iter().zip(&states).filter(|(object, state)| state.0 && !held.contains(&object.source.file)).map(|(object, _)| object.clone()).collect();
        let seen: Vec<Live> = all
            .iter()
            .zip(&states)
            .filter(|(_, state)| state.1 > 0)
            .map(|(object, &(_, presence, owner, change))| {
                let mut live = live(object);
                live.owner = match owner {
                    0 => Ownership::Other("x".to_owned()),
                    1 => Ownership::Unowned,
                    _ => Ownership::Ours,
                };
                match change {
                    1 => live.drift = Drift::Drifted,
                    2 => live.manifest_digest = Some("old".to_owned()),
                    _ => {}
                }
                if presence == 1 {
                    live.lifecycle = Lifecycle::Deleting;
                }
                live
            })
            .collect();
        let policy = PrunePolicy { share_percent: share, ..PrunePolicy::default() };

        let first = plan(&wanted, &seen, &held, &policy);
        for id in first.prune.iter().chain(first.held.iter().flat_map(|held| &held.objects)) {
            let live = seen.iter().find(|live| live.id == *id).unwrap();
            prop_assert_eq!(&live.owner, &Ownership::Ours);
            prop_assert!(!held.contains(live.source_file.as_ref().unwrap()));
            prop_assert!(wanted.iter().all(|object| object.id != *id));
        }
        for step in first.waves.iter().flatten() {
            let found = seen.iter().find(|live| live.id == step.id);
            prop_assert!(found.is_none_or(|live| !matches!(live.owner, Ownership::Other(_))));
            prop_assert_eq!(found.is_none(), step.action == Action::Create);
        }
        prop_assert_eq!(first.writes() + first.unchanged + first.refused.len() + first.waiting.len(), wanted.len());

        let after = carry_out(&first, &wanted, &seen);
        let policy = PrunePolicy { asked: first.held.clone(), ..policy };
        let second = plan(&wanted, &after, &held, &policy);
        prop_assert_eq!(&second.held.as_ref().map(|held| &held.objects), &first.held.as_ref().map(|held| &held.objects));
        prop_assert_eq!(second.writes(), 0);
        prop_assert!(second.prune.is_empty(), "{:?}", second.prune);

        let agreed = PrunePolicy {
            confirmed: second.held.map(|held| held.objects.into_iter().collect()),
            ..policy
        };
        let third = plan(&wanted, &after, &held, &agreed);
        prop_assert!(third.held.is_none());
        let rest = carry_out(&third, &wanted, &after);
        prop_assert!(plan(&wanted, &rest, &held, &agreed).prune.is_empty());
    }
}
