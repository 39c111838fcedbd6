//! What a scalar means: the resolve tables of go-yaml v2 (`resolve.go`), which is what `kubectl` goes by.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Number;

/// A scalar as go-yaml hands it over. `Float` is apart from `Int` only because keys print it differently.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    String(String),
}

/// Why a scalar has no meaning in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The tag asks for something the text is not.
    NotA {
        tag: &'static str,
    },
    Base64,
}

/// Tags of YAML's own; any other leaves the text as it is.
const TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// Resolves a scalar. `tag` is the full tag, `None` where the file has none; `plain` tells a bare word from a quoted one.
pub(super) fn resolve(text: Cow<'_, str>, tag: Option<&str>, plain: bool) -> Result<Scalar, Refusal> {
    let Some(tag) = tag else {
        return Ok(if plain {
            resolve_plain(text)
        } else {
            Scalar::String(text.into_owned())
        });
    };
    let wrong = |tag| Err(Refusal::NotA { tag });
    match tag.strip_prefix(TAG_PREFIX) {
        Some("str") => Ok(Scalar::String(text.into_owned())),
        Some("bool") => match resolve_plain(text) {
            found @ Scalar::Bool(_) => Ok(found),
            _ => wrong("!!bool"),
        },
        Some("int") => match resolve_plain(text) {
            found @ (Scalar::Int(_) | Scalar::Uint(_)) => Ok(found),
            _ => wrong("!!int"),
        },
        Some("float") => match resolve_plain(text) {
            found @ Scalar::Float(_) => Ok(found),
            Scalar::Int(value) => Ok(Scalar::Float(value as f64)),
            _ => wrong("!!float"),
        },
        Some("null") => match resolve_plain(text) {
            Scalar::Null => Ok(Scalar::Null),
            _ => wrong("!!null"),
        },
        Some("binary") => {
            let bytes: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
            let data = STANDARD.decode(bytes).map_err(|_| Refusal::Base64)?;
            Ok(Scalar::String(String::from_utf8_lossy(&data).into_owned()))
        }
        _ => Ok(Scalar::String(text.into_owned())),
    }
}

fn resolve_plain(text: Cow<'_, str>) -> Scalar {
    let found = match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Scalar::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Scalar::Bool(false))
        }
        ".nan" | ".NaN" | ".NAN" => Some(Scalar::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Scalar::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Scalar::Float(f64::NEG_INFINITY)),
        word => match word.as_bytes()[0] {
            b'.' => float(word),
            b'0'..=b'9' | b'+' | b'-' => number(word),
            _ => None,
        },
    };
    found.unwrap_or_else(|| Scalar::String(text.into_owned()))
}

/// The branch for digits and signs: Go's `ParseInt(_, 0, 64)`, `ParseUint`, a decimal float, and go-yaml's own `0b`.
fn number(word: &str) -> Option<Scalar> {
    let plain: Cow<'_, str> = if word.contains('_') {
        word.replace('_', "").into()
    } else {
        word.into()
    };
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, plain.as_ref()),
    };
    if let Some(magnitude) = integer(digits) {
        if let Some(value) = signed(negative, magnitude) {
            return Some(Scalar::Int(value));
        }
        // ParseUint takes no sign.
        if digits.len() == plain.len() {
            return Some(Scalar::Uint(magnitude));
        }
    }
    if let Some(found) = float(&plain) {
        return Some(found);
    }
    // `0b+1`: ParseInt with base 2 takes a sign after the prefix.
    let rest = plain.strip_prefix("0b")?;
    let value = i64::from_str_radix(rest, 2).ok()?;
    Some(Scalar::Int(value))
}

fn signed(negative: bool, magnitude: u64) -> Option<i64> {
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Digits after the sign, with Go's prefixes; `0644` is octal.
fn integer(digits: &str) -> Option<u64> {
    let (radix, rest) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` would take another sign here.
    if rest.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(rest, radix).ok()
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and not beyond what 64 bits hold.
fn float(word: &str) -> Option<Scalar> {
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        None => digits(mantissa),
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
    };
    let exponent_ok = exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
    if !mantissa_ok || !exponent_ok {
        return None;
    }
    // Go's ParseFloat reports what overflows as an error, and the word stays text.
    word.parse::<f64>()
        .ok()
        .filter(|value| value.is_finite())
        .map(Scalar::Float)
}

/// As `encoding/json` prints it: whole floats below 1e21 without a point and with the shortest digits, so that they are read back
/// as integers.
pub(super) fn json_number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e21 && (value != 0.0 || value.is_sign_positive()) {
        let digits = format!("{value}");
        if let Ok(whole) = digits.parse::<i64>() {
            return Some(whole.into());
        }
        if let Ok(whole) = digits.parse::<u64>() {
            return Some(whole.into());
        }
    }
    Number::from_f64(value)
}

/// A scalar as a key of a JSON object (`convertToJSONableObject`); `None` where Go refuses it.
pub(super) fn key(scalar: Scalar) -> Option<String> {
    match scalar {
        Scalar::String(text) => Some(text),
        Scalar::Bool(value) => Some(value.to_string()),
        Scalar::Int(value) => Some(value.to_string()),
        Scalar::Float(value) => Some(float_key(value)),
        Scalar::Null | Scalar::Uint(_) => None,
    }
}

/// `strconv.FormatFloat(value, 'g', -1, 32)`.
fn float_key(value: f64) -> String {
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // `%e` below -4 and from 6 on when the digits are the shortest (`strconv/ftoa.go`).
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_go_yaml_says() {
        let table = [
            ("0644", Scalar::Int(420)),
            ("0o644", Scalar::Int(420)),
            ("08", Scalar::Float(8.0)),
            ("on", Scalar::Bool(true)),
            ("1_000", Scalar::Int(1000)),
            ("-0x1F", Scalar::Int(-31)),
            ("0b+1", Scalar::Int(1)),
            ("18446744073709551615", Scalar::Uint(u64::MAX)),
            ("-9223372036854775808", Scalar::Int(i64::MIN)),
            ("1e3", Scalar::Float(1000.0)),
            ("1e400", Scalar::String("1e400".into())),
            (".", Scalar::String(".".into())),
            ("12:30:45", Scalar::String("12:30:45".into())),
            ("2001-01-01", Scalar::String("2001-01-01".into())),
        ];
        for (word, expected) in table {
            assert_eq!(resolve(word.into(), None, true), Ok(expected), "{word}");
            assert_eq!(
                resolve(word.into(), None, false),
                Ok(Scalar::String(word.into())),
                "'{word}'"
            );
        }
    }
}
