//! Why a file is left alone.

use crate::FileError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("{0}")]
    Unreadable(FileError),
    #[error("{file}:{line}: {what}, and this cannot be changed without touching more; {next}")]
    Unsafe {
        file: String,
        line: u32,
        what: String,
        next: &'static str,
    },
    #[error("{file} has no document number {document}; read the file again")]
    NoDocument { file: String, document: usize },
}
