//! Both engines alike: every value is read as text.

use std::path::Path;

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

/// Which engine a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// One connection.
#[derive(Debug)]
pub enum Db {
    /// To a file.
    Sqlite(sqlx::SqliteConnection),
    /// To a server.
    Postgres(sqlx::PgConnection),
}

/// A row's values; NULL is `None`.
pub(crate) type Row = Vec<Option<String>>;

impl Db {
    /// Opens a file.
    ///
    /// # Errors
    /// It is none.
    pub async fn file(path: &Path) -> anyhow::Result<Self> {
        let url = format!("sqlite:{}", path.display());
        Ok(Self::Sqlite(sqlx::SqliteConnection::connect(&url).await.with_context(|| url)?))
    }

    /// Connects to a server.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn server(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Postgres(sqlx::PgConnection::connect(url).await.with_context(|| url.to_owned())?))
    }

    /// Which engine it is.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs statements.
    ///
    /// # Errors
    /// As the database says.
    pub async fn run(&mut self, sql: &str) -> anyhow::Result<()> {
        let statements = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(db) => sqlx::raw_sql(statements).execute(db).await.map(drop),
            Self::Postgres(db) => sqlx::raw_sql(statements).execute(db).await.map(drop),
        }
        .with_context(|| sql.to_owned())
    }

    /// Rows of one statement, whose every column must be text.
    pub(crate) async fn rows(&mut self, sql: &str) -> anyhow::Result<Vec<Row>> {
        let statement = AssertSqlSafe(sql.to_owned());
        let rows: sqlx::Result<Vec<Row>> = match self {
            Self::Sqlite(db) => sqlx::query(statement).fetch_all(db).await.and_then(|rows| {
                let read = |row: &sqlx::sqlite::SqliteRow| (0..row.len()).map(|n| row.try_get(n)).collect();
                rows.iter().map(read).collect()
            }),
            Self::Postgres(db) => sqlx::query(statement).fetch_all(db).await.and_then(|rows| {
                let read = |row: &sqlx::postgres::PgRow| (0..row.len()).map(|n| row.try_get(n)).collect();
                rows.iter().map(read).collect()
            }),
        };
        rows.with_context(|| sql.to_owned())
    }

    /// These columns as text, of this table or join.
    pub(crate) async fn table(&mut self, columns: &[&str], rest: &str) -> anyhow::Result<Vec<Row>> {
        // Under other names, so that ORDER BY means the columns as they are: 10 comes after 9.
        let named = |(n, column): (usize, &&str)| format!("CAST({column} AS TEXT) AS text_{n}");
        let columns: Vec<String> = columns.iter().enumerate().map(named).collect();
        self.rows(&format!("SELECT {} FROM {rest}", columns.join(", "))).await
    }

    /// The name of one of the host's own tables in a target.
    pub(crate) fn own(&self, table: &str) -> String {
        match self.engine() {
            Engine::Sqlite => format!("mendwright_{table}"),
            Engine::Postgres => format!("mendwright.{table}"),
        }
    }
}

/// One value of a row.
pub(crate) fn cell(row: &Row, n: usize) -> &Option<String> {
    row.get(n).unwrap_or(&None)
}

/// One value that is there.
pub(crate) fn text(row: &Row, n: usize) -> anyhow::Result<String> {
    cell(row, n).clone().with_context(|| format!("column {n} is NULL in {row:?}"))
}

/// A value that is a number.
pub(crate) fn integer(value: &Option<String>) -> anyhow::Result<i64> {
    let text = value.as_deref().context("NULL where a number should be")?;
    text.parse().with_context(|| text.to_owned())
}

/// One number of a row.
pub(crate) fn int(row: &Row, n: usize) -> anyhow::Result<i64> {
    integer(cell(row, n)).with_context(|| format!("column {n} of {row:?}"))
}
