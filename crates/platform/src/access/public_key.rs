//! Public keys as `ssh-keygen` writes them, and their fingerprints.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

/// What the Git host can check.
const KINDS: &[&str] = &["ssh-ed25519"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    #[error("this is a private key; it was not stored, but treat it as known to others")]
    Private,
    #[error("this is no public key; it should be one line such as `ssh-ed25519 AAAA... comment`")]
    Malformed,
    #[error("keys of the kind {0:?} are not supported; make one with `ssh-keygen -t ed25519`")]
    Kind(String),
}

/// A checked public key, without its comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub line: String,
    /// `SHA256:` and base64 without padding, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

pub fn parse(line: &str) -> Result<PublicKey, PublicKeyError> {
    let line = line.trim();
    if line.contains("PRIVATE KEY") {
        return Err(PublicKeyError::Private);
    }
    if line.lines().count() != 1 || line.len() > 8 * 1024 {
        return Err(PublicKeyError::Malformed);
    }
    let mut words = line.split_ascii_whitespace();
    let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
        return Err(PublicKeyError::Malformed);
    };
    let bytes = STANDARD.decode(blob).map_err(|_| PublicKeyError::Malformed)?;
    // RFC 4253, section 6.6: the blob begins with the same kind, as a string with its length.
    let length = bytes.first_chunk::<4>().map(|n| u32::from_be_bytes(*n) as usize);
    let inner = length.and_then(|length| bytes.get(4..4 + length.min(64)));
    if inner != Some(kind.as_bytes()) || bytes.len() <= 4 + kind.len() {
        return Err(PublicKeyError::Malformed);
    }
    if !KINDS.contains(&kind) {
        return Err(PublicKeyError::Kind(kind.chars().take(40).collect()));
    }
    let fingerprint = format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&bytes)));
    Ok(PublicKey {
        line: format!("{kind} {blob}"),
        fingerprint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by `ssh-keygen -t ed25519`, fingerprint by `ssh-keygen -lf`.
    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdZyrGdBVQUX15ZCeZcTOWcfUeNJ+wZU8ACqED0x2ya";
    const FINGERPRINT: &str = "SHA256:1yN9KBtl7cd5y3N/oNjujTaZ5h9G46aPY8MCOFC4Jjs";

    #[test]
    fn the_fingerprint_is_the_one_that_ssh_keygen_prints() {
        let key = parse(&format!("{LINE} ann@laptop\n")).unwrap();
        assert_eq!(
            key,
            PublicKey {
                line: LINE.into(),
                fingerprint: FINGERPRINT.into()
            }
        );
    }

    #[test]
    fn what_is_no_key_is_refused_with_a_reason() {
        assert_eq!(
            parse("-----BEGIN OPENSSH PRIVATE KEY-----"),
            Err(PublicKeyError::Private)
        );
        for bad in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 !!!",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA",
            &LINE[..30],
        ] {
            assert_eq!(parse(bad), Err(PublicKeyError::Malformed), "{bad}");
        }
        let rsa = format!("ssh-rsa {}", STANDARD.encode(b"\0\0\0\x07ssh-rsa\0\0\0\x03abc"));
        assert_eq!(parse(&rsa), Err(PublicKeyError::Kind("ssh-rsa".into())));
    }
}
