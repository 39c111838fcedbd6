//! Making words of strangers fit for a line.

/// Longest sentence, in characters.
const SENTENCE: usize = 300;
const LINES: usize = 5;
const LOG_BYTES: usize = 1024;

/// One line without control characters, not too long.
pub(super) fn sentence(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(4 * SENTENCE));
    let mut characters = 0;
    for word in text.split(|c: char| c.is_whitespace() || is_control(c)) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        characters += word.chars().count() + 1;
        if characters > SENTENCE {
            break;
        }
    }
    match line.char_indices().nth(SENTENCE) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

/// The last lines of a log that say something: at most five, at most a KiB together, without control characters.
pub fn last_words(log: &str) -> Vec<String> {
    let mut left = LOG_BYTES;
    let mut lines = Vec::new();
    for line in log.lines().rev() {
        let line: String = without_escapes(line)
            .chars()
            .map(|c| if c == '\t' { ' ' } else { c })
            .filter(|c| !is_control(*c))
            .collect();
        let mut line = line.trim_end().to_owned();
        if line.trim_start().is_empty() {
            continue;
        }
        if line.len() > left {
            // The beginning of a line says what it is about; of a line that fits hardly at all it says nothing.
            if !lines.is_empty() && left < 40 {
                break;
            }
            let end = (0..=left.saturating_sub(3))
                .rev()
                .find(|end| line.is_char_boundary(*end));
            line.truncate(end.unwrap_or(0));
            line.push_str("...");
        }
        left = left.saturating_sub(line.len());
        lines.push(line);
        if lines.len() == LINES || left == 0 {
            break;
        }
    }
    lines.reverse();
    lines
}

/// Colours and the like (ECMA-48): what would be left of them without their first character is no word.
fn without_escapes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\u{1b}' {
            text.push(c);
            continue;
        }
        if rest.next_if_eq(&'[').is_some() {
            while rest.next_if(|c| !('@'..='~').contains(c)).is_some() {}
            rest.next();
        }
    }
    text
}

/// Also what turns the direction of writing: with it a line can pretend to be another (CVE-2021-42574).
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text behind the last of these marks that is in it.
pub(super) fn behind<'a>(text: &'a str, marks: &[&str]) -> &'a str {
    marks
        .iter()
        .filter_map(|mark| text.rfind(mark).map(|at| at + mark.len()))
        .max()
        .map_or(text, |at| &text[at..])
}

/// `1 restart`, `2 restarts`
pub(super) fn count(number: i64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// What stands in the first pair of double quotes behind `mark`.
pub(super) fn quoted<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(mark)?;
    let (_, rest) = rest.split_once('"')?;
    rest.split_once('"').map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_one_line_and_not_endless() {
        assert_eq!(sentence("  a\n\tb\u{1b}[31m  c\u{202e} "), "a b [31m c");
        let long = sentence(&"ä".repeat(10_000));
        assert_eq!(long.chars().count(), SENTENCE + 3);
        let long = sentence(&"word ".repeat(10_000));
        assert_eq!(long.chars().count(), SENTENCE + 3);
    }

    #[test]
    fn last_words_are_few_short_and_plain() {
        let log = "1\n2\n\n3\n\u{1b}[31mfour\u{1b}[0m\u{7}\n5\n\t6\n7  \n \n";
        assert_eq!(last_words(log), ["3", "four", "5", " 6", "7"]);
        assert_eq!(last_words(""), [""; 0]);
        let long = last_words(&format!("first\n{}\n", "ä".repeat(5_000)));
        assert_eq!(long.len(), 1);
        assert!(long[0].len() <= LOG_BYTES && long[0].ends_with("..."));
        let both = last_words(&format!("{}\nlast\n", "x".repeat(5_000)));
        assert_eq!(both[1], "last");
        assert!(both.iter().map(String::len).sum::<usize>() <= LOG_BYTES);
    }

    #[test]
    fn the_last_mark_counts() {
        assert_eq!(behind("a: b: c", &[": "]), "c");
        assert_eq!(
            behind("a error: b is forbidden: c", &["error: ", "is forbidden: "]),
            "c"
        );
        assert_eq!(behind("plain", &[": "]), "plain");
    }
}
