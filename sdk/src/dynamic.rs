//! Rows without a struct: for jobs whose tables and columns are known only when they run.

use std::rc::Rc;

use crate::change::{Change, Removal};
use crate::contract::Value;
use crate::error::Result;
use crate::row::Located;
use crate::value::{Field, Mismatch, ValueError};

/// Which columns a scan's rows have; shared by all of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) table: String,
    pub(crate) columns: Vec<String>,
    /// Where the key's columns stand among `columns`.
    pub(crate) key: Vec<usize>,
}

/// One row of any table: `row.get::<Decimal>("total")?`.
#[derive(Clone, Debug, PartialEq)]
pub struct DynRow {
    shape: Rc<Shape>,
    values: Vec<Value>,
}

impl DynRow {
    pub(crate) const fn new(shape: Rc<Shape>, values: Vec<Value>) -> Self {
        Self { shape, values }
    }

    /// The value of a column that the scan named.
    #[must_use]
    pub fn value(&self, column: &str) -> Option<&Value> {
        let place = self.shape.columns.iter().position(|name| name == column)?;
        self.values.get(place)
    }

    pub(crate) fn at(&self, place: usize) -> Option<&Value> {
        self.values.get(place)
    }

    /// All values by column: those that the scan named, and the key's.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.shape.columns.iter().map(String::as_str).zip(&self.values)
    }

    /// The values of all columns but the key's.
    pub fn values_but_key(&self) -> impl Iterator<Item = &Value> {
        self.values.iter().enumerate().filter(|(place, _)| !self.shape.key.contains(place)).map(|(_, value)| value)
    }

    /// The value of a column as a Rust type; an `Option` where it can be NULL.
    ///
    /// # Errors
    /// [`crate::Error::Value`] if the scan did not name the column or the value does not fit.
    pub fn get<T: Field>(&self, column: &str) -> Result<T> {
        self.value(column).ok_or(Mismatch::Missing).and_then(T::from_ref).map_err(|mismatch| {
            ValueError { table: self.shape.table.clone(), column: column.to_owned(), mismatch }.into()
        })
    }

    /// A change of this row without any column yet.
    pub fn change(&self) -> Change {
        Change::new(self.shape.table.as_str(), self.key_values())
    }

    /// A change that removes this row.
    pub fn removal(&self) -> Removal {
        Removal::new(self.shape.table.as_str(), self.key_values())
    }
}

impl Located for DynRow {
    fn table(&self) -> &str {
        &self.shape.table
    }

    fn key_values(&self) -> Vec<Value> {
        self.shape.key.iter().filter_map(|place| self.values.get(*place).cloned()).collect()
    }
}
