//! Charts in OCI registries (OCI distribution 1.1; media types as `helm push` writes them).

mod challenge;
mod manifest;
mod tokens;

use std::time::Duration;

use reqwest::header::{ACCEPT, LINK, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

pub(super) use tokens::Tokens;

use self::challenge::Challenge;
use self::manifest::{Blob, Manifest, ManifestError};
use super::address::{self, AddressError};
use super::cache::Key;
use super::client::{ChartClient, Provenance};
use super::credentials::{Authorization, Credentials};
use super::error::RepositoryError;
use super::http::MOST_PROVENANCE;
use super::transport::{self, Ask, same_origin, shown};
use super::{Fetched, download};
use crate::{Budget, Constraint, Digest, IndexError, Version};

const MOST_MANIFEST: u64 = 1 << 20;
const MOST_TOKEN: u64 = 256 << 10;
/// One page of tags, and all of them.
const MOST_TAGS: u64 = 4 << 20;
const MOST_PAGES: usize = 100;
/// How long a registry's wish for Basic is remembered.
const BASIC_HOLDS: Duration = Duration::from_secs(600);

/// One chart's place in a registry, as one user sees it.
pub(super) struct OciRepository<'a> {
    client: &'a ChartClient,
    /// `https://HOST:PORT/`
    registry: Url,
    /// `PATH/NAME`
    path: String,
    name: String,
    /// Where the address itself names one.
    tag: Option<String>,
    credentials: Option<&'a Credentials>,
}

impl<'a> OciRepository<'a> {
    pub fn new(
        client: &'a ChartClient,
        url: &Url,
        name: &str,
        credentials: Option<&'a Credentials>,
    ) -> Result<Self, RepositoryError> {
        let folder = url.path().trim_matches('/');
        let path = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        check_path(&path)?;
        Ok(Self {
            registry: registry(client, url)?,
            client,
            path,
            name: name.to_owned(),
            tag: None,
            credentials,
        })
    }

    /// `oci://HOST/PATH/NAME:TAG`, from an index. No credentials: they belong to the index's host.
    pub fn of_reference(client: &'a ChartClient, url: &Url) -> Result<Self, RepositoryError> {
        let not_a_url = || AddressError::NotAUrl(shown(url));
        let reference = url.path().trim_matches('/');
        let (path, tag) = reference.rsplit_once(':').ok_or_else(not_a_url)?;
        check_path(path)?;
        let name = path.rsplit('/').next().unwrap_or(path);
        Ok(Self {
            registry: registry(client, url)?,
            client,
            path: path.to_owned(),
            name: name.to_owned(),
            tag: Some(tag.to_owned()),
            credentials: None,
        })
    }

    pub async fn fetch(&self, wanted: &str, provenance: Provenance) -> Result<Fetched, RepositoryError> {
        if !is_exact(wanted) {
            let range = Constraint::parse(wanted)?;
            let versions = self.versions().await?;
            let version = range
                .newest(&versions)
                .ok_or_else(|| self.no_version(wanted, &versions))?;
            return self.fetch_tag(&version.as_tag(), provenance).await;
        }
        match self
            .fetch_tag(&Version::parse(wanted)?.as_tag(), provenance)
            .await
        {
            Err(RepositoryError::NotFound { url, status }) => {
                // Says what there is, if that can be found out.
                Err(match self.versions().await {
                    Ok(versions) if !versions.is_empty() => self.no_version(wanted, &versions),
                    _ => RepositoryError::NotFound { url, status },
                })
            }
            other => other,
        }
    }

    pub async fn fetch_tagged(&self, name: &str, provenance: Provenance) -> Result<Fetched, RepositoryError> {
        if name != self.name {
            return Err(RepositoryError::WrongChart {
                url: shown(&self.registry),
                wanted: name.to_owned(),
                found: self.name.clone(),
            });
        }
        self.fetch_tag(self.tag.as_deref().unwrap_or("latest"), provenance)
            .await
    }

    fn no_version(&self, wanted: &str, versions: &[Version]) -> RepositoryError {
        IndexError::NoVersion {
            chart: self.name.clone(),
            wanted: if wanted.is_empty() {
                "the newest stable"
            } else {
                wanted
            }
            .to_owned(),
            known: versions.iter().take(5).map(Version::to_string).collect(),
        }
        .into()
    }

