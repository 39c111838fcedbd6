//! How a live object is doing, read from its own status, by the rules of kstatus (`sigs.k8s.io/cli-utils/pkg/kstatus`).
//!
//! In comes the object as the API server gives it, `null` when it is not there; out goes one of six words and a sentence. No clock:
//! where kstatus waits some seconds before it calls a thing failed, the thing is called so at once and recovers by itself.

mod batch;
pub(crate) mod conditions;
mod generic;
mod network;
mod pod;
mod release;
mod storage;
mod system;
mod workloads;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: HealthStatus,
    /// For a person; empty when there is nothing to say.
    pub message: String,
}

/// From well to bad, so that the health of many is the greatest of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthStatus {
    Healthy,
    /// Not running because someone said so.
    Suspended,
    Progressing,
    Unknown,
    Missing,
    Degraded,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Unknown => "Unknown",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
        })
    }
}

impl Health {
    pub fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    fn healthy() -> Self {
        Self::new(HealthStatus::Healthy, "")
    }

    fn progressing(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Progressing, message)
    }

    fn degraded(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, message)
    }

    fn suspended(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Suspended, message)
    }
}

/// `Value::Null` is [`HealthStatus::Missing`].
pub fn health(object: &Value) -> Health {
    if object.is_null() {
        return Health::new(HealthStatus::Missing, "not in the cluster");
    }
    let (Some(api_version), Some(kind)) = (object["apiVersion"].as_str(), object["kind"].as_str()) else {
        return Health::new(HealthStatus::Unknown, "has no kind");
    };
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return being_deleted(object);
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("apps", "Deployment") => workloads::deployment(object),
        ("apps", "StatefulSet") => workloads::stateful_set(object),
        ("apps", "DaemonSet") => workloads::daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workloads::replica_set(object),
        ("", "Pod") => pod::pod(object),
        ("batch", "Job") => batch::job(object),
        ("batch", "CronJob") => batch::cron_job(object),
        ("", "Service") => network::service(object),
        ("networking.k8s.io", "Ingress") => network::ingress(object),
        ("", "PersistentVolumeClaim") => storage::claim(object),
        ("", "PersistentVolume") => storage::volume(object),
        ("", "Namespace") => system::namespace(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => system::definition(object),
        ("apiregistration.k8s.io", "APIService") => system::api_service(object),
        ("autoscaling", "HorizontalPodAutoscaler") => system::autoscaler(object),
        ("policy", "PodDisruptionBudget") => system::disruption_budget(object),
        ("choerodon.io", "C7NHelmRelease") => release::release(object),
        _ => generic::generic(object),
    }
}

fn being_deleted(object: &Value) -> Health {
    let finalizers: Vec<&str> = object["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if finalizers.is_empty() {
        Health::progressing("being deleted")
    } else {
        Health::progressing(format!("being deleted; waits for {}", finalizers.join(", ")))
    }
}
