//! Waiting for a program: with a deadline, and not a moment longer than it lives.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{sleep, timeout};

use super::process::Running;

/// Does `work` while all of `needed` live. An error quotes the log of the program that died or is late.
pub async fn while_alive<T>(
    what: &str,
    needed: &[&Running],
    deadline: Duration,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        outcome = timeout(deadline, work) => match outcome {
            Ok(outcome) => outcome.with_context(|| format!("while waiting for {what}")),
            Err(_) => {
                let logs: Vec<String> = needed.iter().map(|running| running.last_words()).collect();
                bail!("{what} took more than {deadline:?}\n{}", logs.join("\n"))
            }
        },
        died = first_death(needed) => bail!("while waiting for {what}: {}", died.last_words()),
    }
}

async fn first_death<'a>(needed: &[&'a Running]) -> &'a Running {
    loop {
        if let Some(died) = needed.iter().find(|running| !running.is_alive()) {
            return died;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Asks again until the answer is yes.
pub async fn until<F, Answer>(every: Duration, mut ask: F)
where
    F: FnMut() -> Answer,
    Answer: Future<Output = bool>,
{
    while !ask().await {
        sleep(every).await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::process::ProcessId;
    use super::*;

    fn running(process: ProcessId, log: PathBuf) -> Running {
        Running {
            name: "etcd".to_owned(),
            process,
            log,
        }
    }

    #[tokio::test]
    async fn a_death_ends_the_wait_and_its_log_is_quoted() {
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "address in use\n").unwrap();
        let me = ProcessId::current().unwrap();
        let dead = running(
            ProcessId {
                started: me.started + 1,
                ..me
            },
            log.path().to_path_buf(),
        );

        let forever = std::future::pending::<Result<()>>();
        let outcome = while_alive("etcd", &[&dead], Duration::from_secs(60), forever).await;
        let error = format!("{:#}", outcome.unwrap_err());

        assert!(error.contains("address in use"), "{error}");
        assert!(error.contains(&log.path().display().to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_wait_has_an_end() {
        let alive = running(ProcessId::current().unwrap(), PathBuf::from("/dev/null"));
        let forever = std::future::pending::<Result<()>>();
        let outcome = while_alive("etcd", &[&alive], Duration::from_millis(10), forever).await;
        assert!(outcome.unwrap_err().to_string().contains("took more than 10ms"));
    }
}
