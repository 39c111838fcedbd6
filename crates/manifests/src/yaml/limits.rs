//! What one file may cost. Whoever can push to a repository can push anything; none of it may cost more than this.

/// Budgets for one file. Passing any of them is a [`FileError`](crate::FileError) at the line where it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file.
    pub bytes: usize,
    /// Scalars and lists of the whole file, those that aliases repeat included; a mapping counts for four.
    pub nodes: usize,
    /// Nodes that aliases and merge keys repeat (CVE-2019-11253).
    pub alias_nodes: usize,
    /// Bytes of text that aliases and merge keys repeat.
    pub alias_bytes: usize,
    /// Lists and mappings inside each other. `serde_json` reads no deeper than 128, and an API answer wraps objects.
    pub depth: usize,
    /// Documents, empty ones included.
    pub documents: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            nodes: 300_000,
            alias_nodes: 50_000,
            alias_bytes: 4 << 20,
            depth: 100,
            documents: 5_000,
        }
    }
}
