//! Who sits where, who may come back, and when a stream has waited long enough. Pure: times come in as arguments.

use c7n_api::StreamKind;
use c7n_stream::{End, EndCode};
use tokio::time::Instant;

use super::Times;
use super::tickets::TicketHash;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Agent,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Agent,
            Self::Agent => Self::Client,
        }
    }
}

/// `S` is the socket that sits there.
pub struct State<S> {
    client: Seat<S>,
    agent: Seat<S>,
    /// The agent was told to come.
    asked: Option<Instant>,
    opened: Instant,
}

pub struct Seat<S> {
    occupant: Option<S>,
    tickets: Vec<Admission>,
    taken_before: bool,
    empty_since: Option<Instant>,
}

/// A ticket that is good for this seat.
#[derive(Debug, Clone, Copy)]
struct Admission {
    ticket: TicketHash,
    until: Option<Instant>,
    /// Not the first of its seat: it stays good until whoever came with it has said something, because the next one may have
    /// been lost on the way.
    again: bool,
}

impl<S: Clone> State<S> {
    pub fn new(ticket: TicketHash, opened: Instant, until: Instant) -> Self {
        let mut state = Self {
            client: Seat::default(),
            agent: Seat::default(),
            asked: None,
            opened,
        };
        state.client.tickets.push(Admission {
            ticket,
            until: Some(until),
            again: false,
        });
        state
    }

    pub fn seat(&self, side: Side) -> &Seat<S> {
        match side {
            Side::Client => &self.client,
            Side::Agent => &self.agent,
        }
    }

    fn seat_mut(&mut self, side: Side) -> &mut Seat<S> {
        match side {
            Side::Client => &mut self.client,
            Side::Agent => &mut self.agent,
        }
    }

    /// The agent is told to come with this ticket.
    pub fn asked(&mut self, ticket: TicketHash, now: Instant, until: Instant) {
        self.asked = Some(now);
        self.agent.tickets.push(Admission {
            ticket,
            until: Some(until),
            again: false,
        });
    }

    /// Is the ticket good for this seat at this moment? A first ticket is used up by it.
    pub fn admit(&mut self, side: Side, ticket: &TicketHash, now: Instant) -> bool {
        let tickets = &mut self.seat_mut(side).tickets;
        let Some(at) = tickets.iter().position(|known| known.ticket == *ticket) else {
            return false;
        };
        let admission = tickets[at];
        if !admission.again {
            tickets.remove(at);
        }
        admission.until.is_none_or(|until| now < until)
    }

    /// Takes the place of whoever sat there, who is given back. `next` is the ticket for the next time.
    pub fn sit(&mut self, side: Side, occupant: S, next: Option<TicketHash>) -> Option<S> {
        let seat = self.seat_mut(side);
        seat.tickets.extend(next.map(|ticket| Admission {
            ticket,
            until: None,
            again: true,
        }));
        seat.taken_before = true;
        seat.empty_since = None;
        seat.occupant.replace(occupant)
    }

    /// The newest occupant has said something, and so has got its ticket: the older ones, which are given back, are void.
    pub fn heard(&mut self, side: Side) -> Vec<TicketHash> {
        let tickets = &mut self.seat_mut(side).tickets;
        let older = tickets.len().saturating_sub(1);
        tickets.drain(..older).map(|admission| admission.ticket).collect()
    }

    /// The socket for which `is` holds is gone. False when another has its place already.
    pub fn leave(&mut self, side: Side, now: Instant, is: impl FnOnce(&S) -> bool) -> bool {
        let seat = self.seat_mut(side);
        if !seat.occupant.as_ref().is_some_and(is) {
            return false;
        }
        seat.occupant = None;
        seat.empty_since = Some(now);
        true
    }

    /// All tickets that somebody may still come with.
    pub fn tickets(&self) -> impl Iterator<Item = &TicketHash> {
        let all = self.client.tickets.iter().chain(&self.agent.tickets);
        all.map(|admission| &admission.ticket)
    }

