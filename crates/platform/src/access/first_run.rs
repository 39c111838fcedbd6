//! The very first start: makes the first administrator; and the way back in when their password is lost.

use std::io;
use std::path::PathBuf;

use c7n_api::{Caller, Token};

use super::passwords::Passwords;
use super::tokens;
use crate::store::{Store, StoreError, UserRow, new_id, now_ms};

const USERNAME: &str = "admin";

/// What is shown once. No `Debug`: it holds a password and a token.
pub struct FirstRun {
    pub username: String,
    pub password: String,
    pub token: String,
}

#[derive(Debug, thiserror::Error)]
pub enum FirstRunError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Password(#[from] super::passwords::PasswordError),
    #[error("the file {path} cannot be written: {source}; choose another with --first-run-file")]
    File { path: PathBuf, source: io::Error },
    #[error("there is no user {0:?}")]
    NoSuchUser(String),
}

/// `None` when there are users already. `keep` is called before the administrator exists: what it cannot keep is not made.
pub async fn ensure_administrator(
    store: &Store,
    passwords: &Passwords,
    keep: impl FnOnce(&FirstRun) -> Result<(), FirstRunError>,
) -> Result<Option<FirstRun>, FirstRunError> {
    if store.has_users().await? {
        return Ok(None);
    }
    let password = tokens::password();
    let issued = tokens::issue();
    let caller = Caller {
        id: new_id(),
        username: USERNAME.to_owned(),
        administrator: true,
    };
    let user = UserRow {
        caller,
        password_hash: passwords.hash(password.clone()).await?,
    };
    let token = Token {
        id: new_id(),
        name: "first start".to_owned(),
        created_ms: now_ms(),
        expires_ms: None,
        last_used_ms: None,
    };
    let first_run = FirstRun {
        username: USERNAME.to_owned(),
        password,
        token: issued.token,
    };
    keep(&first_run)?;
    let mut tx = store.write().await?;
    tx.create_user(&user).await?;
    tx.create_token(&user.caller.id, &token, &issued.hash).await?;
    tx.audit("platform", "create", &format!("user/{USERNAME}"), None)
        .await?;
    tx.commit().await?;
    Ok(Some(first_run))
}

/// A new password for somebody who lost theirs; for whoever holds the data folder.
pub async fn reset_password(
    store: &Store,
    passwords: &Passwords,
    username: &str,
) -> Result<String, FirstRunError> {
    let password = tokens::password();
    let hash = passwords.hash(password.clone()).await?;
    let mut tx = store.write().await?;
    if !tx.set_password(username, &hash).await? {
        return Err(FirstRunError::NoSuchUser(username.to_owned()));
    }
    tx.audit("platform", "reset-password", &format!("user/{username}"), None)
        .await?;
    tx.commit().await?;
    Ok(password)
}
