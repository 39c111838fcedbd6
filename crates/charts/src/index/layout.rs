//! Cuts the text of an index into its charts without parsing it, so that memory is bound by one chart and not by the repository,
//! and so that one chart's syntax error spoils only that chart.
//!
//! It knows block style, which every program writes. Where the text is anything else, the answer is `None`, and the text is parsed as
//! a whole.

/// The parts of an index.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout<'a> {
    /// Everything but the entries.
    pub head: String,
    /// Each a mapping of one key, still indented.
    pub charts: Vec<&'a str>,
}

pub(super) fn cut(text: &str) -> Option<Layout<'_>> {
    let mut layout = Layout {
        head: String::new(),
        charts: Vec::new(),
    };
    let mut place = Place::Head;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let content = line.trim_end_matches(['\n', '\r']);
        let indent = content.len() - content.trim_start_matches(' ').len();
        let content = &content[indent..];
        if content.starts_with('\t') {
            return None;
        }
        if content.is_empty() || content.starts_with('#') {
            // Belongs to whatever is open, and opens nothing.
        } else if indent == 0 {
            if let Place::Chart { start, .. } = place {
                layout.charts.push(&text[start..begin]);
            }
            if matches!(content, "entries:" | "\"entries\":" | "'entries':") {
                if !matches!(place, Place::Head) {
                    return None;
                }
                place = Place::Entries;
                continue;
            }
            // A second document, or a list at the top.
            let is_odd = content.starts_with(['-', '{', '[', '%', '&', '*', '!', '?', '|', '>']);
            if is_odd && !(content == "---" && layout.head.is_empty()) || content == "..." {
                return None;
            }
            place = match place {
                Place::Head => Place::Head,
                _ => Place::Tail,
            };
        } else {
            place = match place {
                Place::Entries => Place::Chart { indent, start: begin },
                Place::Chart { indent: first, .. } if indent < first => return None,
                // A dash at the key's own depth is a version in its list.
                Place::Chart { indent: first, start }
                    if indent == first && !(content == "-" || content.starts_with("- ")) =>
                {
                    layout.charts.push(&text[start..begin]);
                    Place::Chart { indent, start: begin }
                }
                same => same,
            };
        }
        if matches!(place, Place::Head | Place::Tail) {
            layout.head.push_str(line);
        }
    }
    match place {
        Place::Head => return None,
        Place::Chart { start, .. } => layout.charts.push(&text[start..]),
        Place::Entries | Place::Tail => {}
    }
    Some(layout)
}

#[derive(Clone, Copy)]
enum Place {
    Head,
    /// After the line `entries:`.
    Entries,
    Chart {
        indent: usize,
        start: usize,
    },
    /// After the entries.
    Tail,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_are_cut_apart() {
        let text = "# made\napiVersion: v1\nentries:\n  a:\n  - name: a\n    description: |\n      text\n\n      b:\n  # next\n  \"b\":\n    - name: b\n  c: []\ngenerated: x\n";

        let layout = cut(text).unwrap();

        assert_eq!(layout.head, "# made\napiVersion: v1\ngenerated: x\n");
        assert_eq!(
            layout.charts,
            [
                "  a:\n  - name: a\n    description: |\n      text\n\n      b:\n  # next\n",
                "  \"b\":\n    - name: b\n",
                "  c: []\n"
            ]
        );
    }

    #[test]
    fn what_is_not_block_style_is_left_to_the_parser() {
        for text in [
            "",
            "{apiVersion: v1}",
            "apiVersion: v1\nentries: {}\n",
            "entries:\n  a: 1\n---\nentries:\n  b: 1\n",
            "entries:\n    a: 1\n  b: 1\n",
            "entries:\n\ta: 1\n",
            "- entries:\n",
        ] {
            assert_eq!(cut(text), None, "{text:?}");
        }
    }
}