    /// When the stream has waited long enough for somebody, and what is said then.
    pub fn deadline(&self, times: &Times) -> Option<(Instant, End)> {
        let waits = [
            (!self.client.taken_before).then(|| {
                let end = End::new(EndCode::PeerLost, "nobody came with its ticket; open a new stream");
                (self.opened + times.take_seat, end)
            }),
            (!self.agent.taken_before)
                .then_some(self.asked)
                .flatten()
                .map(|asked| (asked + times.agent, agent_away())),
            self.client.empty_since.map(|since| {
                let end = End::new(
                    EndCode::PeerLost,
                    "the person's end was lost and did not come back; open a new stream",
                );
                (since + times.patience, end)
            }),
            self.agent.empty_since.map(|since| {
                let end = End::new(
                    EndCode::PeerLost,
                    "the cluster's end was lost and did not come back; look at the cluster with `c7n cluster show`, \
                     then open a new stream",
                );
                (since + times.patience, end)
            }),
        ];
        waits.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    pub fn away_since(&self, side: Side) -> Option<Instant> {
        self.seat(side).empty_since
    }
}

impl<S> Default for Seat<S> {
    fn default() -> Self {
        Self {
            occupant: None,
            tickets: Vec::new(),
            taken_before: false,
            empty_since: None,
        }
    }
}

impl<S> Seat<S> {
    pub fn occupant(&self) -> Option<&S> {
        self.occupant.as_ref()
    }

    /// Somebody sits or sat here.
    pub fn taken_before(&self) -> bool {
        self.taken_before
    }
}

pub fn agent_away() -> End {
    End::new(
        EndCode::ClusterAway,
        "the cluster's agent did not come; look at it with `c7n cluster show`, then try again",
    )
}

/// A seat of this kind is kept after a break.
pub fn resumes(kind: StreamKind) -> bool {
    match kind {
        StreamKind::Logs => false,
        StreamKind::Exec | StreamKind::PortForward => true,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: TicketHash = [1; 32];
    const B: TicketHash = [2; 32];
    const C: TicketHash = [3; 32];

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_first_ticket_works_once_for_its_seat_and_not_for_ever() {
        let now = Instant::now();
        let new = || State::<u8>::new(A, now, now + second(10));
        assert!(!new().admit(Side::Agent, &A, now), "the other seat");
        assert!(!new().admit(Side::Client, &B, now), "another ticket");
        assert!(!new().admit(Side::Client, &A, now + second(10)), "too late");
        let mut state = new();
        assert!(state.admit(Side::Client, &A, now + second(9)));
        assert!(!state.admit(Side::Client, &A, now + second(9)), "used");
    }

    #[test]
    fn a_ticket_for_coming_back_is_good_until_its_successor_has_arrived() {
        let now = Instant::now();
        let mut state = State::new(A, now, now + second(10));
        assert!(state.admit(Side::Client, &A, now));
        assert_eq!(state.sit(Side::Client, 1, Some(B)), None);
        assert!(state.heard(Side::Client).is_empty());

        assert!(state.admit(Side::Client, &B, now + second(100)));
        assert_eq!(
            state.sit(Side::Client, 2, Some(C)),
            Some(1),
            "the older one is told"
        );
        assert!(
            state.admit(Side::Client, &B, now),
            "nothing was heard of the second yet"
        );
        assert_eq!(state.heard(Side::Client), [B]);
        assert!(!state.admit(Side::Client, &B, now));
        assert!(state.admit(Side::Client, &C, now));

        assert!(
            !state.leave(Side::Client, now, |s| *s == 1),
            "it has no seat any more"
        );
        assert!(state.leave(Side::Client, now, |s| *s == 2));
    }

    #[test]
    fn each_wait_has_an_end_of_its_own() {
        let (now, times) = (Instant::now(), Times::default());
        let due = |state: &State<u8>| {
            let (at, end) = state.deadline(&times)?;
            Some((at.duration_since(now).as_secs(), end.code()))
        };
        let mut state = State::new(A, now, now + second(10));
        assert_eq!(due(&state), Some((10, EndCode::PeerLost)));
        state.sit(Side::Client, 1, Some(B));
        assert_eq!(due(&state), None);
        state.asked(C, now + second(1), now + second(16));
        assert_eq!(due(&state), Some((16, EndCode::ClusterAway)));
        state.sit(Side::Agent, 2, None);
        assert_eq!(due(&state), None);
        state.leave(Side::Agent, now + second(5), |_| true);
        state.leave(Side::Client, now + second(7), |_| true);
        assert_eq!(due(&state), Some((65, EndCode::PeerLost)));
        state.sit(Side::Agent, 3, None);
        assert_eq!(due(&state), Some((67, EndCode::PeerLost)));
        state.sit(Side::Client, 4, None);
        assert_eq!(due(&state), None);
    }
}
