use std::collections::BTreeMap;

use c7n_api::{Branch, HealthStatus, LiveObject, Owner};
use proptest::prelude::*;

use super::attribute::Family;
use super::{detail, fold, tree};
use crate::store::AppCharts;

use HealthStatus::{Degraded, Healthy, Progressing, Suspended};

fn object(kind: &str, name: &str, health: HealthStatus) -> LiveObject {
    let group = match kind {
        "Deployment" | "ReplicaSet" | "StatefulSet" => "apps",
        "Job" | "CronJob" => "batch",
        "C7NHelmRelease" => "choerodon.io",
        _ => "",
    };
    LiveObject {
        group: group.into(),
        version: "v1".into(),
        kind: kind.into(),
        namespace: Some("shop".into()),
        name: name.into(),
        uid: format!("{kind}/{name}"),
        health,
        message: None,
        cause: None,
        release: None,
        summary: BTreeMap::new(),
        owners: Vec::new(),
        managed: false,
        file: None,
        commit: None,
        created_ms: 0,
        seen_ms: 0,
    }
}

trait With {
    fn of(self, owner: &str) -> Self;
    fn release(self, name: &str) -> Self;
    fn cause(self, text: &str) -> Self;
    fn says(self, message: &str) -> Self;
    fn column(self, name: &str, value: &str) -> Self;
    fn made(self, ms: i64) -> Self;
}

impl With for LiveObject {
    /// `owner` is kind and name.
    fn of(mut self, owner: &str) -> Self {
        let (kind, name) = owner.split_once('/').unwrap();
        self.owners = vec![Owner {
            uid: owner.into(),
            kind: kind.into(),
            name: name.into(),
        }];
        self
    }
    fn release(mut self, name: &str) -> Self {
        self.release = Some(name.into());
        self
    }
    fn cause(mut self, text: &str) -> Self {
        self.cause = Some(text.into());
        self
    }
    fn says(mut self, message: &str) -> Self {
        self.message = Some(message.into());
        self
    }
    fn column(mut self, name: &str, value: &str) -> Self {
        self.summary.insert(name.into(), value.into());
        self
    }
    fn made(mut self, ms: i64) -> Self {
        self.created_ms = ms;
        self
    }
}

/// A release `web` with a Deployment of one pod, and a database that plain files describe.
fn shop() -> Vec<LiveObject> {
    let mut release = object("C7NHelmRelease", "web", Healthy)
        .column("chart", "web")
        .column("version", "1.2.3")
        .column("repository", "https://charts.example.com")
        .column("phase", "Deployed")
        .column("revision", "3")
        .column("deployed", "web-1.2.3")
        .column("commit", "c0ffee");
    release.file = Some("web.yaml".into());
    vec![
        release,
        object("Deployment", "web", Healthy).release("web"),
        object("ReplicaSet", "web-1", Healthy).of("Deployment/web"),
        object("Pod", "web-1-a", Healthy).of("ReplicaSet/web-1"),
        object("Service", "web", Healthy).release("web"),
        object("EndpointSlice", "web-x", Healthy).of("Service/web"),
        object("StatefulSet", "db", Healthy)
            .release("store")
            .column("claims", "data, log"),
        object("Pod", "db-0", Healthy)
            .of("StatefulSet/db")
            .column("claims", "data-db-0"),
        object("PersistentVolumeClaim", "data-db-0", Healthy),
        object("PersistentVolumeClaim", "data-db-x", Healthy),
        object("PersistentVolume", "pv-1", Healthy).column("claim", "shop/data-db-0"),
        object("ConfigMap", "settings", Healthy),
    ]
}

fn whose(objects: &[LiveObject]) -> BTreeMap<String, Option<String>> {
    let family = Family::new(objects);
    let names = objects.iter().map(|object| object.uid.clone());
    names
        .zip(family.instances().into_iter().map(|name| name.map(str::to_owned)))
        .collect()
}

