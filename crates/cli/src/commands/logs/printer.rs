//! Lines of several containers, one after the other, each behind the name of where it is from. Pure.
//!
//! A line is shown when it is whole, however it was cut on its way. One that is longer than [`LONG`] is passed on in pieces:
//! while it stands open, whole lines of others wait, up to [`WAITING`] bytes; then it is broken off, and its rest gets a name of
//! its own.

use std::collections::BTreeMap;

const LONG: usize = 64 << 10;
const WAITING: usize = 256 << 10;

/// Well apart on dark and on light; red is for what went wrong.
const COLOURS: [&str; 10] = ["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];

pub struct Printer {
    colours: bool,
    sources: BTreeMap<usize, Source>,
    /// Whose long line stands open.
    holder: Option<usize>,
    waiting: Vec<u8>,
}

struct Source {
    pod: String,
    container: String,
    name: Vec<u8>,
    partial: Vec<u8>,
}

impl Printer {
    pub fn new(colours: bool) -> Self {
        Self {
            colours,
            sources: BTreeMap::new(),
            holder: None,
            waiting: Vec::new(),
        }
    }

    /// A source is named before its bytes come. The container is shown where a pod has more than one.
    pub fn name(&mut self, number: usize, pod: &str, container: &str) {
        if self.sources.contains_key(&number) {
            return;
        }
        let source = Source {
            pod: pod.to_owned(),
            container: container.to_owned(),
            name: Vec::new(),
            partial: Vec::new(),
        };
        self.sources.insert(number, source);
        let of_pod: Vec<usize> = self
            .sources
            .iter()
            .filter(|(_, source)| source.pod == pod)
            .map(|(number, _)| *number)
            .collect();
        for number in &of_pod {
            if let Some(source) = self.sources.get_mut(number) {
                source.name = told(source, of_pod.len() > 1, self.colours);
            }
        }
    }

    pub fn bytes(&mut self, number: usize, bytes: &[u8], out: &mut Vec<u8>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.piece(number, piece, out);
        }
    }

    fn piece(&mut self, number: usize, piece: &[u8], out: &mut Vec<u8>) {
        let whole = piece.ends_with(b"\n");
        if self.holder == Some(number) {
            out.extend_from_slice(piece);
            if whole {
                self.let_go(out);
            }
            return;
        }
        let Some(source) = self.sources.get_mut(&number) else {
            return;
        };
        if !whole {
            source.partial.extend_from_slice(piece);
            if source.partial.len() >= LONG {
                self.release(out);
                self.show(number, b"", out);
                self.holder = Some(number);
            }
        } else if self.holder.is_some() {
            let mut waiting = std::mem::take(&mut self.waiting);
            self.show(number, piece, &mut waiting);
            self.waiting = waiting;
            if self.waiting.len() > WAITING {
                self.release(out);
            }
        } else {
            self.show(number, piece, out);
        }
    }

    /// No more comes of it: what stands there is its last line.
    pub fn ended(&mut self, number: usize, out: &mut Vec<u8>) {
        if self.holder == Some(number) {
            self.release(out);
        } else if self
            .sources
            .get(&number)
            .is_some_and(|source| !source.partial.is_empty())
        {
            self.piece(number, b"\n", out);
        }
    }

    /// Lines of others wait for a long one.
    pub fn holds_back(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Breaks a long line off, so that others go on.
    pub fn release(&mut self, out: &mut Vec<u8>) {
        if self.holder.is_some() {
            out.push(b'\n');
            self.let_go(out);
        }
    }

    /// Everything has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let numbers: Vec<usize> = self.sources.keys().copied().collect();
        for number in numbers {
            self.ended(number, out);
        }
    }

    fn let_go(&mut self, out: &mut Vec<u8>) {
        self.holder = None;
        out.append(&mut self.waiting);
    }

    fn show(&mut self, number: usize, piece: &[u8], out: &mut Vec<u8>) {
        if let Some(source) = self.sources.get_mut(&number) {
            out.extend_from_slice(&source.name);
            out.append(&mut source.partial);
            out.extend_from_slice(piece);
        }
    }
}

fn told(source: &Source, with_container: bool, colours: bool) -> Vec<u8> {
    let name = match with_container {
        true => format!("{}/{}", source.pod, source.container),
        false => source.pod.clone(),
    };
    match colours {
        true => format!("\x1b[{}m{name} |\x1b[0m ", colour(&source.pod)),
        false => format!("{name} | "),
    }
    .into_bytes()
}

