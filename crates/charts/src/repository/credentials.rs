//! Who we are to a repository. Nothing here prints what it holds.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Url;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Credentials of one repository, or of several registries.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Basic {
        username: String,
        password: String,
    },
    Token(String),
    /// By host, as `docker login` writes them.
    Docker(BTreeMap<String, (String, String)>),
}

/// What is sent to one host.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    Basic { username: String, password: String },
    Bearer(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error(
        "the Secret has no credentials; it needs the keys `username` and `password`, or `token`, or `.dockerconfigjson`"
    )]
    Nothing,
    #[error("the Secret has `{has}` and no `{lacks}`; add it")]
    Half { has: &'static str, lacks: &'static str },
    #[error("the Secret's `{0}` is not a line of text; store it without line breaks and as UTF-8")]
    NotText(&'static str),
    #[error(
        "the Secret's `.dockerconfigjson` is not readable; make it with `kubectl create secret docker-registry`"
    )]
    DockerConfig,
}

impl Credentials {
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Kind::Basic {
            username: username.into(),
            password: password.into(),
        })
    }

    pub fn token(token: impl Into<String>) -> Self {
        Self(Kind::Token(token.into()))
    }

    /// From the data of a Secret: `username` and `password`, or `token`, or `.dockerconfigjson`.
    pub fn from_secret<'a>(
        data: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, CredentialsError> {
        let (mut username, mut password, mut token, mut docker) = (None, None, None, None);
        for (key, value) in data {
            match key {
                "username" => username = Some(line("username", value)?),
                "password" => password = Some(line("password", value)?),
                "token" => token = Some(line("token", value)?),
                ".dockerconfigjson" => docker = Some(value),
                _ => {}
            }
        }
        match (username, password, token, docker) {
            (Some(username), Some(password), _, _) => Ok(Self::basic(username, password)),
            (Some(_), None, _, _) => Err(CredentialsError::Half {
                has: "username",
                lacks: "password",
            }),
            (None, Some(_), _, _) => Err(CredentialsError::Half {
                has: "password",
                lacks: "username",
            }),
            (None, None, Some(token), _) => Ok(Self::token(token)),
            (None, None, None, Some(config)) => docker_config(config),
            (None, None, None, None) => Err(CredentialsError::Nothing),
        }
    }

    /// What of them is for the host of this address.
    pub(super) fn for_host(&self, url: &Url) -> Option<Authorization> {
        match &self.0 {
            Kind::Basic { username, password } => Some(Authorization::Basic {
                username: username.clone(),
                password: password.clone(),
            }),
            Kind::Token(token) => Some(Authorization::Bearer(token.clone())),
            Kind::Docker(hosts) => {
                let host = url.host_str()?;
                let with_port = url.port().map(|port| format!("{host}:{port}"));
                let found = match &with_port {
                    Some(with_port) => hosts.get(with_port),
                    None => hosts.get(host),
                };
                found.map(|(username, password)| Authorization::Basic {
                    username: username.clone(),
                    password: password.clone(),
                })
            }
        }
    }

    /// Feeds what they are into a hash, so that what one sees is not kept for another.
    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        let mut field = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        match &self.0 {
            Kind::Basic { username, password } => {
                field("basic");
                field(username);
                field(password);
            }
            Kind::Token(token) => {
                field("token");
                field(token);
            }
            Kind::Docker(hosts) => {
                field("docker");
                for (host, (username, password)) in hosts {
                    field(host);
                    field(username);
                    field(password);
                }
            }
        }
    }
}

/// Says what kind they are and nothing more.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Basic { .. } => "Credentials(basic)",
            Kind::Token(_) => "Credentials(token)",
            Kind::Docker(_) => "Credentials(docker)",
        })
    }
}

