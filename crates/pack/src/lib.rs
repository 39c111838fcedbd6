//! Archives whose bytes depend on their content alone: the same files give the same bytes, whenever and wherever.
//!
//! | | |
//! |---|---|
//! | [`tar`] | POSIX ustar |
//! | [`gzip`] | without a name and a time |
//! | [`chart`] | a Helm chart's archive, and the index of a repository that holds it |
//! | [`oci`] | a container image's archive (OCI image layout 1.0) |
//!
//! In: names and bytes. Out: bytes. Never: a clock, an owner, an order that depends on a disk.

pub mod chart;
pub mod gzip;
pub mod oci;
pub mod tar;

use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
