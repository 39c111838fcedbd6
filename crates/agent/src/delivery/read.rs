//! From a commit to the objects that it wants. Only files that changed since the last commit are read and parsed.

use std::collections::HashMap;
use std::sync::Arc;

use c7n_git::{CommitId, GitError, Refused, RefusedKind, Repository};
use c7n_manifests::{
    Confinement, ErrorCode, FileError, GroupKind, Limits, Object, Scope, Tree, assemble, builtin_scope,
    is_manifest_path, parse_file,
};

use crate::cluster::{self, KindName, Kinds};

/// What was read last: the objects, and the contents of the files that they came from.
#[derive(Default)]
pub struct Reader {
    tree: Tree,
    /// Files without errors, each with its content.
    files: HashMap<String, c7n_git::BlobId>,
    basis: Option<Basis>,
    /// Files that were parsed, ever.
    parsed: usize,
}

/// What the objects depend on beside the files.
struct Basis {
    commit: CommitId,
    confinement: Confinement,
    kinds: Arc<Kinds>,
}

impl Reader {
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    #[cfg(test)]
    pub fn parsed(&self) -> usize {
        self.parsed
    }

    /// Whether [`read`](Self::read) would find what is there already.
    pub fn is_at(&self, commit: &CommitId, confinement: &Confinement, kinds: &Arc<Kinds>) -> bool {
        self.basis.as_ref().is_some_and(|basis| {
            basis.commit == *commit && basis.confinement == *confinement && Arc::ptr_eq(&basis.kinds, kinds)
        })
    }

    /// Reads the commit. Blocks.
    pub fn read(
        &mut self,
        repository: &Repository,
        commit: &CommitId,
        confinement: Confinement,
        kinds: Arc<Kinds>,
    ) -> Result<(), GitError> {
        let listed = repository.tree(commit)?;
        self.basis = None;
        let mut known: HashMap<String, Vec<Object>> = HashMap::new();
        for object in std::mem::take(&mut self.tree).objects {
            known.entry(object.source.file.clone()).or_default().push(object);
        }
        let before = std::mem::take(&mut self.files);
        let limits = Limits::default();
        let mut files = Vec::new();
        for (path, blob) in listed.files.iter().filter(|(path, _)| is_manifest_path(path)) {
            let outcome = if before.get(path) == Some(blob) {
                Ok(known.remove(path).unwrap_or_default())
            } else {
                self.parsed += 1;
                match repository.read(blob, limits.bytes as u64) {
                    Ok(bytes) => parse_file(path, &bytes, &limits),
                    Err(GitError::TooBig { .. }) => Err(vec![too_big(path, limits.bytes)]),
                    Err(error) => return Err(error),
                }
            };
            files.push((path.clone(), outcome));
        }
        let scope = |kind: &GroupKind| scope_of(&kinds, kind);
        let mut tree = assemble(files, &confinement, &scope);
        tree.errors.extend(
            listed
                .refused
                .iter()
                .filter(|refused| is_meant(refused))
                .map(not_a_file),
        );
        tree.errors.sort();
        let held = tree.held_files();
        let good = |path: &str| is_manifest_path(path) && !held.contains(path);
        self.files = listed.files.into_iter().filter(|(path, _)| good(path)).collect();
        self.tree = tree;
        self.basis = Some(Basis {
            commit: *commit,
            confinement,
            kinds,
        });
        Ok(())
    }
}

pub fn scope_of(kinds: &Kinds, kind: &GroupKind) -> Option<Scope> {
    let info = kinds.preferred(&KindName::new(kind.group.clone(), kind.kind.clone()));
    match info.map(|info| info.scope) {
        Some(cluster::Scope::Namespaced) => Some(Scope::Namespaced),
        Some(cluster::Scope::Cluster) => Some(Scope::Cluster),
        None => builtin_scope(kind),
    }
}

/// What lies in a hidden folder is nobody's manifest; what has a dangerous name is told of wherever it is.
fn is_meant(refused: &Refused) -> bool {
    refused.kind == RefusedKind::BadPath || !refused.path.split('/').any(|part| part.starts_with('.'))
}

fn not_a_file(refused: &Refused) -> FileError {
    FileError {
        file: refused.path.clone(),
        line: 1,
        column: 1,
        code: ErrorCode::NotAFile,
        object: None,
        message: refused.kind.to_string(),
    }
}

fn too_big(path: &str, limit: usize) -> FileError {
    FileError {
        file: path.to_owned(),
        line: 1,
        column: 1,
        code: ErrorCode::Budget,
        object: None,
        message: format!("the file is larger than {} MiB; split it", limit >> 20),
    }
}

/// What the specification allows the environment to contain.
pub fn confinement(namespace: &str, allowed: &[String]) -> Confinement {
    Confinement {
        namespace: namespace.to_owned(),
        // What is no kind allows nothing.
        allowed_cluster_kinds: allowed.iter().filter_map(|kind| kind.parse().ok()).collect(),
    }
}
