//! The files of one layer, and where each came from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use c7n_pack::tar::Tar;

enum Entry {
    File { mode: u32, content: Vec<u8> },
    Folder { mode: u32 },
    Link { target: String },
}

/// Paths have no slash at the beginning.
#[derive(Default)]
pub struct Root {
    entries: BTreeMap<String, Entry>,
    /// Files of this machine that were copied as they are.
    copied: Vec<PathBuf>,
}

impl Root {
    pub fn file(&mut self, path: &str, mode: u32, content: Vec<u8>) {
        self.entries
            .insert(path.to_owned(), Entry::File { mode, content });
    }

    pub fn folder(&mut self, path: &str, mode: u32) {
        self.entries.insert(path.to_owned(), Entry::Folder { mode });
    }

    pub fn link(&mut self, path: &str, target: &str) {
        let target = target.to_owned();
        self.entries.insert(path.to_owned(), Entry::Link { target });
    }

    pub fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// Remembers that the distribution made this file.
    pub fn came_from(&mut self, file: &Path) {
        self.copied.push(file.to_owned());
    }

    pub fn copied(&self) -> &[PathBuf] {
        &self.copied
    }

    /// Sorted by path; folders are made before what they hold.
    pub fn tar(&self) -> Vec<u8> {
        let mut folders: BTreeMap<String, u32> = BTreeMap::new();
        for path in self.entries.keys() {
            for (at, _) in path.match_indices('/') {
                folders.entry(path[..at].to_owned()).or_insert(0o755);
            }
        }
        for (path, entry) in &self.entries {
            if let Entry::Folder { mode } = entry {
                folders.insert(path.clone(), *mode);
            }
        }
        let mut tar = Tar::default();
        for (path, mode) in &folders {
            tar.folder(&format!("{path}/"), *mode);
        }
        for (path, entry) in &self.entries {
            match entry {
                Entry::File { mode, content } => tar.file(path, *mode, content),
                Entry::Link { target } => tar.link(path, target),
                Entry::Folder { .. } => {}
            }
        }
        tar.finish()
    }
}
