//! SQLite as a control store: one file, one connection that writes, several that read.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mendwright_sqlite::rusqlite::{self, OpenFlags};
use mendwright_sqlite::{Access, File};
use sqlx::error::{DatabaseError, ErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dialect::Failure;
use super::failure;
use crate::error::Error;

/// Stands in the header of every control store: `MEND`.
pub(crate) const APPLICATION_ID: u32 = 0x4d45_4e44;

/// Earlier ones can lose committed pages when two connections reset the log (3.7.0 to 3.51.2).
pub(crate) const SQLITE_VERSION_MIN: (u32, u32, u32) = (3, 51, 3);

/// How long a statement waits for another process's write. Writes here take milliseconds, a plan of
/// 100,000 changes a second or two.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that read. Pages of people and one stream of a flush; more would only wait for the disk.
const READERS_MAX: usize = 4;

/// A write transaction takes the write lock at its start: one that begins as a reader and then writes
/// fails at once where it should wait.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// One snapshot for several reads.
pub(crate) const BEGIN_READ: &str = "BEGIN";

/// Connects without changing anything in the file.
pub(crate) async fn connect(path: &Path, access: Access) -> sqlx::Result<File> {
    let file = File::open(path, access, BUSY_TIMEOUT).await.map_err(fault)?;
    file.plan_once().map_err(fault)?;
    Ok(file)
}

/// The one connection that writes.
pub(crate) async fn connect_writer(path: &Path) -> sqlx::Result<File> {
    let mut file = connect(path, Access::Write).await?;
    file.batch("PRAGMA journal_mode = WAL").await.map_err(fault)?;
    Ok(file)
}

/// The first value of the first row.
async fn first<T: rusqlite::types::FromSql>(file: &mut File, sql: &str) -> sqlx::Result<T> {
    let rows = file.rows(sql, &[] as &[i64], |row| row.get(0)).await.map_err(fault)?;
    rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}

/// Connections that read; they cannot write.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<File>>>,
    room: Arc<Semaphore>,
}

/// One of them, until it is dropped.
pub(crate) struct Reader {
    readers: Readers,
    /// There until the drop.
    file: Option<File>,
    _room: OwnedSemaphorePermit,
}

impl Readers {
    pub(crate) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Arc::default(), room: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    pub(crate) async fn acquire(&self) -> sqlx::Result<Reader> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let file = match idle {
            Some(file) => file,
            None => connect(&self.path, Access::Read).await?,
        };
        Ok(Reader { readers: self.clone(), file: Some(file), _room: room })
    }

    /// Closes those that nobody has, and refuses everybody from here on.
    pub(crate) async fn close(self) -> sqlx::Result<()> {
        self.room.close();
        let idle = std::mem::take(&mut *self.idle());
        for file in idle {
            file.close().await.map_err(fault)?;
        }
        Ok(())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<File>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    pub(crate) fn file(&mut self) -> &mut File {
        #[expect(clippy::expect_used, reason = "only the drop takes it")]
        self.file.as_mut().expect("a reader has a file")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            file.renew();
            self.readers.idle().push(file);
        }
    }
}

/// Marks a new file as ours. Before WAL mode, so that the mark stands in the file itself, whatever
/// happens next.
pub(crate) async fn mark(file: &mut File) -> sqlx::Result<()> {
    file.batch(&format!("PRAGMA application_id = {APPLICATION_ID}")).await.map_err(fault)
}

/// Refuses an engine that may lose what it committed.
pub(crate) async fn check_engine(file: &mut File, path: &Path) -> Result<(), Error> {
    let found = first::<String>(file, "SELECT sqlite_version()").await;
    let found = found.map_err(|e| failure(&path.into(), "asking for SQLite's version", e))?;
    if parse_version(&found).is_some_and(|version| version >= SQLITE_VERSION_MIN) {
        return Ok(());
    }
    let (major, minor, patch) = SQLITE_VERSION_MIN;
    Err(Error::Version { place: path.into(), what: "SQLite", found, needs: format!("{major}.{minor}.{patch}") })
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

/// How a control store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Whole.
    Whole,
    /// A process died in the middle of making it, and what it did is to be rolled back.
    HalfMade,
}

