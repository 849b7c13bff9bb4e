//! A database made from the journal, for questions. It can be deleted at any time.

mod fold;
mod query;
mod rows;
mod words;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};

use crate::chain::Head;
use crate::disk::Disk;
use crate::error::RecordsError;
use crate::replay::Replay;

pub use rows::{
    DeviceRecord, HandRecord, Incident, IntentRecord, JudgementRecord, RunFilter, RunRecord, RunSummary,
    StepRecord,
};

/// Version of `schema/view.sql`; a view of any other version is made anew.
const SCHEMA_VERSION: i64 = 4;
const SCHEMA: &str = include_str!("../schema/view.sql");

/// How long to wait for another process that reads or fills the same view.
const BUSY: Duration = Duration::from_secs(10);

/// Events that are folded in one transaction: enough to make its cost vanish, few enough to let others in.
const BATCH: usize = 5_000;

/// A view of the journal.
#[derive(Debug)]
pub struct View {
    path: PathBuf,
    connection: Connection,
}

/// What bringing a view up to date did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaughtUp {
    /// Events that were folded in.
    pub events: u64,
    /// True when it had to begin from nothing, because it told of another history.
    pub is_rebuilt: bool,
}

/// Paths up to this length need no other form on any system.
const SHORT_PATH: usize = 200;

/// A path as SQLite can use it. It hands paths to the system as they are, and Windows takes long ones only in the form
/// that it gives them itself; the standard library does this on its own for all other files.
fn fit_for_sqlite(path: &Path) -> PathBuf {
    let is_long = |path: &PathBuf| path.as_os_str().len() > SHORT_PATH;
    let is_short = !std::path::absolute(path).as_ref().is_ok_and(is_long);
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if !is_short => match fs::canonicalize(folder) {
            Ok(folder) => folder.join(name),
            // What is wrong with it is told when it is opened.
            Err(_) => path.to_owned(),
        },
        _ => path.to_owned(),
    }
}

impl View {
    /// Opens a view, or begins an empty one. A file that is no view, or one of another version, is replaced: it holds
    /// nothing that the journal does not.
    ///
    /// # Errors
    /// [`RecordsError::View`] when the file can be neither used nor replaced.
    pub fn open(path: &Path) -> Result<Self, RecordsError> {
        match Self::try_open(path) {
            Ok(Some(view)) => return Ok(view),
            Ok(None) => {}
            Err(error) if is_unusable(&error) => {}
            Err(source) => return Err(failed(path, "opening it")(source)),
        }
        delete(path)?;
        match Self::try_open(path) {
            Ok(Some(view)) => Ok(view),
            Ok(None) => Err(RecordsError::NotFound {
                what: format!("view at {}", path.display()),
            }),
            Err(source) => Err(failed(path, "making it anew")(source)),
        }
    }

    /// An empty view that lives in memory: for folders that cannot be written.
    ///
    /// # Errors
    /// [`RecordsError::View`] when SQLite gives none.
    pub fn in_memory() -> Result<Self, RecordsError> {
        let path = PathBuf::from(":memory:");
        let mut connection = Connection::open_in_memory().map_err(failed(&path, "opening it"))?;
        prepare(&mut connection).map_err(failed(&path, "making it"))?;
        Ok(Self { path, connection })
    }

    /// `None` when it is of another version.
    fn try_open(path: &Path) -> rusqlite::Result<Option<Self>> {
        let mut connection = Connection::open(fit_for_sqlite(path))?;
        connection.busy_timeout(BUSY)?;
        // A lost view costs a replay, so it need not wait for the disk.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
        match version {
            SCHEMA_VERSION => {}
            0 if tables == 0 => prepare(&mut connection)?,
            _ => return Ok(None),
        }
        Ok(Some(Self {
            path: path.to_owned(),
            connection,
        }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The point of the journal that it has reached.
    ///
    /// # Errors
    /// [`RecordsError::View`].
    pub fn point(&self) -> Result<Head, RecordsError> {
        read_point(&self.connection).map_err(self.failed("reading how far it is"))
    }

    /// Folds in what the journal has beyond this view. If the view tells of another history, it begins from nothing.
    ///
    /// # Errors
    /// When the journal cannot be read, or the view cannot be written. What came before stays in the view.
    pub fn catch_up(&mut self, disk: &Arc<dyn Disk>) -> Result<CaughtUp, RecordsError> {
        match self.follow(disk) {
            Ok(events) => Ok(CaughtUp {
                events,
                is_rebuilt: false,
            }),
            Err(RecordsError::OtherHistory { .. }) => {
                self.clear()?;
                Ok(CaughtUp {
                    events: self.follow(disk)?,
                    is_rebuilt: true,
                })
            }
            Err(other) => Err(other),
        }
    }

    fn follow(&mut self, disk: &Arc<dyn Disk>) -> Result<u64, RecordsError> {
        let mut replay = Replay::of(Arc::clone(disk), self.point()?)?;
        let mut events = 0;
        loop {
            let mut batch = Vec::new();
            let mut end = Ok(());
            for stored in replay.by_ref().take(BATCH) {
                match stored {
                    Ok(stored) => batch.push(stored),
                    Err(error) => end = Err(error),
                }
            }
            let Some(last) = batch.last() else {
                return end.map(|()| events);
            };
            let head = last.head;
            let fold = |connection: &mut Connection| -> rusqlite::Result<bool> {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                // Another process may have been here meanwhile.
                if read_point(&transaction)?.sequence + 1 != batch[0].event.sequence {
                    return Ok(false);
                }
                for stored in &batch {
                    fold::fold(&transaction, &stored.event)?;
                }
                write_point(&transaction, head)?;
                transaction.commit()?;
                Ok(true)
            };
            let is_folded = fold(&mut self.connection).map_err(failed(&self.path, "folding events in"))?;
            if is_folded {
                events += batch.len() as u64;
                // What stands before damage can still be asked for.
                end?;
            } else {
                replay = Replay::of(Arc::clone(disk), self.point()?)?;
            }
        }
    }

    /// Forgets everything.
    fn clear(&mut self) -> Result<(), RecordsError> {
        let clear = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let tables: Vec<String> = transaction
                .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for table in tables.iter().filter(|table| *table != "point") {
                transaction.execute(&format!("DELETE FROM {table}"), [])?;
            }
            write_point(&transaction, Head::ORIGIN)?;
            transaction.commit()
        };
        clear(&mut self.connection).map_err(failed(&self.path, "emptying it"))
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> RecordsError {
        failed(&self.path, doing)
    }
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Two processes may have begun at once.
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()
}

fn read_point(connection: &Connection) -> rusqlite::Result<Head> {
    let point = connection
        .query_row("SELECT sequence, hash FROM point", [], |row| {
            Ok(Head {
                sequence: words::number(row.get(0)?),
                hash: words::parsed(row, 1)?,
            })
        })
        .optional()?;
    Ok(point.unwrap_or(Head::ORIGIN))
}

fn write_point(connection: &Connection, head: Head) -> rusqlite::Result<()> {
    let values = (words::integer(head.sequence), head.hash.to_string());
    connection
        .execute("INSERT OR REPLACE INTO point VALUES (1, ?1, ?2)", values)
        .map(drop)
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> RecordsError {
    let path = path.to_owned();
    move |source| RecordsError::View { path, doing, source }
}

/// True for a file that is there and is no database, or a broken one.
fn is_unusable(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Removes a view with the files that SQLite keeps beside it.
fn delete(path: &Path) -> Result<(), RecordsError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(RecordsError::of_disk(
                    format!("removing {}", Path::new(&name).display()),
                    e,
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
