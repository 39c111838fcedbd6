//! Charts and indexes that were fetched once, on disk.
//!
//! ```text
//! charts/DIGEST/NAME-VERSION.tgz       an archive, by the SHA-256 of its bytes; beside it `….tgz.prov`
//! indexes/KEY                          an index, one chart per line, under its validators
//! resolved/KEY                         what a request led to the last time, for when the repository is away
//! tmp/                                 what is being written; moved into place when whole
//! ```
//! A KEY is a hash of address, credentials and authorities, mixed with a random number that this folder alone holds: nobody gets from the cache
//! what their own credentials would not get them, and a file name tells nothing about a password.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::credentials::Credentials;
use super::error::RepositoryError;
use crate::index::{Head, IndexBudget, IndexEntry, IndexError, for_each_chart};
use crate::{Digest, Index};

/// A file that was given out is not cleared away for so long.
const IN_USE: Duration = Duration::from_secs(15 * 60);

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is cleared away at the start: leftovers of a process that was killed, and what nobody has asked for in a long time (the
/// credentials have changed, say).
const OUTDATED: [(&str, Duration); 3] = [
    ("tmp", HOUR),
    ("indexes", DAY.saturating_mul(30)),
    ("resolved", DAY.saturating_mul(365)),
];

/// Blocking: callers that are async go through `spawn_blocking`.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    folder: PathBuf,
    salt: [u8; 32],
    limit: u64,
    /// Whom one believes is part of every key: what a stranger's authority vouched for is for nobody else.
    authorities: Option<Digest>,
}

/// A name in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

/// What a server said, to ask later whether anything has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// What a request led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resolved {
    pub version: String,
    pub digest: Digest,
}

fn error(what: &'static str) -> impl FnOnce(io::Error) -> RepositoryError {
    move |error| RepositoryError::Cache { what, error }
}

