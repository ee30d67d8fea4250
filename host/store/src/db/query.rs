//! A statement, its parameters and its rows, on either engine.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Decode, Postgres, Row as _, Sqlite, Type};

use super::{Conn, Engine};

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

/// Rows that one statement inserts: `into` is `table (columns)`, in the order of each row's values; `rest` is
/// what follows them, or nothing.
pub(crate) fn insert<const WIDTH: usize>(
    into: &str,
    rows: impl IntoIterator<Item = [Param; WIDTH]>,
    rest: &str,
) -> Query {
    let mut sql = format!("INSERT INTO {into} VALUES ");
    let mut params = Vec::new();
    for row in rows {
        let first = params.len() + 1;
        let places: Vec<String> = (first..first + WIDTH).map(|n| format!("${n}")).collect();
        let comma = if params.is_empty() { "" } else { ", " };
        sql.push_str(&format!("{comma}({})", places.join(", ")));
        params.extend(row);
    }
    sql.push(' ');
    sql.push_str(rest);
    Query { sql: sql.into(), params }
}

/// Runs statements that write and give no rows, and of which none sees what another one wrote: on PostgreSQL
/// in one round trip.
pub(crate) async fn together(mut conn: Conn<'_>, queries: Vec<Query>) -> sqlx::Result<()> {
    if conn.engine() == Engine::Sqlite || queries.len() == 1 {
        for query in queries {
            query.execute(conn.reborrow()).await?;
        }
        return Ok(());
    }
    let Some(one) = joined(queries) else { return Ok(()) };
    one.execute(conn).await.map(drop)
}

/// Statements as parts of one, their parameters counted through; `None` for none.
fn joined(queries: Vec<Query>) -> Option<Query> {
    let (mut sql, mut params) = ("WITH ".to_owned(), Vec::new());
    for (n, query) in queries.into_iter().enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        sql.push_str(&format!("{comma}q{n} AS ("));
        shift(&mut sql, &query.sql, params.len());
        sql.push(')');
        params.extend(query.params);
    }
    sql.push_str(" SELECT 1");
    (!params.is_empty()).then(|| Query { sql: sql.into(), params })
}

/// Writes a statement with each of its parameters `by` numbers further on. Ours have no `$` but theirs.
fn shift(out: &mut String, sql: &str, by: usize) {
    let mut parts = sql.split('$');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(digits);
        let number = number.parse::<usize>().unwrap_or(0) + by;
        out.push_str(&format!("${number}{rest}"));
    }
}

/// Binds the parameters of a statement on whichever engine the connection has, and runs `$sqlite` or
/// `$postgres` with it.
macro_rules! on {
    ($self:ident, $conn:ident, |$query:ident, $on:ident| $sqlite:expr, $postgres:expr) => {{
        let Query { sql, params } = $self;
        match $conn {
            Conn::Sqlite($on) => {
                let $query = bound!(Sqlite, sql, params);
                $sqlite
            }
            Conn::Postgres($on) => {
                let $query = bound!(Postgres, sql, params);
                $postgres
            }
        }
    }};
}

macro_rules! bound {
    ($engine:ty, $sql:ident, $params:ident) => {
        $params.into_iter().fold(sqlx::query::<$engine>(AssertSqlSafe($sql)), |query, param| match param {
            Param::Integer(value) => query.bind(value),
            Param::Text(value) => query.bind(value),
        })
    };
}

impl Query {
    /// The next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Param>) -> Self {
        self.params.push(value.into());
        self
    }

    /// Runs it; gives how many rows it wrote.
    pub(crate) async fn execute(self, conn: Conn<'_>) -> sqlx::Result<u64> {
        on!(
            self,
            conn,
            |query, on| query.execute(on).await.map(|done| done.rows_affected()),
            on.answer(|on| query.execute(on)).await.map(|done| done.rows_affected())
        )
    }

    /// Every row.
    pub(crate) async fn all(self, conn: Conn<'_>) -> sqlx::Result<Vec<Row>> {
        Ok(on!(
            self,
            conn,
            |query, on| query.fetch_all(on).await?.into_iter().map(Row::Sqlite).collect(),
            on.answer(|on| query.fetch_all(on)).await?.into_iter().map(Row::Postgres).collect()
        ))
    }

    /// The first row, if there is one.
    pub(crate) async fn optional(self, conn: Conn<'_>) -> sqlx::Result<Option<Row>> {
        Ok(on!(
            self,
            conn,
            |query, on| query.fetch_optional(on).await?.map(Row::Sqlite),
            on.answer(|on| query.fetch_optional(on)).await?.map(Row::Postgres)
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
            |query, on| query.fetch(on).map(|row| row.map(Row::Sqlite)).boxed(),
            on.rows(|on| query.fetch(on)).map(|row| row.map(Row::Postgres)).boxed()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_statements_that_go_together_are_counted_through() {
        let rows = insert("t (a, b)", [[1.into(), "x".into()], [2.into(), "y".into()]], "ON CONFLICT DO NOTHING");
        assert_eq!(&*rows.sql, "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING");
        let other = query("UPDATE u SET c = $2 WHERE d = $1").bind(3).bind("z");
        let joined = joined(vec![rows, other]).unwrap();
        assert!(joined.sql.ends_with("q1 AS (UPDATE u SET c = $6 WHERE d = $5) SELECT 1"), "{}", joined.sql);
        assert_eq!(joined.params.len(), 6);
    }
}
