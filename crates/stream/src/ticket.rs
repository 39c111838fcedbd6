//! The right to one seat of one stream, once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const LENGTH: usize = 16;

/// 128 random bits. Has no `Debug` that shows them.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket([u8; LENGTH]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no ticket of a stream")]
pub struct BadTicket;

impl Ticket {
    /// `random` must come from a generator fit for keys.
    pub fn new(random: [u8; LENGTH]) -> Self {
        Self(random)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it stands in a header.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub fn parse(text: &str) -> Result<Self, BadTicket> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadTicket)?;
        Self::from_slice(&bytes)
    }

    pub fn from_slice(bytes: &[u8]) -> Result<Self, BadTicket> {
        bytes.try_into().map(Self).map_err(|_| BadTicket)
    }
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticket(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_survives_a_header_and_hides_from_logs() {
        let ticket = Ticket::new(*b"0123456789abcdef");
        assert_eq!(Ticket::parse(&ticket.reveal()), Ok(ticket.clone()));
        assert_eq!(format!("{ticket:?}"), "Ticket(hidden)");
        for bad in ["", "short", "!!!!!!!!!!!!!!!!!!!!!!", &"A".repeat(23)] {
            assert_eq!(Ticket::parse(bad), Err(BadTicket), "{bad}");
        }
    }
}
