//! Typed rows: what `#[derive(Row)]` makes.

use std::marker::PhantomData;

use crate::change::{Change, Removal, Update};
use crate::contract::{Cell, Value};
use crate::error::Result;
use crate::page::RowRef;
use crate::value::{Field, Kind, Mismatch, ValueError};

/// One column of a [`Row`], as the derive sees it.
#[derive(Clone, Copy, Debug)]
pub struct ColumnSpec {
    /// The logical name.
    pub name: &'static str,
    /// What the field's type reads.
    pub kind: Kind,
    /// Whether the field is an `Option`.
    pub nullable: bool,
    /// `#[row(key)]`.
    pub key: bool,
}

/// A struct whose fields are columns of one table. Derive it:
///
/// ```
/// use mendwright_sdk::prelude::*;
///
/// #[derive(Row)]
/// #[row(table = "invoices")]
/// struct Invoice {
///     #[row(key)]
///     id: i64,
///     #[row(write)]                    // makes `set_total` and lets `update` set `Invoice::TOTAL`
///     total: Decimal,
///     #[row(column = "paid_on")]       // where the field's name is another
///     paid: Option<Timestamp>,         // NULL
/// }
/// assert_eq!(Invoice::TABLE, "invoices");
/// assert_eq!(Invoice::PAID.name(), "paid_on");
/// ```
pub trait Row: Sized + 'static {
    /// The table, as the manifest calls it.
    const TABLE: &'static str;
    /// The columns, in the order of the fields.
    const COLUMNS: &'static [ColumnSpec];

    /// Makes the struct of a row with the columns of [`Row::COLUMNS`], in that order.
    ///
    /// # Errors
    /// A value that does not fit its field.
    fn decode(row: RowRef<'_>) -> Result<Self>;

    /// The values in the order of [`Row::COLUMNS`].
    fn encode(&self) -> Vec<Value>;
}

/// A row with its key among its fields; the derive makes it where fields are marked `#[row(key)]`.
pub trait Keyed: Row {
    /// The key field's type, or a tuple of them in the order of the fields, which must be the order of
    /// the key's columns.
    type Key: KeyValue;

    /// The key.
    fn key(&self) -> Self::Key;

    /// A change that adds this row: `run.insert(line.insertion().because("…"))`. All its columns are
    /// named.
    fn insertion(&self) -> Change {
        let cells = Self::COLUMNS.iter().zip(self.encode()).filter(|(column, _)| !column.key);
        let cells = cells.map(|(column, value)| Cell { column: column.name.to_owned(), value }).collect();
        Change { cells, ..Change::new(Self::TABLE, self.key().into_values()) }
    }

    /// A change of this row without any column yet: `invoice.change().set(Invoice::STATUS, "paid")`.
    fn change(&self) -> Update<Self> {
        Update::new(self.key().into_values())
    }

    /// A change that removes this row: `run.delete(line.removal().because("…"))`.
    fn removal(&self) -> Removal {
        Removal::new(Self::TABLE, self.key().into_values())
    }
}

/// A key as values: one field or a tuple of up to four.
pub trait KeyValue: Clone {
    /// The values in the order of the key's columns.
    fn into_values(self) -> Vec<Value>;
}

impl<T: Field + Clone> KeyValue for T {
    fn into_values(self) -> Vec<Value> {
        vec![self.to_value()]
    }
}

macro_rules! key_tuple {
    ($($name:ident)+) => {
        impl<$($name: Field + Clone),+> KeyValue for ($($name,)+) {
            #[expect(non_snake_case, reason = "the type parameters name the fields")]
            fn into_values(self) -> Vec<Value> {
                let ($($name,)+) = self;
                vec![$($name.to_value()),+]
            }
        }
    };
}
key_tuple!(A B);
key_tuple!(A B C);
key_tuple!(A B C D);

/// Marks a column that a job may not set.
#[derive(Clone, Copy, Debug)]
pub enum Read {}

/// Marks a column that a job may set (`#[row(write)]`).
#[derive(Clone, Copy, Debug)]
pub enum Write {}

/// A column of `R` that holds a `T`: its name and how to get it from a row. The derive makes one
/// constant for each field.
pub struct Column<R, T, A = Read> {
    name: &'static str,
    get: fn(&R) -> &T,
    access: PhantomData<fn() -> A>,
}

impl<R, T, A> Clone for Column<R, T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, T, A> Copy for Column<R, T, A> {}

impl<R, T, A> std::fmt::Debug for Column<R, T, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl<R, T, A> Column<R, T, A> {
    /// For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, get: fn(&R) -> &T) -> Self {
        Self { name, get, access: PhantomData }
    }

    /// The logical name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// The value in this row.
    pub fn of(self, row: &R) -> &T {
        (self.get)(row)
    }
}

/// Takes a row's values one by one; for the derive.
#[doc(hidden)]
#[derive(Debug)]
pub struct Reader<'a> {
    table: &'static str,
    columns: &'static [ColumnSpec],
    row: RowRef<'a>,
    next: usize,
}

impl<'a> Reader<'a> {
    /// Over the values of one row.
    #[must_use]
    pub const fn new<R: Row>(row: RowRef<'a>) -> Self {
        Self { table: R::TABLE, columns: R::COLUMNS, row, next: 0 }
    }

    /// The next field.
    pub fn take<T: Field>(&mut self) -> Result<T> {
        let place = self.next;
        self.next += 1;
        self.row.value(place).ok_or(Mismatch::Missing).and_then(T::from_value).map_err(|mismatch| {
            let column = self.columns.get(place).map_or("", |column| column.name);
            ValueError { table: self.table.to_owned(), column: column.to_owned(), mismatch }.into()
        })
    }
}

/// Something with a table and a key, for findings.
pub trait Located {
    /// The table, as the manifest calls it.
    fn table(&self) -> &str;
    /// The values of the key columns.
    fn key_values(&self) -> Vec<Value>;
}

impl<R: Keyed> Located for R {
    fn table(&self) -> &str {
        R::TABLE
    }

    fn key_values(&self) -> Vec<Value> {
        self.key().into_values()
    }
}
