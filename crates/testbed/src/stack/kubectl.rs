//! The cluster as an independent witness sees it: through `kubectl`, never through the agent.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    context: Option<String>,
}

impl Kubectl {
    pub fn new(program: &Path, kubeconfig: &Path, context: Option<&str>) -> Self {
        Self {
            program: program.to_path_buf(),
            kubeconfig: kubeconfig.to_path_buf(),
            context: context.map(str::to_owned),
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        if let Some(context) = &self.context {
            command.args(["--context", context]);
        }
        command.args(arguments).kill_on_drop(true);
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(arguments)
            .output()
            .await
            .context("running kubectl")?;
        if !output.status.success() {
            bail!(
                "kubectl {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// One object, or a `List` of them.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.run(&[arguments, &["-o", "json"]].concat()).await?,
        )?)
    }

    /// `None` when there is no such object.
    pub async fn find(&self, arguments: &[&str]) -> Result<Option<Value>> {
        let text = self
            .run(&[&["get"], arguments, &["-o", "json", "--ignore-not-found"]].concat())
            .await?;
        if text.trim().is_empty() {
            Ok(None)
        } else {
            Ok(Some(serde_json::from_str(&text)?))
        }
    }

    /// As somebody who works by hand.
    pub async fn apply(&self, manifest: &str) -> Result<()> {
        let mut child = self
            .command(&["apply", "-f", "-"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("kubectl has no standard input")?;
        stdin.write_all(manifest.as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!(
                "kubectl apply: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}
