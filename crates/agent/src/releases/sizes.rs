//! Which workloads a release has, and which sizes are to be remembered while it is stopped. Pure.
//!
//! A CronJob has the size 1, or 0 while it is suspended.

use kube::core::ApiResource;
use serde_json::Value;

use super::manifest::Made;
use super::status::Sizes;

/// The size that the API server gives where none is said.
const UNSAID: i64 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// The size that the chart sets, if it does.
    pub of_chart: Option<i64>,
}

impl Workload {
    pub fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    pub fn group(&self) -> &'static str {
        match self.kind.as_str() {
            "CronJob" => "batch",
            _ => "apps",
        }
    }

    pub fn resource(&self) -> ApiResource {
        ApiResource {
            group: self.group().into(),
            version: "v1".into(),
            api_version: format!("{}/v1", self.group()),
            kind: self.kind.clone(),
            plural: format!("{}s", self.kind.to_ascii_lowercase()),
        }
    }
}

/// A workload and the size that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sized {
    pub workload: Workload,
    pub size: i64,
}

pub fn workloads(made: &[Made]) -> Vec<Workload> {
    made.iter()
        .filter(|object| {
            matches!(
                (object.group.as_str(), object.kind.as_str()),
                ("apps", "Deployment" | "StatefulSet") | ("batch", "CronJob")
            )
        })
        .map(|object| Workload {
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            of_chart: chart_size(&object.kind, &object.value),
        })
        .collect()
}

/// What is said of a stopped release: an autoscaler whose target is at zero pauses by itself.
pub fn told(made: &[Made]) -> String {
    let autoscalers: Vec<String> = made
        .iter()
        .filter(|object| object.group == "autoscaling" && object.kind == "HorizontalPodAutoscaler")
        .map(Made::title)
        .collect();
    let mut text = "the release is stopped, as it is wanted".to_owned();
    if !autoscalers.is_empty() {
        text.push_str(&format!(
            "; {} pauses until it is started",
            autoscalers.join(", ")
        ));
    }
    text
}

fn chart_size(kind: &str, manifest: &Value) -> Option<i64> {
    match kind {
        "CronJob" => manifest["spec"]["suspend"].as_bool().map(|it| i64::from(!it)),
        _ => manifest["spec"]["replicas"].as_i64(),
    }
}

pub fn size_of(kind: &str, live: &Value) -> i64 {
    chart_size(kind, live).unwrap_or(UNSAID)
}

/// What was remembered counts: a workload that is at zero may be so because of an earlier half of this stop.
pub fn to_remember(known: Option<&Sizes>, live: &[Sized]) -> Sizes {
    let size = |it: &Sized| {
        let known = known.and_then(|sizes| sizes.get(&it.workload.title()));
        known.copied().unwrap_or(it.size)
    };
    live.iter().map(|it| (it.workload.title(), size(it))).collect()
}

/// What is to be remembered of a revision that was made while the release was stopped: what its chart asks for, and of
/// what it leaves open what was remembered before. What lives tells nothing: it was written with nothing of it running.
pub fn of_newer(known: &Sizes, live: &[Sized]) -> Sizes {
    let size = |workload: &Workload| {
        let known = known.get(&workload.title()).copied();
        workload.of_chart.or(known).unwrap_or(UNSAID)
    };
    live.iter()
        .map(|it| (it.workload.title(), size(&it.workload)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sized(kind: &str, name: &str, of_chart: Option<i64>, size: i64) -> Sized {
        Sized {
            workload: Workload {
                kind: kind.into(),
                namespace: "shop".into(),
                name: name.into(),
                of_chart,
            },
            size,
        }
    }

    fn sizes(of: &[(&str, i64)]) -> Sizes {
        of.iter()
            .map(|(name, size)| ((*name).to_owned(), *size))
            .collect()
    }

    #[test]
    fn the_first_stop_remembers_what_lives() {
        let live = [
            sized("Deployment", "web", Some(2), 7),
            sized("StatefulSet", "db", None, 3),
            sized("CronJob", "nightly", None, 1),
        ];
        assert_eq!(
            to_remember(None, &live),
            sizes(&[
                ("Deployment/web", 7),
                ("StatefulSet/db", 3),
                ("CronJob/nightly", 1)
            ])
        );
    }

    #[test]
    fn a_stop_that_was_broken_off_forgets_nothing() {
        let known = sizes(&[("Deployment/web", 7), ("Deployment/gone", 1)]);
        let live = [sized("Deployment", "web", Some(2), 0)];
        assert_eq!(to_remember(Some(&known), &live), sizes(&[("Deployment/web", 7)]));
    }

    #[test]
    fn an_upgrade_while_stopped_brings_its_new_sizes_and_new_workloads() {
        let known = sizes(&[
            ("Deployment/web", 7),
            ("Deployment/scaled", 4),
            ("Deployment/gone", 1),
        ]);
        let live = [
            sized("Deployment", "web", Some(5), 0),
            sized("Deployment", "scaled", None, 0),
            sized("Deployment", "new", Some(2), 0),
            sized("StatefulSet", "open", None, 0),
            sized("CronJob", "nightly", None, 0),
        ];
        assert_eq!(
            of_newer(&known, &live),
            sizes(&[
                ("Deployment/web", 5),
                ("Deployment/scaled", 4),
                ("Deployment/new", 2),
                ("StatefulSet/open", 1),
                ("CronJob/nightly", 1),
            ])
        );
    }

    #[test]
    fn an_autoscaler_is_noted() {
        let object = |group: &str, kind: &str| Made {
            group: group.into(),
            version: "v2".into(),
            kind: kind.into(),
            namespace: "shop".into(),
            name: "web".into(),
            value: json!({}),
        };
        let plain = [object("apps", "Deployment")];
        assert!(!told(&plain).contains("pauses"));
        let scaled = [
            object("apps", "Deployment"),
            object("autoscaling", "HorizontalPodAutoscaler"),
        ];
        assert!(told(&scaled).contains("HorizontalPodAutoscaler/web pauses"));
        assert_eq!(workloads(&scaled).len(), 1);
    }

    #[test]
    fn sizes_are_read_as_the_api_server_means_them() {
        assert_eq!(size_of("Deployment", &json!({ "spec": {} })), 1);
        assert_eq!(size_of("StatefulSet", &json!({ "spec": { "replicas": 0 } })), 0);
        assert_eq!(size_of("CronJob", &json!({ "spec": { "suspend": true } })), 0);
        assert_eq!(size_of("CronJob", &json!({ "spec": {} })), 1);
    }
}
