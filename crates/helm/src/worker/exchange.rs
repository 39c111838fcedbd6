//! One request and its answer, against a deadline, a cancellation and a memory limit.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::process::Worker;
use super::wire::{Reply, Request};
use crate::{EngineError, OnFailure};

/// A worker ends its operation by itself and says so; this is for one that does not.
const OVERTIME: Duration = Duration::from_secs(5);
/// What a cancelled worker gets to note that on the release.
const GRACE: Duration = Duration::from_secs(3);
/// The worker's code for having passed its memory limit.
const EXIT_MEMORY: i32 = 71;

/// The time of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// As the caller gave it.
    pub timeout: Duration,
    /// After which the worker must have answered.
    longest: Duration,
}

impl Budget {
    pub fn of(timeout: Duration) -> Self {
        Self {
            timeout,
            longest: timeout,
        }
    }

    /// The way back gets the same time again.
    pub fn with_way_back(timeout: Duration, on_failure: OnFailure) -> Self {
        let longest = match on_failure {
            OnFailure::Keep => timeout,
            OnFailure::RollBack => timeout * 2,
        };
        Self { timeout, longest }
    }
}

/// What became of the worker.
pub enum Fate {
    Alive,
    Gone,
}

/// Sends the request and waits for its answer. Whatever cuts it short ends the worker.
pub async fn exchange<T: DeserializeOwned>(
    worker: &mut Worker,
    request: &Request,
    budget: Budget,
    cancel: &CancellationToken,
) -> (Fate, Result<T, EngineError>) {
    let line = match serde_json::to_vec(request) {
        Ok(line) => line,
        Err(error) => {
            let reason = format!("the request cannot be written: {error}");
            return (Fate::Alive, Err(EngineError::Engine { reason }));
        }
    };
    worker.operations += 1;
    let (id, limit) = (worker.id(), worker.memory_limit());
    let talk = async {
        worker.send(&line).await?;
        worker.line().await
    };
    let cut = tokio::select! {
        biased;
        () = cancel.cancelled() => Cut::Cancelled,
        said = talk => match said {
            Ok(answer) => return read(worker, request, &answer).await,
            Err(error) => Cut::Broken(error),
        },
        () = Worker::outgrown(id, limit) => Cut::Outgrown,
        () = tokio::time::sleep(budget.longest + OVERTIME) => Cut::Late,
    };
    let error = match cut {
        Cut::Cancelled => {
            worker.stop(GRACE).await;
            EngineError::Cancelled
        }
        Cut::Late => {
            worker.stop(Duration::ZERO).await;
            EngineError::Timeout {
                after: budget.timeout,
            }
        }
        Cut::Outgrown => {
            worker.stop(Duration::ZERO).await;
            too_much_memory(limit)
        }
        Cut::Broken(error) => {
            // It is ending, or cannot be understood.
            let status = tokio::time::timeout(GRACE, worker.wait()).await;
            match status {
                Ok(Ok(status)) => died(status, limit),
                _ => {
                    worker.stop(Duration::ZERO).await;
                    EngineError::Killed {
                        reason: format!("it could not be talked to ({error})"),
                    }
                }
            }
        }
    };
    (Fate::Gone, Err(error))
}

enum Cut {
    Cancelled,
    Late,
    Outgrown,
    Broken(std::io::Error),
}

async fn read<T: DeserializeOwned>(
    worker: &mut Worker,
    request: &Request,
    answer: &[u8],
) -> (Fate, Result<T, EngineError>) {
    match serde_json::from_slice::<Reply<T>>(answer) {
        Ok(reply) if reply.id == request.id => {
            let outcome = reply.outcome();
            // After a timeout its operation may still be going on inside.
            if matches!(outcome, Err(EngineError::Timeout { .. })) {
                worker.stop(Duration::ZERO).await;
                return (Fate::Gone, outcome);
            }
            (Fate::Alive, outcome)
        }
        _ => {
            worker.stop(Duration::ZERO).await;
            let reason =
                "its answer cannot be understood; agent and worker must be of one version".to_owned();
            (Fate::Gone, Err(EngineError::Killed { reason }))
        }
    }
}

fn died(status: ExitStatus, limit: u64) -> EngineError {
    if status.code() == Some(EXIT_MEMORY) {
        return too_much_memory(limit);
    }
    let reason = match (status.code(), status.signal()) {
        (Some(2), _) => format!("it ran out of memory (more than {} MiB) or crashed", limit >> 20),
        (Some(code), _) => format!("it ended with code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it ended".to_owned(),
    };
    EngineError::Killed { reason }
}

fn too_much_memory(limit: u64) -> EngineError {
    EngineError::Killed {
        reason: format!(
            "the chart needed more than {} MiB; does one of its templates loop?",
            limit >> 20
        ),
    }
}
