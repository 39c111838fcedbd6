//! The cgroup a cluster's pods run in: one per cluster, since two kubelets with the same root kill each other's pods.
//!
//! Works with cgroup v1 (one folder per controller) and v2 (one folder).

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::process::ProcessId;

/// Made in every hierarchy; the kubelet refuses to start without.
pub fn create(name: &str) -> Result<()> {
    for hierarchy in Hierarchies::read().with_controllers() {
        let folder = hierarchy.join(name);
        fs::create_dir_all(&folder).with_context(|| {
            format!(
                "cannot create the cgroup {} (a read-only /sys/fs/cgroup?)",
                folder.display()
            )
        })?;
        // cgroup v2 hands a controller down only where it is asked to; v1 has no such file.
        let control = hierarchy.join("cgroup.subtree_control");
        if control.exists() {
            for controller in ["cpu", "cpuset", "memory", "io", "pids", "hugetlb"] {
                let _ = fs::write(&control, format!("+{controller}"));
            }
        }
    }
    Ok(())
}

/// Every process in the cgroup and those below it.
pub fn processes(name: &str) -> Vec<ProcessId> {
    let mut pids: Vec<u32> = folders_below(name)
        .iter()
        .filter_map(|folder| fs::read_to_string(folder.join("cgroup.procs")).ok())
        .flat_map(|list| {
            list.lines()
                .filter_map(|line| line.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().filter_map(ProcessId::of).collect()
}

/// Removes them, innermost first. One that still holds a process stays; the return says whether all are gone.
pub fn remove(name: &str) -> bool {
    folders_below(name).iter().rev().for_each(|folder| {
        let _ = fs::remove_dir(folder);
    });
    folders_below(name).is_empty()
}

/// Outer ones before inner ones.
fn folders_below(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in Hierarchies::read().all() {
        let root = hierarchy.join(name);
        if root.is_dir() {
            found.push(root);
        }
    }
    let mut next = 0;
    while next < found.len() {
        let inner = fs::read_dir(&found[next]).into_iter().flatten().flatten();
        let inner: Vec<PathBuf> = inner
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.path())
            .collect();
        found.extend(inner);
        next += 1;
    }
    found
}

/// Where cgroups may be, by `/proc/self/mounts`.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchies {
    first: Vec<PathBuf>,
    second: Vec<PathBuf>,
}

impl Hierarchies {
    fn read() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/mounts").unwrap_or_default())
    }

    fn parse(mounts: &str) -> Self {
        let of_kind = |wanted: &str| {
            mounts
                .lines()
                .filter_map(|line| {
                    let mut fields = line.split(' ').skip(1);
                    let (target, kind) = (fields.next()?, fields.next()?);
                    (kind == wanted).then(|| PathBuf::from(target))
                })
                .collect()
        };
        Self {
            first: of_kind("cgroup"),
            second: of_kind("cgroup2"),
        }
    }

    /// Those with controllers: with v1 mounted, the v2 tree beside it has none.
    fn with_controllers(self) -> Vec<PathBuf> {
        if self.first.is_empty() {
            self.second
        } else {
            self.first
        }
    }

    /// runc makes cgroups in the v2 tree also where it has no controllers.
    fn all(self) -> Vec<PathBuf> {
        [self.first, self.second].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_one_has_the_controllers_where_both_are_mounted() {
        let both = "cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(
            Hierarchies::parse(both).with_controllers(),
            [PathBuf::from("/sys/fs/cgroup/cpu")]
        );
        assert_eq!(Hierarchies::parse(both).all().len(), 2);
        let unified = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        assert_eq!(
            Hierarchies::parse(unified).with_controllers(),
            [PathBuf::from("/sys/fs/cgroup")]
        );
    }
}
