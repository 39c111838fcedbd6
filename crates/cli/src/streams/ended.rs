//! Why a stream is over, as a sentence.

use c7n_stream::{End, EndCode};

/// The platform or the agent has ended the stream, and not because all was said.
#[derive(Debug)]
pub struct Ended(pub End);

impl Ended {
    pub fn code(&self) -> EndCode {
        EndCode::try_from(self.0.code).unwrap_or(EndCode::Unspecified)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.0.message.is_empty() {
            return f.write_str(&self.0.message);
        }
        f.write_str(match self.code() {
            EndCode::NotFound => "it is not there\n  next: `c7n env objects` shows what there is",
            EndCode::Forbidden => {
                "you have no right to this, or no longer\n  next: ask an owner of the project"
            }
            EndCode::Idle => "nothing happened for too long\n  next: run the command again",
            EndCode::Busy => "too many streams are open\n  next: end some, or try again later",
            EndCode::ClusterAway => {
                "the cluster's agent is away\n  next: `c7n cluster show` tells since when"
            }
            EndCode::PeerLost => "the agent was lost and did not come back\n  next: run the command again",
            EndCode::NoShell => "the container has no shell\n  next: name a program of it after `--`",
            EndCode::GoingAway => "the other side stops\n  next: run the command again in a moment",
            _ => "the stream was broken off\n  next: run the command again",
        })
    }
}

impl std::error::Error for Ended {}
