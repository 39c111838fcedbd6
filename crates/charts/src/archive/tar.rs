//! The entries of a tar stream (POSIX ustar and pax, GNU long names), for input that may be hostile.
//!
//! Contents are only kept when asked for, so that memory is bound by what is wanted and not by what is sent.

use std::io::{self, Read};

use super::{ArchiveError, Budget};

const BLOCK: usize = 512;

/// Of pax records and GNU long names, which have to be kept to be understood.
const MOST_EXTENSION: u64 = 64 << 10;

pub(super) struct Tar<R> {
    stream: R,
    budget: Budget,
    /// Bytes of the stream seen so far, those announced by a header included.
    seen: u64,
    entries: usize,
    /// What is left of the current entry, its padding included.
    unread: u64,
}

pub(super) struct Entry {
    pub path: String,
    pub size: u64,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Special(&'static str),
}

/// What pax records and GNU long names say about the entry that follows.
#[derive(Default)]
struct Said {
    path: Option<String>,
    size: Option<u64>,
    sparse: bool,
}

impl<R: Read> Tar<R> {
    pub fn new(stream: R, budget: Budget) -> Self {
        Self {
            stream,
            budget,
            seen: 0,
            entries: 0,
            unread: 0,
        }
    }

    /// The next file, folder or anything else; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        self.skip()?;
        let mut said = Said::default();
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let flag = header[156];
            let mut size = number(&header[124..136]).ok_or_else(|| damaged("a size is not a number"))?;
            match flag {
                b'x' | b'L' => {
                    let content = self.extension(size)?;
                    if flag == b'x' {
                        said.read_pax(&content)?;
                    } else {
                        said.path = Some(path(text_of(&content))?);
                    }
                }
                b'g' => {
                    self.extension(size)?;
                }
                _ => {
                    size = said.size.unwrap_or(size);
                    let path = match said.path {
                        Some(path) => path,
                        None => header_path(&header)?,
                    };
                    if path.len() > self.budget.path {
                        return Err(ArchiveError::Path {
                            file: path.chars().take(60).chain("…".chars()).collect(),
                            reason: "the path is too long",
                        });
                    }
                    let kind = kind(flag, &path, said.sparse);
                    if kind == Kind::File && size > self.budget.file {
                        return Err(ArchiveError::FileTooBig {
                            file: path,
                            size,
                            limit: self.budget.file,
                        });
                    }
                    self.announce(size)?;
                    return Ok(Some(Entry { path, size, kind }));
                }
            }
        }
    }

    /// The content of the entry that `next` gave.
    pub fn content(&mut self, entry: &Entry) -> Result<Vec<u8>, ArchiveError> {
        let size = usize::try_from(entry.size).map_err(|_| damaged("a size is not a number"))?;
        let mut content = vec![0; size];
        self.stream.read_exact(&mut content).map_err(read_error)?;
        self.unread -= entry.size;
        Ok(content)
    }

    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        self.entries += 1;
        if self.entries > self.budget.entries {
            return Err(ArchiveError::OverBudget {
                what: "entries",
                limit: self.budget.entries as u64,
            });
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = number(&block[148..156]).ok_or_else(|| damaged("a checksum is missing"))?;
        let fields = || {
            block
                .iter()
                .enumerate()
                .map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte })
        };
        let unsigned: u64 = fields().map(u64::from).sum();
        // Old programs added the bytes up with a sign.
        let signed: i64 = fields().map(|byte| i64::from(byte.cast_signed())).sum();
        if sum != unsigned && i64::try_from(sum) != Ok(signed) {
            return Err(damaged("a checksum is wrong"));
        }
        Ok(Some(block))
    }

    /// `None` where the stream ends, with or without the two empty blocks that should end it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        self.spend(BLOCK as u64)?;
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.stream.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(damaged("it ends in mid-entry")),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(error)),
            }
        }
        Ok(Some(block))
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > MOST_EXTENSION {
            return Err(damaged("an extended header is too long"));
        }
        self.announce(size)?;
        let entry = Entry {
            path: String::new(),
            size,
            kind: Kind::File,
        };
        let content = self.content(&entry)?;
        self.skip()?;
        Ok(content)
    }

    /// Takes an entry's size into account before any of it is read.
    fn announce(&mut self, size: u64) -> Result<(), ArchiveError> {
        let padded = size
            .checked_next_multiple_of(BLOCK as u64)
            .ok_or_else(|| damaged("a size is not a number"))?;
        self.spend(padded)?;
        self.unread = padded;
        Ok(())
    }

    fn spend(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.seen = self.seen.saturating_add(bytes);
        if self.seen > self.budget.decompressed {
            return Err(ArchiveError::OverBudget {
                what: "bytes when unpacked",
                limit: self.budget.decompressed,
            });
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<(), ArchiveError> {
        let unread = std::mem::take(&mut self.unread);
        let skipped =
            io::copy(&mut self.stream.by_ref().take(unread), &mut io::sink()).map_err(read_error)?;
        if skipped < unread {
            return Err(damaged("it ends in mid-entry"));
        }
        Ok(())
    }
}

impl Said {
    /// Records of `LENGTH KEY=VALUE\n`, where the length counts itself.
    fn read_pax(&mut self, mut records: &[u8]) -> Result<(), ArchiveError> {
        let wrong = || damaged("an extended header is not readable");
        while !records.is_empty() {
            let space = records.iter().position(|byte| *byte == b' ').ok_or_else(wrong)?;
            let length: usize = text_of(&records[..space])
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(wrong)?;
            let record = records.get(space + 1..length).ok_or_else(wrong)?;
            let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(wrong)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(path(text_of(value))?),
                b"size" => {
                    let size = text_of(value).and_then(|digits| digits.parse().ok());
                    self.size = Some(size.ok_or_else(wrong)?);
                }
                _ => self.sparse |= key.starts_with(b"GNU.sparse"),
            }
            records = &records[length..];
        }
        Ok(())
    }
}

