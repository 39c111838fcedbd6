//! Writes the little of the tar format (POSIX ustar) that images, charts and copies need; the same entries give the same bytes.
//!
//! Times are 0, owner is root. What does not fit the fields of ustar (names over 255 bytes, links over 100, 8 GiB and more) is
//! written as GNU tar and busybox do.

const BLOCK: usize = 512;
const NAME: usize = 100;
const PREFIX: usize = 155;
const LINK: usize = 100;
/// The most that twelve bytes hold in octal.
const LARGEST: u64 = (8 << 30) - 1;

/// What an entry is.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'a> {
    /// Of so many bytes, which follow the head and are filled up to a whole block by [`padding`].
    File(u64),
    Folder,
    Link(&'a [u8]),
}

/// What ends an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// What stands before an entry's content.
pub fn head(name: &[u8], mode: u32, kind: Kind<'_>) -> Vec<u8> {
    let (flag, target, size): (u8, &[u8], u64) = match kind {
        Kind::File(size) => (b'0', b"", size),
        Kind::Folder => (b'5', b"", 0),
        Kind::Link(target) => (b'2', target, 0),
    };
    let mut out = Vec::with_capacity(BLOCK);
    if target.len() > LINK {
        long(&mut out, b'K', target);
    }
    let (prefix, short) = split(name).unwrap_or_else(|| {
        long(&mut out, b'L', name);
        (b"", &name[..NAME])
    });
    let target = &target[..target.len().min(LINK)];
    out.extend(header(flag, (prefix, short), mode, size, target));
    out
}

/// What fills content of this size up.
pub fn padding(size: u64) -> &'static [u8] {
    let over = size % BLOCK as u64;
    let missing = (BLOCK as u64 - over) % BLOCK as u64;
    &END[..usize::try_from(missing).unwrap_or(0)]
}

/// An entry whose content is the name, or the target, of the next one.
fn long(out: &mut Vec<u8>, flag: u8, text: &[u8]) {
    let size = text.len() as u64 + 1;
    out.extend(header(flag, (b"", b"././@LongLink"), 0o644, size, b""));
    out.extend_from_slice(text);
    out.push(0);
    out.extend_from_slice(padding(size));
}

/// An archive under construction.
#[derive(Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    pub fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        let size = content.len() as u64;
        self.bytes.extend(head(name.as_bytes(), mode, Kind::File(size)));
        self.bytes.extend_from_slice(content);
        self.bytes.extend_from_slice(padding(size));
    }

    pub fn folder(&mut self, name: &str, mode: u32) {
        self.bytes.extend(head(name.as_bytes(), mode, Kind::Folder));
    }

    /// A symbolic link at `name` that points to `target`.
    pub fn link(&mut self, name: &str, target: &str) {
        self.bytes
            .extend(head(name.as_bytes(), 0o777, Kind::Link(target.as_bytes())));
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend(END);
        self.bytes
    }
}

fn header(flag: u8, (prefix, name): (&[u8], &[u8]), mode: u32, size: u64, target: &[u8]) -> [u8; BLOCK] {
    let mut header = [0_u8; BLOCK];
    put(&mut header, 0, name);
    put(&mut header, 100, format!("{:07o}", mode & 0o7777).as_bytes());
    put(&mut header, 108, b"0000000");
    put(&mut header, 116, b"0000000");
    if size <= LARGEST {
        put(&mut header, 124, format!("{size:011o}").as_bytes());
    } else {
        put(&mut header, 124, &[0x80, 0, 0, 0]);
        put(&mut header, 128, &size.to_be_bytes());
    }
    put(&mut header, 136, b"00000000000");
    put(&mut header, 148, b"        ");
    header[156] = flag;
    put(&mut header, 157, target);
    put(&mut header, 257, b"ustar\x0000");
    put(&mut header, 345, prefix);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut header, 148, format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A name that is not short goes into two fields, parted at a slash. `None` when it fits neither way.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME {
        return Some((b"", name));
    }
    name.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| (&name[..at], &name[at + 1..]))
        .find(|(prefix, rest)| prefix.len() <= PREFIX && rest.len() <= NAME && !rest.is_empty())
}

fn put(header: &mut [u8; BLOCK], at: usize, field: &[u8]) {
    header[at..at + field.len()].copy_from_slice(field);
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_systems_tar_reads_what_is_written() {
        let mut tar = Tar::default();
        tar.folder("tmp/", 0o1777);
        tar.file("program", 0o755, &[7; 700]);
        tar.link("bin", "program");
        let deep = format!("{}/{}", "d".repeat(90), "f".repeat(90));
        tar.file(&deep, 0o644, b"deep");
        let deeper = format!("{0}/{0}/{0}", "d".repeat(150));
        tar.file(&deeper, 0o644, b"deeper");
        tar.link("far", &deeper);
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("a.tar");
        std::fs::write(&archive, tar.finish()).unwrap();

        let status = Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(folder.path())
            .status()
            .unwrap();

        assert!(status.success());
        assert_eq!(std::fs::read(folder.path().join("program")).unwrap(), [7; 700]);
        assert_eq!(
            std::fs::read_link(folder.path().join("bin")).unwrap().to_str(),
            Some("program")
        );
        assert!(folder.path().join("tmp").is_dir());
        assert_eq!(std::fs::read(folder.path().join(deep)).unwrap(), b"deep");
        assert_eq!(std::fs::read(folder.path().join("far")).unwrap(), b"deeper");
    }
}
