//! What is known of a cluster between two commands: a JSON file per cluster, and a lock over all of them.
//!
//! In: names, ports, processes. Out: `<cache>/clusters/NAME/state.json`, always whole (written aside, then renamed).

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::ports::Ports;
use super::process::{ProcessId, Running};
use crate::programs;

/// Everything another process needs to use, watch or stop a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterState {
    pub name: String,
    /// Where the cluster's data lies.
    pub folder: PathBuf,
    /// Start times count from boot: after a reboot nothing that is recorded here lives.
    pub boot: String,
    /// The process the cluster belongs to; `None` for one that stays until it is stopped.
    pub owner: Option<ProcessId>,
    pub ports: Ports,
    pub node: Option<NodeState>,
    pub kwok_nodes: u16,
    pub processes: Vec<Running>,
}

/// What a real node has outside the cluster's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    pub name: String,
    /// Tells clusters apart: names the bridge and the subnet.
    pub slot: u8,
}

impl NodeState {
    pub fn bridge(&self) -> String {
        format!("c7nbr{}", self.slot)
    }

    /// Pods' addresses; the first one is the host's.
    pub fn subnet(&self) -> String {
        format!("10.201.{}.0/24", self.slot)
    }
}

impl ClusterState {
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Does anything of it run?
    pub fn is_running(&self) -> bool {
        self.boot == boot() && self.processes.iter().any(Running::is_alive)
    }

    /// Its owner is gone: nobody will stop it any more.
    pub fn is_orphan(&self) -> bool {
        self.owner
            .is_some_and(|owner| self.boot != boot() || !owner.is_alive())
    }
}

/// An id the kernel makes at every boot.
pub fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// A cluster's name: it becomes part of folder names, cgroups and node names.
pub fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty()
        || name.len() > 40
        || !name.chars().all(fits)
        || name.starts_with('-')
        || name.ends_with('-')
    {
        bail!(
            "`{name}` cannot name a cluster: use up to 40 lower-case letters, digits and dashes, like `dev`"
        );
    }
    Ok(())
}

/// All clusters of this user on this machine.
#[derive(Clone, Debug)]
pub struct Registry {
    root: PathBuf,
}

impl Registry {
    pub fn open() -> Result<Self> {
        Self::at(programs::cache_folder()?.join("clusters"))
    }

    pub fn at(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(Self { root })
    }

    /// Held until dropped. Only short work is done under it: choosing ports and slots.
    pub fn lock(&self) -> Result<File> {
        self.take_lock(".lock", Duration::from_secs(30))
    }

    /// Held until dropped, by whoever starts or stops this one cluster.
    pub fn lock_cluster(&self, name: &str) -> Result<File> {
        self.take_lock(&format!(".{name}.lock"), Duration::from_secs(180))
    }

    fn take_lock(&self, name: &str, patience: Duration) -> Result<File> {
        let path = self.root.join(name);
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    bail!(
                        "another process has held {} for {patience:?}: it may hang",
                        path.display()
                    )
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder(name).join("state.json")
    }

    pub fn save(&self, state: &ClusterState) -> Result<()> {
        let path = self.file(&state.name);
        fs::create_dir_all(self.folder(&state.name))?;
        let unfinished = path.with_extension("json.new");
        fs::write(&unfinished, serde_json::to_vec_pretty(state)?)
            .and_then(|()| fs::rename(&unfinished, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub fn load(&self, name: &str) -> Result<Option<ClusterState>> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content)
                .map(Some)
                .with_context(|| format!("{} is not a cluster's state: remove its folder", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    pub fn all(&self) -> Result<Vec<ClusterState>> {
        let mut names = BTreeSet::new();
        for entry in
            fs::read_dir(&self.root).with_context(|| format!("cannot read {}", self.root.display()))?
        {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names
            .iter()
            .filter_map(|name| self.load(name).transpose())
            .collect()
    }

    pub fn forget(&self, name: &str) -> Result<()> {
        remove_file(&self.file(name))?;
        // Only an empty folder goes: logs of a failed start may lie in it.
        let _ = fs::remove_dir(self.folder(name));
        Ok(())
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str) -> ClusterState {
        ClusterState {
            name: name.to_owned(),
            folder: PathBuf::from("/data").join(name),
            boot: boot(),
            owner: None,
            ports: Ports {
                etcd: 1,
                etcd_peer: 2,
                api: 3,
                kubelet: 4,
                kwok: 5,
            },
            node: Some(NodeState {
                name: "node-1".to_owned(),
                slot: 7,
            }),
            kwok_nodes: 1,
            processes: Vec::new(),
        }
    }

    #[test]
    fn a_cluster_is_found_again_until_it_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let registry = Registry::at(root.path().join("clusters")).unwrap();
        registry.save(&state("one")).unwrap();
        registry.save(&state("two")).unwrap();
        let _lock = registry.lock().unwrap();

        let names: Vec<String> = registry
            .all()
            .unwrap()
            .into_iter()
            .map(|state| state.name)
            .collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(registry.load("two").unwrap().unwrap().ports.api, 3);

        registry.forget("one").unwrap();
        assert!(registry.load("one").unwrap().is_none());
        registry.forget("one").unwrap();
    }

    #[test]
    fn a_cluster_whose_owner_died_is_an_orphan_and_one_without_owner_never_is() {
        let mut cluster = state("one");
        assert!(!cluster.is_orphan());
        cluster.owner = Some(ProcessId::current().unwrap());
        assert!(!cluster.is_orphan());
        cluster.owner = cluster.owner.map(|owner| ProcessId {
            started: owner.started + 1,
            ..owner
        });
        assert!(cluster.is_orphan());
    }

    #[test]
    fn nothing_recorded_before_a_reboot_lives() {
        let log = PathBuf::from("/dev/null");
        let running = Running {
            name: "me".to_owned(),
            process: ProcessId::current().unwrap(),
            log,
        };
        let mut cluster = ClusterState {
            processes: vec![running],
            ..state("one")
        };
        assert!(cluster.is_running());
        cluster.boot = "another".to_owned();
        assert!(!cluster.is_running());
    }

    #[test]
    fn a_name_that_could_leave_the_folder_is_refused() {
        for bad in ["", "..", "a/b", "Dev", "-a", "a-", "a_b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        check_name("dev-2").unwrap();
    }
}
