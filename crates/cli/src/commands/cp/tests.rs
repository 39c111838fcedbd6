//! A stranger's archive on a real disk: what is honest arrives, and nothing else is touched.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use anyhow::Result;
use c7n_pack::tar::{END, Kind, Tar, head, padding};

use super::pack::Pack;
use super::unpack::Unpack;
use super::untar::Untar;

fn unpack(archive: &[u8], folder: &Path, name: &str) -> Result<()> {
    let mut unpack = Unpack::new(folder, OsStr::new(name), b"data")?;
    let mut untar = Untar::default();
    for bytes in archive.chunks(1000) {
        untar.feed(bytes, |piece| unpack.take(piece))?;
    }
    unpack.finish()
}

/// An entry with any flag.
fn entry(flag: u8, name: &str, target: &str, content: &[u8]) -> Vec<u8> {
    let mut out = head(name.as_bytes(), 0o644, Kind::Link(target.as_bytes()));
    out[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    out[156] = flag;
    out[148..156].fill(b' ');
    let sum: u32 = out.iter().map(|byte| u32::from(*byte)).sum();
    out[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(padding(content.len() as u64));
    out
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), END.to_vec()].concat()
}

/// The target's folder, and beside it what must not be touched.
struct Stage {
    top: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("target")).unwrap();
        fs::create_dir(top.path().join("victim")).unwrap();
        fs::write(top.path().join("victim/file"), "precious").unwrap();
        Self { top }
    }

    fn unpack(&self, entries: &[Vec<u8>]) -> Result<()> {
        let outcome = unpack(&archive(entries), &self.top.path().join("target"), "copy");
        assert_eq!(
            fs::read_to_string(self.top.path().join("victim/file")).unwrap(),
            "precious"
        );
        let count = |folder: &str| fs::read_dir(self.top.path().join(folder)).unwrap().count();
        assert_eq!(count("victim"), 1);
        assert_eq!(count("."), 2);
        outcome
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.top.path().join("target/copy").join(path)).unwrap()
    }

    fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.top.path().join("target/copy").join(path)).is_ok()
    }
}

#[test]
fn what_is_honest_arrives_without_its_owner_and_its_special_rights() {
    let stage = Stage::new();
    let mut tar = Tar::default();
    tar.folder("./data/", 0o500);
    tar.folder("./data/a/", 0o755);
    tar.file("./data/a/run", 0o6755, b"program");
    tar.link("./data/a/up", "../b");
    tar.file("./data/b", 0o640, b"text");
    let archive = tar.finish();
    unpack(&archive, &stage.top.path().join("target"), "copy").unwrap();

    assert_eq!(stage.read("a/run"), "program");
    assert_eq!(stage.read("a/up"), "text");
    let of = |path: &str| fs::metadata(stage.top.path().join("target/copy").join(path)).unwrap();
    assert_eq!(of("a/run").permissions().mode() & 0o7777, 0o755);
    assert_eq!(of("b").permissions().mode() & 0o7777, 0o640);
    assert_eq!(of("b").uid(), of("").uid());
    let left: Vec<_> = fs::read_dir(stage.top.path().join("target/copy/a"))
        .unwrap()
        .collect();
    assert_eq!(left.len(), 2, "nothing half written stays: {left:?}");
}

#[test]
fn a_name_that_leads_out_ends_the_copy() {
    for name in [
        "../victim/file",
        "data/../../victim/file",
        "/etc/c7n-was-here",
        "other",
        "data/a/../../../victim/new",
    ] {
        let stage = Stage::new();
        let error = stage.unpack(&[entry(b'0', name, "", b"evil")]).unwrap_err();
        assert!(
            format!("{error:#}").contains("outside of what was asked for"),
            "{name}: {error:#}"
        );
    }
    assert!(!Path::new("/etc/c7n-was-here").exists());
}

#[test]
fn a_link_that_leads_out_is_not_made_and_the_rest_arrives_but_the_copy_is_not_called_whole() {
    let stage = Stage::new();
    let error = stage
        .unpack(&[
            entry(b'5', "data/", "", b""),
            entry(b'2', "data/out", "../../victim", b""),
            entry(b'2', "data/absolute", "/etc", b""),
            // CVE-2019-11246: through a link that is harmless by itself.
            entry(b'5', "data/a/b/", "", b""),
            entry(b'2', "data/a/b/top", "../..", b""),
            entry(b'2', "data/by-another", "a/b/top/../victim", b""),
            entry(b'1', "data/hard", "../victim/file", b""),
            entry(b'3', "data/device", "", b""),
            entry(b'6', "data/pipe", "", b""),
            entry(b'0', "data/good", "", b"good"),
        ])
        .unwrap_err();
    let text = format!("{error:#}");
    assert!(
        text.contains("not whole; 6 of the container's entries were left out"),
        "{text}"
    );
    for missing in ["out", "absolute", "by-another", "hard", "device", "pipe"] {
        assert!(!stage.exists(missing), "{missing}");
        assert!(text.contains(missing), "{text}");
    }
    assert_eq!(stage.read("good"), "good");
}

