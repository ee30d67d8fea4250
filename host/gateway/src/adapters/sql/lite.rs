//! A SQLite target's values, as the library binds and gives them.

use mendwright_core::code::Code;
use mendwright_sqlite::rusqlite::types::{ToSqlOutput, ValueRef};
use mendwright_sqlite::rusqlite::{self, Row, ToSql};

use super::connection::{Arg, RawRow};
use super::raw::Raw;
use crate::error::{Error, Result};

/// A row of a result.
pub(super) fn raw_row(row: &Row<'_>) -> Result<RawRow> {
    let width = row.as_ref().column_count();
    (0..width)
        .map(|at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => Raw::Null,
                ValueRef::Integer(i) => Raw::Integer(i),
                ValueRef::Real(x) => Raw::Real(x),
                ValueRef::Text(bytes) => match String::from_utf8(bytes.to_vec()) {
                    Ok(text) => Raw::Text(text),
                    Err(_) => return Err(not_utf8(row, at)),
                },
                ValueRef::Blob(bytes) => Raw::Blob(bytes.to_vec()),
            })
        })
        .collect()
}

fn not_utf8(row: &Row<'_>, at: usize) -> Error {
    let column = row.as_ref().column_name(at).unwrap_or_default();
    let column = mendwright_core::text::escape_short(column, 60);
    Error::refused(Code::ValueUnreadable, format!("column `{column}` holds text that is not UTF-8"))
}

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
