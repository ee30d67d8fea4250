//! What a component can ask for, as traits.
//!
//! The sandbox turns the guest's calls into these; the gateway answers them, and so do the recorder
//! and the replayer of dry runs. Neither crate knows the other.

use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::change::Key;
use crate::code::Code;
use crate::kind::Kind;
use crate::page::Page;
use crate::value::Value;

/// A boxed future, so that the traits here can be objects.
pub type Future<'a, T> = Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;

/// What a refusal tells an author to do; the cases of the contract's `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// Not requested or not granted.
    Denied,
    /// No such table, column or row for this tenant.
    NotFound,
    /// The call makes no sense.
    Invalid,
    /// It contradicts what the run asked for before.
    Conflict,
    /// The world moved.
    Drifted,
    /// A budget is spent.
    BudgetExceeded,
    /// A switch stops the run.
    Halted,
    /// The system behind the call does not answer.
    Unavailable,
}

impl RefusalKind {
    /// Whether the run ends with this refusal even if the job goes on after it. A job may look for
    /// what is not there and try again what it got wrong; it may not shrug at a wall.
    #[must_use]
    pub const fn ends_the_run(self) -> bool {
        match self {
            Self::Denied | Self::Drifted | Self::BudgetExceeded | Self::Halted | Self::Unavailable => true,
            Self::NotFound | Self::Invalid | Self::Conflict => false,
        }
    }
}

/// The host's no to one call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Refusal {
    /// What an author can do about it.
    pub kind: RefusalKind,
    /// The stable code.
    pub code: Code,
    /// One sentence, without other tenants' data and without the database's words.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    #[must_use]
    pub fn new(kind: RefusalKind, code: Code, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into() }
    }
}

/// A column that the job may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// Its logical name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// ISO 4217 code where it is money.
    pub currency: Option<String>,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether it is part of the key.
    pub key: bool,
    /// Whether this run may change it.
    pub writable: bool,
}

/// How a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// Byte-exact equality, null-safe.
    Eq,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Is NULL.
    IsNull,
    /// Equal to one of several.
    IsIn,
}

/// One condition of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The logical column.
    pub column: String,
    /// How it is compared.
    pub op: Comparison,
    /// With what.
    pub values: Vec<Value>,
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The table, by the job's name.
    pub table: String,
    /// The columns of each row.
    pub columns: Vec<String>,
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Sorted by these, then by the key.
    pub order_by: Vec<String>,
}

/// An open scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CursorId(pub u32);

/// A row as asked for: the values in the order of the columns.
pub type Row = Vec<Value>;

/// A row that shall be there (`insert`) or differ (`update`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The key columns' values.
    pub key: Key,
    /// Logical column → new value.
    pub cells: Vec<(String, Value)>,
    /// Why.
    pub reason: String,
}

/// A row that shall go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRemoval {
    /// The key columns' values.
    pub key: Key,
    /// Why.
    pub reason: String,
}

/// The contract's `tables` and `table-writes`. Each call counts its own work on the run's meter.
///
/// Every method's error is a [`Refusal`] that the guest sees as the contract's `error`.
pub trait Tables: Send + std::any::Any {
    /// The columns of `table` that the job may use, key columns first, the rest by name.
    fn describe<'a>(&'a mut self, table: &'a str) -> Future<'a, Result<Vec<ColumnInfo>, Refusal>>;

    /// Rows by their keys, each at its key's place.
    fn get<'a>(
        &'a mut self,
        table: &'a str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Future<'a, Result<Vec<Option<Row>>, Refusal>>;

    /// Opens a scan.
    fn scan(&mut self, query: Query) -> Future<'_, Result<CursorId, Refusal>>;

    /// The next rows of a scan; none at its end.
    fn next_page(&mut self, cursor: CursorId) -> Future<'_, Result<Vec<Row>, Refusal>>;

    /// The next rows of a scan, column by column, as the component gets them; the same rows as
    /// [`Tables::next_page`]. Tables that hold columns, or can make them without rows, say so here.
    fn next_columns(&mut self, cursor: CursorId) -> Future<'_, Result<Page, Refusal>> {
        Box::pin(async move { Page::of(&self.next_page(cursor).await?) })
    }

    /// Closes a scan; closing twice does nothing.
    fn close(&mut self, cursor: CursorId);

    /// Adds rows to the overlay.
    fn insert<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>>;

    /// Changes rows in the overlay.
    fn update<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>>;

    /// Removes rows in the overlay.
    fn delete<'a>(&'a mut self, table: &'a str, rows: Vec<RowRemoval>) -> Future<'a, Result<(), Refusal>>;
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look.
    Warning,
    /// Wrong, and not for the job to decide.
    Error,
}

/// Something the job left for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// One of the manifest's.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The job's name of the table.
    pub table: String,
    /// The row, or empty for the whole table.
    pub key: Key,
    /// One sentence.
    pub message: String,
}

/// An invariant that the job checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What should hold.
    pub name: String,
    /// Whether it did.
    pub passed: bool,
    /// What was expected.
    pub expected: String,
    /// What was there.
    pub actual: String,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// For the operator, soon.
    Warn,
    /// For the operator, now.
    Error,
}
