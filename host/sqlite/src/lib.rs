//! A connection to a SQLite file. A statement runs in the task that asks: to hand each one to a thread and back
//! costs more than SQLite does, and a small repair asks dozens of them.
//!
//! A task that works for long keeps others of its thread from working, so what takes long does not: a lock that
//! somebody else has is waited for asleep, a read that lasts is begun again where it may last, many rows are
//! written there at once, and so are commits to a disk that is slow.

mod deadline;
mod touched;

use std::path::Path;
use std::time::Duration;

pub use rusqlite;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Result, Row, Statement, ToSql};
use tokio::runtime::RuntimeFlavor;

use deadline::{Deadline, SHORT, clock};
pub use touched::Touched;

/// How many virtual machine steps SQLite goes between two looks at the clock: some hundred microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 4_000;

/// Rows that are written where other tasks wait for the thread: about a millisecond.
const ROWS_SHORT: usize = 1_000;

/// Between two tries while somebody else has the lock: those of SQLite itself.
const BETWEEN_TRIES_MS: [u64; 12] = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];

/// Statements that are kept prepared.
const PREPARED_MAX: usize = 100;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It cannot write whatever happens.
    Read,
    /// Its commits are durable when they are answered.
    Write,
}

/// An open file. It exists already: nothing here makes one.
#[derive(Debug)]
pub struct File {
    db: Connection,
    deadline: Deadline,
    /// How long somebody else's transaction may be in the way.
    lock_timeout: Duration,
    /// Whether the last commit took long.
    is_slow_to_commit: bool,
}

impl File {
    /// Opens it; who reads cannot write whatever happens.
    ///
    /// # Errors
    /// It is not there, or no file of SQLite; somebody has it for longer than `lock_timeout`, for which everything
    /// here waits.
    pub async fn open(path: &Path, access: Access, lock_timeout: Duration) -> Result<Self> {
        let flags = match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        // Here one waits asleep.
        db.busy_timeout(Duration::ZERO)?;
        db.set_prepared_statement_cache_capacity(PREPARED_MAX);
        let mut file = Self { db, deadline: Deadline::new(), lock_timeout, is_slow_to_commit: false };
        file.end_when(|| false)?;
        let more = match access {
            Access::Read => "PRAGMA query_only = 1",
            Access::Write => "PRAGMA synchronous = FULL",
        };
        file.batch(&format!("PRAGMA foreign_keys = ON; {more}")).await?;
        Ok(file)
    }

    /// Makes it what it was when it was opened.
    pub fn renew(&self) {
        self.deadline.clear();
        self.roll_back();
    }

    /// From now on a statement is planned once, whatever its parameters are: SQLite plans one again each time
    /// where an index of only some rows might do for these.
    ///
    /// # Errors
    /// There are none.
    pub fn plan_once(&self) -> Result<()> {
        self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
    }

    /// From now on, a statement may take until then.
    pub fn limit(&self, within: Duration) {
        self.deadline.set(within);
    }

    /// Statements may take as long as they like again.
    pub fn lift_limit(&self) {
        self.deadline.clear();
    }

