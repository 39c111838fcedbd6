//! Which addresses may be talked to at all, and how.
//!
//! Git understands far more than is safe here (`ext::`, `-oProxyCommand`, credentials inside URLs; CVE-2017-1000117,
//! CVE-2024-32884): what is not on the list below is refused before any program sees it.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::{GitError, Result, Secret};

/// Where a repository is and what opens it.
#[derive(Debug, Clone)]
pub struct Remote {
    /// `ssh://git@HOST:PORT/PATH`, `git@HOST:PATH`, `https://HOST/PATH`, `http://` where [`PlainHttp`] lets it, and
    /// for [`Transport::Local`] an absolute path.
    pub url: String,
    pub transport: Transport,
    pub plain_http: PlainHttp,
    /// For [`Transport::Http`]: file with the only authorities that vouch for the host, in PEM; the system's if absent.
    pub ca_file: Option<PathBuf>,
}

impl Remote {
    pub fn new(url: impl Into<String>, transport: Transport) -> Self {
        Self {
            url: url.into(),
            transport,
            plain_http: PlainHttp::LoopbackOnly,
            ca_file: None,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Transport {
    Ssh {
        private_key: PathBuf,
        /// Lines as in a `known_hosts` file; see [`crate::known_hosts_line`]. Nothing else is believed.
        known_hosts: String,
    },
    Http {
        /// The whole value of the header, see [`Secret::bearer`].
        authorization: Secret,
    },
    /// A repository on this machine: for tests.
    Local,
}

/// Where `http://` without TLS is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    #[default]
    LoopbackOnly,
    /// Somebody has decided that this network is trusted.
    Allowed,
}

/// A checked address, in the form that is handed to Git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub url: String,
    /// `HOST` or `HOST:PORT`, for messages.
    pub host: String,
    /// The value for `GIT_ALLOW_PROTOCOL`.
    pub protocol: &'static str,
}

impl Remote {
    pub(crate) fn check(&self) -> Result<Address> {
        let url = self.url.as_str();
        if url.len() > 2048 || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(bad("it is too long or holds white space or control characters"));
        }
        match (&self.transport, url.split_once("://")) {
            (Transport::Local, None) if url.starts_with('/') => Ok(Address {
                url: url.into(),
                host: "this machine".into(),
                protocol: "file",
            }),
            (Transport::Local, Some(("file", path))) if path.starts_with('/') => Ok(Address {
                url: url.into(),
                host: "this machine".into(),
                protocol: "file",
            }),
            (Transport::Ssh { .. }, Some(("ssh", rest))) => {
                let (user, host, path) = split(rest)?;
                let user = user.unwrap_or("git");
                check_user(user)?;
                Ok(Address {
                    url: format!("ssh://{user}@{host}{path}"),
                    host: host.into(),
                    protocol: "ssh",
                })
            }
            (Transport::Ssh { .. }, None) => {
                let url = scp_form(url)?;
                Remote { url, ..self.clone() }.check()
            }
            (Transport::Http { .. }, Some((scheme @ ("https" | "http"), rest))) => {
                let (user, host, path) = split(rest)?;
                if user.is_some() {
                    return Err(bad(
                        "it names a user or a password; leave them out, the token is kept apart",
                    ));
                }
                if scheme == "http" && self.plain_http == PlainHttp::LoopbackOnly && !is_loopback(host) {
                    return Err(bad("http:// would show the token to the network; use https://"));
                }
                if path.contains(['?', '#']) {
                    return Err(bad("it has a query or a fragment"));
                }
                let protocol = if scheme == "http" { "http" } else { "https" };
                Ok(Address {
                    url: format!("{scheme}://{host}{path}"),
                    host: host.into(),
                    protocol,
                })
            }
            _ => Err(bad(
                "only ssh:// with a key, or https:// with a token, are possible",
            )),
        }
    }
}

/// `USER@HOST:PORT/PATH` in its three parts; the path starts with `/`.
fn split(rest: &str) -> Result<(Option<&str>, &str, &str)> {
    let slash = rest.find('/').ok_or_else(|| bad("it names no repository"))?;
    let (authority, path) = rest.split_at(slash);
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    check_host(host)?;
    if path.len() < 2 || path.starts_with("/-") || path.contains('\\') {
        return Err(bad("the path of the repository is empty or starts with a dash"));
    }
    Ok((user, host, path))
}

fn scp_form(url: &str) -> Result<String> {
    let (user_and_host, path) = url
        .split_once(':')
        .ok_or_else(|| bad("it has no scheme, such as ssh://"))?;
    let (user, host) = user_and_host
        .split_once('@')
        .ok_or_else(|| bad("it has no scheme, such as ssh://"))?;
    if path.starts_with([':', '-']) {
        return Err(bad("it is no address of a repository"));
    }
    Ok(format!("ssh://{user}@{host}/{}", path.trim_start_matches('/')))
}

