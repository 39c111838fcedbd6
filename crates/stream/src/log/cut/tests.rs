use proptest::prelude::*;

use super::*;

/// What comes out, in frames, each with the position that it ends at.
fn cut(text: &[u8], pieces: &[usize], limit: usize, cutter: &mut LogCutter) -> Vec<(Vec<u8>, LogPosition)> {
    let mut frames = Vec::new();
    let mut out = BytesMut::new();
    let mut rest = text;
    let mut sizes = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
        let (mut piece, after) = rest.split_at(size);
        rest = after;
        while !piece.is_empty() {
            let taken = cutter.push(piece, &mut out, limit);
            piece = &piece[taken..];
            assert!(out.len() <= limit + stamp::MAX.max(WORDS));
            if out.len() >= limit {
                frames.push((out.split().to_vec(), cutter.position()));
            }
        }
        // As when nothing more is there yet.
        if size % 3 == 0 && !out.is_empty() {
            frames.push((out.split().to_vec(), cutter.position()));
        }
    }
    if !out.is_empty() {
        frames.push((out.to_vec(), cutter.position()));
    }
    let words = cutter.finish();
    if !words.is_empty() {
        frames.push((words.to_vec(), cutter.position()));
    }
    frames
}

fn joined(frames: &[(Vec<u8>, LogPosition)]) -> Vec<u8> {
    frames.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
}

/// A line's time in tens of nanoseconds, whether it has one, and what the container wrote.
#[derive(Debug, Clone)]
struct Line {
    time: Option<u8>,
    content: Vec<u8>,
}

impl Line {
    fn written(&self) -> Vec<u8> {
        let stamp = self
            .time
            .map(|time| format!("2026-11-25T20:56:04.0000{time:03}+02:00 "));
        let mut written = stamp.unwrap_or_default().into_bytes();
        written.extend(&self.content);
        written.push(b'\n');
        written
    }
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let byte = prop_oneof![Just(b'2'), Just(b'0'), Just(b'-'), any::<u8>()]
        .prop_filter("no line break", |byte| *byte != b'\n');
    let content = proptest::collection::vec(byte, 0..80);
    // Many with the same time, some that come late, a few without.
    let time = prop_oneof![9 => (0..6_u8).prop_map(Some), 1 => Just(None)];
    proptest::collection::vec(
        (time, content).prop_map(|(time, content)| Line { time, content }),
        0..30,
    )
}

proptest! {
    #[test]
    fn times_go_and_every_other_byte_stays_however_it_is_cut(
        lines in lines(),
        pieces in proptest::collection::vec(1..100_usize, 1..8),
        limit in 1..300_usize,
    ) {
        let text: Vec<u8> = lines.iter().flat_map(Line::written).collect();
        let bare: Vec<u8> = lines
            .iter()
            .flat_map(|line| Line { time: None, ..line.clone() }.written())
            .collect();
        let stripped = cut(&text, &pieces, limit, &mut LogCutter::new(TimeStamps::Stripped, Start::default()));
        prop_assert_eq!(joined(&stripped), bare);
        let kept = cut(&text, &pieces, limit, &mut LogCutter::new(TimeStamps::Kept, Start::default()));
        prop_assert_eq!(joined(&kept), text);
        let timed = lines.iter().all(|line| line.time.is_some());
        prop_assert!(!timed || stripped.is_sorted_by_key(|(_, end)| *end));
    }

    #[test]
    fn who_comes_back_misses_nothing_and_gets_nothing_twice(
        lines in lines(),
        pieces in proptest::collection::vec(1..100_usize, 1..8),
        limit in 1..300_usize,
        at in any::<prop::sample::Index>(),
        kept in any::<bool>(),
    ) {
        let stamps = if kept { TimeStamps::Kept } else { TimeStamps::Stripped };
        // Who begins at a line without a time has no place in the log yet.
        let first = lines.iter().position(|line| line.time.is_some()).unwrap_or(lines.len());
        let text: Vec<u8> = lines[first..].iter().flat_map(Line::written).collect();
        let frames = cut(&text, &pieces, limit, &mut LogCutter::new(stamps, Start::default()));
        prop_assume!(!frames.is_empty());
        let (before, rest) = frames.split_at(at.index(frames.len()) + 1);
        let start = Start { after: before.last().map(|(_, end)| *end), since_ns: None };

        let again = cut(&text, &pieces, limit + 7, &mut LogCutter::new(stamps, start));

        prop_assert_eq!(joined(&again), joined(rest));
    }

    #[test]
    fn no_bytes_are_lost_that_are_no_log_at_all(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        pieces in proptest::collection::vec(1..50_usize, 1..5),
    ) {
        let frames = cut(&bytes, &pieces, 64, &mut LogCutter::new(TimeStamps::Kept, Start::default()));
        prop_assert_eq!(joined(&frames), bytes);
    }
}

