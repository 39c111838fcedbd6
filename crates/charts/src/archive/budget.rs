//! What one archive may cost whoever reads it.

/// Passing any of these refuses the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of the `.tgz` itself.
    pub compressed: u64,
    /// Bytes of the tar stream inside (Helm: 100 MiB).
    pub decompressed: u64,
    /// Bytes of one file inside.
    pub file: u64,
    /// Files and folders.
    pub entries: usize,
    /// Bytes of one path.
    pub path: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            compressed: 20 << 20,
            decompressed: 100 << 20,
            file: 5 << 20,
            entries: 10_000,
            path: 1000,
        }
    }
}
