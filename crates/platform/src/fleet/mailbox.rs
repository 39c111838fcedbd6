//! What a session is to look up when it next has time. Bounded by the number of environments and of streams, however much
//! changes.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use c7n_link::messages::OpenStream;
use tokio::sync::Notify;

#[derive(Default)]
pub struct Mailbox {
    content: Mutex<Content>,
    arrived: Notify,
}

#[derive(Default)]
pub struct Content {
    pub environments: BTreeSet<String>,
    pub commands: Commands,
    /// No more than the cluster's streams that may be open.
    pub streams: Vec<OpenStream>,
    pub close: Option<Reason>,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub enum Commands {
    #[default]
    Same,
    Changed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Superseded,
    ClusterDeleted,
}

impl Mailbox {
    pub fn environment_changed(&self, environment: &str) {
        self.put(|content| {
            content.environments.insert(environment.to_owned());
        });
    }

    pub fn commands_changed(&self) {
        self.put(|content| content.commands = Commands::Changed);
    }

    pub fn open_stream(&self, open: OpenStream) {
        self.put(|content| content.streams.push(open));
    }

    pub fn close(&self, reason: Reason) {
        self.put(|content| content.close = Some(reason));
    }

    /// Waits until there is something, and takes all of it.
    pub async fn take(&self) -> Content {
        self.arrived.notified().await;
        std::mem::take(&mut *self.content.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, change: impl FnOnce(&mut Content)) {
        change(&mut self.content.lock().unwrap_or_else(PoisonError::into_inner));
        self.arrived.notify_one();
    }
}
