//! Events to trees, as go-yaml decodes them: anchors, aliases, merge keys, keys of any type. Iterative, and within [`Limits`].

mod faults;
mod fields;

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use faults::{describe, key_fault, merge_fault, place, shorten, syntax, tag_fault};
use fields::{Fields, Pending};

use super::{
    Fault, Limits,
    node::{Entry, Kind, Node},
    scalar::{self, Scalar},
};
use crate::{error::ErrorCode, parse::Position};

/// The documents of a file in order; empty ones are `null` nodes and keep their index.
#[derive(Debug)]
pub(crate) struct Composed {
    pub documents: Vec<Node>,
}

/// More findings than this in one file tell a person nothing new.
const MOST_FAULTS: usize = 20;

pub(crate) fn compose(text: &str, limits: &Limits) -> Result<Composed, Vec<Fault>> {
    let mut composer = Composer {
        limits,
        stack: Vec::new(),
        anchors: HashMap::new(),
        documents: Vec::new(),
        faults: Vec::new(),
        nodes: 0,
        alias_nodes: 0,
        alias_bytes: 0,
    };
    // Where a text without a line break at its end has its end, in characters.
    let unfinished = (!text.ends_with(['\n', '\r'])).then(|| text.chars().count());
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => {
                let event = if Some(span.end.index()) == unfinished {
                    without_added_break(event)
                } else {
                    event
                };
                composer.on_event(event, place(&span.start))
            }
            Err(error) => Err(syntax(text, error.marker(), error.info())),
        };
        if let Err(fault) = step {
            composer.faults.push(fault);
            break;
        }
        if composer.faults.len() >= MOST_FAULTS {
            break;
        }
    }
    if composer.faults.is_empty() {
        Ok(Composed {
            documents: composer.documents,
        })
    } else {
        Err(composer.faults)
    }
}

/// A block scalar at the end of a file without a last line break: the parser adds one, go-yaml does not.
fn without_added_break(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Scalar(text, style @ (ScalarStyle::Literal | ScalarStyle::Folded), anchor, tag) => {
            let text = match text.strip_suffix('\n') {
                Some(shorter) => Cow::Owned(shorter.to_owned()),
                None => text,
            };
            Event::Scalar(text, style, anchor, tag)
        }
        other => other,
    }
}

/// A mapping takes as much memory as some scalars, however few keys it has.
const MAP_WEIGHT: usize = 4;

struct Composer<'a> {
    limits: &'a Limits,
    stack: Vec<Frame>,
    /// By the parser's id, for the current document only.
    anchors: HashMap<usize, Anchored>,
    documents: Vec<Node>,
    faults: Vec<Fault>,
    nodes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
}

/// A list or mapping that is still open.
struct Frame {
    at: Position,
    anchor: usize,
    /// Of what is inside: how deep, how many, how much text.
    size: Size,
    open: Open,
}

enum Open {
    List(Vec<Node>),
    Map(Fields),
}

#[derive(Clone, Copy, Default)]
struct Size {
    depth: usize,
    nodes: usize,
    bytes: usize,
}

struct Anchored {
    node: Node,
    size: Size,
}