fn kind(flag: u8, path: &str, sparse: bool) -> Kind {
    match flag {
        _ if sparse => Kind::Special("sparse file"),
        b'5' => Kind::Folder,
        b'0' | 0 if path.ends_with('/') => Kind::Folder,
        b'0' | 0 => Kind::File,
        b'1' => Kind::Special("hard link"),
        b'2' | b'K' => Kind::Special("symbolic link"),
        b'3' | b'4' => Kind::Special("device"),
        b'6' => Kind::Special("pipe"),
        _ => Kind::Special("file of an unknown kind"),
    }
}

fn header_path(header: &[u8; BLOCK]) -> Result<String, ArchiveError> {
    let name = path(text_of(&header[..100]))?;
    // GNU's own format keeps times where ustar has the prefix.
    let is_ustar = &header[257..263] == b"ustar\0";
    let prefix = if is_ustar {
        path(text_of(&header[345..500]))?
    } else {
        String::new()
    };
    Ok(if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    })
}

fn path(text: Option<&str>) -> Result<String, ArchiveError> {
    text.map(str::to_owned)
        .ok_or_else(|| damaged("a path is not UTF-8 text"))
}

/// Up to the first NUL.
fn text_of(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    std::str::from_utf8(&field[..end]).ok()
}

/// Octal digits, or GNU's binary numbers, whose first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let mut value = u64::from(field[0] & 0x7f);
        for byte in &field[1..] {
            if value >> 56 != 0 {
                return None;
            }
            value = value << 8 | u64::from(*byte);
        }
        return Some(value);
    }
    let digits = text_of(field)?.trim_matches(' ');
    if digits.is_empty() {
        return Some(0);
    }
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    u64::from_str_radix(digits, 8).ok()
}

fn damaged(reason: &str) -> ArchiveError {
    ArchiveError::Damaged(reason.to_owned())
}

fn read_error(error: io::Error) -> ArchiveError {
    super::intake::error(&error)
}
