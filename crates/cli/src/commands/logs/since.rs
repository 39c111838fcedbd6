//! From when on a log is wanted: `5m` ago, or since a time. Pure.

use std::time::Duration;

/// What `--since` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Ago(Duration),
    /// Milliseconds since 1970.
    At(i64),
}

impl Since {
    pub fn ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Ago(ago) => now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)),
            Self::At(ms) => ms,
        }
    }
}

/// `90s`, `5m`, `1h30m`, `2d`, or RFC 3339: `2026-11-25T21:00:00Z`.
pub fn parse(text: &str) -> Result<Since, String> {
    span(text)
        .map(Since::Ago)
        .or_else(|| time(text).map(Since::At))
        .ok_or_else(|| {
            "neither a span of time like 5m or 1h30m, nor a time like 2026-11-25T21:00:00Z".to_owned()
        })
}

fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let unit = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: u64 = rest[..unit].parse().ok()?;
        let each = match rest.as_bytes()[unit] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(each)?)?;
        rest = &rest[unit + 1..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(seconds))
}

/// RFC 3339, section 5.6.
fn time(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let apart = |at: usize, allowed: &[u8]| bytes.get(at).is_some_and(|byte| allowed.contains(byte));
    let fits = apart(4, b"-") && apart(7, b"-") && apart(10, b"Tt ") && apart(13, b":") && apart(16, b":");
    if !fits || !text.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = &text[19..];
    let (millis, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|character: char| !character.is_ascii_digit())?;
            let digits = format!("{:0<3.3}", &rest[..end]);
            (digits.parse::<i64>().ok()?, &rest[end..])
        }
        None => (0, rest),
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(zone)?;
    Some(seconds * 1000 + millis)
}

fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let both = [hours, minutes].map(|part| (part.len() == 2).then(|| part.parse::<u32>().ok()).flatten());
    let seconds = i64::from(both[0]?) * 3600 + i64::from(both[1]?) * 60;
    match zone.as_bytes()[0] {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// Days since 1970 in the Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_are_understood() {
        for (text, seconds) in [
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5400),
            ("2d", 172_800),
            ("0s", 0),
        ] {
            assert_eq!(
                parse(text),
                Ok(Since::Ago(Duration::from_secs(seconds))),
                "{text}"
            );
        }
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-25T21:00:00Z", 1_795_640_400_000),
            ("2026-11-25T22:00:00.123456789+01:00", 1_795_640_400_123),
            ("2026-11-25t15:30:00.5-05:30", 1_795_640_400_500),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("1969-12-31T23:59:59Z", -1000),
        ] {
            assert_eq!(parse(text), Ok(Since::At(ms)), "{text}");
        }
    }

    #[test]
    fn nonsense_is_told() {
        for text in [
            "",
            "5",
            "m",
            "5x",
            "5m3",
            "-5m",
            "2026-11-25",
            "2026-11-25T21:00:00",
            "2026-13-25T21:00:00Z",
            "2026-11-25T21:00:00+1:00",
            "2026-11-25T21:00:00.Zx",
            "99999999999999999999s",
            "2026-11-25T2é:00:00Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ago_counts_from_now() {
        assert_eq!(Since::Ago(Duration::from_secs(1)).ms(5000), 4000);
        assert_eq!(Since::At(7).ms(5000), 7);
    }
}
