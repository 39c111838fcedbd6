//! A bare repository on disk, read within this process.
//!
//! The functions block: call them inside `spawn_blocking` where the work is big.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{BlobId, CommitId, GitError, Result};

/// Objects decoded from packs are kept up to this size per call, so that a tree is not unpacked twice.
const OBJECT_CACHE: usize = 4 << 20;

/// Cheap to clone; may be used from any thread.
#[derive(Clone)]
pub struct Repository {
    pub(crate) inner: Arc<gix::ThreadSafeRepository>,
    path: Arc<Path>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Repository").field(&self.path).finish()
    }
}

impl Repository {
    /// Makes an empty bare repository whose first branch is `branch` (`main`), or opens the one that is there.
    ///
    /// It holds no templates and no hooks; it appears under its name only when it is whole.
    pub fn init_bare(path: impl AsRef<Path>, branch: &str) -> Result<Self> {
        let path = path.as_ref();
        if path.join("HEAD").exists() {
            return Self::open(path);
        }
        let head = format!("refs/heads/{branch}");
        check_reference(&head)?;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let fail = || GitError::io(format!("making the repository {}", path.display()));
        fs::create_dir_all(parent).map_err(fail())?;
        let draft = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(parent)
            .map_err(fail())?;
        for folder in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
            fs::create_dir_all(draft.path().join(folder)).map_err(fail())?;
        }
        fs::write(
            draft.path().join("config"),
            "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n",
        )
        .map_err(fail())?;
        fs::write(draft.path().join("HEAD"), format!("ref: {head}\n")).map_err(fail())?;
        match fs::rename(draft.path(), path) {
            Ok(()) => {
                // The folder has moved away: there is nothing left for the guard to delete.
                let _ = draft.keep();
            }
            Err(_) if path.join("HEAD").exists() => {} // somebody else was quicker
            Err(error) => return Err(fail()(error)),
        }
        Self::open(path)
    }

    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bad = |reason: String| GitError::BadRepository {
            path: path.to_owned(),
            reason,
        };
        let options = gix::open::Options::isolated()
            .open_path_as_is(true)
            // Whoever runs c7n chose this folder; nothing in its configuration is executed by gix.
            .with(gix::sec::Trust::Full);
        let inner = options.open(path).map_err(|error| bad(error.to_string()))?;
        if inner.to_thread_local().object_hash() != gix::hash::Kind::Sha1 {
            return Err(bad("it uses SHA-256 object names, only SHA-1 is supported".into()));
        }
        Ok(Self {
            inner: Arc::new(inner),
            path: path.into(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commit a reference (`refs/heads/main`, `refs/tags/devops-sync`, `HEAD`) shows; annotated tags are followed.
    pub fn resolve(&self, reference: &str) -> Result<Option<CommitId>> {
        if reference != "HEAD" {
            check_reference(reference)?;
        }
        let repository = self.local();
        let name: gix::refs::FullName = reference.try_into().map_err(|_| GitError::BadReference {
            reference: reference.into(),
        })?;
        let Some(mut found) = repository.try_find_reference(&name).map_err(GitError::storage)? else {
            return Ok(None);
        };
        match found.peel_to_id() {
            Ok(id) => Ok(Some(CommitId::from_gix(&id))),
            // HEAD of an empty repository names a branch that is not there yet.
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(GitError::storage(error)),
        }
    }

    /// Every reference below `prefix` (`refs/heads/`), with the commit it shows.
    pub fn references(&self, prefix: &str) -> Result<Vec<(String, CommitId)>> {
        let repository = self.local();
        let platform = repository.references().map_err(GitError::storage)?;
        let mut found = Vec::new();
        for reference in platform.prefixed(prefix).map_err(GitError::storage)? {
            let mut reference = reference.map_err(GitError::storage)?;
            let name = reference.name().as_bstr().to_string();
            let id = reference.peel_to_id().map_err(GitError::storage)?;
            found.push((name, CommitId::from_gix(&id)));
        }
        Ok(found)
    }

    /// The bytes of a file, unless it is larger than `max_bytes`: its size is asked for before it is read.
    pub fn read(&self, blob: &BlobId, max_bytes: u64) -> Result<Vec<u8>> {
        let repository = self.local();
        let header = repository
            .try_find_header(blob.to_gix())
            .map_err(GitError::storage)?
            .ok_or_else(|| GitError::MissingObject { id: blob.to_string() })?;
        if header.size() > max_bytes {
            return Err(GitError::TooBig {
                what: format!("the file content {blob}"),
                limit: max_bytes,
            });
        }
        let object = repository.find_blob(blob.to_gix()).map_err(GitError::storage)?;
        Ok(object.detach().data)
    }

    /// Whether this commit is in the repository.
    pub fn contains(&self, commit: &CommitId) -> bool {
        let header = self.local().try_find_header(commit.to_gix());
        matches!(header, Ok(Some(header)) if header.kind() == gix::object::Kind::Commit)
    }

    /// Whether `descendant` is `ancestor` or was built upon it.
    pub fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool> {
        if ancestor == descendant {
            return Ok(true);
        }
        for id in [ancestor, descendant] {
            if !self.contains(id) {
                return Err(GitError::MissingObject { id: id.to_string() });
            }
        }
        let repository = self.local();
        let base = repository
            .merge_base(ancestor.to_gix(), descendant.to_gix())
            .map_err(GitError::storage)?;
        Ok(base.is_some_and(|base| CommitId::from_gix(&base) == *ancestor))
    }

    pub(crate) fn local(&self) -> gix::Repository {
        let mut repository = self.inner.to_thread_local();
        repository.object_cache_size_if_unset(OBJECT_CACHE);
        repository
    }

    pub(crate) fn find_commit<'repo>(
        &self,
        repository: &'repo gix::Repository,
        commit: &CommitId,
    ) -> Result<gix::Commit<'repo>> {
        let missing = || GitError::MissingObject {
            id: commit.to_string(),
        };
        let object = repository
            .try_find_object(commit.to_gix())
            .map_err(GitError::storage)?
            .ok_or_else(missing)?;
        object.try_into_commit().map_err(|_| missing())
    }
}

/// A full reference name that Git and we agree on.
pub(crate) fn check_reference(reference: &str) -> Result<()> {
    let valid = reference.starts_with("refs/")
        && gix::validate::reference::name(reference.into()).is_ok()
        && !reference.contains('*');
    if valid {
        Ok(())
    } else {
        Err(GitError::BadReference {
            reference: reference.into(),
        })
    }
}

/// Where the lock of a loose reference lies.
pub(crate) fn lock_path(repository: &Path, reference: &str) -> PathBuf {
    repository.join(format!("{reference}.lock"))
}
