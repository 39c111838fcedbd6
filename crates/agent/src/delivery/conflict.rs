//! Fields that somebody else owns: who, which, and whether Git may take them back. Pure.
//!
//! Never by default. Taken back is only what the manifest that was applied last had set, because then Git owned it and
//! somebody took it by hand; not from an autoscaler, and not for ever (fault 11: no apply war).

use std::collections::HashMap;
use std::time::Duration;

use c7n_manifests::ObjectId;
use kube::core::Status;
use serde_json::Value;
use tokio::time::Instant;

/// A manager that takes a field again so often within [`WAR`] is no accident.
const TAKEN_BACK: usize = 3;
const WAR: Duration = Duration::from_secs(600);

/// One field that another manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// `.spec.replicas`, as the API server writes it.
    pub field: String,
    pub manager: String,
    pub subresource: Option<String>,
}

/// The conflicts that an apply was refused for; none if it was refused for something else.
pub fn conflicts(status: &Status) -> Vec<Conflict> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| Conflict {
            field: cause.field.clone(),
            manager: quoted(&cause.message, "conflict with ")
                .unwrap_or("another manager")
                .to_owned(),
            subresource: quoted(&cause.message, "with subresource ").map(str::to_owned),
        })
        .collect()
}

/// The text in quotation marks behind `before`.
fn quoted<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1.strip_prefix('"')?;
    Some(rest.split_once('"')?.0)
}

/// For people: fields, owners, and what to do.
pub fn words(conflicts: &[Conflict]) -> String {
    const SHOWN: usize = 5;
    let mut shown: Vec<String> = conflicts
        .iter()
        .take(SHOWN)
        .map(|conflict| match &conflict.subresource {
            Some(subresource) => format!("{} by \"{}\" ({subresource})", conflict.field, conflict.manager),
            None => format!("{} by \"{}\"", conflict.field, conflict.manager),
        })
        .collect();
    if conflicts.len() > SHOWN {
        shown.push(format!("and {} more", conflicts.len() - SHOWN));
    }
    format!(
        "owned by another manager: {}; leave these fields out of the file, or let that manager give them up",
        shown.join(", ")
    )
}

/// Whether Git owned all these fields before, and took none of them back too often.
pub fn may_take_back(conflicts: &[Conflict], applied_before: &Value, taken_back: usize) -> bool {
    taken_back < TAKEN_BACK
        && conflicts
            .iter()
            .all(|conflict| !is_autoscaler(conflict) && sets(applied_before, &conflict.field))
}

/// `kubectl scale` is a hand; whatever else writes through `scale` does it on somebody's standing order.
fn is_autoscaler(conflict: &Conflict) -> bool {
    conflict.subresource.as_deref() == Some("scale") && !conflict.manager.starts_with("kubectl")
}

/// Whether the manifest sets the field, whose path is one of structured-merge-diff: `.spec.ports[port=80].name`.
pub fn sets(manifest: &Value, path: &str) -> bool {
    let text = path
        .strip_prefix(".data.")
        .filter(|_| manifest["kind"] == "Secret");
    follow(manifest, path) || text.is_some_and(|key| manifest["stringData"].get(key).is_some())
}

fn follow(value: &Value, path: &str) -> bool {
    if path.is_empty() {
        return true;
    }
    if let Some(rest) = path.strip_prefix('.') {
        // Keys may themselves contain dots, so every key is tried that the path may mean.
        let Some(map) = value.as_object() else {
            return false;
        };
        return map.iter().any(|(key, below)| {
            rest.strip_prefix(key.as_str())
                .is_some_and(|rest| (rest.is_empty() || rest.starts_with(['.', '['])) && follow(below, rest))
        });
    }
    let Some((selector, rest)) = path.strip_prefix('[').and_then(split_selector) else {
        return false;
    };
    let Some(items) = value.as_array() else {
        return false;
    };
    if let Ok(index) = selector.parse::<usize>() {
        return items.get(index).is_some_and(|item| follow(item, rest));
    }
    items
        .iter()
        .any(|item| selects(selector, item) && follow(item, rest))
}

