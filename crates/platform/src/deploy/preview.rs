//! What the edits would mean, judged as intake will judge them.

use std::collections::{BTreeMap, BTreeSet};

use c7n_api::ChangeRecord;
use c7n_manifests::{Confinement, FileError, Tree, assemble, compare, is_manifest_path};
use similar::TextDiff;

use super::DeployError;
use super::plan::Plan;
use super::snapshot::{Manifest, Outcome, Snapshot};
use crate::intake::{Scopes, record};
use crate::store::IntakeRow;

pub(super) struct Preview {
    pub changes: Vec<ChangeRecord>,
    /// Unified; empty when nothing changes.
    pub diff: String,
}

impl Preview {
    pub fn of(snapshot: &Snapshot, plan: &Plan, row: &IntakeRow, kinds: &str) -> Result<Self, DeployError> {
        let mut diff = String::new();
        let mut edited = BTreeMap::new();
        for edit in &plan.edits {
            snapshot
                .repository
                .check_path(snapshot.head.as_ref(), &edit.path)?;
            diff.push_str(&diff_of(snapshot, &edit.path, edit.content.as_deref()));
            edited.insert(edit.path.as_str(), edit.content.as_deref());
        }
        if diff.is_empty() {
            let changes = Vec::new();
            return Ok(Self { changes, diff });
        }
        let before = outcomes(snapshot);
        let mut after = before.clone();
        for (path, content) in &edited {
            match content {
                Some(content) if is_manifest_path(path) => {
                    after.insert((*path).to_owned(), Manifest::new(path, content.to_vec()).outcome);
                }
                _ => {
                    after.remove(*path);
                }
            }
        }
        let scopes = Scopes::parse(kinds);
        let (before, after) = (understand(before, row, &scopes), understand(after, row, &scopes));
        let known: BTreeSet<&FileError> = before.errors.iter().collect();
        // What was wrong before elsewhere is not for this operation to mend.
        let faults: Vec<FileError> = after
            .errors
            .iter()
            .filter(|error| edited.contains_key(error.file.as_str()) || !known.contains(error))
            .cloned()
            .collect();
        if !faults.is_empty() {
            return Err(DeployError::Files(faults));
        }
        let held = after.held_files();
        let changes = compare(&before.index(), &after.index(), &held);
        Ok(Self {
            changes: changes.into_iter().map(record).collect(),
            diff,
        })
    }
}

fn outcomes(snapshot: &Snapshot) -> BTreeMap<String, Outcome> {
    let manifests = snapshot.manifests.iter();
    manifests
        .map(|(path, manifest)| (path.clone(), manifest.outcome.clone()))
        .collect()
}

fn understand(files: BTreeMap<String, Outcome>, row: &IntakeRow, scopes: &Scopes) -> Tree {
    // A kind that cannot be read was refused when the project was made.
    let allowed = row
        .allowed_cluster_kinds
        .iter()
        .filter_map(|kind| kind.parse().ok());
    let confinement = Confinement::to(row.namespace.clone()).allowing(allowed);
    assemble(files, &confinement, &|kind| scopes.of(kind))
}

fn diff_of(snapshot: &Snapshot, path: &str, after: Option<&[u8]>) -> String {
    let before = match (snapshot.manifests.get(path), snapshot.files.get(path)) {
        (Some(manifest), _) => Some(manifest.bytes.clone()),
        (None, Some(blob)) => snapshot.repository.read(blob, 1 << 20).ok(),
        (None, None) => None,
    };
    if before.as_deref() == after {
        return String::new();
    }
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let name = |side: &str, there: bool| {
        if there {
            format!("{side}/{path}")
        } else {
            "/dev/null".to_owned()
        }
    };
    let (old, new) = (text(before.as_deref()), text(after));
    let diff = TextDiff::from_lines(&old, &new)
        .unified_diff()
        .context_radius(3)
        .header(&name("a", before.is_some()), &name("b", after.is_some()))
        .to_string();
    // An empty file that comes or goes has no lines to show.
    if diff.is_empty() {
        format!(
            "--- {}\n+++ {}\n",
            name("a", before.is_some()),
            name("b", after.is_some())
        )
    } else {
        diff
    }
}
