//! Credentials do not grow old: over a live session the agent gets a new one, while the old one still works.
//!
//! The old one ends when the new one was used (the next session opens with it). So a crash at any moment, on either
//! side, leaves the agent with one that works.

use std::time::Duration;

use c7n_link::messages::{NewCredential, Say};
use c7n_link::{FEATURE_NEW_CREDENTIAL, messages::Hello};
use tokio::time::Instant;

use super::session::Line;
use crate::access::tokens;
use crate::store::{Credential, Purpose, Store, StoreError, now_ms};

/// After a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// How long this credential may still be used, if its agent can take another. Pure.
pub(super) fn remaining(
    credential: &Credential,
    hello: &Hello,
    now_ms: i64,
    age: Duration,
) -> Option<Duration> {
    let able = hello
        .features
        .iter()
        .any(|feature| feature == FEATURE_NEW_CREDENTIAL);
    if !able || credential.purpose != Purpose::Session {
        return None;
    }
    // A clock that went back makes nothing old.
    let old = Duration::from_millis(u64::try_from(now_ms - credential.created_ms).unwrap_or(0));
    Some(age.saturating_sub(old))
}

impl Line {
    pub(super) fn plan_rotation(&mut self, hello: &Hello) {
        let age = self.fleet.inner.credential_age;
        self.rotate_at = remaining(&self.credential, hello, now_ms(), age).map(|left| Instant::now() + left);
    }

    /// Stores a new credential and hands it out. Once in a session: the next one begins with it.
    pub(super) async fn rotate(&mut self) {
        match issue(&self.fleet.inner.store, &self.credential).await {
            Ok(credential) => {
                tracing::info!(cluster = %self.credential.cluster_id, "its agent gets a new credential");
                self.session.post(Say::Credential(NewCredential { credential }));
                self.rotate_at = None;
            }
            Err(error) => {
                tracing::warn!(cluster = %self.credential.cluster_id, %error, "a new credential could not be stored; it is tried again");
                self.rotate_at = Some(Instant::now() + AGAIN);
            }
        }
    }
}

async fn issue(store: &Store, old: &Credential) -> Result<String, StoreError> {
    let issued = tokens::issue();
    let mut tx = store.write().await?;
    tx.renew_session_credential(old, &issued.hash).await?;
    tx.commit().await?;
    Ok(issued.token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    #[test]
    fn only_a_credential_of_an_agent_that_can_take_another_grows_old() {
        let able = || Hello {
            features: vec![FEATURE_NEW_CREDENTIAL.to_owned()],
            ..Hello::default()
        };
        let credential = |purpose| Credential {
            id: "i".into(),
            cluster_id: "c".into(),
            purpose,
            created_ms: 10 * DAY,
        };
        let age = Duration::from_secs(30 * 86_400);
        let days = |purpose, hello: Hello, now_days: i64| {
            remaining(&credential(purpose), &hello, now_days * DAY, age).map(|left| left.as_secs() / 86_400)
        };
        for (purpose, hello, now, expected) in [
            (Purpose::Session, able(), 10, Some(30)),
            (Purpose::Session, able(), 25, Some(15)),
            (Purpose::Session, able(), 400, Some(0)),
            (Purpose::Session, able(), 1, Some(30)),
            (Purpose::Session, Hello::default(), 400, None),
            (Purpose::Activation, able(), 400, None),
        ] {
            assert_eq!(days(purpose, hello, now), expected, "{purpose:?} at day {now}");
        }
    }
}
