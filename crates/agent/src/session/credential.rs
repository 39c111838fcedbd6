//! What the agent shows at the door: the activation token first, then the credential that it was swapped for.
//!
//! The credential is kept in one file, together with the platform and the cluster it is for, so that an agent that is
//! pointed elsewhere does not show it there.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::config::Token;
use crate::files;

#[derive(Serialize, Deserialize)]
struct Kept {
    connect: String,
    cluster_id: String,
    credential: String,
}

/// Which of the two is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Credential,
    Activation,
}

pub struct Credentials {
    path: PathBuf,
    connect: String,
    cluster_id: String,
    activation: Option<Token>,
    credential: watch::Sender<Option<Token>>,
    next: Shown,
}

impl Credentials {
    /// Reads the file of an earlier run. A damaged one, or one for another platform, is as good as none.
    pub fn open(
        folder: &Path,
        connect: &str,
        cluster_id: &str,
        activation: Option<Token>,
    ) -> io::Result<Self> {
        let path = folder.join("credential");
        let kept: Option<Kept> =
            files::read(&path)?.and_then(|content| serde_json::from_slice(&content).ok());
        let credential = kept
            .filter(|kept| kept.connect == connect && kept.cluster_id == cluster_id)
            .map(|kept| Token::new(kept.credential));
        let next = if credential.is_some() {
            Shown::Credential
        } else {
            Shown::Activation
        };
        let credential = watch::Sender::new(credential);
        Ok(Self {
            path,
            connect: connect.into(),
            cluster_id: cluster_id.into(),
            activation,
            credential,
            next,
        })
    }

    /// What to show now.
    pub fn show(&self) -> Option<(Shown, Token)> {
        let token = match self.next {
            Shown::Credential => self.credential.borrow().clone(),
            Shown::Activation => self.activation.clone(),
        };
        token.map(|token| (self.next, token))
    }

    /// What was shown was refused. Where there is another, it is shown next: a cluster that was activated anew has an
    /// old credential and a new token.
    pub fn refused(&mut self, shown: Shown) {
        self.next = match shown {
            Shown::Credential if self.activation.is_some() => Shown::Activation,
            Shown::Activation if self.credential.borrow().is_some() => Shown::Credential,
            same => same,
        };
    }

    /// The platform has handed out a credential. On disk when this returns well.
    pub async fn swapped(&mut self, credential: Token) -> io::Result<()> {
        let kept = Kept {
            connect: self.connect.clone(),
            cluster_id: self.cluster_id.clone(),
            credential: credential.reveal().to_owned(),
        };
        self.next = Shown::Credential;
        self.credential.send_replace(Some(credential));
        let (path, content) = (self.path.clone(), serde_json::to_vec(&kept)?);
        tokio::task::spawn_blocking(move || files::replace(&path, &content))
            .await
            .map_err(io::Error::other)?
    }

    /// The credential, for those who speak with the platform by other ways.
    pub fn watch(&self) -> watch::Receiver<Option<Token>> {
        self.credential.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "wss://platform.example/agent/";

    fn open(folder: &Path, url: &str, activation: Option<&str>) -> Credentials {
        Credentials::open(folder, url, "c1", activation.map(Token::new)).unwrap()
    }

    fn shown(credentials: &Credentials) -> Option<(Shown, String)> {
        credentials
            .show()
            .map(|(shown, token)| (shown, token.reveal().to_owned()))
    }

    #[tokio::test]
    async fn the_token_is_shown_once_and_its_credential_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let mut credentials = open(folder.path(), URL, Some("token"));
        assert_eq!(shown(&credentials), Some((Shown::Activation, "token".into())));

        credentials.swapped(Token::new("credential")).await.unwrap();

        assert_eq!(
            shown(&credentials),
            Some((Shown::Credential, "credential".into()))
        );
        let again = open(folder.path(), URL, Some("token"));
        assert_eq!(
            shown(&again),
            Some((Shown::Credential, "credential".into())),
            "after a restart as well"
        );
    }

    #[tokio::test]
    async fn a_credential_is_not_shown_to_another_platform() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), URL, None)
            .swapped(Token::new("credential"))
            .await
            .unwrap();
        assert_eq!(
            shown(&open(folder.path(), "wss://elsewhere.example/agent/", None)),
            None
        );
    }

    #[tokio::test]
    async fn a_refused_credential_gives_way_to_a_new_token_and_back() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), URL, None)
            .swapped(Token::new("old"))
            .await
            .unwrap();
        let mut credentials = open(folder.path(), URL, Some("new token"));

        credentials.refused(Shown::Credential);
        assert_eq!(shown(&credentials), Some((Shown::Activation, "new token".into())));
        credentials.refused(Shown::Activation);
        assert_eq!(shown(&credentials), Some((Shown::Credential, "old".into())));
    }

    #[test]
    fn a_file_that_a_power_cut_damaged_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("credential"), b"{").unwrap();
        assert_eq!(
            shown(&open(folder.path(), URL, Some("t"))),
            Some((Shown::Activation, "t".into()))
        );
    }
}
