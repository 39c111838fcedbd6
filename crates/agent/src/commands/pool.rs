//! The workers that carry commands out, and the one that hands them their work.
//!
//! In: orders and cancellations through a bounded channel. Out: one result per order, through [`Results`]. Order and
//! fairness are the [`Queue`]'s; once-only is the [`Ledger`]'s. A sync does not occupy a worker: it only waits for its
//! environment, and there is at most one at a time for each.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ledger::Ledger;
use super::order::{CommandId, Order, OrderKey, OrderResult, Verb};
use super::queue::{Full, Queue, Taken};
use crate::environments::EnvironmentId;

/// How many commands may wait for one environment.
const LINE_LENGTH: usize = 256;
/// How many messages may wait for the dispatcher, which never waits itself.
const INLET: usize = 64;

/// Does the work of one order. Dropped when it is cancelled or late; repeated if the agent died before the result was
/// written, so that doing it twice must be the same as doing it once.
pub trait CarryOut: Send + Sync + 'static {
    fn carry_out(&self, order: &Order, ledger: &Ledger) -> impl Future<Output = OrderResult> + Send;
}

/// Takes results to the platform; must not block.
pub type Results = Arc<dyn Fn(&CommandId, &OrderResult) + Send + Sync>;

enum Message {
    Order(Order),
    Cancel(CommandId),
}

/// A cheap handle to the pool.
#[derive(Clone)]
pub struct Pool {
    inlet: mpsc::Sender<Message>,
}

impl Pool {
    pub fn start<C: CarryOut>(
        workers: usize,
        ledger: Ledger,
        carry_out: C,
        results: Results,
        tracker: &TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let (inlet, messages) = mpsc::channel(INLET);
        let (ended, ends) = mpsc::channel(workers);
        let hand = Hand {
            ledger,
            carry_out: Arc::new(carry_out),
            results,
            ended,
            shutdown,
        };
        let mut inlets = Vec::with_capacity(workers);
        for number in 0..workers {
            let (work, jobs) = mpsc::channel(1);
            tracker.spawn(hand.clone().work(number, jobs));
            inlets.push(work);
        }
        let dispatcher = Dispatcher {
            queue: Queue::new(LINE_LENGTH),
            known: HashMap::new(),
            idle: (0..workers).collect(),
            workers: inlets,
            hand,
            tracker: tracker.clone(),
        };
        tracker.spawn(dispatcher.run(messages, ends));
        Self { inlet }
    }

    /// Hands the order over. `false` when the agent is stopping: the platform sends it again later.
    pub async fn submit(&self, order: Order) -> bool {
        self.inlet.send(Message::Order(order)).await.is_ok()
    }

    pub async fn cancel(&self, id: CommandId) -> bool {
        self.inlet.send(Message::Cancel(id)).await.is_ok()
    }
}

/// A job and what cancels it.
struct Job {
    order: Order,
    cancel: CancellationToken,
}

/// What ended, and the number of the worker that is free again.
type Ended = (EnvironmentId, OrderKey, CommandId, Option<usize>);

struct Dispatcher<C> {
    queue: Queue<EnvironmentId, OrderKey, Job>,
    /// What waits or runs, by what cancels it.
    known: HashMap<CommandId, CancellationToken>,
    workers: Vec<mpsc::Sender<Job>>,
    /// The numbers of those that have nothing to do.
    idle: Vec<usize>,
    hand: Hand<C>,
    tracker: TaskTracker,
}

