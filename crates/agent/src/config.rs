//! What the agent is told when it starts: flags, each with an environment variable `C7N_...`.
//!
//! In: arguments, environment, the token file. Out: [`Config`], checked. The token is never an argument, because
//! arguments can be read by everybody on the machine.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::health::HealthListen;

/// The agent of one cluster: applies what Git says and reports what lives.
#[derive(Debug, Clone, Parser)]
#[command(name = "c7n-agent", version)]
pub struct Config {
    /// WebSocket URL of the platform, for instance wss://c7n.example.com/agent/
    #[arg(long, env = "C7N_CONNECT", value_name = "URL")]
    pub connect: String,

    /// File that holds the activation token. Without it the token is read from the variable C7N_TOKEN
    #[arg(long, env = "C7N_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Id of the cluster, as the activation command has it
    #[arg(long, env = "C7N_CLUSTER_ID", value_name = "ID")]
    pub cluster_id: String,

    /// Id of the platform's user on whose word this cluster joins
    #[arg(long, env = "C7N_CHOERODON_ID", value_name = "ID", default_value = "")]
    pub choerodon_id: String,

    /// Folder for the credential, keys and mirrors; what it holds can be made again
    #[arg(
        long,
        env = "C7N_DATA_DIR",
        value_name = "DIR",
        default_value = "/var/lib/c7n-agent"
    )]
    pub data_dir: PathBuf,

    /// Kubeconfig to use instead of the pod's service account
    #[arg(long, env = "C7N_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig; its current one if absent
    #[arg(long, env = "C7N_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,

    /// File with the certificate authorities that vouch for the platform, in PEM; those of the system if absent
    #[arg(long, env = "C7N_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Lease that says which copy of the agent works, as NAME or NAMESPACE/NAME; in a pod c7n-agent if absent, elsewhere none
    #[arg(long, env = "C7N_LEASE", value_name = "NAME")]
    pub lease: Option<String>,

    /// This agent is alone: it works without a Lease
    #[arg(long, env = "C7N_NO_LEASE", conflicts_with = "lease")]
    pub no_lease: bool,

    /// Secret that keeps the credential for all copies, as NAME or NAMESPACE/NAME; in a pod c7n-agent-credential if absent,
    /// elsewhere it is a file in the data folder
    #[arg(long, env = "C7N_CREDENTIAL_SECRET", value_name = "NAME")]
    pub credential_secret: Option<String>,

    /// Name of this copy, for people who look at the Lease; the machine's if absent
    #[arg(long, env = "C7N_POD_NAME", value_name = "NAME", hide = true)]
    pub pod_name: Option<String>,

    /// Deployment that this copy belongs to, in its own namespace: what an upgrade from the platform changes
    #[arg(long, env = "C7N_DEPLOYMENT", value_name = "NAME")]
    pub deployment: Option<String>,

    /// Where /healthz and /readyz are answered, as tcp:IP:PORT or unix:SOCKET; nowhere if absent
    #[arg(long, env = "C7N_HEALTH_LISTEN", value_name = "PLACE")]
    pub health_listen: Option<HealthListen>,

    /// How many commands are carried out at once
    #[arg(long, env = "C7N_WORKERS", value_name = "N", default_value_t = 8, value_parser = at_least_one)]
    pub workers: usize,

    /// How many objects are applied at once, over all environments
    #[arg(long, env = "C7N_APPLY_CONCURRENCY", value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub apply_concurrency: usize,

    /// How many Helm operations run at once
    #[arg(long, env = "C7N_HELM_WORKERS", value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    pub helm_workers: usize,

    /// Program of the Helm workers; c7n-helm beside this program or in the search path if absent
    #[arg(long, env = "C7N_HELM_WORKER", value_name = "FILE")]
    pub helm_worker: Option<PathBuf>,

    /// OCI registries (HOST or HOST:PORT) that are spoken to without encryption
    #[arg(
        long,
        env = "C7N_PLAIN_HTTP_REGISTRIES",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub plain_http_registries: Vec<String>,

    /// How repositories are reached: with a key of the agent's own, or with its credential over HTTP
    #[arg(long, env = "C7N_GIT_TRANSPORT", value_name = "KIND", default_value = "ssh")]
    pub git_transport: GitTransport,

    /// How often each environment is looked at without being asked, for instance 60s or 5m
    #[arg(long, env = "C7N_RESYNC", value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub resync: Duration,

    /// Nobody runs a process in a pod of this cluster or forwards a port of one through the platform, whatever rights it gives
    #[arg(long, env = "C7N_NO_EXEC")]
    pub no_exec: bool,

    /// Form of the log lines
    #[arg(long, env = "C7N_LOG_FORMAT", value_name = "FORM", default_value = "text")]
    pub log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GitTransport {
    Ssh,
    Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the token file {path}: {cause}; check --token-file and its permissions")]
    TokenFile { path: PathBuf, cause: std::io::Error },
    #[error("{flag} {text:?} names no namespace, and this program runs in none: write NAMESPACE/NAME")]
    NoNamespace { flag: &'static str, text: String },
    #[error("the token file {0} is empty; get a new activation command with `c7n cluster activation`")]
    TokenFileEmpty(PathBuf),
}

/// A secret text. It has no `Debug` that prints it, and goes nowhere but into a header.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// An object of the agent's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub namespace: String,
    pub name: String,
}