/// Splits at the bracket that closes, which is not one inside quotation marks.
fn split_selector(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// `name="web"`, `containerPort=80,protocol="TCP"`, or `="value"` for the item itself.
fn selects(selector: &str, item: &Value) -> bool {
    if let Some(value) = selector.strip_prefix('=') {
        return serde_json::from_str::<Value>(value).is_ok_and(|value| value == *item);
    }
    let mut rest = selector;
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return false;
        };
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else {
            return false;
        };
        // Keys that the manifest leaves out were filled in by defaults.
        if item.get(key).is_some_and(|own| *own != value) {
            return false;
        }
        rest = after[values.byte_offset()..].trim_start_matches(',');
    }
    true
}

/// How often fields were taken back of late.
#[derive(Debug, Default)]
pub struct TakenBack(HashMap<ObjectId, Vec<Instant>>);

impl TakenBack {
    /// As often as this within ten minutes is no accident, and then it is left.
    pub const PEACE: usize = TAKEN_BACK;

    pub fn count(&mut self, id: &ObjectId, now: Instant) -> usize {
        let Some(times) = self.0.get_mut(id) else { return 0 };
        times.retain(|time| now.duration_since(*time) < WAR);
        let count = times.len();
        if count == 0 {
            self.0.remove(id);
        }
        count
    }

    pub fn note(&mut self, id: &ObjectId, now: Instant) {
        self.0.entry(id.clone()).or_default().push(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Status {
        serde_json::from_value(json!({
            "code": 409, "reason": "Conflict", "message": "Apply failed with 2 conflicts",
            "details": {"causes": [
                {"reason": "FieldManagerConflict", "field": ".spec.replicas",
                 "message": "conflict with \"kube-controller-manager\" with subresource \"scale\" using apps/v1"},
                {"reason": "FieldManagerConflict", "field": ".spec.template.spec.containers[name=\"web\"].image",
                 "message": "conflict with \"kubectl-edit\" using apps/v1"},
            ]},
        }))
        .unwrap()
    }

    fn manifest() -> Value {
        json!({
            "kind": "Deployment",
            "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"replicas": 2, "template": {"spec": {"containers": [
                {"name": "web", "image": "a", "ports": [{"containerPort": 80}], "args": ["--x]"]},
            ]}}},
        })
    }

    #[test]
    fn field_and_manager_are_named() {
        let found = conflicts(&status());
        assert_eq!(found[0].subresource.as_deref(), Some("scale"));
        let words = words(&found);
        assert!(
            words.contains(".spec.replicas by \"kube-controller-manager\" (scale)"),
            "{words}"
        );
        assert!(words.contains("image by \"kubectl-edit\""), "{words}");
    }

    #[test]
    fn an_autoscaler_keeps_what_it_has_and_a_hand_does_not() {
        let found = conflicts(&status());
        assert!(!may_take_back(&found, &manifest(), 0));
        assert!(may_take_back(&found[1..], &manifest(), 0));
        assert!(
            !may_take_back(&found[1..], &json!({"spec": {}}), 0),
            "Git never set it"
        );
        assert!(!may_take_back(&found[1..], &manifest(), TAKEN_BACK), "no war");
    }

    #[test]
    fn paths_find_what_the_manifest_sets() {
        let container = ".spec.template.spec.containers[name=\"web\"]";
        for path in [
            ".spec.replicas".to_owned(),
            ".metadata.labels.app.kubernetes.io/name".to_owned(),
            format!("{container}.ports[containerPort=80,protocol=\"TCP\"].containerPort"),
            format!("{container}.args[=\"--x]\"]"),
            format!("{container}.args[0]"),
        ] {
            assert!(sets(&manifest(), &path), "{path}");
        }
        for path in [
            ".spec.paused".to_owned(),
            ".spec.repl".to_owned(),
            ".metadata.labels.app".to_owned(),
            ".spec.template.spec.containers[name=\"db\"].image".to_owned(),
            format!("{container}.ports[containerPort=81].name"),
            "garbage[".to_owned(),
        ] {
            assert!(!sets(&manifest(), &path), "{path}");
        }
        assert!(sets(
            &json!({"kind": "Secret", "stringData": {"a.b": "x"}}),
            ".data.a.b"
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_long_ago_is_forgotten() {
        let id: ObjectId = "ConfigMap shop/a".parse().unwrap();
        let mut taken = TakenBack::default();
        taken.note(&id, Instant::now());
        assert_eq!(taken.count(&id, Instant::now()), 1);
        tokio::time::advance(WAR).await;
        assert_eq!(taken.count(&id, Instant::now()), 0);
        assert!(taken.0.is_empty());
    }
}
