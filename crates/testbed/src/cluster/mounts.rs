//! Mounts below a folder: what a kubelet and a containerd leave behind when they are killed.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

/// A mount's target and its kind of file system.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    target: PathBuf,
    kind: String,
}

/// Mount targets below `folder`, innermost first.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut targets: Vec<PathBuf> = read()?
        .into_iter()
        .map(|mount| mount.target)
        .filter(|target| target.starts_with(folder))
        .collect();
    // Later mounts lie over earlier ones.
    targets.reverse();
    targets.sort_by_key(|target| std::cmp::Reverse(target.components().count()));
    Ok(targets)
}

/// Detaches: the mount goes at once for everybody, even if a dying process still holds a file on it.
pub fn detach(target: &Path) -> Result<()> {
    Command::new("umount")
        .arg("--lazy")
        .arg(target)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot run umount for {}", target.display()))?;
    Ok(())
}

/// Does the folder lie on an overlay file system?
pub fn is_overlay(folder: &Path) -> bool {
    let Ok(mounts) = read() else { return false };
    mounts
        .iter()
        .filter(|mount| folder.starts_with(&mount.target))
        .max_by_key(|mount| mount.target.components().count())
        .is_some_and(|mount| mount.kind == "overlay")
}

fn read() -> Result<Vec<Mount>> {
    let table = fs::read("/proc/self/mountinfo").context("cannot read /proc/self/mountinfo")?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// One line of proc_pid_mountinfo(5): the target is field 5, the kind is the first field after the dash.
fn parse(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    let target = PathBuf::from(std::ffi::OsString::from_vec(unescape(fields.get(4)?)));
    let kind = String::from_utf8_lossy(fields.get(dash + 1)?).into_owned();
    Some(Mount { target, kind })
}

/// Blanks and their like are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after
            .get(..3)
            .filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match digits {
            Some(digits) => {
                plain.push(
                    digits
                        .iter()
                        .fold(0_u8, |sum, d| sum.wrapping_mul(8).wrapping_add(d - b'0')),
                );
                rest = &after[3..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_an_escaped_blank_is_read() {
        let line = br"36 35 98:0 /m /mnt/a\040b rw,noatime master:1 - overlay /dev/root rw";
        let expected = Mount {
            target: PathBuf::from("/mnt/a b"),
            kind: "overlay".to_owned(),
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse(b""), None);
    }
}