impl Cache {
    pub fn open(folder: &Path, limit: u64) -> Result<Self, RepositoryError> {
        for name in ["charts", "indexes", "resolved", "tmp"] {
            fs::create_dir_all(folder.join(name)).map_err(error("creating it"))?;
        }
        for (name, age) in OUTDATED {
            clear_older(&folder.join(name), age);
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            salt: salt(folder).map_err(error("its key"))?,
            limit,
            authorities: None,
        })
    }

    /// The same folder for somebody who believes other authorities.
    pub fn for_authorities(&self, authorities: Digest) -> Self {
        Self {
            authorities: Some(authorities),
            ..self.clone()
        }
    }

    pub fn key(&self, parts: &[&str], credentials: Option<&Credentials>) -> Key {
        let mut hash = Sha256::new_with_prefix(self.salt);
        if let Some(authorities) = &self.authorities {
            hash.update(authorities.hex());
        }
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        if let Some(credentials) = credentials {
            credentials.hash_into(&mut hash);
        }
        Key(Digest::from(hash).hex())
    }

    /// A file to write to, readable by us alone.
    pub fn temporary(&self) -> Result<NamedTempFile, RepositoryError> {
        NamedTempFile::new_in(self.folder.join("tmp")).map_err(error("writing"))
    }

    fn chart_path(&self, digest: &Digest, file: &str) -> PathBuf {
        self.folder.join("charts").join(digest.hex()).join(file)
    }

    /// An archive that is here already. Its time of use is noted.
    pub fn chart(&self, digest: &Digest, file: &str) -> Option<PathBuf> {
        let path = self.chart_path(digest, file);
        let known = File::options().write(true).open(&path).ok()?;
        let _ = known.set_modified(SystemTime::now());
        Some(path)
    }

    /// Moves a whole archive into place and makes room for it.
    pub fn keep_chart(
        &self,
        digest: &Digest,
        file: &str,
        content: NamedTempFile,
    ) -> Result<PathBuf, RepositoryError> {
        let path = self.keep_beside(digest, file, content)?;
        self.make_room();
        Ok(path)
    }

    /// A file beside an archive, in place of an older one.
    pub fn keep_beside(
        &self,
        digest: &Digest,
        file: &str,
        content: NamedTempFile,
    ) -> Result<PathBuf, RepositoryError> {
        let path = self.chart_path(digest, file);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(error("creating a folder"))?;
        // Under its digest nobody looks at the content again: it must not be empty after a power cut.
        content.as_file().sync_data().map_err(error("writing a chart"))?;
        content
            .persist(&path)
            .map_err(|refused| error("moving a chart into place")(refused.error))?;
        Ok(path)
    }

    pub fn resolved(&self, key: &Key) -> Option<Resolved> {
        serde_json::from_slice(&fs::read(self.folder.join("resolved").join(&key.0)).ok()?).ok()
    }

    pub fn remember(&self, key: &Key, resolved: &Resolved) -> Result<(), RepositoryError> {
        let mut file = self.temporary()?;
        serde_json::to_writer(&mut file, resolved).map_err(|refused| error("writing")(refused.into()))?;
        self.put("resolved", key, file)
    }

    fn put(&self, folder: &str, key: &Key, file: NamedTempFile) -> Result<(), RepositoryError> {
        file.persist(self.folder.join(folder).join(&key.0))
            .map(drop)
            .map_err(|refused| error("moving a file into place")(refused.error))
    }

    /// Parses an index and writes it chart by chart, so that looking up one chart later costs one chart.
    pub fn keep_index(
        &self,
        key: &Key,
        validators: &Validators,
        bytes: &[u8],
        budget: &IndexBudget,
    ) -> Result<Head, RepositoryError> {
        let file = self.temporary()?;
        let mut writer = BufWriter::new(&file);
        let mut failure = serde_json::to_writer(&mut writer, validators).err();
        let head = for_each_chart(bytes, budget, |chart, versions| {
            let line = serde_json::to_string(&versions).map(|json| format!("\n{chart}\t{json}"));
            let written =
                line.and_then(|line| writer.write_all(line.as_bytes()).map_err(serde_json::Error::io));
            if let Err(refused) = written {
                failure.get_or_insert(refused);
            }
        })?;
        if let Some(refused) = failure {
            return Err(error("writing an index")(refused.into()));
        }
        writer.flush().map_err(error("writing an index"))?;
        drop(writer);
        self.put("indexes", key, file)?;
        Ok(head)
    }

    /// Those of a kept index, which counts as used.
    pub fn validators(&self, key: &Key) -> Option<Validators> {
        let mut first = String::new();
        let mut reader = self.index_file(key)?;
        reader.read_line(&mut first).ok()?;
        let _ = reader.get_ref().set_modified(SystemTime::now());
        serde_json::from_str(&first).ok()
    }

    /// One chart of a kept index, as an index that has this chart alone (or none).
    pub fn index_of(&self, key: &Key, chart: &str) -> Result<Index, RepositoryError> {
        let mut index = Index::default();
        let Some(mut reader) = self.index_file(key) else {
            return Ok(index);
        };
        let start = format!("{chart}\t");
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader
                .read_until(b'\n', &mut line)
                .map_err(error("reading an index"))?;
            if read == 0 {
                return Ok(index);
            }
            if let Some(json) = line.strip_prefix(start.as_bytes()) {
                let versions: Vec<IndexEntry> = serde_json::from_slice(json)
                    .map_err(|refused| IndexError::NotAnIndex(refused.to_string()))?;
                index.entries.insert(chart.to_owned(), versions);
                return Ok(index);
            }
        }
    }

    fn index_file(&self, key: &Key) -> Option<BufReader<File>> {
        let file = File::open(self.folder.join("indexes").join(&key.0)).ok()?;
        Some(BufReader::with_capacity(256 << 10, file))
    }

    /// Clears away what was not used for the longest time, until what is left fits. Best effort: a full cache harms nobody.
    fn make_room(&self) {
        let mut total = 0;
        let mut charts = Vec::new();
        for folder in list(&self.folder.join("charts")) {
            let (mut size, mut used) = (0, SystemTime::UNIX_EPOCH);
            for file in list(&folder) {
                if let Ok(about) = file.metadata() {
                    size += about.len();
                    used = used.max(about.modified().unwrap_or(used));
                }
            }
            total += size;
            charts.push((used, size, folder));
        }
        charts.sort();
        let now = SystemTime::now();
        for (used, size, folder) in charts {
            let is_old = now.duration_since(used).is_ok_and(|age| age > IN_USE);
            if total <= self.limit || !is_old {
                break;
            }
            if fs::remove_dir_all(&folder).is_ok() {
                total -= size;
            }
        }
    }
}

