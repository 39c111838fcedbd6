//! The database: one SQLite file, one writer and some readers.
//!
//! In: what the other folders learnt or were told. Out: the same, as the types of the API. A change and the events that
//! tell of it are one transaction ([`Store::write`]); when it has committed it is on the disk (`synchronous=FULL`), so that
//! whoever answers or acknowledges after [`Tx::commit`] has promised nothing that a power cut could take back.
//! Never here: decisions about who may do what (that is `access`), the network, tasks.
//!
//! Queries live in one file per area, as `impl Store` (reads) and `impl Tx` (writes).

mod app_charts;
mod apps;
mod audit;
mod chart_tokens;
mod clusters;
mod commands;
mod deliveries;
mod drifts;
mod environments;
mod errors;
mod events;
mod forget;
mod history;
mod instances;
mod intake;
mod members;
mod migrate;
mod objects;
mod page;
mod pending_commands;
mod projects;
mod sessions;
mod settings;
mod ssh_keys;
mod states;
mod stream_records;
mod stream_rights;
mod tokens;
mod upgrades;
mod users;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::watch;

pub use app_charts::AppCharts;
pub use apps::{ListedVersion, NewAppRow, NewVersionRow, repository_url};
pub use deliveries::NewDelivery;
pub use environments::{EnvironmentRow, NewEnvironmentRow, Removal};
pub use events::{EventFilter, EventRow, Missed};
pub use instances::{InstanceNews, Told};
pub use intake::{IntakeRow, Parsed};
pub use pending_commands::PendingCommand;
pub use projects::{ProjectAccess, Viewer};
pub use sessions::{Credential, EndedToken, Introduction, Opening, Purpose, SpecRow, TokenEnd, Whose};
pub use ssh_keys::KeyOwner;
pub use states::{NewState, StateChanges};
pub use stream_records::{EndedRow, StreamRow};
pub use stream_rights::Standing;
pub use tokens::TokenOwner;
pub use upgrades::PendingUpgrade;
pub use users::UserRow;
pub use write::Tx;

const READERS: u32 = 4;
/// How long one waits for the writer before the caller is told to try again.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(10);
const BUSY: Duration = Duration::from_secs(5);

/// Cheap to clone; all clones are one database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: SqlitePool,
    readers: SqlitePool,
    addresses: OnceLock<Addresses>,
    newest_event: watch::Sender<i64>,
}

/// Where the platform is reached from outside; part of every environment's answer. No trailing slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    pub http: String,
    pub ssh: String,
    /// The line that pins the Git host's key, for whoever reaches it at `ssh`.
    pub known_hosts: String,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {path}: {source}; check that the folder is there and may be written")]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("the database {path} was made by another version ({found}); {next}")]
    Version {
        path: PathBuf,
        found: String,
        next: &'static str,
    },
    #[error("the database is busy; try again in a moment")]
    Busy,
    #[error("the disk of the database is full; free some space, nothing was lost and nothing was accepted")]
    Full,
    #[error("{0} is there already; choose another name")]
    Exists(&'static str),
    #[error("a row of the database cannot be read ({what}): {detail}; this is a defect, please report it")]
    Unreadable { what: &'static str, detail: String },
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // https://www.sqlite.org/rescode.html: 5 and 6 are busy and locked, 13 is full; extended codes keep the low byte.
        let code = error
            .as_database_error()
            .and_then(|d| d.code())
            .and_then(|c| c.parse::<u32>().ok());
        match (code.map(|c| c & 0xff), &error) {
            (Some(5 | 6), _) | (_, sqlx::Error::PoolTimedOut) => Self::Busy,
            (Some(13), _) => Self::Full,
            _ => Self::Database(error),
        }
    }
}

impl StoreError {
    /// Turns a broken uniqueness rule into "WHAT is there already".
    pub fn or_exists(self, what: &'static str) -> Self {
        match self {
            Self::Database(e) if e.as_database_error().is_some_and(|d| d.is_unique_violation()) => {
                Self::Exists(what)
            }
            other => other,
        }
    }
}

impl Store {
    /// Opens the database file, makes it when missing, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let open = |source| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        make_private(path).map_err(|e| open(sqlx::Error::Io(e)))?;
        let writer = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(WAIT_FOR_CONNECTION)
            .connect_with(options.clone())
            .await
            .map_err(open)?;
        migrate::migrate(&writer, path).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(WAIT_FOR_CONNECTION)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(open)?;
        let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(id) FROM events")
            .fetch_one(&readers)
            .await?;
        let inner = Inner {
            writer,
            readers,
            addresses: OnceLock::new(),
            newest_event: watch::Sender::new(newest.unwrap_or(0)),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Said once at start, when the ports are known. Until then addresses are empty.
    pub fn announce(&self, addresses: Addresses) {
        // A second announcement would be a defect of the wiring; the first one stays.
        let _ = self.inner.addresses.set(addresses);
    }

    pub fn addresses(&self) -> Addresses {
        self.inner.addresses.get().cloned().unwrap_or_default()
    }

    /// The connections for reading; a write through them is refused by SQLite.
    pub fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    /// True when the database answers; for `/readyz`.
    pub async fn answers(&self) -> bool {
        sqlx::query_scalar::<_, i64>("SELECT 1")
            .fetch_one(&self.inner.readers)
            .await
            .is_ok()
    }

    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }
}

/// The file is for the platform's eyes, also in a folder that others may read; SQLite gives its log the same rights.
fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// A new UUIDv7 as text: sorts by the time of its making.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The word of a unit enum as the API spells it; the database uses the same words.
pub(crate) fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => unreachable!("only enums without fields have words"),
    }
}

pub(crate) fn from_word<T: DeserializeOwned>(what: &'static str, word: String) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(word)).map_err(|e| StoreError::Unreadable {
        what,
        detail: e.to_string(),
    })
}

pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Unreadable {
        what: "json",
        detail: e.to_string(),
    })
}

pub(crate) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Unreadable {
        what,
        detail: e.to_string(),
    })
}

/// Counts are kept as BIGINT; a negative or huge one is shown as the nearest that fits.
pub(crate) fn count(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}
