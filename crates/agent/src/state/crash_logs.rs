//! Reads the last words of containers that crashed, a few at a time, and of one pod not too often.
//!
//! In: wishes of the index. Out: a few plain lines each, or the word that there are none. What a container logs is data of a
//! stranger: little of it is read, and of that only what can stand in a line is kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::io::AsyncReadExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::index::cause::Wish;
use c7n_manifests::{Run, last_words};

/// Wishes that wait.
pub(super) const WAITING: usize = 256;
const AT_ONCE: usize = 4;
const DEADLINE: Duration = Duration::from_secs(5);
/// A pod that crashes all the time says the same all the time.
const ONCE_PER_POD: Duration = Duration::from_secs(15);
const LINES: i64 = 10;
const BYTES: u64 = 8 * 1024;

/// Runs until `shutdown`.
pub(super) async fn read(shared: Arc<Shared>, mut wishes: mpsc::Receiver<Wish>, shutdown: CancellationToken) {
    let mut reads = JoinSet::new();
    let mut read_at: HashMap<Box<str>, Instant> = HashMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = reads.join_next() => {}
            wish = wishes.recv(), if reads.len() < AT_ONCE => {
                let Some(wish) = wish else { break };
                let now = Instant::now();
                read_at.retain(|_, at| now.duration_since(*at) < ONCE_PER_POD);
                if read_at.contains_key(&wish.uid) {
                    shared.take(|index| index.tail(&wish, None));
                    continue;
                }
                read_at.insert(wish.uid.clone(), now);
                let shared = shared.clone();
                reads.spawn(async move {
                    let lines = last_lines(&shared, &wish).await;
                    shared.take(|index| index.tail(&wish, lines));
                });
            }
        }
    }
    reads.shutdown().await;
}

/// `None` when the log cannot be read now.
async fn last_lines(shared: &Shared, wish: &Wish) -> Option<Vec<String>> {
    let pods: Api<Pod> = Api::namespaced(shared.client.clone(), &wish.namespace);
    let params = LogParams {
        container: Some(wish.container.clone()),
        previous: wish.run == Run::Previous,
        tail_lines: Some(LINES),
        limit_bytes: i64::try_from(BYTES).ok(),
        ..LogParams::default()
    };
    let reading = async {
        let stream = pods.log_stream(&wish.pod, &params).await?;
        let mut bytes = Vec::new();
        stream
            .take(BYTES)
            .read_to_end(&mut bytes)
            .await
            .map_err(kube::Error::ReadEvents)?;
        Ok::<_, kube::Error>(bytes)
    };
    match timeout(DEADLINE, reading).await {
        Ok(Ok(bytes)) => Some(last_words(&String::from_utf8_lossy(&bytes))),
        Ok(Err(error)) => {
            tracing::debug!(pod = %wish.pod, container = %wish.container, %error, "the log of a crash cannot be read");
            None
        }
        Err(_) => None,
    }
}