    /// From now on a statement ends as at its deadline when this says so, too. It is asked every few thousand
    /// steps of a statement.
    ///
    /// # Errors
    /// There are none.
    pub fn end_when(&self, ends: impl Fn() -> bool + Send + 'static) -> Result<()> {
        let deadline = self.deadline.clone();
        self.db.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || deadline.stops() || ends()))
    }

    /// From now on notes every row that changes, by whatever statement or trigger.
    ///
    /// # Errors
    /// There are none.
    pub fn tell_changed_rows(&self) -> Result<Touched> {
        let touched = Touched::default();
        let noted = touched.clone();
        let note = move |_, _database: &str, table: &str, row| noted.note(table, row);
        self.db.update_hook(Some(note))?;
        Ok(touched)
    }

    /// Notes no more.
    ///
    /// # Errors
    /// There are none.
    pub fn tell_no_changed_rows(&self) -> Result<()> {
        self.db.update_hook(None::<fn(rusqlite::hooks::Action, &str, &str, i64)>)
    }

    /// Statements without parameters or results. Where somebody else is in the way all of them are begun again, so
    /// only the first may have to wait for a lock.
    ///
    /// # Errors
    /// The first one that fails ends them.
    pub async fn batch(&mut self, sql: &str) -> Result<()> {
        self.patiently(|file| file.db.execute_batch(sql)).await
    }

    /// Makes durable what the transaction wrote.
    ///
    /// # Errors
    /// Where SQLite leaves it open, it still is.
    pub async fn commit(&mut self) -> Result<()> {
        self.patiently(|file| {
            let start = clock();
            let committed = match file.is_slow_to_commit {
                true => aside(|| file.db.execute_batch("COMMIT")),
                false => file.db.execute_batch("COMMIT"),
            };
            file.is_slow_to_commit = start.elapsed() > SHORT;
            committed
        })
        .await
    }

    /// One statement that writes little; how many rows it changed.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn execute(&mut self, sql: &str, args: &[impl ToSql]) -> Result<u64> {
        self.patiently(|file| execute(&file.db, sql, args)).await
    }

    /// One statement that may take long.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn execute_long(&mut self, sql: &str, args: &[impl ToSql]) -> Result<u64> {
        self.patiently(|file| aside(|| execute(&file.db, sql, args))).await
    }

    /// The rows of one query.
    ///
    /// # Errors
    /// What SQLite says, or `decode`.
    pub async fn rows<T>(
        &mut self,
        sql: &str,
        args: &[impl ToSql],
        mut decode: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.patiently(|file| {
            let mut statement = file.db.prepare_cached(sql)?;
            if !statement.readonly() {
                return read(&mut statement, args, &mut decode);
            }
            let (found, was_stopped) = file.deadline.shortly(|| read(&mut statement, args, &mut decode));
            match found {
                Err(error) if was_stopped && is(&error, ErrorCode::OperationInterrupted) => {
                    aside(|| read(&mut statement, args, &mut decode))
                }
                found => found,
            }
        })
        .await
    }

    /// Lets `work` use the connection for so many rows.
    pub fn with<T>(&self, n_rows: usize, work: impl FnOnce(&Connection) -> T) -> T {
        if n_rows <= ROWS_SHORT { work(&self.db) } else { aside(|| work(&self.db)) }
    }

    /// Takes back what the open transaction did, if there is one. Where SQLite does not, the next BEGIN says so.
    pub fn roll_back(&self) {
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            // It went by itself.
            debug_assert!(self.db.is_autocommit(), "{error}");
        }
    }

    /// Walks the rows of one query in the thread that calls, page by page, until `wants` no more.
    ///
    /// # Errors
    /// What SQLite says, or `decode`.
    pub fn walk<T, E: From<rusqlite::Error>>(
        &self,
        (sql, args): (&str, &[impl ToSql]),
        page_rows: usize,
        mut decode: impl FnMut(&Row<'_>) -> std::result::Result<T, E>,
        mut wants: impl FnMut(Vec<T>) -> bool,
    ) -> std::result::Result<(), E> {
        let mut statement = self.db.prepare(sql)?;
        bind(&mut statement, 1, args)?;
        let mut rows = statement.raw_query();
        loop {
            let mut page = Vec::with_capacity(page_rows);
            while page.len() < page_rows
                && let Some(row) = rows.next()?
            {
                page.push(decode(row)?);
            }
            if page.is_empty() || !wants(page) {
                return Ok(());
            }
        }
    }

    /// Closes it. Whoever is the last one has the log to write back, which may take its time.
    ///
    /// # Errors
    /// It could not be; nothing is lost then.
    pub async fn close(self) -> Result<()> {
        let closed = tokio::task::spawn_blocking(|| self.db.close().map_err(|(_, error)| error)).await;
        closed.unwrap_or(Ok(()))
    }

    /// Asks again while somebody else's transaction is in the way, as long as that may last. SQLite says so
    /// before a statement has done anything.
    async fn patiently<T>(&mut self, mut ask: impl FnMut(&mut Self) -> Result<T>) -> Result<T> {
        let until = tokio::time::Instant::now() + self.lock_timeout;
        let mut n_tries = 0;
        loop {
            match ask(self) {
                Err(error) if is(&error, ErrorCode::DatabaseBusy) && tokio::time::Instant::now() < until => {
                    let last = BETWEEN_TRIES_MS.len() - 1;
                    let ms = BETWEEN_TRIES_MS.get(n_tries.min(last)).copied().unwrap_or(100);
                    n_tries += 1;
                    tokio::time::sleep_until(until.min(tokio::time::Instant::now() + Duration::from_millis(ms))).await;
                }
                done => return done,
            }
        }
    }
}

/// Other tasks of this thread go on in another one meanwhile, where there is one.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn is(error: &rusqlite::Error, code: ErrorCode) -> bool {
    error.sqlite_error_code() == Some(code)
}

fn execute(db: &Connection, sql: &str, args: &[impl ToSql]) -> Result<u64> {
    let mut statement = db.prepare_cached(sql)?;
    bind(&mut statement, 1, args)?;
    Ok(u64::try_from(statement.raw_execute()?).unwrap_or(u64::MAX))
}

fn read<T>(
    statement: &mut Statement<'_>,
    args: &[impl ToSql],
    decode: &mut impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    bind(statement, 1, args)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(decode(row)?);
    }
    Ok(found)
}

