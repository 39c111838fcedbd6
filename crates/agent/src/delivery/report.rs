//! What a pass says of itself: per file and per object, and whether it is worth another try. Pure.
//!
//! Objects that were as they should be are not listed; the rest of the commit is what they are.

use std::collections::BTreeMap;

use c7n_link::messages::{self, DeliveryReport, EnvironmentSpec, HeldPrune, ObjectResult, Outcome};
use c7n_manifests::{Action, DriftedField, FileError, Live, Object, ObjectId, Plan};
use k8s_openapi::jiff::Timestamp;

use super::apply::key_of;
use super::failure::Failure;
use super::{Converged, RetryNeed};

/// Deletions that wait are listed up to so many.
const HELD_SHOWN: usize = 200;

/// What is said of an object that went well has the form of what is said of one that did not.
type Remark = Failure;

/// What happened to the objects of one pass.
#[derive(Debug, Default)]
pub struct Results(BTreeMap<ObjectId, ObjectResult>);

impl Results {
    /// `drifted` is what somebody else had changed in an object that was repaired.
    pub fn applied(&mut self, object: &Object, action: Action, drifted: &[DriftedField]) {
        let remark = match action {
            Action::Create | Action::Update => None,
            Action::Adopt => Some(Remark::new(
                "adopted",
                "it was there already and belongs to the environment now",
            )),
            Action::Repair => Some(Remark::new(
                "repaired",
                "somebody else had changed it; it is again what the file says",
            )),
        };
        let mut result = wanted(object, Outcome::Applied, remark);
        result.drifted = drifted.iter().map(drifted_field).collect();
        self.put(result);
    }

    pub fn failed(&mut self, object: &Object, failure: Failure) {
        self.put(wanted(object, Outcome::Failed, Some(failure)));
    }

    pub fn pruned(&mut self, id: &ObjectId, live: Option<&Live>) {
        self.put(unwanted(id, live, Outcome::Pruned, None));
    }

    pub fn not_pruned(&mut self, id: &ObjectId, live: Option<&Live>, failure: Failure) {
        self.put(unwanted(id, live, Outcome::Failed, Some(failure)));
    }

    /// What the plan itself decided: refused, held, waiting.
    pub fn planned(&mut self, plan: &Plan, objects: &[Object], live: &[Live]) {
        for refused in &plan.refused {
            if let Some(object) = objects.get(refused.object) {
                let failure = Failure::new("not-ours", refused.reason.to_string());
                self.put(wanted(object, Outcome::Refused, Some(failure)));
            }
        }
        for object in objects.iter().filter(|object| plan.waiting.contains(&object.id)) {
            self.put(wanted(object, Outcome::Failed, Some(Failure::being_deleted())));
        }
        if let Some(held) = &plan.held {
            for id in held.objects.iter().take(HELD_SHOWN) {
                let live = live.iter().find(|live| live.id == *id);
                let failure = Failure::new("held", held.reason.to_string());
                self.put(unwanted(id, live, Outcome::Held, Some(failure)));
            }
        }
    }

    /// What an earlier attempt at the same commit did stays part of the story, where this one has nothing to add.
    pub fn continue_from(&mut self, before: &[ObjectResult]) {
        for result in before
            .iter()
            .filter(|it| matches!(it.outcome(), Outcome::Applied | Outcome::Pruned))
        {
            self.0.entry(id_of(result)).or_insert_with(|| result.clone());
        }
    }

    fn put(&mut self, result: ObjectResult) {
        self.0.insert(id_of(&result), result);
    }

    fn any(&self, outcome: Outcome) -> bool {
        self.0.values().any(|result| result.outcome() == outcome)
    }
}

fn id_of(result: &ObjectResult) -> ObjectId {
    let key = &result.key;
    ObjectId {
        group: key.group.clone(),
        kind: key.kind.clone(),
        namespace: (!key.namespace.is_empty()).then(|| key.namespace.clone()),
        name: key.name.clone(),
    }
}

fn wanted(object: &Object, outcome: Outcome, failure: Option<Failure>) -> ObjectResult {
    result(
        &object.id,
        object.source.file.clone(),
        object.source.line(),
        outcome,
        failure,
    )
}

fn unwanted(id: &ObjectId, live: Option<&Live>, outcome: Outcome, failure: Option<Failure>) -> ObjectResult {
    result(
        id,
        live.and_then(|live| live.source_file.clone()).unwrap_or_default(),
        0,
        outcome,
        failure,
    )
}

fn result(
    id: &ObjectId,
    file: String,
    line: u32,
    outcome: Outcome,
    failure: Option<Failure>,
) -> ObjectResult {
    let (code, message) = failure
        .map(|failure| (failure.code, failure.message))
        .unwrap_or_default();
    ObjectResult {
        key: key_of(id),
        file,
        line,
        outcome: outcome.into(),
        message,
        code: code.to_owned(),
        drifted: Vec::new(),
    }
}

