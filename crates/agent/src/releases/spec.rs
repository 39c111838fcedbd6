//! What a `C7NHelmRelease` asks for, read from the object as the API server has it. Pure.

use std::time::Duration;

use c7n_helm::SpecDigest;
use c7n_manifests::{Limits, ManifestDigest, yaml_to_json};
use serde::Deserialize;
use serde_json::{Value, json};

/// One Helm operation may take this long if the object does not say otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// Nobody waits longer for one operation.
const LONGEST_TIMEOUT: u64 = 24 * 3600;

/// The wish of one object. No `Debug`: values may hold passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Wish {
    pub chart_name: String,
    pub chart_version: String,
    pub repo_url: String,
    /// YAML, as it was written.
    pub values: String,
    pub repo_secret: Option<String>,
    pub running: Running,
    pub on_delete: OnDelete,
    pub timeout: Duration,
    pub on_failure: OnFailure,
    pub drift: DriftPolicy,
    /// The Secret that holds the keyring.
    pub keyring_secret: Option<String>,
    /// Of everything that a revision is made of.
    pub digest: SpecDigest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    Started,
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    ForgetHistory,
    KeepHistory,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum OnFailure {
    #[default]
    Keep,
    RollBack,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum DriftPolicy {
    #[default]
    Repair,
    Report,
}

/// The object cannot be acted on; only a change of it helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    #[error("spec cannot be read: {0}; see `kubectl explain c7nhelmrelease.spec`")]
    Shape(String),
    #[error("spec.{0} is empty; give it a value")]
    Empty(&'static str),
    #[error("spec.values, line {line}: {message}")]
    Values { line: u32, message: String },
    #[error("spec.values must be a mapping (`key: value` lines), as a chart's values.yaml is")]
    NoMapping,
    #[error("spec.values holds more than one YAML document; leave one")]
    ManyDocuments,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    chart_name: String,
    #[serde(default)]
    chart_version: String,
    #[serde(default)]
    repo_url: String,
    #[serde(default)]
    values: Option<String>,
    #[serde(default)]
    repo_secret: Option<String>,
    #[serde(default)]
    stopped: Option<bool>,
    #[serde(default)]
    keep_history: Option<bool>,
    #[serde(default)]
    timeout_seconds: Option<u64>,
    #[serde(default)]
    on_failure: Option<OnFailure>,
    #[serde(default)]
    drift: Option<DriftPolicy>,
    #[serde(default)]
    provenance: Option<Signed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    key_secret: String,
}

impl Wish {
    /// Reads `spec`.
    pub fn read(spec: &Value) -> Result<Self, SpecError> {
        // Words of serde name fields and kinds; a text that it quotes could be a value, and is cut off.
        let shape = |cause: serde_json::Error| {
            let text = cause.to_string();
            SpecError::Shape(text.split(':').next().unwrap_or_default().to_owned())
        };
        let written: Written = serde_json::from_value(spec.clone()).map_err(shape)?;
        for (name, text) in [
            ("chartName", &written.chart_name),
            ("chartVersion", &written.chart_version),
            ("repoUrl", &written.repo_url),
        ] {
            if text.trim().is_empty() {
                return Err(SpecError::Empty(name));
            }
        }
        let values = written.values.unwrap_or_default();
        let parsed = parse_values(&values)?;
        let keyring_secret = written.provenance.map(|signed| signed.key_secret);
        let mut made_of = json!({
            "chartName": written.chart_name,
            "chartVersion": written.chart_version,
            "repoUrl": written.repo_url,
            "values": parsed,
        });
        if let (Some(secret), Some(map)) = (&keyring_secret, made_of.as_object_mut()) {
            map.insert("keySecret".into(), secret.as_str().into());
        }
        let seconds = written
            .timeout_seconds
            .map(|seconds| seconds.clamp(1, LONGEST_TIMEOUT));
        Ok(Self {
            digest: SpecDigest::of(ManifestDigest::of(&made_of).to_string()),
            chart_name: written.chart_name,
            chart_version: written.chart_version,
            repo_url: written.repo_url,
            values,
            repo_secret: written.repo_secret.filter(|name| !name.is_empty()),
            running: match written.stopped {
                Some(true) => Running::Stopped,
                _ => Running::Started,
            },
            on_delete: match written.keep_history {
                Some(true) => OnDelete::KeepHistory,
                _ => OnDelete::ForgetHistory,
            },
            timeout: seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
            on_failure: written.on_failure.unwrap_or_default(),
            drift: written.drift.unwrap_or_default(),
            keyring_secret,
        })
    }

    /// What an attempt depends on: other credentials make no other revision, and are tried at once all the same.
    pub fn attempt(&self) -> SpecDigest {
        match &self.repo_secret {
            None => self.digest.clone(),
            Some(secret) => SpecDigest::of(format!("{} {secret}", self.digest)),
        }
    }

    /// `NAME-VERSION`, as Helm calls a chart.
    pub fn chart(&self) -> String {
        format!("{}-{}", self.chart_name, self.chart_version)
    }
}

/// As JSON, so that comments and order make no new revision.
fn parse_values(text: &str) -> Result<Value, SpecError> {
    let documents = yaml_to_json("values", text.as_bytes(), &Limits::default()).map_err(|mut errors| {
        let first = (!errors.is_empty()).then(|| errors.swap_remove(0));
        first.map_or(SpecError::NoMapping, |error| SpecError::Values {
            line: error.line,
            message: error.message,
        })
    })?;
    let mut documents = documents.into_iter().filter(|document| !document.is_null());
    let first = documents.next();
    if documents.next().is_some() {
        return Err(SpecError::ManyDocuments);
    }
    match first {
        None => Ok(json!({})),
        Some(Value::Object(map)) => Ok(Value::Object(map)),
        Some(_) => Err(SpecError::NoMapping),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(more: Value) -> Value {
        let mut spec =
            json!({ "chartName": "web", "chartVersion": "1.2.0", "repoUrl": "https://charts.example.com" });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        spec
    }

    fn read(more: Value) -> Wish {
        Wish::read(&spec(more)).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn additions_default_to_nothing() {
        let wish = read(json!({}));
        assert_eq!(wish.running, Running::Started);
        assert_eq!(wish.on_delete, OnDelete::ForgetHistory);
        assert_eq!(wish.timeout, DEFAULT_TIMEOUT);
        assert_eq!(wish.on_failure, OnFailure::Keep);
        assert_eq!(wish.drift, DriftPolicy::Repair);
        assert_eq!(wish.chart(), "web-1.2.0");
    }

    #[test]
    fn the_digest_is_of_what_a_revision_is_made_of_and_of_nothing_else() {
        let digest = |more| read(more).digest;
        let plain = digest(json!({ "values": "a: 1\nb: 2\n" }));

        for same in [
            json!({ "values": "# said otherwise\nb: 2\na: 1" }),
            json!({ "values": "{a: 1, b: 2}", "stopped": true, "keepHistory": true, "timeoutSeconds": 5 }),
            json!({ "values": "{a: 1, b: 2}", "onFailure": "RollBack", "drift": "Report", "repoSecret": "pull" }),
        ] {
            assert_eq!(digest(same.clone()), plain, "{same}");
        }
        for other in [
            json!({ "values": "a: 1\nb: 3\n" }),
            json!({ "values": "{a: 1, b: 2}", "chartVersion": "1.2.1" }),
            json!({ "values": "{a: 1, b: 2}", "chartName": "other" }),
            json!({ "values": "{a: 1, b: 2}", "provenance": { "keySecret": "keys" } }),
        ] {
            assert_ne!(digest(other.clone()), plain, "{other}");
        }
        assert_eq!(digest(json!({})), digest(json!({ "values": "# nothing\n" })));
    }

    #[test]
    fn what_cannot_be_acted_on_is_told_with_its_place() {
        let error = |more| match Wish::read(&spec(more)) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("it was read"),
        };
        assert!(error(json!({ "chartName": " " })).contains("chartName"));
        assert!(error(json!({ "values": "a: 1\nb: [" })).contains("line"));
        assert!(error(json!({ "values": "- a" })).contains("mapping"));
        assert!(error(json!({ "values": "a: 1\n---\nb: 1" })).contains("one YAML document"));
        assert!(!error(json!({ "timeoutSeconds": "canary" })).contains("canary"));
    }

    #[test]
    fn deadlines_are_kept_within_reason() {
        assert_eq!(
            read(json!({ "timeoutSeconds": 0 })).timeout,
            Duration::from_secs(1)
        );
        assert_eq!(
            read(json!({ "timeoutSeconds": 999_999_999_u64 })).timeout,
            Duration::from_secs(LONGEST_TIMEOUT)
        );
    }
}