impl<C: CarryOut> Dispatcher<C> {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>, mut ends: mpsc::Receiver<Ended>) {
        let shutdown = self.hand.shutdown.clone();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some((environment, key, id, worker)) = ends.recv() => {
                    self.queue.done(environment, key);
                    self.known.remove(&id);
                    self.idle.extend(worker);
                }
                message = messages.recv() => match message {
                    Some(Message::Order(order)) => self.accept(order).await,
                    Some(Message::Cancel(id)) => self.cancel(&id).await,
                    None => return,
                },
            }
            self.hand_out();
        }
    }

    async fn accept(&mut self, order: Order) {
        if let Some(result) = self.hand.ledger.result(&order.id) {
            // Carried out before: the platform has not got the result yet.
            (self.hand.results)(&order.id, &result);
            return;
        }
        if self.known.contains_key(&order.id) {
            return;
        }
        let (id, environment, key) = (order.id.clone(), order.environment.clone(), order.key());
        let cancel = CancellationToken::new();
        self.known.insert(id.clone(), cancel.clone());
        if let Err(Full(job)) = self.queue.push(environment, key, Job { order, cancel }) {
            self.known.remove(&id);
            let text = format!(
                "{LINE_LENGTH} commands already wait for this environment; try again when they have ended"
            );
            self.hand.end(&job.order.id, OrderResult::failed(text)).await;
        }
    }

    async fn cancel(&mut self, id: &CommandId) {
        if let Some(job) = self.queue.withdraw(|job| job.order.id == *id).pop() {
            self.known.remove(&job.order.id);
            self.hand.end(&job.order.id, OrderResult::cancelled()).await;
        } else if let Some(running) = self.known.get(id) {
            running.cancel();
        } else if let Some(result) = self.hand.ledger.result(id) {
            (self.hand.results)(id, &result);
        }
    }

    fn hand_out(&mut self) {
        while let Some(worker) = self.idle.pop() {
            let Some(Taken { job, .. }) = self.queue.take() else {
                self.idle.push(worker);
                return;
            };
            if job.order.verb == Verb::Sync {
                self.idle.push(worker);
                let hand = self.hand.clone();
                self.tracker.spawn(async move { hand.carry_one(job, None).await });
            } else if let Err(refused) = self.workers[worker].try_send(job) {
                // An idle worker has room for one job; it is gone only when the agent stops.
                tracing::debug!(cause = %refused, "a worker takes no more work");
            }
        }
    }
}

/// What a worker needs.
struct Hand<C> {
    ledger: Ledger,
    carry_out: Arc<C>,
    results: Results,
    ended: mpsc::Sender<Ended>,
    shutdown: CancellationToken,
}

impl<C> Clone for Hand<C> {
    fn clone(&self) -> Self {
        Self {
            ledger: self.ledger.clone(),
            carry_out: self.carry_out.clone(),
            results: self.results.clone(),
            ended: self.ended.clone(),
            shutdown: self.shutdown.clone(),
        }
    }
}

impl<C: CarryOut> Hand<C> {
    async fn work(self, number: usize, mut jobs: mpsc::Receiver<Job>) {
        loop {
            let job = tokio::select! {
                () = self.shutdown.cancelled() => return,
                job = jobs.recv() => job,
            };
            let Some(job) = job else { return };
            self.carry_one(job, Some(number)).await;
        }
    }

    async fn carry_one(&self, job: Job, worker: Option<usize>) {
        let order = job.order;
        let (environment, key, id) = (order.environment.clone(), order.key(), order.id.clone());
        let result = tokio::select! {
            biased;
            // No result: the platform sends the order again, and the next run ends it.
            () = self.shutdown.cancelled() => return,
            () = job.cancel.cancelled() => OrderResult::cancelled(),
            result = self.in_time(&order) => result,
        };
        self.end(&id, result).await;
        // Fails only when the dispatcher is gone, and then nobody waits.
        let _ = self.ended.send((environment, key, id, worker)).await;
    }

    async fn in_time(&self, order: &Order) -> OrderResult {
        if order.deadline <= Instant::now() {
            return OrderResult::expired();
        }
        let work = self.carry_out.carry_out(order, &self.ledger);
        timeout_at(order.deadline, work)
            .await
            .unwrap_or_else(|_| OrderResult::expired())
    }

    async fn end(&self, id: &CommandId, result: OrderResult) {
        if let Err(cause) = self.ledger.end(id, result.clone()).await {
            tracing::error!(command = %id, %cause, "the result cannot be written down; after a restart the command would be carried out again");
        }
        (self.results)(id, &result);
    }
}

#[cfg(test)]
mod tests;
