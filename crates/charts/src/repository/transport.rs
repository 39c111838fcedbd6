//! One way for every request: addresses checked, redirects followed by hand, credentials to their own host alone, nothing
//! without limit.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Certificate, Method, Response, StatusCode, Url};

use super::address::{self, AddressError, GuardedResolver};
use super::credentials::Authorization;
use super::error::RepositoryError;

const MOST_REDIRECTS: usize = 5;
const CONNECT: Duration = Duration::from_secs(10);
/// Between two reads: a repository that trickles is given up.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
}

/// A question; always a GET.
pub(super) struct Ask {
    pub url: Url,
    pub authorization: Option<Authorization>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Ask {
    pub fn new(url: Url, authorization: Option<Authorization>) -> Self {
        Self {
            url,
            authorization,
            headers: Vec::new(),
        }
    }

    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        // A value that no header can have is left out: it came from a server and is only repeated to it.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

impl Transport {
    /// `roots` are certificates of authorities beside those of the system.
    pub fn new(user_agent: &str, roots: &[u8]) -> Result<Self, RepositoryError> {
        let settings = |error: reqwest::Error| RepositoryError::Settings(root(&error));
        let roots = match roots {
            [] => Vec::new(),
            pem => {
                let roots = Certificate::from_pem_bundle(pem).map_err(settings)?;
                if roots.is_empty() {
                    let words = "there is no certificate in PEM among the authorities";
                    return Err(RepositoryError::Settings(words.to_owned()));
                }
                roots
            }
        };
        let http = reqwest::Client::builder()
            .user_agent(user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .pool_idle_timeout(Duration::from_secs(30))
            .dns_resolver(GuardedResolver)
            .tls_certs_merge(roots)
            .build()
            .map_err(settings)?;
        Ok(Self { http })
    }

    /// The answer, wherever it is found. Credentials stay with the host that was asked first: once a redirect has left it, they are
    /// not sent again, not even on the way back.
    pub async fn send(&self, ask: Ask) -> Result<Response, RepositoryError> {
        let mut url = ask.url;
        let mut authorization = ask.authorization;
        for _ in 0..=MOST_REDIRECTS {
            address::check(&url)?;
            let mut request = self.http.request(Method::GET, url.clone());
            for (name, value) in &ask.headers {
                request = request.header(name, value);
            }
            request = match &authorization {
                Some(Authorization::Basic { username, password }) => {
                    request.basic_auth(username, Some(password))
                }
                Some(Authorization::Bearer(token)) => request.bearer_auth(token),
                None => request,
            };
            let answer = request.send().await.map_err(|error| failed(&url, error))?;
            let is_redirect = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect {
                return Ok(answer);
            }
            let next = target(&url, answer.headers())?;
            if !same_origin(&url, &next) {
                authorization = None;
            }
            url = next;
        }
        Err(RepositoryError::Redirect {
            url: shown(&url),
            reason: "too often",
        })
    }

    /// The answer of a `send` that must have succeeded.
    pub async fn get(&self, ask: Ask) -> Result<Response, RepositoryError> {
        let url = ask.url.clone();
        let authorization = ask.authorization.is_some();
        let answer = self.send(ask).await?;
        succeeded(&url, authorization, answer)
    }
}

fn target(url: &Url, headers: &HeaderMap) -> Result<Url, RepositoryError> {
    let refused = |reason| RepositoryError::Redirect {
        url: shown(url),
        reason,
    };
    let next = headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| url.join(location).ok())
        .ok_or_else(|| refused("without saying where to"))?;
    match (url.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => {}
        ("https", "http") => return Err(refused("to an address without encryption")),
        _ => return Err(refused("to something that is not HTTP")),
    }
    address::check(&next)?;
    Ok(next)
}

pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Sorts the answers that are none.
pub(super) fn succeeded(url: &Url, authorized: bool, answer: Response) -> Result<Response, RepositoryError> {
    let status = answer.status();
    let (url, code) = (shown(url), status.as_u16());
    match status {
        _ if status.is_success() || status == StatusCode::NOT_MODIFIED => Ok(answer),
        StatusCode::UNAUTHORIZED if !authorized => Err(RepositoryError::CredentialsWanted { url }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(RepositoryError::CredentialsRefused { url, status: code })
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Err(RepositoryError::NotFound { url, status: code }),
        _ => Err(RepositoryError::Status { url, status: code }),
    }
}

/// Reads a body into memory, up to a limit.
pub(super) async fn body(mut answer: Response, url: &Url, limit: u64) -> Result<Vec<u8>, RepositoryError> {
    let too_big = || RepositoryError::TooBig {
        url: shown(url),
        limit,
    };
    if answer.content_length().is_some_and(|length| length > limit) {
        return Err(too_big());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| failed(url, error))? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(too_big());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// An address as it may be shown: queries may hold tokens.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

pub(super) fn failed(url: &Url, error: reqwest::Error) -> RepositoryError {
    // Its query may hold a token.
    let error = error.without_url();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<AddressError>() {
            return refused.clone().into();
        }
        cause = inner.source();
    }
    if let Some(reason) = distrust(&error) {
        return RepositoryError::Untrusted {
            url: shown(url),
            reason,
        };
    }
    if error.is_timeout() {
        let after = if error.is_connect() { CONNECT } else { SILENCE };
        return RepositoryError::Deadline {
            url: shown(url),
            after,
        };
    }
    RepositoryError::Unreachable {
        url: shown(url),
        reason: root(&error),
    }
}

/// Why the other end's certificate is not believed, if that is what is wrong.
fn distrust(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(rustls::Error::InvalidCertificate(reason)) = inner.downcast_ref() {
            return Some(reason.to_string());
        }
        // An I/O error does not count what it wraps among its sources.
        let wrapped = inner.downcast_ref::<std::io::Error>().and_then(|it| it.get_ref());
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    None
}

/// The deepest reason: the outer ones only say that a request failed.
fn root(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(next) = deepest.source() {
        deepest = next;
    }
    deepest.to_string()
}
