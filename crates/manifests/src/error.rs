//! What a file of a repository can have wrong, said to the person who wrote it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One finding in one file. A file with any finding contributes no objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct FileError {
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    pub code: ErrorCode,
    /// The object the finding is about, as far as it is known: `apps/Deployment shop/web`.
    pub object: Option<String>,
    /// What is wrong and what to do next.
    pub message: String,
}

/// The kind of a finding: stable, for programs and for translated texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// Not YAML.
    YamlSyntax,
    NotUtf8,
    DuplicateKey,
    /// YAML that JSON cannot say: `.nan`, `.inf`, a list as a key, an unknown tag.
    NotJson,
    /// One of the [`Limits`](crate::Limits) was passed.
    Budget,
    /// A document that is not a mapping.
    NotAnObject,
    MissingApiVersion,
    InvalidApiVersion,
    MissingKind,
    InvalidKind,
    MissingName,
    InvalidName,
    InvalidNamespace,
    InvalidMetadata,
    /// Sets a label or annotation that the product itself keeps.
    ReservedLabel,
    /// Names an object that the agent itself keeps in the namespace.
    ReservedName,
    ForeignNamespace,
    ClusterScoped,
    DuplicateObject,
    /// A path that cannot be read as a manifest at all: a symbolic link, a submodule.
    NotAFile,
}

impl ErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::YamlSyntax => "yaml-syntax",
            Self::NotUtf8 => "not-utf8",
            Self::DuplicateKey => "duplicate-key",
            Self::NotJson => "not-json",
            Self::Budget => "budget",
            Self::NotAnObject => "not-an-object",
            Self::MissingApiVersion => "missing-api-version",
            Self::InvalidApiVersion => "invalid-api-version",
            Self::MissingKind => "missing-kind",
            Self::InvalidKind => "invalid-kind",
            Self::MissingName => "missing-name",
            Self::InvalidName => "invalid-name",
            Self::InvalidNamespace => "invalid-namespace",
            Self::InvalidMetadata => "invalid-metadata",
            Self::ReservedLabel => "reserved-label",
            Self::ReservedName => "reserved-name",
            Self::ForeignNamespace => "foreign-namespace",
            Self::ClusterScoped => "cluster-scoped",
            Self::DuplicateObject => "duplicate-object",
            Self::NotAFile => "not-a-file",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
