use c7n_helm::{HookEvent, HookPhase};
use c7n_manifests::{HealthStatus, health};

use super::*;

static KEPT: History = History::new();
const NOW: &str = "2026-01-02T03:04:05Z";
const LATER: &str = "2026-01-02T03:05:00Z";

fn released(digest: &SpecDigest) -> Report<'_> {
    Report::Released {
        deployed: Deployed {
            revision: 3,
            chart: "web-1.0.0",
            chart_digest: Some("sha256:aa"),
            digest,
            commit: "c1",
            kept: &KEPT,
            words: "installed",
        },
    }
}

/// As the rest of the product judges the object with this status.
fn judged(status: &Status, generation: i64) -> HealthStatus {
    health(&json!({
        "apiVersion": "choerodon.io/v1alpha1", "kind": "C7NHelmRelease",
        "metadata": { "name": "web", "generation": generation },
        "spec": {},
        "status": status,
    }))
    .status
}

#[test]
fn each_stage_is_judged_as_a_person_would() {
    let digest = SpecDigest::of("1");
    let mut status = Status::default();
    assert_eq!(
        judged(&status, 1),
        HealthStatus::Progressing,
        "nobody has seen it"
    );

    status.report(
        &Report::Working {
            phase: Phase::Installing,
            words: "installing web-1.0.0",
        },
        1,
        NOW,
    );
    assert_eq!(judged(&status, 1), HealthStatus::Progressing);

    status.report(&released(&digest), 1, NOW);
    status.report(&Report::Running, 1, NOW);
    assert_eq!(judged(&status, 1), HealthStatus::Healthy);
    assert_eq!(
        judged(&status, 2),
        HealthStatus::Progressing,
        "the new wish is not seen yet"
    );

    status.report(
        &Report::Failed {
            reason: "UpgradeFailed",
            words: "hook migrate failed",
        },
        2,
        NOW,
    );
    assert_eq!(judged(&status, 2), HealthStatus::Degraded);
    assert_eq!(status.last_error.as_deref(), Some("hook migrate failed"));
    assert_eq!(status.revision, Some(3), "what is deployed is still told");

    // The next attempt at the same does not make it look well for a moment.
    status.report(
        &Report::Working {
            phase: Phase::Upgrading,
            words: "",
        },
        2,
        NOW,
    );
    assert_eq!(judged(&status, 2), HealthStatus::Degraded);

    status.report(&released(&digest), 2, LATER);
    status.report(&Report::Stopped { words: "stopped" }, 2, LATER);
    assert_eq!(judged(&status, 2), HealthStatus::Suspended);
    assert_eq!(status.last_error, None);
}

#[test]
fn a_transition_is_timed_once() {
    let mut status = Status::default();
    let failed = Report::Failed {
        reason: "FetchFailed",
        words: "away",
    };
    status.report(&failed, 1, NOW);
    status.report(&failed, 1, LATER);
    assert_eq!(status.condition("Ready").unwrap().last_transition_time, NOW);
    status.report(&Report::Running, 1, LATER);
    assert_eq!(status.condition("Ready").unwrap().last_transition_time, LATER);
    assert!(status.condition("Stalled").is_none() && status.condition("Reconciling").is_none());
}

#[test]
fn a_cancel_holds_for_the_generation_that_it_was_said_of() {
    let mut status = Status::default();
    status.report(
        &Report::Failed {
            reason: CANCELLED,
            words: "cancelled",
        },
        4,
        NOW,
    );
    assert!(status.recorded(4).cancelled);
    assert!(!status.recorded(5).cancelled);
}

#[test]
fn nothing_new_is_nothing_to_write_and_what_is_gone_is_said() {
    let mut before = Status::default();
    before.report(&Report::Running, 1, NOW);
    assert_eq!(before.patch_from(&before.clone()), None);

    before.stopped_replicas = Some(Sizes::from([
        ("Deployment/a".into(), 1),
        ("Deployment/b".into(), 2),
    ]));
    let mut after = before.clone();
    after.stopped_replicas = Some(Sizes::from([("Deployment/b".into(), 2)]));
    let patch = after.patch_from(&before).unwrap();
    assert_eq!(
        patch["status"]["stoppedReplicas"],
        json!({ "Deployment/a": null, "Deployment/b": 2 })
    );
    after.stopped_replicas = None;
    assert_eq!(
        after.patch_from(&before).unwrap()["status"]["stoppedReplicas"],
        Value::Null
    );
}

#[test]
fn what_is_written_is_read_again() {
    let digest = SpecDigest::of("1");
    let mut status = Status::default();
    status.report(&released(&digest), 1, NOW);
    status.report(&Report::Stopped { words: "stopped" }, 1, NOW);
    status.stopped_replicas = Some(Sizes::from([("Deployment/web".into(), 3)]));
    assert_eq!(Status::read(&json!(status)), status);
    assert_eq!(Status::read(&Value::Null), Status::default());
    let recorded = status.recorded(1);
    assert_eq!((recorded.revision, recorded.digest), (Some(3), Some(digest)));
    assert!(recorded.stopped);
}

#[test]
fn hooks_and_texts_are_bounded() {
    let run = HookRun {
        kind: "Job".into(),
        name: "migrate".into(),
        event: HookEvent::PreUpgrade,
        phase: HookPhase::Failed,
        message: "é".repeat(5000),
        log: format!("{}end", "é".repeat(50_000)),
    };
    let mut status = Status::default();
    status.report_hooks(&vec![run; 100]);
    status.report(
        &Report::Failed {
            reason: "UpgradeFailed",
            words: &"x".repeat(100_000),
        },
        1,
        NOW,
    );
    assert_eq!(status.hooks.len(), MOST_HOOKS);
    assert!(status.hooks[0].log.ends_with("end"));
    assert!(json!(status).to_string().len() < 200_000);

    let before = status.hooks.clone();
    status.report_hooks(&[]);
    assert_eq!(
        status.hooks, before,
        "an operation without hooks says nothing of them"
    );
}
