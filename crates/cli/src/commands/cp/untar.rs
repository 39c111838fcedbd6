//! Reads an archive (POSIX ustar and pax, GNU long names) that a stranger's container writes, as it comes. Pure.
//!
//! In: bytes, cut anywhere. Out: what stands in them, in order. Never: more memory than one name wants, and no judgement of names:
//! that is `inside`'s.

const BLOCK: usize = 512;
/// Of pax records and GNU long names, which have to be kept to be understood.
const MOST_EXTENSION: u64 = 64 << 10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: Vec<u8>,
    pub mode: u32,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Of so many bytes.
    File(u64),
    Folder,
    Link(Vec<u8>),
    HardLink(Vec<u8>),
    /// A device, a pipe, or what only one program knows.
    Other(&'static str),
}

#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Entry(Entry),
    /// Of the newest entry, which is a file.
    Content(&'a [u8]),
    /// All of the newest entry was said.
    Done,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what the container's tar wrote is no archive: {0}")]
pub struct BadTar(&'static str);

#[derive(Debug, Default)]
pub struct Untar {
    /// Of a header, or of what is said about the next one.
    kept: Vec<u8>,
    state: State,
    said: Said,
    empty_blocks: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Header,
    /// Bytes of a name or of records that are still to come, and of their padding.
    Extension {
        flag: u8,
        left: u64,
        padding: u64,
    },
    Content {
        left: u64,
        padding: u64,
    },
    /// What nobody wants.
    Skip(u64),
}

/// What pax records and GNU long names say about the entry that follows.
#[derive(Debug, Default)]
struct Said {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Untar {
    /// Whether the archive has its end: without it the container's tar was broken off.
    pub fn is_complete(&self) -> bool {
        self.empty_blocks >= 2
    }

    pub fn feed<E: From<BadTar>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() && !self.is_complete() {
            let mut next = |most: u64| {
                let count = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
                let (now, rest) = bytes.split_at(count);
                bytes = rest;
                now
            };
            match &mut self.state {
                State::Header => {
                    self.kept
                        .extend_from_slice(next((BLOCK - self.kept.len()) as u64));
                    if self.kept.len() == BLOCK {
                        let header = std::mem::take(&mut self.kept);
                        self.header(&header, &mut take)?;
                    }
                }
                State::Extension { flag, left, padding } => {
                    let now = next(*left);
                    *left -= now.len() as u64;
                    self.kept.extend_from_slice(now);
                    if *left == 0 {
                        let (flag, padding) = (*flag, *padding);
                        self.state = skip(padding);
                        let content = std::mem::take(&mut self.kept);
                        self.said.read(flag, &content)?;
                    }
                }
                State::Content { left, padding } => {
                    let now = next(*left);
                    *left -= now.len() as u64;
                    take(Piece::Content(now))?;
                    if *left == 0 {
                        self.state = skip(*padding);
                        take(Piece::Done)?;
                    }
                }
                State::Skip(left) => {
                    *left -= next(*left).len() as u64;
                    if *left == 0 {
                        self.state = State::Header;
                    }
                }
            }
        }
        Ok(())
    }

    fn header<E: From<BadTar>>(
        &mut self,
        header: &[u8],
        take: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if header.iter().all(|byte| *byte == 0) {
            self.empty_blocks += 1;
            return Ok(());
        }
        self.empty_blocks = 0;
        check_sum(header)?;
        let size = number(&header[124..136]).ok_or(BadTar("a size is no number"))?;
        let flag = header[156];
        if matches!(flag, b'x' | b'g' | b'L' | b'K') {
            if size > MOST_EXTENSION {
                return Err(BadTar("a name is too long").into());
            }
            self.state = match size {
                0 => State::Header,
                left => State::Extension {
                    flag,
                    left,
                    padding: padding(size),
                },
            };
            return Ok(());
        }
        let said = std::mem::take(&mut self.said);
        let size = said.size.unwrap_or(size);
        let name = said.name.unwrap_or_else(|| full_name(header));
        let link = said.link.unwrap_or_else(|| text(&header[157..257]).to_vec());
        let kind = match flag {
            _ if said.sparse => Kind::Other("a sparse file"),
            b'0' | b'7' | 0 if name.ends_with(b"/") => Kind::Folder,
            b'0' | b'7' | 0 => Kind::File(size),
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Link(link),
            b'3' | b'4' => Kind::Other("a device"),
            b'5' => Kind::Folder,
            b'6' => Kind::Other("a named pipe"),
            b'S' => Kind::Other("a sparse file"),
            _ => Kind::Other("of a kind that only one program knows"),
        };
        let mode = number(&header[100..108])
            .and_then(|mode| u32::try_from(mode).ok())
            .unwrap_or(0o644);
        let content = match kind {
            Kind::File(size) => size,
            _ => 0,
        };
        // Links and folders have no content, whatever their size says.
        let skipped = match kind {
            Kind::Other(_) => size
                .checked_add(padding(size))
                .ok_or(BadTar("a size is no number"))?,
            _ => 0,
        };
        take(Piece::Entry(Entry {
            name,
            mode: mode & 0o7777,
            kind,
        }))?;
        self.state = match content {
            0 => skip(skipped),
            left => State::Content {
                left,
                padding: padding(left),
            },
        };
        if content == 0 {
            take(Piece::Done)?;
        }
        Ok(())
    }
}

impl Said {
    fn read(&mut self, flag: u8, content: &[u8]) -> Result<(), BadTar> {
        match flag {
            b'L' => self.name = Some(text(content).to_vec()),
            b'K' => self.link = Some(text(content).to_vec()),
            b'x' => self.read_pax(content)?,
            // Of all entries: nothing of it matters here.
            _ => {}
        }
        Ok(())
    }

    /// Records `LENGTH KEY=VALUE\n`, where the length counts itself (POSIX pax, "Extended Header").
    fn read_pax(&mut self, mut records: &[u8]) -> Result<(), BadTar> {
        const BAD: BadTar = BadTar("a record cannot be read");
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or(BAD)?;
            let length: usize = std::str::from_utf8(&records[..space])
                .ok()
                .and_then(|length| length.parse().ok())
                .filter(|length| (space + 2..=records.len()).contains(length))
                .ok_or(BAD)?;
            let (record, rest) = records.split_at(length);
            records = rest;
            let record = record[space + 1..].strip_suffix(b"\n").ok_or(BAD)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(BAD)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or(BAD)?);
                }
                _ => self.sparse |= key.starts_with(b"GNU.sparse"),
            }
        }
        Ok(())
    }
}