/// Refuses a file that is no control store, without changing anything in it or beside it.
pub(crate) async fn check_is_ours(path: &Path) -> Result<Left, Error> {
    let not_ours = |detail: &str| Error::NotOurs { path: path.to_owned(), detail: detail.to_owned() };
    let failed = |e| {
        if primary_code(&e) == Some(NOT_A_DATABASE) {
            return not_ours("it is not an SQLite database");
        }
        failure(&path.into(), "reading it", e)
    };
    let (id, left) = match application_id(path, Access::Read).await {
        // Only who may write rolls back. Whether we may is said by the file as it stands.
        Err(error) if code(&error) == Some(READONLY_ROLLBACK) => (id_as_it_stands(path), Left::HalfMade),
        id => (id, Left::Whole),
    };
    match id.map_err(failed)? {
        id if id == i64::from(APPLICATION_ID) => Ok(left),
        _ => Err(not_ours("it is an SQLite database of something else")),
    }
}

async fn application_id(path: &Path, access: Access) -> sqlx::Result<i64> {
    let mut file = connect(path, access).await?;
    let id = first(&mut file, "PRAGMA application_id").await?;
    file.close().await.map_err(fault)?;
    Ok(id)
}

/// Without a look at what stands beside the file.
fn id_as_it_stands(path: &Path) -> sqlx::Result<i64> {
    let path = path.to_str().ok_or_else(|| sqlx::Error::Configuration("the file's name is no UTF-8".into()))?;
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = rusqlite::Connection::open_with_flags(format!("file:{path}?immutable=1"), flags).map_err(fault)?;
    db.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(fault)
}

/// Rolls back what a process left that died in the middle of it.
pub(crate) async fn roll_back(path: &Path) -> Result<(), Error> {
    // Whoever reads first does it.
    application_id(path, Access::Write).await.map(drop).map_err(|e| failure(&path.into(), "rolling it back", e))
}

/// Reads a file whole and refuses it where anything in it is damaged.
pub(crate) async fn check_whole(path: &Path) -> Result<(), Error> {
    let failed = |e| failure(&path.into(), "checking it", e);
    let mut file = connect(path, Access::Read).await.map_err(failed)?;
    let found: String = first(&mut file, "PRAGMA integrity_check(1)").await.map_err(failed)?;
    file.close().await.map_err(|e| failed(fault(e)))?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::NotOurs { path: path.to_owned(), detail: format!("it is damaged: {found}") })
}

/// The version of the schema in a file, and the oldest host that it works with.
pub(crate) async fn schema_of(path: &Path) -> Result<(i64, i64), Error> {
    let failed = |e| failure(&path.into(), "reading its version", e);
    let mut file = connect(path, Access::Read).await.map_err(failed)?;
    let sql = "SELECT coalesce(max(version), 0), coalesce(max(works_with), 0) FROM schema_steps";
    let found = file.rows(sql, &[] as &[i64], |row| Ok((row.get(0)?, row.get(1)?))).await;
    let found = found.map_err(|e| failed(fault(e)))?;
    file.close().await.map_err(|e| failed(fault(e)))?;
    found.into_iter().next().ok_or_else(|| failed(sqlx::Error::RowNotFound))
}

/// What SQLite says, as the other driver says it.
#[derive(Debug)]
struct Fault {
    message: String,
    /// SQLite's extended result code.
    code: Option<i32>,
}

/// An error of SQLite's as the one type of both drivers.
pub(crate) fn fault(error: rusqlite::Error) -> sqlx::Error {
    let code = error.sqlite_error().map(|error| error.extended_code);
    sqlx::Error::Database(Box::new(Fault { message: error.to_string(), code }))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Fault {}

impl DatabaseError for Fault {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.code.map(|code| code.to_string().into())
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }
}

/// SQLITE_ERROR: the statement does not fit the schema, so somebody changed the schema.
const ERROR: u32 = 1;
const CORRUPT: u32 = 11;
const CONSTRAINT: u32 = 19;
const MISMATCH: u32 = 20;
const NOT_A_DATABASE: u32 = 26;

/// SQLITE_READONLY_ROLLBACK: there is a journal that has to be rolled back first.
const READONLY_ROLLBACK: u32 = 776;

/// SQLite's extended result code.
fn code(error: &sqlx::Error) -> Option<u32> {
    error.as_database_error()?.code()?.parse().ok()
}

/// The lower byte of it.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    Some(code(error)? & 0xff)
}

/// By SQLite's own result codes.
pub(crate) fn kind(error: &sqlx::Error) -> Option<Failure> {
    match primary_code(error)? {
        CORRUPT | NOT_A_DATABASE | ERROR | MISMATCH => Some(Failure::Damaged),
        CONSTRAINT => Some(Failure::Rule),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(parse_version("3.51.3").unwrap() >= SQLITE_VERSION_MIN);
        assert!(parse_version("3.9.30").unwrap() < SQLITE_VERSION_MIN);
        assert_eq!(parse_version("x"), None);
    }
}
