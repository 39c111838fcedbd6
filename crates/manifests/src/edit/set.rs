//! Gives a key its value: in the place of the one before, or at the end of its mapping.

use serde_json::{Map, Value};

use super::block::{self, Texts};
use super::layout::{self, EntryPlace, Marks, Place, PlaceKind, block_scalar, column, lines_end, next_line};
use super::{EditError, Source};

const BY_HAND: &str = "write it in block style, one key to a line, or change it by hand";

/// Ways to write it, the nicest first; whoever calls reads them back.
pub(super) fn attempts(
    source: &Source<'_>,
    document: usize,
    path: &[String],
    value: &Value,
) -> Result<Vec<String>, EditError> {
    let root = root(source, document)?;
    let mut place = &root;
    let mut owner: Option<&EntryPlace> = None;
    for (depth, key) in path.iter().enumerate() {
        let entries = match &place.kind {
            PlaceKind::Map(entries) => entries,
            PlaceKind::Empty => break,
            PlaceKind::Flow if is_empty_mapping(source, place) => break,
            _ => return Err(refuse(source, place, owner, key)),
        };
        if entries.iter().any(|entry| entry.key == "<<") {
            return Err(source.unsafe_at(place.start, "the mapping has a merge key `<<`", BY_HAND));
        }
        match entries.iter().find(|entry| entry.key == *key) {
            Some(entry) => {
                owner = Some(entry);
                place = &entry.value;
            }
            None => {
                let value = wrapped(&path[depth + 1..], value);
                return Ok(all_texts(|texts| insert(source, entries, key, &value, texts)));
            }
        }
        if depth + 1 == path.len() {
            check_marks(source, place)?;
            return Ok(all_texts(|texts| {
                replace(source, entries_column(source, owner), owner, value, texts)
            }));
        }
    }
    // Nothing stands where a mapping is needed.
    let done = path_length(&root, path);
    let value = wrapped(&path[done..], value);
    match owner {
        Some(_) => {
            check_marks(source, place)?;
            Ok(all_texts(|texts| {
                replace(source, entries_column(source, owner), owner, &value, texts)
            }))
        }
        None => Err(source.unsafe_at(root.start, "the document is empty", "write the object anew")),
    }
}

/// The layout of a document, or why it cannot be had.
pub(super) fn root(source: &Source<'_>, document: usize) -> Result<Place, EditError> {
    let node = source.document(document)?;
    layout::layout(&source.text, document).ok_or_else(|| EditError::Unsafe {
        file: source.file.to_owned(),
        line: node.at.line,
        what: "this document has keys that are more than words".to_owned(),
        next: BY_HAND,
    })
}

pub(super) fn refuse(source: &Source<'_>, place: &Place, owner: Option<&EntryPlace>, key: &str) -> EditError {
    let what = match (&place.kind, owner) {
        (PlaceKind::Flow, _) => format!("`{key}` stands in flow style (`{{…}}`)"),
        (PlaceKind::Alias, _) => format!("`{key}` comes from an alias"),
        (PlaceKind::List(_), _) => format!("`{key}` would stand in a list"),
        (_, Some(owner)) => format!("`{}` is no mapping", owner.key),
        (_, None) => "the document is no mapping".to_owned(),
    };
    source.unsafe_at(place.start, what, BY_HAND)
}

pub(super) fn check_marks(source: &Source<'_>, place: &Place) -> Result<(), EditError> {
    if place.marks == Marks::None {
        return Ok(());
    }
    Err(source.unsafe_at(place.start, "the value has an anchor, an alias or a tag", BY_HAND))
}

