//! Versions of charts and ranges of them, with the meaning that Helm gives them (the Go library Masterminds/semver).
//!
//! The crate `semver` orders; its own ranges mean something else (Cargo's), so ranges are ours.

mod constraint;

use std::{cmp::Ordering, fmt, str::FromStr};

pub use constraint::Constraint;

/// A semantic version, as it was written. `v1.2` is read as 1.2.0.
///
/// Equal and ordered by precedence; build metadata decides only between versions that are otherwise the same.
#[derive(Clone)]
pub struct Version {
    text: String,
    parsed: semver::Version,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("`{0}` is not a version; write one like 1.2.3 or 1.2.3-rc.1")]
    Version(String),
    #[error("`{0}` is not a range of versions; write one like ^1.2, ~1.2.3, 1.x or \">=1.2 <2\"")]
    Constraint(String),
}

/// Masterminds/semver reads no longer ones.
const MOST_VERSION: usize = 256;

impl Version {
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let refused = || VersionError::Version(text.chars().take(80).collect());
        if text.len() > MOST_VERSION {
            return Err(refused());
        }
        let (rest, build) = match text.split_once('+') {
            Some((rest, build)) => (rest, semver::BuildMetadata::new(build).map_err(|_| refused())?),
            None => (text, semver::BuildMetadata::EMPTY),
        };
        let (numbers, pre) = match rest.split_once('-') {
            Some((numbers, pre)) => (numbers, semver::Prerelease::new(pre).map_err(|_| refused())?),
            None => (rest, semver::Prerelease::EMPTY),
        };
        if text.contains('+') && build.is_empty() || rest.contains('-') && pre.is_empty() {
            return Err(refused());
        }
        let mut parts = [0; 3];
        let mut given = numbers.strip_prefix('v').unwrap_or(numbers).split('.');
        for (at, part) in parts.iter_mut().enumerate() {
            match given.next() {
                Some(digits) if is_number(digits) => *part = digits.parse().map_err(|_| refused())?,
                None if at > 0 => {}
                _ => return Err(refused()),
            }
        }
        if given.next().is_some() {
            return Err(refused());
        }
        let [major, minor, patch] = parts;
        Ok(Self {
            text: text.to_owned(),
            parsed: semver::Version {
                major,
                minor,
                patch,
                pre,
                build,
            },
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_prerelease(&self) -> bool {
        !self.parsed.pre.is_empty()
    }

    pub(crate) fn parsed(&self) -> &semver::Version {
        &self.parsed
    }

    /// The tag of a registry, which may not have a `+`.
    pub fn as_tag(&self) -> String {
        self.text.replace('+', "_")
    }
}

fn is_number(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.parsed == other.parsed
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parsed.cmp(&other.parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_read_as_helm_reads_them() {
        for (text, whole) in [
            ("1.2.3", "1.2.3"),
            ("v1.2.3", "1.2.3"),
            ("1", "1.0.0"),
            ("1.2", "1.2.0"),
            ("1.2-rc.1", "1.2.0-rc.1"),
            ("01.02.03", "1.2.3"),
            ("0.1.0+build.5", "0.1.0+build.5"),
            ("1.0.0-alpha-2+a-b", "1.0.0-alpha-2+a-b"),
        ] {
            assert_eq!(version(text).parsed().to_string(), whole, "{text}");
            assert_eq!(version(text).to_string(), text);
        }
        for text in [
            "",
            "v",
            "x",
            "1.x",
            "1.2.3.4",
            "1..2",
            "1.2.",
            "-1.0.0",
            "1.0.0-",
            "1.0.0+",
            " 1.0.0",
            "1.0.0 ",
            "1.0.0-ä",
            "1.0.0-01",
            "99999999999999999999.0.0",
            "V1.0.0",
            "1.0.0\n",
            "1.0.0-a..b",
            "1.0.0+a+b",
        ] {
            assert!(Version::parse(text).is_err(), "{text:?}");
        }
        assert!(Version::parse(&format!("1.0.0-{}", "a".repeat(300))).is_err());
    }

    #[test]
    fn versions_have_the_order_of_semver() {
        let ordered = [
            "0.0.1",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.2",
            "1.10.0",
            "v2",
        ];

        let mut sorted: Vec<Version> = ordered.iter().rev().map(|text| version(text)).collect();
        sorted.sort();

        assert_eq!(sorted.iter().map(Version::as_str).collect::<Vec<_>>(), ordered);
        assert_eq!(version("v1.2"), version("1.2.0"));
    }

    #[test]
    fn a_tag_has_no_plus() {
        assert_eq!(version("1.0.0+build.1").as_tag(), "1.0.0_build.1");
    }
}
