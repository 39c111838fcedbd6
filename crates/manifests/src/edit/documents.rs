//! Whole documents of a file: the text of one, another in its place, or the file without it.

use std::ops::Range;

use serde_json::Value;

use super::{EditError, Source};

/// What is left of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remainder {
    /// The other documents.
    Text(String),
    /// Nothing that means anything: remove the file.
    Nothing,
}

/// A document and the line `---` before it.
struct Segment {
    marker: Option<Range<usize>>,
    content: Range<usize>,
}

pub(super) fn text<'s>(source: &'s Source<'_>, document: usize) -> Result<&'s str, EditError> {
    let segment = segment(source, document)?;
    Ok(&source.text[segment.content])
}

pub(super) fn replace(source: &Source<'_>, document: usize, text: &str) -> Result<String, EditError> {
    let new = Source::read(source.file, text.as_bytes())?;
    let [value] = new.values.as_slice() else {
        return Err(source.unsafe_at(0, "the new text is not one document", "hand in one"));
    };
    let mut wanted = source.values.clone();
    let segment = segment(source, document)?;
    wanted[document] = value.clone();
    let mut out = source.text[..segment.content.start].to_owned();
    if !out.is_empty() && !out.ends_with('\n') {
        out.push_str(source.newline());
    }
    out.push_str(&new.text);
    if !out.ends_with('\n') {
        out.push_str(source.newline());
    }
    out.push_str(&source.text[segment.content.end..]);
    Ok(source.first_that_means(vec![out], &wanted, document)?.whole())
}

pub(super) fn remove(source: &Source<'_>, document: usize) -> Result<Remainder, EditError> {
    let segment = segment(source, document)?;
    let others = source.values.iter().enumerate().filter(|(at, _)| *at != document);
    if others.clone().all(|(_, value)| value.is_null()) {
        return Ok(Remainder::Nothing);
    }
    let wanted: Vec<Value> = others.map(|(_, value)| value.clone()).collect();
    let text = &source.text;
    let rest = &text[segment.content.end..];
    let before = match segment.marker {
        Some(marker) => &text[..marker.start],
        None => heading(&text[segment.content]),
    };
    // The line that ends a document is not needed before the first one, and stays for the sake of the lines around it.
    let attempts = vec![format!("{before}{rest}")];
    let left = source.first_that_means(attempts, &wanted, document)?;
    Ok(Remainder::Text(left.whole()))
}

/// Comments at the head of a file that an empty line sets apart from its first document, such as a licence.
fn heading(content: &str) -> &str {
    let mut at = 0;
    let mut blank_end = 0;
    for line in content.split_inclusive('\n') {
        let bare = line.trim();
        if !bare.is_empty() && !bare.starts_with('#') {
            break;
        }
        at += line.len();
        if bare.is_empty() {
            blank_end = at;
        }
    }
    let heading = &content[..blank_end];
    if heading.trim().is_empty() { "" } else { heading }
}

fn segment(source: &Source<'_>, document: usize) -> Result<Segment, EditError> {
    source.document(document)?;
    let segments = segments(source)?;
    let found = segments.into_iter().nth(document);
    found.ok_or_else(|| EditError::NoDocument {
        file: source.file.to_owned(),
        document,
    })
}

/// As many as the file has documents, in their order.
fn segments(source: &Source<'_>) -> Result<Vec<Segment>, EditError> {
    let text = &source.text;
    let mut all = vec![Segment {
        marker: None,
        content: 0..0,
    }];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let is_marker = |mark: &str| {
            bare.strip_prefix(mark)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
        };
        if is_marker("...") || line.starts_with('%') {
            let what = "the file has directives or ends of documents (`...`)";
            return Err(source.unsafe_at(at, what, "remove them, or change it by hand"));
        }
        let end = at + line.len();
        if is_marker("---") {
            let behind = bare[3..].trim();
            if !behind.is_empty() && !behind.starts_with('#') {
                let what = "something stands behind `---`";
                return Err(source.unsafe_at(at, what, "put it on a line of its own"));
            }
            all.push(Segment {
                marker: Some(at..end),
                content: end..end,
            });
        } else if let Some(last) = all.last_mut() {
            last.content.end = end;
        }
        at = end;
    }
    let means_something = |segment: &Segment| {
        segment.marker.is_some()
            || text[segment.content.clone()].lines().any(|line| {
                let bare = line.trim();
                !bare.is_empty() && !bare.starts_with('#')
            })
    };
    let documents: Vec<Segment> = all.into_iter().filter(means_something).collect();
    if documents.len() != source.values.len() {
        let what = "the documents of the file cannot be told apart";
        return Err(source.unsafe_at(0, what, "separate them by lines of `---` alone"));
    }
    Ok(documents)
}
