//! One connection to a target, of either engine, set up so that it prints values in one way.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _, Row as _, SqliteConnection, ValueRef as _,
};

use mendwright_core::code::Code;

use super::engine::Engine;
use super::raw::Raw;
use super::server::{Joins, Server};
use crate::error::{Driver, Error, Result};
use crate::target::Target;

/// SQLite before this can corrupt a WAL database when it resets the log.
const SQLITE_VERSION_MIN: i64 = 3_051_003;

/// How many virtual machine steps SQLite goes between two looks at the deadline.
const SQLITE_STEPS_BETWEEN_LOOKS: i32 = 4_000;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Reads only; cannot write whatever happens.
    Read,
    /// May write.
    Write,
}

/// A parameter of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Raw(Raw),
    Int(i64),
    /// PostgreSQL only: a column of values.
    Texts(Vec<Option<String>>),
    /// PostgreSQL only: a column of numbers.
    Ints(Vec<i64>),
}

impl Arg {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Raw(Raw::Text(text.into()))
    }
}

/// One row of a result.
pub(crate) type RawRow = Vec<Raw>;

/// A connection to a target.
pub(crate) enum Connection {
    Sqlite(Box<SqliteConnection>, Deadline),
    Postgres(Box<Server>),
}

/// Table → the rows of it that changed, by number; as SQLite tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched(Arc<Mutex<BTreeMap<String, BTreeSet<i64>>>>);

impl Touched {
    /// How many rows of a table changed.
    pub(crate) fn rows(&self, table: &str) -> u64 {
        let touched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = touched.iter().filter(|(name, _)| name.eq_ignore_ascii_case(table));
        own.map(|(_, rows)| u64::try_from(rows.len()).unwrap_or(u64::MAX)).sum()
    }

    fn note(&self, table: &str, row: i64) {
        let mut touched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match touched.get_mut(table) {
            Some(rows) => drop(rows.insert(row)),
            None => drop(touched.insert(table.to_owned(), [row].into())),
        }
    }
}

/// When a SQLite statement has to stop, in milliseconds since `start`; 0 is never.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    at_ms: Arc<AtomicU64>,
}

impl Deadline {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "measures how long a statement takes")]
        let start = Instant::now();
        Self { start, at_ms: Arc::new(AtomicU64::new(0)) }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn set(&self, within: Duration) {
        let ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        self.at_ms.store(self.now_ms().saturating_add(ms).max(1), Ordering::Relaxed);
    }

    fn clear(&self) {
        self.at_ms.store(0, Ordering::Relaxed);
    }

    fn has_passed(&self) -> bool {
        let at = self.at_ms.load(Ordering::Relaxed);
        at != 0 && self.now_ms() >= at
    }
}

impl Connection {
    /// Opens a connection with the settings that everything here relies on, or takes one that waits.
    pub(crate) async fn open(target: &Target, role: Role) -> Result<Self> {
        if let Some(waits) = target.pool.take(target, role).await {
            return Ok(waits);
        }
        let url = match role {
            Role::Read => target.read_url.as_ref().unwrap_or(&target.url),
            Role::Write => &target.url,
        };
        match target.engine {
            Engine::Sqlite => Self::open_sqlite(url, role, target).await,
            Engine::Postgres => Self::open_postgres(url, role, target).await,
        }
        .map_err(|error| {
            if let Error::Unavailable { code: Code::TargetUnavailable, source, .. } = error {
                let message = format!("database `{}` cannot be reached{}", target.name, at_path(target, url));
                return Error::Unavailable { code: Code::TargetUnavailable, message, source };
            }
            error
        })
    }

