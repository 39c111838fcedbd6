//! Which names of a stranger's archive stay inside what was asked for. Pure.
//!
//! Ways out that are refused: absolute names and `..` (CVE-2018-1002100), names beside what was asked for (CVE-2019-11249), links
//! that lead out, or that would with the help of another link (CVE-2019-1002101, CVE-2019-11246). Nothing is ever written through
//! a link: that is `unpack`'s.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// The way below what was asked for, part by part; empty for itself.
pub type Way = Vec<OsString>;

/// `root` is what was asked for, as the container's tar calls it.
pub fn way(name: &[u8], root: &[u8]) -> Option<Way> {
    if name.contains(&0) || name.starts_with(b"/") {
        return None;
    }
    let mut parts = name
        .split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."));
    if root != b"." && parts.next()? != root {
        return None;
    }
    parts
        .map(|part| (part != b"..").then(|| OsString::from_vec(part.to_vec())))
        .collect()
}

/// Whether a symbolic link `depth` folders below what was asked for leads to something inside it. Every folder on the way is a
/// real one; so steps up count from there. After a step down there may be another link, from which a step up leads anywhere.
pub fn link_stays(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let mut parts = target
        .split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .peekable();
    let mut up = 0;
    while parts.next_if_eq(&b"..".as_slice()).is_some() {
        up += 1;
    }
    up <= depth && parts.all(|part| part != b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_what_was_asked_for() {
        for (name, below) in [
            ("./data", Some("")),
            ("data/", Some("")),
            ("./data/a/b", Some("a/b")),
            ("data//a/./b/", Some("a/b")),
            ("/data/a", None),
            ("data/../etc/passwd", None),
            ("data/a/..", None),
            ("../data/a", None),
            ("..", None),
            ("other/a", None),
            ("datax/a", None),
            ("", None),
            (".", None),
            ("data/a\0b", None),
        ] {
            let found = way(name.as_bytes(), b"data").map(|way| way.join(std::ffi::OsStr::new("/")));
            assert_eq!(found, below.map(OsString::from), "{name:?}");
        }
        assert_eq!(way(b"./etc/x", b"."), Some(vec!["etc".into(), "x".into()]));
        assert_eq!(way(b"./../x", b"."), None);
        assert_eq!(way(b"./", b"."), Some(vec![]));
    }

    #[test]
    fn links_lead_nowhere_else() {
        for (target, depth, stays) in [
            ("b", 0, true),
            ("a/b", 0, true),
            ("../b", 1, true),
            ("../../x/y", 2, true),
            (".", 0, true),
            ("..", 0, false),
            ("../..", 1, false),
            ("/etc", 3, false),
            ("", 0, false),
            // `a` may be a link to the top: then this leads out.
            ("a/..", 5, false),
            ("a/../../b", 5, false),
            ("./../b", 0, false),
        ] {
            assert_eq!(link_stays(target.as_bytes(), depth), stays, "{target} at {depth}");
        }
    }
}
