//! The end of an environment: the cluster is cleared, the platform told, the files deleted.

use std::time::Duration;

use c7n_link::messages::Say;
use tokio::time::sleep;

use super::{Actor, Exit, unless};
use crate::environments::world::World;

const FIRST: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(30);

impl<W: World> Actor<W> {
    /// Clears the cluster as the specification asks, until that has gone well or the agent stops.
    pub(super) async fn remove(mut self) -> Exit {
        self.settle().await;
        self.shared.world.unwatch(&self.id);
        self.delivery = None;
        let mut wait = FIRST;
        loop {
            let stop = self.lines.stop.clone();
            let Some(cleared) = unless(&stop, self.shared.world.clear(&self.spec)).await else {
                return Exit::Stopped;
            };
            match cleared {
                Ok(()) => {
                    // The folder goes first: a kill in between leaves a removal that the platform asks for again.
                    self.ground = None;
                    if let Err(cause) = self.folder.remove() {
                        tracing::warn!(environment = %self.id, %cause, "the files of a removed environment stay");
                    }
                    self.shared
                        .outgoing
                        .post(Say::EnvironmentStatus(self.status.removed()));
                    tracing::info!(environment = %self.id, namespace = self.spec.namespace, "environment removed");
                    return Exit::Removed;
                }
                Err(obstacle) => {
                    tracing::info!(environment = %self.id, reason = obstacle.0, "the environment is not removed yet");
                    self.shared
                        .outgoing
                        .post(Say::EnvironmentStatus(self.status.removing(&obstacle.0)));
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Exit::Stopped,
                () = sleep(wait) => wait = (wait * 2).min(CAP),
                Ok(()) = self.lines.spec.changed() => self.spec = self.lines.spec.borrow_and_update().clone(),
            }
        }
    }
}