/// One line, its line break at the end taken off: `echo x | base64` puts one there.
fn line(key: &'static str, value: &[u8]) -> Result<String, CredentialsError> {
    let text = std::str::from_utf8(value).map_err(|_| CredentialsError::NotText(key))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.chars().any(char::is_control) {
        return Err(CredentialsError::NotText(key));
    }
    Ok(text.to_owned())
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
}

fn docker_config(config: &[u8]) -> Result<Credentials, CredentialsError> {
    let config: DockerConfig = serde_json::from_slice(config).map_err(|_| CredentialsError::DockerConfig)?;
    let mut hosts = BTreeMap::new();
    for (host, auth) in config.auths {
        let pair = if auth.auth.is_empty() {
            (auth.username, auth.password)
        } else {
            let decoded = STANDARD
                .decode(auth.auth.trim())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or(CredentialsError::DockerConfig)?;
            let (username, password) = decoded.split_once(':').ok_or(CredentialsError::DockerConfig)?;
            (username.to_owned(), password.to_owned())
        };
        if pair.0.is_empty() {
            continue;
        }
        // `https://index.docker.io/v1/` is an old way of writing a host.
        let host = host.split_once("://").map_or(host.as_str(), |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default();
        let host = match host {
            "index.docker.io" | "docker.io" => "registry-1.docker.io",
            other => other,
        };
        hosts.insert(host.to_ascii_lowercase(), pair);
    }
    if hosts.is_empty() {
        return Err(CredentialsError::DockerConfig);
    }
    Ok(Credentials(Kind::Docker(hosts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(data: &[(&str, &str)]) -> Result<Credentials, CredentialsError> {
        Credentials::from_secret(data.iter().map(|(key, value)| (*key, value.as_bytes())))
    }

    fn sent(credentials: &Credentials, url: &str) -> Option<String> {
        credentials
            .for_host(&Url::parse(url).unwrap())
            .map(|sent| match sent {
                Authorization::Basic { username, password } => format!("{username}:{password}"),
                Authorization::Bearer(token) => token,
            })
    }

    #[test]
    fn each_kind_of_secret_is_read() {
        let basic = secret(&[("username", "ada"), ("password", "pw\n"), ("other", "x")]).unwrap();
        assert_eq!(basic, Credentials::basic("ada", "pw"));
        assert_eq!(secret(&[("token", "t\r\n")]), Ok(Credentials::token("t")));
        let docker = format!(
            r#"{{"auths":{{"https://Registry.example.org/v2/":{{"auth":"{}"}},"h:5000":{{"username":"bob","password":"b"}}}}}}"#,
            STANDARD.encode("ada:p:w")
        );
        let docker = secret(&[(".dockerconfigjson", &docker)]).unwrap();
        assert_eq!(
            sent(&docker, "https://registry.example.org/x").as_deref(),
            Some("ada:p:w")
        );
        assert_eq!(sent(&docker, "http://h:5000/x").as_deref(), Some("bob:b"));
        assert_eq!(sent(&docker, "http://h/x"), None);
        assert_eq!(sent(&docker, "https://registry.example.org:444/"), None);
    }

    #[test]
    fn secrets_that_are_none_say_what_is_missing() {
        for (data, words) in [
            (&[][..], "no credentials"),
            (&[("username", "ada")], "no `password`"),
            (&[("password", "x")], "no `username`"),
            (&[("token", "two\nlines")], "`token` is not a line"),
            (&[(".dockerconfigjson", "{}")], "docker-registry"),
            (&[(".dockerconfigjson", "hunter2")], "docker-registry"),
            (
                &[(".dockerconfigjson", r#"{"auths":{"h":{"auth":"hunter2"}}}"#)],
                "docker-registry",
            ),
        ] {
            let error = secret(data).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn nothing_is_printed() {
        for credentials in [
            Credentials::basic("ada", "hunter2"),
            Credentials::token("hunter2"),
        ] {
            let printed = format!("{credentials:?}");
            assert!(
                !printed.contains("hunter2") && !printed.contains("ada"),
                "{printed}"
            );
        }
    }
}
