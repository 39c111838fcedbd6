//! What an actor begins beside itself: git programs, passes, preparation.

use std::sync::Arc;

use c7n_git::{
    AGENT_SYNC, CommitId, DEVOPS_SYNC, Fetched, GitError, Mirror, Remote, Transport, ensure_key_pair,
};
use c7n_link::messages::{DeliveryReport, EnvironmentSpec};
use tokio::sync::oneshot;

use super::{Actor, Done, Ground, Lane, Shared, unless};
use crate::environments::folder::Folder;
use crate::environments::schedule::{Action, PassEnd};
use crate::environments::world::{Deliver, Pass, World};

impl<W: World> Actor<W> {
    pub(super) fn begin(&mut self, action: Action) {
        match (action, &self.ground) {
            (Action::Prepare, _) => self.begin_prepare(),
            (Action::Synced(end), _) => self.answer(end),
            (Action::Fetch, Some(ground)) => {
                let (shared, spec, folder) = (self.shared.clone(), self.spec.clone(), self.folder.clone());
                let (ground, cancel) = (ground.clone(), self.cancel.clone());
                self.spawn(Lane::Fetch, async move {
                    let (ground, outcome) = unless(&cancel, fetch(&shared, &spec, &folder, ground)).await?;
                    Some(Done::Fetched(ground, outcome))
                });
            }
            (Action::Converge { commit }, Some(ground)) => {
                let (shared, spec, mirror) = (self.shared.clone(), self.spec.clone(), ground.mirror.clone());
                let cancel = self.cancel.clone();
                let mut delivery = self
                    .delivery
                    .take()
                    .unwrap_or_else(|| shared.world.delivery(&self.id, &spec));
                let doubt = std::mem::take(&mut self.doubt);
                self.spawn(Lane::Pass(commit), async move {
                    if doubt && let Err(obstacle) = shared.world.prepare_namespace(&spec).await {
                        return Some(Done::Passed(
                            delivery,
                            without_namespace(&spec, commit, obstacle.0),
                        ));
                    }
                    let pass = delivery.converge(&mirror, commit, &spec, &cancel).await;
                    Some(Done::Passed(delivery, pass))
                });
            }
            (Action::CheckTags, Some(ground)) => {
                let (shared, mirror, cancel) =
                    (self.shared.clone(), ground.mirror.clone(), self.cancel.clone());
                self.spawn(Lane::Tags, async move {
                    let _permit = shared.git.acquire().await.ok()?;
                    Some(Done::TagsChecked(
                        unless(&cancel, mirror.check_tag_rights()).await?,
                    ))
                });
            }
            (Action::MoveTag { commit }, Some(ground)) => {
                let (shared, mirror, cancel) =
                    (self.shared.clone(), ground.mirror.clone(), self.cancel.clone());
                let expected = self.schedule.tagged();
                self.spawn(Lane::Tags, async move {
                    let _permit = shared.git.acquire().await.ok()?;
                    let pushed = mirror.push_tag(AGENT_SYNC, expected.as_ref(), Some(&commit));
                    Some(Done::TagMoved(commit, unless(&cancel, pushed).await?))
                });
            }
            // The schedule begins these only when all is prepared.
            (Action::Fetch | Action::Converge { .. } | Action::CheckTags | Action::MoveTag { .. }, None) => {}
        }
    }

    pub(super) fn begin_prepare(&mut self) {
        let (shared, spec, folder) = (self.shared.clone(), self.spec.clone(), self.folder.clone());
        let (cancel, comment) = (self.cancel.clone(), format!("c7n-agent {}", self.id));
        let (made, receiver) = oneshot::channel();
        self.made_key = Some(receiver);
        self.spawn(Lane::Prepare, async move {
            let ground = async {
                let key = async {
                    let pair = ensure_key_pair(folder.key(), &comment)
                        .await
                        .map_err(|error| error.to_string())?;
                    let _ = made.send(pair.public.clone());
                    Ok(pair)
                };
                let namespace = async {
                    shared
                        .world
                        .prepare_namespace(&spec)
                        .await
                        .map_err(|obstacle| obstacle.0)
                };
                let (pair, ()) = tokio::try_join!(key, namespace)?;
                let remote = shared.world.remote(&spec, &pair.private);
                let mirror = Mirror::open(folder.mirror(), remote.clone())
                    .await
                    .map_err(|error| error.to_string())?;
                Ok(Ground {
                    mirror: Arc::new(mirror),
                    remote,
                    private_key: pair.private,
                })
            };
            Some(Done::Prepared(unless(&cancel, ground).await?))
        });
    }

    /// `None` is the end of a task that was cancelled.
    pub(super) fn spawn(
        &mut self,
        lane: Lane,
        job: impl Future<Output = Option<Done<W::Delivery>>> + Send + 'static,
    ) {
        let cancel = self.cancel.clone();
        let job = Box::pin(job);
        let handle = self.jobs.spawn(async move {
            match job.await {
                Some(done) => done,
                None => {
                    // Nobody hears of it: the actor stops, or waits for its tasks before it removes the environment.
                    cancel.cancelled().await;
                    std::future::pending().await
                }
            }
        });
        self.running.insert(handle.id(), lane);
    }
}

/// Fetches the two tags, after the mirror was opened anew if its settings have changed.
async fn fetch<W: World>(
    shared: &Shared<W>,
    spec: &EnvironmentSpec,
    folder: &Folder,
    mut ground: Ground,
) -> (Ground, Result<Fetched, GitError>) {
    let Ok(_permit) = shared.git.acquire().await else {
        let what = "fetching".to_owned();
        return (
            ground,
            Err(GitError::Failed {
                what,
                detail: "the agent stops".into(),
            }),
        );
    };
    let remote = shared.world.remote(spec, &ground.private_key);
    if !same(&remote, &ground.remote) {
        match Mirror::open(folder.mirror(), remote.clone()).await {
            Ok(mirror) => {
                ground = Ground {
                    mirror: Arc::new(mirror),
                    remote,
                    ..ground
                }
            }
            Err(error) => return (ground, Err(error)),
        }
    }
    let fetched = ground.mirror.fetch(&[DEVOPS_SYNC, AGENT_SYNC]).await;
    (ground, fetched)
}

fn same(a: &Remote, b: &Remote) -> bool {
    a.url == b.url
        && match (&a.transport, &b.transport) {
            (
                Transport::Ssh {
                    private_key,
                    known_hosts,
                },
                Transport::Ssh {
                    private_key: other_key,
                    known_hosts: other_hosts,
                },
            ) => private_key == other_key && known_hosts == other_hosts,
            (Transport::Http { authorization }, Transport::Http { authorization: other }) => {
                authorization == other
            }
            (Transport::Local, Transport::Local) => true,
            _ => false,
        }
}

/// A pass that could not begin.
fn without_namespace(spec: &EnvironmentSpec, commit: CommitId, message: String) -> Pass {
    let report = DeliveryReport {
        environment_id: spec.environment_id.clone(),
        commit: commit.to_string(),
        generation: spec.generation,
        message,
        ..DeliveryReport::default()
    };
    Pass {
        report,
        end: PassEnd::Failed,
    }
}
