//! One connection to a target, of either engine, set up so that it prints values in one way.

use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use futures::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, Row as _};

use mendwright_core::code::Code;
use mendwright_sqlite::{Access, File, Touched};

use super::engine::Engine;
use super::lite::raw_row;
use super::raw::Raw;
use super::server::{Joins, Server};
use crate::error::{Driver, Error, Result};
use crate::target::Target;

/// SQLite before this can corrupt a WAL database when it resets the log.
const SQLITE_VERSION_MIN: i64 = 3_051_003;

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
    Sqlite(Box<File>),
    Postgres(Box<Server>),
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
        let access = match role {
            Role::Read => Access::Read,
            Role::Write => Access::Write,
        };
        let file = File::open(sqlite_path(url), access, target.lock_timeout).await?;
        let mut connection = Self::Sqlite(Box::new(file));
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
            Self::Sqlite(file) => {
                file.renew();
                Ok(())
            }
            Self::Postgres(server) => {
                server.joins = Joins::of(role);
                server.limit(target.statement_timeout);
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
            Self::Sqlite(file) => {
                file.limit(within);
                Ok(())
            }
            Self::Postgres(server) if server.limited_to() == within => Ok(()),
            Self::Postgres(server) => {
                server.limit(within);
                let ms = within.as_millis().max(1);
                self.batch(&format!("SET statement_timeout = {ms}")).await
            }
        }
    }

    /// PostgreSQL: the number of the server's process and when it began, asked once for each connection.
    pub(crate) async fn backend(&mut self) -> Result<Option<[String; 2]>> {
        match self {
            Self::Sqlite(_) => return Ok(None),
            Self::Postgres(server) if server.backend.is_some() => return Ok(server.backend.clone()),
            Self::Postgres(_) => {}
        }
        let sql = "SELECT pid::text, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let found = self.rows(sql, vec![]).await?;
        let texts = found.into_iter().flatten().filter_map(|raw| raw.text().map(ToOwned::to_owned));
        let own = texts.collect::<Vec<_>>().try_into().ok();
        if let Self::Postgres(server) = self {
            server.backend.clone_from(&own);
        }
        Ok(own)
    }

    /// SQLite: statements may take as long as they like again.
    pub(crate) fn lift_limit(&mut self) {
        if let Self::Sqlite(file) = self {
            file.lift_limit();
        }
    }

    /// The SQLite file.
    ///
    /// # Errors
    /// It is PostgreSQL.
    pub(super) fn file(&mut self) -> Result<&mut File> {
        match self {
            Self::Sqlite(file) => Ok(file),
            Self::Postgres(_) => Err(Error::Internal("a statement of SQLite was to run elsewhere".to_owned())),
        }
    }

    /// SQLite: from now on notes every row that changes, by whatever statement or trigger.
    pub(crate) fn tell_changed_rows(&mut self) -> Result<Touched> {
        match self {
            Self::Sqlite(file) => Ok(file.tell_changed_rows()?),
            Self::Postgres(_) => Ok(Touched::default()),
        }
    }

    /// SQLite: notes no more.
    pub(crate) fn tell_no_changed_rows(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(file) => Ok(file.tell_no_changed_rows()?),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Runs statements without parameters or results.
    pub(crate) async fn batch(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(file) => Ok(file.batch(sql).await?),
            Self::Postgres(server) => {
                let sql = AssertSqlSafe(sql.to_owned());
                server.answer(|on| sqlx::raw_sql(sql).execute(on)).await?;
                Ok(())
            }
        }
    }

    /// Makes durable what the transaction wrote.
    pub(crate) async fn commit(&mut self) -> Result<()> {
        match self {
            Self::Sqlite(file) => Ok(file.commit().await?),
            Self::Postgres(_) => self.batch("COMMIT").await,
        }
    }

    /// Runs one statement and says how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &str, args: Vec<Arg>) -> Result<u64> {
        match self {
            Self::Sqlite(file) => Ok(file.execute(sql, &args).await?),
            Self::Postgres(server) => {
                let sql = AssertSqlSafe(sql.to_owned());
                let done = server.answer(|on| bind_postgres(sqlx::query(sql), args).execute(on)).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs one query. On PostgreSQL each column of the result must be text.
    pub(crate) async fn rows(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<RawRow>> {
        let server = match self {
            Self::Sqlite(file) => return file.rows(sql, &args, |row| Ok(raw_row(row))).await?.into_iter().collect(),
            Self::Postgres(server) => server,
        };
        let sql = AssertSqlSafe(sql.to_owned());
        let mut rows = Vec::new();
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
        Ok(rows)
    }

    /// Before a statement that joins whole tables: on a connection that reads, PostgreSQL joins as it likes again.
    pub(crate) async fn join_as_it_likes(&mut self) -> Result<()> {
        match self {
            Self::Postgres(server) if server.joins == Joins::ByKeyNow => {
                server.joins = Joins::Any;
                self.batch("RESET enable_hashjoin; RESET enable_mergejoin").await
            }
            Self::Sqlite(_) | Self::Postgres(_) => Ok(()),
        }
    }

    /// [`Connection::rows`] for a statement that joins a list of wanted keys with their table. PostgreSQL
    /// finds each by its index: it would read the whole table for a thousand of them where it takes that
    /// for cheaper, and a table may be of any size. What joins whole tables later says so.
    pub(crate) async fn rows_by_key(&mut self, sql: &str, args: Vec<Arg>) -> Result<Vec<RawRow>> {
        if let Self::Postgres(server) = self
            && server.joins == Joins::Any
        {
            server.joins = Joins::ByKeyNow;
            self.batch(BY_KEY).await?;
        }
        self.rows(sql, args).await
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
            Self::Sqlite(file) => file.close().await.map_err(Driver::from),
            Self::Postgres(server) => server.close().await.map_err(Driver::from),
        };
        if let Err(error) = closed {
            tracing::debug!(error = error.harmless(), "closing a target's connection");
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

/// The file that a `sqlite:` URL names.
pub(super) fn sqlite_path(url: &str) -> &Path {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    Path::new(path.strip_prefix("//").unwrap_or(path))
}

fn at_path(target: &Target, url: &str) -> String {
    match target.engine {
        // A file name is no secret, and it is what one looks at first.
        Engine::Sqlite => format!(" ({})", sqlite_path(url).display()),
        Engine::Postgres => String::new(),
    }
}

/// `3.51.3` as 3051003.
fn version_number(text: &str) -> i64 {
    text.split('.').map(|part| part.parse::<i64>().unwrap_or(0)).fold(0, |sum, part| sum * 1_000 + part)
}

type PostgresQuery<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind_postgres(mut query: PostgresQuery<'_>, args: Vec<Arg>) -> PostgresQuery<'_> {
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

fn decode_postgres(row: &PgRow) -> Result<RawRow> {
    (0..row.len()).map(|at| Ok(row.try_get_unchecked::<Option<String>, _>(at)?.map_or(Raw::Null, Raw::Text))).collect()
}
