//! What is kept of an environment on disk: its specification, its key, its mirror.
//!
//! With these the agent goes on after a restart while the platform is away. Every file is whole or absent.

use std::io;
use std::path::{Path, PathBuf};

use c7n_link::messages::EnvironmentSpec;
use prost::Message;

use super::id::EnvironmentId;
use crate::files;

#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    pub fn of(data: &Path, id: &EnvironmentId) -> Self {
        Self {
            path: root(data).join(id.as_str()),
        }
    }

    pub fn key(&self) -> PathBuf {
        self.path.join("key")
    }

    pub fn mirror(&self) -> PathBuf {
        self.path.join("mirror.git")
    }

    pub fn save(&self, spec: &EnvironmentSpec) -> io::Result<()> {
        files::replace(&self.spec(), &spec.encode_to_vec())
    }

    /// Saves without waiting for the disk: for what the platform says again at the next connection anyway.
    pub fn save_lightly(&self, spec: &EnvironmentSpec) -> io::Result<()> {
        files::replace_lightly(&self.spec(), &spec.encode_to_vec())
    }

    pub fn remember_tag_rights(&self) -> io::Result<()> {
        files::replace_lightly(&self.path.join("tags-checked"), b"")
    }

    pub fn knows_tag_rights(&self) -> bool {
        self.path.join("tags-checked").exists()
    }

    pub fn remove(&self) -> io::Result<()> {
        // The specification goes first: half a folder without one is not an environment.
        files::remove(&self.spec())?;
        files::remove_folder(&self.path)
    }

    fn spec(&self) -> PathBuf {
        self.path.join("spec")
    }
}

/// All specifications that earlier runs left. A damaged one is left out, the platform sends it again.
pub fn saved(data: &Path) -> io::Result<Vec<(EnvironmentId, EnvironmentSpec)>> {
    let root = root(data);
    files::make_folder(&root)?;
    let mut specs = Vec::new();
    for entry in std::fs::read_dir(&root)? {
        let path = entry?.path();
        let Some(id) = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(EnvironmentId::new)
        else {
            continue;
        };
        let Some(content) = files::read(&path.join("spec"))? else {
            continue;
        };
        match EnvironmentSpec::decode(content.as_slice()) {
            Ok(spec) if spec.environment_id == id.as_str() && !spec.namespace.is_empty() => {
                specs.push((id, spec))
            }
            _ => {
                tracing::warn!(environment = %id, "a damaged specification is left out; the platform sends it again")
            }
        }
    }
    specs.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(specs)
}

fn root(data: &Path) -> PathBuf {
    data.join("environments")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(id: &str, generation: u64) -> EnvironmentSpec {
        let namespace = "ns".to_owned();
        EnvironmentSpec {
            environment_id: id.into(),
            namespace,
            generation,
            ..EnvironmentSpec::default()
        }
    }

    #[test]
    fn specifications_outlive_a_restart_and_the_newest_counts() {
        let data = tempfile::tempdir().unwrap();
        let id = EnvironmentId::new("e1").unwrap();
        Folder::of(data.path(), &id).save(&spec("e1", 1)).unwrap();
        Folder::of(data.path(), &id).save_lightly(&spec("e1", 2)).unwrap();

        assert_eq!(saved(data.path()).unwrap(), [(id, spec("e1", 2))]);
    }

    #[test]
    fn a_damaged_specification_or_one_of_another_environment_is_left_out() {
        let data = tempfile::tempdir().unwrap();
        for (folder, content) in [
            ("e1", b"\xff\xff".to_vec()),
            ("e2", spec("e3", 1).encode_to_vec()),
            ("e4", Vec::new()),
        ] {
            let folder = root(data.path()).join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("spec"), content).unwrap();
        }
        assert_eq!(saved(data.path()).unwrap(), []);
    }

    #[test]
    fn nothing_is_left_of_a_removed_environment() {
        let data = tempfile::tempdir().unwrap();
        let id = EnvironmentId::new("e1").unwrap();
        let folder = Folder::of(data.path(), &id);
        folder.save(&spec("e1", 1)).unwrap();
        folder.remember_tag_rights().unwrap();
        assert!(folder.knows_tag_rights());

        folder.remove().unwrap();

        assert_eq!(saved(data.path()).unwrap(), []);
        assert!(!folder.knows_tag_rights());
        folder.remove().unwrap();
    }
}
