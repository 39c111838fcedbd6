//! The manifests of a repository at the head of its branch. Blocking.

use std::collections::BTreeMap;
use std::path::Path;

use c7n_git::{BlobId, CommitId, GitError, Repository};
use c7n_manifests::{FileError, Limits, Object, is_manifest_path, parse_file};

pub(super) type Outcome = Result<Vec<Object>, Vec<FileError>>;

/// More than any environment's manifests; few enough to hold while one operation is planned.
const MOST_BYTES: u64 = 128 << 20;

pub(super) struct Snapshot {
    pub repository: Repository,
    /// `None` before the first commit.
    pub head: Option<CommitId>,
    pub files: BTreeMap<String, BlobId>,
    pub manifests: BTreeMap<String, Manifest>,
}

pub(super) struct Manifest {
    pub bytes: Vec<u8>,
    pub outcome: Outcome,
}

impl Manifest {
    pub fn new(path: &str, bytes: Vec<u8>) -> Self {
        let outcome = parse_file(path, &bytes, &Limits::default());
        Self { bytes, outcome }
    }
}

impl Snapshot {
    pub fn read(path: &Path, branch: &str) -> Result<Self, GitError> {
        let repository = Repository::open(path)?;
        let head = repository.resolve(&format!("refs/heads/{branch}"))?;
        let files = match &head {
            Some(head) => repository.tree(head)?.files,
            None => BTreeMap::new(),
        };
        let limit = Limits::default().bytes as u64;
        let mut manifests = BTreeMap::new();
        let mut left = MOST_BYTES;
        for (path, blob) in files.iter().filter(|(path, _)| is_manifest_path(path)) {
            let bytes = match repository.read(blob, limit) {
                // Intake says so by name; here it is nobody's instance.
                Err(GitError::TooBig { .. }) => continue,
                outcome => outcome?,
            };
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| GitError::TooBig {
                    what: "all manifests of the repository together".to_owned(),
                    limit: MOST_BYTES,
                })?;
            manifests.insert(path.clone(), Manifest::new(path, bytes));
        }
        Ok(Self {
            repository,
            head,
            files,
            manifests,
        })
    }
}
