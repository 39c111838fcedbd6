//! Looks at the Lease, takes it, renews it, gives it back: carries out what the [`Election`] decides.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::election::{Decision, Election, Seen, Terms, Write};
use super::fence::Fence;

/// One call about the Lease. Longer would eat up the time that is left to renew.
const CALL: Duration = Duration::from_secs(2);

/// Where this copy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not looked yet, or the API server does not answer.
    Unknown { trouble: String },
    /// Another one holds it.
    By { holder: String },
    /// `tenure` grows by one with each change of the holder.
    Leading { tenure: i32 },
    /// It led, and does so no longer. Nothing follows: the program ends, and its next start stands by.
    Lost,
}

/// Keeps this copy's part in the election.
pub struct Keeper {
    leases: Api<Lease>,
    name: String,
    me: String,
    terms: Terms,
    election: Election,
    fence: Fence,
    standing: watch::Sender<Standing>,
    /// Since when this copy holds it.
    acquired: Option<MicroTime>,
}

enum Outcome {
    Written,
    Conflict,
}

impl Keeper {
    /// `client` is one without the fence: the Lease itself is written from behind it.
    pub fn new(client: Client, namespace: &str, name: &str, me: &str, terms: Terms, fence: Fence) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            me: me.to_owned(),
            terms,
            election: Election::new(me, terms),
            fence,
            standing: watch::Sender::new(Standing::Unknown {
                trouble: "the Lease was not looked at yet".into(),
            }),
            acquired: None,
        }
    }

    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Runs until the Lease is lost, or until `release`: then it is given back, so that another one takes over at once.
    pub async fn run(mut self, release: CancellationToken) {
        loop {
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(cause) => {
                    let trouble = format!("the Lease {} cannot be kept: {cause}", self.name);
                    if !self.is_leading() {
                        self.say(Standing::Unknown {
                            trouble: trouble.clone(),
                        });
                    }
                    tracing::warn!("{trouble}");
                    self.terms.again
                }
            };
            let now = self.fence.now();
            let led = self.is_leading();
            let leads = self.election.leads(now);
            if led && !leads {
                self.fence.until(None);
                self.say(Standing::Lost);
                tracing::error!("this copy lost the Lease and writes nothing any more");
                return;
            }
            // Not later than the moment at which the fence falls.
            let left = self.election.fence(now).map(|falls| falls - now);
            let pause = left.map_or(pause, |left| pause.min(left));
            tokio::select! {
                () = release.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        if self.is_leading() {
            self.give_back().await;
        }
        self.fence.until(None);
    }

    /// Looks or writes once; answers for how long there is nothing to do.
    async fn round(&mut self) -> Result<Duration, Trouble> {
        let renewal = match self.election.leads(self.fence.now()) {
            true => self.election.renewal(),
            false => None,
        };
        let write = match renewal {
            Some(write) => write,
            // A copy that led before and lost it is not to take it again: `run` ends it.
            None if self.is_leading() => return Ok(Duration::ZERO),
            None => match self.look().await? {
                Some(write) => write,
                None => return Ok(self.terms.look),
            },
        };
        match self.write(&write).await? {
            Outcome::Written => Ok(self.terms.renew),
            Outcome::Conflict => {
                // Somebody else wrote, or an answer of ours was lost.
                match self.look().await? {
                    Some(write) => match self.write(&write).await? {
                        Outcome::Written => Ok(self.terms.renew),
                        Outcome::Conflict => Ok(self.terms.again),
                    },
                    None => Ok(self.terms.look),
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Write>, Trouble> {
        let found = call(self.leases.get_opt(&self.name)).await?;
        let seen = found.map(seen);
        match self.election.seen(self.fence.now(), seen.as_ref()) {
            Decision::Write(write) => Ok(Some(write)),
            Decision::Stand => {
                let holder = seen.map(|seen| seen.holder).unwrap_or_default();
                if !self.is_leading() {
                    self.say(Standing::By { holder });
                }
                Ok(None)
            }
        }
    }

    async fn write(&mut self, write: &Write) -> Result<Outcome, Trouble> {
        if !self.is_leading() {
            self.acquired = Some(MicroTime(Timestamp::now()));
        }
        let lease = self.lease(&self.me, write, self.terms.duration);
        let began = self.fence.now();
        let params = PostParams::default();
        let written = match write.over {
            None => call(self.leases.create(&params, &lease)).await,
            Some(_) => call(self.leases.replace(&self.name, &params, &lease)).await,
        };
        match written {
            Ok(written) => {
                let version = written.metadata.resource_version.unwrap_or_default();
                self.election.written(began, version, write.transitions);
                self.fence.until(self.election.fence(self.fence.now()));
                if self.election.leads(self.fence.now()) && !self.is_leading() {
                    tracing::info!(lease = self.name, "this copy leads");
                    let tenure = write.transitions;
                    self.say(Standing::Leading { tenure });
                }
                Ok(Outcome::Written)
            }
            Err(trouble) if trouble.is_conflict() => Ok(Outcome::Conflict),
            Err(trouble) => Err(trouble),
        }
    }

    async fn give_back(&mut self) {
        let Some(write) = self.election.renewal() else {
            return;
        };
        // Nothing of ours is written from here on.
        self.fence.until(None);
        let lease = self.lease("", &write, Duration::from_secs(1));
        if let Err(trouble) = call(self.leases.replace(&self.name, &PostParams::default(), &lease)).await {
            tracing::warn!(%trouble, "the Lease could not be given back; it runs out by itself");
        }
    }

    fn lease(&self, holder: &str, write: &Write, duration: Duration) -> Lease {
        let now = MicroTime(Timestamp::now());
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: write.over.clone(),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX).max(1)),
                lease_transitions: Some(write.transitions),
                acquire_time: self.acquired.clone(),
                renew_time: Some(now),
                ..LeaseSpec::default()
            }),
        }
    }

    fn is_leading(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Leading { .. })
    }

    fn say(&self, standing: Standing) {
        self.standing.send_if_modified(|before| {
            let changed = *before != standing;
            *before = standing;
            changed
        });
    }
}

fn seen(lease: Lease) -> Seen {
    let spec = lease.spec.unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or_default();
    Seen {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        version: lease.metadata.resource_version.unwrap_or_default(),
        transitions: spec.lease_transitions.unwrap_or_default(),
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the API server did not answer within {} s", CALL.as_secs())]
    Timeout,
    #[error("{0}")]
    Refused(Box<kube::Error>),
}

impl Trouble {
    /// Also for a creation: somebody else was first.
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(cause) if matches!(&**cause, kube::Error::Api(status) if status.code == 409))
    }
}

async fn call<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Trouble> {
    match timeout(CALL, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(cause)) => Err(Trouble::Refused(Box::new(cause))),
        Err(_) => Err(Trouble::Timeout),
    }
}
