//! From the first line to the one copy that works: reaches the cluster, stands by, leads, gives back.
//!
//! In: [`Config`]. Out: [`serve`] in the copy that holds the Lease; readiness for the kubelet in every copy. A copy that
//! lost the Lease ends: its next start stands by.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::{ClusterAccess, ClusterError, Discovery};
use crate::config::{Config, Token};
use crate::files;
use crate::health::{Listener, Readiness};
use crate::lease::{Fence, Keeper, Standing, Terms};
use crate::serve::{Memory, Ready, serve};
use crate::session::{CredentialStore, Credentials, Door, FileStore, SecretStore};

/// An API server that is away at the start is asked again this often.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How often a copy that stands by looks whether the platform would take it in.
const LOOK: Duration = Duration::from_secs(10);
/// Giving the Lease back is one call.
const GIVE_BACK: Duration = Duration::from_secs(3);

/// Runs this copy until `shutdown`.
pub async fn start(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let link = c7n_link::Config::default();
    let door = Door::new(&config.connect, config.ca_file.as_deref(), link.max_frame)?;
    let _lock = lock(&config.data_dir)?;
    let token = config.activation_token()?;
    let readiness = Readiness::not_yet("the cluster's API server was not reached yet");
    let (tasks, end) = (TaskTracker::new(), CancellationToken::new());
    let _ended = end.clone().drop_guard();
    if let Some(place) = &config.health_listen {
        let listener = Listener::bind(place)
            .await
            .context("the place for probes cannot be used (--health-listen)")?;
        tasks.spawn(listener.run(readiness.clone(), end.clone()));
    }

    let own = ClusterAccess::own_namespace_of(&config);
    let place = config.lease_place(own.as_deref())?;
    let fence = match place {
        Some(_) => Fence::closed(),
        None => Fence::open(),
    };
    let Some((access, discovery)) = reach_cluster(&config, &fence, &readiness, &shutdown).await? else {
        return Ok(());
    };
    tracing::info!(
        uid = access.uid(),
        kinds = discovery.kinds().len(),
        "connected to the cluster"
    );
    let store: Arc<dyn CredentialStore> = match config.credential_place(own.as_deref())? {
        Some(place) => Arc::new(SecretStore::new(access.client(), &place.namespace, &place.name)),
        None => Arc::new(FileStore::new(&config.data_dir)),
    };

    let instance_id = format!("{:032x}", rand::random::<u128>());
    let (release, lost) = (CancellationToken::new(), CancellationToken::new());
    // Also when this function ends early, nobody must wait for a Lease that nobody uses.
    let released = release.clone().drop_guard();
    let (mut kept, mut memory) = (None, Memory::Own);
    if let Some(place) = &place {
        let me = format!("{}_{}", name(&config), &instance_id[..8]);
        let client = access.unfenced();
        let keeper = Keeper::new(
            client,
            &place.namespace,
            &place.name,
            &me,
            Terms::default(),
            fence,
        );
        let standing = keeper.standing();
        kept = Some(tokio::spawn(keeper.run(release.clone())));
        let waiting = Waiting {
            door: &door,
            store: &*store,
            config: &config,
            token: token.as_ref(),
            readiness: &readiness,
        };
        if let Some(tenure) = waiting.stand_by(standing.clone(), &shutdown).await {
            memory = remember_tenure(&config.data_dir, tenure)
                .with_context(|| format!("{} cannot be written (--data-dir)", config.data_dir.display()))?;
            tasks.spawn(watch_loss(standing, release.clone(), lost.clone(), end.clone()));
        }
    }
    let outcome = if shutdown.is_cancelled() {
        Ok(())
    } else {
        readiness.not_ready("this copy leads; the platform has not taken it in yet");
        let credentials = keep_asking(&shutdown, &lost, || {
            Credentials::open(store.clone(), door.url(), &config.cluster_id, token.clone())
        })
        .await;
        match credentials {
            Some(credentials) => {
                let ready = Ready {
                    link,
                    door,
                    access,
                    discovery,
                    credentials,
                    readiness,
                    instance_id,
                    memory,
                };
                Box::pin(serve(config, ready, shutdown, lost.clone())).await
            }
            None => Ok(()),
        }
    };
    drop(released);
    if let Some(kept) = kept {
        let _ = timeout(GIVE_BACK, kept).await;
    }
    if lost.is_cancelled() {
        bail!("this copy led and lost the Lease; it ends, and its next start stands by");
    }
    outcome
}

/// What a copy that stands by needs to know whether it could take over.
struct Waiting<'a> {
    door: &'a Door,
    store: &'a dyn CredentialStore,
    config: &'a Config,
    token: Option<&'a Token>,
    readiness: &'a Readiness,
}

