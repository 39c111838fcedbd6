//! Workers that are kept warm, and places to work at.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::exchange::{self, Budget, Fate};
use super::process::{self, Worker};
use super::wire::Request;
use super::{WorkerOptions, lock};
use crate::EngineError;

/// An idle worker ends at once when its input does.
const GRACE: Duration = Duration::from_secs(2);
const TIDY_PERIOD: Duration = Duration::from_secs(15);

pub struct Pool {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    /// Ends workers that have been idle for long; itself ended with the pool.
    tidying: Mutex<JoinSet<()>>,
}

struct Shared {
    options: WorkerOptions,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    worker: Worker,
    since: Instant,
}

impl Pool {
    pub fn new(options: WorkerOptions) -> Self {
        let places = Arc::new(Semaphore::new(options.processes.max(1)));
        Self {
            shared: Arc::new(Shared {
                options,
                idle: Mutex::default(),
            }),
            places,
            tidying: Mutex::default(),
        }
    }

    /// Waits for a place to work at, as long as the operation itself may take.
    pub async fn place(&self, budget: Budget, cancel: &CancellationToken) -> Result<Place, EngineError> {
        self.tidy();
        let permit = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(EngineError::Cancelled),
            permit = tokio::time::timeout(budget.timeout, self.places.clone().acquire_owned()) => permit,
        };
        match permit {
            Ok(Ok(permit)) => Ok(Place {
                shared: self.shared.clone(),
                _permit: permit,
            }),
            Ok(Err(_)) => Err(EngineError::Engine {
                reason: "the agent is stopping".to_owned(),
            }),
            Err(_) => Err(EngineError::Timeout {
                after: budget.timeout,
            }),
        }
    }

    pub fn idle(&self) -> Vec<u32> {
        lock(&self.shared.idle)
            .iter()
            .filter_map(|idle| idle.worker.id())
            .collect()
    }

    pub async fn close(&self) {
        self.places.close();
        let idle = std::mem::take(&mut *lock(&self.shared.idle));
        for mut idle in idle {
            idle.worker.stop(GRACE).await;
        }
    }

    /// Starts the task that ends idle workers, once.
    fn tidy(&self) {
        let mut tidying = lock(&self.tidying);
        if tidying.is_empty() {
            let shared = Arc::downgrade(&self.shared);
            tidying.spawn(async move {
                loop {
                    tokio::time::sleep(TIDY_PERIOD).await;
                    let Some(shared) = shared.upgrade() else {
                        return;
                    };
                    for mut idle in shared.take_stale() {
                        idle.worker.stop(GRACE).await;
                    }
                }
            });
        }
    }
}

impl Shared {
    fn take_stale(&self) -> Vec<Idle> {
        let mut idle = lock(&self.idle);
        let (stale, fresh) = idle
            .drain(..)
            .partition(|idle| idle.since.elapsed() > self.options.idle);
        *idle = fresh;
        stale
    }

    /// The worker that worked last: it is the warmest, and the others can go.
    fn warm(&self) -> Option<Worker> {
        let kubeconfig = process::stamp(&self.options.kubeconfig);
        let mut idle = lock(&self.idle);
        std::iter::from_fn(|| idle.pop().map(|idle| idle.worker)).find_map(|mut worker| {
            // One that is not is dropped, and so killed.
            worker.is_fit(kubeconfig).then_some(worker)
        })
    }

    async fn start(&self) -> Result<Worker, EngineError> {
        Worker::start(&self.options).await.map_err(|error| {
            let program = self.options.program.display();
            let reason = match error.kind() {
                io::ErrorKind::NotFound => format!("{program} is missing; it belongs beside the agent"),
                _ => format!("{program} does not start: {error}"),
            };
            EngineError::Engine { reason }
        })
    }

    fn keep(&self, worker: Worker) -> Option<Worker> {
        let greedy = worker
            .resident()
            .is_none_or(|used| used > self.options.memory / 2);
        if greedy || worker.operations >= self.options.operations {
            return Some(worker);
        }
        lock(&self.idle).push(Idle {
            worker,
            since: Instant::now(),
        });
        None
    }
}

/// The right to keep one worker busy.
pub struct Place {
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    /// One operation on a warm worker, or on a new one.
    pub async fn exchange<T: DeserializeOwned>(
        &self,
        request: &Request,
        budget: Budget,
        cancel: &CancellationToken,
    ) -> Result<T, EngineError> {
        if cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let mut worker = match self.shared.warm() {
            Some(worker) => worker,
            None => self.shared.start().await?,
        };
        let (fate, outcome) = exchange::exchange(&mut worker, request, budget, cancel).await;
        if matches!(fate, Fate::Alive)
            && let Some(mut spent) = self.shared.keep(worker)
        {
            spent.stop(GRACE).await;
        }
        outcome
    }
}
