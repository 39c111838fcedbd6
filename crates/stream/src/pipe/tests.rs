use bytes::Bytes;

use super::*;
use crate::frame::{Finished, Size};

/// Small, seeded, the same everywhere (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % sides
    }
}

/// One end with what it has to say, what it heard, and what it has not consumed.
struct Side {
    pipe: Pipe,
    to_say: Vec<u8>,
    said: usize,
    closed: bool,
    heard: Vec<u8>,
    heard_end: bool,
    unconsumed: VecDeque<Part>,
}

impl Side {
    fn new(to_say: Vec<u8>) -> Self {
        Self {
            pipe: Pipe::new(),
            to_say,
            said: 0,
            closed: false,
            heard: Vec::new(),
            heard_end: false,
            unconsumed: VecDeque::new(),
        }
    }

    fn say(&mut self, dice: &mut Dice) {
        if self.said < self.to_say.len() {
            if self.pipe.has_room() {
                let most = usize::try_from(dice.roll(MAX_PIECE as u64)).unwrap() + 1;
                let end = (self.said + most).min(self.to_say.len());
                let bytes = Bytes::copy_from_slice(&self.to_say[self.said..end]);
                self.pipe.offer(Part::Input(bytes));
                self.said = end;
            }
        } else if !self.closed {
            self.pipe.offer(Part::InputEnd);
            self.closed = true;
        }
    }

    fn hear(&mut self, frame: Frame) {
        // Through the codec, as between programs.
        let frame = Frame::decode(frame.encode()).unwrap();
        if let Some(part) = self.pipe.receive(frame).unwrap() {
            assert!(!self.heard_end, "something after the end");
            match &part {
                Part::Input(bytes) => self.heard.extend_from_slice(bytes),
                Part::InputEnd => self.heard_end = true,
                other => panic!("nobody said {other:?}"),
            }
            self.unconsumed.push_back(part);
        }
    }

    fn consume(&mut self) {
        if self.unconsumed.pop_front().is_some() {
            self.pipe.consumed();
        }
    }
}

