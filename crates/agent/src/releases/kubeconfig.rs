//! How the Helm workers reach the cluster: a kubeconfig in the agent's folder that its owner alone may read.
//!
//! In a pod it names the files of the service account, whose token the kubelet renews. With `--kubeconfig` it is a copy
//! of the one context, written anew when the original changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::files;

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// The original is looked at this often.
const CLOCK: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    #[error("cannot use the kubeconfig {path}: {cause}; check --kubeconfig and --context")]
    Original {
        path: PathBuf,
        cause: kube::config::KubeconfigError,
    },
    #[error("the context {0:?} or what it names is not in the kubeconfig; check --context")]
    NoContext(String),
    #[error("KUBERNETES_SERVICE_HOST is not set: this program does not run in a pod; give it --kubeconfig")]
    NotInCluster,
    #[error("cannot write {path}: {cause}; check --data-dir")]
    Write { path: PathBuf, cause: std::io::Error },
}

/// Keeps the file as the agent's own access is.
pub struct WorkerKubeconfig {
    original: Option<PathBuf>,
    context: Option<String>,
    path: PathBuf,
    written: Vec<u8>,
}

impl WorkerKubeconfig {
    /// Writes the file.
    pub fn write(config: &Config, path: &Path) -> Result<Self, KubeconfigError> {
        let mut file = Self {
            original: config.kubeconfig.clone(),
            context: config.context.clone(),
            path: path.to_owned(),
            written: Vec::new(),
        };
        file.refresh()?;
        Ok(file)
    }

    /// Runs until `shutdown`.
    pub async fn keep(mut self, shutdown: CancellationToken) {
        if self.original.is_none() {
            return;
        }
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(CLOCK) => {}
            }
            let refreshed = tokio::task::spawn_blocking(move || {
                let outcome = self.refresh();
                (self, outcome)
            });
            let Ok((this, outcome)) = refreshed.await else {
                return;
            };
            self = this;
            if let Err(error) = outcome {
                tracing::warn!(%error, "the Helm workers go on with the kubeconfig of before");
            }
        }
    }

    fn refresh(&mut self) -> Result<(), KubeconfigError> {
        let content = match &self.original {
            Some(original) => copied(original, self.context.as_deref())?,
            None => in_cluster(
                std::env::var("KUBERNETES_SERVICE_HOST"),
                std::env::var("KUBERNETES_SERVICE_PORT"),
            )?,
        };
        // JSON is YAML.
        let content = content.to_string().into_bytes();
        if content != self.written {
            files::replace_lightly(&self.path, &content).map_err(|cause| KubeconfigError::Write {
                path: self.path.clone(),
                cause,
            })?;
            self.written = content;
        }
        Ok(())
    }
}

fn in_cluster(
    host: Result<String, std::env::VarError>,
    port: Result<String, std::env::VarError>,
) -> Result<Value, KubeconfigError> {
    let host = host.map_err(|_| KubeconfigError::NotInCluster)?;
    let port = port.unwrap_or_else(|_| "443".to_owned());
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    Ok(config(
        json!({
            "server": format!("https://{host}:{port}"),
            "certificate-authority": format!("{SERVICE_ACCOUNT}/ca.crt"),
        }),
        json!({ "tokenFile": format!("{SERVICE_ACCOUNT}/token") }),
    ))
}

/// The one context of the original. Paths in it were made absolute when it was read.
fn copied(original: &Path, context: Option<&str>) -> Result<Value, KubeconfigError> {
    let read = Kubeconfig::read_from(original).map_err(|cause| KubeconfigError::Original {
        path: original.to_owned(),
        cause,
    })?;
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let name = options
        .context
        .or_else(|| read.current_context.clone())
        .unwrap_or_default();
    let missing = || KubeconfigError::NoContext(name.clone());
    let context = read
        .contexts
        .iter()
        .find(|it| it.name == name)
        .and_then(|it| it.context.clone())
        .ok_or_else(missing)?;
    let cluster = read
        .clusters
        .iter()
        .find(|it| it.name == context.cluster)
        .and_then(|it| it.cluster.clone())
        .ok_or_else(missing)?;
    let user = context
        .user
        .and_then(|user| read.auth_infos.iter().find(|it| it.name == user))
        .and_then(|it| it.auth_info.clone())
        .unwrap_or_default();
    Ok(config(json!(cluster), json!(user)))
}

fn config(cluster: Value, user: Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "c7n", "cluster": cluster }],
        "users": [{ "name": "c7n", "user": user }],
        "contexts": [{ "name": "c7n", "context": { "cluster": "c7n", "user": "c7n" } }],
        "current-context": "c7n",
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::*;

    fn agent(kubeconfig: &Path, context: &str) -> Config {
        let fixed = [
            "c7n-agent",
            "--connect",
            "ws://127.0.0.1:1/agent/",
            "--cluster-id",
            "c1",
        ];
        let path = kubeconfig.to_str().unwrap();
        let more = ["--kubeconfig", path, "--context", context];
        Config::try_parse_from(fixed.iter().chain(&more)).unwrap()
    }

    const TWO: &str = "
apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: a, user: u}}
- {name: two, context: {cluster: b, user: v}}
clusters:
- {name: a, cluster: {server: 'https://a:6443'}}
- {name: b, cluster: {server: 'https://b:6443', certificate-authority: ca.crt}}
users:
- {name: u, user: {token: canary-one}}
- {name: v, user: {token: canary-two}}
";

    #[test]
    fn only_the_context_in_use_is_copied_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let original = folder.path().join("kubeconfig");
        std::fs::write(&original, TWO).unwrap();
        let path = folder.path().join("helm/kubeconfig");

        let mut file = WorkerKubeconfig::write(&agent(&original, "two"), &path).unwrap();

        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.contains("canary-two") && !text.contains("canary-one"),
            "{text}"
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = Kubeconfig::read_from(&path).unwrap();
        let cluster = read.clusters[0].cluster.clone().unwrap();
        assert_eq!(cluster.server.as_deref(), Some("https://b:6443"));
        let authority = folder.path().join("ca.crt");
        assert_eq!(
            cluster.certificate_authority.as_deref(),
            authority.to_str(),
            "paths lead to the same file"
        );

        std::fs::write(&original, TWO.replace("canary-two", "canary-new")).unwrap();
        file.refresh().unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("canary-new"));
    }

    #[test]
    fn a_context_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let original = folder.path().join("kubeconfig");
        std::fs::write(&original, TWO).unwrap();
        let error = WorkerKubeconfig::write(&agent(&original, "three"), &folder.path().join("k"))
            .err()
            .unwrap();
        assert!(error.to_string().contains("three"), "{error}");
    }

    #[test]
    fn in_a_pod_the_token_stays_in_its_file() {
        let config = in_cluster(Ok("fd00::1".into()), Ok("443".into())).unwrap();
        assert_eq!(
            config["clusters"][0]["cluster"]["server"],
            "https://[fd00::1]:443"
        );
        assert!(
            config["users"][0]["user"]["tokenFile"]
                .as_str()
                .unwrap()
                .ends_with("/token")
        );
        assert!(config["users"][0]["user"].get("token").is_none());
    }
}
