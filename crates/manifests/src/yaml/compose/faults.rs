//! What is wrong with a text, in words for the person who wrote it.

use std::borrow::Cow;

use saphyr_parser::Marker;

use crate::{
    error::ErrorCode,
    parse::Position,
    yaml::{
        Fault,
        scalar::{Refusal, Scalar},
    },
};

pub(super) fn describe(scalar: &Scalar) -> &'static str {
    match scalar {
        Scalar::Null => "null",
        Scalar::Uint(_) => "a number above 9223372036854775807",
        _ => "this value",
    }
}

pub(super) fn key_fault(at: Position, what: &str) -> Fault {
    Fault {
        at,
        code: ErrorCode::NotJson,
        message: format!(
            "{what} cannot be a key; put the key in quotes. If this is an unrendered template, render it before committing"
        ),
    }
}

pub(super) fn merge_fault(at: Position) -> Fault {
    Fault {
        at,
        code: ErrorCode::NotJson,
        message: "`<<` merges a mapping or a list of mappings; put it in quotes if text is meant".to_owned(),
    }
}

pub(super) fn tag_fault(at: Position, refusal: &Refusal) -> Fault {
    let message = match refusal {
        Refusal::NotA { tag } => {
            format!("the value is not what its tag `{tag}` says; remove the tag or correct the value")
        }
        Refusal::Base64 => {
            "the value is not base64, which its tag `!!binary` asks for; correct or remove the tag".to_owned()
        }
    };
    Fault {
        at,
        code: ErrorCode::NotJson,
        message,
    }
}

pub(super) fn syntax(text: &str, marker: &Marker, info: &str) -> Fault {
    let at = place(marker);
    if info == "recursion limit exceeded" {
        let message = "lists and mappings are nested too deep; flatten the manifest".to_owned();
        return Fault {
            at,
            code: ErrorCode::Budget,
            message,
        };
    }
    let line = text
        .lines()
        .nth(at.line.saturating_sub(1) as usize)
        .unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    let advice = if indent.contains('\t') {
        "; indent with spaces, YAML allows no tabs there"
    } else if line.contains('\t') {
        "; write a space in place of the tab"
    } else if line.contains("{{") {
        "; it looks like an unrendered template: render it before committing"
    } else if info == "invalid indentation" {
        "; inside `{` or `[` indent every line, the closing one too, deeper than the key before it"
    } else {
        "; correct the syntax at this place or in the lines just above"
    };
    Fault {
        at,
        code: ErrorCode::YamlSyntax,
        message: format!("not valid YAML: {info}{advice}"),
    }
}

pub(super) fn place(marker: &Marker) -> Position {
    Position::new(marker.line(), marker.col() + 1)
}

pub(super) fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &text[..at]).into(),
        None => text.into(),
    }
}
