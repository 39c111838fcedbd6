//! Archives: what is read from good ones, and that bad ones are refused by name, quickly and in little memory.

use std::io::Read;
use std::time::{Duration, Instant};

use c7n_charts::archive::{ApiVersion, check_published_name};
use c7n_charts::{ArchiveError, Budget, ChartArchive, ChartType, Digest};
use proptest::prelude::*;

use crate::pack::{Pack, gzip};

fn read(archive: &[u8]) -> Result<ChartArchive, ArchiveError> {
    ChartArchive::from_bytes(archive, &Budget::default())
}

fn refusal(archive: &[u8]) -> String {
    match read(archive) {
        Ok(_) => panic!("the archive was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_chart_is_read_whole() {
    let archive = Pack::default()
        .entry("web/", b'5', "", b"")
        .file(
            "web/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.2.3+build.4\nappVersion: 1.10\ntype: application\n\
             description: \"A web\\tserver\"\nkubeVersion: '>=1.30'\nicon: https://h/i.svg\nhome: https://h\n\
             sources: [https://h/src]\nkeywords: [web, 2]\nmaintainers:\n- name: Ada\n  email: ada@example.org\n\
             dependencies:\n- name: redis\n  version: ^1\n  repository: https://h\n  alias: cache\n\
             annotations:\n  a/b: true\ndeprecated: true\nunknown: {x: 1}\n",
        )
        .file("web/values.yaml", "# how many\nreplicas: 1\n")
        .file("web/values.schema.json", "\u{feff}{}")
        .file("web/README.md", "# Web\n")
        .file("web/templates/NOTES.txt", "hello")
        .file("web/charts/redis/Chart.yaml", "not the chart's own")
        .tgz();

    let chart = read(&archive).unwrap();

    let metadata = &chart.metadata;
    assert_eq!(
        (metadata.name.as_str(), metadata.version.as_str()),
        ("web", "1.2.3+build.4")
    );
    assert_eq!(metadata.api_version, ApiVersion::V2);
    // As Helm reads a number where text belongs.
    assert_eq!(metadata.app_version, "1.1");
    assert_eq!(metadata.description, "A web server");
    assert_eq!(metadata.chart_type(), ChartType::Application);
    assert_eq!(metadata.kube_version, ">=1.30");
    assert_eq!(metadata.keywords, ["web", "2"]);
    assert_eq!(metadata.maintainers[0].email, "ada@example.org");
    assert_eq!(metadata.dependencies[0].alias, "cache");
    assert_eq!(metadata.annotations["a/b"], "true");
    assert!(metadata.deprecated);
    assert_eq!(chart.values.as_deref(), Some("# how many\nreplicas: 1\n"));
    assert_eq!(chart.schema.as_deref(), Some("{}"));
    assert_eq!(chart.readme.as_deref(), Some("# Web\n"));
    assert_eq!(chart.digest, Digest::of(&archive));
    assert_eq!(chart.size, archive.len() as u64);
}

#[test]
fn what_follows_the_end_belongs_to_the_digest() {
    let mut archive = Pack::chart("web", "1.0.0").tgz();
    archive.extend(gzip(b"more"));

    assert_eq!(read(&archive).unwrap().digest, Digest::of(&archive));
}

#[test]
fn charts_of_the_first_version_name_their_dependencies_elsewhere() {
    let archive = Pack::default()
        .file("old/Chart.yaml", "apiVersion: v1\nname: old\nversion: 0.1.0\n")
        .file(
            "old/requirements.yaml",
            "dependencies:\n- name: redis\n  version: 1.x\n  repository: https://h\n",
        )
        .tgz();

    assert_eq!(read(&archive).unwrap().metadata.dependencies[0].name, "redis");
}

#[test]
fn long_paths_are_read_in_both_ways_of_writing_them() {
    let long = format!("web/templates/{}/a.yaml", "x".repeat(150));
    let pax = Pack::chart("web", "1.0.0")
        .pax("path", &long)
        .file("web/short", "1");
    let gnu = Pack::chart("web", "1.0.0")
        .entry("././@LongLink", b'L', "", format!("{long}\0").as_bytes())
        .file("web/short", "1");

    for archive in [pax, gnu] {
        // The long path is really taken: the same file again is one too many.
        assert!(read(&archive.clone().tgz()).is_ok());
        let twice = archive.pax("path", &long).file("web/short", "2").tgz();
        assert_eq!(
            refusal(&twice),
            format!("{long}: is in the archive twice; make the archive with `helm package`")
        );
    }
}

#[test]
fn bad_archives_are_refused_by_name() {
    let web = || Pack::chart("web", "1.0.0");
    for (archive, words) in [
        (b"PK\x03\x04".to_vec(), "not a gzip archive"),
        (Vec::new(), "not a gzip archive"),
        (gzip(b""), "no Chart.yaml"),
        (
            gzip(
                b"not a tar, but long enough to be looked at"
                    .repeat(20)
                    .as_slice(),
            ),
            "damaged",
        ),
        (web().tgz()[..60].to_vec(), "cut short"),
        (
            web().file("web/../../etc/cron.d/x", "").tgz(),
            "web/../../etc/cron.d/x: leaves the chart's folder",
        ),
        (web().file("../web/x", "").tgz(), "../web/x: leaves"),
        (
            web().file("/etc/passwd", "").tgz(),
            "/etc/passwd: is an absolute path",
        ),
        (web().file("web/..\\..\\x", "").tgz(), "backslash"),
        (web().file("web/C:/x", "").tgz(), "drive"),
        (web().file("web//x", "").tgz(), "empty part"),
        (web().file("web/./x", "").tgz(), "empty part"),
        (web().file("web/a\nb", "").tgz(), "control character"),
        (
            web().pax("path", "web/../x").file("web/x", "").tgz(),
            "web/../x: leaves",
        ),
        (
            web().entry("web/values.yaml", b'2', "/etc/passwd", b"").tgz(),
            "web/values.yaml: is a symbolic link",
        ),
        (
            web().entry("web/values.yaml", b'1', "web/Chart.yaml", b"").tgz(),
            "web/values.yaml: is a hard link",
        ),
        (
            web().entry("web/null", b'3', "", b"").tgz(),
            "web/null: is a device",
        ),
        (
            web().entry("web/pipe", b'6', "", b"").tgz(),
            "web/pipe: is a pipe",
        ),
        (
            web().pax("GNU.sparse.major", "1").file("web/x", "").tgz(),
            "web/x: is a sparse file",
        ),
        (
            web().entry("web/x", b'S', "", b"").tgz(),
            "web/x: is a file of an unknown kind",
        ),
        (
            web().file("other/x", "").tgz(),
            "other/x: is in a second top folder",
        ),
        (web().file("x", "").tgz(), "x: stands beside"),
        (
            Pack::default().file("Chart.yaml", "").tgz(),
            "Chart.yaml: stands beside",
        ),
        (Pack::default().file("web/values.yaml", "").tgz(), "no Chart.yaml"),
        (
            Pack::default().file("web/charts/a/Chart.yaml", "").tgz(),
            "no Chart.yaml",
        ),
        (
            web().file("web/Chart.yaml", "").tgz(),
            "web/Chart.yaml: is in the archive twice",
        ),
        (
            web().file("web/values.yaml", b"\xff\xfe").tgz(),
            "values.yaml: is not UTF-8",
        ),
        (
            web().header("web/big", b'0', "", 6 << 20).tgz(),
            "web/big: has 6291456 bytes",
        ),
        (web().header("web/values.yaml", b'0', "", 6000).tgz(), "cut short"),
        (
            web().entry("pax", b'x', "", b"99 path=x\n").tgz(),
            "extended header",
        ),
        (
            web().entry("pax", b'x', "", &[b'x'; 70_000]).tgz(),
            "extended header is too long",
        ),
    ] {
        let refusal = refusal(&archive);
        assert!(refusal.contains(words), "{words:?} is not in {refusal:?}");
    }
}

#[test]
fn what_a_chart_says_of_itself_is_checked() {
    for (chart, words) in [
        ("", "is not a mapping"),
        ("a: [", "Chart.yaml: line 2: not valid YAML"),
        ("name: web\nversion: 1.0.0\n", "apiVersion: must be v1 or v2"),
        (
            "apiVersion: v3\nname: web\nversion: 1.0.0\n",
            "apiVersion: must be v1 or v2",
        ),
        ("apiVersion: v2\nversion: 1.0.0\n", "name: is missing"),
        ("apiVersion: v2\nname: a/b\nversion: 1.0.0\n", "name: may have"),
        ("apiVersion: v2\nname: ..\nversion: 1.0.0\n", "name: may have"),
        ("apiVersion: v2\nname: web\n", "version: is missing"),
        (
            "apiVersion: v2\nname: web\nversion: one\n",
            "version: `one` is not a version",
        ),
        (
            "apiVersion: v2\nname: web\nversion: 1.0.0\ntype: toy\n",
            "application or library",
        ),
        (
            "apiVersion: v2\nname: web\nversion: 1.0.0\nname: x\n",
            "`name` is already set",
        ),
        (
            "apiVersion: v2\nname: {a: b}\nversion: 1.0.0\n",
            "text is expected",
        ),
        (
            "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: a}, {name: b, alias: a}]\n",
            "`a` stands there twice",
        ),
        (
            "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: a, alias: ../x}]\n",
            "the alias `../x`",
        ),
    ] {
        let refusal = refusal(&Pack::default().file("web/Chart.yaml", chart).tgz());
        assert!(refusal.contains(words), "{words:?} is not in {refusal:?}");
    }
}

#[test]
fn names_that_are_published_follow_the_conventions() {
    assert!(check_published_name("web-2").is_ok());
    for name in ["", "Web", "we.b", "-web", "web-", &"a".repeat(54)] {
        assert!(check_published_name(name).is_err(), "{name}");
    }
}

/// Files that are each within their limit and together far above it, and one that is too big by its own word.
#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let mut tar = Pack::chart("web", "1.0.0");
    for at in 0..30 {
        tar = tar.file(&format!("web/{at}"), vec![0; 5 << 20]);
    }
    let archive = tar.tgz();
    assert!(archive.len() < 2 << 20, "{} bytes", archive.len());
    let begun = Instant::now();

    let refusal = refusal(&archive);

    assert!(refusal.contains("104857600 bytes when unpacked"), "{refusal}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());

    let one_file = Pack::chart("web", "1.0.0").header("web/x", b'0', "", 2 << 30);
    assert!(read(&one_file.tgz()).is_err());
}

#[test]
fn too_many_entries_are_refused() {
    let mut tar = Pack::chart("web", "1.0.0");
    for at in 0..10_000 {
        tar = tar.header(&format!("web/{at}"), b'0', "", 0);
    }

    assert!(refusal(&tar.tgz()).contains("10000 entries"));
}

/// Sends without end, and counts what is taken of it.
struct Endless(u64);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let start = [0x1f, 0x8b, 0x08, 0x08, 0, 0, 0, 0, 0, 3];
        for byte in &mut *buffer {
            *byte = start
                .get(usize::try_from(self.0).unwrap())
                .copied()
                .unwrap_or(b'n');
            self.0 += 1;
        }
        Ok(buffer.len())
    }
}

/// Its gzip header holds a file name that never ends.
#[test]
fn a_source_without_end_is_left() {
    let mut source = Endless(0);

    let refusal = ChartArchive::read(&mut source, &Budget::default());

    assert!(refusal.is_err());
    assert!(source.0 < 22 << 20, "{} bytes were read", source.0);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&gzip(&bytes));
        let _ = read(&bytes);
    }

    /// One byte of a good archive changed: read or refused, never a panic; and what is read has a chart's name.
    #[test]
    fn a_changed_byte_does_no_harm(at in 0_usize..4096, byte in any::<u8>()) {
        let mut tar = Pack::chart("web", "1.0.0")
            .pax("path", "web/values.yaml")
            .file("web/x", "a: 1\n")
            .tar();
        let at = at % tar.len();
        tar[at] = byte;
        if let Ok(chart) = read(&gzip(&tar)) {
            prop_assert!(!chart.metadata.name.is_empty());
            prop_assert!(!chart.metadata.name.contains('/'));
        }
    }
}
