//! What an agent says, in the words of the API. Pure.

use c7n_api::{
    Delivery, DriftedField, EnvironmentError, ErrorSource, HealthStatus, HeldDeletions, LiveObject,
    ObjectResult, Outcome, Owner,
};
use c7n_link::messages::{self, DeliveryReport, Health, ObjectState};

/// A report on a delivery, taken apart.
pub struct Report {
    pub delivery: Delivery,
    pub held: Option<HeldDeletions>,
    pub failed_objects: u32,
    pub errors: Vec<EnvironmentError>,
}

pub fn report(report: &DeliveryReport) -> Report {
    let objects: Vec<ObjectResult> = report.objects.iter().map(object_result).collect();
    let failed = |result: &&ObjectResult| matches!(result.outcome, Outcome::Failed | Outcome::Refused);
    let mut errors: Vec<EnvironmentError> = report
        .objects
        .iter()
        .zip(&objects)
        .filter(|(_, result)| failed(result))
        .map(|(said, result)| EnvironmentError {
            source: ErrorSource::Delivery,
            commit: report.commit.clone(),
            file: result.file.clone().unwrap_or_default(),
            line: result.line.unwrap_or(1),
            column: None,
            code: if said.code.is_empty() {
                "refused".to_owned()
            } else {
                said.code.clone()
            },
            object: Some(name(&said.key)),
            message: result.message.clone().unwrap_or_default(),
        })
        .collect();
    errors.extend(report.file_errors.iter().map(|error| EnvironmentError {
        source: ErrorSource::Delivery,
        commit: report.commit.clone(),
        file: error.file.clone(),
        line: error.line,
        column: Some(error.column),
        code: error.code.clone(),
        object: filled(&error.object).map(str::to_owned),
        message: error.message.clone(),
    }));
    let held = report.held.as_ref().map(|held| HeldDeletions {
        commit: report.commit.clone(),
        count: held.count,
        total: held.total,
        objects: held.objects.clone(),
    });
    let failed_objects = u32::try_from(objects.iter().filter(failed).count()).unwrap_or(u32::MAX);
    let delivery = Delivery {
        commit: report.commit.clone(),
        started_ms: report.started_ms,
        finished_ms: (report.finished_ms != 0).then_some(report.finished_ms),
        attempt: report.attempt,
        objects,
    };
    Report {
        delivery,
        held,
        failed_objects,
        errors,
    }
}

fn object_result(said: &messages::ObjectResult) -> ObjectResult {
    ObjectResult {
        group: said.key.group.clone(),
        kind: said.key.kind.clone(),
        namespace: filled(&said.key.namespace).map(str::to_owned),
        name: said.key.name.clone(),
        file: filled(&said.file).map(str::to_owned),
        line: (said.line > 0).then_some(said.line),
        outcome: match said.outcome() {
            messages::Outcome::Applied => Outcome::Applied,
            messages::Outcome::Unchanged => Outcome::Unchanged,
            messages::Outcome::Pruned => Outcome::Pruned,
            messages::Outcome::Failed | messages::Outcome::Unspecified => Outcome::Failed,
            messages::Outcome::Held => Outcome::Held,
            messages::Outcome::Refused => Outcome::Refused,
        },
        message: filled(&said.message).map(str::to_owned),
        drifted: said
            .drifted
            .iter()
            .map(|drifted| DriftedField {
                field: drifted.field.clone(),
                manager: filled(&drifted.manager).map(str::to_owned),
                time_ms: (drifted.time_ms > 0).then_some(drifted.time_ms),
            })
            .collect(),
    }
}

pub fn live_object(state: &ObjectState, seen_ms: i64) -> LiveObject {
    LiveObject {
        group: state.key.group.clone(),
        version: state.version.clone(),
        kind: state.key.kind.clone(),
        namespace: filled(&state.key.namespace).map(str::to_owned),
        name: state.key.name.clone(),
        uid: state.uid.clone(),
        health: match state.health() {
            Health::Unknown => HealthStatus::Unknown,
            Health::Healthy => HealthStatus::Healthy,
            Health::Progressing => HealthStatus::Progressing,
            Health::Degraded => HealthStatus::Degraded,
            Health::Suspended => HealthStatus::Suspended,
            Health::Missing => HealthStatus::Missing,
        },
        message: filled(&state.message).map(str::to_owned),
        cause: filled(&state.cause).map(str::to_owned),
        release: filled(&state.release).map(str::to_owned),
        summary: state.summary.clone(),
        owners: state
            .owners
            .iter()
            .map(|owner| Owner {
                uid: owner.uid.clone(),
                kind: owner.kind.clone(),
                name: owner.name.clone(),
            })
            .collect(),
        managed: state.managed,
        file: filled(&state.file).map(str::to_owned),
        commit: filled(&state.commit).map(str::to_owned),
        created_ms: state.created_ms,
        seen_ms,
    }
}

fn name(key: &messages::ObjectKey) -> String {
    match key.group.as_str() {
        "" => format!("{} {}", key.kind, key.name),
        group => format!("{group}/{} {}", key.kind, key.name),
    }
}

pub fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
