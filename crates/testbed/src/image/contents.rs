//! What is in each image, and why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use super::Order;
use super::closure::libraries;
use super::root::Root;
use crate::programs::packages::find;

pub const AGENT: &str = "c7n-agent";
pub const SERVER: &str = "c7n-server";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Agent,
    Server,
}

impl Kind {
    pub fn program(self) -> &'static str {
        match self {
            Self::Agent => AGENT,
            Self::Server => SERVER,
        }
    }

    /// Programs of the distribution that ours runs.
    fn calls(self) -> &'static [&'static str] {
        match self {
            // ssh is told how to connect in a line for a shell, and Git runs that line.
            Self::Agent => &["git", "ssh", "ssh-keygen", "sh"],
            // Who may push what is said by a hook, which is a shell's script.
            Self::Server => &["git", "ssh-keygen", "sh"],
        }
    }

    /// Programs of Git that are not in `git` itself.
    fn git_helpers(self) -> &'static [&'static str] {
        match self {
            // Repositories over HTTP, where that is the way (`--git-transport http`).
            Self::Agent => &["git-remote-http", "git-remote-https"],
            Self::Server => &[],
        }
    }
}

/// The layer of the distribution, and ours.
pub(super) fn roots(order: &Order) -> Result<(Root, Root)> {
    let mut system = Root::default();
    // As Debian has it since version 12: one tree below /usr.
    for folder in ["bin", "sbin", "lib", "lib64"] {
        system.link(folder, &format!("usr/{folder}"));
        system.folder(&format!("usr/{folder}"), 0o755);
    }
    accounts(&mut system);
    system.folder("tmp", 0o1777);
    system.folder("var/lib", 0o755);
    system.folder("usr/share/git-core/templates", 0o755);
    authorities(&mut system)?;
    for name in order.kind.calls() {
        let program =
            find(name).with_context(|| format!("`{name}` is not installed here, and the image needs it"))?;
        distributed(&mut system, &program, &format!("usr/bin/{name}"))?;
    }
    let helpers = git_exec_path()?;
    for name in order.kind.git_helpers() {
        distributed(
            &mut system,
            &helpers.join(name),
            &format!("usr/lib/git-core/{name}"),
        )?;
    }
    system.link("usr/lib/git-core/git", "../../bin/git");

    let mut own = Root::default();
    let mut ours = vec![(order.program.as_path(), order.kind.program())];
    if let Some(worker) = &order.helm_worker {
        ours.push((worker, "c7n-helm"));
    }
    for (program, name) in ours {
        needed(&mut system, program)?;
        own.file(&format!("usr/local/bin/{name}"), 0o755, stripped(program)?);
    }
    Ok((system, own))
}

fn accounts(root: &mut Root) {
    let text = |text: &str| text.as_bytes().to_vec();
    // ssh refuses to run for a user without a name.
    root.file(
        "etc/passwd",
        0o644,
        text("root:x:0:0:root:/:/sbin/nologin\nc7n:x:65532:65532:c7n:/tmp:/sbin/nologin\n"),
    );
    root.file("etc/group", 0o644, text("root:x:0:\nc7n:x:65532:\n"));
    root.file(
        "etc/nsswitch.conf",
        0o644,
        text("passwd: files\ngroup: files\nhosts: files dns\n"),
    );
}

/// The authorities of the distribution's package, not those that this machine was told to believe besides.
fn authorities(root: &mut Root) -> Result<()> {
    let folder = Path::new("/usr/share/ca-certificates/mozilla");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .context("the authorities are missing: install the package ca-certificates")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    let mut bundle = Vec::new();
    for file in files {
        bundle.extend(read(&file)?);
        if bundle.last() != Some(&b'\n') {
            bundle.push(b'\n');
        }
        root.came_from(&file);
    }
    root.file("etc/ssl/certs/ca-certificates.crt", 0o644, bundle);
    Ok(())
}

/// A program of the distribution with its libraries.
fn distributed(root: &mut Root, program: &Path, place: &str) -> Result<()> {
    let real = real(program)?;
    root.came_from(&real);
    root.file(place, 0o755, read(&real)?);
    needed(root, &real)
}

fn needed(root: &mut Root, program: &Path) -> Result<()> {
    for library in libraries(program)? {
        let place = place(&library)?;
        if root.has(&place) {
            continue;
        }
        let real = real(&library)?;
        root.came_from(&real);
        root.file(&place, 0o755, read(&real)?);
    }
    Ok(())
}

/// The library's folder as it really is, and the name under which it is looked for.
fn place(library: &Path) -> Result<String> {
    let (folder, name) = (library.parent(), library.file_name());
    let (Some(folder), Some(name)) = (folder, name) else {
        bail!("{} is no library", library.display());
    };
    let place = real(folder)?.join(name);
    Ok(place.to_string_lossy().trim_start_matches('/').to_owned())
}

fn git_exec_path() -> Result<PathBuf> {
    let output = Command::new("git")
        .arg("--exec-path")
        .output()
        .context("cannot run git")?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Without symbols, where the tool for it is there: nine tenths of a program that was compiled for tests.
fn stripped(program: &Path) -> Result<Vec<u8>> {
    let Some(strip) = find("strip") else {
        return read(program);
    };
    // Two images may be made at once.
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let target = std::env::temp_dir().join(format!(
        "c7n-strip-{}-{}",
        std::process::id(),
        NUMBER.fetch_add(1, Ordering::Relaxed)
    ));
    let status = Command::new(strip)
        .arg("--strip-all")
        .arg("-o")
        .arg(&target)
        .arg(program)
        .status()
        .context("cannot run strip")?;
    if !status.success() {
        bail!("strip {} ended with {status}", program.display());
    }
    let content = read(&target);
    let _ = fs::remove_file(&target);
    content
}

fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("{} is not there", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
