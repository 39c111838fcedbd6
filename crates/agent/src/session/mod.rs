//! The one connection to the platform: dialled, kept, made again.
//!
//! In: what the parts of the agent post ([`Outgoing`]). Out: what the platform says ([`Inbox`]). The dialogue itself is
//! the state machine of `c7n_link`; here are its socket, its clock and its file. Nothing else in the agent waits for
//! this connection: while the platform is away, delivery and healing go on.

mod credential;
mod dial;
mod drive;
mod outgoing;
mod proxy;

use std::time::Duration;

use c7n_link::Backoff;
use c7n_link::messages::{ByeCode, Welcome};
use tokio_util::sync::CancellationToken;

use crate::config::Token;
use crate::health::Readiness;

pub use credential::{CredentialStore, Credentials, FileStore, KeepError, SecretStore, Shown};
pub use dial::{DialError, Door, Socket, stream_limits};
pub use drive::{Ending, Inbox, Shows, Wallet};
pub use outgoing::Outgoing;

/// Ten thousand agents that lost their platform come back spread over this time (full jitter).
const USUAL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(20));
/// What only a person can put right is tried again without hurry.
const SLOW: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));
const NOTHING_TO_SHOW: &str = "there is neither a token nor a credential: set C7N_TOKEN or --token-file to the token of \
                               `c7n cluster activation`";
/// A session that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(10);

/// How the next attempt is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Now,
    Usual { retry_after: Option<Duration> },
    Slow { retry_after: Option<Duration> },
}

/// Connects, talks, and connects again until `shutdown`.
pub async fn run<I: Inbox>(
    door: Door,
    mut credentials: Credentials,
    outgoing: Outgoing,
    inbox: I,
    readiness: Readiness,
    shutdown: CancellationToken,
) {
    let mut usual = Backoff::new(USUAL.0, USUAL.1);
    let mut slow = Backoff::new(SLOW.0, SLOW.1);
    while !shutdown.is_cancelled() {
        let (next, lasted) = attempt(&door, &mut credentials, &outgoing, &inbox, &readiness, &shutdown).await;
        if shutdown.is_cancelled() {
            return;
        }
        if lasted.is_some_and(|lasted| lasted >= GOOD) {
            usual.reset();
            slow.reset();
        }
        let wait = match next {
            Next::Now => continue,
            Next::Usual { retry_after } => usual.next(rand::random(), retry_after),
            Next::Slow { retry_after } => slow.next(rand::random(), Some(retry_after.unwrap_or(SLOW.0 / 2))),
        };
        tracing::debug!(?wait, "the platform is dialled again");
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn attempt<I: Inbox>(
    door: &Door,
    credentials: &mut Credentials,
    outgoing: &Outgoing,
    inbox: &I,
    readiness: &Readiness,
    shutdown: &CancellationToken,
) -> (Next, Option<Duration>) {
    let Some((shown, token)) = credentials.show() else {
        tracing::error!("{NOTHING_TO_SHOW}");
        readiness.not_ready(NOTHING_TO_SHOW);
        return (Next::Slow { retry_after: None }, None);
    };
    let dialled = tokio::select! {
        () = shutdown.cancelled() => return (Next::Usual { retry_after: None }, None),
        dialled = door.dial(&token) => dialled,
    };
    let socket = match dialled {
        Ok(socket) => socket,
        Err(error) => {
            let before = credentials.show().map(|(shown, _)| shown);
            if matches!(error, DialError::TokenRefused { .. }) {
                credentials.refused(shown);
            }
            let another = credentials.show().map(|(shown, _)| shown) != before;
            match &error {
                DialError::TokenRefused { .. } => readiness.not_ready(error.to_string()),
                _ => readiness.trouble(error.to_string()),
            }
            return (after_refusal(&error, another), None);
        }
    };
    let wallet = Pocket {
        door,
        credentials,
        readiness,
    };
    let ending = drive::drive(socket, outgoing, inbox, wallet, shutdown).await;
    tell(&ending);
    if matches!(ending.code, ByeCode::Refused | ByeCode::Incompatible) {
        readiness.not_ready(&ending.reason);
    }
    (after(&ending), ending.open_for)
}

/// What the platform hands out is kept here.
struct Pocket<'a> {
    door: &'a Door,
    credentials: &'a mut Credentials,
    readiness: &'a Readiness,
}

impl Wallet for Pocket<'_> {
    async fn welcomed(&mut self, welcome: &Welcome) -> Shows {
        tracing::info!(
            url = self.door.url(),
            platform = welcome.server_version,
            "connected to the platform"
        );
        let new = welcome.credential.as_str();
        if !new.is_empty() {
            match self.credentials.swapped(Token::new(new)).await {
                // The activation token is used up when its credential is shown.
                Ok(()) => return Shows::Another,
                Err(cause) => {
                    tracing::error!(%cause, "the credential cannot be kept; after a restart the cluster must be activated anew");
                }
            }
        }
        self.readiness.ready("the platform has taken this agent in");
        Shows::TheSame
    }

    async fn renewed(&mut self, credential: Token) -> Result<(), String> {
        self.credentials
            .swapped(credential)
            .await
            .map_err(|error| error.to_string())?;
        tracing::info!("the platform has handed out a new credential; it is shown from now on");
        Ok(())
    }
}

/// `another`: the refusal was of one of two tokens, and the other has not been tried.
fn after_refusal(error: &DialError, another: bool) -> Next {
    match error {
        DialError::TokenRefused { .. } if another => {
            tracing::warn!(
                "the platform refused the credential of this agent; its activation token is tried"
            );
            Next::Usual { retry_after: None }
        }
        DialError::TokenRefused { .. } | DialError::BadUrl { .. } | DialError::CaFile { .. } => {
            tracing::error!("{error}");
            Next::Slow { retry_after: None }
        }
        DialError::Refused {
            status, retry_after, ..
        } => {
            tracing::warn!("{error}");
            let busy = matches!(status, 429 | 500..=599);
            let retry_after = *retry_after;
            if busy {
                Next::Usual { retry_after }
            } else {
                Next::Slow { retry_after }
            }
        }
        DialError::Unreachable { .. }
        | DialError::Untrusted { .. }
        | DialError::Proxy(_)
        | DialError::Timeout { .. } => {
            tracing::warn!("{error}; the agent goes on with what it knows and dials again");
            Next::Usual { retry_after: None }
        }
    }
}

fn after(ending: &Ending) -> Next {
    let retry_after = ending.retry_after;
    match ending.code {
        ByeCode::GoingAway if ending.reason == drive::RENEWED => Next::Now,
        // Two agents with one credential would push each other out for ever; refusals are for people.
        ByeCode::Superseded | ByeCode::Refused | ByeCode::Incompatible => Next::Slow { retry_after },
        _ => Next::Usual { retry_after },
    }
}

fn tell(ending: &Ending) {
    let reason = &ending.reason;
    match ending.code {
        ByeCode::GoingAway => tracing::info!(reason, "the session ended"),
        ByeCode::Superseded => {
            tracing::warn!(
                reason,
                "another agent came with this cluster's credential; only one may run per cluster"
            );
        }
        ByeCode::Refused | ByeCode::Incompatible => {
            tracing::error!(reason, "the platform does not take this agent in")
        }
        _ => tracing::warn!(reason, "the connection to the platform broke; it is made again"),
    }
}

#[cfg(test)]
mod tests;
