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
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;
    use crate::cluster::KindName;
    use crate::commands::order::{ObjectName, OrderEnd};

    /// Each order takes the seconds that its replica count says; what happens is written down.
    #[derive(Clone, Default)]
    struct Slow {
        log: Arc<Mutex<Vec<String>>>,
    }

    impl CarryOut for Slow {
        async fn carry_out(&self, order: &Order, _: &Ledger) -> OrderResult {
            self.log.lock().unwrap().push(format!("begin {}", order.id));
            if let Verb::Scale { replicas, .. } = order.verb {
                tokio::time::sleep(Duration::from_secs(replicas.into())).await;
            }
            self.log.lock().unwrap().push(format!("end {}", order.id));
            OrderResult::succeeded("")
        }
    }

    struct Bench {
        pool: Pool,
        slow: Slow,
        results: Arc<Mutex<Vec<(String, OrderEnd)>>>,
        shutdown: CancellationToken,
        tracker: TaskTracker,
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new(workers: usize) -> Self {
            Self::in_folder(workers, tempfile::tempdir().unwrap())
        }

        fn in_folder(workers: usize, folder: tempfile::TempDir) -> Self {
            let (slow, results) = (Slow::default(), Arc::new(Mutex::new(Vec::new())));
            let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
            let ledger = Ledger::open(folder.path()).unwrap();
            let told = results.clone();
            let tell: Results =
                Arc::new(move |id, result| told.lock().unwrap().push((id.to_string(), result.end)));
            let pool = Pool::start(workers, ledger, slow.clone(), tell, &tracker, shutdown.clone());
            Self {
                pool,
                slow,
                results,
                shutdown,
                tracker,
                folder,
            }
        }

        async fn order(&self, id: &str, environment: &str, object: &str, seconds: u32) {
            self.order_until(id, environment, object, seconds, 1_000).await;
        }

        async fn order_until(&self, id: &str, environment: &str, object: &str, seconds: u32, deadline: u64) {
            let object = ObjectName {
                kind: KindName::new("apps", "Deployment"),
                name: object.into(),
            };
            let order = Order {
                id: CommandId::new(id).unwrap(),
                environment: EnvironmentId::new(environment).unwrap(),
                verb: Verb::Scale {
                    object,
                    replicas: seconds,
                },
                deadline: Instant::now() + Duration::from_secs(deadline),
            };
            assert!(self.pool.submit(order).await);
        }

        async fn until_results(&self, count: usize) -> Vec<(String, OrderEnd)> {
            for _ in 0..100_000 {
                if self.results.lock().unwrap().len() >= count {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.results.lock().unwrap().clone()
        }

        fn log(&self) -> Vec<String> {
            self.slow.log.lock().unwrap().clone()
        }

        /// Stops everything, as a kill does, and starts again on the same files.
        async fn restart(self) -> Self {
            self.shutdown.cancel();
            self.tracker.close();
            self.tracker.wait().await;
            Self::in_folder(1, self.folder)
        }
    }

    fn at(log: &[String], what: &str) -> usize {
        log.iter()
            .position(|line| line == what)
            .unwrap_or_else(|| panic!("{what} in {log:?}"))
    }

    #[tokio::test(start_paused = true)]
    async fn one_object_in_order_and_many_at_once() {
        let bench = Bench::new(4);
        bench.order("first", "a", "web", 5).await;
        bench.order("second", "a", "web", 0).await;
        bench.order("other", "a", "db", 0).await;

        bench.until_results(3).await;

        let log = bench.log();
        assert!(at(&log, "end first") < at(&log, "begin second"), "{log:?}");
        assert!(at(&log, "end other") < at(&log, "end first"), "{log:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_environment_with_a_hundred_commands_does_not_hold_up_another() {
        let bench = Bench::new(1);
        for number in 0..100 {
            bench
                .order(&format!("a{number}"), "a", &format!("object{number}"), 1)
                .await;
        }
        bench.order("b", "b", "web", 1).await;

        bench.until_results(101).await;

        assert!(
            at(&bench.log(), "begin b") <= 6,
            "its turn comes after at most what ran and one more: {:?}",
            bench.log()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn delivered_twice_is_carried_out_once() {
        let bench = Bench::new(2);
        bench.order("c", "a", "web", 5).await;
        bench.order("c", "a", "web", 5).await;
        assert_eq!(bench.until_results(1).await.len(), 1);

        bench.order("c", "a", "web", 5).await;
        assert_eq!(bench.until_results(2).await.len(), 2, "the result is told again");
        assert_eq!(bench.log(), ["begin c", "end c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_neither_repeats_what_ended_nor_forgets_what_had_begun() {
        let bench = Bench::new(1);
        bench.order("ended", "a", "web", 0).await;
        bench.until_results(1).await;
        bench.order("begun", "a", "web", 500).await;
        while !bench.log().contains(&"begin begun".to_owned()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        let bench = bench.restart().await;
        bench.order("ended", "a", "web", 0).await;
        bench.order("begun", "a", "web", 0).await;

        let results = bench.until_results(2).await;
        assert_eq!(
            results,
            [
                ("ended".into(), OrderEnd::Succeeded),
                ("begun".into(), OrderEnd::Succeeded)
            ]
        );
        assert_eq!(bench.log(), ["begin begun", "end begun"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_is_late_ends_as_expired_and_frees_its_worker() {
        let bench = Bench::new(1);
        bench.order_until("late", "a", "web", 100, 3).await;
        bench.order("next", "a", "web", 0).await;

        let results = bench.until_results(2).await;

        assert_eq!(
            results,
            [
                ("late".into(), OrderEnd::Expired),
                ("next".into(), OrderEnd::Succeeded)
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_is_cancelled_while_it_waits_and_while_it_runs() {
        let bench = Bench::new(1);
        bench.order("runs", "a", "web", 100).await;
        bench.order("waits", "a", "web", 100).await;
        while bench.log().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        bench.pool.cancel(CommandId::new("waits").unwrap()).await;
        bench.pool.cancel(CommandId::new("runs").unwrap()).await;

        let mut results = bench.until_results(2).await;
        results.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            results,
            [
                ("runs".into(), OrderEnd::Cancelled),
                ("waits".into(), OrderEnd::Cancelled)
            ]
        );
        assert_eq!(bench.log(), ["begin runs"]);
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_the_line_holds_is_refused_with_words() {
        let bench = Bench::new(1);
        for number in 0..=LINE_LENGTH + 1 {
            bench.order(&format!("c{number}"), "a", "web", 900).await;
        }
        assert_eq!(bench.until_results(1).await[0].1, OrderEnd::Failed);
    }
}