#[test]
fn nothing_is_written_through_a_link() {
    // CVE-2019-1002101: a link first, and then something below it.
    let stage = Stage::new();
    let error = stage
        .unpack(&[
            entry(b'5', "data/real/", "", b""),
            entry(b'2', "data/link", "real", b""),
            entry(b'0', "data/link/file", "", b"evil"),
        ])
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("links are not followed"),
        "{error:#}"
    );
    assert!(!stage.exists("real/file"));

    // One that was there before.
    for already in ["copy", "copy/sub"] {
        let stage = Stage::new();
        fs::create_dir_all(stage.top.path().join("target").join(already).parent().unwrap()).unwrap();
        symlink(
            stage.top.path().join("victim"),
            stage.top.path().join("target").join(already),
        )
        .unwrap();
        let error = stage
            .unpack(&[entry(b'0', "data/sub/file", "", b"evil")])
            .unwrap_err();
        assert!(
            format!("{error:#}").contains("links are not followed"),
            "{error:#}"
        );
    }

    // A link where a file comes is replaced, not followed.
    let stage = Stage::new();
    fs::create_dir(stage.top.path().join("target/copy")).unwrap();
    symlink(
        stage.top.path().join("victim/file"),
        stage.top.path().join("target/copy/file"),
    )
    .unwrap();
    stage.unpack(&[entry(b'0', "data/file", "", b"new")]).unwrap();
    assert_eq!(stage.read("file"), "new");
}

#[test]
fn a_hard_link_to_what_was_copied_is_made() {
    let stage = Stage::new();
    stage
        .unpack(&[
            entry(b'0', "data/one", "", b"same"),
            entry(b'1', "data/two", "data/one", b""),
        ])
        .unwrap();
    assert_eq!(stage.read("two"), "same");
}

#[test]
fn a_single_file_is_put_in_its_place_only_at_the_end() {
    let stage = Stage::new();
    let target = stage.top.path().join("target");
    fs::write(target.join("copy"), "before").unwrap();
    let whole = archive(&[entry(b'0', "data", "", b"after")]);
    {
        let mut unpack = Unpack::new(&target, OsStr::new("copy"), b"data").unwrap();
        let mut untar = Untar::default();
        untar.feed(&whole, |piece| unpack.take(piece)).unwrap();
        assert_eq!(fs::read_to_string(target.join("copy")).unwrap(), "before");
        assert_eq!(unpack.sum().unwrap(), c7n_pack::sha256(b"after"));
    }
    assert_eq!(
        fs::read_dir(&target).unwrap().count(),
        1,
        "what was given up goes away"
    );
    unpack(&whole, &target, "copy").unwrap();
    assert_eq!(fs::read_to_string(target.join("copy")).unwrap(), "after");
}

#[test]
fn what_is_packed_is_unpacked_again_also_by_the_systems_tar() {
    let stage = Stage::new();
    let source = stage.top.path().join("victim");
    fs::create_dir_all(source.join("deep/er")).unwrap();
    fs::write(source.join("deep/er/file"), vec![7; 100_000]).unwrap();
    fs::write(source.join("n".repeat(200)), "long").unwrap();
    symlink("er/file", source.join("deep/link")).unwrap();
    let mut pack = Pack::new(&source, OsStr::new("data"));
    let mut packed = Vec::new();
    while let Some(bytes) = pack.next().unwrap() {
        assert!(bytes.len() <= c7n_stream::MAX_PIECE);
        packed.extend(bytes);
    }
    pack.finish().unwrap();
    assert_eq!((pack.files, pack.bytes), (4, 100_000 + 4 + 8));

    unpack(&packed, &stage.top.path().join("target"), "copy").unwrap();
    fs::write(stage.top.path().join("packed.tar"), &packed).unwrap();
    let system = stage.top.path().join("system");
    fs::create_dir(&system).unwrap();
    let status = std::process::Command::new("tar")
        .arg("-xf")
        .arg(stage.top.path().join("packed.tar"))
        .arg("-C")
        .arg(&system)
        .status()
        .unwrap();
    assert!(status.success());
    for copy in [stage.top.path().join("target/copy"), system.join("data")] {
        assert_eq!(fs::read(copy.join("deep/link")).unwrap(), vec![7; 100_000]);
        assert_eq!(fs::read_to_string(copy.join("n".repeat(200))).unwrap(), "long");
    }
}
