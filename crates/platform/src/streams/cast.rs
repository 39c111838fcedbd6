//! A recording as lines of asciicast v2 (<https://docs.asciinema.org/manual/asciicast/v2/>): a head, then `[seconds, kind, text]`.
//!
//! What the pod says is kept, and the sizes of the terminal; what is typed is not: where a terminal shows it, it comes back as
//! output, and a password that is typed blind stays out. Pure: the time comes in as an argument.

use std::time::Duration;

use c7n_stream::{Part, Size};
use serde_json::json;

pub struct Cast {
    /// Without one, a line break is a step down alone, and a player would not go back to the margin.
    terminal: bool,
    latest: Duration,
    output: Utf8,
    error_output: Utf8,
}

pub struct Head<'a> {
    pub terminal: bool,
    pub size: Option<(u16, u16)>,
    pub time_ms: i64,
    pub title: &'a str,
}

impl Cast {
    pub fn begin(head: &Head<'_>, lines: &mut Vec<u8>) -> Self {
        let (width, height) = head.size.unwrap_or((80, 24));
        let said = json!({
            "version": 2, "width": width, "height": height, "timestamp": head.time_ms / 1000, "title": head.title,
        });
        lines.extend_from_slice(said.to_string().as_bytes());
        lines.push(b'\n');
        Self {
            terminal: head.terminal,
            latest: Duration::ZERO,
            output: Utf8::default(),
            error_output: Utf8::default(),
        }
    }

    /// Appends what is kept of a part.
    pub fn take(&mut self, at: Duration, part: &Part, lines: &mut Vec<u8>) {
        let text = match part {
            Part::Output(bytes) => self.output.decode(bytes),
            Part::ErrorOutput(bytes) => self.error_output.decode(bytes),
            Part::Resize(Size { columns, rows }) => {
                return self.line(at, "r", &format!("{columns}x{rows}"), lines);
            }
            Part::Finished(_) | Part::OutputEnd => self.output.finish() + &self.error_output.finish(),
            Part::Input(_) | Part::InputEnd => return,
        };
        self.shown(at, &text, lines);
    }

    /// A remark of the platform's own.
    pub fn note(&mut self, at: Duration, text: &str, lines: &mut Vec<u8>) {
        self.line(at, "o", &format!("\r\n[c7n: {text}]\r\n"), lines);
    }

    fn shown(&mut self, at: Duration, text: &str, lines: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.terminal {
            self.line(at, "o", text, lines);
        } else {
            self.line(at, "o", &text.replace('\n', "\r\n"), lines);
        }
    }

    /// Times never go back, whatever the caller's clock does.
    fn line(&mut self, at: Duration, kind: &str, text: &str, lines: &mut Vec<u8>) {
        self.latest = self.latest.max(at);
        let line = json!([self.latest.as_millis() as f64 / 1000.0, kind, text]);
        lines.extend_from_slice(line.to_string().as_bytes());
        lines.push(b'\n');
    }
}

/// Bytes that come in pieces, as text: a character that is cut waits for its rest, what is none becomes U+FFFD.
#[derive(Default)]
struct Utf8 {
    cut: Vec<u8>,
}

impl Utf8 {
    fn decode(&mut self, bytes: &[u8]) -> String {
        let joined;
        let mut rest = if self.cut.is_empty() {
            bytes
        } else {
            joined = [std::mem::take(&mut self.cut).as_slice(), bytes].concat();
            joined.as_slice()
        };
        let mut text = String::with_capacity(rest.len());
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(good) => {
                    text.push_str(good);
                    return text;
                }
                Err(error) => error,
            };
            let (good, bad) = rest.split_at(error.valid_up_to());
            text.push_str(&String::from_utf8_lossy(good));
            match error.error_len() {
                Some(length) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &bad[length..];
                }
                None => {
                    self.cut = bad.to_vec();
                    return text;
                }
            }
        }
    }

    fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.cut)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use c7n_stream::Finished;
    use proptest::prelude::*;

    use super::*;

    fn head(terminal: bool) -> Head<'static> {
        Head {
            terminal,
            size: Some((90, 30)),
            time_ms: 1_700_000_000_123,
            title: "staging/web-0",
        }
    }

    fn output(bytes: &'static [u8]) -> Part {
        Part::Output(Bytes::from_static(bytes))
    }

    #[test]
    fn a_session_is_written_as_a_player_reads_it() {
        let mut lines = Vec::new();
        let mut cast = Cast::begin(&head(true), &mut lines);
        let ms = Duration::from_millis;
        let euro = "€".as_bytes();
        cast.take(ms(5), &output(b"$ "), &mut lines);
        cast.take(ms(900), &Part::Input(Bytes::from_static(b"secret")), &mut lines);
        cast.take(
            ms(1500),
            &Part::Resize(Size {
                columns: 100,
                rows: 40,
            }),
            &mut lines,
        );
        cast.take(
            ms(1400),
            &Part::Output(Bytes::copy_from_slice(&euro[..2])),
            &mut lines,
        );
        cast.take(
            ms(1600),
            &Part::Output(Bytes::copy_from_slice(&euro[2..])),
            &mut lines,
        );
        cast.take(ms(1700), &output(b"\x1b[1m\"\\\r\n\xff"), &mut lines);
        cast.take(ms(100), &output(b"late"), &mut lines);
        cast.take(ms(1800), &output(b"\xf0\x9f"), &mut lines);
        let finished = Finished {
            exit_code: 0,
            message: String::new(),
        };
        cast.take(ms(2000), &Part::Finished(finished), &mut lines);
        cast.note(ms(2100), "it is full", &mut lines);
        let text = String::from_utf8(lines).unwrap();
        let written: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let expected = [
            json!({"version": 2, "width": 90, "height": 30, "timestamp": 1_700_000_000, "title": "staging/web-0"}),
            json!([0.005, "o", "$ "]),
            json!([1.5, "r", "100x40"]),
            json!([1.6, "o", "€"]),
            json!([1.7, "o", "\u{1b}[1m\"\\\r\n\u{fffd}"]),
            json!([1.7, "o", "late"]),
            json!([2.0, "o", "\u{fffd}"]),
            json!([2.1, "o", "\r\n[c7n: it is full]\r\n"]),
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn without_a_terminal_lines_begin_at_the_margin() {
        let mut lines = Vec::new();
        let mut cast = Cast::begin(&head(false), &mut Vec::new());
        cast.take(Duration::ZERO, &output(b"a\nb\n"), &mut lines);
        let error = Part::ErrorOutput(Bytes::from_static(b"no\n"));
        cast.take(Duration::ZERO, &error, &mut lines);
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "[0.0,\"o\",\"a\\r\\nb\\r\\n\"]\n[0.0,\"o\",\"no\\r\\n\"]\n"
        );
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_text_is_the_same(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(0xf0)], 0..60),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = Utf8::default();
            let mut text = String::new();
            for ends in cuts.windows(2) {
                text += &decoder.decode(&bytes[ends[0]..ends[1]]);
            }
            text += &decoder.finish();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
