//! Puts what `untar` reads on this machine's disk, below one folder and without following a link.
//!
//! A file is written beside its place and renamed when all of it is there. Owners are dropped, and with them what would run as
//! them (setuid, setgid).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, fchmod, linkat, mkdirat, openat, renameat, statat, symlinkat,
    unlinkat,
};
use sha2::{Digest, Sha256};

use super::inside::{Way, link_stays, way};
use super::untar::{Entry, Kind, Piece};

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC);
/// Refusals that are told one by one.
const TOLD: usize = 10;

pub struct Unpack {
    /// The folder that everything goes into, and what the copy is called there.
    folder: OwnedFd,
    name: OsString,
    /// What was asked for, as the container's tar calls it.
    root: Vec<u8>,
    open: Option<Writing>,
    /// A copy of one file, whole and not yet in its place.
    held: Option<Writing>,
    pub files: u64,
    pub bytes: u64,
    left_out: u64,
    told: Vec<String>,
}

/// A file that is being written. Goes away when it is dropped before its end.
struct Writing {
    folder: OwnedFd,
    beside: OsString,
    name: OsString,
    file: File,
    mode: u32,
    sum: Sha256,
    single: bool,
}

impl Unpack {
    pub fn new(folder: &Path, name: &OsStr, root: &[u8]) -> Result<Self> {
        let opened = openat(CWD, folder, FOLDER, Mode::empty())
            .with_context(|| format!("opening the folder {}", folder.display()))?;
        Ok(Self {
            folder: opened,
            name: name.to_owned(),
            root: root.to_vec(),
            open: None,
            held: None,
            files: 0,
            bytes: 0,
            left_out: 0,
            told: Vec::new(),
        })
    }

    pub fn take(&mut self, piece: Piece<'_>) -> Result<()> {
        match piece {
            Piece::Entry(entry) => {
                let shown = String::from_utf8_lossy(&entry.name).into_owned();
                self.begin(&entry).with_context(|| format!("writing {shown:?}"))
            }
            Piece::Content(bytes) => self.content(bytes),
            Piece::Done => self.end(),
        }
    }

    /// A single file without an archive around it.
    pub fn single(&mut self) -> Result<()> {
        self.create(&Vec::new(), 0o644)
    }

    pub fn content(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(writing) = &mut self.open {
            writing.file.write_all(bytes)?;
            writing.sum.update(bytes);
            self.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    pub fn end(&mut self) -> Result<()> {
        let Some(writing) = self.open.take() else {
            return Ok(());
        };
        self.files += 1;
        match writing.single {
            true => self.held = Some(writing),
            false => writing.put_in_place()?,
        }
        Ok(())
    }

    /// SHA-256 of the one file that was copied, if it was one.
    pub fn sum(&self) -> Option<String> {
        let held = self.held.as_ref()?;
        Some(super::hex(&held.sum.clone().finalize()))
    }

    /// Everything has come: an error if something of it was left out.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(held) = self.held.take() {
            held.put_in_place()?;
        }
        if self.left_out > 0 {
            let more = self.left_out - self.told.len() as u64;
            let more = if more > 0 {
                format!("\n  and {more} more")
            } else {
                String::new()
            };
            bail!(
                "the copy is not whole; {} of the container's entries were left out:{}{more}",
                self.left_out,
                self.told
                    .iter()
                    .map(|why| format!("\n  {why}"))
                    .collect::<String>()
            );
        }
        Ok(())
    }

    fn begin(&mut self, entry: &Entry) -> Result<()> {
        let Some(way) = way(&entry.name, &self.root) else {
            bail!(
                "the container's tar wants to write outside of what was asked for; nothing more is taken from it\n  \
                 next: look at what runs in that container"
            );
        };
        match &entry.kind {
            Kind::File(_) => self.create(&way, entry.mode),
            Kind::Folder => self.make_folder(&way, entry.mode),
            Kind::Link(target) => self.link(&way, target),
            Kind::HardLink(target) => self.hard_link(&way, target),
            Kind::Other(what) => {
                self.leave_out(&entry.name, what);
                Ok(())
            }
        }
    }

