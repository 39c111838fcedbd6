//! A person's working copy of an environment's repository, with the ordinary `git`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// How `git` proves who it is.
#[derive(Clone)]
pub enum Access {
    /// A private key; the host key is taken from `known_hosts`.
    Ssh { key: PathBuf, known_hosts: PathBuf },
    /// A token, given as the password that git asks for.
    Http { token: String },
}

impl Access {
    /// A new key pair in the folder; the public half is in `id.pub`.
    pub async fn new_ssh_key(folder: &Path, host: std::net::SocketAddr) -> Result<(Self, PathBuf)> {
        std::fs::create_dir_all(folder)?;
        let key = folder.join("id");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "person", "-f"])
            .arg(&key)
            .output()
            .await?;
        anyhow::ensure!(
            made.status.success(),
            "ssh-keygen: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let scanned = Command::new("ssh-keyscan")
            .args([
                "-t",
                "ed25519",
                "-p",
                &host.port().to_string(),
                &host.ip().to_string(),
            ])
            .output()
            .await?;
        anyhow::ensure!(
            !scanned.stdout.is_empty(),
            "ssh-keyscan: {}",
            String::from_utf8_lossy(&scanned.stderr)
        );
        let known_hosts = folder.join("known_hosts");
        std::fs::write(&known_hosts, &scanned.stdout)?;
        Ok((Self::Ssh { key, known_hosts }, folder.join("id.pub")))
    }
}

pub struct WorkingCopy {
    folder: PathBuf,
    access: Access,
}

impl WorkingCopy {
    /// An empty repository with its remote; the first push makes the branch.
    pub async fn init(folder: &Path, url: &str, access: Access) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let copy = Self {
            folder: folder.to_path_buf(),
            access,
        };
        copy.git(&["init", "--quiet", "--initial-branch", "main"]).await?;
        copy.git(&["remote", "add", "origin", url]).await?;
        Ok(copy)
    }

    pub async fn clone_from(folder: &Path, url: &str, access: Access) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let copy = Self {
            folder: folder.to_path_buf(),
            access,
        };
        copy.git(&["clone", "--quiet", url, "."]).await?;
        Ok(copy)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.folder.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    }

    pub fn remove(&self, path: &str) -> Result<()> {
        std::fs::remove_file(self.folder.join(path)).with_context(|| path.to_owned())
    }

    /// Commits all there is; answers the commit's id.
    pub async fn commit(&self, message: &str) -> Result<String> {
        self.git(&["add", "--all"]).await?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])
            .await?;
        Ok(self.git(&["rev-parse", "HEAD"]).await?.trim().to_owned())
    }

    pub async fn push(&self) -> Result<()> {
        self.git(&["push", "--quiet", "origin", "main"]).await.map(drop)
    }

    /// Commit and push in one go.
    pub async fn publish(&self, message: &str) -> Result<String> {
        let commit = self.commit(message).await?;
        self.push().await?;
        Ok(commit)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "A Person")
            .env("GIT_AUTHOR_EMAIL", "person@example.com")
            .env("GIT_COMMITTER_NAME", "A Person")
            .env("GIT_COMMITTER_EMAIL", "person@example.com")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        match &self.access {
            Access::Ssh { key, known_hosts } => {
                let ssh = format!(
                    "ssh -F /dev/null -i {} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} -o BatchMode=yes",
                    key.display(),
                    known_hosts.display()
                );
                command.env("GIT_SSH_COMMAND", ssh);
            }
            Access::Http { token } => {
                // What git would ask a person for, without it being an argument that others can see.
                command
                    .env("GIT_CONFIG_COUNT", "1")
                    .env("GIT_CONFIG_KEY_0", "credential.helper")
                    .env(
                        "GIT_CONFIG_VALUE_0",
                        "!f() { echo username=person; echo \"password=$C7N_PUSH_TOKEN\"; }; f",
                    )
                    .env("C7N_PUSH_TOKEN", token);
            }
        }
        command
    }

    pub async fn git(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().await.context("running git")?;
        if !output.status.success() {
            bail!(
                "git {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}
