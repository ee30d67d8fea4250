//! SQLite by prepared statements, one row at a time, on the connection's own handle.
//!
//! The driver of the other statements hands each of them to a thread of its own: some ten microseconds
//! a statement, where SQLite itself writes a row in one. A flush of a hundred thousand rows is the
//! difference between a tenth of a second and seconds.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, Statement, ToSql};
use tokio::runtime::RuntimeFlavor;

use super::connection::{Arg, Connection, RawRow};
use super::raw::Raw;
use crate::error::{Error, Result};
use mendwright_core::code::Code;

impl ToSql for Raw {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(i) => ValueRef::Integer(*i),
            Self::Real(x) => ValueRef::Real(*x),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl ToSql for Arg {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Raw(raw) => raw.to_sql(),
            Self::Int(i) => Ok(ToSqlOutput::Borrowed(ValueRef::Integer(*i))),
            // PostgreSQL's.
            Self::Texts(_) | Self::Ints(_) => Ok(ToSqlOutput::Borrowed(ValueRef::Null)),
        }
    }
}

impl Connection {
    /// Lets `work` use the SQLite handle. The driver's thread waits meanwhile, and `work` awaits
    /// nothing: other tasks of this thread are handed to another one, where there is one.
    ///
    /// # Errors
    /// What `work` says; an internal error on PostgreSQL.
    pub(super) async fn on_sqlite<T>(&mut self, work: impl FnOnce(&rusqlite::Connection) -> Result<T>) -> Result<T> {
        let Self::Sqlite(connection, _) = self else {
            return Err(Error::Internal("a statement of SQLite was to run elsewhere".to_owned()));
        };
        let mut handle = connection.lock_handle().await?;
        // SAFETY: the handle is open as long as `handle` is held, and used by nobody else until then: the
        // lock keeps the driver's thread away. What borrows it is dropped first, and does not close it.
        #[expect(unsafe_code, reason = "two wrappers of one C library meet at its handle")]
        let borrowed = unsafe { rusqlite::Connection::from_handle(handle.as_raw_handle().as_ptr().cast()) }?;
        match tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| work(&borrowed)),
            _ => work(&borrowed),
        }
    }
}

/// Binds values from the first parameter on.
pub(super) fn bind<'a, T: ToSql + 'a>(
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

/// A row of a result.
pub(super) fn raw_row(row: &Row<'_>, width: usize) -> Result<RawRow> {
    (0..width)
        .map(|at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => Raw::Null,
                ValueRef::Integer(i) => Raw::Integer(i),
                ValueRef::Real(x) => Raw::Real(x),
                ValueRef::Text(bytes) => Raw::Text(String::from_utf8(bytes.to_vec()).map_err(|_| {
                    Error::refused(Code::ValueUnreadable, "a column that was read holds text that is not UTF-8")
                })?),
                ValueRef::Blob(bytes) => Raw::Blob(bytes.to_vec()),
            })
        })
        .collect()
}
