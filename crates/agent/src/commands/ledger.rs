//! What was begun and how it ended, on disk: a command that is delivered twice, or again after a restart, is carried
//! out once and ends in the same result.
//!
//! One small file per command. A command that was begun and has no result when the agent starts is carried out again
//! when the platform sends it again; each verb is written so that this changes nothing (see `carry_out`).

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::order::{CommandId, OrderResult};
use crate::files;

/// More ended commands than this are not remembered. The platform sends none again that it has a result of.
const REMEMBERED: usize = 2048;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Grows with each entry; tells the oldest.
    number: u64,
    /// What the first attempt found, for instance the uid of the object to delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<OrderResult>,
}

/// A cheap handle.
#[derive(Clone)]
pub struct Ledger {
    folder: Arc<PathBuf>,
    entries: Arc<Mutex<HashMap<CommandId, Entry>>>,
}

impl Ledger {
    /// Reads what earlier runs wrote. A file that cannot be read is left out: its command is carried out again.
    pub fn open(folder: &Path) -> io::Result<Self> {
        files::make_folder(folder)?;
        let mut entries = HashMap::new();
        for file in std::fs::read_dir(folder)? {
            let path = file?.path();
            let id = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_suffix(".json"));
            let Some(id) = id.and_then(CommandId::new) else {
                continue;
            };
            match files::read(&path)?.map(|content| serde_json::from_slice(&content)) {
                Some(Ok(entry)) => drop(entries.insert(id, entry)),
                Some(Err(cause)) => {
                    tracing::warn!(command = %id, %cause, "a damaged ledger entry is left out")
                }
                None => {}
            }
        }
        Ok(Self {
            folder: Arc::new(folder.to_owned()),
            entries: Arc::new(Mutex::new(entries)),
        })
    }

    pub fn result(&self, id: &CommandId) -> Option<OrderResult> {
        self.locked(|entries| entries.get(id)?.result.clone())
    }

    pub fn memo(&self, id: &CommandId) -> Option<String> {
        self.locked(|entries| entries.get(id)?.memo.clone())
    }

    /// Keeps what a repeated attempt must know. On disk when this returns.
    pub async fn remember(&self, id: &CommandId, memo: String) -> io::Result<()> {
        self.change(id, |entry| entry.memo = Some(memo)).await
    }

    /// Keeps the result. On disk when this returns.
    pub async fn end(&self, id: &CommandId, result: OrderResult) -> io::Result<()> {
        self.change(id, |entry| entry.result = Some(result)).await?;
        self.forget_oldest().await
    }

    async fn change(&self, id: &CommandId, change: impl FnOnce(&mut Entry)) -> io::Result<()> {
        let content = self.locked(|entries| {
            let number = entries.values().map(|entry| entry.number).max().unwrap_or(0) + 1;
            let entry = entries.entry(id.clone()).or_insert_with(|| Entry {
                number,
                ..Entry::default()
            });
            change(entry);
            serde_json::to_vec(entry)
        })?;
        let path = self.path(id);
        on_disk(move || files::replace(&path, &content)).await
    }

    async fn forget_oldest(&self) -> io::Result<()> {
        let forgotten = self.locked(|entries| {
            let mut ended: Vec<_> = entries
                .iter()
                .filter(|(_, entry)| entry.result.is_some())
                .map(|(id, entry)| (entry.number, id.clone()))
                .collect();
            ended.sort_unstable();
            ended.truncate(ended.len().saturating_sub(REMEMBERED));
            ended.iter().for_each(|(_, id)| drop(entries.remove(id)));
            ended
        });
        let paths: Vec<PathBuf> = forgotten.iter().map(|(_, id)| self.path(id)).collect();
        on_disk(move || paths.iter().try_for_each(|path| files::remove(path))).await
    }

    fn path(&self, id: &CommandId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn locked<T>(&self, work: impl FnOnce(&mut HashMap<CommandId, Entry>) -> T) -> T {
        // No work under this lock can leave the map half-changed.
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn on_disk(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> CommandId {
        CommandId::new(text).unwrap()
    }

    #[tokio::test]
    async fn results_and_memos_outlive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        ledger.remember(&id("c1"), "uid-1".into()).await.unwrap();
        ledger
            .end(&id("c2"), OrderResult::succeeded("done"))
            .await
            .unwrap();

        let again = Ledger::open(folder.path()).unwrap();

        assert_eq!(again.memo(&id("c1")).unwrap(), "uid-1");
        assert_eq!(again.result(&id("c1")), None);
        assert_eq!(again.result(&id("c2")).unwrap(), OrderResult::succeeded("done"));
    }

    #[tokio::test]
    async fn a_file_that_a_power_cut_damaged_does_not_stop_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c1.json"), b"{\"num").unwrap();
        assert_eq!(Ledger::open(folder.path()).unwrap().result(&id("c1")), None);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        ledger.locked(|entries| {
            for number in 0..REMEMBERED as u64 {
                let result = Some(OrderResult::succeeded(""));
                entries.insert(
                    id(&format!("old{number}")),
                    Entry {
                        number,
                        memo: None,
                        result,
                    },
                );
            }
        });

        ledger.end(&id("new"), OrderResult::succeeded("")).await.unwrap();

        assert_eq!(ledger.result(&id("old0")), None);
        assert!(ledger.result(&id("old1")).is_some() && ledger.result(&id("new")).is_some());
    }

    #[test]
    fn an_id_that_is_a_path_is_refused() {
        for wrong in ["", "..", "../x", "a/b", "a.json", &"x".repeat(100)] {
            assert!(CommandId::new(wrong).is_none(), "{wrong}");
        }
    }
}
