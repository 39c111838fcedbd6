//! Chart repositories over HTTP: an `index.yaml`, and archives at the addresses it tells.

use std::time::{Duration, Instant};

use reqwest::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{StatusCode, Url};

use super::cache::{Key, Validators};
use super::client::{ChartClient, Provenance, blocking};
use super::credentials::{Authorization, Credentials};
use super::download;
use super::error::RepositoryError;
use super::transport::{self, Ask};
use super::{ChartRef, Fetched};
use crate::Index;

/// A signature and a copy of Chart.yaml: some kilobytes.
pub(super) const MOST_PROVENANCE: u64 = 1 << 20;

/// One repository as one user sees it.
pub(super) struct HttpRepository<'a> {
    pub client: &'a ChartClient,
    pub url: Url,
    pub credentials: Option<&'a Credentials>,
}

impl HttpRepository<'_> {
    pub async fn fetch(&self, chart: &ChartRef, provenance: Provenance) -> Result<Fetched, RepositoryError> {
        let index = self.index(&chart.name, Freshness::Recent).await?;
        let found = index.resolve(&chart.name, &chart.version).cloned();
        let entry = match found {
            Ok(entry) => entry,
            // It may have been published a moment ago.
            Err(_) => {
                let index = self.index(&chart.name, Freshness::Now).await?;
                index.resolve(&chart.name, &chart.version)?.clone()
            }
        };
        let told = entry.digest();
        let version = entry.metadata.version.clone();
        let address = entry.url(self.url.as_str())?;
        let url = super::address::parse(&address)?;
        if url.scheme() == "oci" {
            return self.fetch_oci(chart, &url, told, provenance).await;
        }
        let authorization = self.authorization(&url);
        let file = format!("{}-{version}.tgz", chart.name);

        let (archive, digest) =
            match told.and_then(|digest| Some((self.client.cache().chart(&digest, &file)?, digest))) {
                Some(known) => known,
                None => {
                    let ask = Ask::new(url.clone(), authorization.clone());
                    let answer = self.client.transport().get(ask).await?;
                    let download = download::Wanted {
                        chart: &chart.name,
                        version: Some(&version),
                        url: &url,
                        digest: told,
                    };
                    download::archive(self.client, answer, &download, &file).await?
                }
            };
        let prov = match provenance {
            Provenance::Unwanted => None,
            Provenance::Wanted => {
                let mut prov = url.clone();
                prov.set_path(&format!("{}.prov", url.path()));
                let answer = self
                    .client
                    .transport()
                    .get(Ask::new(prov.clone(), authorization))
                    .await;
                let answer = match answer {
                    Err(RepositoryError::NotFound { .. }) => {
                        return Err(RepositoryError::NoProvenance {
                            chart: format!("{} {version}", chart.name),
                        });
                    }
                    other => other?,
                };
                let content = transport::body(answer, &prov, MOST_PROVENANCE).await?;
                Some(download::provenance(self.client, &digest, &file, content).await?)
            }
        };
        Ok(Fetched {
            archive,
            digest,
            prov,
            resolved_version: version,
        })
    }

    /// What is known of one chart.
    pub async fn index(&self, chart: &str, freshness: Freshness) -> Result<Index, RepositoryError> {
        let key = self
            .client
            .cache()
            .key(&["index", self.url.as_str()], self.credentials);
        // One at a time: a hundred releases of one repository ask once.
        let lock = self.client.lock(&key);
        let mut checked = lock.lock().await;
        let is_recent = checked.is_some_and(|at: Instant| at.elapsed() < self.client.options().index_fresh);
        if freshness == Freshness::Now || !is_recent {
            self.refresh(&key).await?;
            *checked = Some(Instant::now());
        }
        drop(checked);
        let (cache, chart) = (self.client.cache().clone(), chart.to_owned());
        blocking(move || cache.index_of(&key, &chart)).await
    }

    async fn refresh(&self, key: &Key) -> Result<(), RepositoryError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/index.yaml", self.url.path().trim_end_matches('/')));
        let known = {
            let (cache, key) = (self.client.cache().clone(), key.clone());
            blocking(move || Ok(cache.validators(&key))).await?
        };
        let mut ask = Ask::new(url.clone(), self.authorization(&url));
        if let Some(Validators { etag, last_modified }) = &known {
            if let Some(etag) = etag {
                ask = ask.header(IF_NONE_MATCH, etag);
            }
            if let Some(time) = last_modified {
                ask = ask.header(IF_MODIFIED_SINCE, time);
            }
        }
        let answer = self.client.transport().get(ask).await?;
        if answer.status() == StatusCode::NOT_MODIFIED && known.is_some() {
            return Ok(());
        }
        let text = |name| {
            let value: Option<&reqwest::header::HeaderValue> = answer.headers().get(name);
            value.and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let validators = Validators {
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
        };
        let budget = self.client.options().index;
        let bytes = transport::body(answer, &url, budget.bytes).await?;
        // Parsing is where memory goes: one at a time.
        let _turn = self.client.parsing().await;
        let (cache, key) = (self.client.cache().clone(), key.clone());
        let head = blocking(move || cache.keep_index(&key, &validators, &bytes, &budget)).await?;
        if let Some(first) = head.skipped.first() {
            tracing::warn!(
                repository = transport::shown(&self.url),
                skipped = head.skipped.len(),
                chart = first.chart,
                reason = first.reason,
                "the index has entries that were left out"
            );
        }
        Ok(())
    }

    /// Only for the repository's own host: an index may point anywhere.
    fn authorization(&self, url: &Url) -> Option<Authorization> {
        if transport::same_origin(&self.url, url) {
            self.credentials?.for_host(url)
        } else {
            None
        }
    }

    /// An index may name an archive in a registry.
    async fn fetch_oci(
        &self,
        chart: &ChartRef,
        url: &Url,
        told: Option<crate::Digest>,
        provenance: Provenance,
    ) -> Result<Fetched, RepositoryError> {
        let registry = super::oci::OciRepository::of_reference(self.client, url)?;
        let fetched = registry.fetch_tagged(&chart.name, provenance).await?;
        match told {
            Some(told) if told != fetched.digest => Err(RepositoryError::WrongDigest {
                url: transport::shown(url),
                told: told.to_string(),
                found: fetched.digest,
            }),
            _ => Ok(fetched),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// As it was a moment ago is good enough.
    Recent,
    Now,
}

/// How long an index counts as recent, unless told otherwise.
pub(super) const INDEX_FRESH: Duration = Duration::from_secs(5);
