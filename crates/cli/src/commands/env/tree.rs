//! Live objects as a tree by owner.

use std::collections::{BTreeMap, BTreeSet};

use c7n_api::LiveObject;

use crate::output::{age, dash, table, word};

/// Children stand below their first owner that is known; an object without one is a root. Order: kind, then name.
pub fn render(objects: &[LiveObject]) -> String {
    let known: BTreeSet<&str> = objects.iter().map(|object| object.uid.as_str()).collect();
    let mut children: BTreeMap<Option<&str>, Vec<&LiveObject>> = BTreeMap::new();
    for object in objects {
        let parent = object
            .owners
            .iter()
            .map(|owner| owner.uid.as_str())
            .find(|uid| known.contains(uid) && *uid != object.uid);
        children.entry(parent).or_default().push(object);
    }
    for siblings in children.values_mut() {
        siblings.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
    }
    let mut rows = Vec::new();
    let mut shown = BTreeSet::new();
    for root in children.get(&None).into_iter().flatten() {
        branch(root, "", "", &children, &mut shown, &mut rows);
    }
    // Owners that name each other would hide themselves: show them as roots.
    for object in objects {
        if !shown.contains(object.uid.as_str()) {
            branch(object, "", "", &children, &mut shown, &mut rows);
        }
    }
    table(&["OBJECT", "HEALTH", "DETAIL", "FILE", "AGE"], rows)
}

fn branch<'a>(
    object: &'a LiveObject,
    indent: &str,
    below: &str,
    children: &BTreeMap<Option<&str>, Vec<&'a LiveObject>>,
    shown: &mut BTreeSet<&'a str>,
    rows: &mut Vec<Vec<String>>,
) {
    if !shown.insert(&object.uid) {
        return;
    }
    rows.push(vec![
        format!("{indent}{} {}", object.kind, object.name),
        word(&object.health),
        detail(object),
        dash(object.file.as_deref()),
        age(object.created_ms),
    ]);
    let siblings: Vec<&LiveObject> = children
        .get(&Some(object.uid.as_str()))
        .into_iter()
        .flatten()
        .copied()
        .collect();
    for (index, child) in siblings.iter().enumerate() {
        let (here, further) = if index + 1 == siblings.len() {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        branch(
            child,
            &format!("{below}{here}"),
            &format!("{below}{further}"),
            children,
            shown,
            rows,
        );
    }
}

/// A longer text would push the columns behind it off the screen; `-o json` has all of it.
const WIDEST: usize = 90;

fn detail(object: &LiveObject) -> String {
    let text = whole_detail(object);
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn whole_detail(object: &LiveObject) -> String {
    let columns: Vec<String> = object
        .summary
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    match (&object.message, columns.is_empty()) {
        (Some(message), _) if !message.is_empty() => message.clone(),
        (_, true) => "-".to_owned(),
        _ => columns.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use c7n_api::{HealthStatus, Owner};

    fn object(kind: &str, name: &str, owner: Option<&str>) -> LiveObject {
        LiveObject {
            group: String::new(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: name.into(),
            uid: name.into(),
            health: HealthStatus::Healthy,
            message: None,
            cause: None,
            release: None,
            summary: BTreeMap::new(),
            owners: owner
                .map(|uid| Owner {
                    uid: uid.into(),
                    kind: "Any".into(),
                    name: uid.into(),
                })
                .into_iter()
                .collect(),
            managed: owner.is_none(),
            file: None,
            commit: None,
            created_ms: crate::output::now_ms(),
            seen_ms: 0,
        }
    }

    #[test]
    fn children_stand_below_their_owner() {
        let objects = [
            object("Pod", "web-1-a", Some("web-1")),
            object("ReplicaSet", "web-1", Some("web")),
            object("Pod", "web-1-b", Some("web-1")),
            object("Deployment", "web", None),
            object("Service", "web-service", None),
            object("Pod", "orphan", Some("not-known")),
        ];
        let text = render(&objects);
        let names: Vec<&str> = text
            .lines()
            .skip(1)
            .map(|line| line.split("  ").next().unwrap_or_default())
            .collect();
        assert_eq!(
            names,
            [
                "Deployment web",
                "└─ ReplicaSet web-1",
                "   ├─ Pod web-1-a",
                "   └─ Pod web-1-b",
                "Pod orphan",
                "Service web-service"
            ]
            .map(|line| line.split("  ").next().unwrap_or_default())
        );
    }

    #[test]
    fn owners_in_a_circle_are_shown_once_each() {
        let objects = [object("A", "one", Some("two")), object("B", "two", Some("one"))];
        assert_eq!(render(&objects).lines().count(), 3);
    }
}