    fn create(&mut self, way: &Way, mode: u32) -> Result<()> {
        let (folder, name) = self.place(way)?;
        let beside = OsString::from(format!(".c7n-{}.part", std::process::id()));
        // Of a copy that was killed, and had this number.
        let _ = unlinkat(&folder, &beside, AtFlags::empty());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, &beside, flags, Mode::from_raw_mode(0o600))?;
        self.open = Some(Writing {
            folder,
            beside,
            name,
            file: file.into(),
            mode,
            sum: Sha256::new(),
            single: way.is_empty(),
        });
        Ok(())
    }

    fn make_folder(&mut self, way: &Way, mode: u32) -> Result<()> {
        let (folder, name) = self.place(way)?;
        let made = into(&folder, &name)?;
        // Its owner must be able to write what comes into it.
        Ok(fchmod(&made, Mode::from_raw_mode(mode & 0o777 | 0o700))?)
    }

    fn link(&mut self, way: &Way, target: &[u8]) -> Result<()> {
        let shown = String::from_utf8_lossy(target).into_owned();
        // What was asked for is itself a link, or its target is somewhere else.
        if way.is_empty() || !link_stays(target, way.len() - 1) {
            self.leave_out(&joined(way), &format!("a link that leads out, to {shown:?}"));
            return Ok(());
        }
        let (folder, name) = self.place(way)?;
        replace(&folder, &name)?;
        Ok(symlinkat(OsStr::from_bytes(target), &folder, &name)?)
    }

    fn hard_link(&mut self, at: &Way, target: &[u8]) -> Result<()> {
        let Some(source) = way(target, &self.root) else {
            self.leave_out(&joined(at), "a hard link that leads out");
            return Ok(());
        };
        let (from, source) = self.place(&source)?;
        let stat = statat(&from, &source, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            self.leave_out(&joined(at), "a hard link to what is no file");
            return Ok(());
        }
        let (folder, name) = self.place(at)?;
        replace(&folder, &name)?;
        linkat(&from, &source, &folder, &name, AtFlags::empty())?;
        self.files += 1;
        Ok(())
    }

    /// The folder that it is in, made where it is missing, and its name there. No part of the way is a link.
    fn place(&self, way: &Way) -> Result<(OwnedFd, OsString)> {
        let mut folder = self.folder.try_clone()?;
        let mut name = &self.name;
        for part in way {
            folder = into(&folder, name)?;
            name = part;
        }
        Ok((folder, name.clone()))
    }

    fn leave_out(&mut self, name: &[u8], why: &str) {
        self.left_out += 1;
        if self.told.len() < TOLD {
            self.told
                .push(format!("{:?}: {why}", String::from_utf8_lossy(name)));
        }
    }
}

impl Writing {
    fn put_in_place(self) -> Result<()> {
        fchmod(&self.file, Mode::from_raw_mode(self.mode & 0o777))?;
        renameat(&self.folder, &self.beside, &self.folder, &self.name)
            .with_context(|| format!("putting {:?} in its place", self.name))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        // Of one that is in its place there is nothing left.
        let _ = unlinkat(&self.folder, &self.beside, AtFlags::empty());
    }
}

/// The folder of this name, made if need be; an error if a link or a file has it.
fn into(folder: &OwnedFd, name: &OsStr) -> Result<OwnedFd> {
    match mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(|error| match error {
        rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => anyhow::anyhow!(
            "{name:?} is there already and is no folder, and links are not followed\n  next: copy to another place"
        ),
        error => error.into(),
    })
}

/// Makes room for a link. What is a folder stays, and is an error.
fn replace(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn joined(way: &Way) -> Vec<u8> {
    way.join(OsStr::new("/")).as_bytes().to_vec()
}
