//! Tells the readers of events what has become of instances.
//!
//! In: words that objects of an environment have changed; a word costs nothing but a place in a set, however many objects it
//! stands for. Out: a moment later, one fold of the environment as it is then, compared with what was told last, and one
//! transaction for all environments that differ. An environment that changes all the time is folded again only after ten times as
//! long as its fold took, so that this never takes the machine from those who store. At the start everything is looked at once: a
//! word may have been lost with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use c7n_api::{Instance, Instances, Vitals};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::fold;
use crate::store::{InstanceNews, Store, StoreError, Told};

/// Between two folds of one environment.
const QUIET: Duration = Duration::from_millis(200);
const PATIENCE_PER_FOLD: u32 = 10;
/// A database that cannot answer is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Teller {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    changed: Mutex<BTreeSet<String>>,
    wake: Notify,
}

impl Teller {
    /// Objects of these environments have changed.
    pub fn changed(&self, environments: impl IntoIterator<Item = String>) {
        let mut environments = environments.into_iter().peekable();
        if environments.peek().is_none() {
            return;
        }
        self.with(|changed| changed.extend(environments));
        self.inner.wake.notify_one();
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        work(&mut self.inner.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs until `shutdown`.
    pub async fn run(self, store: Store, shutdown: CancellationToken) {
        let work = async {
            match store.environment_ids().await {
                Ok(all) => self.changed(all),
                Err(error) => tracing::warn!(%error, "instances are not looked at until something changes"),
            }
            let mut due: BTreeSet<String> = BTreeSet::new();
            let mut not_before: BTreeMap<String, Instant> = BTreeMap::new();
            loop {
                due.append(&mut self.with(std::mem::take));
                let now = Instant::now();
                let ready: Vec<String> = due
                    .iter()
                    .filter(|environment| not_before.get(*environment).is_none_or(|at| *at <= now))
                    .cloned()
                    .collect();
                not_before.retain(|_, at| *at > now);
                for environment in &ready {
                    due.remove(environment);
                }
                if let Err(error) = tell(&store, &ready, &mut not_before).await {
                    tracing::warn!(%error, "what became of instances could not be told; it is tried again");
                    let later = Instant::now() + AGAIN;
                    not_before.extend(ready.iter().map(|environment| (environment.clone(), later)));
                    due.extend(ready);
                }
                let next = due
                    .iter()
                    .map(|environment| not_before.get(environment).copied().unwrap_or(now))
                    .min();
                tokio::select! {
                    () = self.inner.wake.notified() => {}
                    () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }
}

async fn tell(
    store: &Store,
    environments: &[String],
    not_before: &mut BTreeMap<String, Instant>,
) -> Result<(), StoreError> {
    let mut news = Vec::new();
    for environment in environments {
        let begun = Instant::now();
        let told = store.told_instances(environment).await?;
        let apps = store.app_charts_of_environment(environment).await?;
        let now = fold(&store.all_objects(environment).await?, &apps);
        if let Some(new) = differences(told, now) {
            news.push((environment.clone(), new));
        }
        let rest = QUIET + begun.elapsed() * PATIENCE_PER_FOLD;
        not_before.insert(environment.clone(), Instant::now() + rest);
    }
    if news.is_empty() {
        return Ok(());
    }
    let mut tx = store.write().await?;
    for (environment, news) in news {
        tx.tell_instances(&environment, news).await?;
    }
    tx.commit().await
}

/// `None` when all was told already.
fn differences(mut told: Told, now: Instances) -> Option<InstanceNews> {
    let changed: Vec<Instance> = now
        .instances
        .into_iter()
        .filter(|instance| told.instances.remove(&instance.name).as_ref() != Some(instance))
        .collect();
    // Of an environment that never had an object there is nothing to tell.
    let is_news = match &told.environment {
        Some(told) => *told != now.environment,
        None => now.environment.objects > 0,
    };
    let environment: Option<Vitals> = is_news.then_some(now.environment);
    let gone: Vec<String> = told.instances.into_keys().collect();
    let any = !changed.is_empty() || !gone.is_empty() || environment.is_some();
    any.then_some(InstanceNews {
        changed,
        gone,
        environment,
    })
}
