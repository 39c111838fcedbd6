//! Reads files and folders of this machine as an archive, a piece at a time.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use c7n_pack::tar::{END, Kind, head, padding};
use sha2::{Digest, Sha256};

const CHUNK: usize = 32 << 10;

pub struct Pack {
    /// What is still to be read, with its name in the archive; the next is the last.
    ahead: Vec<(PathBuf, Vec<u8>)>,
    open: Option<Reading>,
    ended: bool,
    /// Of the file that was read last.
    sum: Sha256,
    pub files: u64,
    pub bytes: u64,
    left_out: Vec<String>,
}

struct Reading {
    path: PathBuf,
    file: File,
    size: u64,
    left: u64,
}

impl Pack {
    pub fn new(path: &Path, name: &OsStr) -> Self {
        Self {
            ahead: vec![(path.to_owned(), name.as_bytes().to_vec())],
            open: None,
            ended: false,
            sum: Sha256::new(),
            files: 0,
            bytes: 0,
            left_out: Vec::new(),
        }
    }

    /// The next piece of the archive, `None` after its end.
    pub fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(reading) = &mut self.open {
                let (bytes, done) = reading.next()?;
                self.sum.update(&bytes);
                self.bytes += bytes.len() as u64;
                let mut bytes = bytes;
                if done {
                    bytes.extend_from_slice(padding(reading.size));
                    self.open = None;
                }
                if !bytes.is_empty() {
                    return Ok(Some(bytes.into()));
                }
            } else if let Some((path, name)) = self.ahead.pop() {
                let shown = path.display().to_string();
                let head = self
                    .begin(path, name)
                    .with_context(|| format!("reading {shown}"))?;
                if let Some(head) = head {
                    return Ok(Some(head.into()));
                }
            } else if self.ended {
                return Ok(None);
            } else {
                self.ended = true;
                return Ok(Some(Bytes::from_static(&END)));
            }
        }
    }

    /// SHA-256 of what was read last.
    pub fn sum(&self) -> String {
        super::hex(&self.sum.clone().finalize())
    }

    /// Everything was read: an error if something was left out.
    pub fn finish(&self) -> Result<()> {
        if self.left_out.is_empty() {
            return Ok(());
        }
        bail!(
            "the copy is not whole; only files, folders and links are copied, not:\n  {}",
            self.left_out.join("\n  ")
        )
    }

    fn begin(&mut self, path: PathBuf, name: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let found = fs::symlink_metadata(&path)?;
        let mode = found.permissions().mode() & 0o777;
        if found.is_symlink() {
            let target = fs::read_link(&path)?;
            self.files += 1;
            return Ok(Some(head(
                &name,
                0o777,
                Kind::Link(target.as_os_str().as_bytes()),
            )));
        }
        if found.is_dir() {
            let mut inside = fs::read_dir(&path)?.collect::<Result<Vec<_>, _>>()?;
            inside.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
            for entry in inside {
                let name = [&name, b"/".as_slice(), entry.file_name().as_bytes()].concat();
                self.ahead.push((entry.path(), name));
            }
            return Ok(Some(head(&[&name, b"/".as_slice()].concat(), mode, Kind::Folder)));
        }
        if !found.is_file() {
            self.left_out.push(path.display().to_string());
            return Ok(None);
        }
        let file = File::open(&path)?;
        let size = file.metadata()?.len();
        self.sum = Sha256::new();
        self.files += 1;
        self.open = Some(Reading {
            path,
            file,
            size,
            left: size,
        });
        Ok(Some(head(&name, mode, Kind::File(size))))
    }
}

impl Reading {
    /// Some bytes, and whether they are the last.
    fn next(&mut self) -> Result<(Vec<u8>, bool)> {
        let most = CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK));
        let mut bytes = vec![0; most];
        let mut count = 0;
        while count < most {
            match self.file.read(&mut bytes[count..])? {
                0 => bail!(
                    "{} became shorter while it was read; the copy is not whole\n  next: copy it again",
                    self.path.display()
                ),
                more => count += more,
            }
        }
        self.left -= count as u64;
        Ok((bytes, self.left == 0))
    }
}
