//! What Kubernetes reads in a YAML file: `sigs.k8s.io/yaml`, which is YAML 1.1 as go-yaml v2 has it, made into JSON.
//!
//! `saphyr-parser` finds the events; the meaning of scalars, keys, tags, anchors and merge keys is decided here and held to a
//! corpus that the Go library itself answered (`tests/golden`). Every node keeps its place, so that later findings can point at it.

mod check;
mod compose;
mod limits;
mod node;
mod scalar;

use serde_json::Value;

pub(crate) use compose::{Composed, compose};
pub use limits::Limits;
pub(crate) use node::{Entry, Kind, Node};

use crate::{error::FileError, parse::fault};

/// The documents of a YAML text as JSON, `null` for empty ones.
pub fn yaml_to_json(path: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<Value>, Vec<FileError>> {
    let composed = read(bytes, limits)
        .map_err(|faults| faults.into_iter().map(|f| fault(path, f)).collect::<Vec<_>>())?;
    Ok(composed.documents.into_iter().map(Node::into_json).collect())
}

/// Whether a bare word is text, and not a number, a truth or nothing.
pub(crate) fn plain_is_text(word: std::borrow::Cow<'_, str>) -> bool {
    matches!(scalar::resolve(word, None, true), Ok(scalar::Scalar::String(_)))
}

/// Checks the bytes, then composes the documents.
pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Composed, Vec<Fault>> {
    let text = check::text(bytes, limits).map_err(|fault| vec![fault])?;
    compose(text, limits)
}

/// A finding that does not know its file yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub at: crate::parse::Position,
    pub code: crate::error::ErrorCode,
    pub message: String,
}
