//! Whether this copy can do its part, in words.

use std::sync::{Arc, Mutex, PoisonError};

/// A cheap handle.
#[derive(Clone, Debug)]
pub struct Readiness {
    now: Arc<Mutex<Result<String, String>>>,
}

impl Readiness {
    pub fn not_yet(words: &str) -> Self {
        Self {
            now: Arc::new(Mutex::new(Err(words.to_owned()))),
        }
    }

    pub fn ready(&self, words: impl Into<String>) {
        self.set(Ok(words.into()));
    }

    pub fn not_ready(&self, words: impl Into<String>) {
        self.set(Err(words.into()));
    }

    /// What is wrong now, unless it was ready before: a platform that goes away for a while does not make a leader unready,
    /// because it goes on with what it knows.
    pub fn trouble(&self, words: impl Into<String>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_err() {
            *now = Err(words.into());
        }
    }

    pub fn get(&self) -> Result<String, String> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, new: Result<String, String>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.is_ok() != new.is_ok() {
            match &new {
                Ok(words) => tracing::info!(words, "ready"),
                Err(words) => tracing::warn!(words, "not ready"),
            }
        }
        *now = new;
    }
}
