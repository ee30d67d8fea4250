//! A statement, its parameters and its rows, on either engine.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Decode, Postgres, Row as _, Sqlite, Type};

use super::Conn;

/// A parameter.
#[derive(Clone, Debug)]
pub(crate) enum Param {
    Integer(Option<i64>),
    Text(Option<String>),
}

/// PostgreSQL's texts cannot hold U+0000; on both engines its picture stands for it.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

impl From<i64> for Param {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<Option<i64>> for Param {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Self::Text(Some(storable(value)))
    }
}

impl From<String> for Param {
    fn from(value: String) -> Self {
        Self::Text(Some(if value.contains('\0') { storable(&value) } else { value }))
    }
}

impl From<Option<String>> for Param {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::Text(None), Self::from)
    }
}

impl From<Option<&str>> for Param {
    fn from(value: Option<&str>) -> Self {
        value.map_or(Self::Text(None), Self::from)
    }
}

/// A row of an answer.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column.
    pub(crate) fn try_get<T>(&self, column: &str) -> sqlx::Result<T>
    where
        T: Type<Sqlite> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// The value of the first column.
    pub(crate) fn first<T>(&self) -> sqlx::Result<T>
    where
        T: Type<Sqlite> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(0),
            Self::Postgres(row) => row.try_get(0),
        }
    }
}

/// A statement and its parameters. The text is ours: it holds no value of anybody.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    sql: Arc<str>,
    params: Vec<Param>,
}

/// A statement.
pub(crate) fn query(sql: impl Into<Arc<str>>) -> Query {
    Query { sql: sql.into(), params: Vec::new() }
}

/// Binds the parameters of a statement on whichever engine the connection has, lets `$run` have it, and
/// makes `$sqlite` or `$postgres` of what it found.
macro_rules! on {
    ($self:ident, $conn:ident, |$query:ident, $on:ident| $run:expr, |$found:ident| $sqlite:expr, $postgres:expr) => {{
        let Query { sql, params } = $self;
        match $conn {
            Conn::Sqlite($on) => {
                let mut $query = sqlx::query::<Sqlite>(AssertSqlSafe(sql));
                for param in params {
                    $query = match param {
                        Param::Integer(value) => $query.bind(value),
                        Param::Text(value) => $query.bind(value),
                    };
                }
                let $found = $run;
                $sqlite
            }
            Conn::Postgres($on) => {
                let mut $query = sqlx::query::<Postgres>(AssertSqlSafe(sql));
                for param in params {
                    $query = match param {
                        Param::Integer(value) => $query.bind(value),
                        Param::Text(value) => $query.bind(value),
                    };
                }
                let $found = $run;
                $postgres
            }
        }
    }};
}

impl Query {
    /// The next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Param>) -> Self {
        self.params.push(value.into());
        self
    }

    /// Runs it; gives how many rows it wrote.
    pub(crate) async fn execute(self, conn: Conn<'_>) -> sqlx::Result<u64> {
        Ok(on!(self, conn, |query, on| query.execute(on).await?, |done| done.rows_affected(), done.rows_affected()))
    }

    /// Every row.
    pub(crate) async fn all(self, conn: Conn<'_>) -> sqlx::Result<Vec<Row>> {
        Ok(on!(
            self,
            conn,
            |query, on| query.fetch_all(on).await?,
            |rows| rows.into_iter().map(Row::Sqlite).collect(),
            rows.into_iter().map(Row::Postgres).collect()
        ))
    }

    /// The first row, if there is one.
    pub(crate) async fn optional(self, conn: Conn<'_>) -> sqlx::Result<Option<Row>> {
        Ok(on!(
            self,
            conn,
            |query, on| query.fetch_optional(on).await?,
            |row| row.map(Row::Sqlite),
            row.map(Row::Postgres)
        ))
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn scalar<T>(self, conn: Conn<'_>) -> sqlx::Result<Option<T>>
    where
        T: Type<Sqlite> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + for<'r> Decode<'r, Postgres>,
    {
        self.optional(conn).await?.map(|row| row.first()).transpose()
    }

    /// The rows as they come.
    pub(crate) fn stream(self, conn: Conn<'_>) -> BoxStream<'_, sqlx::Result<Row>> {
        on!(
            self,
            conn,
            |query, on| query.fetch(on),
            |rows| rows.map(|row| row.map(Row::Sqlite)).boxed(),
            rows.map(|row| row.map(Row::Postgres)).boxed()
        )
    }
}
