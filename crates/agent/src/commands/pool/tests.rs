//! What the pool promises, with time that is played.

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
