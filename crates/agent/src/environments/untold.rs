//! Of two reports on one commit only the newer one is sent. What was drifted and put back is told nowhere else: as long as
//! the platform has not stored the older report, the newer one says that too. Pure.

use c7n_link::messages::{DeliveryReport, DriftedField, ObjectResult};

/// Fields of one object; an agent that is cut off for days must not grow by them.
const MOST_FIELDS: usize = 100;

/// Takes into the report what an older one of the same commit says of drift.
pub fn keep_drift(report: &mut DeliveryReport, untold: &DeliveryReport) {
    if report.commit != untold.commit {
        return;
    }
    for before in untold.objects.iter().filter(|object| !object.drifted.is_empty()) {
        match report.objects.iter_mut().find(|object| object.key == before.key) {
            Some(now) => add_fields(now, &before.drifted),
            None => report.objects.push(before.clone()),
        }
    }
}

/// The same field by the same hand is one change.
fn add_fields(object: &mut ObjectResult, before: &[DriftedField]) {
    for field in before {
        let is_same = |known: &DriftedField| (&known.field, &known.manager) == (&field.field, &field.manager);
        if object.drifted.len() < MOST_FIELDS && !object.drifted.iter().any(is_same) {
            object.drifted.push(field.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use c7n_link::messages::{ObjectKey, Outcome};

    use super::*;

    fn object(name: &str, outcome: Outcome, fields: &[(&str, &str, i64)]) -> ObjectResult {
        ObjectResult {
            key: ObjectKey {
                kind: "Service".into(),
                name: name.into(),
                ..ObjectKey::default()
            },
            outcome: outcome.into(),
            drifted: fields
                .iter()
                .map(|(field, manager, time_ms)| DriftedField {
                    field: (*field).into(),
                    manager: (*manager).into(),
                    time_ms: *time_ms,
                })
                .collect(),
            ..ObjectResult::default()
        }
    }

    fn report(commit: &str, objects: Vec<ObjectResult>) -> DeliveryReport {
        DeliveryReport {
            commit: commit.into(),
            objects,
            ..DeliveryReport::default()
        }
    }

    #[test]
    fn nothing_that_was_put_back_is_lost() {
        let untold = report(
            "a",
            vec![
                object("web", Outcome::Applied, &[(".spec.ports", "kubectl-edit", 1)]),
                object("db", Outcome::Applied, &[(".spec.type", "", 0)]),
                object("new", Outcome::Applied, &[]),
            ],
        );
        let mut now = report(
            "a",
            vec![object(
                "web",
                Outcome::Failed,
                &[(".spec.type", "kubectl-edit", 2)],
            )],
        );
        keep_drift(&mut now, &untold);
        assert_eq!(
            now.objects,
            [
                object(
                    "web",
                    Outcome::Failed,
                    &[
                        (".spec.type", "kubectl-edit", 2),
                        (".spec.ports", "kubectl-edit", 1)
                    ]
                ),
                object("db", Outcome::Applied, &[(".spec.type", "", 0)]),
            ],
            "what the newer one says of the delivery itself stays"
        );

        // Told twice it is the same.
        let once = now.clone();
        keep_drift(&mut now, &untold);
        assert_eq!(now, once);
    }

    #[test]
    fn the_newer_word_on_a_change_counts_and_another_commit_is_another_story() {
        let untold = report("a", vec![object("web", Outcome::Applied, &[(".a", "x", 1)])]);
        let mut now = report("a", vec![object("web", Outcome::Applied, &[(".a", "x", 2)])]);
        keep_drift(&mut now, &untold);
        assert_eq!(now.objects[0].drifted.len(), 1);
        assert_eq!(now.objects[0].drifted[0].time_ms, 2);

        let mut other = report("b", Vec::new());
        keep_drift(&mut other, &untold);
        assert!(other.objects.is_empty());
    }

    #[test]
    fn it_is_bounded() {
        let mut now = report("a", vec![object("web", Outcome::Applied, &[])]);
        for at in 0..1000 {
            let field = format!(".data.k{at}");
            keep_drift(
                &mut now,
                &report("a", vec![object("web", Outcome::Applied, &[(&field, "x", 1)])]),
            );
        }
        assert_eq!(now.objects[0].drifted.len(), MOST_FIELDS);
    }
}
