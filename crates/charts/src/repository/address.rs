//! Where a repository may be, and where a request may not go whatever a name resolves to.
//!
//! Private networks are normal: many registries live in the cluster. Link-local addresses are not: that is where clouds answer with
//! the credentials of the machine. The check is made on the addresses that are then connected to, so that a name which answers
//! differently the second time (DNS rebinding) gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why an address is not connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("`{0}` is not an address like https://HOST/PATH or oci://HOST/PATH")]
    NotAUrl(String),
    #[error("it begins with `{0}://`, and only http, https and oci are spoken")]
    Scheme(String),
    #[error("it carries a user name or password; put them into a Secret and name that instead")]
    Credentials,
    #[error("it has no host")]
    NoHost,
    #[error("{0} is an address that no repository may have (link-local, multicast or reserved)")]
    Forbidden(IpAddr),
}

/// Reads a repository's address and refuses what could never be right.
pub(super) fn parse(text: &str) -> Result<Url, AddressError> {
    // Not the text itself: it may hold a password.
    let url = Url::parse(text).map_err(|_| AddressError::NotAUrl(without_credentials(text)))?;
    check(&url)?;
    Ok(url)
}

/// Everything about an address that can be told without resolving its name.
pub(super) fn check(url: &Url) -> Result<(), AddressError> {
    if !matches!(url.scheme(), "http" | "https" | "oci") {
        return Err(AddressError::Scheme(url.scheme().to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Credentials);
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or(AddressError::NoHost)?;
    // Connectors do not ask a resolver for these. `oci://` keeps its host as it was written.
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    match literal.parse() {
        Ok(address) if is_forbidden(address) => Err(AddressError::Forbidden(address)),
        _ => Ok(()),
    }
}

/// Up to an `@`, nothing; then a little of the rest.
fn without_credentials(text: &str) -> String {
    let rest = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    rest.chars().filter(|c| !c.is_control()).take(100).collect()
}

pub(super) fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_forbidden_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_forbidden_v4(inner),
            None => {
                address.is_unicast_link_local()
                    || address.is_multicast()
                    || address.is_unspecified()
                    // The metadata service of AWS.
                    || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
            }
        },
    }
}

fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] == 0
        // Metadata services that are not link-local: Alibaba, Oracle.
        || address == Ipv4Addr::new(100, 100, 100, 200)
        || address == Ipv4Addr::new(192, 0, 0, 192)
}

/// The IPv4 address inside: mapped, or behind NAT64 or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(from(high, low)),
        [0x2002, high, low, ..] => Some(from(high, low)),
        _ => address.to_ipv4_mapped(),
    }
}

/// Resolves with the system's resolver and gives out allowed addresses alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = found
                .iter()
                .copied()
                .filter(|address| !is_forbidden(address.ip()))
                .collect();
            match (allowed.is_empty(), found.first()) {
                (true, Some(first)) => Err(AddressError::Forbidden(first.ip()).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether a host is this machine, where plain HTTP to a registry is no risk.
pub(super) fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    literal == "localhost"
        || literal
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_metadata_services_are_refused_in_every_spelling() {
        for text in [
            "http://169.254.169.254/latest",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://169.254.43518/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[fd00:ec2::254]/",
            "http://100.100.100.200/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://224.0.0.1/",
            "oci://169.254.169.254/charts",
            "oci://[fe80::1]/charts",
        ] {
            assert!(
                matches!(parse(text), Err(AddressError::Forbidden(_))),
                "{text}: {:?}",
                parse(text)
            );
        }
    }

    #[test]
    fn private_addresses_and_names_are_allowed() {
        for text in [
            "https://charts.example.org/stable",
            "http://10.0.0.7:8080/",
            "http://127.0.0.1:5000",
            "http://192.168.1.1",
            "http://[fd12::1]/",
            "oci://registry.registry.svc:5000/charts",
        ] {
            assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
        }
    }

    #[test]
    fn other_schemes_and_passwords_are_refused_without_repeating_them() {
        for text in [
            "file:///etc/passwd",
            "ext::sh -c id",
            "ftp://h/",
            "charts/web",
            "",
            "https://user:hunter2@h/",
            "https://hunter2@h/",
            "https://user:hunter2@/",
            "oci://user:hunter2@h/c",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
