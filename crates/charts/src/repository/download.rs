//! An archive from the wire to its place in the cache: bounded, hashed, looked into.

use std::io::Write as _;
use std::path::PathBuf;

use reqwest::{Response, Url};
use sha2::{Digest as _, Sha256};

use super::client::{ChartClient, blocking};
use super::error::RepositoryError;
use super::transport::{failed, shown};
use crate::{Budget, ChartArchive, Digest, Version};

/// What was asked for, to hold what comes against.
pub(super) struct Wanted<'a> {
    pub chart: &'a str,
    pub version: Option<&'a str>,
    pub url: &'a Url,
    pub digest: Option<Digest>,
}

pub(super) async fn archive(
    client: &ChartClient,
    mut answer: Response,
    wanted: &Wanted<'_>,
    file: &str,
) -> Result<(PathBuf, Digest), RepositoryError> {
    let limit = Budget::default().compressed;
    let too_big = || RepositoryError::TooBig {
        url: shown(wanted.url),
        limit,
    };
    if answer.content_length().is_some_and(|length| length > limit) {
        return Err(too_big());
    }
    let cache = client.cache().clone();
    let mut target = blocking(move || cache.temporary()).await?;
    let mut hash = Sha256::new();
    let mut size = 0;
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(wanted.url, error))? {
        size += chunk.len() as u64;
        if size > limit {
            return Err(too_big());
        }
        hash.update(&chunk);
        // A few kilobytes into the page cache; the disk is not waited for.
        target.write_all(&chunk).map_err(|error| RepositoryError::Cache {
            what: "writing a chart",
            error,
        })?;
    }
    let digest = Digest::from(hash);
    if let Some(told) = wanted.digest.filter(|told| *told != digest) {
        return Err(RepositoryError::WrongDigest {
            url: shown(wanted.url),
            told: told.to_string(),
            found: digest,
        });
    }

    let url = shown(wanted.url);
    let chart = wanted.chart.to_owned();
    let version = wanted.version.map(str::to_owned);
    let (cache, file) = (client.cache().clone(), file.to_owned());
    let path = blocking(move || {
        let reopened = target.reopen().map_err(|error| RepositoryError::Cache {
            what: "reading a chart",
            error,
        })?;
        let archive = match ChartArchive::read(reopened, &Budget::default()) {
            Ok(archive) => archive,
            Err(error) => return Err(RepositoryError::Archive { url, error }),
        };
        let (name, found) = (&archive.metadata.name, &archive.metadata.version);
        let is_wanted_version = version
            .as_ref()
            .is_none_or(|version| Version::parse(version).ok() == archive.metadata.version());
        if *name != chart || !is_wanted_version {
            return Err(RepositoryError::WrongChart {
                url,
                wanted: format!("{chart} {}", version.unwrap_or_default()),
                found: format!("{name} {found}"),
            });
        }
        cache.keep_chart(&digest, &file, target)
    })
    .await?;
    Ok((path, digest))
}

/// Keeps a provenance file beside its archive, under the name that `helm verify` looks for.
pub(super) async fn provenance(
    client: &ChartClient,
    digest: &Digest,
    file: &str,
    content: Vec<u8>,
) -> Result<PathBuf, RepositoryError> {
    let (cache, digest, file) = (client.cache().clone(), *digest, format!("{file}.prov"));
    blocking(move || {
        let mut target = cache.temporary()?;
        target
            .write_all(&content)
            .map_err(|error| RepositoryError::Cache {
                what: "writing a provenance file",
                error,
            })?;
        cache.keep_beside(&digest, &file, target)
    })
    .await
}