/// `{}`: nothing is lost when it is written anew.
fn is_empty_mapping(source: &Source<'_>, place: &Place) -> bool {
    let text = &source.text[place.start..place.end];
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

/// How many keys of the path are there.
fn path_length(root: &Place, path: &[String]) -> usize {
    let mut place = root;
    for (depth, key) in path.iter().enumerate() {
        let PlaceKind::Map(entries) = &place.kind else {
            return depth;
        };
        match entries.iter().find(|entry| entry.key == *key) {
            Some(entry) => place = &entry.value,
            None => return depth,
        }
    }
    path.len()
}

fn wrapped(path: &[String], value: &Value) -> Value {
    path.iter().rev().fold(value.clone(), |value, key| {
        Value::Object(Map::from_iter([(key.clone(), value)]))
    })
}

fn all_texts(write: impl Fn(Texts) -> Option<String>) -> Vec<String> {
    [Texts::AsBlocks, Texts::Quoted]
        .into_iter()
        .filter_map(write)
        .collect()
}

fn entries_column(source: &Source<'_>, owner: Option<&EntryPlace>) -> usize {
    owner.map_or(0, |owner| column(&source.text, owner.key_start))
}

/// What the value takes up now: a range on the line where it begins, and whole lines below.
struct Extent {
    inline: std::ops::Range<usize>,
    lines: std::ops::Range<usize>,
    /// Of what stands below, as it is now.
    indent: Option<usize>,
}

fn extent(text: &str, key: usize, owner: &EntryPlace) -> Extent {
    let place = &owner.value;
    match &place.kind {
        PlaceKind::Empty => {
            let next = next_line(text, owner.colon_end);
            Extent {
                inline: owner.colon_end..owner.colon_end,
                lines: next..next,
                indent: None,
            }
        }
        PlaceKind::Block => {
            let block = block_scalar(text, place.start, key);
            Extent {
                inline: block.header,
                lines: block.lines,
                indent: block.indent,
            }
        }
        PlaceKind::Map(_) | PlaceKind::List(_) => Extent {
            inline: owner.colon_end..owner.colon_end,
            lines: next_line(text, owner.colon_end)..lines_end(text, place, owner.colon_end, key),
            indent: Some(column(text, place.start)).filter(|indent| *indent > key),
        },
        _ => {
            let next = next_line(text, place.end);
            Extent {
                inline: place.start..place.end,
                lines: next..next,
                indent: None,
            }
        }
    }
}

fn replace(
    source: &Source<'_>,
    key: usize,
    owner: Option<&EntryPlace>,
    value: &Value,
    texts: Texts,
) -> Option<String> {
    let owner = owner?;
    let text = &source.text;
    let old = extent(text, key, owner);
    let indent = old.indent.unwrap_or(key + 2);
    let new = block::write(value, key, indent, Some(&owner.value.kind), texts);
    let newline = source.newline();
    let mut out = String::with_capacity(text.len() + 64);
    let gap = if old.inline.start == owner.colon_end && !new.inline.is_empty() {
        " "
    } else {
        ""
    };
    if new.inline.is_empty() {
        out.push_str(text[..old.inline.start].trim_end_matches([' ', '\t']));
    } else {
        out.push_str(&text[..old.inline.start]);
    }
    out.push_str(gap);
    out.push_str(&new.inline);
    out.push_str(&text[old.inline.end..old.lines.start]);
    push_lines(&mut out, &new.lines, newline);
    out.push_str(&text[old.lines.end..]);
    Some(out)
}

fn insert(
    source: &Source<'_>,
    entries: &[EntryPlace],
    key: &str,
    value: &Value,
    texts: Texts,
) -> Option<String> {
    let text = &source.text;
    let (first, last) = (entries.first()?, entries.last()?);
    let indent = column(text, first.key_start);
    let at = lines_end(text, &last.value, last.colon_end, column(text, last.key_start));
    let mut out = text[..at].to_owned();
    push_lines(
        &mut out,
        &block::entry(key, value, indent, texts),
        source.newline(),
    );
    out.push_str(&text[at..]);
    Some(out)
}

fn push_lines(out: &mut String, lines: &[String], newline: &str) {
    if !lines.is_empty() && !out.is_empty() && !out.ends_with('\n') {
        out.push_str(newline);
    }
    for line in lines {
        out.push_str(line);
        out.push_str(newline);
    }
}
