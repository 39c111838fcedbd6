//! The platform's own chart repository: the agent shows it the credential of its session, so that a release need not name a
//! Secret (docs/decisions/0010). Nobody else ever sees that credential.

use c7n_charts::Credentials;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::source::{ChartSource, Fetched, SourceError, Wanted};
use crate::config::Token;

/// A source that knows who the platform is.
pub struct WithOwnRepository<S> {
    inner: S,
    own: Option<Origin>,
    credential: watch::Receiver<Option<Token>>,
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: &'static str,
    host: String,
    port: u16,
}

impl<S> WithOwnRepository<S> {
    /// `connect` is the address that the agent dials.
    pub fn new(inner: S, connect: &str, credential: watch::Receiver<Option<Token>>) -> Self {
        Self {
            inner,
            own: Origin::parse(connect).map(|(own, _)| own),
            credential,
        }
    }

    /// The credential, where the address is the platform's.
    fn own(&self, repo_url: &str) -> Option<Credentials> {
        let (origin, path) = Origin::parse(repo_url)?;
        if self.own.as_ref() != Some(&origin) || !path.starts_with("/charts/") {
            return None;
        }
        let credential = self.credential.borrow();
        credential
            .as_ref()
            .map(|token| Credentials::token(token.reveal()))
    }
}

impl<S: ChartSource> ChartSource for WithOwnRepository<S> {
    fn fetch<'a>(
        &'a self,
        wanted: &'a Wanted,
        credentials: Option<&'a Credentials>,
        cancel: &'a CancellationToken,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        Box::pin(async move {
            let own = match credentials {
                Some(_) => None,
                None => self.own(&wanted.repo_url),
            };
            self.inner
                .fetch(wanted, credentials.or(own.as_ref()), cancel)
                .await
        })
    }
}

impl Origin {
    /// With the path behind it. `None` for what is no plain address: such a one is nobody's own.
    fn parse(url: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = url.split_once("://")?;
        let (scheme, usual) = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => ("http", 80),
            "https" | "wss" => ("https", 443),
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let odd = |c: char| matches!(c, '@' | '\\' | '?' | '#' | '%') || c.is_whitespace() || c.is_control();
        // Dots in the path could lead out of `/charts/`, also as `%2e` or with a tab between them, which readers of
        // addresses drop; and a backslash is a slash to some.
        if authority.is_empty() || authority.contains(odd) || path.contains("..") || path.contains(odd) {
            return None;
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, usual),
        };
        let origin = Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        };
        Some((origin, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    fn shows(connect: &str, repo_url: &str) -> bool {
        let (_sender, credential) = watch::channel(Some(Token::new("secret")));
        WithOwnRepository::new(Nobody, connect, credential)
            .own(repo_url)
            .is_some()
    }

    #[test]
    fn the_credential_is_for_the_platforms_own_repository() {
        for (connect, repo_url) in [
            ("ws://127.0.0.1:8080/agent/", "http://127.0.0.1:8080/charts/shop"),
            (
                "wss://c7n.example.com/agent/",
                "https://C7N.example.com:443/charts/shop",
            ),
            ("wss://[::1]:8443/agent/", "https://[::1]:8443/charts/shop"),
            ("wss://[::1]/agent/", "https://[::1]/charts/shop"),
        ] {
            assert!(shows(connect, repo_url), "{connect} {repo_url}");
        }
    }

    #[test]
    fn nobody_else_sees_it() {
        let connect = "wss://c7n.example.com/agent/";
        for repo_url in [
            "http://c7n.example.com/charts/shop",
            "https://c7n.example.com:8443/charts/shop",
            "https://c7n.example.com.evil.example/charts/shop",
            "https://evil.example/charts/shop",
            "https://c7n.example.com@evil.example/charts/shop",
            "https://evil.example\\@c7n.example.com/charts/shop",
            "https://c7n.example.com/other/charts/shop",
            "https://c7n.example.com/charts/../git/shop",
            "https://c7n.example.com/charts/%2e%2E/git/shop",
            "https://c7n.example.com/charts/.\t./git/shop",
            "https://c7n.example.com/charts/..\\git/shop",
            "https://c7n.example.com",
            "oci://c7n.example.com/charts/shop",
            "charts/shop",
        ] {
            assert!(!shows(connect, repo_url), "{repo_url}");
        }
        let (_sender, none) = watch::channel(None);
        let before = WithOwnRepository::new(Nobody, connect, none);
        assert!(before.own("https://c7n.example.com/charts/shop").is_none());
    }
}
