//! The one front for both kinds of repositories.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::cache::{Cache, Key, Resolved};
use super::credentials::Credentials;
use super::error::RepositoryError;
use super::http::{Freshness, HttpRepository, INDEX_FRESH};
use super::oci::{OciRepository, Tokens};
use super::transport::Transport;
use super::{ChartRef, Fetched, address};
use crate::index::IndexBudget;
use crate::{Digest, Version};

/// How a client works. `ChartClientOptions::new(folder)` is right for most.
#[derive(Debug, Clone)]
pub struct ChartClientOptions {
    /// Where charts and indexes are kept; nobody else may write there.
    pub cache: PathBuf,
    /// Bytes of charts that are kept.
    pub cache_limit: u64,
    /// How long one fetch may take, all its requests together.
    pub deadline: Duration,
    /// An index that was looked at less long ago is not asked for again, unless something is missing in it.
    pub index_fresh: Duration,
    pub index: IndexBudget,
    pub user_agent: String,
    /// Certificates (PEM) of authorities beside those of the system.
    pub extra_roots: Vec<u8>,
    /// Registries (`HOST` or `HOST:PORT`) that are spoken to without encryption. This machine's own always are.
    pub plain_http_registries: Vec<String>,
}

impl ChartClientOptions {
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            cache: cache.into(),
            cache_limit: 1 << 30,
            deadline: Duration::from_secs(120),
            index_fresh: INDEX_FRESH,
            index: IndexBudget::default(),
            user_agent: concat!("c7n/", env!("CARGO_PKG_VERSION")).to_owned(),
            extra_roots: Vec::new(),
            plain_http_registries: Vec::new(),
        }
    }
}

/// Whether the chart's signature is fetched with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    Wanted,
    Unwanted,
}

/// Gets charts. Cheap to clone; clones share cache and connections.
#[derive(Clone)]
pub struct ChartClient(Arc<Inner>);

struct Inner {
    options: ChartClientOptions,
    transport: Transport,
    cache: Cache,
    tokens: Tokens,
    /// When each index was last asked for; held while it is.
    indexes: Mutex<HashMap<Key, IndexLock>>,
    parsing: Semaphore,
}

type IndexLock = Arc<tokio::sync::Mutex<Option<Instant>>>;

/// More repositories than this are not remembered as fresh; they are only asked again.
const MOST_INDEXES: usize = 1000;

