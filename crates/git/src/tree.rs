//! The files of a commit: every plain file with its content id, and apart from them whatever is refused.
//!
//! Refused are symlinks, submodules and paths that a checkout could turn into a weapon (CVE-2022-24904, CVE-2024-32002,
//! CVE-2025-48384). Nothing is checked out here, so a refused entry fails nothing but itself.

use std::collections::BTreeMap;

use gix::bstr::{BStr, ByteSlice};
use gix::objs::tree::EntryKind;

use crate::{BlobId, CommitId, GitError, Repository, Result};

/// More files than any environment has, few enough to hold in memory.
pub const MAX_FILES: usize = 200_000;
const MAX_DEPTH: usize = 64;
const MAX_PATH: usize = 4096;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Path with `/` between its components, and the content.
    pub files: BTreeMap<String, BlobId>,
    pub refused: Vec<Refused>,
}

/// An entry that is not read, with its path (bytes that are no UTF-8 shown as `\u{fffd}`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub path: String,
    pub kind: RefusedKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedKind {
    Symlink,
    Submodule,
    /// `..`, `.git` in any case, an empty or overlong component, NUL, or no UTF-8.
    BadPath,
}

impl std::fmt::Display for RefusedKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Symlink => "symbolic links are not followed; put the file itself here",
            Self::Submodule => "submodules are not read; put the files themselves here",
            Self::BadPath => "this path is not allowed; rename it",
        })
    }
}

impl Repository {
    /// Every file of `commit`.
    pub fn tree(&self, commit: &CommitId) -> Result<Tree> {
        let repository = self.local();
        let root = self
            .find_commit(&repository, commit)?
            .tree_id()
            .map_err(GitError::storage)?
            .detach();
        let mut tree = Tree::default();
        let mut waiting = vec![(String::new(), root, 0)];
        while let Some((folder, id, depth)) = waiting.pop() {
            let object = repository.find_tree(id).map_err(GitError::storage)?;
            for entry in object.iter() {
                let entry = entry.map_err(GitError::storage)?;
                let path = join(&folder, entry.filename());
                match judge(entry.filename(), &path, entry.mode().kind()) {
                    Entry::Refused(kind) => tree.refused.push(Refused { path, kind }),
                    Entry::File => {
                        tree.files.insert(path, BlobId::from_gix(entry.oid()));
                    }
                    Entry::Folder if depth == MAX_DEPTH => {
                        tree.refused.push(Refused {
                            path,
                            kind: RefusedKind::BadPath,
                        });
                    }
                    Entry::Folder => waiting.push((path, entry.object_id(), depth + 1)),
                }
                if tree.files.len() + tree.refused.len() + waiting.len() > MAX_FILES {
                    let what = format!("the number of files of {commit}");
                    return Err(GitError::TooBig {
                        what,
                        limit: MAX_FILES as u64,
                    });
                }
            }
        }
        tree.refused.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// The content of one file of `commit`. What [`Repository::tree`] would refuse is not there.
    pub fn blob_at(&self, commit: &CommitId, path: &str) -> Result<Option<BlobId>> {
        if path.len() > MAX_PATH || !path.split('/').all(|part| is_good_component(part.as_bytes())) {
            return Ok(None);
        }
        let repository = self.local();
        let root = self
            .find_commit(&repository, commit)?
            .tree()
            .map_err(GitError::storage)?;
        let entry = root.lookup_entry(path.split('/')).map_err(GitError::storage)?;
        Ok(entry.and_then(|entry| match entry.mode().kind() {
            EntryKind::Blob | EntryKind::BlobExecutable => Some(BlobId::from_gix(&entry.object_id())),
            _ => None,
        }))
    }
}

pub(crate) enum Entry {
    File,
    Folder,
    Refused(RefusedKind),
}

/// What is to be done with an entry called `name` whose whole path is `path`.
pub(crate) fn judge(name: &BStr, path: &str, kind: EntryKind) -> Entry {
    if !is_good_component(name) || path.len() > MAX_PATH {
        return Entry::Refused(RefusedKind::BadPath);
    }
    match kind {
        EntryKind::Blob | EntryKind::BlobExecutable => Entry::File,
        EntryKind::Tree => Entry::Folder,
        EntryKind::Link => Entry::Refused(RefusedKind::Symlink),
        EntryKind::Commit => Entry::Refused(RefusedKind::Submodule),
    }
}

/// The rules for one component of a path.
pub(crate) fn is_good_component(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else {
        return false;
    };
    // HFS+ ignores some characters and NTFS trailing dots and spaces, so `.git` has many spellings (CVE-2014-9390).
    let visible: String = text.chars().filter(|c| !is_ignored(*c)).collect();
    let bare = visible.trim_end_matches(['.', ' ']);
    let is_git = bare.eq_ignore_ascii_case(".git") || bare.eq_ignore_ascii_case("git~1");
    !text.is_empty() && text != "." && text != ".." && !is_git && !text.contains(['\0', '/', '\\'])
}

fn is_ignored(character: char) -> bool {
    matches!(character, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

fn join(folder: &str, name: &BStr) -> String {
    let name = name.to_str_lossy();
    if folder.is_empty() {
        name.into_owned()
    } else {
        format!("{folder}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_components_are_refused() {
        for name in [
            "",
            ".",
            "..",
            ".git",
            ".GIT",
            ".Git",
            ".git.",
            ".git ",
            "git~1",
            ".g\u{200c}it",
            "a\0b",
            "a/b",
            "..\\x",
        ] {
            assert!(!is_good_component(name.as_bytes()), "{name:?}");
        }
        assert!(!is_good_component(b"caf\xe9.yaml"));
    }

    #[test]
    fn ordinary_components_are_taken() {
        for name in [
            "a",
            ".gitignore",
            ".github",
            "git",
            "..a",
            "deploy.yaml",
            "\u{4e2d}\u{6587}.yaml",
            "with space",
        ] {
            assert!(is_good_component(name.as_bytes()), "{name:?}");
        }
    }
}
