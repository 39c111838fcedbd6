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
    /// Files that were parsed, ever: for tests.
    #[cfg(test)]
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
                #[cfg(test)]
                {
                    self.parsed += 1;
                }
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    struct Copy {
        folder: tempfile::TempDir,
        reader: Reader,
    }

    impl Copy {
        fn new() -> Self {
            let copy = Self {
                folder: tempfile::tempdir().unwrap(),
                reader: Reader::default(),
            };
            copy.git(&["init", "--quiet"]);
            copy
        }

        fn git(&self, arguments: &[&str]) -> String {
            let output = Command::new("git")
                .args(arguments)
                .current_dir(self.folder.path())
                .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
                .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@b.c")])
                .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@b.c")])
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        }

        fn path(&self, file: &str) -> std::path::PathBuf {
            self.folder.path().join(Path::new(file))
        }

        fn write(&self, file: &str, text: &str) {
            std::fs::write(self.path(file), text).unwrap();
        }

        /// Commits and reads; tells how many files were parsed for it.
        fn read(&mut self) -> usize {
            self.git(&["add", "--all"]);
            self.git(&["commit", "--quiet", "--message", "x"]);
            let commit = self.git(&["rev-parse", "HEAD"]).parse().unwrap();
            let repository = Repository::open(self.path(".git")).unwrap();
            let before = self.reader.parsed;
            let kinds = Arc::new(Kinds::default());
            self.reader
                .read(&repository, &commit, confinement("shop", &[]), kinds.clone())
                .unwrap();
            assert!(!self.reader.is_at(&commit, &confinement("other", &[]), &kinds));
            assert!(self.reader.is_at(&commit, &confinement("shop", &[]), &kinds));
            self.reader.parsed - before
        }

        fn objects(&self) -> Vec<String> {
            self.reader
                .tree()
                .objects
                .iter()
                .map(|object| object.id.to_string())
                .collect()
        }

        fn errors(&self) -> Vec<(String, ErrorCode)> {
            self.reader
                .tree()
                .errors
                .iter()
                .map(|error| (error.file.clone(), error.code))
                .collect()
        }
    }

    fn config_map(name: &str, value: &str) -> String {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: \"{value}\"}}\n")
    }

    #[test]
    fn only_changed_files_are_parsed_and_the_rest_is_as_before() {
        let mut copy = Copy::new();
        for name in ["a", "b", "c"] {
            copy.write(&format!("{name}.yaml"), &config_map(name, "1"));
        }
        copy.write("README.md", "not a manifest");
        assert_eq!(copy.read(), 3);
        copy.write("b.yaml", &config_map("b", "2"));
        assert_eq!(copy.read(), 1);
        assert_eq!(
            copy.objects(),
            ["ConfigMap shop/a", "ConfigMap shop/b", "ConfigMap shop/c"]
        );
        assert_eq!(copy.reader.tree().objects[1].value["data"]["key"], "2");
        std::fs::rename(copy.path("c.yaml"), copy.path("d.yaml")).unwrap();
        assert_eq!(copy.read(), 1);
        assert_eq!(copy.reader.tree().objects[2].source.file, "d.yaml");
    }

    #[test]
    fn a_quarrel_between_two_files_ends_when_one_gives_way() {
        let mut copy = Copy::new();
        copy.write("a.yaml", &config_map("same", "1"));
        copy.write("b.yaml", &config_map("same", "2"));
        copy.read();
        let both = ["a.yaml", "b.yaml"].map(|file| (file.to_owned(), ErrorCode::DuplicateObject));
        assert_eq!(copy.errors(), both);
        copy.write("b.yaml", &config_map("other", "2"));
        copy.read();
        assert_eq!(copy.errors(), []);
        assert_eq!(copy.objects(), ["ConfigMap shop/same", "ConfigMap shop/other"]);
    }

    #[test]
    fn links_are_refused_with_their_path_and_what_is_hidden_is_not_read() {
        let mut copy = Copy::new();
        std::os::unix::fs::symlink("/etc/passwd", copy.path("link.yaml")).unwrap();
        std::fs::create_dir(copy.path(".ci")).unwrap();
        std::os::unix::fs::symlink("x", copy.path(".ci/link.yaml")).unwrap();
        copy.write(".ci/a.yaml", &config_map("a", "1"));
        assert_eq!(copy.read(), 0);
        assert_eq!(copy.errors(), [("link.yaml".to_owned(), ErrorCode::NotAFile)]);
    }
}
