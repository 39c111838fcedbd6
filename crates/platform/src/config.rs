//! What can be set from outside: flags, or the same as `C7N_*` variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::streams::Times;

#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Folder of the database, the repositories and the keys; made when missing
    #[arg(
        long,
        env = "C7N_DATA_DIR",
        value_name = "FOLDER",
        default_value = "./c7n-data"
    )]
    pub data_dir: PathBuf,
    /// Address of the API, the console, Git over HTTP and the agents; port 0 takes a free one
    #[arg(
        long,
        env = "C7N_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,
    /// Address of Git over SSH; port 0 takes a free one
    #[arg(
        long,
        env = "C7N_SSH_LISTEN",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:2222"
    )]
    pub ssh_listen: SocketAddr,
    /// How people and agents reach `--listen` from where they are [default: http:// and that address]
    #[arg(long, env = "C7N_PUBLIC_URL", value_name = "URL", value_parser = http_url)]
    pub public_url: Option<String>,
    /// How they reach `--ssh-listen` [default: ssh://git@ and that address]
    #[arg(long, env = "C7N_PUBLIC_SSH_URL", value_name = "URL", value_parser = ssh_url)]
    pub public_ssh_url: Option<String>,
    /// On the very first start, also write the administrator's password and token into this file, as JSON
    #[arg(long, env = "C7N_FIRST_RUN_FILE", value_name = "FILE")]
    pub first_run_file: Option<PathBuf>,
    /// Image of the agent that activation commands name, for instance registry.example.com/c7n-agent:1.2.0 [default: that of its chart]
    #[arg(long, env = "C7N_AGENT_IMAGE", value_name = "IMAGE", value_parser = image)]
    pub agent_image: Option<Image>,
    /// Credentials of agents that are older than this are replaced
    #[arg(long, env = "C7N_CREDENTIAL_DAYS", value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub credential_days: u32,
    /// Logs, processes and ports of pods that one user may have open at the same time
    #[arg(long, env = "C7N_STREAMS_PER_USER", value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub streams_per_user: u32,
    /// The same of one cluster
    #[arg(long, env = "C7N_STREAMS_PER_CLUSTER", value_name = "NUMBER", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pub streams_per_cluster: u32,
    /// Recordings of terminals are deleted when they are older than this
    #[arg(long, env = "C7N_RECORDING_DAYS", value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub recording_days: u32,
    /// A recording that is as big as this goes on no further
    #[arg(long, env = "C7N_RECORDING_MIB", value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub recording_mib: u32,
    /// How long everything about streams may take; for tests
    #[arg(skip)]
    pub stream_times: Times,
    /// How the log is written, to standard error [default: text on a terminal, json elsewhere]
    #[arg(long, env = "C7N_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged, as in `info` or `c7n_platform=debug,info`
    #[arg(long, env = "C7N_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// A container image: repository, and tag or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub repository: String,
    pub version: Option<ImageVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageVersion {
    Tag(String),
    Digest(String),
}

/// Ends up in commands for a shell, as addresses do.
pub fn image(text: &str) -> Result<Image, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '/' | '@');
    if let Some(c) = text.chars().find(|c| !fits(*c)) {
        return Err(format!("{c:?} does not belong into the name of an image"));
    }
    let (repository, version) = match text.split_once('@') {
        Some((repository, digest)) => (repository, Some(ImageVersion::Digest(digest.to_owned()))),
        None => match text.rsplit_once(':') {
            // What follows the colon of a port has a slash.
            Some((repository, tag)) if !tag.contains('/') => {
                (repository, Some(ImageVersion::Tag(tag.to_owned())))
            }
            _ => (text, None),
        },
    };
    let whole = match &version {
        None => true,
        Some(ImageVersion::Tag(tag)) => !tag.is_empty(),
        Some(ImageVersion::Digest(digest)) => digest
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())),
    };
    if repository.is_empty() || repository.starts_with(['-', '/', ':']) || !whole {
        return Err("it should look like registry.example.com/c7n-agent:1.2.0".to_owned());
    }
    Ok(Image {
        repository: repository.to_owned(),
        version,
    })
}

fn http_url(text: &str) -> Result<String, String> {
    url(text, &["http://", "https://"])
}

fn ssh_url(text: &str) -> Result<String, String> {
    let url = url(text, &["ssh://"])?;
    match url["ssh://".len()..].split_once('@') {
        Some(("git", _)) => Ok(url),
        _ => Err("it should name the user git, as in ssh://git@c7n.example.com:2222".to_owned()),
    }
}

/// Addresses end up in commands that people paste into a shell, so they hold nothing that a shell or Helm would read.
fn url(text: &str, schemes: &[&str]) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let Some(rest) = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return Err(format!("it should begin with {}", schemes.join(" or ")));
    };
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '/' | '[' | ']' | '@');
    match rest.chars().find(|c| !fits(*c)) {
        Some(c) => Err(format!("{c:?} does not belong into such an address")),
        None if rest.is_empty() => Err("the name of the host is missing".to_owned()),
        None => Ok(text.to_owned()),
    }
}

/// Host and port of `ssh://git@HOST[:PORT][/PATH]`.
pub(crate) fn ssh_host(url: &str) -> (String, u16) {
    let rest = url.strip_prefix("ssh://").unwrap_or(url);
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    let port = authority
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = port.unwrap_or((authority, 22));
    (
        host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_safe_to_paste() {
        assert_eq!(
            http_url("https://c7n.example.com/").as_deref(),
            Ok("https://c7n.example.com")
        );
        assert!(http_url("ftp://x").is_err());
        assert!(http_url("http://").is_err());
        assert!(http_url("http://x,config.token=y").is_err());
        assert!(http_url("http://x;rm").is_err());
        assert!(ssh_url("ssh://git@h:2222").is_ok());
        assert!(ssh_url("ssh://h:2222").is_err());
    }

    #[test]
    fn an_image_is_taken_apart() {
        let taken = |text: &str| image(text).unwrap();
        assert_eq!(taken("c7n-agent").version, None);
        let tagged = taken("registry.example.com:5000/c7n/agent:1.2.0");
        assert_eq!(tagged.repository, "registry.example.com:5000/c7n/agent");
        assert_eq!(tagged.version, Some(ImageVersion::Tag("1.2.0".into())));
        assert_eq!(taken("localhost:5000/agent").version, None, "a port is no tag");
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(
            taken(&format!("agent@{digest}")).version,
            Some(ImageVersion::Digest(digest))
        );
        for wrong in ["", ":1", "a b", "a,b=c", "a;rm", "a@sha256:12", "a:", "-a"] {
            assert!(image(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_host_is_found_in_an_ssh_url() {
        assert_eq!(
            ssh_host("ssh://git@c7n.example.com:2222"),
            ("c7n.example.com".into(), 2222)
        );
        assert_eq!(
            ssh_host("ssh://git@c7n.example.com"),
            ("c7n.example.com".into(), 22)
        );
        assert_eq!(ssh_host("ssh://git@[::1]:2222/x"), ("::1".into(), 2222));
    }
}
