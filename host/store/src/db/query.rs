//! A statement, its parameters and its rows, on either engine.

use std::sync::Arc;

use mendwright_sqlite::rusqlite;
use mendwright_sqlite::rusqlite::types::{ToSqlOutput, Value, ValueRef};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Decode, Postgres, Row as _, Type};

use super::sqlite::fault;
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

impl rusqlite::ToSql for Param {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(Some(value)) => ValueRef::Integer(*value),
            Self::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Self::Integer(None) | Self::Text(None) => ValueRef::Null,
        }))
    }
}

/// A row of an answer.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(LiteRow),
    Postgres(PgRow),
}

/// A row of SQLite's.
#[derive(Debug)]
pub(crate) struct LiteRow {
    /// Those of all rows of an answer.
    columns: Arc<[String]>,
    values: Vec<Value>,
}

/// What a column can hold.
pub(crate) trait Cell: Sized + Type<Postgres> + for<'r> Decode<'r, Postgres> {
    /// As SQLite has it; nothing where it is something else.
    fn of(value: &Value) -> Option<Self>;
}

impl Cell for i64 {
    fn of(value: &Value) -> Option<Self> {
        if let Value::Integer(value) = value { Some(*value) } else { None }
    }
}

impl Cell for bool {
    fn of(value: &Value) -> Option<Self> {
        i64::of(value).map(|value| value != 0)
    }
}

impl Cell for String {
    fn of(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }
}

impl Cell for Vec<u8> {
    fn of(value: &Value) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes.clone()) } else { None }
    }
}

impl<T: Cell> Cell for Option<T> {
    fn of(value: &Value) -> Option<Self> {
        if *value == Value::Null { Some(None) } else { T::of(value).map(Some) }
    }
}

impl LiteRow {
    /// A row of an answer whose first one says how its `columns` are called.
    fn read(row: &rusqlite::Row<'_>, columns: &mut Option<Arc<[String]>>) -> rusqlite::Result<Self> {
        let names = || row.as_ref().column_names().into_iter().map(ToOwned::to_owned).collect();
        let columns = Arc::clone(columns.get_or_insert_with(names));
        let cell = |at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(i) => Value::Integer(i),
                ValueRef::Real(x) => Value::Real(x),
                // What is no text is none for us either.
                ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => Value::Text(text.to_owned()),
                    Err(_) => Value::Blob(bytes.to_vec()),
                },
                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
            })
        };
        let values = (0..columns.len()).map(cell).collect::<rusqlite::Result<_>>()?;
        Ok(Self { columns, values })
    }

    fn get<T: Cell>(&self, at: Option<usize>, column: &str) -> sqlx::Result<T> {
        let value = at.and_then(|at| self.values.get(at));
        let value = value.ok_or_else(|| sqlx::Error::ColumnNotFound(column.to_owned()))?;
        T::of(value).ok_or_else(|| sqlx::Error::ColumnDecode {
            index: format!("{column:?}"),
            source: format!("it holds {}", value.data_type()).into(),
        })
    }
}

impl Row {
    /// The value of a column.
    pub(crate) fn try_get<T: Cell>(&self, column: &str) -> sqlx::Result<T> {
        match self {
            Self::Sqlite(row) => row.get(row.columns.iter().position(|name| name == column), column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// The value of the first column.
    pub(crate) fn first<T: Cell>(&self) -> sqlx::Result<T> {
        match self {
            Self::Sqlite(row) => row.get(Some(0), "0"),
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

/// A statement with SQLite's own parameters. Where each stands once, in order, they have no numbers: SQLite
/// looks a number up among all of them.
fn unnumbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    let mut in_order = true;
    for (n, part) in sql.split('$').enumerate() {
        if n > 0 {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            in_order &= part.split_at(digits).0.parse() == Ok(n);
            if !in_order {
                break;
            }
            out.push('?');
            out.push_str(part.split_at(digits).1);
        } else {
            out.push_str(part);
        }
    }
    if in_order { out } else { sql.replace('$', "?") }
}

impl Query {
    /// The next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Param>) -> Self {
        self.params.push(value.into());
        self
    }

    fn for_postgres(self) -> sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments> {
        let query = sqlx::query::<Postgres>(AssertSqlSafe(self.sql));
        self.params.into_iter().fold(query, |query, param| match param {
            Param::Integer(value) => query.bind(value),
            Param::Text(value) => query.bind(value),
        })
    }

    /// Runs it; gives how many rows it wrote.
    pub(crate) async fn execute(self, conn: Conn<'_>) -> sqlx::Result<u64> {
        match conn {
            Conn::Sqlite(file) => file.execute(&unnumbered(&self.sql), &self.params).await.map_err(fault),
            Conn::Postgres(server) => Ok(server.answer(|on| self.for_postgres().execute(on)).await?.rows_affected()),
        }
    }

    /// Every row.
    pub(crate) async fn all(self, conn: Conn<'_>) -> sqlx::Result<Vec<Row>> {
        match conn {
            Conn::Sqlite(file) => {
                let mut columns = None;
                let read = |row: &rusqlite::Row<'_>| LiteRow::read(row, &mut columns).map(Row::Sqlite);
                file.rows(&unnumbered(&self.sql), &self.params, read).await.map_err(fault)
            }
            Conn::Postgres(server) => {
                let rows = server.answer(|on| self.for_postgres().fetch_all(on)).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(crate) async fn optional(self, conn: Conn<'_>) -> sqlx::Result<Option<Row>> {
        match conn {
            Conn::Sqlite(_) => Ok(self.all(conn).await?.into_iter().next()),
            Conn::Postgres(server) => {
                let row = server.answer(|on| self.for_postgres().fetch_optional(on)).await?;
                Ok(row.map(Row::Postgres))
            }
        }
    }

    /// The first column of the first row, if there is one.
    pub(crate) async fn scalar<T: Cell>(self, conn: Conn<'_>) -> sqlx::Result<Option<T>> {
        self.optional(conn).await?.map(|row| row.first()).transpose()
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

    #[test]
    fn parameters_have_no_numbers_where_each_stands_once_in_order() {
        assert_eq!(unnumbered("INSERT INTO t VALUES ($1, $2), ($3, $4)"), "INSERT INTO t VALUES (?, ?), (?, ?)");
        assert_eq!(unnumbered("SELECT a FROM t"), "SELECT a FROM t");
        for sql in ["a = $1 AND b = $1", "a = $2 AND b = $1", "a = $2"] {
            assert_eq!(unnumbered(sql), sql.replace('$', "?"));
        }
    }
}
