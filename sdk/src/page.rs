//! Pages: rows as the host delivers them, column by column. A row is a place in its page; nothing of it
//! is copied until a field is read.

use crate::contract::{ColumnValues, Decimals, Packed, Page, Scaled, Vector};
use crate::value::{DecimalRef, ValueRef};

/// One row of a page.
#[derive(Clone, Copy, Debug)]
pub struct RowRef<'a> {
    page: &'a Page,
    row: usize,
}

impl<'a> RowRef<'a> {
    pub(crate) const fn new(page: &'a Page, row: usize) -> Self {
        Self { page, row }
    }

    /// The value of the column at this place; none where there is no such column.
    #[must_use]
    pub fn value(self, place: usize) -> Option<ValueRef<'a>> {
        self.page.columns.get(place)?.value(self.row)
    }

    /// The values in the order of the columns.
    pub fn values(self) -> impl Iterator<Item = ValueRef<'a>> {
        self.page.columns.iter().filter_map(move |column| column.value(self.row))
    }
}

impl Page {
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.n_rows).unwrap_or(usize::MAX)
    }
}

impl ColumnValues {
    /// The value in this row; none past the last.
    fn value(&self, row: usize) -> Option<ValueRef<'_>> {
        if self.nulls.get(row) == Some(&true) {
            return Some(ValueRef::Null);
        }
        Some(match &self.values {
            Vector::Null => ValueRef::Null,
            Vector::Boolean(all) => ValueRef::Boolean(*all.get(row)?),
            Vector::Integer(all) => ValueRef::Integer(*all.get(row)?),
            Vector::Float(all) => ValueRef::Float(*all.get(row)?),
            Vector::Decimal(all) => ValueRef::Decimal(all.decimal(row)?),
            Vector::Text(all) => ValueRef::Text(all.text(row)?),
            Vector::Bytes(all) => ValueRef::Bytes(all.bytes(row)?),
            Vector::Timestamp(all) => ValueRef::Timestamp(all.text(row)?),
            Vector::Json(all) => ValueRef::Json(all.text(row)?),
        })
    }
}

impl Decimals {
    fn decimal(&self, row: usize) -> Option<DecimalRef<'_>> {
        match self.digits.get(row) {
            Some(digits) if !digits.is_empty() => Some(DecimalRef::Digits(digits)),
            _ => {
                let (coefficient, scale) = (*self.coefficients.get(row)?, *self.scales.get(row)?);
                Some(DecimalRef::Scaled(Scaled { coefficient, scale }))
            }
        }
    }
}

impl Packed {
    fn bytes(&self, row: usize) -> Option<&[u8]> {
        let offset = |at: usize| usize::try_from(*self.offsets.get(at)?).ok();
        self.bytes.get(offset(row)?..offset(row + 1)?)
    }

    fn text(&self, row: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes(row)?).ok()
    }
}
