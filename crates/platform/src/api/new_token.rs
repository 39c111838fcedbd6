//! Making a token, whoever owns it.

use axum::Json;
use c7n_api::{IssuedToken, NewToken, Token};

use super::Failure;
use crate::access::tokens::{self, Issued};
use crate::store::{new_id, now_ms};

/// A token that is to be stored. No `Debug`: it holds the token itself.
pub(super) struct MadeToken {
    pub token: Token,
    issued: Issued,
}

impl MadeToken {
    pub fn new(new: NewToken) -> Result<Self, Failure> {
        let now = now_ms();
        if new.expires_ms.is_some_and(|at| at <= now) {
            return Err(Failure::invalid(
                "the token would have expired already",
                "choose a later time",
            ));
        }
        Ok(Self {
            token: Token {
                id: new_id(),
                name: new.name.chars().take(100).collect(),
                created_ms: now,
                expires_ms: new.expires_ms,
                last_used_ms: None,
            },
            issued: tokens::issue(),
        })
    }

    /// What is stored of the token itself.
    pub fn hash(&self) -> &str {
        &self.issued.hash
    }

    /// The one answer that shows it.
    pub fn shown(self) -> Json<IssuedToken> {
        Json(IssuedToken {
            token: self.issued.token,
            name: self.token.name,
            expires_ms: self.token.expires_ms,
        })
    }
}
