//! What a person may order of a release; a cheap handle for the commands.

use std::time::Duration;

use c7n_helm::{HookPhase, HookRun, ReleaseId};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::controller::Order;

/// The controller itself never waits; this is for one that has ended.
const ANSWER: Duration = Duration::from_secs(10);
/// A chart's tests may take this long: a little less than a command may.
const TEST: Duration = Duration::from_secs(270);

#[derive(Clone)]
pub struct Orders {
    line: mpsc::Sender<Order>,
}

impl Orders {
    pub(super) fn new(line: mpsc::Sender<Order>) -> Self {
        Self { line }
    }

    /// A handle that nobody listens to, for tests of other things.
    pub fn detached() -> Self {
        Self::new(mpsc::channel(1).0)
    }

    /// Breaks off what goes on with the release.
    pub async fn cancel(&self, namespace: &str, name: &str) -> Result<String, String> {
        let (answer, answered) = oneshot::channel();
        let id = ReleaseId::new(namespace, name);
        self.ask(Order::Cancel { id, answer }, answered, ANSWER).await?
    }

    /// Tries again at once what has failed or was cancelled.
    pub async fn retry(&self, namespace: &str, name: &str) -> Result<String, String> {
        let (answer, answered) = oneshot::channel();
        let id = ReleaseId::new(namespace, name);
        self.ask(Order::Retry { id, answer }, answered, ANSWER).await?
    }

    /// Runs the chart's tests; `Err` says which failed, with their logs.
    pub async fn test(&self, namespace: &str, name: &str) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Test {
            id: ReleaseId::new(namespace, name),
            timeout: TEST,
            answer,
        };
        match self.ask(order, answered, TEST + ANSWER).await? {
            Ok(hooks) => Ok(json!({ "tests": hooks })),
            Err(error) => Err(failed_tests(&error.to_string(), error.hooks())),
        }
    }

    async fn ask<T>(
        &self,
        order: Order,
        answered: oneshot::Receiver<T>,
        patience: Duration,
    ) -> Result<T, String> {
        let stops = || "the agent stops; give the command again".to_owned();
        let send = timeout(ANSWER, self.line.send(order)).await;
        if !matches!(send, Ok(Ok(()))) {
            return Err(stops());
        }
        match timeout(patience, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(stops()),
        }
    }
}

fn failed_tests(words: &str, hooks: &[HookRun]) -> String {
    let mut text = words.to_owned();
    for hook in hooks.iter().filter(|hook| hook.phase == HookPhase::Failed) {
        text.push_str(&format!("\n{}/{}: {}", hook.kind, hook.name, hook.message));
        if !hook.log.is_empty() {
            text.push_str(&format!("\n{}", hook.log.trim_end()));
        }
    }
    text
}
