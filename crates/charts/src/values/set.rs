//! `--set a.b[0].c=1,x=y` into values, with the meaning that Helm gives it (its package `strvals`), oddities included.

use serde_json::{Map, Value};

use super::ValuesError;

/// What becomes of the text after `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// `--set`: `true`, `false`, `null` and whole numbers are what they look like.
    Typed,
    /// `--set-string`: everything is text.
    Text,
}

const MOST_INDEX: usize = 65_536;
const MOST_NESTING: usize = 30;
const MOST_TEXT: usize = 1 << 20;

/// Sets what an expression says. Keys that are there are replaced, `null` stays as `null` and takes away a default later. A refused
/// expression changes nothing.
pub fn set(values: &mut Map<String, Value>, expression: &str, kind: SetKind) -> Result<(), ValuesError> {
    let refused = |reason: String| ValuesError::Set {
        expression: expression
            .split('=')
            .next()
            .unwrap_or_default()
            .chars()
            .take(80)
            .collect(),
        reason,
    };
    if expression.len() > MOST_TEXT {
        return Err(refused("it is too long".to_owned()));
    }
    let mut parser = Parser {
        text: expression.chars().collect(),
        at: 0,
        kind,
    };
    let mut result = values.clone();
    loop {
        match parser.key(&mut result, 0) {
            Ok(()) => {}
            Err(Stop::End) => {
                *values = result;
                return Ok(());
            }
            Err(Stop::Refused(reason)) => return Err(refused(reason)),
        }
    }
}

enum Stop {
    /// Nothing follows.
    End,
    Refused(String),
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refused(reason.into()))
}

struct Parser {
    text: Vec<char>,
    at: usize,
    kind: SetKind,
}

impl Parser {
    fn key(&mut self, values: &mut Map<String, Value>, nesting: usize) -> Result<(), Stop> {
        let (key, stop) = self.until(&['=', '[', ',', '.']);
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => refuse(format!("`{key}` has no value")),
            Some(',') => refuse(format!("`{key}` has no value before the comma")),
            Some('=') => {
                let (value, end) = self.value()?;
                put(values, key, value);
                end
            }
            Some('[') => {
                let index = self.index()?;
                let mut list = match values.get_mut(&key) {
                    None => Vec::new(),
                    Some(Value::Array(list)) => std::mem::take(list),
                    Some(_) => return refuse(format!("`{key}` is no list")),
                };
                let end = self.item(&mut list, index, nesting);
                put(values, key, Value::Array(list));
                end
            }
            Some(_) => {
                if nesting >= MOST_NESTING {
                    return refuse(format!("keys are nested more than {MOST_NESTING} deep"));
                }
                let mut inner = match values.get_mut(&key) {
                    None => Map::new(),
                    Some(Value::Object(inner)) => std::mem::take(inner),
                    Some(_) => return refuse(format!("`{key}` is no mapping")),
                };
                let end = self.key(&mut inner, nesting + 1);
                if inner.is_empty() && end.is_ok() {
                    return refuse(format!("`{key}` has no value"));
                }
                if !inner.is_empty() {
                    put(values, key, Value::Object(inner));
                }
                end
            }
        }
    }

    /// What stands after `]`.
    fn item(&mut self, list: &mut Vec<Value>, index: usize, nesting: usize) -> Result<(), Stop> {
        let (between, stop) = self.until(&['[', '.', '=']);
        if !between.is_empty() {
            return refuse(format!("`{between}` stands after `]`"));
        }
        match stop {
            None => Err(Stop::End),
            Some('=') => {
                let (value, end) = self.value()?;
                put_at(list, index, value);
                // Helm goes on here even where nothing follows.
                end.or(Ok(()))
            }
            Some('[') => {
                let next = self.index()?;
                let mut inner = match list.get_mut(index) {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(inner)) => std::mem::take(inner),
                    Some(_) => return refuse(format!("item {index} is no list")),
                };
                let end = self.item(&mut inner, next, nesting);
                put_at(list, index, Value::Array(inner));
                end
            }
            Some(_) => {
                let mut inner = match list.get_mut(index) {
                    Some(Value::Object(inner)) => std::mem::take(inner),
                    _ => Map::new(),
                };
                let end = self.key(&mut inner, nesting);
                put_at(list, index, Value::Object(inner));
                end
            }
        }
    }

    /// What stands after `=`, and whether the text ends with it.
    fn value(&mut self) -> Result<(Value, Result<(), Stop>), Stop> {
        match self.text.get(self.at) {
            None => Ok((Value::from(""), Err(Stop::End))),
            Some('{') => {
                self.at += 1;
                Ok((self.list()?, Ok(())))
            }
            Some(_) => {
                let (text, _) = self.until(&[',']);
                Ok((self.typed(text), Ok(())))
            }
        }
    }

    fn list(&mut self) -> Result<Value, Stop> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            let Some(stop) = stop else {
                return refuse("a list ends with `}`");
            };
            items.push(self.typed(text));
            if stop == '}' {
                if self.text.get(self.at) == Some(&',') {
                    self.at += 1;
                }
                return Ok(Value::Array(items));
            }
        }
    }

    fn index(&mut self) -> Result<usize, Stop> {
        let (digits, stop) = self.until(&[']']);
        if stop.is_none() {
            // Helm leaves an unfinished index out without a word, which helps nobody.
            return refuse("an index ends with `]`");
        }
        match digits.parse::<i64>() {
            Ok(index) if index < 0 => refuse(format!("the index {index} is negative")),
            Ok(index) => match usize::try_from(index) {
                Ok(index) if index <= MOST_INDEX => Ok(index),
                _ => refuse(format!("the index {index} is above {MOST_INDEX}")),
            },
            Err(_) => refuse(format!("`{digits}` is no index")),
        }
    }

    /// Up to one of these, which is read as well. A backslash takes its meaning from the character after it.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut text = String::new();
        while let Some(&character) = self.text.get(self.at) {
            self.at += 1;
            if stops.contains(&character) {
                return (text, Some(character));
            }
            if character == '\\' {
                text.extend(self.text.get(self.at));
                self.at += 1;
            } else {
                text.push(character);
            }
        }
        (text, None)
    }

    fn typed(&self, text: String) -> Value {
        if self.kind == SetKind::Text {
            return Value::from(text);
        }
        match text.to_ascii_lowercase().as_str() {
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            "null" => return Value::Null,
            "0" => return Value::from(0),
            _ => {}
        }
        // Telephone numbers and the like keep their zeros.
        if !text.starts_with('0')
            && let Ok(number) = text.parse::<i64>()
        {
            return Value::from(number);
        }
        Value::from(text)
    }
}

fn put(values: &mut Map<String, Value>, key: String, value: Value) {
    if !key.is_empty() {
        values.insert(key, value);
    }
}

fn put_at(list: &mut Vec<Value>, index: usize, value: Value) {
    if list.len() <= index {
        list.resize(index + 1, Value::Null);
    }
    list[index] = value;
}
