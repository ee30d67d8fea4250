//! What the host says of a table.

use crate::contract::{ColumnInfo, Value};
use crate::error::{Error, Result};
use crate::value::Kind;

/// A table that this job may use, with the columns that it may use there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    name: String,
    columns: Vec<ColumnInfo>,
}

impl Table {
    pub(crate) const fn new(name: String, columns: Vec<ColumnInfo>) -> Self {
        Self { name, columns }
    }

    /// The table, as the manifest calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns: the key's first, in key order, the rest by name.
    #[must_use]
    pub fn columns(&self) -> &[ColumnInfo] {
        &self.columns
    }

    /// The column with this name, if it is bound, requested and granted.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnInfo> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether there is such a column for this job.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.column(name).is_some()
    }

    /// The columns of the key, in their order.
    pub fn key(&self) -> impl Iterator<Item = &ColumnInfo> {
        self.columns.iter().filter(|column| column.key)
    }
}

impl ColumnInfo {
    /// What the column holds.
    ///
    /// # Errors
    /// A failure `KIND_UNKNOWN` for a kind that this version of the SDK does not know.
    pub fn kind(&self) -> Result<Kind> {
        Kind::from_word(&self.kind)
            .ok_or_else(|| Error::failure("KIND_UNKNOWN", format!("column `{}` has kind `{}`", self.name, self.kind)))
    }

    /// Reads what a person typed for this column; `None` stands for NULL.
    ///
    /// # Errors
    /// A failure `VALUE_UNREADABLE` that names the column and what it holds.
    pub fn parse(&self, text: Option<&str>) -> Result<Value> {
        let Some(text) = text else { return Ok(Value::Null) };
        self.kind()?.parse(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Error::failure("VALUE_UNREADABLE", format!("column `{}` holds {}, not `{shown}`", self.name, self.kind))
        })
    }
}
