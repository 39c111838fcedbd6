//! How every part of the agent says something to the platform: posted, and forgotten.
//!
//! What is posted waits in the outbox of the link's session, which holds one item per topic and says it again until the
//! platform has stored it. So posting never blocks, never fails and needs no connection.

use std::sync::{Arc, Mutex, PoisonError};

use c7n_link::messages::{Say, Topic};
use c7n_link::{Config, Role, Session};
use tokio::sync::Notify;

/// A cheap handle.
#[derive(Clone)]
pub struct Outgoing {
    session: Arc<Mutex<Session>>,
    wake: Arc<Notify>,
    #[cfg(test)]
    record: Arc<Mutex<Vec<Say>>>,
}

impl Outgoing {
    pub fn new(config: Config) -> Self {
        Self {
            session: Arc::new(Mutex::new(Session::new(Role::Agent, config))),
            wake: Arc::default(),
            #[cfg(test)]
            record: Arc::default(),
        }
    }

    /// One that nobody connects, for tests.
    pub fn detached() -> Self {
        Self::new(Config::default())
    }

    /// Says this as soon as may be. It takes the place of what was posted before on the same topic.
    pub fn post(&self, say: Say) {
        self.post_all([say]);
    }

    pub fn post_all(&self, says: impl IntoIterator<Item = Say>) {
        self.with(|session| {
            for say in says {
                #[cfg(test)]
                self.record.lock().unwrap().push(say.clone());
                session.post(say);
            }
            for lost in session.take_oversized() {
                tracing::error!(topic = ?lost.topic, size = lost.size, limit = lost.limit, "too big to be sent; the platform is told so where it can be");
            }
        });
        self.wake.notify_one();
    }

    /// This need not be said any more.
    pub fn withdraw(&self, topic: &Topic) {
        self.with(|session| session.withdraw(topic));
    }

    /// Whether something is posted on the topic that the platform has not stored yet.
    pub fn is_untold(&self, topic: &Topic) -> bool {
        self.with(|session| session.outbox().contains(topic))
    }

    pub fn is_connected(&self) -> bool {
        self.with(|session| session.is_open())
    }

    /// How many items the platform has not stored yet.
    pub fn waiting(&self) -> usize {
        self.with(|session| session.outbox().len())
    }

    /// What was posted since the last look.
    #[cfg(test)]
    pub fn posted(&self) -> Vec<Say> {
        std::mem::take(&mut self.record.lock().unwrap())
    }

    /// The state machine, for the task that drives it.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Session) -> T) -> T {
        // The session keeps no invariant over a panic of its caller; the next break resets it.
        work(&mut self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when something was posted since the last call.
    pub(super) async fn posted_something(&self) {
        self.wake.notified().await;
    }
}
