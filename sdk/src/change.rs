//! Changes on their way to the plan: built here, buffered in `writes`.

use std::marker::PhantomData;

use crate::contract::{Cell, Value};
use crate::row::{Column, Keyed, Row, Write};
use crate::value::Field;

/// A change of one row of any table: for `update` or `insert`.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a change is nothing until it is handed to `run.update` or `run.insert`"]
pub struct Change {
    pub(crate) table: String,
    pub(crate) key: Vec<Value>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) reason: String,
}

impl Change {
    /// A change of the row with this key, without any column yet.
    pub fn new(table: impl Into<String>, key: Vec<Value>) -> Self {
        Self { table: table.into(), key, cells: Vec::new(), reason: String::new() }
    }

    /// Sets a column. Setting it again replaces the value.
    pub fn set(mut self, column: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        match self.cells.iter_mut().find(|cell| cell.column == column) {
            Some(cell) => cell.value = value,
            None => self.cells.push(Cell { column: column.to_owned(), value }),
        }
        self
    }

    /// Says why, for the person who approves.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Whether no column is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

/// A change of one row of `R`'s table; only columns marked `#[row(write)]` can be set.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a change is nothing until it is handed to `run.update`"]
pub struct Update<R> {
    change: Change,
    row: PhantomData<fn() -> R>,
}

impl<R: Row> Update<R> {
    pub(crate) fn new(key: Vec<Value>) -> Self {
        Self { change: Change::new(R::TABLE, key), row: PhantomData }
    }

    /// Sets a column: `invoice.change().set(Invoice::TOTAL, sum).set(Invoice::STATUS, "paid")`.
    pub fn set<T: Field>(self, column: Column<R, T, Write>, value: impl Into<T>) -> Self {
        let value = value.into().to_value();
        Self { change: self.change.set(column.name(), value), row: PhantomData }
    }

    /// Says why, for the person who approves.
    pub fn because(self, reason: impl Into<String>) -> Self {
        Self { change: self.change.because(reason), row: PhantomData }
    }
}

impl<R> From<Update<R>> for Change {
    fn from(update: Update<R>) -> Self {
        update.change
    }
}

/// A whole row as an insertion: `run.insert(&line)`.
impl<R: Keyed> From<&R> for Change {
    fn from(row: &R) -> Self {
        row.insertion()
    }
}

/// The removal of one row of any table.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a removal is nothing until it is handed to `run.delete`"]
pub struct Removal {
    pub(crate) table: String,
    pub(crate) key: Vec<Value>,
    pub(crate) reason: String,
}

impl Removal {
    /// The removal of the row with this key.
    pub fn new(table: impl Into<String>, key: Vec<Value>) -> Self {
        Self { table: table.into(), key, reason: String::new() }
    }

    /// Says why, for the person who approves.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// The removal of this row: `run.delete(&line)`.
impl<R: Keyed> From<&R> for Removal {
    fn from(row: &R) -> Self {
        row.removal()
    }
}
