//! Rows without a struct: for jobs whose tables and columns are known only when they run.

use std::rc::Rc;

use crate::change::{Change, Removal};
use crate::contract::{Page, Value};
use crate::error::Result;
use crate::page::RowRef;
use crate::row::Located;
use crate::value::{Field, Mismatch, ValueError, ValueRef};

/// A page with the names of its columns; shared by its rows.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) shape: Rc<Shape>,
    pub(crate) page: Page,
}

/// Which columns a scan's rows have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) table: String,
    pub(crate) columns: Vec<String>,
    /// Where the key's columns stand among `columns`.
    pub(crate) key: Vec<usize>,
}

/// One row of any table: `row.get::<Decimal>("total")?`. It is a place in the page that it came with and
/// keeps the whole page, up to 1,000 rows; a job that remembers a few of many rows copies their values.
#[derive(Clone, Debug)]
pub struct DynRow {
    block: Rc<Block>,
    row: usize,
}

/// The same columns of the same table, with equal values.
impl PartialEq for DynRow {
    fn eq(&self, other: &Self) -> bool {
        self.shape() == other.shape() && self.here().values().eq(other.here().values())
    }
}

impl DynRow {
    pub(crate) fn new(block: &Rc<Block>, row: usize) -> Self {
        Self { block: Rc::clone(block), row }
    }

    fn shape(&self) -> &Shape {
        &self.block.shape
    }

    fn here(&self) -> RowRef<'_> {
        RowRef::new(&self.block.page, self.row)
    }

    /// The value of a column that the scan named: by its name, or faster by its place.
    #[must_use]
    pub fn value(&self, column: impl ColumnIndex) -> Option<ValueRef<'_>> {
        self.here().value(column.place(&self.shape().columns)?)
    }

    /// All values by column: those that the scan named, and the key's.
    pub fn values(&self) -> impl Iterator<Item = (&str, ValueRef<'_>)> {
        self.shape().columns.iter().map(String::as_str).zip(self.here().values())
    }

    /// The values of all columns but the key's.
    pub fn values_but_key(&self) -> impl Iterator<Item = ValueRef<'_>> {
        let all = self.here().values().enumerate();
        all.filter(|(place, _)| !self.shape().key.contains(place)).map(|(_, value)| value)
    }

    /// The value of a column as a Rust type; an `Option` where it can be NULL.
    ///
    /// # Errors
    /// [`crate::Error::Value`] if the scan did not name the column or the value does not fit.
    pub fn get<T: Field>(&self, column: impl ColumnIndex) -> Result<T> {
        self.value(column).ok_or(Mismatch::Missing).and_then(T::from_value).map_err(|mismatch| {
            let Shape { table, columns, .. } = self.shape();
            ValueError { table: table.clone(), column: column.name(columns), mismatch }.into()
        })
    }

    /// A change of this row without any column yet.
    pub fn change(&self) -> Change {
        Change::new(self.shape().table.as_str(), self.key_values())
    }

    /// A change that removes this row.
    pub fn removal(&self) -> Removal {
        Removal::new(self.shape().table.as_str(), self.key_values())
    }
}

impl Located for DynRow {
    fn table(&self) -> &str {
        &self.shape().table
    }

    fn key_values(&self) -> Vec<Value> {
        self.shape().key.iter().filter_map(|place| self.value(*place)).map(ValueRef::to_value).collect()
    }
}

/// What names a column of a [`DynRow`]: its name, or its place among the columns that the scan named.
pub trait ColumnIndex: Copy {
    /// The place among these columns.
    fn place(self, columns: &[String]) -> Option<usize>;
    /// The name, for messages.
    fn name(self, columns: &[String]) -> String;
}

impl ColumnIndex for &str {
    fn place(self, columns: &[String]) -> Option<usize> {
        columns.iter().position(|name| name == self)
    }

    fn name(self, _: &[String]) -> String {
        self.to_owned()
    }
}

impl ColumnIndex for usize {
    fn place(self, _: &[String]) -> Option<usize> {
        Some(self)
    }

    fn name(self, columns: &[String]) -> String {
        columns.get(self).cloned().unwrap_or_default()
    }
}