impl Waiting<'_> {
    /// The tenure, when this copy leads; none when it is to stop.
    async fn stand_by(
        &self,
        mut standing: watch::Receiver<Standing>,
        shutdown: &CancellationToken,
    ) -> Option<i32> {
        loop {
            let now = standing.borrow_and_update().clone();
            match &now {
                Standing::Leading { tenure } => return Some(*tenure),
                Standing::Lost => return None,
                Standing::Unknown { trouble } => self.readiness.not_ready(trouble),
                Standing::By { holder } => tracing::info!(holder, "this copy stands by"),
            }
            let look = async {
                while let Standing::By { holder } = &now {
                    match self.could_take_over().await {
                        Ok(()) => self.readiness.ready(format!("stands by for {holder}")),
                        Err(words) => self.readiness.not_ready(words),
                    }
                    sleep(LOOK).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = shutdown.cancelled() => return None,
                changed = standing.changed() => if changed.is_err() { return None },
                () = look => {}
            }
        }
    }

    /// Asks the API server for the credential, and the platform what it thinks of it.
    async fn could_take_over(&self) -> Result<(), String> {
        let kept = self.store.load().await.map_err(|error| error.to_string())?;
        let credential = kept
            .filter(|kept| kept.connect == self.door.url() && kept.cluster_id == self.config.cluster_id)
            .map(|kept| Token::new(kept.credential));
        let Some(token) = credential.as_ref().or(self.token) else {
            return Err(
                "there is neither a token nor a credential; get a new activation command with \
                        `c7n cluster activation`"
                    .to_owned(),
            );
        };
        self.door.probe(token).await.map_err(|error| error.to_string())
    }
}

/// Writes the tenure down, and tells whether the one before it was this folder's as well. If it was not, another copy has
/// gone further than what lies here.
fn remember_tenure(data: &Path, tenure: i32) -> std::io::Result<Memory> {
    let path = data.join("tenure");
    let before =
        files::read(&path)?.and_then(|text| String::from_utf8(text).ok()?.trim().parse::<i32>().ok());
    files::replace(&path, tenure.to_string().as_bytes())?;
    // The very first tenure of all follows none.
    Ok(match before {
        Some(before) if before.checked_add(1) == Some(tenure) => Memory::Own,
        None if tenure == 0 => Memory::Own,
        _ => Memory::Overtaken,
    })
}

async fn watch_loss(
    mut standing: watch::Receiver<Standing>,
    release: CancellationToken,
    lost: CancellationToken,
    end: CancellationToken,
) {
    tokio::select! {
        () = end.cancelled() => {}
        gone = standing.wait_for(|standing| *standing == Standing::Lost) => {
            // A keeper that broke keeps nothing either; one that was told to give it back has not lost it.
            if gone.is_ok() || !release.is_cancelled() {
                lost.cancel();
            }
        }
    }
}

/// Until it succeeds; `None` when this copy stops or leads no longer.
async fn keep_asking<T, E: std::fmt::Display, F: Future<Output = Result<T, E>>>(
    shutdown: &CancellationToken,
    lost: &CancellationToken,
    ask: impl Fn() -> F,
) -> Option<T> {
    loop {
        match ask().await {
            Ok(found) => return Some(found),
            Err(error) => tracing::warn!(%error, "it is tried again"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return None,
            () = lost.cancelled() => return None,
            () = sleep(ASK_AGAIN) => {}
        }
    }
}

/// Of this copy, for people.
fn name(config: &Config) -> String {
    let machine = || std::fs::read_to_string("/etc/hostname").ok();
    let name = config.pod_name.clone().or_else(machine).unwrap_or_default();
    match name.trim() {
        "" => "agent".to_owned(),
        name => name.to_owned(),
    }
}

/// Two agents on one folder would undo each other's files.
fn lock(data: &Path) -> anyhow::Result<File> {
    files::make_folder(data)
        .with_context(|| format!("the folder {} cannot be made (--data-dir)", data.display()))?;
    let path = data.join("lock");
    let file =
        File::create(&path).with_context(|| format!("{} cannot be written (--data-dir)", path.display()))?;
    file.try_lock()
        .with_context(|| format!("another agent already runs in the folder {}", data.display()))?;
    Ok(file)
}

/// Waits for an API server that is away; what a person must put right is an error at once.
async fn reach_cluster(
    config: &Config,
    fence: &Fence,
    readiness: &Readiness,
    shutdown: &CancellationToken,
) -> Result<Option<(ClusterAccess, Discovery)>, ClusterError> {
    loop {
        let reached = async {
            let access = ClusterAccess::connect(config, fence).await?;
            let discovery = Discovery::start(access.client()).await?;
            Ok::<_, ClusterError>((access, discovery))
        };
        let error = match reached.await {
            Ok(reached) => return Ok(Some(reached)),
            Err(error) if error.is_lasting() => return Err(error),
            Err(error) => error,
        };
        readiness.not_ready(error.to_string());
        tracing::warn!(%error, "the cluster cannot be reached; it is tried again");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = sleep(ASK_AGAIN) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_the_folder_counts_only_if_nobody_else_led_meanwhile() {
        let data = tempfile::tempdir().unwrap();
        for (tenure, expected) in [
            (0, Memory::Own),
            (1, Memory::Own),
            (2, Memory::Own),
            (4, Memory::Overtaken),
            (5, Memory::Own),
            // The Lease was deleted by hand: who led since is not known.
            (0, Memory::Overtaken),
        ] {
            assert_eq!(
                remember_tenure(data.path(), tenure).unwrap(),
                expected,
                "{tenure}"
            );
        }
        let new = tempfile::tempdir().unwrap();
        assert_eq!(remember_tenure(new.path(), 7).unwrap(), Memory::Overtaken);
    }
}