fn noise(dice: &mut Dice) -> Vec<u8> {
    let length = usize::try_from(dice.roll(1 << 20)).unwrap();
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// Two ends and the platform between them, which loses what is under way whenever one of its sockets breaks.
fn play(seed: u64) {
    let mut dice = Dice(seed);
    let (a, b) = (noise(&mut dice), noise(&mut dice));
    let mut sides = [Side::new(a), Side::new(b)];
    let mut ways: [VecDeque<Frame>; 2] = Default::default();
    let mut breaks = dice.roll(12);
    for step in 0..200_000 {
        let who = usize::from(dice.roll(2) == 0);
        match dice.roll(100) {
            0..30 => sides[who].say(&mut dice),
            30..60 => {
                if let Some(frame) = sides[who].pipe.poll() {
                    ways[who].push_back(frame);
                }
            }
            60..85 => {
                if let Some(frame) = ways[1 - who].pop_front() {
                    sides[who].hear(frame);
                }
            }
            85..99 => sides[who].consume(),
            _ => {
                if breaks > 0 {
                    breaks -= 1;
                    // What is in the platform or in the kernel goes, in both directions, any part of it.
                    for way in &mut ways {
                        let keep = usize::try_from(dice.roll(way.len() as u64 + 1)).unwrap();
                        way.truncate(keep);
                    }
                    sides[who].pipe.rejoined();
                }
            }
        }
        for side in &sides {
            assert!(
                side.pipe.kept_weight <= WINDOW + MAX_PIECE,
                "seed {seed} step {step}"
            );
            assert!(
                side.pipe.pending_weight <= WINDOW + MAX_PIECE,
                "seed {seed} step {step}"
            );
        }
        if sides
            .iter()
            .all(|side| side.heard_end && side.pipe.is_settled() && side.unconsumed.is_empty())
        {
            assert!(sides[0].heard == sides[1].to_say, "seed {seed}");
            assert!(sides[1].heard == sides[0].to_say, "seed {seed}");
            return;
        }
    }
    panic!("seed {seed} does not come to an end");
}

#[test]
fn whatever_breaks_nothing_is_lost_or_doubled() {
    for seed in 0..300 {
        play(seed);
    }
}

#[test]
fn who_does_not_consume_holds_up_the_source() {
    let (mut source, mut sink) = (Pipe::new(), Pipe::new());
    let mut came = 0;
    for _ in 0..1000 {
        if source.has_room() {
            source.offer(Part::Output(Bytes::from(vec![0; MAX_PIECE])));
        }
        while let Some(frame) = source.poll() {
            came += usize::from(sink.receive(frame).unwrap().is_some());
        }
        assert_eq!(sink.poll(), None);
    }
    assert_eq!(came, 3, "what fits into the window");
    // One part consumed is one part of room.
    sink.consumed();
    let ack = sink.poll().unwrap();
    source.receive(ack).unwrap();
    assert!(source.has_room());
}

#[test]
fn an_end_is_acknowledged_at_once() {
    let (mut agent, mut person) = (Pipe::new(), Pipe::new());
    agent.offer(Part::Finished(Finished {
        exit_code: 7,
        message: String::new(),
    }));
    let frame = agent.poll().unwrap();
    assert!(matches!(
        person.receive(frame).unwrap(),
        Some(Part::Finished(Finished { exit_code: 7, .. }))
    ));
    person.consumed();
    agent.receive(person.poll().unwrap()).unwrap();
    assert!(agent.is_settled());
}

#[test]
fn only_the_newest_size_is_said() {
    let mut person = Pipe::new();
    let size = |columns| Part::Resize(Size { columns, rows: 24 });
    for columns in 80..1000 {
        person.offer(size(columns));
    }
    let Some(Frame::Piece(Piece { seq: 0, part })) = person.poll() else {
        panic!("nothing is said")
    };
    assert_eq!(part, size(999));
    assert_eq!(person.poll(), None);
    // What was said stays said.
    person.offer(size(1));
    assert!(matches!(person.poll(), Some(Frame::Piece(Piece { seq: 1, .. }))));
    // Also while nobody knows what came.
    person.rejoined();
    person.offer(size(2));
    person.offer(size(3));
    person
        .receive(Frame::Resume(Resume {
            next: 2,
            answer: true,
        }))
        .unwrap();
    let frames: Vec<Frame> = std::iter::from_fn(|| person.poll()).collect();
    assert!(
        matches!(&frames[..], [Frame::Resume(_), Frame::Ack(_), Frame::Piece(piece)] if piece.part == size(3)),
        "{frames:?}"
    );
}

#[test]
fn a_stranger_at_the_other_end_is_found_out() {
    let mut pipe = Pipe::new();
    assert_eq!(pipe.receive(Frame::Ack(1)), Err(OutOfTurn::NeverSent(1)));
    let resume = |next| Frame::Resume(Resume { next, answer: false });
    assert_eq!(pipe.receive(resume(1)), Err(OutOfTurn::NeverSent(1)));
    let flood = (0..).map(|seq| {
        Frame::Piece(Piece {
            seq,
            part: Part::Input(Bytes::from(vec![0; MAX_PIECE])),
        })
    });
    let mut outcome = Ok(None);
    for frame in flood.take(10) {
        outcome = pipe.receive(frame);
        if outcome.is_err() {
            break;
        }
    }
    assert_eq!(outcome, Err(OutOfTurn::TooMuch));
    pipe = Pipe::new();
    pipe.offer(Part::InputEnd);
    pipe.poll();
    pipe.receive(Frame::Ack(1)).unwrap();
    assert_eq!(pipe.receive(resume(0)), Err(OutOfTurn::LongGone(0)));
}