    async fn fetch_tag(&self, tag: &str, provenance: Provenance) -> Result<Fetched, RepositoryError> {
        let (manifest, url) = self.manifest(tag).await?;
        let version = tag.replace('_', "+");
        // It becomes part of a file's name.
        Version::parse(&version)?;
        let file = format!("{}-{version}.tgz", self.name);
        let digest = manifest.chart.digest;
        let archive = match self.client.cache().chart(&digest, &file) {
            Some(archive) => archive,
            None => {
                let (answer, url) = self.blob(&manifest.chart, Budget::default().compressed).await?;
                let wanted = download::Wanted {
                    chart: &self.name,
                    version: Some(&version),
                    url: &url,
                    digest: Some(digest),
                };
                download::archive(self.client, answer, &wanted, &file).await?.0
            }
        };
        let prov = match (provenance, &manifest.provenance) {
            (Provenance::Unwanted, _) => None,
            (Provenance::Wanted, None) => {
                return Err(RepositoryError::NoProvenance {
                    chart: format!("{} {version} ({})", self.name, shown(&url)),
                });
            }
            (Provenance::Wanted, Some(blob)) => {
                let (answer, url) = self.blob(blob, MOST_PROVENANCE).await?;
                let content = transport::body(answer, &url, MOST_PROVENANCE).await?;
                check_digest(&url, &content, &blob.digest)?;
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

    async fn manifest(&self, tag: &str) -> Result<(Manifest, Url), RepositoryError> {
        let url = self.url(&format!("manifests/{tag}"))?;
        let answer = self.ask(&url, manifest::ACCEPT).await?;
        let told = answer
            .headers()
            .get("docker-content-digest")
            .and_then(|digest| digest.to_str().ok()?.parse::<Digest>().ok());
        let content = transport::body(answer, &url, MOST_MANIFEST).await?;
        if let Some(told) = told {
            check_digest(&url, &content, &told)?;
        }
        match Manifest::parse(&content) {
            Ok(manifest) => Ok((manifest, url)),
            Err(ManifestError::NotAChart(media_type)) => Err(RepositoryError::NotAChart {
                url: shown(&url),
                media_type,
            }),
            Err(ManifestError::Unreadable(reason)) => Err(RepositoryError::NotARegistry {
                url: shown(&url),
                reason,
            }),
        }
    }

    async fn blob(&self, blob: &Blob, limit: u64) -> Result<(Response, Url), RepositoryError> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        if blob.size > limit {
            return Err(RepositoryError::TooBig {
                url: shown(&url),
                limit,
            });
        }
        let answer = self.ask(&url, "*/*").await?;
        Ok((answer, url))
    }

    /// All versions, newest first. Tags that are no versions are not.
    pub async fn versions(&self) -> Result<Vec<Version>, RepositoryError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut versions = Vec::new();
        let mut url = self.url("tags/list")?;
        url.set_query(Some("n=1000"));
        for _ in 0..MOST_PAGES {
            let answer = self.ask(&url, "application/json").await?;
            let next = answer
                .headers()
                .get(LINK)
                .and_then(|link| next_page(&url, link.to_str().ok()?));
            let content = transport::body(answer, &url, MOST_TAGS).await?;
            let page: Page =
                serde_json::from_slice(&content).map_err(|error| RepositoryError::NotARegistry {
                    url: shown(&url),
                    reason: error.to_string(),
                })?;
            let tags = page.tags.unwrap_or_default();
            versions.extend(
                tags.iter()
                    .filter_map(|tag| Version::parse(&tag.replace('_', "+")).ok()),
            );
            match next.filter(|next| *next != url) {
                Some(next) => url = next,
                None => break,
            }
        }
        versions.sort_by(|a, b| b.cmp(a));
        Ok(versions)
    }

    fn url(&self, rest: &str) -> Result<Url, RepositoryError> {
        self.registry
            .join(&format!("/v2/{}/{rest}", self.path))
            .map_err(|_| AddressError::NotAUrl(self.path.clone()).into())
    }

    /// Asks, and proves who we are in the way the registry wants it.
    async fn ask(&self, url: &Url, accept: &str) -> Result<Response, RepositoryError> {
        let key = self
            .client
            .cache()
            .key(&["token", self.registry.as_str(), &self.path], self.credentials);
        let ask = |authorization| Ask::new(url.clone(), authorization).header(ACCEPT, accept);
        let known = self.client.tokens().get(&key);
        let answer = self.client.transport().send(ask(known)).await?;
        // A challenge from where a redirect led is not the registry's.
        if answer.status() != StatusCode::UNAUTHORIZED || !same_origin(url, answer.url()) {
            return transport::succeeded(url, self.credentials.is_some(), answer);
        }
        self.client.tokens().forget(&key);
        let headers = answer.headers().get_all(WWW_AUTHENTICATE);
        let challenge = Challenge::parse(headers.iter().filter_map(|header| header.to_str().ok()));
        let own = self
            .credentials
            .and_then(|credentials| credentials.for_host(&self.registry));
        let Some(authorization) = self.answer(challenge, own, &key).await? else {
            return transport::succeeded(url, false, answer);
        };
        let answer = self.client.transport().send(ask(Some(authorization))).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.client.tokens().forget(&key);
        }
        transport::succeeded(url, self.credentials.is_some(), answer)
    }

