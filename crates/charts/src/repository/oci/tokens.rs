//! Proofs of who we are that registries have accepted, for as long as they hold.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::super::cache::Key;
use super::super::credentials::Authorization;

#[derive(Default)]
pub(in super::super) struct Tokens(Mutex<HashMap<Key, (Authorization, Instant)>>);

/// More are not remembered; they are only asked for again.
const MOST: usize = 1000;

/// The answer of a token service.
#[derive(Deserialize)]
pub(super) struct Issued {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
    expires_in: Option<u64>,
}

impl Issued {
    /// The token and how long it may be used; with a margin, so that it does not run out on its way.
    pub fn usable(self) -> Option<(String, Duration)> {
        let token = if self.token.is_empty() {
            self.access_token
        } else {
            self.token
        };
        // The protocol's own default is a minute.
        let seconds = self.expires_in.unwrap_or(60).min(3600);
        (!token.is_empty()).then(|| (token, Duration::from_secs(seconds) * 4 / 5))
    }
}

impl Tokens {
    pub fn get(&self, key: &Key) -> Option<Authorization> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (authorization, until) = known.get(key)?;
        (*until > Instant::now()).then(|| authorization.clone())
    }

    pub fn keep(&self, key: Key, authorization: Authorization, lifetime: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if known.len() >= MOST {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() < MOST {
            known.insert(key, (authorization, now + lifetime));
        }
    }

    pub fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