    async fn open_sqlite(url: &str, role: Role, target: &Target) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(false)
            .foreign_keys(true)
            .busy_timeout(target.lock_timeout)
            .read_only(role == Role::Read);
        let options = match role {
            Role::Read => options.pragma("query_only", "1"),
            Role::Write => options.synchronous(SqliteSynchronous::Full),
        };
        let mut connection = options.connect().await?;
        let deadline = Deadline::new();
        let watch = deadline.clone();
        connection.lock_handle().await?.set_progress_handler(SQLITE_STEPS_BETWEEN_LOOKS, move || !watch.has_passed());
        let mut connection = Self::Sqlite(Box::new(connection), deadline);
        let version = connection.one("SELECT sqlite_version()", vec![]).await?;
        let found = version.text().map(version_number).unwrap_or(0);
        if found < SQLITE_VERSION_MIN {
            return Err(Error::refused(
                Code::TargetUnsafe,
                "this SQLite library is older than 3.51.3 and can corrupt a WAL database",
            ));
        }
        Ok(connection)
    }

    async fn open_postgres(url: &str, role: Role, target: &Target) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)?.application_name("mendwright").extra_float_digits(1);
        let mut connection = Self::Postgres(Box::new(Server::connect(&options, target.statement_timeout, role).await?));
        connection.batch(&settings(target, role)).await?;
        Ok(connection)
    }

    /// Makes it what it was when it was opened, whatever was done with it.
    pub(super) async fn renew(&mut self, target: &Target, role: Role) -> Result<()> {
        match self {
            Self::Sqlite(_, deadline) => {
                deadline.clear();
                // There may be no transaction.
                let _ = self.batch("ROLLBACK").await;
                Ok(())
            }
            Self::Postgres(server) => {
                server.joins = Joins::of(role);
                self.batch(&format!("ROLLBACK; RESET ALL; {}", settings(target, role))).await
            }
        }
    }

    pub(crate) const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(..) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// From now on a statement may take this long.
    pub(crate) async fn limit_statements(&mut self, within: Duration) -> Result<()> {
        match self {
            Self::Sqlite(_, deadline) => {
                deadline.set(within);
                Ok(())
            }
            Self::Postgres(server) => {
                server.limit(within);
                let ms = within.as_millis().max(1);
                self.batch(&format!("SET statement_timeout = {ms}")).await
            }
        }
    }

    /// SQLite: statements may take as long as they like again.
    pub(crate) fn lift_limit(&mut self) {
        if let Self::Sqlite(_, deadline) = self {
            deadline.clear();
        }
    }

    /// SQLite: from now on a statement ends as at its deadline when this says so. It is asked by whichever
    /// thread runs the statement, every few thousand steps of it.
    pub(crate) async fn end_when(&mut self, ends: impl Fn() -> bool + Send + 'static) -> Result<()> {
        if let Self::Sqlite(connection, deadline) = self {
            let watch = deadline.clone();
            let goes_on = move || !watch.has_passed() && !ends();
            connection.lock_handle().await?.set_progress_handler(SQLITE_STEPS_BETWEEN_LOOKS, goes_on);
        }
        Ok(())
    }

    /// SQLite: from now on notes every row that changes, by whatever statement or trigger.
    pub(crate) async fn tell_changed_rows(&mut self) -> Result<Touched> {
        let touched = Touched::default();
        if let Self::Sqlite(connection, _) = self {
            let noted = touched.clone();
            connection.lock_handle().await?.set_update_hook(move |change| noted.note(change.table, change.rowid));
        }
        Ok(touched)
    }

    /// SQLite: notes no more.
    pub(crate) async fn tell_no_changed_rows(&mut self) -> Result<()> {
        if let Self::Sqlite(connection, _) = self {
            connection.lock_handle().await?.remove_update_hook();
        }
        Ok(())
    }

    /// Runs statements without parameters or results.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<()> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection, _) => sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop),
            Self::Postgres(server) => server.answer(|on| sqlx::raw_sql(sql).execute(on)).await.map(drop),
        }
        .map_err(Error::from)
    }

    /// Runs one statement and says how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64> {
        self.execute_raw(sql, args).await.map_err(Error::from)
    }

    /// [`Connection::execute`] with the driver's own error.
    pub(crate) async fn execute_raw(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64, sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection, _) => {
                let done = bind_sqlite(sqlx::query(sql), args).execute(&mut **connection).await?;
                Ok(done.rows_affected())
            }
            Self::Postgres(server) => {
                let done = server.answer(|on| bind_postgres(sqlx::query(sql), args).execute(on)).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs one query. On PostgreSQL each column of the result must be text.
    pub(crate) async fn rows(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<RawRow>> {
        if let Self::Postgres(server) = self
            && server.joins == Joins::ByKeyNow
        {
            server.joins = Joins::Any;
            self.batch("RESET enable_hashjoin; RESET enable_mergejoin").await?;
        }
        self.rows_as_it_is(sql, args).await
    }

    async fn rows_as_it_is(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<RawRow>> {
        let sql = AssertSqlSafe(sql.to_owned());
        let mut rows = Vec::new();
        match self {
            Self::Sqlite(connection, _) => {
                let mut stream = bind_sqlite(sqlx::query(sql), args).fetch(&mut **connection);
                while let Some(row) = stream.try_next().await? {
                    rows.push(decode_sqlite(&row)?);
                }
            }
            Self::Postgres(server) => {
                let decoded = server.answer(|on| async {
                    let mut stream = bind_postgres(sqlx::query(sql), args).fetch(on);
                    while let Some(row) = stream.try_next().await? {
                        match decode_postgres(&row) {
                            Ok(row) => rows.push(row),
                            Err(error) => return Ok(Err(error)),
                        }
                    }
                    Ok(Ok(()))
                });
                decoded.await??;
            }
        }
        Ok(rows)
    }

    /// [`Connection::rows`] for a statement that joins a list of wanted keys with their table. PostgreSQL
    /// finds each by its index: it would read the whole table for a thousand of them where it takes that
    /// for cheaper, and a table may be of any size.
    pub(crate) async fn rows_by_key(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<RawRow>> {
        if let Self::Postgres(server) = self
            && server.joins == Joins::Any
        {
            server.joins = Joins::ByKeyNow;
            self.batch(BY_KEY).await?;
        }
        self.rows_as_it_is(sql, args).await
    }

    /// The first column of the only row; NULL where there is none.
    pub(crate) async fn one(&mut self, sql: &str, args: Vec<Arg>) -> Result<Raw> {
        Ok(self.rows(sql, args).await?.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or(Raw::Null))
    }

    /// The one number that a `count(*)` gives.
    pub(crate) async fn count(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64> {
        let n = self.one(sql, args).await?.integer().unwrap_or(0);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Closes it in good order; an error then no longer matters.
    pub(crate) async fn close(self) {
        let closed = match self {
            Self::Sqlite(connection, _) => connection.close().await,
            Self::Postgres(server) => server.close().await,
        };
        if let Err(error) = closed {
            tracing::debug!(error = Driver::from(error).harmless(), "closing a target's connection");
        }
    }
}

/// Lets PostgreSQL find each of a list of keys by its index.
const BY_KEY: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off";

/// PostgreSQL's settings for a session of ours.
fn settings(target: &Target, role: Role) -> String {
    // A trigger's NOTICE can say what a row holds, and the driver would log it.
    let more = if role == Role::Read { "SET default_transaction_read_only = on;" } else { BY_KEY };
    format!(
        "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601';
         SET bytea_output = 'hex'; SET standard_conforming_strings = on;
         SET client_min_messages = error;
         SET lock_timeout = {}; SET statement_timeout = {}; {more}",
        target.lock_timeout.as_millis(),
        target.statement_timeout.as_millis(),
    )
}

fn at_path(target: &Target, url: &str) -> String {
    match target.engine {
        // A file name is no secret, and it is what one looks at first.
        Engine::Sqlite => format!(" ({})", url.trim_start_matches("sqlite:").split('?').next().unwrap_or_default()),
        Engine::Postgres => String::new(),
    }
}

/// `3.51.3` as 3051003.
fn version_number(text: &str) -> i64 {
    text.split('.').map(|part| part.parse::<i64>().unwrap_or(0)).fold(0, |sum, part| sum * 1_000 + part)
}

type SqliteQuery<'q> = sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;
type PostgresQuery<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

pub(super) fn bind_sqlite(mut query: SqliteQuery<'_>, args: Vec<Arg>) -> SqliteQuery<'_> {
    for arg in args {
        query = match arg {
            Arg::Raw(Raw::Null) | Arg::Texts(_) | Arg::Ints(_) => query.bind(None::<i64>),
            Arg::Raw(Raw::Integer(i)) | Arg::Int(i) => query.bind(i),
            Arg::Raw(Raw::Real(x)) => query.bind(x),
            Arg::Raw(Raw::Text(t)) => query.bind(t),
            Arg::Raw(Raw::Blob(b)) => query.bind(b),
        };
    }
    query
}

pub(super) fn bind_postgres(mut query: PostgresQuery<'_>, args: Vec<Arg>) -> PostgresQuery<'_> {
    for arg in args {
        query = match arg {
            Arg::Int(i) => query.bind(i),
            Arg::Texts(texts) => query.bind(texts),
            Arg::Ints(ints) => query.bind(ints),
            Arg::Raw(Raw::Text(t)) => query.bind(t),
            Arg::Raw(Raw::Null) => query.bind(None::<String>),
            // Never stored by PostgreSQL's side of things; said as text, so that a slip shows as a
            // type error there and not as another value.
            Arg::Raw(raw @ (Raw::Integer(_) | Raw::Real(_) | Raw::Blob(_))) => query.bind(raw.tagged()),
        };
    }
    query
}

pub(super) fn decode_sqlite(row: &SqliteRow) -> Result<RawRow> {
    let mut values = Vec::with_capacity(row.len());
    for column in row.columns() {
        let value = row.try_get_raw(column.ordinal())?;
        if value.is_null() {
            values.push(Raw::Null);
            continue;
        }
        let kind = value.type_info().into_owned();
        let at = column.ordinal();
        values.push(match sqlx::TypeInfo::name(&kind) {
            "INTEGER" => Raw::Integer(row.try_get_unchecked(at)?),
            "REAL" => Raw::Real(row.try_get_unchecked(at)?),
            "TEXT" => {
                let bytes: Vec<u8> = row.try_get_unchecked(at)?;
                Raw::Text(String::from_utf8(bytes).map_err(|_| not_utf8(column.name()))?)
            }
            _ => Raw::Blob(row.try_get_unchecked(at)?),
        });
    }
    Ok(values)
}

fn not_utf8(column: &str) -> Error {
    Error::refused(
        Code::ValueUnreadable,
        format!("column `{}` holds text that is not UTF-8", mendwright_core::text::escape_short(column, 60)),
    )
}

pub(super) fn decode_postgres(row: &PgRow) -> Result<RawRow> {
    (0..row.len()).map(|at| Ok(row.try_get_unchecked::<Option<String>, _>(at)?.map_or(Raw::Null, Raw::Text))).collect()
}
