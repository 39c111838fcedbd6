//! What can be refused before parsing: size, encoding, characters that YAML forbids.

use super::{Fault, Limits};
use crate::{error::ErrorCode, parse::Position};

/// The text without its byte order mark, or the first byte that forbids reading it.
pub(super) fn text<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, Fault> {
    if bytes.len() > limits.bytes {
        return Err(Fault {
            at: Position::START,
            code: ErrorCode::Budget,
            message: format!(
                "the file has {} bytes; at most {} are read. Split it into several files",
                bytes.len(),
                limits.bytes
            ),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let encoding = match bytes {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "it looks like UTF-16; ",
            _ => "",
        };
        Fault {
            at: position_of(bytes, error.valid_up_to()),
            code: ErrorCode::NotUtf8,
            message: format!("the file is not UTF-8 text; {encoding}save it as UTF-8"),
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match forbidden(text) {
        None => Ok(text),
        Some((at, character)) => Err(Fault {
            at: position_of(text.as_bytes(), at),
            code: ErrorCode::YamlSyntax,
            message: format!(
                "the control character U+{:04X} is not allowed in YAML; remove it, or write it as an escape in double quotes",
                u32::from(character)
            ),
        }),
    }
}

/// The first character outside the `c-printable` set of YAML 1.1; a NUL would otherwise end the text silently.
fn forbidden(text: &str) -> Option<(usize, char)> {
    if text
        .bytes()
        .all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
    {
        return None;
    }
    text.char_indices().find(|(_, c)| {
        !matches!(c,
            '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
    })
}

fn position_of(bytes: &[u8], at: usize) -> Position {
    let before = &bytes[..at];
    let line_start = before
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    Position::new(line, column)
}