fn check_user(user: &str) -> Result<()> {
    let fits = !user.is_empty()
        && !user.starts_with('-')
        && user
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits {
        Ok(())
    } else {
        Err(bad(
            "the user name is not plain; a password has no place in an address",
        ))
    }
}

fn check_host(host_and_port: &str) -> Result<()> {
    let (host, port) = split_port(host_and_port);
    let plain = |host: &str| {
        host.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    let well_formed = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.starts_with('-') && plain(host),
    };
    if !well_formed || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(bad("the host name is not plain"));
    }
    // 169.254.169.254 and its like hand out a cloud machine's credentials to whoever asks from within.
    let forbidden = match address_of(host) {
        Some(IpAddr::V4(v4)) => {
            v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()
        }
        Some(IpAddr::V6(v6)) => v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast(),
        None => false,
    };
    if forbidden {
        Err(bad(
            "link-local, multicast and unspecified addresses are not talked to",
        ))
    } else {
        Ok(())
    }
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

fn address_of(host: &str) -> Option<IpAddr> {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    match address {
        IpAddr::V6(v6) => Some(v6.to_ipv4_mapped().map_or(address, IpAddr::V4)),
        IpAddr::V4(_) => Some(address),
    }
}

fn is_loopback(host_and_port: &str) -> bool {
    let (host, _) = split_port(host_and_port);
    host.eq_ignore_ascii_case("localhost") || address_of(host).is_some_and(|address| address.is_loopback())
}

fn bad(reason: &str) -> GitError {
    GitError::BadUrl {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh() -> Transport {
        Transport::Ssh {
            private_key: "/key".into(),
            known_hosts: String::new(),
        }
    }

    fn http() -> Transport {
        Transport::Http {
            authorization: Secret::bearer("t"),
        }
    }

    #[test]
    fn ordinary_addresses_are_taken() {
        for (url, transport, handed_on) in [
            (
                "ssh://git@127.0.0.1:2222/shop/staging.git",
                ssh(),
                "ssh://git@127.0.0.1:2222/shop/staging.git",
            ),
            ("ssh://[::1]:22/p/e.git", ssh(), "ssh://git@[::1]:22/p/e.git"),
            (
                "git@gitlab.example.com:group/sub/repo.git",
                ssh(),
                "ssh://git@gitlab.example.com/group/sub/repo.git",
            ),
            (
                "https://git.example.com/p/e.git",
                http(),
                "https://git.example.com/p/e.git",
            ),
            (
                "http://localhost:8080/git/p/e.git",
                http(),
                "http://localhost:8080/git/p/e.git",
            ),
            (
                "http://127.0.0.1:8080/git/p/e.git",
                http(),
                "http://127.0.0.1:8080/git/p/e.git",
            ),
            ("/srv/r.git", Transport::Local, "/srv/r.git"),
        ] {
            assert_eq!(Remote::new(url, transport).check().unwrap().url, handed_on);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (url, transport) in [
            ("ext::sh -c whoami", ssh()),
            ("ext::whoami", Transport::Local),
            ("-oProxyCommand=whoami", ssh()),
            ("ssh://-oProxyCommand=whoami/x", ssh()),
            ("ssh://git@-oProxyCommand=whoami/x", ssh()),
            ("ssh://-x@host/x", ssh()),
            ("ssh://git@host/-x", ssh()),
            ("ssh://git@host", ssh()),
            ("ssh://git:password@host/x", ssh()),
            ("git@host:-x", ssh()),
            ("git@host::x", ssh()),
            ("git://host/x", ssh()),
            ("file:///etc", ssh()),
            ("/etc", http()),
            ("relative", Transport::Local),
            ("https://user:token@host/x", http()),
            ("https://token@host/x", http()),
            ("https://host/x?token=1", http()),
            ("http://git.example.com/x", http()),
            ("https://169.254.169.254/x", http()),
            ("https://[::ffff:169.254.169.254]/x", http()),
            ("https://0.0.0.0/x", http()),
            ("https://ho%73t/x", http()),
            ("https://host:99999/x", http()),
            ("https://host/a b", http()),
            ("https://host/a\nb", http()),
            ("ssh://git@host/x", http()),
        ] {
            let outcome = Remote::new(url, transport).check();
            assert!(
                matches!(outcome, Err(GitError::BadUrl { .. })),
                "{url}: {outcome:?}"
            );
        }
    }

    #[test]
    fn plain_http_may_be_allowed_by_name() {
        let remote = Remote {
            plain_http: PlainHttp::Allowed,
            ..Remote::new("http://git.lan/x", http())
        };
        assert!(remote.check().is_ok());
    }
}
