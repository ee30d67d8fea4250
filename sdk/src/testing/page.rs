//! Pages of in-memory tables, as the host would make them.

use crate::contract::{ColumnValues, Decimal, Decimals, Packed, Page, Scaled, Value, Vector};

/// Makes a page of rows, given one after another.
pub(super) struct PageBuilder {
    n_rows: usize,
    n_rows_max: usize,
    columns: Vec<ColumnValues>,
}

impl PageBuilder {
    /// For rows of `n_columns` values, `n_rows_max` of them at most.
    pub(super) fn new(n_columns: usize, n_rows_max: usize) -> Self {
        let column = |_| ColumnValues { nulls: Vec::new(), values: Vector::Null };
        Self { n_rows: 0, n_rows_max, columns: (0..n_columns).map(column).collect() }
    }

    pub(super) const fn len(&self) -> usize {
        self.n_rows
    }

    pub(super) fn push<'a>(&mut self, row: impl Iterator<Item = &'a Value>) {
        for (column, value) in self.columns.iter_mut().zip(row) {
            push(column, value, self.n_rows, self.n_rows_max);
        }
        self.n_rows += 1;
    }

    pub(super) fn finish(self) -> Page {
        let columns = if self.n_rows == 0 { Vec::new() } else { self.columns };
        Page { n_rows: u32::try_from(self.n_rows).unwrap_or(u32::MAX), columns }
    }
}

fn push(column: &mut ColumnValues, value: &Value, n_rows: usize, n_rows_max: usize) {
    if matches!(column.values, Vector::Null) {
        if value.is_null() {
            return;
        }
        column.values = vector(value, n_rows_max);
        if n_rows > 0 {
            column.nulls.resize(n_rows, true);
            fill(&mut column.values, n_rows);
        }
    }
    if value.is_null() {
        column.nulls.resize(n_rows, false);
        column.nulls.push(true);
        fill(&mut column.values, 1);
        return;
    }
    if !column.nulls.is_empty() {
        column.nulls.push(false);
    }
    match (&mut column.values, value) {
        (Vector::Boolean(all), Value::Boolean(b)) => all.push(*b),
        (Vector::Integer(all), Value::Integer(i)) => all.push(*i),
        (Vector::Float(all), Value::Float(x)) => all.push(*x),
        (Vector::Decimal(all), Value::Decimal(d)) => push_decimal(all, d),
        (Vector::Bytes(all), Value::Bytes(b)) => pack(all, b),
        (Vector::Text(all), Value::Text(t))
        | (Vector::Timestamp(all), Value::Timestamp(t))
        | (Vector::Json(all), Value::Json(t)) => pack(all, t.as_bytes()),
        (_, _) => unreachable!("a table's column holds one kind"),
    }
}

/// An empty vector for values of this one's kind.
fn vector(value: &Value, n_rows_max: usize) -> Vector {
    let packed = || {
        let mut offsets = Vec::with_capacity(n_rows_max + 1);
        offsets.push(0);
        Packed { offsets, bytes: Vec::new() }
    };
    match value {
        Value::Null => Vector::Null,
        Value::Boolean(_) => Vector::Boolean(Vec::with_capacity(n_rows_max)),
        Value::Integer(_) => Vector::Integer(Vec::with_capacity(n_rows_max)),
        Value::Float(_) => Vector::Float(Vec::with_capacity(n_rows_max)),
        Value::Decimal(_) => Vector::Decimal(Decimals {
            coefficients: Vec::with_capacity(n_rows_max),
            scales: Vec::with_capacity(n_rows_max),
            digits: Vec::new(),
        }),
        Value::Text(_) => Vector::Text(packed()),
        Value::Bytes(_) => Vector::Bytes(packed()),
        Value::Timestamp(_) => Vector::Timestamp(packed()),
        Value::Json(_) => Vector::Json(packed()),
    }
}

/// What stands in the place of `more` NULLs.
fn fill(values: &mut Vector, more: usize) {
    match values {
        Vector::Null => {}
        Vector::Boolean(all) => all.resize(all.len() + more, false),
        Vector::Integer(all) => all.resize(all.len() + more, 0),
        Vector::Float(all) => all.resize(all.len() + more, 0.0),
        Vector::Decimal(all) => (0..more).for_each(|_| push_decimal(all, &Decimal::from(0))),
        Vector::Text(all) | Vector::Bytes(all) | Vector::Timestamp(all) | Vector::Json(all) => {
            let end = all.offsets.last().copied().unwrap_or_default();
            all.offsets.resize(all.offsets.len() + more, end);
        }
    }
}

fn push_decimal(all: &mut Decimals, decimal: &Decimal) {
    let (scaled, digits) = match decimal {
        Decimal::Scaled(scaled) => (*scaled, ""),
        Decimal::Digits(text) => (Scaled { coefficient: 0, scale: 0 }, text.as_str()),
    };
    if !digits.is_empty() {
        all.digits.resize(all.coefficients.len(), String::new());
    }
    if !digits.is_empty() || !all.digits.is_empty() {
        all.digits.push(digits.to_owned());
    }
    all.coefficients.push(scaled.coefficient);
    all.scales.push(scaled.scale);
}

fn pack(all: &mut Packed, bytes: &[u8]) {
    all.bytes.extend_from_slice(bytes);
    all.offsets.push(u32::try_from(all.bytes.len()).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::RowRef;

    #[test]
    fn what_is_put_into_a_page_is_read_from_it() {
        let text = |text: &str| Value::Text(text.to_owned());
        let decimal = |text: &str| Value::Decimal(Decimal::parse(text).unwrap());
        let rows = [
            vec![Value::Null, text("ä"), Value::Bytes(vec![0, 255]), Value::Null, decimal("1.5")],
            vec![Value::Integer(1), text(""), Value::Bytes(Vec::new()), Value::Null, decimal("10000000000000000000")],
            vec![Value::Null, Value::Null, Value::Null, Value::Null, Value::Null],
            vec![Value::Integer(2), text("b"), Value::Bytes(vec![7]), Value::Null, decimal("-0.25")],
        ];
        let mut builder = PageBuilder::new(5, 4);
        rows.iter().for_each(|row| builder.push(row.iter()));
        let page = builder.finish();
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(RowRef::new(&page, at).values().map(|v| v.to_value()).collect::<Vec<_>>(), *row, "{at}");
        }
        assert_eq!(page.columns[3], ColumnValues { nulls: Vec::new(), values: Vector::Null });
        assert!(RowRef::new(&page, 4).value(0).is_none() && RowRef::new(&page, 0).value(5).is_none());
        assert_eq!(PageBuilder::new(2, 0).finish(), Page::default());
    }
}