const SECOND: i64 = 1_795_640_164_000_000_000;

#[test]
fn what_is_older_than_wanted_is_dropped_to_the_nanosecond() {
    let text =
        b"rest of a line\n2026-11-25T20:56:04.000000001Z old\n2026-11-25T20:56:04.000000002Z new\nno time\n\
                 2026-11-25T20:56:04.000000001Z late\n2026-11-25T20:56:05Z last\n";
    let start = Start {
        after: None,
        since_ns: Some(SECOND + 2),
    };
    let frames = cut(text, &[7], 1000, &mut LogCutter::new(TimeStamps::Stripped, start));
    assert_eq!(
        String::from_utf8(joined(&frames)).unwrap(),
        "new\nno time\nlast\n"
    );
    assert_eq!(
        frames.last().map(|(_, end)| *end),
        Some(LogPosition {
            time_ns: SECOND + 1_000_000_000,
            nth: 1,
            offset: LogPosition::WHOLE
        })
    );
}

#[test]
fn what_the_kubelet_says_at_the_end_is_no_line_of_the_log() {
    let text = b"2026-11-25T20:56:04.000000001Z one\nno time\nfailed to create fsnotify watcher: too many open files";
    for size in [1, 7, 1000] {
        let mut cutter = LogCutter::new(TimeStamps::Stripped, Start::default());
        let mut out = BytesMut::new();
        for piece in text.chunks(size) {
            assert_eq!(cutter.push(piece, &mut out, 1000), piece.len());
        }
        let end = cutter.position();
        assert_eq!(out, "one\nno time\n");
        assert_eq!(
            cutter.finish(),
            "failed to create fsnotify watcher: too many open files"
        );
        assert_eq!((cutter.position(), cutter.finish().len()), (end, 0));
    }
}

#[test]
fn a_line_without_a_time_that_is_too_long_for_words_is_shown() {
    let text = vec![b'x'; WORDS + 5];
    let mut cutter = LogCutter::new(TimeStamps::Stripped, Start::default());
    let mut out = BytesMut::new();
    assert_eq!(cutter.push(&text, &mut out, 1 << 20), text.len());
    assert_eq!(out, text);
    assert!(cutter.finish().is_empty());
}

#[test]
fn a_line_of_ten_mebibytes_passes_in_frames_and_can_be_gone_on_with() {
    let mut text = b"2026-11-25T20:56:04.000000001Z ".to_vec();
    text.extend((0..10 << 20).map(|at: u32| b'a' + (at % 23) as u8));
    text.push(b'\n');
    let limit = 32 << 10;
    let frames = cut(
        &text,
        &[16 << 10],
        limit,
        &mut LogCutter::new(TimeStamps::Stripped, Start::default()),
    );
    assert_eq!(frames.len(), (10 << 20) / limit + 1);
    let (before, rest) = frames.split_at(100);
    let end = before.last().map(|(_, end)| *end).unwrap();
    assert_eq!((end.nth, end.offset), (1, 100 * limit as u64));
    let start = Start {
        after: Some(end),
        since_ns: None,
    };
    let again = cut(
        &text,
        &[10_000],
        limit,
        &mut LogCutter::new(TimeStamps::Stripped, start),
    );
    assert!(joined(&again) == joined(rest));
}