impl ChartClient {
    /// Creates the folder. Blocks for as long as that takes.
    pub fn new(options: ChartClientOptions) -> Result<Self, RepositoryError> {
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(&options.user_agent, &options.extra_roots)?,
            cache: Cache::open(&options.cache, options.cache_limit)?,
            tokens: Tokens::default(),
            indexes: Mutex::default(),
            parsing: Semaphore::new(1),
            options,
        })))
    }

    /// The same, but it believes these authorities (PEM) too. Shares the cache's folder; what either has got, only it finds there.
    pub fn trusting(&self, authorities: &[u8]) -> Result<Self, RepositoryError> {
        let mut options = self.0.options.clone();
        options.extra_roots.push(b'\n');
        options.extra_roots.extend_from_slice(authorities);
        // They are looked at alone, too: those of the client must not stand in for them.
        Transport::new(&options.user_agent, authorities)?;
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(&options.user_agent, &options.extra_roots)?,
            cache: self.0.cache.for_authorities(Digest::of(authorities)),
            tokens: Tokens::default(),
            indexes: Mutex::default(),
            parsing: Semaphore::new(1),
            options,
        })))
    }

    /// The archive on disk: complete, of the digest that the repository tells, and really the chart that was asked for.
    ///
    /// While the repository is away, what the same request led to before is given out again if it is still here.
    pub async fn fetch(
        &self,
        chart: &ChartRef,
        credentials: Option<&Credentials>,
        provenance: Provenance,
    ) -> Result<Fetched, RepositoryError> {
        let parts = ["resolved", &chart.repo_url, &chart.name, &chart.version];
        let key = self.cache().key(&parts, credentials);
        let fetched = self
            .in_time(&chart.repo_url, self.fetch_now(chart, credentials, provenance))
            .await;
        match fetched {
            Ok(fetched) => {
                let resolved = Resolved {
                    version: fetched.resolved_version.clone(),
                    digest: fetched.digest,
                };
                let cache = self.cache().clone();
                blocking(move || {
                    if cache.resolved(&key).as_ref() == Some(&resolved) {
                        return Ok(());
                    }
                    cache.remember(&key, &resolved)
                })
                .await?;
                Ok(fetched)
            }
            Err(error) if error.is_transient() => self.kept(chart, &key, provenance).ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// All versions of a chart, newest first.
    pub async fn versions(
        &self,
        repo_url: &str,
        name: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<Version>, RepositoryError> {
        check_name(name)?;
        let url = address::parse(repo_url)?;
        self.in_time(repo_url, async {
            if url.scheme() == "oci" {
                let repository = OciRepository::new(self, &url, name, credentials)?;
                return repository.versions().await;
            }
            let repository = HttpRepository {
                client: self,
                url: url.clone(),
                credentials,
            };
            let index = repository.index(name, Freshness::Now).await?;
            if index.entries.contains_key(name) {
                Ok(index.versions(name))
            } else {
                Err(crate::IndexError::NoChart(name.to_owned()).into())
            }
        })
        .await
    }

    async fn fetch_now(
        &self,
        chart: &ChartRef,
        credentials: Option<&Credentials>,
        provenance: Provenance,
    ) -> Result<Fetched, RepositoryError> {
        check_name(&chart.name)?;
        let url = address::parse(&chart.repo_url)?;
        if url.scheme() == "oci" {
            let repository = OciRepository::new(self, &url, &chart.name, credentials)?;
            repository.fetch(&chart.version, provenance).await
        } else {
            let repository = HttpRepository {
                client: self,
                url,
                credentials,
            };
            repository.fetch(chart, provenance).await
        }
    }

    fn kept(&self, chart: &ChartRef, key: &Key, provenance: Provenance) -> Option<Fetched> {
        let Resolved { version, digest } = self.cache().resolved(key)?;
        let file = format!("{}-{version}.tgz", chart.name);
        let archive = self.cache().chart(&digest, &file)?;
        let prov = match provenance {
            Provenance::Unwanted => None,
            Provenance::Wanted => Some(self.cache().chart(&digest, &format!("{file}.prov"))?),
        };
        tracing::warn!(
            chart = chart.name,
            version,
            "the repository is away; the chart of the last time is used"
        );
        Some(Fetched {
            archive,
            digest,
            prov,
            resolved_version: version,
        })
    }

    async fn in_time<T>(
        &self,
        repo_url: &str,
        work: impl Future<Output = Result<T, RepositoryError>>,
    ) -> Result<T, RepositoryError> {
        let after = self.0.options.deadline;
        match tokio::time::timeout(after, work).await {
            Ok(done) => done,
            Err(_) => Err(RepositoryError::Deadline {
                url: address::parse(repo_url)
                    .map_or_else(|_| String::new(), |url| super::transport::shown(&url)),
                after,
            }),
        }
    }

    pub(super) fn options(&self) -> &ChartClientOptions {
        &self.0.options
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.0.transport
    }

    pub(super) fn cache(&self) -> &Cache {
        &self.0.cache
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(super) fn lock(&self, key: &Key) -> IndexLock {
        let mut indexes = self.0.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if indexes.len() >= MOST_INDEXES && !indexes.contains_key(key) {
            indexes.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        indexes.entry(key.clone()).or_default().clone()
    }

    pub(super) async fn parsing(&self) -> Option<SemaphorePermit<'_>> {
        self.0.parsing.acquire().await.ok()
    }
}

fn check_name(name: &str) -> Result<(), RepositoryError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 250 || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(RepositoryError::Name(name.chars().take(80).collect()));
    }
    Ok(())
}

/// Disk work, away from the threads that serve sockets.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static,
) -> Result<T, RepositoryError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(RepositoryError::Cache {
            what: "working on it",
            error: std::io::Error::other(error),
        }),
    }
}