/// The same for a pod in every run (FNV-1a).
fn colour(pod: &str) -> &'static str {
    let hash = pod.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    COLOURS[(hash % COLOURS.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printer() -> Printer {
        let mut printer = Printer::new(false);
        printer.name(0, "web-a", "app");
        printer.name(1, "web-b", "app");
        printer
    }

    fn print(printer: &mut Printer, pieces: &[(usize, &[u8])]) -> String {
        let mut out = Vec::new();
        for (number, bytes) in pieces {
            printer.bytes(*number, bytes, &mut out);
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn lines_are_whole_however_their_pieces_mix() {
        let shown = print(
            &mut printer(),
            &[(0, b"one "), (1, b"first\nsec"), (0, b"line\n"), (1, b"ond\n")],
        );
        assert_eq!(shown, "web-b | first\nweb-a | one line\nweb-b | second\n");
    }

    #[test]
    fn a_container_is_named_where_a_pod_has_more_than_one() {
        let mut printer = printer();
        printer.name(2, "web-a", "sidecar");
        let shown = print(&mut printer, &[(0, b"x\n"), (1, b"y\n"), (2, b"z\n")]);
        assert_eq!(shown, "web-a/app | x\nweb-b | y\nweb-a/sidecar | z\n");
    }

    #[test]
    fn noise_and_colours_of_the_program_pass_unchanged() {
        let noise = [b"\x1b[31mred\x1b[0m\0\xff\xfe\r\n".as_slice()].concat();
        let mut out = Vec::new();
        printer().bytes(0, &noise, &mut out);
        assert_eq!(out, [b"web-a | ".as_slice(), &noise].concat());
    }

    #[test]
    fn a_colour_is_the_pods_own_and_the_same_each_time() {
        let named = |pod: &str| {
            let mut printer = Printer::new(true);
            printer.name(0, pod, "app");
            print(&mut printer, &[(0, b"x\n")])
        };
        assert_eq!(named("web-a"), named("web-a"));
        assert!(named("web-a").starts_with("\x1b["), "{:?}", named("web-a"));
        assert!(named("web-a").ends_with("web-a |\x1b[0m x\n"));
        let different: std::collections::BTreeSet<String> = (0..100)
            .map(|number| colour(&format!("web-{number}")).to_owned())
            .collect();
        assert_eq!(different.len(), COLOURS.len());
    }

    #[test]
    fn a_long_line_has_its_name_once_and_others_wait_for_it() {
        let mut printer = printer();
        let long = vec![b'x'; LONG];
        let shown = print(
            &mut printer,
            &[
                (0, &long),
                (1, b"short\n"),
                (0, &long),
                (0, b"end\n"),
                (0, b"next\n"),
            ],
        );
        let wanted = format!(
            "web-a | {}end\nweb-b | short\nweb-a | next\n",
            "x".repeat(2 * LONG)
        );
        assert!(shown == wanted, "{} bytes", shown.len());
        assert!(!printer.holds_back());
    }

    #[test]
    fn a_long_line_without_an_end_does_not_hold_the_others_for_ever() {
        let mut printer = printer();
        let mut out = Vec::new();
        printer.bytes(0, &vec![b'x'; LONG], &mut out);
        printer.bytes(1, b"short\n", &mut out);
        assert!(printer.holds_back());
        out.clear();
        printer.release(&mut out);
        printer.bytes(0, b"rest\n", &mut out);
        assert_eq!(out, b"\nweb-b | short\nweb-a | rest\n");

        // Nor do they fill the memory.
        printer.bytes(0, &vec![b'x'; LONG], &mut out);
        let line = [vec![b'y'; 1023], vec![b'\n']].concat();
        for _ in 0..1000 {
            printer.bytes(1, &line, &mut out);
            assert!(printer.waiting.len() <= WAITING + 2 * LONG);
        }
        assert!(out.ends_with(&line));
    }

    #[test]
    fn what_ends_without_a_line_break_gets_one() {
        let mut printer = printer();
        let mut out = Vec::new();
        printer.bytes(0, b"no end", &mut out);
        printer.ended(0, &mut out);
        printer.ended(0, &mut out);
        printer.bytes(1, b"nor here", &mut out);
        printer.finish(&mut out);
        assert_eq!(out, b"web-a | no end\nweb-b | nor here\n");
    }

    proptest! {
        /// Whatever is cut where: each source's own bytes come out in order, and each line begins with a name.
        #[test]
        fn nothing_is_lost_mixed_or_turned_around(
            pieces in proptest::collection::vec((0..2_usize, proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), Just(b'z')], 0..9)), 0..60)
        ) {
            let mut printer = printer();
            let mut out = Vec::new();
            let mut said = [Vec::new(), Vec::new()];
            for (number, bytes) in &pieces {
                printer.bytes(*number, bytes, &mut out);
                said[*number].extend_from_slice(bytes);
            }
            printer.finish(&mut out);
            let mut heard = [String::new(), String::new()];
            for line in String::from_utf8(out).unwrap().lines() {
                let (name, text) = line.split_once(" | ").unwrap();
                let number = ["web-a", "web-b"].iter().position(|known| *known == name).unwrap();
                heard[number].push_str(text);
                heard[number].push('\n');
            }
            for (said, heard) in said.iter().zip(&heard) {
                let mut said = String::from_utf8(said.clone()).unwrap();
                if !said.is_empty() && !said.ends_with('\n') {
                    said.push('\n');
                }
                prop_assert_eq!(&said, heard);
            }
        }
    }
}