fn drifted_field(drifted: &DriftedField) -> messages::DriftedField {
    let by = drifted.by.as_ref();
    messages::DriftedField {
        field: drifted.field.clone(),
        manager: by.map_or_else(String::new, |by| by.name.clone()),
        time_ms: by
            .and_then(|by| by.time.parse::<Timestamp>().ok())
            .map_or(0, Timestamp::as_millisecond),
    }
}

/// How a pass went as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    Through,
    /// It ended before its end; the text says why.
    BrokenOff(String),
}

/// Which pass.
pub struct Subject<'a> {
    pub spec: &'a EnvironmentSpec,
    pub commit: String,
    pub started_ms: i64,
    pub finished_ms: i64,
}

/// The report of one pass.
pub fn report(
    subject: Subject<'_>,
    errors: &[FileError],
    plan: Option<&Plan>,
    results: Results,
    course: Course,
) -> Converged {
    let Subject {
        spec,
        commit,
        started_ms,
        finished_ms,
    } = subject;
    let held = plan.and_then(|plan| plan.held.as_ref());
    let retry = match &course {
        Course::BrokenOff(_) => RetryNeed::Again,
        Course::Through if results.any(Outcome::Failed) => RetryNeed::Again,
        Course::Through if results.any(Outcome::Refused) || held.is_some() || !errors.is_empty() => {
            RetryNeed::Waits
        }
        Course::Through => RetryNeed::Complete,
    };
    let report = DeliveryReport {
        environment_id: spec.environment_id.clone(),
        commit,
        started_ms,
        finished_ms,
        objects: results.0.into_values().collect(),
        file_errors: errors.iter().map(file_error).collect(),
        held: held.map(|held| HeldPrune {
            count: u32::try_from(held.count).unwrap_or(u32::MAX),
            total: u32::try_from(held.total).unwrap_or(u32::MAX),
            objects: held
                .objects
                .iter()
                .take(HELD_SHOWN)
                .map(ToString::to_string)
                .collect(),
        }),
        generation: spec.generation,
        message: match course {
            Course::BrokenOff(text) => text,
            Course::Through => String::new(),
        },
        ..DeliveryReport::default()
    };
    Converged { report, retry }
}

fn file_error(error: &FileError) -> messages::FileError {
    messages::FileError {
        file: error.file.clone(),
        line: error.line,
        column: error.column,
        code: error.code.as_str().to_owned(),
        object: error.object.clone().unwrap_or_default(),
        message: error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use c7n_manifests::{Confinement, Limits, assemble, builtin_scope, parse_file};

    use super::*;

    fn objects() -> Vec<Object> {
        let file = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n";
        let parsed = parse_file("dir/two.yaml", file, &Limits::default());
        assemble(
            [("dir/two.yaml".to_owned(), parsed)],
            &Confinement::to("shop"),
            &builtin_scope,
        )
        .objects
    }

    fn told(results: Results, errors: &[FileError], course: Course) -> Converged {
        let spec = EnvironmentSpec {
            environment_id: "e1".into(),
            generation: 7,
            ..EnvironmentSpec::default()
        };
        let subject = Subject {
            spec: &spec,
            commit: "c".into(),
            started_ms: 1,
            finished_ms: 2,
        };
        report(subject, errors, None, results, course)
    }

    #[test]
    fn each_object_is_told_with_its_place() {
        let objects = objects();
        let mut results = Results::default();
        results.applied(&objects[0], Action::Create, &[]);
        results.failed(&objects[1], Failure::new("invalid", "no"));
        let converged = told(results, &[], Course::Through);
        let [a, b] = &converged.report.objects[..] else {
            panic!()
        };
        assert_eq!(
            (a.file.as_str(), a.line, a.outcome()),
            ("dir/two.yaml", 1, Outcome::Applied)
        );
        assert_eq!(
            (b.line, b.code.as_str(), b.outcome()),
            (5, "invalid", Outcome::Failed)
        );
        assert_eq!(
            (converged.report.generation, converged.retry),
            (7, RetryNeed::Again)
        );
    }

    #[test]
    fn only_a_pass_without_any_trouble_is_complete() {
        let file = parse_file("x.yaml", b"kind: [", &Limits::default()).unwrap_err();
        assert_eq!(
            told(Results::default(), &[], Course::Through).retry,
            RetryNeed::Complete
        );
        assert_eq!(
            told(Results::default(), &file, Course::Through).retry,
            RetryNeed::Waits
        );
        let broken = told(Results::default(), &[], Course::BrokenOff("no".into()));
        assert_eq!(
            (broken.retry, broken.report.message.as_str()),
            (RetryNeed::Again, "no")
        );
    }

    #[test]
    fn what_an_earlier_attempt_applied_stays_told_and_what_failed_does_not() {
        let objects = objects();
        let mut first = Results::default();
        first.applied(&objects[0], Action::Create, &[]);
        first.failed(&objects[1], Failure::new("invalid", "no"));
        let first = told(first, &[], Course::Through).report.objects;
        let mut second = Results::default();
        second.applied(&objects[1], Action::Create, &[]);
        second.continue_from(&first);
        let converged = told(second, &[], Course::Through);
        assert_eq!(converged.retry, RetryNeed::Complete);
        assert_eq!(converged.report.objects.len(), 2);
    }
}