const LEASE: &str = "c7n-agent";
const CREDENTIAL_SECRET: &str = "c7n-agent-credential";

impl Config {
    /// The Lease to lead by. `own`: the namespace of the pod, in a pod.
    pub fn lease_place(&self, own: Option<&str>) -> Result<Option<Place>, ConfigError> {
        if self.no_lease {
            return Ok(None);
        }
        place("--lease", self.lease.as_deref(), LEASE, own)
    }

    /// The Secret that keeps the credential.
    pub fn credential_place(&self, own: Option<&str>) -> Result<Option<Place>, ConfigError> {
        place(
            "--credential-secret",
            self.credential_secret.as_deref(),
            CREDENTIAL_SECRET,
            own,
        )
    }

    /// The activation token, if one was given. An agent that was here before has a credential and needs none.
    pub fn activation_token(&self) -> Result<Option<Token>, ConfigError> {
        if let Some(path) = &self.token_file {
            return match std::fs::read_to_string(path) {
                Ok(text) if text.trim().is_empty() => Err(ConfigError::TokenFileEmpty(path.clone())),
                Ok(text) => Ok(Some(Token::new(text.trim()))),
                // Its Secret may be gone once the token was used.
                Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(cause) => Err(ConfigError::TokenFile {
                    path: path.clone(),
                    cause,
                }),
            };
        }
        let text = std::env::var("C7N_TOKEN").unwrap_or_default();
        Ok((!text.trim().is_empty()).then(|| Token::new(text.trim())))
    }
}

fn place(
    flag: &'static str,
    text: Option<&str>,
    usual: &str,
    own: Option<&str>,
) -> Result<Option<Place>, ConfigError> {
    let made = |namespace: &str, name: &str| Place {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    match (text.map(|text| text.split_once('/').ok_or(text)), own) {
        (Some(Ok((namespace, name))), _) => Ok(Some(made(namespace, name))),
        (Some(Err(name)), Some(own)) => Ok(Some(made(own, name))),
        (Some(Err(name)), None) => Err(ConfigError::NoNamespace {
            flag,
            text: name.to_owned(),
        }),
        (None, own) => Ok(own.map(|own| made(own, usual))),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number of at least 1".into()),
        Ok(number) => Ok(number),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number with a unit ms, s, m or h, for instance 60s".to_string();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    match number.checked_mul(factor) {
        Some(ms) if ms >= 100 => Ok(Duration::from_millis(ms)),
        _ => Err("must be at least 100ms".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> Result<Config, clap::Error> {
        let fixed = [
            "c7n-agent",
            "--connect",
            "ws://127.0.0.1:1/agent/",
            "--cluster-id",
            "c1",
        ];
        Config::try_parse_from(fixed.iter().chain(more))
    }

    #[test]
    fn defaults_are_those_of_the_manual() {
        let config = parse(&[]).unwrap();
        assert_eq!((config.workers, config.apply_concurrency), (8, 16));
        assert_eq!(config.resync, Duration::from_secs(60));
        assert_eq!((config.helm_workers, config.helm_worker.clone()), (2, None));
        assert_eq!(config.git_transport, GitTransport::Ssh);
    }

    #[test]
    fn in_a_pod_there_is_a_lease_and_elsewhere_only_when_asked_for() {
        let lease = |more: &[&str], own| parse(more).unwrap().lease_place(own);
        let place = |namespace: &str, name: &str| {
            Some(Place {
                namespace: namespace.into(),
                name: name.into(),
            })
        };
        assert_eq!(lease(&[], None).unwrap(), None);
        assert_eq!(lease(&[], Some("own")).unwrap(), place("own", "c7n-agent"));
        assert_eq!(
            lease(&["--lease", "mine"], Some("own")).unwrap(),
            place("own", "mine")
        );
        assert_eq!(
            lease(&["--lease", "there/mine"], None).unwrap(),
            place("there", "mine")
        );
        assert_eq!(lease(&["--no-lease"], Some("own")).unwrap(), None);
        let wrong = lease(&["--lease", "mine"], None).unwrap_err();
        assert!(wrong.to_string().contains("NAMESPACE/NAME"), "{wrong}");
    }

    #[test]
    fn a_token_file_that_is_gone_is_no_token() {
        let config = parse(&["--token-file", "/nowhere/token"]).unwrap();
        assert_eq!(config.activation_token().unwrap(), None);
    }

    #[test]
    fn numbers_and_times_without_sense_are_refused() {
        for wrong in [
            ["--workers", "0"],
            ["--helm-workers", "0"],
            ["--resync", "60"],
            ["--resync", "1ms"],
            ["--resync", "x"],
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            parse(&["--resync", "5m"]).unwrap().resync,
            Duration::from_secs(300)
        );
    }

    #[test]
    fn there_is_no_way_to_pass_the_token_as_an_argument() {
        assert!(parse(&["--token", "secret"]).is_err());
    }

    #[test]
    fn the_token_is_read_from_its_file_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "canary-token\n").unwrap();

        let config = parse(&["--token-file", file.to_str().unwrap()]).unwrap();
        let token = config.activation_token().unwrap().unwrap();

        assert_eq!(token.reveal(), "canary-token");
        assert!(!format!("{token:?} {config:?}").contains("canary"));
    }
}
