//! What the agent shows at the door: the activation token first, then the credential that it was swapped for.
//!
//! The credential is kept together with the platform and the cluster it is for, so that an agent that is pointed
//! elsewhere does not show it there: in a file, or in a Secret that all copies of the agent share ([`CredentialStore`]).

mod file;
mod secret;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::config::Token;

pub use file::FileStore;
pub use secret::SecretStore;

/// What is kept. No `Debug`: it holds the credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub connect: String,
    pub cluster_id: String,
    pub credential: String,
}

#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("{place} cannot be read: {cause}")]
    Read { place: String, cause: String },
    #[error("{place} cannot be written: {cause}")]
    Write { place: String, cause: String },
    #[error("{place} was changed by somebody else at the same time")]
    Conflict { place: String },
}

/// Where the credential outlives the process.
pub trait CredentialStore: Send + Sync + 'static {
    /// What is kept now. A damaged one is as good as none.
    fn load(&self) -> BoxFuture<'_, Result<Option<Kept>, KeepError>>;
    /// Takes the place of what was there at the last [`CredentialStore::load`] or save; safe when this returns well.
    fn save(&self, kept: Kept) -> BoxFuture<'_, Result<(), KeepError>>;
}

/// Which of the two is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Credential,
    Activation,
}

pub struct Credentials {
    store: Arc<dyn CredentialStore>,
    connect: String,
    cluster_id: String,
    activation: Option<Token>,
    credential: watch::Sender<Option<Token>>,
    next: Shown,
}

impl Credentials {
    /// Reads what an earlier run, or another copy, has kept. What is for another platform is as good as none.
    pub async fn open(
        store: Arc<dyn CredentialStore>,
        connect: &str,
        cluster_id: &str,
        activation: Option<Token>,
    ) -> Result<Self, KeepError> {
        let credential = store
            .load()
            .await?
            .filter(|kept| kept.connect == connect && kept.cluster_id == cluster_id)
            .map(|kept| Token::new(kept.credential));
        let next = if credential.is_some() {
            Shown::Credential
        } else {
            Shown::Activation
        };
        let credential = watch::Sender::new(credential);
        Ok(Self {
            store,
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

    /// The platform has handed out a credential. Kept when this returns well.
    pub async fn swapped(&mut self, credential: Token) -> Result<(), KeepError> {
        let kept = Kept {
            connect: self.connect.clone(),
            cluster_id: self.cluster_id.clone(),
            credential: credential.reveal().to_owned(),
        };
        let saved = match self.store.save(kept.clone()).await {
            // Only who leads comes here, and what it was just given is the newest: it is written over what was found.
            Err(KeepError::Conflict { .. }) => {
                self.store.load().await?;
                self.store.save(kept).await
            }
            saved => saved,
        };
        self.next = Shown::Credential;
        self.credential.send_replace(Some(credential));
        saved
    }

    /// The credential, for those who speak with the platform by other ways.
    pub fn watch(&self) -> watch::Receiver<Option<Token>> {
        self.credential.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const URL: &str = "wss://platform.example/agent/";

    async fn open(folder: &Path, url: &str, activation: Option<&str>) -> Credentials {
        let store = Arc::new(FileStore::new(folder));
        Credentials::open(store, url, "c1", activation.map(Token::new))
            .await
            .unwrap()
    }

    fn shown(credentials: &Credentials) -> Option<(Shown, String)> {
        credentials
            .show()
            .map(|(shown, token)| (shown, token.reveal().to_owned()))
    }

    #[tokio::test]
    async fn the_token_is_shown_once_and_its_credential_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let mut credentials = open(folder.path(), URL, Some("token")).await;
        assert_eq!(shown(&credentials), Some((Shown::Activation, "token".into())));

        credentials.swapped(Token::new("credential")).await.unwrap();

        assert_eq!(
            shown(&credentials),
            Some((Shown::Credential, "credential".into()))
        );
        let again = open(folder.path(), URL, Some("token")).await;
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
            .await
            .swapped(Token::new("credential"))
            .await
            .unwrap();
        assert_eq!(
            shown(&open(folder.path(), "wss://elsewhere.example/agent/", None).await),
            None
        );
    }

    #[tokio::test]
    async fn a_refused_credential_gives_way_to_a_new_token_and_back() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), URL, None)
            .await
            .swapped(Token::new("old"))
            .await
            .unwrap();
        let mut credentials = open(folder.path(), URL, Some("new token")).await;

        credentials.refused(Shown::Credential);
        assert_eq!(shown(&credentials), Some((Shown::Activation, "new token".into())));
        credentials.refused(Shown::Activation);
        assert_eq!(shown(&credentials), Some((Shown::Credential, "old".into())));
    }

    #[tokio::test]
    async fn a_file_that_a_power_cut_damaged_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("credential"), b"{").unwrap();
        assert_eq!(
            shown(&open(folder.path(), URL, Some("t")).await),
            Some((Shown::Activation, "t".into()))
        );
    }
}
