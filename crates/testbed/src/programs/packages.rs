//! What comes from the distribution: for a real node container runtime, network plugins, a shell for the sample image; for
//! tests the programs that sign charts.
//!
//! Looks first and installs only what is missing, so a machine with a container runtime of its own keeps it.

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The distribution's programs, found.
#[derive(Clone, Debug)]
pub struct NodePrograms {
    pub containerd: PathBuf,
    pub ctr: PathBuf,
    pub ip: PathBuf,
    /// Folder with the plugins `bridge`, `host-local` and `loopback`.
    pub network_plugins: PathBuf,
    /// A static busybox: without it the sample image has no shell, and all else works.
    pub busybox: Option<PathBuf>,
}

struct Need {
    package: &'static str,
    present: fn() -> bool,
    optional: bool,
}

const NODE: [Need; 5] = [
    Need {
        package: "containerd",
        present: || find("containerd").is_some() && find("ctr").is_some(),
        optional: false,
    },
    Need {
        package: "runc",
        present: || find("runc").is_some(),
        optional: false,
    },
    Need {
        package: "iproute2",
        present: || find("ip").is_some(),
        optional: false,
    },
    Need {
        package: "containernetworking-plugins",
        present: || network_plugins().is_some(),
        optional: false,
    },
    Need {
        package: "busybox-static",
        present: || find("busybox").is_some(),
        optional: true,
    },
];

/// `gpg` makes keys only with its agent, which the distribution merely recommends.
const SIGNING: [Need; 2] = [
    Need {
        package: "gpg",
        present: || find("gpg").is_some() && find("gpgconf").is_some(),
        optional: false,
    },
    Need {
        package: "gpg-agent",
        present: || find("gpg-agent").is_some(),
        optional: false,
    },
];

/// Finds the programs of a real node; as root on Debian or Ubuntu, installs those that are missing.
pub fn ensure_node_programs() -> Result<NodePrograms> {
    ensure(&NODE)?;
    Ok(NodePrograms {
        containerd: find("containerd").context("containerd is not there even after its installation")?,
        ctr: find("ctr").context("ctr is not there even after the installation of containerd")?,
        ip: find("ip").context("ip is not there even after the installation of iproute2")?,
        network_plugins: network_plugins()
            .context("the network plugins are not there even after their installation")?,
        busybox: find("busybox"),
    })
}

/// The same for `gpg`, with which tests sign charts.
pub fn ensure_signing_programs() -> Result<()> {
    ensure(&SIGNING)
}

/// Errors if Git or the ssh client are missing: the product needs them, and says so before anything starts.
pub fn check_git_and_ssh() -> Result<()> {
    for (program, package) in [("git", "git"), ("ssh", "openssh-client")] {
        if find(program).is_none() {
            bail!("`{program}` is missing: install it (`apt-get install {package}`)");
        }
    }
    Ok(())
}

/// `/proc/self` belongs to the effective user.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0)
}

fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

fn install(missing: &[&Need]) -> Result<()> {
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let list = packages.join(" ");
    let required = missing.iter().any(|need| !need.optional);
    let outcome = if !is_root() {
        Err(anyhow::anyhow!(
            "missing: {list}; installing them needs root (`sudo apt-get install {list}`)"
        ))
    } else if find("apt-get").is_none() {
        Err(anyhow::anyhow!(
            "missing: {list}; there is no apt-get here: install them with the system's package manager"
        ))
    } else {
        eprintln!("installing {list} ...");
        apt_get_install(&packages).or_else(|_| {
            apt_get(&["update", "-qq"])?;
            apt_get_install(&packages)
        })
    };
    match outcome {
        Err(error) if required => Err(error),
        _ => Ok(()),
    }
}

fn apt_get_install(packages: &[&str]) -> Result<()> {
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    // The lock's timeout is the deadline: another apt may run at the same time.
    let output = Command::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=120"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        bail!("`apt-get {}` failed: {}", arguments.join(" "), message.trim());
    }
    Ok(())
}

/// In the search path, or where distributions put programs for root.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

fn network_plugins() -> Option<PathBuf> {
    ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"]
        .iter()
        .map(Path::new)
        .find(|folder| {
            ["bridge", "host-local", "loopback"]
                .iter()
                .all(|plugin| folder.join(plugin).is_file())
        })
        .map(Path::to_path_buf)
}