    async fn answer(
        &self,
        challenge: Option<Challenge>,
        own: Option<Authorization>,
        key: &Key,
    ) -> Result<Option<Authorization>, RepositoryError> {
        let (authorization, lifetime) = match (challenge, own) {
            (Some(Challenge::Basic), Some(own)) => (own, BASIC_HOLDS),
            // A token that somebody else got for us.
            (Some(Challenge::Bearer { .. }), Some(own @ Authorization::Bearer(_))) => (own, BASIC_HOLDS),
            (
                Some(Challenge::Bearer {
                    realm,
                    service,
                    scope,
                }),
                own,
            ) => {
                let (token, lifetime) = self.token(&realm, service, scope, own).await?;
                (Authorization::Bearer(token), lifetime)
            }
            _ => return Ok(None),
        };
        self.client
            .tokens()
            .keep(key.clone(), authorization.clone(), lifetime);
        Ok(Some(authorization))
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
        own: Option<Authorization>,
    ) -> Result<(String, Duration), RepositoryError> {
        let refused = |reason: &str| RepositoryError::NotARegistry {
            url: shown(&self.registry),
            reason: reason.to_owned(),
        };
        let mut url = Url::parse(realm).map_err(|_| refused("its token service has no address"))?;
        address::check(&url)?;
        // The password goes there: only in the same plain way in which the registry itself is spoken to, or encrypted.
        let is_same_host = url.host_str() == self.registry.host_str();
        let is_allowed = match url.scheme() {
            "https" => true,
            "http" => self.registry.scheme() == "http" && is_same_host,
            _ => false,
        };
        if !is_allowed {
            return Err(refused("its token service is not encrypted"));
        }
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.path));
        url.query_pairs_mut().append_pair("scope", &scope);
        let answer = self.client.transport().get(Ask::new(url.clone(), own)).await?;
        let content = transport::body(answer, &url, MOST_TOKEN).await?;
        serde_json::from_slice::<tokens::Issued>(&content)
            .ok()
            .and_then(tokens::Issued::usable)
            .ok_or_else(|| refused("its token service gives no token"))
    }
}

/// The address of the registry behind `oci://HOST:PORT/…`. Encrypted, except on this machine and where the settings say so.
fn registry(client: &ChartClient, url: &Url) -> Result<Url, RepositoryError> {
    let host = url.host_str().ok_or(AddressError::NoHost)?;
    let authority = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let is_plain = address::is_loopback(host)
        || client
            .options()
            .plain_http_registries
            .iter()
            .any(|plain| plain.eq_ignore_ascii_case(&authority));
    // As `docker login docker.io` has it.
    let authority = match authority.as_str() {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    };
    let scheme = if is_plain { "http" } else { "https" };
    let url = Url::parse(&format!("{scheme}://{authority}/"))
        .map_err(|_| AddressError::NotAUrl(authority.to_owned()))?;
    address::check(&url)?;
    Ok(url)
}

/// The grammar of repository names in the OCI distribution specification, a little more loosely.
fn check_path(path: &str) -> Result<(), RepositoryError> {
    let is_good = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .next()
                .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
    };
    if path.len() <= 255 && path.split('/').all(is_good) {
        Ok(())
    } else {
        Err(AddressError::NotAUrl(path.chars().take(100).collect()).into())
    }
}

/// A whole version, which is a tag; `1.2` would be a range.
fn is_exact(wanted: &str) -> bool {
    let numbers = wanted.split(['-', '+']).next().unwrap_or_default();
    numbers.matches('.').count() == 2 && Version::parse(wanted).is_ok()
}

/// `</v2/…?last=…>; rel="next"`, of the same registry.
fn next_page(url: &Url, link: &str) -> Option<Url> {
    let link = link
        .split(',')
        .find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))?;
    let (_, rest) = link.split_once('<')?;
    let (target, _) = rest.split_once('>')?;
    url.join(target).ok().filter(|next| same_origin(url, next))
}

fn check_digest(url: &Url, content: &[u8], told: &Digest) -> Result<(), RepositoryError> {
    let found = Digest::of(content);
    if found == *told {
        return Ok(());
    }
    Err(RepositoryError::WrongDigest {
        url: shown(url),
        told: told.to_string(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_version_is_a_tag_and_anything_else_a_range() {
        for wanted in ["1.2.3", "v1.2.3", "1.2.3-rc.1", "1.2.3+b.1"] {
            assert!(is_exact(wanted), "{wanted}");
        }
        for wanted in ["", "1.2", "1", "^1.2.3", "1.2.x", ">=1.2.3", "1.2.3 - 2.0.0"] {
            assert!(!is_exact(wanted), "{wanted}");
        }
    }

    #[test]
    fn the_next_page_is_of_the_same_registry() {
        let url = Url::parse("https://r/v2/a/tags/list?n=1").unwrap();
        let next = |link| next_page(&url, link).map(String::from);

        assert_eq!(
            next("</v2/a/tags/list?last=x&n=1>; rel=\"next\"").as_deref(),
            Some("https://r/v2/a/tags/list?last=x&n=1")
        );
        assert_eq!(next("<https://evil/v2/a/tags/list>; rel=\"next\""), None);
        assert_eq!(next("</v2/a>; rel=\"prev\""), None);
        assert_eq!(next("nonsense rel=next"), None);
    }

    #[test]
    fn paths_that_are_none_are_refused() {
        for path in ["a", "a/b-c/d_e.f1"] {
            assert!(check_path(path).is_ok(), "{path}");
        }
        for path in [
            "",
            "a//b",
            "A",
            "a/../b",
            ".a",
            "a?b",
            "a/%2e%2e/b",
            &"a".repeat(300),
        ] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}
