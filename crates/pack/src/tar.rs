//! Writes the little of the tar format (POSIX ustar) that images and charts need; the same entries give the same bytes.
//!
//! Names are up to 255 bytes (with a slash where the field ends), links up to 100, times are 0, owner is root.

const BLOCK: usize = 512;
const NAME: usize = 100;
const PREFIX: usize = 155;

/// What an entry is.
enum Kind<'a> {
    File(&'a [u8]),
    Folder,
    Link(&'a str),
}

/// An archive under construction.
#[derive(Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    pub fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entry(name, mode, &Kind::File(content));
    }

    pub fn folder(&mut self, name: &str, mode: u32) {
        self.entry(name, mode, &Kind::Folder);
    }

    /// A symbolic link at `name` that points to `target`.
    pub fn link(&mut self, name: &str, target: &str) {
        self.entry(name, 0o777, &Kind::Link(target));
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, kind: &Kind<'_>) {
        let (flag, target, content): (u8, &str, &[u8]) = match *kind {
            Kind::File(content) => (b'0', "", content),
            Kind::Folder => (b'5', "", &[]),
            Kind::Link(target) => (b'2', target, &[]),
        };
        let mut header = [0_u8; BLOCK];
        let (prefix, name) = split(name);
        put(&mut header, 0, NAME, name.as_bytes());
        put(&mut header, 100, 8, format!("{mode:07o}").as_bytes());
        put(&mut header, 108, 8, b"0000000");
        put(&mut header, 116, 8, b"0000000");
        put(&mut header, 124, 12, format!("{:011o}", content.len()).as_bytes());
        put(&mut header, 136, 12, b"00000000000");
        put(&mut header, 148, 8, b"        ");
        header[156] = flag;
        put(&mut header, 157, 100, target.as_bytes());
        put(&mut header, 257, 8, b"ustar\x0000");
        put(&mut header, 345, PREFIX, prefix.as_bytes());
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        put(&mut header, 148, 8, format!("{sum:06o}\0 ").as_bytes());

        self.bytes.extend(header);
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }
}

/// A long name goes into two fields, parted at a slash.
fn split(name: &str) -> (&str, &str) {
    if name.len() <= NAME {
        return ("", name);
    }
    name.match_indices('/')
        .map(|(at, _)| (&name[..at], &name[at + 1..]))
        .find(|(prefix, rest)| prefix.len() <= PREFIX && rest.len() <= NAME && !rest.is_empty())
        .unwrap_or(("", name))
}

fn put(header: &mut [u8; BLOCK], at: usize, room: usize, field: &[u8]) {
    assert!(
        field.len() <= room,
        "a tar field of {} bytes has room for {room}",
        field.len()
    );
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
    }
}