fn clear_older(folder: &Path, limit: Duration) {
    let now = SystemTime::now();
    for file in list(folder) {
        let modified = file.metadata().and_then(|about| about.modified());
        if modified.is_ok_and(|then| now.duration_since(then).is_ok_and(|age| age > limit)) {
            let _ = fs::remove_file(file);
        }
    }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Made once per folder. Two processes that start together agree on the one that was first.
fn salt(folder: &Path) -> io::Result<[u8; 32]> {
    let path = folder.join("key");
    for _ in 0..2 {
        match fs::read(&path) {
            Ok(bytes) => {
                if let Ok(salt) = bytes.try_into() {
                    return Ok(salt);
                }
                fs::remove_file(&path)?;
            }
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {}
            Err(other) => return Err(other),
        }
        let salt: [u8; 32] = rand::random();
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(&salt)?;
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(salt),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(refused) => return Err(refused.error),
        }
    }
    Err(io::Error::other("the file `key` changes all the time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(cache: &Cache, content: &[u8], age: Duration) -> Digest {
        let digest = Digest::of(content);
        let mut file = cache.temporary().unwrap();
        file.write_all(content).unwrap();
        let path = cache.keep_chart(&digest, "a-1.tgz", file).unwrap();
        let then = SystemTime::now() - age;
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(then)
            .unwrap();
        digest
    }

    #[test]
    fn the_longest_unused_goes_first_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 250).unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let old = store(&cache, &[1; 100], hours(3));
        let older = store(&cache, &[2; 100], hours(4));
        assert!(cache.chart(&old, "a-1.tgz").is_some());

        let new = store(&cache, &[3; 100], hours(0));

        assert!(cache.chart(&older, "a-1.tgz").is_none());
        assert!(cache.chart(&old, "a-1.tgz").is_some());
        // Far too much, but just used.
        store(&cache, &[4; 1000], hours(0));
        assert!(cache.chart(&old, "a-1.tgz").is_some());
        assert!(cache.chart(&new, "a-1.tgz").is_some());
    }

    #[test]
    fn leftovers_are_cleared_away_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 0).unwrap();
        let (_, old) = cache.temporary().unwrap().keep().unwrap();
        let (_, new) = cache.temporary().unwrap().keep().unwrap();
        let then = SystemTime::now() - 2 * HOUR;
        File::options()
            .write(true)
            .open(&old)
            .unwrap()
            .set_modified(then)
            .unwrap();

        Cache::open(folder.path(), 0).unwrap();

        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn a_key_depends_on_the_credentials_and_the_folder() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cache = Cache::open(one.path(), 0).unwrap();
        let other = Cache::open(two.path(), 0).unwrap();
        let ada = Credentials::basic("ada", "a");

        let keys = [
            cache.key(&["https://h"], None),
            cache.key(&["https://h"], Some(&ada)),
            cache.key(&["https://h"], Some(&Credentials::basic("ad", "aa"))),
            cache.key(&["https:/", "/h"], None),
            other.key(&["https://h"], None),
        ];

        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key));
        }
        let again = Cache::open(one.path(), 0).unwrap();
        assert_eq!(again.key(&["https://h"], Some(&ada)), keys[1]);
    }
}
