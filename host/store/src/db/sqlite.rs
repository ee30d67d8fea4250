//! SQLite as a control store: one file, one connection that writes, several that read.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

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
const READERS_MAX: u32 = 4;

/// A write transaction takes the write lock at its start: one that begins as a reader and then writes
/// fails at once where it should wait.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// One snapshot for several reads.
pub(crate) const BEGIN_READ: &str = "BEGIN";

/// Connects without changing anything in the file.
pub(crate) async fn connect_plain(path: &Path) -> sqlx::Result<SqliteConnection> {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).connect().await
}

/// The one connection that writes.
pub(crate) async fn connect_writer(path: &Path) -> sqlx::Result<SqliteConnection> {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .connect()
        .await
}

/// The connections that read; they cannot write.
pub(crate) async fn connect_readers(path: &Path) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).pragma("query_only", "ON");
    SqlitePoolOptions::new().max_connections(READERS_MAX).min_connections(0).connect_with(options).await
}

/// Marks a new file as ours. Before WAL mode, so that the mark stands in the file itself, whatever
/// happens next.
pub(crate) async fn mark(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    let sql = format!("PRAGMA application_id = {APPLICATION_ID}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(conn).await.map(drop)
}

/// Refuses an engine that may lose what it committed.
pub(crate) async fn check_engine(conn: &mut SqliteConnection, path: &Path) -> Result<(), Error> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(conn)
        .await
        .map_err(|e| failure(&path.into(), "asking for SQLite's version", e))?;
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
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).read_only(true);
    let (id, left) = match application_id(&options).await {
        // Only who may write rolls back. Whether we may is said by the file as it stands.
        Err(error) if code(&error) == Some(READONLY_ROLLBACK) => {
            (application_id(&options.immutable(true)).await, Left::HalfMade)
        }
        id => (id, Left::Whole),
    };
    match id.map_err(failed)? {
        id if id == i64::from(APPLICATION_ID) => Ok(left),
        _ => Err(not_ours("it is an SQLite database of something else")),
    }
}

async fn application_id(options: &SqliteConnectOptions) -> sqlx::Result<i64> {
    let mut conn = options.connect().await?;
    let id = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut conn).await?;
    conn.close().await?;
    Ok(id)
}

/// Rolls back what a process left that died in the middle of it.
pub(crate) async fn roll_back(path: &Path) -> Result<(), Error> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
    // Whoever reads first does it.
    application_id(&options).await.map(drop).map_err(|e| failure(&path.into(), "rolling it back", e))
}

/// Reads a file whole and refuses it where anything in it is damaged.
pub(crate) async fn check_whole(path: &Path) -> Result<(), Error> {
    let failed = |e| failure(&path.into(), "checking it", e);
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).read_only(true);
    let mut conn = options.connect().await.map_err(failed)?;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut conn).await.map_err(failed)?;
    conn.close().await.map_err(failed)?;
    if found == "ok" {
        return Ok(());
    }
    Err(Error::NotOurs { path: path.to_owned(), detail: format!("it is damaged: {found}") })
}

/// The version of the schema in a file, and the oldest host that it works with.
pub(crate) async fn schema_of(path: &Path) -> Result<(i64, i64), Error> {
    let failed = |e| failure(&path.into(), "reading its version", e);
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).read_only(true);
    let mut conn = options.connect().await.map_err(failed)?;
    let sql = "SELECT coalesce(max(version), 0), coalesce(max(works_with), 0) FROM schema_steps";
    let found = sqlx::query_as(sql).fetch_one(&mut conn).await.map_err(failed)?;
    conn.close().await.map_err(failed)?;
    Ok(found)
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
