//! What a dynamically linked program needs to start: its loader and libraries, as `ldd` finds them here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The libraries, by the names under which they are looked for. Empty for a static program.
pub fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .context("cannot run ldd: images are made on a machine with the GNU C library")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    if said.contains("statically linked") || complaint.contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    if !output.status.success() {
        bail!("ldd {}: {}", program.display(), complaint.trim());
    }
    read(&said).with_context(|| format!("the libraries of {}", program.display()))
}

/// `NAME => PATH (ADDRESS)`, `PATH (ADDRESS)` for the loader, and the kernel's own, which is no file.
fn read(said: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in said.lines().map(str::trim) {
        let line = line.rsplit_once(" (").map_or(line, |(line, _)| line);
        match line.split_once(" => ") {
            Some((name, "not found")) => bail!("{name} is not installed here"),
            Some((_, path)) => found.push(PathBuf::from(path)),
            None if line.starts_with('/') => found.push(PathBuf::from(line)),
            None => {}
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ldd_prints_is_understood() {
        let said = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f)\n\t\
                    /lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            read(said).unwrap(),
            [
                PathBuf::from("/lib/x86_64-linux-gnu/libz.so.1"),
                PathBuf::from("/lib64/ld-linux-x86-64.so.2")
            ]
        );
        let missing = read("\tlibx.so.1 => not found\n").unwrap_err();
        assert!(missing.to_string().contains("libx.so.1"), "{missing}");
    }
}
