//! A connection: two directions of frames, and the platform's end of it. The agents' ends are the agents' own.

use std::collections::VecDeque;

use bytes::Bytes;
use c7n_link::messages::Say;
use c7n_link::{Role, Session};

use super::words::small;

pub struct Line {
    /// Gone when the platform's side has closed or crashed.
    pub platform: Option<PlatformEnd>,
    pub to_platform: VecDeque<Bytes>,
    pub to_agent: VecDeque<Bytes>,
    /// Nothing comes through any more, and nobody was told.
    pub black_hole: bool,
    /// The agent's side has closed, and the platform will read so when it has read everything before.
    pub hung_up: bool,
}

pub struct PlatformEnd {
    pub session: Session,
    /// Delivered, and not yet in the database.
    pub waiting: VecDeque<(u64, u64, Vec<Say>)>,
}

impl Line {
    pub fn new(now: u64) -> Self {
        let mut session = Session::new(Role::Platform, small());
        session.connected(now, None);
        Self {
            platform: Some(PlatformEnd {
                session,
                waiting: VecDeque::new(),
            }),
            to_platform: VecDeque::new(),
            to_agent: VecDeque::new(),
            black_hole: false,
            hung_up: false,
        }
    }
}
