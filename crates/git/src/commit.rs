//! Writes a commit into a bare repository without a checkout: blobs, the trees above them, the commit, then the branch by
//! compare-and-swap. Blocking.
//!
//! Until the branch moves nothing that was written can be seen; objects that lost a race are left to `git gc`.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use gix::objs::tree::{Editor, EntryKind};

use crate::repository::check_reference;
use crate::tree::is_good_component;
use crate::{CommitId, GitError, Repository, Result};

/// Longest path of a file, as for reading.
const MAX_PATH: usize = 4096;

/// Who wrote or committed something, as Git shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub name: String,
    pub email: String,
    /// Milliseconds since 1970 in UTC; Git keeps the seconds.
    pub time_ms: i64,
}

/// What becomes of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    pub path: String,
    /// The whole new content; `None` removes the file.
    pub content: Option<Vec<u8>>,
}

/// A commit that is not written yet.
#[derive(Debug, Clone)]
pub struct NewCommit<'a> {
    /// Full name of the branch, `refs/heads/main`.
    pub reference: &'a str,
    /// What the branch must show when it is moved, and the parent; `None`: it must not exist, and this is the first commit.
    pub expected: Option<CommitId>,
    pub edits: &'a [FileEdit],
    pub author: &'a Signature,
    pub committer: &'a Signature,
    pub message: &'a str,
}

impl Repository {
    /// Whether a file may be written or removed at this path of `commit`: what [`Repository::commit`] would say of it.
    pub fn check_path(&self, commit: Option<&CommitId>, path: &str) -> Result<()> {
        check_path(path)?;
        let repository = self.local();
        let tree = match commit {
            Some(commit) => Some(
                self.find_commit(&repository, commit)?
                    .tree()
                    .map_err(GitError::storage)?,
            ),
            None => None,
        };
        kind_at(tree.as_ref(), path).map(drop)
    }

    /// Writes the commit and moves the branch to it. Edits that change nothing give the commit that is there.
    ///
    /// [`GitError::RefChanged`] when somebody else was quicker: read what they wrote, and decide anew. On the disk when this
    /// returns.
    pub fn commit(&self, new: &NewCommit<'_>) -> Result<CommitId> {
        check_reference(new.reference)?;
        let repository = self.local();
        let objects = &repository.objects;
        let before = match &new.expected {
            Some(parent) => Some(
                self.find_commit(&repository, parent)?
                    .tree()
                    .map_err(GitError::storage)?,
            ),
            None => None,
        };
        let root = match &before {
            Some(tree) => tree.decode().map_err(GitError::storage)?.into(),
            None => gix::objs::Tree::empty(),
        };
        let mut written = BTreeSet::new();
        let mut editor = Editor::new(root, objects, repository.object_hash());
        for edit in new.edits {
            check_path(&edit.path)?;
            let kind = kind_at(before.as_ref(), &edit.path)?;
            let parts = edit.path.split('/');
            match &edit.content {
                Some(content) => {
                    let blob = repository
                        .write_blob(content)
                        .map_err(GitError::storage)?
                        .detach();
                    written.insert(blob);
                    let kind = kind.unwrap_or(EntryKind::Blob);
                    editor.upsert(parts, kind, blob).map_err(GitError::storage)?;
                }
                None => {
                    editor.remove(parts).map_err(GitError::storage)?;
                }
            }
        }
        let tree = editor
            .write(|tree| {
                let id = repository.write_object(tree).map(|id| id.detach())?;
                written.insert(id);
                Ok::<_, gix::Error>(id)
            })
            .map_err(GitError::storage)?;
        if let (Some(before), Some(parent)) = (&before, new.expected)
            && before.id == tree
        {
            return Ok(parent);
        }
        let commit = gix::objs::Commit {
            tree,
            parents: new.expected.iter().map(|parent| parent.to_gix()).collect(),
            author: signature(new.author),
            committer: signature(new.committer),
            encoding: None,
            message: message(new.message).into(),
            extra_headers: Vec::new(),
        };
        let id = repository
            .write_object(&commit)
            .map_err(GitError::storage)?
            .detach();
        written.insert(id);
        for id in &written {
            sync(self.path(), &id.to_string())?;
        }
        let id = CommitId::from_gix(&id);
        self.move_tag(new.reference, new.expected.as_ref(), Some(&id))?;
        sync_file(&self.path().join(new.reference))?;
        Ok(id)
    }
}

/// What is at the path now, if it is a file; nothing else may be written over.
fn kind_at(tree: Option<&gix::Tree<'_>>, path: &str) -> Result<Option<EntryKind>> {
    let Some(tree) = tree else { return Ok(None) };
    let refuse = |path: &str, reason: &'static str| GitError::BadPath {
        path: path.to_owned(),
        reason,
    };
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends {
        let part = &path[..end];
        let entry = tree.lookup_entry(part.split('/')).map_err(GitError::storage)?;
        let Some(entry) = entry else { return Ok(None) };
        let is_whole = end == path.len();
        match entry.mode().kind() {
            EntryKind::Tree if is_whole => return Err(refuse(part, "it is a folder; name a file")),
            EntryKind::Tree => {}
            EntryKind::Link | EntryKind::Commit => {
                return Err(refuse(
                    part,
                    "it is a symbolic link or a submodule, which is not written through",
                ));
            }
            kind if is_whole => return Ok(Some(kind)),
            _ => {
                return Err(refuse(
                    part,
                    "it is a file and cannot be a folder; choose another path",
                ));
            }
        }
    }
    Ok(None)
}

fn check_path(path: &str) -> Result<()> {
    if path.len() <= MAX_PATH && path.split('/').all(|part| is_good_component(part.as_bytes())) {
        return Ok(());
    }
    Err(GitError::BadPath {
        path: path.chars().take(200).collect(),
        reason: "this path is not allowed; use names with `/` between them, none of them `..` or `.git`",
    })
}

/// A name or an address that would break the line of the commit it stands in loses what breaks it.
fn signature(of: &Signature) -> gix::actor::Signature {
    let clean = |text: &str, instead: &str| {
        let text: String = text
            .chars()
            .filter(|c| !matches!(c, '<' | '>') && !c.is_control())
            .collect();
        match text.trim() {
            "" => instead.to_owned(),
            text => text.to_owned(),
        }
    };
    gix::actor::Signature {
        name: clean(&of.name, "unknown").into(),
        email: clean(&of.email, "unknown").into(),
        time: gix::date::Time::new(of.time_ms.div_euclid(1000), 0),
    }
}

/// Git ends a message with one line break, and takes no NUL.
fn message(text: &str) -> String {
    format!("{}\n", text.replace('\0', "").trim_end())
}

/// Objects that were there before may be in a pack: then there is nothing to do.
fn sync(repository: &Path, id: &str) -> Result<()> {
    let (folder, file) = id.split_at(2);
    let folder = repository.join("objects").join(folder);
    sync_file(&folder.join(file))?;
    sync_file(&folder)
}

fn sync_file(path: &Path) -> Result<()> {
    match File::open(path).and_then(|file| file.sync_all()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(GitError::io(format!("writing {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}
