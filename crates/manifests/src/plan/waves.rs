//! The order of writes: what others need comes first.

use crate::identity::GroupKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wave {
    /// Namespaces and CustomResourceDefinitions: nothing of their kind can exist before them.
    Foundations,
    /// What workloads read or run as.
    Configuration,
    /// Services and workloads.
    Workloads,
    /// What points at workloads, and custom resources.
    Rest,
}

pub fn wave_of(kind: &GroupKind) -> Wave {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") | ("apiextensions.k8s.io", "CustomResourceDefinition") => Wave::Foundations,
        (
            "",
            "ServiceAccount"
            | "ConfigMap"
            | "Secret"
            | "PersistentVolume"
            | "PersistentVolumeClaim"
            | "LimitRange"
            | "ResourceQuota",
        )
        | ("rbac.authorization.k8s.io" | "scheduling.k8s.io" | "node.k8s.io", _)
        | ("storage.k8s.io", "StorageClass" | "CSIDriver" | "VolumeAttributesClass")
        | ("networking.k8s.io", "NetworkPolicy" | "IngressClass") => Wave::Configuration,
        ("", "Service" | "Endpoints" | "Pod" | "PodTemplate" | "ReplicationController")
        | ("apps" | "batch" | "discovery.k8s.io", _) => Wave::Workloads,
        _ => Wave::Rest,
    }
}