fn skip(count: u64) -> State {
    match count {
        0 => State::Header,
        count => State::Skip(count),
    }
}

fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

fn full_name(header: &[u8]) -> Vec<u8> {
    let (name, prefix) = (text(&header[..100]), text(&header[345..500]));
    // GNU tar's old format has other things where ustar has the prefix.
    if prefix.is_empty() || !header[257..].starts_with(b"ustar\0") {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// Up to the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal, or binary where the first bit says so.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        let (high, low) = field.split_at(field.len() - 8);
        let big = high[1..].iter().any(|byte| *byte != 0);
        return (!big).then(|| low.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
    }
    let digits = std::str::from_utf8(field).ok()?;
    let digits = digits.trim_matches([' ', '\0']);
    match digits {
        "" => Some(0),
        _ => u64::from_str_radix(digits, 8).ok(),
    }
}

fn check_sum(header: &[u8]) -> Result<(), BadTar> {
    let said = number(&header[148..156]).ok_or(BadTar("a checksum is missing"))?;
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte }))
        .sum();
    (said == sum).then_some(()).ok_or(BadTar("a checksum is wrong"))
}

#[cfg(test)]
mod tests {
    use c7n_pack::tar::{END, Kind as Written, Tar, head, padding};
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Entry(Entry),
        Content(Vec<u8>),
    }

    fn read(archive: &[u8], cut: usize) -> Result<(Vec<Seen>, bool), BadTar> {
        let mut untar = Untar::default();
        let mut seen = Vec::new();
        for bytes in archive.chunks(cut) {
            untar.feed(bytes, |piece| {
                match (piece, seen.last_mut()) {
                    (Piece::Entry(entry), _) => seen.push(Seen::Entry(entry)),
                    (Piece::Content(more), Some(Seen::Content(content))) => content.extend_from_slice(more),
                    (Piece::Content(content), _) => seen.push(Seen::Content(content.to_vec())),
                    (Piece::Done, _) => {}
                }
                Ok::<(), BadTar>(())
            })?;
        }
        Ok((seen, untar.is_complete()))
    }

    fn entry(name: &str, mode: u32, kind: Kind) -> Seen {
        Seen::Entry(Entry {
            name: name.into(),
            mode,
            kind,
        })
    }

    #[test]
    fn everything_comes_out_however_it_is_cut() {
        let long = format!("{0}/{0}/{0}", "d".repeat(120));
        let mut tar = Tar::default();
        tar.folder("a/", 0o755);
        tar.file("a/empty", 0o600, b"");
        tar.file("a/two", 0o4755, &[7; 700]);
        tar.link("a/link", &long);
        tar.file(&long, 0o644, b"far");
        let archive = tar.finish();
        let wanted = vec![
            entry("a/", 0o755, Kind::Folder),
            entry("a/empty", 0o600, Kind::File(0)),
            entry("a/two", 0o4755, Kind::File(700)),
            Seen::Content(vec![7; 700]),
            entry("a/link", 0o777, Kind::Link(long.clone().into())),
            entry(&long, 0o644, Kind::File(3)),
            Seen::Content(b"far".to_vec()),
        ];
        for cut in [1, 7, 511, 512, 513, 100_000] {
            let (seen, complete) = read(&archive, cut).unwrap();
            assert_eq!(seen, wanted, "cut at {cut}");
            assert!(complete);
        }
        let broken_off = &archive[..archive.len() - END.len()];
        assert!(!read(broken_off, 512).unwrap().1);
    }

    #[test]
    fn records_of_pax_are_understood() {
        let read = |records: &[u8]| {
            let mut said = Said::default();
            said.read(b'x', records).map(|()| said)
        };
        let said = read(b"14 path=other\n15 linkpath=up\n11 size=77\n16 comment=none\n").unwrap();
        assert_eq!(said.name.as_deref(), Some(b"other".as_slice()));
        assert_eq!(said.link.as_deref(), Some(b"up".as_slice()));
        assert_eq!(said.size, Some(77));
        assert!(!said.sparse);
        assert!(read(b"22 GNU.sparse.major=1\n").unwrap().sparse);
        for bad in [
            "13 path=other\n",
            "99 path=other\n",
            "path=other\n",
            "3 \n",
            "10 size=x\n",
            "-1 a=b\n",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_file_is_named_and_its_content_passed_over() {
        let mut archive = head(b"null", 0o644, Written::File(5));
        archive[156] = b'3';
        // The flag is part of the checksum.
        let sum: u32 = archive
            .iter()
            .enumerate()
            .map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte }))
            .sum();
        archive[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        archive.extend(b"12345");
        archive.extend(padding(5));
        archive.extend(head(b"file", 0o644, Written::File(0)));
        archive.extend(END);
        let (seen, complete) = read(&archive, 100).unwrap();
        assert_eq!(
            seen,
            [
                entry("null", 0o644, Kind::Other("a device")),
                entry("file", 0o644, Kind::File(0))
            ]
        );
        assert!(complete);
    }

    #[test]
    fn damage_is_noticed() {
        let mut archive = head(b"file", 0o644, Written::File(0));
        archive[0] = b'g';
        assert_eq!(read(&archive, 512), Err(BadTar("a checksum is wrong")));
        assert!(read(b"sh: tar: not found".repeat(100).as_slice(), 512).is_err());
        let endless = head(&vec![b'n'; 70_000], 0o644, Written::File(0));
        assert_eq!(read(&endless, 512), Err(BadTar("a name is too long")));
    }

    #[test]
    fn a_file_of_many_gigabytes_has_its_size() {
        let header = head(b"big", 0o644, Written::File(9 << 30));
        assert_eq!(
            read(&header, 512).unwrap().0,
            [entry("big", 0o644, Kind::File(9 << 30))]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 512), 0..4), flag in any::<u8>(), size in any::<[u8; 12]>()) {
            // A right checksum lets wrong things further in.
            let mut archive = head(b"x", 0o644, Written::File(0));
            archive[124..136].copy_from_slice(&size);
            archive[156] = flag;
            let sum: u32 = archive.iter().enumerate().map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte })).sum();
            archive[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
            archive.extend(blocks.concat());
            let _ = read(&archive, 512);
        }
    }
}
