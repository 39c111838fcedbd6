//! The definition of `C7NHelmRelease`, and how it gets into the cluster.
//!
//! [`definition`] is the one truth; the agent's chart carries the same as a file, which a test holds to it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::cluster::{ClusterError, deadline};

pub const GROUP: &str = "choerodon.io";
pub const VERSION: &str = "v1alpha1";
pub const KIND: &str = "C7NHelmRelease";
pub const PLURAL: &str = "c7nhelmreleases";
/// What keeps the object until its release is uninstalled.
pub const FINALIZER: &str = "choerodon.io/release";
/// Of everything that this controller writes itself. What Helm writes is Helm's.
pub const FIELD_MANAGER: &str = "c7n-agent-releases";

/// How the object is reached.
pub fn resource() -> ApiResource {
    ApiResource {
        group: GROUP.into(),
        version: VERSION.into(),
        api_version: format!("{GROUP}/{VERSION}"),
        kind: KIND.into(),
        plural: PLURAL.into(),
    }
}

/// Writes the definition into the cluster. `Err` with 403: an administrator has to.
pub async fn install(client: &Client) -> Result<(), ClusterError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("{PLURAL}.{GROUP}");
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let definition = definition();
    let patch = Patch::Apply(&definition);
    deadline(
        "the definition of C7NHelmRelease",
        definitions.patch(&name, &params, &patch),
    )
    .await
    .map(drop)
}

/// The CustomResourceDefinition, as it is applied.
pub fn definition() -> Value {
    let column = |name: &str, kind: &str, path: &str, about: &str| json!({ "name": name, "type": kind, "jsonPath": path, "description": about });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{PLURAL}.{GROUP}") },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": "C7NHelmReleaseList",
                "plural": PLURAL,
                "singular": "c7nhelmrelease",
                "shortNames": ["c7nhr"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": [
                    column("Phase", "string", ".status.phase", "What is going on with the release"),
                    column("Chart", "string", ".status.chart", "Chart of the deployed revision"),
                    column("Revision", "integer", ".status.revision", "Deployed revision, as in `helm history`"),
                    column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status", "Whether the release is as it is wanted"),
                    column("Age", "date", ".metadata.creationTimestamp", "Since when the object exists"),
                ],
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "description": "One Helm release: its name and namespace are those of this object.",
                    "required": ["spec"],
                    "x-kubernetes-validations": [{
                        "rule": "size(self.metadata.name) <= 53",
                        "message": "the name of a Helm release has at most 53 characters; choose a shorter metadata.name",
                    }],
                    "properties": {
                        "apiVersion": { "type": "string" },
                        "kind": { "type": "string" },
                        "metadata": { "type": "object" },
                        "spec": spec_schema(),
                        "status": status_schema(),
                    },
                }},
            }],
        },
    })
}

fn spec_schema() -> Value {
    let text = |about: &str| json!({ "type": "string", "minLength": 1, "description": about });
    json!({
        "type": "object",
        "description": "What is wanted.",
        "required": ["chartName", "chartVersion", "repoUrl"],
        "properties": {
            "chartName": text("Name of the chart in its repository."),
            "chartVersion": text("Version of the chart, exactly."),
            "repoUrl": {
                "type": "string",
                "pattern": "^(https?|oci)://[^\\s]+$",
                "description": "http(s):// address of a chart repository, or oci://HOST/PATH; the chart is then PATH/chartName.",
            },
            "values": { "type": "string", "description": "Values for the chart, as YAML." },
            "repoSecret": text("Secret in the same namespace with the credentials for the repository: `username` and `password`, `token`, or `.dockerconfigjson`."),
            "stopped": { "type": "boolean", "description": "Scales the release's workloads to zero and remembers their sizes." },
            "keepHistory": { "type": "boolean", "description": "Keeps Helm's history when this object is deleted, as `helm uninstall --keep-history`." },
            "timeoutSeconds": {
                "type": "integer", "format": "int64", "minimum": 1, "maximum": 86400,
                "description": "How long one Helm operation may take; 300 if absent.",
            },
            "onFailure": {
                "type": "string", "enum": ["Keep", "RollBack"],
                "description": "What becomes of an upgrade that fails: it stays as it is to be looked at (Keep, the default), or the revision before comes back (RollBack).",
            },
            "drift": {
                "type": "string", "enum": ["Repair", "Report"],
                "description": "What becomes of objects of the release that somebody changes or deletes: put back (Repair, the default), or only told (Report).",
            },
            "provenance": {
                "type": "object",
                "description": "Asks for a valid signature of the chart.",
                "required": ["keySecret"],
                "properties": { "keySecret": text("Secret in the same namespace whose key `keyring` holds the public keys.") },
            },
        },
    })
}

