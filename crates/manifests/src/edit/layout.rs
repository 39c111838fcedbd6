//! Where everything stands: a document as a tree of byte ranges. What values mean is known elsewhere.

use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

#[derive(Debug)]
pub(super) struct Place {
    /// Of what stands on the line where it begins; block collections and block scalars go on below.
    pub start: usize,
    pub end: usize,
    pub kind: PlaceKind,
    pub marks: Marks,
}

/// What makes a value more than what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    None,
    /// An anchor (`&a`) or a tag (`!!str`).
    Some,
}

#[derive(Debug)]
pub(super) enum PlaceKind {
    /// Nothing stands there.
    Empty,
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|` or `>`.
    Block,
    Alias,
    /// `{…}` or `[…]`.
    Flow,
    Map(Vec<EntryPlace>),
    List(Vec<Place>),
}

#[derive(Debug)]
pub(super) struct EntryPlace {
    pub key: String,
    pub key_start: usize,
    /// Just after the colon.
    pub colon_end: usize,
    pub value: Place,
}

/// `None` where the text is not laid out as anything that is understood here; then nothing of it is changed.
pub(super) fn layout(text: &str, document: usize) -> Option<Place> {
    let mut parser = Parser::new_from_str(text);
    let mut reader = Reader {
        text,
        offsets: (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect()),
    };
    let mut seen = 0;
    loop {
        let (event, _) = parser.next_event()?.ok()?;
        match event {
            Event::DocumentStart(_) if seen == document => return reader.node(&mut parser),
            Event::DocumentStart(_) => seen += 1,
            Event::StreamEnd => return None,
            _ => {}
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    offsets: Option<Vec<usize>>,
}

/// The limits of reading hold here too; this is far above them.
const DEEPEST: usize = 200;

impl<'a> Reader<'a> {
    fn node(&mut self, parser: &mut Parser<'a, saphyr_parser::StrInput<'a>>) -> Option<Place> {
        let (event, span) = parser.next_event()?.ok()?;
        {
            let range = self.range(&span);
            self.of(event, range, parser, 0, 0)
        }
    }

    fn of(
        &mut self,
        event: Event<'a>,
        range: Range<usize>,
        parser: &mut Parser<'a, saphyr_parser::StrInput<'a>>,
        from: usize,
        depth: usize,
    ) -> Option<Place> {
        if depth > DEEPEST {
            return None;
        }
        let marks = |anchor: usize, tagged: bool| {
            if anchor != 0 || tagged {
                Marks::Some
            } else {
                Marks::None
            }
        };
        match event {
            Event::Alias(_) => Some(Place {
                start: range.start,
                end: range.end,
                kind: PlaceKind::Alias,
                marks: Marks::Some,
            }),
            Event::Scalar(text, style, anchor, tag) => {
                let kind = match style {
                    ScalarStyle::Plain if text.is_empty() => PlaceKind::Empty,
                    ScalarStyle::Plain => PlaceKind::Plain,
                    ScalarStyle::SingleQuoted => PlaceKind::SingleQuoted,
                    ScalarStyle::DoubleQuoted => PlaceKind::DoubleQuoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => PlaceKind::Block,
                };
                let written = self.text.get(range.clone())?;
                let end = match kind {
                    PlaceKind::Plain => range.start + written.trim_end().len(),
                    _ => range.end,
                };
                // The parser tells where the text begins; its header stands before.
                let start = match kind {
                    PlaceKind::Block => header_of(self.text, from)?,
                    _ => range.start,
                };
                Some(Place {
                    start,
                    end,
                    kind,
                    marks: marks(anchor, tag.is_some()),
                })
            }
            Event::SequenceStart(anchor, tag) => {
                let is_flow = self.text[range.start..].starts_with('[');
                let mut items = Vec::new();
                let end = loop {
                    let (event, span) = parser.next_event()?.ok()?;
                    if matches!(event, Event::SequenceEnd) {
                        break self.range(&span).end;
                    }
                    let from = items.last().map_or(range.start, |item: &Place| item.end);
                    items.push(self.of(event, self.range(&span), parser, from, depth + 1)?);
                };
                Some(Place {
                    start: range.start,
                    end,
                    kind: if is_flow {
                        PlaceKind::Flow
                    } else {
                        PlaceKind::List(items)
                    },
                    marks: marks(anchor, tag.is_some()),
                })
            }
            Event::MappingStart(anchor, tag) => {
                let is_flow = self.text[range.start..].starts_with('{');
                let mut entries = Vec::new();
                let end = loop {
                    let (event, span) = parser.next_event()?.ok()?;
                    let key = match event {
                        Event::MappingEnd => break self.range(&span).end,
                        Event::Scalar(text, _, 0, None) => Some((text.into_owned(), self.range(&span))),
                        other => {
                            let key_range = self.range(&span);
                            let from = key_range.start;
                            self.of(other, key_range, parser, from, depth + 1)?;
                            None
                        }
                    };
                    let (event, span) = parser.next_event()?.ok()?;
                    let from = key.as_ref().map_or(range.start, |(_, key)| self.colon_end(key));
                    let value = self.of(event, self.range(&span), parser, from, depth + 1)?;
                    if is_flow {
                        continue;
                    }
                    // A key that is more than a word (`? key`, an alias, an anchor): nothing here is for us to change.
                    let (key, key_range) = key?;
                    let colon_end = self.colon_end(&key_range);
                    if !self.text[..colon_end].ends_with(':') {
                        return None;
                    }
                    entries.push(EntryPlace {
                        key,
                        key_start: key_range.start,
                        colon_end,
                        value,
                    });
                };
                Some(Place {
                    start: range.start,
                    end,
                    kind: if is_flow {
                        PlaceKind::Flow
                    } else {
                        PlaceKind::Map(entries)
                    },
                    marks: marks(anchor, tag.is_some()),
                })
            }
            _ => None,
        }
    }

    /// Just after the colon, where one follows the key.
    fn colon_end(&self, key: &Range<usize>) -> usize {
        let after = &self.text[key.end..];
        let gap = after.len() - after.trim_start_matches([' ', '\t']).len();
        key.end + gap + usize::from(after[gap..].starts_with(':'))
    }

    fn range(&self, span: &saphyr_parser::Span) -> Range<usize> {
        let (start, end) = (self.offset(&span.start), self.offset(&span.end));
        start..end.max(start)
    }

    fn offset(&self, marker: &Marker) -> usize {
        match &self.offsets {
            Some(offsets) => offsets.get(marker.index()).copied(),
            None => Some(marker.index()),
        }
        .unwrap_or(self.text.len())
        .min(self.text.len())
    }
}

/// The `|` or `>` that comes next, behind dashes, comments, tags and anchors.
fn header_of(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = &text[at..];
        at += match rest.chars().next()? {
            '|' | '>' => return Some(at),
            '#' => rest.find('\n')?,
            '!' | '&' => rest.find(char::is_whitespace)?,
            c if c.is_whitespace() || c == '-' => c.len_utf8(),
            _ => return None,
        };
    }
}

/// Where a line begins that holds this place.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the line after this place begins, or the end of the text.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline + 1)
}

/// Spaces before the place, counted from the beginning of its line, in characters.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].chars().count()
}

/// A block scalar: its header, and the whole lines below it.
pub(super) struct BlockScalar {
    /// Of `|` or `>` and what belongs to it.
    pub header: Range<usize>,
    /// Of the lines; blank lines behind them only where the header keeps them.
    pub lines: Range<usize>,
    /// How far the lines are set in.
    pub indent: Option<usize>,
}

pub(super) fn block_scalar(text: &str, start: usize, parent: usize) -> BlockScalar {
    let indicators = text[start + 1..]
        .find(|c: char| !matches!(c, '+' | '-' | '0'..='9'))
        .unwrap_or(text.len() - start - 1);
    let header = start..start + 1 + indicators;
    let word = &text[header.clone()];
    let keeps = word.contains('+');
    let mut indent = word
        .chars()
        .find_map(|c| c.to_digit(10))
        .map(|digit| parent + digit as usize);
    let first = next_line(text, start);
    let (mut at, mut end) = (first, first);
    while at < text.len() {
        let next = next_line(text, at);
        let line = text[at..next].trim_end_matches(['\n', '\r']);
        let spaces = line.len() - line.trim_start_matches(' ').len();
        // Spaces beyond the indentation are text.
        let is_blank = spaces == line.len() && indent.is_none_or(|indent| spaces <= indent);
        if !is_blank {
            let needed = *indent.get_or_insert(spaces.max(parent + 1));
            if spaces < needed {
                break;
            }
        }
        at = next;
        if !is_blank || keeps {
            end = at;
        }
    }
    BlockScalar {
        header,
        lines: first..end,
        indent,
    }
}

/// Where the line after the last one of this value begins. `parent` is the column of the key that has it.
pub(super) fn lines_end(text: &str, place: &Place, colon_end: usize, parent: usize) -> usize {
    match &place.kind {
        PlaceKind::Empty => next_line(text, colon_end),
        PlaceKind::Block => {
            let block = block_scalar(text, place.start, parent);
            block.lines.end.max(next_line(text, place.start))
        }
        PlaceKind::Map(entries) => match entries.last() {
            Some(last) => {
                let column = column(text, last.key_start);
                lines_end(text, &last.value, last.colon_end, column)
            }
            None => next_line(text, place.start),
        },
        PlaceKind::List(items) => match items.last() {
            Some(last) if matches!(last.kind, PlaceKind::Empty) => {
                next_line(text, last.start.min(text.len()))
            }
            // The dash stands two columns before its item, or further.
            Some(last) => lines_end(text, last, last.start, column(text, last.start).saturating_sub(2)),
            None => next_line(text, place.start),
        },
        _ => next_line(text, place.end),
    }
}
