//! The key pair of an agent for one environment. The private half never leaves the folder it was made in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Run;
use crate::{GitError, Result};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    pub private: PathBuf,
    /// `ssh-ed25519 AAAA... COMMENT`
    pub public: String,
}

const NAME: &str = "id_ed25519";

/// The ed25519 key pair in `dir`, made when missing. A half that a crash left is made anew.
pub async fn ensure_key_pair(dir: impl AsRef<Path>, comment: &str) -> Result<KeyPair> {
    let dir = dir.as_ref().to_owned();
    let fail = || GitError::io(format!("keeping a key in {}", dir.display()));
    let private = dir.join(NAME);
    let public = dir.join(format!("{NAME}.pub"));
    if !(private.exists() && public.exists()) {
        fs::create_dir_all(&dir).map_err(fail())?;
        let draft = tempfile::Builder::new()
            .prefix(".key-")
            .tempdir_in(&dir)
            .map_err(fail())?;
        let made = draft.path().join(NAME);
        generate(&made, comment).await?;
        fs::rename(made.with_extension("pub"), &public).map_err(fail())?;
        fs::rename(&made, &private).map_err(fail())?;
    }
    // ssh refuses a private key that others may read.
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).map_err(fail())?;
    let public = fs::read_to_string(&public).map_err(fail())?.trim().to_owned();
    if !public.starts_with("ssh-ed25519 ") {
        let reason = format!(
            "{}.pub is no ed25519 key; delete both halves, they are made anew",
            private.display()
        );
        return Err(GitError::Failed {
            what: "reading the key".into(),
            detail: reason,
        });
    }
    Ok(KeyPair { private, public })
}

async fn generate(path: &Path, comment: &str) -> Result<()> {
    let mut command = tokio::process::Command::new("ssh-keygen");
    let comment: String = comment.chars().filter(|c| !c.is_control()).collect();
    command
        .args(["-q", "-t", "ed25519", "-N", "", "-C", &comment, "-f"])
        .arg(path);
    let run = Run {
        command,
        what: "making a key".to_owned(),
        deadline: Duration::from_secs(20),
        growth: None,
    };
    run.succeed().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = ensure_key_pair(dir.path().join("keys"), "c7n agent")
            .await
            .unwrap();
        let second = ensure_key_pair(dir.path().join("keys"), "another name")
            .await
            .unwrap();
        assert_eq!(first, second);
        assert!(first.public.ends_with("c7n agent"));
        assert_eq!(
            fs::metadata(&first.private).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[tokio::test]
    async fn half_a_key_pair_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let first = ensure_key_pair(dir.path(), "a").await.unwrap();
        fs::remove_file(&first.private).unwrap();
        let second = ensure_key_pair(dir.path(), "a").await.unwrap();
        assert_ne!(first.public, second.public);
        assert!(second.private.exists());
    }
}
