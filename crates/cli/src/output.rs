//! How answers are shown: a table for people, JSON and YAML for programs (both are the API's own types).

use anyhow::Result;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Table,
    Json,
    Yaml,
}

/// Something that can stand in a table.
pub trait Row {
    const HEAD: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
}

pub fn print_list<T: Row + Serialize>(format: Format, items: &[T]) -> Result<()> {
    match format {
        Format::Table if items.is_empty() => eprintln!("nothing here yet"),
        Format::Table => print!("{}", table(T::HEAD, items.iter().map(Row::cells).collect())),
        _ => print!("{}", structured(format, &items)?),
    }
    Ok(())
}

pub fn print_one<T: Row + Serialize>(format: Format, item: &T) -> Result<()> {
    match format {
        Format::Table => print!("{}", table(T::HEAD, vec![item.cells()])),
        _ => print!("{}", structured(format, item)?),
    }
    Ok(())
}

/// JSON or YAML; a table is asked for elsewhere.
pub fn structured(format: Format, value: &impl Serialize) -> Result<String> {
    match format {
        Format::Yaml => Ok(serde_saphyr::to_string(&serde_json::to_value(value)?)?),
        _ => Ok(serde_json::to_string_pretty(value)? + "\n"),
    }
}

/// Columns two spaces apart, no trailing blanks.
pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut all = vec![head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
    all.extend(rows);
    let columns = all.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        all.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The first eight digits, as people read commits.
pub fn short(commit: Option<&str>) -> String {
    commit.map_or_else(|| "-".to_owned(), |commit| commit.chars().take(8).collect())
}

pub fn dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// `45s`, `3m`, `7h`, `12d`, as kubectl shows ages.
pub fn age(since_ms: i64) -> String {
    let seconds = (now_ms() - since_ms).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Time of day in UTC with milliseconds, for lines that follow each other.
pub fn clock(ms: i64) -> String {
    let of_day = ms.rem_euclid(86_400_000);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    format!(
        "{:02}:{:02}:{:02}.{millis:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

pub fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| {
            i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
        })
}

/// The word that the API uses for a value of one of its enums.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_its_columns() {
        let text = table(
            &["NAME", "STATE"],
            vec![
                vec!["a-long-name".into(), "ok".into()],
                vec!["b".into(), "-".into()],
            ],
        );
        insta::assert_snapshot!(text, @r"
        NAME         STATE
        a-long-name  ok
        b            -
        ");
    }

    #[test]
    fn ages_are_told_in_one_unit() {
        let now = now_ms();
        for (seconds, told) in [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (7200, "2h"),
            (172_800, "2d"),
        ] {
            assert_eq!(age(now - seconds * 1000), told);
        }
    }

    #[test]
    fn the_clock_is_utc_with_milliseconds() {
        assert_eq!(clock(86_400_000 + 3_600_000 + 61_007), "01:01:01.007");
    }
}
