//! The way through an HTTP proxy: which one, if any, and its CONNECT (RFC 9110, section 9.3.6).

use base64::Engine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A proxy answers CONNECT with a head smaller than this.
const MAX_HEAD: usize = 8 << 10;

#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub host: String,
    pub port: u16,
    /// Value of `Proxy-Authorization`; secret, so that this type has no `Debug`.
    authorization: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("the variable {0} holds no proxy address of the form http://HOST:PORT")]
    BadAddress(&'static str),
    #[error(
        "the proxy wants a user and a password that it knows (407); they belong into its address, http://USER:PASSWORD@HOST:PORT, \
         with other characters than letters and digits written as %XX"
    )]
    Unknown,
    #[error("the proxy answered CONNECT with {0:?}; check whether it lets this program through")]
    Refused(String),
    #[error("the connection to the proxy broke: {0}")]
    Broken(#[from] std::io::Error),
}

/// The proxy that the environment names for this address, as curl reads it.
pub fn proxy_for(
    tls: bool,
    host: &str,
    variable: impl Fn(&'static str) -> Option<String>,
) -> Result<Option<Proxy>, ProxyError> {
    let either = |upper: &'static str, lower: &'static str| {
        [lower, upper]
            .into_iter()
            .find_map(|name| variable(name).filter(|it| !it.is_empty()).map(|it| (name, it)))
    };
    let exempt = either("NO_PROXY", "no_proxy").is_some_and(|(_, list)| is_exempt(host, &list));
    if exempt {
        return Ok(None);
    }
    let named = if tls {
        either("HTTPS_PROXY", "https_proxy")
    } else {
        either("HTTP_PROXY", "http_proxy")
    };
    let Some((name, address)) = named.or_else(|| either("ALL_PROXY", "all_proxy")) else {
        return Ok(None);
    };
    let rest = address
        .strip_prefix("http://")
        .unwrap_or(&address)
        .trim_end_matches('/');
    let (user, authority) = rest
        .rsplit_once('@')
        .map_or((None, rest), |(user, rest)| (Some(user), rest));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| ProxyError::BadAddress(name))?),
        None => (authority, 80),
    };
    if host.is_empty() || rest.contains('/') {
        return Err(ProxyError::BadAddress(name));
    }
    let authorization = user.map(|user| {
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(decoded(user))
        )
    });
    Ok(Some(Proxy {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        authorization,
    }))
}

/// User and password with their `%XX` resolved, as a password with an `@` needs them.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend(before.bytes());
        let value = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match value {
            Some(value) => {
                bytes.push(value);
                &after[2..]
            }
            None => {
                bytes.push(b'%');
                after
            }
        };
    }
    bytes.extend(rest.bytes());
    bytes
}

/// A name in the list stands for itself and for everything below it.
fn is_exempt(host: &str, list: &str) -> bool {
    list.split(',')
        .map(|entry| entry.trim().trim_start_matches('.'))
        .any(|entry| {
            entry == "*"
                || (!entry.is_empty()
                    && (host.eq_ignore_ascii_case(entry)
                        || host
                            .to_ascii_lowercase()
                            .ends_with(&format!(".{}", entry.to_ascii_lowercase()))))
        })
}

/// Asks the proxy to open a way to `target`; afterwards the stream speaks with that.
pub async fn connect(stream: &mut TcpStream, proxy: &Proxy, target: &str) -> Result<(), ProxyError> {
    let authorization = match &proxy.authorization {
        Some(value) => format!("Proxy-Authorization: {value}\r\n"),
        None => String::new(),
    };
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > MAX_HEAD {
            return Err(ProxyError::Refused("an endless head".into()));
        }
        // Byte by byte: what follows the head belongs to the peer behind the proxy.
        head.push(stream.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&head)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    match line.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(()),
        Some("407") => Err(ProxyError::Unknown),
        _ => Err(ProxyError::Refused(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&'static str) -> Option<String> + 'a {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    fn address(tls: bool, host: &str, pairs: &[(&str, &str)]) -> Option<(String, u16)> {
        proxy_for(tls, host, with(pairs))
            .unwrap_or_default()
            .map(|proxy| (proxy.host, proxy.port))
    }

    #[test]
    fn the_proxy_fits_the_scheme_and_exemptions_are_kept() {
        let settings = [
            ("HTTPS_PROXY", "http://u:p@proxy:3128"),
            ("no_proxy", "localhost,.svc, 10.0.0.1"),
        ];
        assert_eq!(
            address(true, "platform.example", &settings),
            Some(("proxy".into(), 3128))
        );
        assert_eq!(address(false, "platform.example", &settings), None);
        assert_eq!(address(true, "localhost", &settings), None);
        assert_eq!(address(true, "platform.ns.svc", &settings), None);
        assert_eq!(address(true, "10.0.0.1", &settings), None);
        assert_eq!(address(true, "platform.example", &[]), None);
    }

    #[test]
    fn a_password_may_hold_any_character() {
        for (written, meant) in [
            ("u:p", "u:p"),
            ("u:p%40%3a%25", "u:p@:%"),
            ("u:100%", "u:100%"),
            ("u:%zz%4", "u:%zz%4"),
            ("u:%c3%a9é", "u:éé"),
        ] {
            assert_eq!(String::from_utf8(decoded(written)).unwrap(), meant, "{written}");
        }
    }

    #[test]
    fn an_address_without_sense_is_told_by_the_name_of_its_variable() {
        for wrong in ["http://", "http://proxy:x", "http://proxy/path"] {
            let refused = proxy_for(true, "h", with(&[("HTTPS_PROXY", wrong)]));
            assert!(
                refused.is_err_and(|error| error.to_string().contains("HTTPS_PROXY")),
                "{wrong}"
            );
        }
    }

    #[tokio::test]
    async fn connect_passes_on_a_yes_and_tells_a_no() {
        for (answer, good) in [
            ("200 Connection established", true),
            ("407 Proxy Authentication Required", false),
        ] {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut peer, _) = listener.accept().await.unwrap();
            peer.write_all(format!("HTTP/1.1 {answer}\r\n\r\nrest").as_bytes())
                .await
                .unwrap();
            let proxy = proxy_for(true, "h", with(&[("HTTPS_PROXY", "http://u:p@proxy:1")]))
                .unwrap()
                .unwrap();

            let outcome = connect(&mut stream, &proxy, "platform.example:443").await;

            assert_eq!(outcome.is_ok(), good);
            let mut asked = vec![0; 512];
            let length = peer.read(&mut asked).await.unwrap();
            let asked = String::from_utf8_lossy(&asked[..length]);
            assert!(
                asked.starts_with("CONNECT platform.example:443 HTTP/1.1\r\n"),
                "{asked}"
            );
            assert!(asked.contains("Proxy-Authorization: Basic dTpw\r\n"), "{asked}");
        }
    }
}