impl Composer<'_> {
    fn on_event(&mut self, event: Event<'_>, at: Position) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(_) => {
                self.anchors.clear();
                if self.documents.len() >= self.limits.documents {
                    return Err(self.over(
                        at,
                        format!(
                            "the file has more than {} documents; split it",
                            self.limits.documents
                        ),
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(anchor, _) => self.open(at, anchor, Open::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(at, anchor, Open::Map(Fields::default())),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.alias(id, at),
            _ => Ok(()),
        }
    }

    fn open(&mut self, at: Position, anchor: usize, open: Open) -> Result<(), Fault> {
        self.count(
            at,
            if matches!(open, Open::Map(_)) {
                MAP_WEIGHT
            } else {
                1
            },
        )?;
        if self.stack.len() >= self.limits.depth {
            return Err(self.too_deep(at));
        }
        if let Some(Frame {
            open: Open::Map(fields),
            ..
        }) = self.stack.last_mut()
            && matches!(fields.pending, Pending::Key)
        {
            return Err(key_fault(at, "a list or a mapping"));
        }
        self.stack.push(Frame {
            at,
            anchor,
            size: Size::default(),
            open,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(Frame {
            at,
            anchor,
            mut size,
            open,
        }) = self.stack.pop()
        else {
            return Ok(());
        };
        size.depth += 1;
        size.nodes += if matches!(open, Open::Map(_)) {
            MAP_WEIGHT
        } else {
            1
        };
        let kind = match open {
            Open::List(items) => Kind::List(items),
            Open::Map(fields) => Kind::Map(fields.entries),
        };
        self.add(Node { at, kind }, size, anchor)
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), Fault> {
        self.count(at, 1)?;
        let full_tag = tag
            .map(|tag| format!("{}{}", tag.handle, tag.suffix))
            .filter(|tag| tag != "!");
        // The tag `!` alone says "not a bare word".
        let plain = style == ScalarStyle::Plain && (tag.is_none() || full_tag.is_some());
        let is_merge =
            text == "<<" && (full_tag.is_none() && plain || full_tag.as_deref() == Some(MERGE_TAG));
        let is_key = self.expects_key();
        if is_key && is_merge {
            if let Some(Frame {
                open: Open::Map(fields),
                ..
            }) = self.stack.last_mut()
            {
                fields.pending = Pending::Merge;
            }
            return Ok(());
        }

        let bytes = text.len();
        let resolved =
            scalar::resolve(text, full_tag.as_deref(), plain).map_err(|refusal| tag_fault(at, &refusal))?;
        if is_key {
            let what = describe(&resolved);
            if anchor != 0
                && let Ok(node) = scalar_node(resolved.clone(), at)
            {
                let size = Size {
                    depth: 0,
                    nodes: 1,
                    bytes,
                };
                self.remember(anchor, &node, size)?;
            }
            return match scalar::key(resolved) {
                Some(key) => self.key(key, at),
                None => Err(key_fault(at, what)),
            };
        }
        let node = match scalar_node(resolved, at) {
            Ok(node) => node,
            Err(fault) => {
                self.faults.push(fault);
                Node { at, kind: Kind::Null }
            }
        };
        self.add(
            node,
            Size {
                depth: 0,
                nodes: 1,
                bytes,
            },
            anchor,
        )
    }

    fn alias(&mut self, id: usize, at: Position) -> Result<(), Fault> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(Fault {
                at,
                code: ErrorCode::YamlSyntax,
                message: "the alias stands inside its own anchor, or its anchor is in another document; \
                          write the value out instead"
                    .to_owned(),
            });
        };
        let size = anchored.size;
        if self.expects_key() {
            let key = match &anchored.node.kind {
                Kind::String(text) => Some(text.clone()),
                Kind::Bool(value) => Some(value.to_string()),
                Kind::Number(number) => Some(number.to_string()),
                _ => None,
            };
            self.repeat(at, size)?;
            return match key {
                Some(key) => self.key(key, at),
                None => Err(key_fault(at, "what the alias stands for")),
            };
        }
        let merging = matches!(
            self.stack.last(),
            Some(Frame {
                open: Open::Map(Fields {
                    pending: Pending::Merge,
                    ..
                }),
                ..
            })
        );
        if merging && !matches!(anchored.node.kind, Kind::Map(_)) {
            return Err(merge_fault(at));
        }
        self.repeat(at, size)?;
        if self.stack.len() + size.depth > self.limits.depth {
            return Err(self.too_deep(at));
        }
        match self.anchors.get(&id) {
            Some(anchored) => {
                let node = anchored.node.clone();
                self.add(node, size, 0)
            }
            None => Ok(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                open: Open::Map(Fields {
                    pending: Pending::Key,
                    ..
                }),
                ..
            })
        )
    }

    fn key(&mut self, key: String, at: Position) -> Result<(), Fault> {
        let Some(Frame {
            open: Open::Map(fields),
            ..
        }) = self.stack.last_mut()
        else {
            return Ok(());
        };
        let found = fields.find(&key);
        fields.pending = match found.filter(|&found| fields.written[found]) {
            Some(found) => {
                let first = fields.entries[found].key_at.line;
                let message = format!(
                    "the key `{}` is already set at line {first}; remove one of the two",
                    shorten(&key)
                );
                self.faults.push(Fault {
                    at,
                    code: ErrorCode::DuplicateKey,
                    message,
                });
                Pending::Nothing
            }
            None => Pending::Value(key, at, found),
        };
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, size: Size, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            self.remember(anchor, &node, size)?;
        }
        let Some(frame) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        frame.size.depth = frame.size.depth.max(size.depth);
        frame.size.nodes += size.nodes;
        frame.size.bytes += size.bytes;
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Map(fields) => match std::mem::take(&mut fields.pending) {
                Pending::Value(key, key_at, replaces) => {
                    frame.size.bytes += key.len();
                    frame.size.nodes += 1;
                    fields.set(
                        replaces,
                        Entry {
                            key,
                            key_at,
                            value: node,
                        },
                        true,
                    );
                }
                Pending::Merge => fields.merge(node)?,
                Pending::Nothing => {}
                // `expects_key` sent every node that is a key elsewhere.
                Pending::Key => return Err(key_fault(node.at, "this value")),
            },
        }
        Ok(())
    }

    /// Keeps a copy for the aliases to come. The copy counts as a repetition, so that anchors inside anchors are no way around.
    fn remember(&mut self, anchor: usize, node: &Node, size: Size) -> Result<(), Fault> {
        self.repeat(node.at, size)?;
        self.anchors.insert(
            anchor,
            Anchored {
                node: node.clone(),
                size,
            },
        );
        Ok(())
    }

    fn repeat(&mut self, at: Position, size: Size) -> Result<(), Fault> {
        self.alias_nodes += size.nodes;
        self.alias_bytes += size.bytes;
        if self.alias_nodes > self.limits.alias_nodes || self.alias_bytes > self.limits.alias_bytes {
            return Err(self.over(
                at,
                format!(
                    "anchors and aliases repeat more than {} values or {} bytes; write the values out",
                    self.limits.alias_nodes, self.limits.alias_bytes
                ),
            ));
        }
        self.count(at, size.nodes)
    }

    fn count(&mut self, at: Position, more: usize) -> Result<(), Fault> {
        self.nodes += more;
        if self.nodes > self.limits.nodes {
            return Err(self.over(
                at,
                format!("the file has more than {} values; split it", self.limits.nodes),
            ));
        }
        Ok(())
    }

    fn too_deep(&self, at: Position) -> Fault {
        self.over(
            at,
            format!(
                "lists and mappings are nested more than {} deep; flatten the manifest",
                self.limits.depth
            ),
        )
    }

    fn over(&self, at: Position, message: String) -> Fault {
        Fault {
            at,
            code: ErrorCode::Budget,
            message,
        }
    }
}

const MERGE_TAG: &str = "tag:yaml.org,2002:merge";

fn scalar_node(scalar: Scalar, at: Position) -> Result<Node, Fault> {
    let kind = match scalar {
        Scalar::Null => Kind::Null,
        Scalar::Bool(value) => Kind::Bool(value),
        Scalar::Int(value) => Kind::Number(value.into()),
        Scalar::Uint(value) => Kind::Number(value.into()),
        Scalar::Float(value) => Kind::Number(scalar::json_number(value).ok_or_else(|| {
            Fault {
                at,
                code: ErrorCode::NotJson,
                message:
                    "Kubernetes has no infinite numbers and no NaN; put the word in quotes if text is meant"
                        .to_owned(),
            }
        })?),
        Scalar::String(text) => Kind::String(text),
    };
    Ok(Node { at, kind })
}
