//! From what a person asks for to one entry and its address.

use super::{Index, IndexEntry, IndexError};
use crate::{Constraint, Version};

/// So many versions are named to somebody who asked for one that is not there.
const NAMED: usize = 5;

impl Index {
    /// One version of a chart: exactly the one that is written, else the newest that the range holds; nothing written means the
    /// newest stable one.
    pub fn resolve(&self, chart: &str, wanted: &str) -> Result<&IndexEntry, IndexError> {
        let versions = self
            .entries
            .get(chart)
            .ok_or_else(|| IndexError::NoChart(chart.to_owned()))?;
        let exactly = versions.iter().find(|entry| entry.metadata.version == wanted);
        if let Some(entry) = exactly {
            return Ok(entry);
        }
        let range = Constraint::parse(wanted)?;
        versions
            .iter()
            .find(|entry| entry.version().is_some_and(|version| range.holds(&version)))
            .ok_or_else(|| IndexError::NoVersion {
                chart: chart.to_owned(),
                wanted: if wanted.is_empty() {
                    "the newest stable"
                } else {
                    wanted
                }
                .to_owned(),
                known: versions
                    .iter()
                    .take(NAMED)
                    .map(|entry| entry.metadata.version.clone())
                    .collect(),
            })
    }

    /// All versions of a chart, newest first.
    pub fn versions(&self, chart: &str) -> Vec<Version> {
        let entries = self.entries.get(chart).map(Vec::as_slice).unwrap_or_default();
        entries.iter().filter_map(IndexEntry::version).collect()
    }
}

impl IndexEntry {
    /// Where the archive is, seen from the repository's own address.
    pub fn url(&self, repository: &str) -> Result<String, IndexError> {
        let url = self.urls.first().ok_or_else(|| IndexError::NoUrl {
            chart: self.metadata.name.clone(),
            version: self.metadata.version.clone(),
        })?;
        join_url(repository, url)
    }
}

/// An address in an index, which may be relative to the repository. Its query, if the repository has one, is kept (as Helm does).
pub fn join_url(repository: &str, url: &str) -> Result<String, IndexError> {
    let bad = || IndexError::BadUrl {
        url: url.chars().take(200).collect(),
    };
    if url.is_empty() || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(bad());
    }
    if let Some((scheme, _)) = url.split_once("://")
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        let is_known = ["http", "https", "oci"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme));
        return if is_known { Ok(url.to_owned()) } else { Err(bad()) };
    }
    let (base, query) = match repository.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (repository, String::new()),
    };
    let base = base.trim_end_matches('/');
    if let Some(path) = url.strip_prefix('/') {
        // From the root of the host; `//HOST` would be another one.
        if path.starts_with('/') {
            return Err(bad());
        }
        let authority = base.find("://").map_or(0, |at| at + 3);
        let root = base[authority..]
            .find('/')
            .map_or(base, |slash| &base[..authority + slash]);
        return Ok(format!("{root}/{path}{query}"));
    }
    Ok(format!("{base}/{url}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_seen_from_the_repository() {
        for (repository, url, whole) in [
            ("https://h/charts", "web-1.tgz", "https://h/charts/web-1.tgz"),
            ("https://h/charts/", "a/web-1.tgz", "https://h/charts/a/web-1.tgz"),
            ("https://h/charts", "/web-1.tgz", "https://h/web-1.tgz"),
            ("https://h", "/web-1.tgz", "https://h/web-1.tgz"),
            ("https://h/c?k=v", "web-1.tgz", "https://h/c/web-1.tgz?k=v"),
            ("https://h/c", "https://other/w.tgz", "https://other/w.tgz"),
            ("https://h/c", "oci://other/w:1", "oci://other/w:1"),
        ] {
            assert_eq!(
                join_url(repository, url).as_deref(),
                Ok(whole),
                "{repository} {url}"
            );
        }
        for url in [
            "",
            "file:///etc/passwd",
            "ftp://h/a.tgz",
            "//other/w.tgz",
            "a\nb",
            "a b",
        ] {
            assert!(join_url("https://h/c", url).is_err(), "{url:?}");
        }
    }
}
