//! The compressed bytes on their way in: counted and hashed, so that one pass gives content and digest.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::ArchiveError;
use crate::Digest;

pub(super) struct Intake<R> {
    inner: R,
    hash: Sha256,
    left: u64,
    limit: u64,
}

/// Carried through the decompressor, which only knows I/O errors.
#[derive(Debug, thiserror::Error)]
#[error("the archive has more than {0} bytes")]
struct OverLimit(u64);

/// An error of the source itself, as opposed to one that the decompressor finds in what it says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Source(io::Error);

impl<R: Read> Intake<R> {
    pub fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            left: limit,
            limit,
        }
    }

    /// Reads what the decompressor had no need of.
    pub fn finish(mut self) -> Result<Digest, ArchiveError> {
        io::copy(&mut self, &mut io::sink()).map_err(|found| error(&found))?;
        Ok(self.hash.into())
    }
}

impl<R: Read> Read for Intake<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self
            .inner
            .read(buffer)
            .map_err(|error| io::Error::new(error.kind(), Source(error)))?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(OverLimit(self.limit)))?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

pub(super) fn error(found: &io::Error) -> ArchiveError {
    if let Some(inner) = found.get_ref() {
        if let Some(OverLimit(limit)) = inner.downcast_ref() {
            return ArchiveError::OverBudget {
                what: "bytes",
                limit: *limit,
            };
        }
        if let Some(Source(error)) = inner.downcast_ref() {
            return ArchiveError::Read(error.to_string());
        }
    }
    ArchiveError::Damaged(match found.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => found.to_string(),
    })
}
