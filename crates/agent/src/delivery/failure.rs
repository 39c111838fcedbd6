//! Why an object was not written or deleted, for people and for programs. Pure.
//!
//! The API server likes to quote what it refuses. What it says about a Secret is therefore never repeated: only the
//! fields that it names are (CVE-2025-23216).

use c7n_manifests::ObjectId;
use kube::core::Status;

use super::conflict::{Conflict, words};
use crate::cluster::KindName;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable, for programs.
    pub code: &'static str,
    pub message: String,
}

/// Words of webhooks can be of any length.
const LONGEST: usize = 2_000;

impl Failure {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(end);
            message.push('…');
        }
        Self { code, message }
    }

    pub fn unknown_kind(kind: &KindName, api_version: &str, served: &[String]) -> Self {
        if served.is_empty() {
            return Self::new(
                "unknown-kind",
                format!(
                    "no kind \"{}\" in group \"{api_version}\" on this cluster; apply its CustomResourceDefinition first \
                     or correct the apiVersion",
                    kind.kind
                ),
            );
        }
        Self::new(
            "unknown-version",
            format!(
                "this cluster does not serve {} as {api_version}; write one of {}",
                kind.kind,
                served.join(", ")
            ),
        )
    }

    pub fn conflict(conflicts: &[Conflict]) -> Self {
        Self::new("conflict", words(conflicts))
    }

    pub fn timeout(seconds: u64) -> Self {
        Self::new(
            "timeout",
            format!("the API server did not answer within {seconds} s; it is tried again"),
        )
    }

    pub fn being_deleted() -> Self {
        Self::new(
            "being-deleted",
            "the object is still being deleted; it is made anew when it is gone",
        )
    }

    /// What the API server answered.
    pub fn refused(id: &ObjectId, status: &Status) -> Self {
        let code = code(status);
        if is_secret(id) {
            return Self::new(code, secret_words(status));
        }
        let said = if status.message.is_empty() {
            &status.reason
        } else {
            &status.message
        };
        let next = match code {
            "forbidden" => {
                "; give the agent's service account this permission, or take the object out of the repository"
            }
            "unavailable" | "webhook-unavailable" => "; it is tried again",
            "namespace-missing" => "; it is made anew before the next attempt",
            "too-large" => "; make the object smaller",
            _ => "",
        };
        Self::new(code, format!("{said}{next}"))
    }

    /// No answer, or none that can be read. `text` comes from the connection and quotes no object.
    pub fn unreachable(text: &str) -> Self {
        Self::new(
            "unavailable",
            format!("the API server cannot be reached: {text}; it is tried again"),
        )
    }
}

fn code(status: &Status) -> &'static str {
    let webhook =
        status.message.contains("admission webhook") || status.message.contains("failed calling webhook");
    match status.code {
        404 if is_namespace_missing(status) => "namespace-missing",
        404 => "not-found",
        409 => "changed-meanwhile",
        413 => "too-large",
        422 => "invalid",
        400 | 403 if webhook || status.message.contains("ValidatingAdmissionPolicy") => "denied",
        401 | 403 => "forbidden",
        400 | 415 => "invalid",
        429 | 503 | 504 => "unavailable",
        500 if webhook => "webhook-unavailable",
        // A field of the wrong type or one that the schema does not have: the API server calls that its own fault.
        500 if status.message.contains("typed patch object") => "invalid",
        500.. => "unavailable",
        _ => "refused",
    }
}

fn is_namespace_missing(status: &Status) -> bool {
    let kind = status
        .details
        .as_ref()
        .map_or("", |details| details.kind.as_str());
    kind == "namespaces" || status.message.starts_with("namespaces \"")
}

/// Any group: what calls itself a Secret is treated as one.
pub fn is_secret(id: &ObjectId) -> bool {
    id.kind == "Secret"
}

fn secret_words(status: &Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<&str> = causes
        .map(|cause| cause.field.as_str())
        .filter(|field| is_plain_path(field))
        .collect();
    let place = if fields.is_empty() {
        String::new()
    } else {
        format!(" because of {}", fields.join(", "))
    };
    let reason = if is_plain_path(&status.reason) && !status.reason.is_empty() {
        &status.reason
    } else {
        "an error"
    };
    format!(
        "the API server refused the Secret with {reason} ({}){place}; its words are left out, because they may quote values",
        status.code
    )
}

/// A path of keys, without anything that could be a value.
fn is_plain_path(text: &str) -> bool {
    text.len() <= 200
        && text
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || "._-[]/".contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(value: serde_json::Value) -> Status {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn words_about_a_secret_quote_no_value() {
        let id: ObjectId = "Secret shop/db".parse().unwrap();
        for (code, message) in [
            (
                422,
                "Secret \"db\" is invalid: data[password]: Invalid value: \"canary\": must be base64",
            ),
            (
                400,
                "failed to create typed patch object: .data.password: expected string, got &value{canary}",
            ),
            (500, "admission webhook \"x\" denied the request: canary"),
        ] {
            let told = Failure::refused(
                &id,
                &status(
                    json!({"code": code, "reason": "Invalid", "message": message, "details": {"causes": [
                        {"field": "data[password]", "reason": "FieldValueInvalid", "message": "Invalid value: canary"},
                        {"field": "canary value", "reason": "x", "message": "y"},
                    ]}}),
                ),
            );
            assert!(!told.message.contains("canary"), "{}", told.message);
            assert!(told.message.contains("data[password]"), "{}", told.message);
        }
    }

    #[test]
    fn every_answer_has_a_code_and_says_what_to_do() {
        let id: ObjectId = "ConfigMap shop/a".parse().unwrap();
        for (code, message, expected) in [
            (422, "ConfigMap \"a\" is invalid", "invalid"),
            (403, "configmaps is forbidden", "forbidden"),
            (400, "admission webhook \"w\" denied the request: no", "denied"),
            (500, "failed calling webhook \"w\"", "webhook-unavailable"),
            (429, "too many requests", "unavailable"),
            (
                500,
                "failed to create typed patch object (shop/a): .spec.size: expected integer",
                "invalid",
            ),
            (404, "namespaces \"shop\" not found", "namespace-missing"),
        ] {
            let told = Failure::refused(&id, &status(json!({"code": code, "message": message})));
            assert_eq!(told.code, expected, "{message}");
            assert!(told.message.starts_with(message), "{}", told.message);
        }
    }

    #[test]
    fn an_unknown_kind_is_told_as_the_contract_says() {
        let kind = KindName::new("bar.io", "Foo");
        assert_eq!(
            Failure::unknown_kind(&kind, "bar.io/v1", &[]).message,
            "no kind \"Foo\" in group \"bar.io/v1\" on this cluster; apply its CustomResourceDefinition first or correct \
             the apiVersion"
        );
        let told = Failure::unknown_kind(&kind, "bar.io/v1", &["bar.io/v2".into()]);
        assert!(
            told.message.contains("write one of bar.io/v2"),
            "{}",
            told.message
        );
    }

    #[test]
    fn long_words_are_cut() {
        assert!(Failure::new("x", "é".repeat(5_000)).message.chars().count() <= LONGEST + 1);
    }
}
