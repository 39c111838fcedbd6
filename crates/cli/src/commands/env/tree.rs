//! Live objects as a tree: by instance, then by owner.

use c7n_api::{Branch, LiveObject, ObjectTree, Vitals};

use crate::output::{age, dash, table, word};

const HEAD: [&str; 5] = ["OBJECT", "HEALTH", "DETAIL", "FILE", "AGE"];

/// Each object below the one that made it.
pub fn render(tree: &[Branch]) -> String {
    let mut rows = Vec::new();
    for branch in tree {
        add(branch, "", "", &mut rows);
    }
    table(&HEAD, rows)
}

/// The instances, and what belongs to none of them.
pub fn render_by_instance(all: &ObjectTree) -> String {
    let mut rows = Vec::new();
    for detail in &all.instances {
        let instance = &detail.instance;
        head(
            &format!("instance {}", instance.name),
            &instance.vitals,
            instance.file.as_deref(),
            &mut rows,
        );
        below(&detail.tree, "", &mut rows);
    }
    if !all.own.is_empty() {
        head("environment", &all.environment, None, &mut rows);
        below(&all.own, "", &mut rows);
    }
    table(&HEAD, rows)
}

fn head(name: &str, vitals: &Vitals, file: Option<&str>, rows: &mut Vec<Vec<String>>) {
    rows.push(vec![
        name.to_owned(),
        word(&vitals.health),
        narrow(dash(vitals.cause.as_ref().map(|cause| cause.text.as_str()))),
        dash(file),
        "-".to_owned(),
    ]);
}

fn add(branch: &Branch, indent: &str, further: &str, rows: &mut Vec<Vec<String>>) {
    let object = &branch.object;
    rows.push(vec![
        format!("{indent}{} {}", object.kind, object.name),
        word(&object.health),
        narrow(detail(object)),
        dash(object.file.as_deref()),
        age(object.created_ms),
    ]);
    below(&branch.owned, further, rows);
}

fn below(branches: &[Branch], indent: &str, rows: &mut Vec<Vec<String>>) {
    for (index, branch) in branches.iter().enumerate() {
        let (here, further) = if index + 1 == branches.len() {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        add(
            branch,
            &format!("{indent}{here}"),
            &format!("{indent}{further}"),
            rows,
        );
    }
}

/// A longer text would push the columns behind it off the screen; `-o json` has all of it.
const WIDEST: usize = 90;

fn narrow(text: String) -> String {
    match text.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn detail(object: &LiveObject) -> String {
    let filled = |text: &&str| !text.is_empty();
    // Below the sentence are the last words of a container.
    let cause = object.cause.as_deref().and_then(|cause| cause.lines().next());
    if let Some(text) = cause.filter(filled).or(object.message.as_deref().filter(filled)) {
        return text.to_owned();
    }
    let columns: Vec<String> = object
        .summary
        .iter()
        // Too long for one line: `c7n instance show` has them.
        .filter(|(name, _)| *name != "revisions")
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if columns.is_empty() {
        "-".to_owned()
    } else {
        columns.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::commands::instance::tests::instance;
    use c7n_api::{HealthStatus, InstanceDetail};

    fn branch(kind: &str, name: &str, owned: Vec<Branch>) -> Branch {
        let object = LiveObject {
            group: String::new(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: Some("shop".into()),
            name: name.into(),
            uid: name.into(),
            health: HealthStatus::Healthy,
            message: Some("fine".into()),
            cause: None,
            release: None,
            summary: BTreeMap::new(),
            owners: Vec::new(),
            managed: false,
            file: None,
            commit: None,
            created_ms: crate::output::now_ms(),
            seen_ms: 0,
        };
        Branch { object, owned }
    }

    #[test]
    fn objects_stand_below_their_instance_and_their_owner() {
        let mut pod = branch("Pod", "web-1-b", vec![]);
        pod.object.cause = Some("crashes\nits last words".into());
        let set = branch("ReplicaSet", "web-1", vec![branch("Pod", "web-1-a", vec![]), pod]);
        let tree = vec![branch(
            "C7NHelmRelease",
            "web",
            vec![
                branch("Deployment", "web", vec![set]),
                branch("Service", "web", vec![]),
            ],
        )];
        let detail = InstanceDetail {
            instance: instance("web", Some("Pod web-1-b: crashes")),
            tree,
        };
        let all = ObjectTree {
            environment: instance("", None).vitals,
            instances: vec![detail],
            own: vec![branch("ConfigMap", "settings", vec![])],
        };
        insta::assert_snapshot!(render_by_instance(&all));
    }
}
