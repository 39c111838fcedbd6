//! Tokens: 256 random bits, of which the platform keeps the SHA-256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Tells scanners of leaked secrets whose token it is.
const PREFIX: &str = "c7n_";

/// A token on its way to its owner. No `Debug`: it holds the token.
pub struct Issued {
    pub token: String,
    pub hash: String,
}

pub fn issue() -> Issued {
    let token = format!("{PREFIX}{}", random::<32>());
    Issued {
        hash: hash(&token),
        token,
    }
}

/// A password for the first administrator: 144 random bits.
pub fn password() -> String {
    random::<18>()
}

/// What the database knows a token by. Plain SHA-256 is enough for 256 random bits, and cheap on every request.
pub fn hash(token: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(token.as_bytes())
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn random<const N: usize>() -> String {
    let mut bytes = [0_u8; N];
    rand::fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_are_known_by_their_hash() {
        let (one, other) = (issue(), issue());
        assert_ne!(one.token, other.token);
        assert_eq!(one.token.len(), PREFIX.len() + 43);
        assert_eq!(hash(&one.token), one.hash);
        assert!(!one.hash.contains(&one.token));
    }
}
