//! Keeps one actor per environment that the platform names, from the platform's word or, after a restart, from disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use c7n_link::messages::{EnvironmentSpec, Removal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::actor::{Actor, Exit, Shared};
use super::directory::Directory;
use super::folder::{self, Folder};
use super::id::EnvironmentId;
use super::world::World;
use crate::session::Outgoing;

/// Git programs at once, over all environments: each is two processes.
const GIT_AT_ONCE: usize = 8;

/// The handle that the session speaks to.
pub struct Environments<W: World> {
    shared: Arc<Shared<W>>,
    directory: Directory,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl<W: World> Clone for Environments<W> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            directory: self.directory.clone(),
            tracker: self.tracker.clone(),
            shutdown: self.shutdown.clone(),
        }
    }
}

impl<W: World> Environments<W> {
    pub fn new(
        world: W,
        outgoing: Outgoing,
        data: PathBuf,
        resync: Duration,
        tracker: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        let git = Semaphore::new(GIT_AT_ONCE);
        let shared = Arc::new(Shared {
            world,
            outgoing,
            data,
            resync,
            git,
        });
        Self {
            shared,
            directory: Directory::default(),
            tracker,
            shutdown,
        }
    }

    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// Starts what earlier runs left on disk.
    pub async fn restore(&self) -> io::Result<usize> {
        let data = self.shared.data.clone();
        let saved = on_disk(move || folder::saved(&data)).await?;
        let count = saved.len();
        saved.into_iter().for_each(|(id, spec)| self.start(id, spec));
        Ok(count)
    }

    /// Takes a specification in: acted on at once, on disk when this returns well.
    pub async fn specified(&self, spec: EnvironmentSpec) -> io::Result<()> {
        let Some(id) = EnvironmentId::new(&spec.environment_id) else {
            tracing::error!(
                id = spec.environment_id,
                "the platform names an environment by what cannot be an id"
            );
            return Ok(());
        };
        let known = self.directory.spec(&id);
        let news = known.map_or(News::More, |known| News::of(&known, &spec));
        if news == News::None {
            return Ok(());
        }
        let folder = Folder::of(&self.shared.data, &id);
        let save = {
            let spec = spec.clone();
            on_disk(move || match news {
                // The platform says it again at the next connection, and the disk is busy with the delivery.
                News::Commit => folder.save_lightly(&spec),
                _ => folder.save(&spec),
            })
        };
        if spec.removal() == Removal::No {
            self.act_on(id, spec);
            save.await
        } else {
            // The removal takes the files with it: nothing may be written after it has begun.
            save.await?;
            self.act_on(id, spec);
            Ok(())
        }
    }

    fn act_on(&self, id: EnvironmentId, spec: EnvironmentSpec) {
        let told = self.directory.tell(&id, spec.clone());
        if told.is_none() {
            self.start(id, spec);
        }
    }

    /// Forgets every environment that is not named. What it has in the cluster stays: nobody asked to remove it.
    pub fn retain(&self, named: &[String]) {
        for id in self.directory.ids() {
            if !named.iter().any(|name| name == id.as_str())
                && let Some(place) = self.directory.remove(&id)
            {
                tracing::warn!(environment = %id, "the platform does not know this environment any more; it is left as it is");
                place.stop.cancel();
            }
        }
    }

    fn start(&self, id: EnvironmentId, spec: EnvironmentSpec) {
        let lines = self.directory.add(id.clone(), spec, self.shutdown.child_token());
        let actor = Actor::new(self.shared.clone(), id.clone(), lines);
        let (shutdown, directory) = (self.shutdown.clone(), self.directory.clone());
        let folder = Folder::of(&self.shared.data, &id);
        self.tracker.spawn(async move {
            let exit = Box::pin(actor.run()).await;
            match exit {
                Exit::Removed => drop(directory.remove(&id)),
                Exit::Stopped if shutdown.is_cancelled() => {}
                // Forgotten, and not named again meanwhile.
                Exit::Stopped if directory.spec(&id).is_none() => {
                    if let Err(cause) = folder.remove() {
                        tracing::warn!(environment = %id, %cause, "the files of a forgotten environment stay");
                    }
                }
                Exit::Stopped => {}
            }
        });
    }
}

/// What a specification says that was not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    None,
    /// Another commit is wanted, and nothing else is new.
    Commit,
    More,
}

impl News {
    fn of(known: &EnvironmentSpec, said: &EnvironmentSpec) -> Self {
        if said.generation < known.generation || said == known {
            return Self::None;
        }
        let with_this_commit = EnvironmentSpec {
            wanted_commit: said.wanted_commit.clone(),
            generation: said.generation,
            ..known.clone()
        };
        if with_this_commit == *said {
            Self::Commit
        } else {
            Self::More
        }
    }
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
