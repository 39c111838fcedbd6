//! The time that the kubelet puts before each line: RFC 3339 with up to nine digits after the second, and a space.

/// The longest one, its space included: `2026-11-25T20:56:04.123456789+02:00 `.
pub(super) const MAX: usize = 36;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Nanoseconds since 1970, and how many bytes of the line are the stamp.
    Read { time_ns: i64, length: usize },
    /// The line does not begin with one.
    None,
    /// It could be the beginning of one.
    Cut,
}

/// What the line that begins here begins with.
pub(super) fn read(line: &[u8]) -> Stamp {
    const SHAPE: &[u8; 19] = b"0000-00-00T00:00:00";
    for (at, &shape) in SHAPE.iter().enumerate() {
        let Some(&byte) = line.get(at) else {
            return Stamp::Cut;
        };
        let fits = if shape == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == shape
        };
        if !fits {
            return Stamp::None;
        }
    }
    let mut at = SHAPE.len();
    let mut nanos = 0;
    if line.get(at) == Some(&b'.') {
        at += 1;
        let mut unit = 100_000_000;
        while let Some(&digit) = line.get(at).filter(|byte| byte.is_ascii_digit()) {
            if unit == 0 {
                return Stamp::None;
            }
            nanos += i64::from(digit - b'0') * unit;
            unit /= 10;
            at += 1;
        }
    }
    let offset = match line.get(at) {
        None => return Stamp::Cut,
        Some(b'Z') => {
            at += 1;
            0
        }
        Some(sign @ (b'+' | b'-')) => {
            for (ahead, &shape) in b"00:00".iter().enumerate() {
                match line.get(at + 1 + ahead) {
                    None => return Stamp::Cut,
                    Some(byte) if shape == b'0' && byte.is_ascii_digit() => {}
                    Some(b':') if shape == b':' => {}
                    Some(_) => return Stamp::None,
                }
            }
            let minutes = number(&line[at + 1..at + 3]) * 60 + number(&line[at + 4..at + 6]);
            at += 6;
            if *sign == b'+' {
                minutes * 60
            } else {
                -minutes * 60
            }
        }
        Some(_) => return Stamp::None,
    };
    match line.get(at) {
        None => return Stamp::Cut,
        Some(b' ') => at += 1,
        Some(_) => return Stamp::None,
    }
    let days = days(number(&line[..4]), number(&line[5..7]), number(&line[8..10]));
    let seconds = number(&line[11..13]) * 3600 + number(&line[14..16]) * 60 + number(&line[17..19]);
    let time_ns = (days * 86_400 + seconds - offset)
        .checked_mul(1_000_000_000)
        .and_then(|ns| ns.checked_add(nanos));
    match time_ns {
        Some(time_ns) => Stamp::Read { time_ns, length: at },
        None => Stamp::None,
    }
}

fn number(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'))
}

/// Days since 1970 in the Gregorian calendar, by Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_kubelets_write_them() {
        for (line, wanted) in [
            ("1970-01-01T00:00:00Z x", Some((0, 21))),
            ("1970-01-01T00:00:00.000000001Z ", Some((1, 31))),
            ("1970-01-01T02:00:00.5+02:00 x", Some((500_000_000, 28))),
            ("1969-12-31T22:30:00.25-01:30 x", Some((250_000_000, 29))),
            (
                "2026-11-25T20:56:04.123456789+02:00 x",
                Some((1_795_632_964_123_456_789, 36)),
            ),
            ("2024-02-29T23:59:59Z ", Some((1_709_251_199_000_000_000, 21))),
            ("2026-11-25T20:56:04.1234567891Z x", None),
            ("2026-11-25 20:56:04Z x", None),
            ("2026-11-25T20:56:04Zx", None),
            ("9999-12-31T00:00:00Z x", None),
            ("failed to read the log", None),
        ] {
            let wanted = wanted.map_or(Stamp::None, |(time_ns, length)| Stamp::Read { time_ns, length });
            assert_eq!(read(line.as_bytes()), wanted, "{line}");
            if let Stamp::Read { length, .. } = wanted {
                for cut in 0..length {
                    assert_eq!(read(&line.as_bytes()[..cut]), Stamp::Cut, "{line} cut at {cut}");
                }
            }
        }
    }
}
