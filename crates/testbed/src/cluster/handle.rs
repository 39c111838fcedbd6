//! How to reach a cluster, whoever runs it: one of ours, or the user's own.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::programs::{self, Program};

const KUBECTL_DEADLINE: Duration = Duration::from_secs(120);

/// A cluster that can be talked to.
#[derive(Clone, Debug)]
pub struct ClusterHandle {
    pub kubeconfig: PathBuf,
    /// `None` for the kubeconfig's current one.
    pub context: Option<String>,
    /// Started by the testbed: everything in it may be changed and thrown away.
    pub owned: bool,
    kubectl: PathBuf,
}

impl ClusterHandle {
    pub(super) fn local(kubeconfig: PathBuf, kubectl: PathBuf) -> Self {
        Self {
            kubeconfig,
            context: None,
            owned: true,
            kubectl,
        }
    }

    /// The user's cluster, as `kubectl` would find it: `$KUBECONFIG`, else `~/.kube/config`. It is never `owned`.
    /// Answers whether the cluster does.
    pub async fn of_user(context: Option<String>) -> Result<Self> {
        let configured = env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
        let kubeconfig = match configured
            .as_deref()
            .map(env::split_paths)
            .and_then(|mut paths| paths.next())
        {
            Some(path) => path,
            None => PathBuf::from(env::var_os("HOME").context("neither KUBECONFIG nor HOME is set")?)
                .join(".kube/config"),
        };
        if !kubeconfig.is_file() {
            bail!(
                "there is no kubeconfig at {}: set KUBECONFIG to the file of your cluster",
                kubeconfig.display()
            );
        }
        let kubectl = match programs::packages::find("kubectl") {
            Some(kubectl) => kubectl,
            None => programs::ensure(Program::Kubectl).await?,
        };
        let handle = Self {
            kubeconfig,
            context,
            owned: false,
            kubectl,
        };
        handle
            .kubectl(["version", "--output=json"])
            .await
            .context("the cluster of your kubeconfig does not answer")?;
        Ok(handle)
    }

    /// The program that talks to this cluster.
    pub fn kubectl_program(&self) -> &Path {
        &self.kubectl
    }

    /// Runs `kubectl` and returns what it printed; an error quotes what it complained about.
    pub async fn kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        self.kubectl_with_input(arguments, b"").await
    }

    /// The same with something to read, as for `apply -f -`.
    pub async fn kubectl_with_input<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        command.args(arguments);
        let shown = format!("{:?}", command.as_std().get_args().skip(2).collect::<Vec<_>>());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.kubectl.display()))?;
        let mut stdin = child.stdin.take().context("kubectl's input was asked for")?;
        let talk = async {
            // kubectl may end before it has read everything; its message says why.
            let _ = stdin.write_all(input).await;
            drop(stdin);
            child.wait_with_output().await
        };
        let output = timeout(KUBECTL_DEADLINE, talk)
            .await
            .with_context(|| format!("kubectl {shown} did not end within {KUBECTL_DEADLINE:?}"))??;
        if !output.status.success() {
            bail!(
                "kubectl {shown} failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
