//! Finds SSH connections that never log in, or that nobody uses any more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// What is known of a connection's use.
pub(crate) struct Watch {
    pub logged_in: CancellationToken,
    at_work: AtomicUsize,
    last_use: Mutex<Instant>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            logged_in: CancellationToken::new(),
            at_work: AtomicUsize::new(0),
            last_use: Mutex::new(Instant::now()),
        }
    }
}

impl Watch {
    pub async fn login_overdue(&self, limit: Duration) {
        if tokio::time::timeout(limit, self.logged_in.cancelled())
            .await
            .is_ok()
        {
            std::future::pending::<()>().await;
        }
    }

    pub async fn unused(&self, limit: Duration) {
        loop {
            let quiet = match self.at_work() {
                0 => self
                    .last_use
                    .lock()
                    .map(|last| last.elapsed())
                    .unwrap_or_default(),
                _ => Duration::ZERO,
            };
            match limit.checked_sub(quiet) {
                Some(rest) if !rest.is_zero() => tokio::time::sleep(rest).await,
                _ => return,
            }
        }
    }

    /// How many programs work for this connection.
    pub fn at_work(&self) -> usize {
        self.at_work.load(Ordering::Acquire)
    }

    pub fn used(&self) {
        if let Ok(mut last) = self.last_use.lock() {
            *last = Instant::now();
        }
    }
}

/// Counts a program at work for as long as it lives.
pub(crate) struct AtWork(Arc<Watch>);

impl AtWork {
    pub fn new(watch: &Arc<Watch>) -> Self {
        watch.at_work.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(watch))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.used();
        self.0.at_work.fetch_sub(1, Ordering::AcqRel);
    }
}
