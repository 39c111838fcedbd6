//! Tickets are made here; what is kept of them is their SHA-256.

use c7n_stream::Ticket;
use sha2::{Digest, Sha256};

pub(super) type TicketHash = [u8; 32];

pub(super) fn issue() -> (Ticket, TicketHash) {
    let mut random = [0_u8; 16];
    rand::fill(&mut random);
    let ticket = Ticket::new(random);
    let hash = hash(&ticket);
    (ticket, hash)
}

pub(super) fn hash(ticket: &Ticket) -> TicketHash {
    Sha256::digest(ticket.as_bytes()).into()
}
