//! Volumes and claims.

use serde_json::Value;

use super::Health;

pub(super) fn claim(object: &Value) -> Health {
    match object["status"]["phase"].as_str() {
        Some("Bound") => Health::healthy(),
        Some("Lost") => Health::degraded("its volume is lost"),
        _ => Health::progressing("waits for a volume"),
    }
}

pub(super) fn volume(object: &Value) -> Health {
    let status = &object["status"];
    match status["phase"].as_str() {
        Some("Available" | "Bound") => Health::healthy(),
        Some("Released") => Health {
            message: "released by its claim".to_owned(),
            ..Health::healthy()
        },
        Some("Failed") => {
            let text = super::conditions::explain(status);
            Health::degraded(if text.is_empty() {
                "could not be reclaimed".to_owned()
            } else {
                text
            })
        }
        _ => Health::progressing("waits to become available"),
    }
}
