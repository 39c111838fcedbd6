//! Names of Git objects as types: a commit is not a blob, and neither is any string.

use std::fmt;
use std::str::FromStr;

use crate::{GitError, Result};

macro_rules! object_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 20]);

        impl $name {
            pub fn from_bytes(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            pub fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }

            pub(crate) fn to_gix(self) -> gix::ObjectId {
                gix::ObjectId::from_bytes_or_panic(&self.0)
            }

            /// The object format is SHA-1 wherever this crate opens a repository: [`crate::Repository::open`] checks it.
            pub(crate) fn from_gix(id: &gix::oid) -> Self {
                let mut bytes = [0; 20];
                bytes.copy_from_slice(&id.as_bytes()[..20]);
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = GitError;

            fn from_str(text: &str) -> Result<Self> {
                parse(text).map(Self)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = GitError;

            fn try_from(text: &str) -> Result<Self> {
                text.parse()
            }
        }
    };
}

object_name! {
    /// A commit: 40 lower-case hexadecimal digits.
    CommitId
}
object_name! {
    /// The content of a file: 40 lower-case hexadecimal digits.
    BlobId
}

fn parse(text: &str) -> Result<[u8; 20]> {
    let refuse = || GitError::BadId {
        text: text.chars().take(60).collect(),
    };
    if text.len() != 40 {
        return Err(refuse());
    }
    let mut bytes = [0u8; 20];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])
            .zip(digit(pair[1]))
            .map(|(high, low)| high << 4 | low)
            .ok_or_else(refuse)?;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        let id: CommitId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
    }

    #[test]
    fn anything_but_forty_lower_case_digits_is_refused() {
        for text in [
            "",
            "0123",
            "0123456789ABCDEF0123456789abcdef01234567",
            "main",
            &"g".repeat(40),
            &"0".repeat(64),
        ] {
            assert!(
                matches!(text.parse::<CommitId>(), Err(GitError::BadId { .. })),
                "{text}"
            );
        }
    }
}
