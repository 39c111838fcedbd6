//! All objects of an environment, folded into its instances.

use std::collections::BTreeMap;

use c7n_api::{HealthStatus, Instance, Instances, LiveObject, Vitals};

use super::attribute::{Family, is_release};
use super::root::{root, severity};
use crate::store::AppCharts;

/// The instances of an environment by name, and what belongs to none of them.
pub fn fold(objects: &[LiveObject], apps: &AppCharts) -> Instances {
    let family = Family::new(objects);
    let counts = counts(&family);
    let mut members: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (at, instance) in family.instances().into_iter().enumerate() {
        members.entry(instance).or_default().push(at);
    }
    let own = members.remove(&None).unwrap_or_default();
    Instances {
        environment: vitals(&family, &own, &counts),
        instances: members
            .into_iter()
            .filter_map(|(name, members)| Some(instance(&family, name?, &members, &counts, apps)))
            .collect(),
    }
}

pub(super) fn instance(
    family: &Family<'_>,
    name: &str,
    members: &[usize],
    counts: &[bool],
    apps: &AppCharts,
) -> Instance {
    let release = members
        .iter()
        .map(|at| &family.objects[*at])
        .find(|object| is_release(object));
    let column = |column: &str| release?.summary.get(column).map(String::as_str);
    let word = |name: &str| column(name).map(str::to_owned);
    let app = || apps.of(column("repository")?, column("chart")?);
    Instance {
        name: name.to_owned(),
        chart: word("chart"),
        version: word("version"),
        repository: word("repository"),
        app: app().map(str::to_owned),
        revision: word("revision").and_then(|revision| revision.parse().ok()),
        deployed: word("deployed"),
        phase: word("phase"),
        commit: word("commit").or_else(|| release?.commit.clone()),
        file: release.and_then(|release| release.file.clone()),
        revisions: word("revisions")
            .and_then(|revisions| serde_json::from_str(&revisions).ok())
            .unwrap_or_default(),
        vitals: vitals(family, members, counts),
    }
}

pub(super) fn vitals(family: &Family<'_>, members: &[usize], counts: &[bool]) -> Vitals {
    let objects = || members.iter().map(|at| &family.objects[*at]);
    let counted = members.iter().filter(|at| counts[**at]);
    let health = counted
        .map(|at| family.objects[*at].health)
        .max_by_key(|health| severity(*health))
        .unwrap_or(HealthStatus::Healthy);
    // A pod that has ended is none that should run.
    let pods = || {
        objects().filter(|object| {
            let phase = object.summary.get("phase").map(String::as_str);
            is_pod(object) && !matches!(phase, Some("Succeeded" | "Failed"))
        })
    };
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Vitals {
        health,
        cause: root(family, members, counts),
        objects: count(members.len()),
        pods_ready: count(pods().filter(|pod| pod.health == HealthStatus::Healthy).count()),
        pods: count(pods().count()),
    }
}

/// Whether an object matters for the health of what it belongs to. What is left over from the past does not: a failed pod whose
/// owner is well again, and of the jobs of one schedule all but the newest.
pub(super) fn counts(family: &Family<'_>) -> Vec<bool> {
    let of = |at: usize| &family.objects[at];
    let is_past = |at: usize| {
        let (object, Some(parent)) = (of(at), family.parents[at]) else {
            return false;
        };
        let owner = of(parent);
        if is_pod(object) {
            let failed = object.summary.get("phase").is_some_and(|phase| phase == "Failed");
            return failed && owner.health == HealthStatus::Healthy;
        }
        let age = |job: &LiveObject| (job.created_ms, job.name.clone());
        object.kind == "Job"
            && owner.kind == "CronJob"
            && family.children[parent]
                .iter()
                .map(|sibling| of(*sibling))
                .any(|sibling| sibling.kind == "Job" && age(sibling) > age(object))
    };
    let past: Vec<bool> = (0..family.objects.len()).map(is_past).collect();
    (0..family.objects.len())
        .map(|at| {
            let mut here = Some(at);
            for _ in 0..family.objects.len() {
                match here {
                    Some(it) if past[it] => return false,
                    Some(it) => here = family.parents[it],
                    None => break,
                }
            }
            true
        })
        .collect()
}

fn is_pod(object: &LiveObject) -> bool {
    object.group.is_empty() && object.kind == "Pod"
}
