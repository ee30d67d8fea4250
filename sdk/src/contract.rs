//! The types of the contract (`wit/repair@0.1.0`), the same on both sides of the build: on wasm32 the
//! generated bindings lift straight into them, natively the in-memory tables speak them.
//!
//! A job author meets [`Value`], [`Severity`], [`Failure`] and [`ColumnInfo`]; the rest is what the
//! SDK's own modules pass to the host.

pub use crate::error::Error;

/// A number as an integer and how many of its digits stand after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaled {
    /// All digits with the sign; the last is not zero, unless `scale` is 0.
    pub coefficient: i64,
    /// Digits after the point: at most 18.
    pub scale: u8,
}

/// An exact decimal as the contract carries it. Each number has one form, and the host refuses every
/// other: make it from a [`crate::Decimal`] or with [`Decimal::parse`], which know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// Every number that fits.
    Scaled(Scaled),
    /// Only what does not fit, as plain digits.
    Digits(String),
}

/// One value of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// True or false.
    Boolean(bool),
    /// A 64-bit signed integer.
    Integer(i64),
    /// A binary double. Money is never a float.
    Float(f64),
    /// An exact decimal.
    Decimal(Decimal),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date, a time or both, as the database writes it.
    Timestamp(String),
    /// A JSON document's text.
    Json(String),
}

/// What the host says of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// A stable code; `mendwright explain CODE` describes it.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// A job's own failure: what it returns when it cannot do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Upper case with underscores, for example `RATE_TABLE_EMPTY`.
    pub code: String,
    /// One sentence for the operator.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look at it.
    Warning,
    /// Wrong, and not for this job to decide.
    Error,
}

/// Something the job saw and leaves for a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// One of the manifest's `[finding.CODE]`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The table it is about, as the job calls it.
    pub table: String,
    /// The key of the row; empty for the whole table.
    pub key: Vec<Value>,
    /// One sentence.
    pub message: String,
}

/// An invariant that the job checked and how that went.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// How a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Byte-exact equality; NULL equals NULL. On any column.
    Eq,
    /// Less than. On key columns, like the three that follow.
    Lt,
    /// Less than or equal.
    Le,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Is NULL. On any column.
    IsNull,
    /// Equal to one of up to 1,000 values. On any column.
    IsIn,
}

/// One condition of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The logical column.
    pub column: String,
    /// How it is compared.
    pub op: Comparison,
    /// With what.
    pub values: Vec<Value>,
}

/// What to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The table, as the manifest calls it.
    pub table: String,
    /// The columns of each row.
    pub columns: Vec<String>,
    /// Conditions, all of which must hold.
    pub filters: Vec<Filter>,
    /// Sorted by these, then by the key.
    pub order_by: Vec<String>,
}

/// Texts or bytes of one column, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// One more than there are rows: where each begins, and where the last ends.
    pub offsets: Vec<u32>,
    /// The bytes of all rows.
    pub bytes: Vec<u8>,
}

/// Decimals of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decimals {
    /// Of each row the coefficient.
    pub coefficients: Vec<i64>,
    /// Of each row the digits after the point.
    pub scales: Vec<u8>,
    /// Empty where every row's number fits; otherwise of each row the plain digits, where it does not.
    pub digits: Vec<String>,
}

/// The values of one column, one for each row.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// Every row's value is NULL.
    Null,
    /// Kind `boolean`.
    Boolean(Vec<bool>),
    /// Kind `integer`.
    Integer(Vec<i64>),
    /// Kind `float`.
    Float(Vec<f64>),
    /// Kind `decimal`.
    Decimal(Decimals),
    /// Kind `text`.
    Text(Packed),
    /// Kind `bytes`.
    Bytes(Packed),
    /// Kind `timestamp`.
    Timestamp(Packed),
    /// Kind `json`.
    Json(Packed),
}

/// One column of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnValues {
    /// For each row whether its value is NULL; empty where none is.
    pub nulls: Vec<bool>,
    /// The values.
    pub values: Vector,
}

/// Rows, column by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// How many rows.
    pub n_rows: u32,
    /// The columns asked for, in that order.
    pub columns: Vec<ColumnValues>,
}

/// What `get` found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// For each key whether its row is there.
    pub present: Vec<bool>,
    /// The rows that are there, in the order of their keys.
    pub rows: Page,
}

/// A column that this job may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its logical name.
    pub name: String,
    /// `boolean`, `integer`, `float`, `decimal`, `text`, `bytes`, `timestamp` or `json`.
    pub kind: String,
    /// Digits after the point that the database keeps, where it fixes them.
    pub scale: Option<u8>,
    /// ISO 4217 code where the operator declared one.
    pub currency: Option<String>,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// Whether it is part of the key.
    pub key: bool,
    /// Whether this run may change it.
    pub writable: bool,
}

/// A column and the value it shall have.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The logical column.
    pub column: String,
    /// Its new value.
    pub value: Value,
}

/// A row that shall be there (insert) or differ (update).
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The values of the key columns, in their order.
    pub key: Vec<Value>,
    /// The columns that change.
    pub cells: Vec<Cell>,
    /// Why, for the person who approves.
    pub reason: String,
}

/// A row that shall no longer be there.
#[derive(Clone, Debug, PartialEq)]
pub struct RowRemoval {
    /// The values of the key columns, in their order.
    pub key: Vec<Value>,
    /// Why, for the person who approves.
    pub reason: String,
}

/// Who and what a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The run.
    pub run: String,
    /// Whose data this is.
    pub tenant: String,
    /// The job's name.
    pub job: String,
    /// The job's version.
    pub version: String,
    /// The frozen time in microseconds since 1970-01-01 UTC.
    pub now_us: i64,
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author.
    Debug,
    /// For the operator.
    Info,
    /// For the operator, soon.
    Warn,
    /// For the operator, now.
    Error,
}

/// A row that the plan changed, as `verify` and `rollback` get it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The table, as the job calls it.
    pub table: String,
    /// The values of its key columns.
    pub key: Vec<Value>,
}

/// How a job wants its work undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compensation {
    /// The host restores the journal's before-images.
    #[default]
    Restore,
    /// The job asked for changes of its own; they are planned and applied like any plan.
    Proposed,
}

/// What every call to the host returns.
pub(crate) type HostResult<T> = Result<T, Error>;
