//! Keeps an environment's objects in its namespace, before any call to a cluster is made (CVE-2021-41254).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    applyset::APPLYSET_PARENT,
    error::{ErrorCode, FileError},
    identity::GroupKind,
    parse::{Object, Position},
};

/// Whether objects of a kind live in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    Namespaced,
    Cluster,
}

/// What an environment may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    pub namespace: String,
    /// Cluster-scoped kinds that the project allows.
    pub allowed_cluster_kinds: BTreeSet<GroupKind>,
}

impl Confinement {
    /// One namespace and nothing outside it.
    pub fn to(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            allowed_cluster_kinds: BTreeSet::new(),
        }
    }

    pub fn allowing(mut self, kinds: impl IntoIterator<Item = GroupKind>) -> Self {
        self.allowed_cluster_kinds.extend(kinds);
        self
    }
}

/// Confines a set of objects. `scope` is asked first (an agent's discovery, or [`builtin_scope`]), then the CustomResourceDefinitions
/// among the objects, then the built-in table; a kind that nobody knows is taken for namespaced, where it can do least.
///
/// Fills in `metadata.namespace` where it is absent, and takes it out of cluster-scoped objects, as the API server does.
pub fn confine(
    objects: Vec<Object>,
    confinement: &Confinement,
    scope: &dyn Fn(&GroupKind) -> Option<Scope>,
) -> Result<Vec<Object>, Vec<FileError>> {
    let defined = crd_scopes(&objects);
    let mut kept = Vec::with_capacity(objects.len());
    let mut errors = Vec::new();
    for object in objects {
        match confine_one(object, confinement, scope, &defined) {
            Ok(object) => kept.push(object),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(kept) } else { Err(errors) }
}

/// The scopes that CustomResourceDefinitions among these objects declare.
pub fn crd_scopes<'a>(objects: impl IntoIterator<Item = &'a Object>) -> BTreeMap<GroupKind, Scope> {
    objects
        .into_iter()
        .filter(|object| {
            object.id.kind == "CustomResourceDefinition" && object.id.group == "apiextensions.k8s.io"
        })
        .filter_map(|crd| {
            let spec = &crd.value["spec"];
            let kind = GroupKind::new(spec["group"].as_str()?, spec["names"]["kind"].as_str()?);
            let scope = match spec["scope"].as_str()? {
                "Namespaced" => Scope::Namespaced,
                "Cluster" => Scope::Cluster,
                _ => return None,
            };
            Some((kind, scope))
        })
        .collect()
}

pub(crate) fn confine_one(
    mut object: Object,
    confinement: &Confinement,
    scope: &dyn Fn(&GroupKind) -> Option<Scope>,
    defined: &BTreeMap<GroupKind, Scope>,
) -> Result<Object, FileError> {
    match scope_within(&object, confinement, scope, defined)? {
        Scope::Namespaced => {
            let own = &confinement.namespace;
            set_namespace(&mut object.value, Some(own));
            object.id.namespace = Some(own.clone());
        }
        Scope::Cluster => {
            set_namespace(&mut object.value, None);
            object.id.namespace = None;
        }
    }
    Ok(object)
}

/// Where the object lives, if the environment may have it.
pub(crate) fn scope_within(
    object: &Object,
    confinement: &Confinement,
    scope: &dyn Fn(&GroupKind) -> Option<Scope>,
    defined: &BTreeMap<GroupKind, Scope>,
) -> Result<Scope, FileError> {
    let kind = object.id.group_kind();
    let scope = scope(&kind)
        .or_else(|| defined.get(&kind).copied())
        .or_else(|| builtin_scope(&kind))
        .unwrap_or(Scope::Namespaced);
    let own = &confinement.namespace;
    match scope {
        Scope::Namespaced => {
            if let Some(foreign) = object.id.namespace.as_ref().filter(|namespace| *namespace != own) {
                let message = format!(
                    "the object is for namespace `{foreign}`, and this environment may write to `{own}` only; \
                     remove metadata.namespace or set it to `{own}`"
                );
                let at = object.source.namespace_at.unwrap_or(object.source.at);
                return Err(finding(object, at, ErrorCode::ForeignNamespace, message));
            }
            if (kind.group.as_str(), kind.kind.as_str(), object.id.name.as_str())
                == ("", "Secret", APPLYSET_PARENT)
            {
                let message = format!(
                    "the Secret `{APPLYSET_PARENT}` is where the agent keeps what belongs to this environment; \
                     give yours another name"
                );
                return Err(finding(
                    object,
                    object.source.at,
                    ErrorCode::ReservedName,
                    message,
                ));
            }
        }
        Scope::Cluster => {
            if !confinement.allowed_cluster_kinds.contains(&kind) {
                let message = format!(
                    "{kind} is cluster-scoped, and this environment may write to namespace `{own}` only; \
                     move the object out of the environment, or have an administrator allow `{kind}` for the project"
                );
                return Err(finding(
                    object,
                    object.source.at,
                    ErrorCode::ClusterScoped,
                    message,
                ));
            }
        }
    }
    Ok(scope)
}

fn set_namespace(value: &mut Value, namespace: Option<&str>) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    match namespace {
        Some(namespace) => metadata.insert("namespace".to_owned(), namespace.into()),
        None => metadata.remove("namespace"),
    };
}

fn finding(object: &Object, at: Position, code: ErrorCode, message: String) -> FileError {
    FileError {
        file: object.source.file.clone(),
        line: at.line,
        column: at.column,
        code,
        object: Some(object.id.to_string()),
        message,
    }
}

/// The scope of the kinds that Kubernetes itself serves.
pub fn builtin_scope(kind: &GroupKind) -> Option<Scope> {
    let cluster: &[&str] = match kind.group.as_str() {
        "" => &["Namespace", "Node", "PersistentVolume", "ComponentStatus"],
        "admissionregistration.k8s.io" => &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
        "apiextensions.k8s.io" => &["CustomResourceDefinition"],
        "apiregistration.k8s.io" => &["APIService"],
        "authentication.k8s.io" => &["SelfSubjectReview", "TokenReview"],
        "authorization.k8s.io" => &[
            "SelfSubjectAccessReview",
            "SelfSubjectRulesReview",
            "SubjectAccessReview",
        ],
        "certificates.k8s.io" => &["CertificateSigningRequest", "ClusterTrustBundle"],
        "flowcontrol.apiserver.k8s.io" => &["FlowSchema", "PriorityLevelConfiguration"],
        "internal.apiserver.k8s.io" => &["StorageVersion"],
        "networking.k8s.io" => &["IngressClass", "IPAddress", "ServiceCIDR"],
        "node.k8s.io" => &["RuntimeClass"],
        "rbac.authorization.k8s.io" => &["ClusterRole", "ClusterRoleBinding"],
        "resource.k8s.io" => &["DeviceClass", "DeviceTaintRule", "ResourceSlice"],
        "scheduling.k8s.io" => &["PriorityClass"],
        "storage.k8s.io" => &[
            "CSIDriver",
            "CSINode",
            "StorageClass",
            "VolumeAttachment",
            "VolumeAttributesClass",
        ],
        "storagemigration.k8s.io" => &["StorageVersionMigration"],
        "apps"
        | "autoscaling"
        | "batch"
        | "coordination.k8s.io"
        | "discovery.k8s.io"
        | "events.k8s.io"
        | "policy" => &[],
        _ => return None,
    };
    Some(if cluster.contains(&kind.kind.as_str()) {
        Scope::Cluster
    } else {
        Scope::Namespaced
    })
}
