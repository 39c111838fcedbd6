//! Changes to YAML that people wrote: what is not meant to change stays as it is, to the byte.
//!
//! In: the bytes of a file, which of its documents, and what should be other in it. Out: the new text. Comments, the order of
//! keys, quotes and line ends around the change stay. Every change is read back before it is handed out: the document is what
//! was wanted, and every other document is what it was, or else there is no new text.
//! Never: a guess. Where a place cannot be changed safely (flow style, anchors and aliases, items of a `List`), an
//! [`EditError`] names the line, and a person changes it.

mod block;
mod documents;
mod error;
mod layout;
mod remove;
mod scalar;
mod set;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::Object;
use crate::yaml::{self, Limits, Node};

pub use block::render;
pub use documents::Remainder;
pub use error::EditError;

/// One change to one document.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Gives the key at the end of the path this value; keys that are missing on the way are made.
    Set { path: Vec<String>, value: Value },
    /// Takes the key at the end of the path away, with its value. A key that is not there is no error.
    Remove { path: Vec<String> },
}

impl Edit {
    pub fn set(path: &[&str], value: impl Into<Value>) -> Self {
        Self::Set {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            value: value.into(),
        }
    }

    pub fn remove(path: &[&str]) -> Self {
        Self::Remove {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    /// The change as a change of data.
    fn apply_to(&self, value: &mut Value) {
        match self {
            Self::Set { path, value: new } => {
                let mut at = value;
                for key in path {
                    if !at.is_object() {
                        *at = Value::Object(Map::new());
                    }
                    let Value::Object(map) = at else { return };
                    at = map.entry(key.clone()).or_insert(Value::Null);
                }
                *at = new.clone();
            }
            Self::Remove { path } => {
                let Some((last, parents)) = path.split_last() else {
                    return;
                };
                let mut at = value;
                for key in parents {
                    match at.get_mut(key) {
                        Some(inner) => at = inner,
                        None => return,
                    }
                }
                if let Value::Object(map) = at {
                    map.remove(last);
                }
            }
        }
    }
}

/// Carries out the edits, one after the other, in the document with this index (empty documents count).
pub fn edit_document(file: &str, bytes: &[u8], document: usize, edits: &[Edit]) -> Result<String, EditError> {
    let mut source = Source::read(file, bytes)?;
    for edit in edits {
        source.document(document)?;
        let mut wanted = source.values.clone();
        edit.apply_to(&mut wanted[document]);
        if wanted == source.values {
            continue;
        }
        let attempts = match edit {
            Edit::Set { path, value } => set::attempts(&source, document, path, value)?,
            Edit::Remove { path } => vec![remove::key(&source, document, path)?],
        };
        source = source.first_that_means(attempts, &wanted, document)?;
    }
    Ok(source.whole())
}

/// Takes one document out of its file.
pub fn remove_document(file: &str, bytes: &[u8], document: usize) -> Result<Remainder, EditError> {
    let source = Source::read(file, bytes)?;
    documents::remove(&source, document)
}

/// Puts `text`, which is one document, in the place of a document.
pub fn replace_document(file: &str, bytes: &[u8], document: usize, text: &str) -> Result<String, EditError> {
    let source = Source::read(file, bytes)?;
    documents::replace(&source, document, text)
}

/// The text of one document, comments included, without the line that separates it from the one before.
pub fn document_text(file: &str, bytes: &[u8], document: usize) -> Result<String, EditError> {
    let source = Source::read(file, bytes)?;
    documents::text(&source, document).map(str::to_owned)
}

/// Says no where the object is not a document of its own but an item of a `List`, or gets a part of it from there.
pub fn is_whole_document(bytes: &[u8], object: &Object) -> Result<(), EditError> {
    let source = Source::read(&object.source.file, bytes)?;
    source.document(object.source.document)?;
    if source.values[object.source.document] == object.value {
        return Ok(());
    }
    Err(EditError::Unsafe {
        file: object.source.file.clone(),
        line: object.source.at.line,
        what: "the object is an item of a List".to_owned(),
        next: "give it a document of its own, or change it by hand",
    })
}

/// A file that can be read.
struct Source<'a> {
    file: &'a str,
    mark: &'static str,
    text: String,
    values: Vec<Value>,
    nodes: Vec<Node>,
}

/// Some editors put it before the text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

impl<'a> Source<'a> {
    fn read(file: &'a str, bytes: &[u8]) -> Result<Self, EditError> {
        let unreadable = |faults: Vec<yaml::Fault>| match faults.into_iter().next() {
            Some(first) => EditError::Unreadable(crate::parse::fault(file, first)),
            None => EditError::NoDocument {
                file: file.to_owned(),
                document: 0,
            },
        };
        let composed = yaml::read(bytes, &Limits::default()).map_err(unreadable)?;
        // It was read as UTF-8 just now.
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (mark, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => (BYTE_ORDER_MARK, rest.to_owned()),
            None => ("", text),
        };
        Ok(Self {
            file,
            mark,
            text,
            values: composed.documents.iter().cloned().map(Node::into_json).collect(),
            nodes: composed.documents,
        })
    }

    fn document(&self, document: usize) -> Result<&Node, EditError> {
        self.nodes.get(document).ok_or_else(|| EditError::NoDocument {
            file: self.file.to_owned(),
            document,
        })
    }

    fn whole(&self) -> String {
        format!("{}{}", self.mark, self.text)
    }

    /// What the file's lines end with.
    fn newline(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    fn line_of(&self, at: usize) -> u32 {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        u32::try_from(breaks + 1).unwrap_or(u32::MAX)
    }

    fn unsafe_at(&self, at: usize, what: impl Into<String>, next: &'static str) -> EditError {
        EditError::Unsafe {
            file: self.file.to_owned(),
            line: self.line_of(at),
            what: what.into(),
            next,
        }
    }

    /// Reads each text back and takes the first that means what is wanted.
    fn first_that_means(
        &self,
        attempts: Vec<String>,
        wanted: &[Value],
        document: usize,
    ) -> Result<Source<'a>, EditError> {
        for text in attempts {
            if let Ok(mut read) = Source::read(self.file, text.as_bytes())
                && read.values == wanted
            {
                read.mark = self.mark;
                return Ok(read);
            }
        }
        let line = self.nodes.get(document).map_or(1, |node| node.at.line);
        Err(EditError::Unsafe {
            file: self.file.to_owned(),
            line,
            what: "the change would touch more of this document than was meant".to_owned(),
            next: "change it by hand and push it",
        })
    }
}
