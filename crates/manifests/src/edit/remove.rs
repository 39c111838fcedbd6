//! Takes a key away, with the lines that it stands on.

use super::layout::{PlaceKind, column, line_start, lines_end};
use super::{EditError, Source, set};

pub(super) fn key(source: &Source<'_>, document: usize, path: &[String]) -> Result<String, EditError> {
    let text = &source.text;
    let root = set::root(source, document)?;
    let (mut place, mut owner) = (&root, None);
    for (depth, key) in path.iter().enumerate() {
        let PlaceKind::Map(entries) = &place.kind else {
            return Err(set::refuse(source, place, owner, key));
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == *key) else {
            // It is there as data, or this would not have been asked for: a merge key brought it.
            return Err(source.unsafe_at(
                place.start,
                format!("`{key}` comes from elsewhere"),
                "change it by hand",
            ));
        };
        if depth + 1 < path.len() {
            (place, owner) = (&entry.value, Some(entry));
            continue;
        }
        let start = line_start(text, entry.key_start);
        let is_alone = text[start..entry.key_start].bytes().all(|byte| byte == b' ');
        if !is_alone || entries.len() == 1 {
            let what = format!("`{key}` is the only key here, or shares its line with a dash");
            return Err(source.unsafe_at(entry.key_start, what, "change it by hand"));
        }
        let end = lines_end(text, &entry.value, entry.colon_end, column(text, entry.key_start));
        return Ok(format!("{}{}", &text[..start], &text[end..]));
    }
    Err(source.unsafe_at(root.start, "no key was named", "name one"))
}