fn status_schema() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let number = |about: &str| json!({ "type": "integer", "format": "int64", "description": about });
    json!({
        "type": "object",
        "description": "What is. Written by the agent.",
        "properties": {
            "phase": text("Pending, Installing, Upgrading, RollingBack, Stopping, Starting, Uninstalling, Deployed, Stopped or Failed."),
            "revision": number("The deployed revision, as in `helm history`."),
            "chart": text("NAME-VERSION of the deployed revision's chart."),
            "chartDigest": text("SHA-256 of the chart's archive, as it was fetched."),
            "commit": text("Commit that the deployed revision is from."),
            "observedGeneration": number("metadata.generation that this status speaks of."),
            "observedDigest": text("Digest of the spec that the deployed revision is made of."),
            "lastError": text("What went wrong last, in words; empty when nothing is wrong."),
            "conditions": {
                "type": "array",
                "description": "Ready, Released, Drifted, Reconciling, Stalled.",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object",
                    "required": ["type", "status", "reason", "message", "lastTransitionTime"],
                    "properties": {
                        "type": { "type": "string" },
                        "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                        "reason": { "type": "string" },
                        "message": { "type": "string" },
                        "lastTransitionTime": { "type": "string", "format": "date-time" },
                        "observedGeneration": { "type": "integer", "format": "int64" },
                    },
                },
            },
            "stoppedReplicas": {
                "type": "object",
                "description": "Sizes that start gives back, by KIND/NAME; of a CronJob 1 if it was not suspended.",
                "additionalProperties": { "type": "integer", "format": "int64" },
            },
            "stoppedRevision": number("The revision whose sizes stoppedReplicas holds."),
            "history": {
                "type": "array",
                "description": "The revisions that Helm keeps, oldest first.",
                "items": {
                    "type": "object",
                    "required": ["revision"],
                    "properties": {
                        "revision": number("As in `helm history`."),
                        "commit": text("Commit that it was made from; absent of one that was made by hand, or failed."),
                        "chart": text("NAME-VERSION of its chart."),
                        "time": { "type": "string", "format": "date-time", "description": "When it was made." },
                    },
                },
            },
            "hooks": {
                "type": "array",
                "description": "The hooks of the last operation that had any.",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string" },
                        "kind": { "type": "string" },
                        "event": { "type": "string" },
                        "phase": { "type": "string" },
                        "message": { "type": "string" },
                        "log": text("The last lines that it wrote."),
                    },
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HEAD: &str = "# Made from crates/agent/src/releases/crd.rs: change it there, and run\n\
                        # `C7N_WRITE=1 cargo test -p c7n-agent crd`.\n";

    #[test]
    fn the_agents_chart_carries_this_definition() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../charts/choerodon-cluster-agent/crds/c7nhelmreleases.yaml");
        let wanted = format!("{HEAD}{}", serde_saphyr::to_string(&definition()).unwrap());
        if std::env::var_os("C7N_WRITE").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(found, wanted, "write it anew with C7N_WRITE=1");
        let read =
            c7n_manifests::yaml_to_json("crd", found.as_bytes(), &c7n_manifests::Limits::default()).unwrap();
        assert_eq!(read, [definition()], "the file says what the code says");
    }

    #[test]
    fn every_field_is_described_and_the_four_original_ones_suffice() {
        let schema = &definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let spec = &schema["properties"]["spec"];
        for (name, field) in spec["properties"].as_object().unwrap() {
            assert!(field["description"].is_string(), "{name}");
        }
        let required: Vec<&str> = spec["required"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_str().unwrap())
            .collect();
        assert_eq!(required, ["chartName", "chartVersion", "repoUrl"]);
    }
}