#[test]
fn every_object_belongs_to_an_instance_or_to_the_environment() {
    let told: String = whose(&shop())
        .into_iter()
        .map(|(object, instance)| format!("{object}: {}\n", instance.as_deref().unwrap_or("-")))
        .collect();
    insta::assert_snapshot!(told, @r"
    C7NHelmRelease/web: web
    ConfigMap/settings: -
    Deployment/web: web
    EndpointSlice/web-x: web
    PersistentVolume/pv-1: store
    PersistentVolumeClaim/data-db-0: store
    PersistentVolumeClaim/data-db-x: -
    Pod/db-0: store
    Pod/web-1-a: web
    ReplicaSet/web-1: web
    Service/web: web
    StatefulSet/db: store
    ");
}

#[test]
fn what_a_release_wants_and_has_is_told() {
    let folded = fold(&shop(), &AppCharts::default());
    insta::assert_json_snapshot!(folded);
}

#[test]
fn owners_in_a_circle_belong_to_nobody_and_hide_nothing() {
    let objects = [
        object("A", "one", Degraded).of("B/two").release("x"),
        object("B", "two", Degraded).of("A/one"),
        object("C", "three", Degraded).of("D/four"),
        object("D", "four", Degraded).of("C/three"),
    ];
    assert_eq!(whose(&objects)["B/two"].as_deref(), Some("x"));
    assert_eq!(whose(&objects)["C/three"], None);
    assert_eq!(
        detail(&objects, "x", &AppCharts::default()).unwrap().tree.len(),
        1
    );
    assert!(fold(&objects, &AppCharts::default()).environment.cause.is_some());
}

/// Health and cause of `web`, as one line.
fn standing(changes: Vec<LiveObject>) -> String {
    let mut objects = shop();
    for change in changes {
        match objects.iter_mut().find(|object| object.uid == change.uid) {
            Some(object) => {
                let before = std::mem::replace(object, change);
                object.owners = before.owners;
                object.release = before.release;
            }
            None => objects.push(change),
        }
    }
    let vitals = fold(&objects, &AppCharts::default())
        .instances
        .into_iter()
        .find(|it| it.name == "web")
        .unwrap()
        .vitals;
    match vitals.cause {
        Some(cause) => format!("{:?}: {} {:?}", vitals.health, cause.text, cause.log),
        None => format!("{:?}", vitals.health),
    }
}

#[test]
fn the_root_of_what_is_wrong_is_named() {
    let deployment = |health| object("Deployment", "web", health);
    let set = |health| object("ReplicaSet", "web-1", health);
    let pod = |health| object("Pod", "web-1-a", health);
    let release = |health, phase: &str| object("C7NHelmRelease", "web", health).column("phase", phase);
    let table = [
        (vec![], "Healthy"),
        (
            // From a Deployment that waits down to the pod that knows why.
            vec![
                deployment(Progressing).says("0 of 1 replicas ready"),
                set(Progressing).says("0 of 1 replicas ready"),
                pod(Degraded).cause("container web: the image x cannot be pulled: nobody has it\n"),
            ],
            "Degraded: Pod web-1-a: container web: the image x cannot be pulled: nobody has it []",
        ),
        (
            // Below a Deployment that gave up, what still tries is to blame.
            vec![
                deployment(Degraded).says("ProgressDeadlineExceeded"),
                set(Progressing),
                pod(Progressing).cause("the readiness probe of container web fails: HTTP status 503"),
            ],
            "Degraded: Pod web-1-a: the readiness probe of container web fails: HTTP status 503 []",
        ),
        (
            vec![
                deployment(Degraded).cause("its pods are refused: quota"),
                set(Degraded).cause("its pods are refused: quota"),
                pod(Progressing),
            ],
            "Degraded: ReplicaSet web-1: its pods are refused: quota []",
        ),
        (
            vec![
                deployment(Progressing),
                set(Progressing),
                pod(Degraded).cause("crashes\nlast\nwords"),
            ],
            r#"Degraded: Pod web-1-a: crashes ["last", "words"]"#,
        ),
        (
            // The claim knows better than the scheduler.
            vec![
                pod(Degraded)
                    .cause("cannot be scheduled: 0/1 nodes: pod has unbound immediate PersistentVolumeClaims")
                    .column("claims", "files"),
                object("PersistentVolumeClaim", "files", Progressing).cause("no volume is made: no class"),
            ],
            "Degraded: PersistentVolumeClaim files: no volume is made: no class []",
        ),
        (
            vec![release(Degraded, "Failed").says("no such chart")],
            "Degraded: C7NHelmRelease web: no such chart []",
        ),
        (
            vec![
                release(Degraded, "Failed").says("timed out"),
                pod(Degraded).cause("crashes"),
            ],
            "Degraded: Pod web-1-a: crashes []",
        ),
        (
            vec![release(Degraded, "Failed").says("bad values"), pod(Progressing)],
            "Degraded: C7NHelmRelease web: bad values []",
        ),
        (
            vec![release(Progressing, "Upgrading").says("the release is being upgraded")],
            "Progressing: C7NHelmRelease web: the release is being upgraded []",
        ),
        (vec![release(Suspended, "Stopped")], "Suspended"),
        // Left over from the past.
        (vec![pod(Degraded).column("phase", "Failed")], "Healthy"),
        (
            vec![
                object("CronJob", "report", Healthy).release("web"),
                object("Job", "report-1", Degraded).of("CronJob/report").made(1),
                object("Pod", "report-1-a", Degraded).of("Job/report-1"),
                object("Job", "report-2", Healthy).of("CronJob/report").made(2),
            ],
            "Healthy",
        ),
        (
            vec![
                object("CronJob", "report", Healthy).release("web"),
                object("Job", "report-1", Healthy).of("CronJob/report").made(1),
                object("Job", "report-2", Degraded)
                    .of("CronJob/report")
                    .made(2)
                    .cause("failed"),
            ],
            "Degraded: Job report-2: failed []",
        ),
    ];
    for (changes, expected) in table {
        assert_eq!(standing(changes), expected);
    }
}

#[test]
fn an_instance_is_shown_as_a_tree() {
    fn lines(branches: &[Branch], depth: usize, out: &mut Vec<String>) {
        for branch in branches {
            out.push(format!(
                "{}{} {}",
                "  ".repeat(depth),
                branch.object.kind,
                branch.object.name
            ));
            lines(&branch.owned, depth + 1, out);
        }
    }
    let mut out = Vec::new();
    lines(
        &detail(&shop(), "web", &AppCharts::default()).unwrap().tree,
        0,
        &mut out,
    );
    insta::assert_snapshot!(out.join("\n"), @r"
    C7NHelmRelease web
      Deployment web
        ReplicaSet web-1
          Pod web-1-a
      Service web
        EndpointSlice web-x
    ");
    assert!(detail(&shop(), "nobody", &AppCharts::default()).is_none());

    let all = tree(&shop(), &AppCharts::default());
    assert_eq!(
        Some(&all.instances[1]),
        detail(&shop(), "web", &AppCharts::default()).as_ref()
    );
    let mut out = Vec::new();
    lines(&all.own, 0, &mut out);
    assert_eq!(out, ["ConfigMap settings", "PersistentVolumeClaim data-db-x"]);
}

proptest! {
    /// Whatever comes first, the whole is the same.
    #[test]
    fn the_order_of_arrival_makes_no_difference(
        links in proptest::collection::vec((0..12_usize, 0..4_u8, 0..3_usize), 12),
        order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let healths = [Healthy, Progressing, Degraded];
        let objects: Vec<LiveObject> = links
            .iter()
            .enumerate()
            .map(|(at, (owner, label, health))| {
                let made = object("Pod", &format!("p{at}"), healths[*health]).cause(&format!("cause {at}"));
                match label {
                    0 => made.release("a"),
                    1 => made.release("b"),
                    2 => made.of(&format!("Pod/p{owner}")),
                    _ => made,
                }
            })
            .collect();
        let shuffled: Vec<LiveObject> = order.iter().map(|at| objects[*at].clone()).collect();
        prop_assert_eq!(whose(&objects), whose(&shuffled));
        prop_assert_eq!(fold(&objects, &AppCharts::default()), fold(&shuffled, &AppCharts::default()));
        prop_assert_eq!(detail(&objects, "a", &AppCharts::default()), detail(&shuffled, "a", &AppCharts::default()));
        prop_assert_eq!(tree(&objects, &AppCharts::default()), tree(&shuffled, &AppCharts::default()));
        let counted: u32 = fold(&objects, &AppCharts::default()).instances.iter().map(|it| it.vitals.objects).sum();
        prop_assert_eq!(counted + fold(&objects, &AppCharts::default()).environment.objects, 12);
    }
}