/// Binds values from the first parameter on; gives the next one's number.
///
/// # Errors
/// The statement has fewer parameters.
pub fn bind<'a, T: ToSql + 'a>(
    statement: &mut Statement<'_>,
    first: usize,
    values: impl IntoIterator<Item = &'a T>,
) -> Result<usize> {
    let mut next = first;
    for value in values {
        statement.raw_bind_parameter(next, value)?;
        next += 1;
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[i64] = &[];

    async fn opened(lock_timeout: Duration) -> (tempfile::TempDir, File, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        std::fs::File::create(&path).unwrap();
        let mut one = File::open(&path, Access::Write, lock_timeout).await.unwrap();
        one.batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER PRIMARY KEY)").await.unwrap();
        let other = File::open(&path, Access::Write, lock_timeout).await.unwrap();
        (dir, one, other)
    }

    async fn all(file: &mut File) -> Vec<i64> {
        file.rows("SELECT n FROM t ORDER BY n", NONE, |row| row.get(0)).await.unwrap()
    }

    /// One thread: who waits awake keeps the other one from ever ending.
    #[tokio::test]
    async fn a_lock_that_somebody_has_is_waited_for_asleep() {
        let (_dir, mut one, mut other) = opened(Duration::from_secs(60)).await;
        one.batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").await.unwrap();
        let waits = async {
            other.batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").await?;
            other.commit().await
        };
        let ends = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            one.commit().await
        };
        let (waited, ended) = tokio::join!(waits, ends);
        assert!(waited.is_ok() && ended.is_ok());
        assert_eq!(all(&mut one).await, [1, 2]);
    }

    #[tokio::test]
    async fn a_lock_is_not_waited_for_for_ever() {
        let (_dir, mut one, mut other) = opened(Duration::from_millis(20)).await;
        one.batch("BEGIN IMMEDIATE").await.unwrap();
        let error = other.batch("BEGIN IMMEDIATE").await.unwrap_err();
        assert!(is(&error, ErrorCode::DatabaseBusy), "{error}");
        one.roll_back();
        other.batch("BEGIN IMMEDIATE").await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_read_that_lasts_is_read_whole_and_lets_others_go_on() {
        let (_dir, mut one, _other) = opened(Duration::from_secs(60)).await;
        let long = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT n FROM c";
        let others = tokio::spawn(async {});
        let read = one.rows(long, NONE, |row| row.get::<_, i64>(0)).await.unwrap();
        assert_eq!((read.len(), read.first(), read.last()), (300_000, Some(&1), Some(&300_000)));
        others.await.unwrap();
    }

    #[tokio::test]
    async fn a_statement_ends_at_its_deadline_and_when_somebody_says_so() {
        let (_dir, mut one, _other) = opened(Duration::from_secs(60)).await;
        let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";
        one.limit(Duration::from_millis(10));
        let error = one.rows(endless, NONE, |row| row.get::<_, i64>(0)).await.unwrap_err();
        assert!(is(&error, ErrorCode::OperationInterrupted), "{error}");
        one.lift_limit();
        one.end_when(|| true).unwrap();
        let error = one.rows(endless, NONE, |row| row.get::<_, i64>(0)).await.unwrap_err();
        assert!(is(&error, ErrorCode::OperationInterrupted), "{error}");
        one.end_when(|| false).unwrap();
        assert!(all(&mut one).await.is_empty());
    }

    #[tokio::test]
    async fn whoever_reads_cannot_write_and_a_renewed_one_has_nothing_open() {
        let (dir, mut one, _other) = opened(Duration::from_secs(60)).await;
        let mut reader = File::open(&dir.path().join("x.db"), Access::Read, Duration::from_secs(1)).await.unwrap();
        reader.batch("BEGIN").await.unwrap();
        assert!(all(&mut reader).await.is_empty());
        one.execute("INSERT INTO t VALUES (?1)", &[1]).await.unwrap();
        assert!(all(&mut reader).await.is_empty(), "it reads one state");
        assert!(reader.execute("INSERT INTO t VALUES (?1)", &[2]).await.is_err());
        reader.renew();
        assert_eq!(all(&mut reader).await, [1]);
        reader.close().await.unwrap();
    }

    #[tokio::test]
    async fn rows_that_change_are_told_with_those_of_triggers() {
        let (_dir, mut one, _other) = opened(Duration::from_secs(60)).await;
        one.batch(
            "CREATE TABLE u (n INTEGER); CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO u VALUES (new.n); END",
        )
        .await
        .unwrap();
        let touched = one.tell_changed_rows().unwrap();
        one.batch("INSERT INTO t VALUES (1), (2)").await.unwrap();
        one.tell_no_changed_rows().unwrap();
        one.batch("INSERT INTO t VALUES (3)").await.unwrap();
        assert_eq!((touched.rows("T"), touched.rows("u"), touched.rows("v")), (2, 2, 0));
    }
}
