//! Rows on their way to the guest: turned into columns, because an array of numbers crosses at the
//! price of a copy, and a list of lists at the price of a call into the guest for each row.

use mendwright_core::code::Code;
use mendwright_core::decimal::Decimal;
use mendwright_core::port::{Refusal, RefusalKind, Row};
use mendwright_core::value::Value;

use crate::bindings::mendwright::repair::tables::{ColumnValues, Decimals, Packed, Page, Vector};

/// Rows as the contract's page. Each row has the same columns, and each column values of one kind and
/// NULLs: that is what the port promises.
///
/// # Errors
/// The rows are not of that sort, or their texts are more than any component's memory holds.
pub(crate) fn to_guest(rows: Vec<Row>) -> Result<Page, Refusal> {
    let n_rows = rows.len();
    let n_columns = rows.first().map_or(0, Vec::len);
    let mut columns: Vec<Builder> = (0..n_columns).map(|_| Builder::new(n_rows)).collect();
    for row in rows {
        if row.len() != n_columns {
            return Err(contradiction("rows of different lengths"));
        }
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value)?;
        }
    }
    Ok(Page {
        n_rows: u32::try_from(n_rows).map_err(|_| too_large())?,
        columns: columns.into_iter().map(Builder::finish).collect(),
    })
}

fn contradiction(what: &str) -> Refusal {
    let message = format!("the tables answered with {what}");
    Refusal::new(RefusalKind::Unavailable, Code::Internal, message)
}

/// Offsets have 32 bits, as a component's addresses have.
fn too_large() -> Refusal {
    let message = "a page of rows is larger than a component's memory can be";
    Refusal::new(RefusalKind::BudgetExceeded, Code::BudgetMemory, message)
}

/// One column, growing row by row.
struct Builder {
    /// Rows that there will be.
    n_rows: usize,
    /// Rows so far.
    n: usize,
    nulls: Vec<bool>,
    values: Vector,
}

impl Builder {
    const fn new(n_rows: usize) -> Self {
        Self { n_rows, n: 0, nulls: Vec::new(), values: Vector::Null }
    }

    fn push(&mut self, value: Value) -> Result<(), Refusal> {
        if value.is_null() {
            self.push_null();
            return Ok(());
        }
        if matches!(self.values, Vector::Null) {
            self.start(&value);
        }
        if !self.nulls.is_empty() {
            self.nulls.push(false);
        }
        self.n += 1;
        match (&mut self.values, value) {
            (Vector::Boolean(all), Value::Boolean(b)) => all.push(b),
            (Vector::Integer(all), Value::Integer(i)) => all.push(i),
            (Vector::Float(all), Value::Float(x)) => all.push(x),
            (Vector::Decimal(all), Value::Decimal(d)) => push_decimal(all, &d),
            (Vector::Bytes(all), Value::Bytes(b)) => pack(all, &b)?,
            (Vector::Text(all), Value::Text(t))
            | (Vector::Timestamp(all), Value::Timestamp(t))
            | (Vector::Json(all), Value::Json(t)) => pack(all, t.as_bytes())?,
            (_, _) => return Err(contradiction("two kinds of value in one column")),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        if matches!(self.values, Vector::Null) {
            self.n += 1;
            return;
        }
        self.note_nulls();
        self.nulls.push(true);
        self.n += 1;
        self.fill(1);
    }

    /// The first value: says the kind, and stands after rows that are NULL.
    fn start(&mut self, value: &Value) {
        let n_rows = self.n_rows;
        let packed = || {
            let mut offsets = Vec::with_capacity(n_rows + 1);
            offsets.push(0);
            Packed { offsets, bytes: Vec::new() }
        };
        self.values = match value {
            Value::Null => Vector::Null,
            Value::Boolean(_) => Vector::Boolean(Vec::with_capacity(n_rows)),
            Value::Integer(_) => Vector::Integer(Vec::with_capacity(n_rows)),
            Value::Float(_) => Vector::Float(Vec::with_capacity(n_rows)),
            Value::Decimal(_) => Vector::Decimal(Decimals {
                coefficients: Vec::with_capacity(n_rows),
                scales: Vec::with_capacity(n_rows),
                digits: Vec::new(),
            }),
            Value::Text(_) => Vector::Text(packed()),
            Value::Bytes(_) => Vector::Bytes(packed()),
            Value::Timestamp(_) => Vector::Timestamp(packed()),
            Value::Json(_) => Vector::Json(packed()),
        };
        if self.n > 0 {
            self.nulls.reserve_exact(n_rows);
            self.nulls.resize(self.n, true);
            self.fill(self.n);
        }
    }

    /// From the first NULL on, each row says whether it is one.
    fn note_nulls(&mut self) {
        if self.nulls.is_empty() {
            self.nulls.reserve_exact(self.n_rows);
            self.nulls.resize(self.n, false);
        }
    }

    /// What stands in the place of `more` NULLs.
    fn fill(&mut self, more: usize) {
        match &mut self.values {
            Vector::Null => {}
            Vector::Boolean(all) => all.resize(all.len() + more, false),
            Vector::Integer(all) => all.resize(all.len() + more, 0),
            Vector::Float(all) => all.resize(all.len() + more, 0.0),
            Vector::Decimal(all) => (0..more).for_each(|_| push_decimal(all, &Decimal::zero())),
            Vector::Text(all) | Vector::Bytes(all) | Vector::Timestamp(all) | Vector::Json(all) => {
                let end = all.offsets.last().copied().unwrap_or_default();
                all.offsets.resize(all.offsets.len() + more, end);
            }
        }
    }

    fn finish(self) -> ColumnValues {
        ColumnValues { nulls: self.nulls, values: self.values }
    }
}

fn push_decimal(all: &mut Decimals, decimal: &Decimal) {
    let n = all.coefficients.len();
    let compact = decimal.compact();
    if compact.is_none() && all.digits.is_empty() {
        all.digits.resize(n, String::new());
    }
    if compact.is_none() || !all.digits.is_empty() {
        all.digits.push(if compact.is_none() { decimal.to_string() } else { String::new() });
    }
    let (coefficient, scale) = compact.unwrap_or_default();
    all.coefficients.push(coefficient);
    all.scales.push(scale);
}

fn pack(all: &mut Packed, bytes: &[u8]) -> Result<(), Refusal> {
    all.bytes.extend_from_slice(bytes);
    all.offsets.push(u32::try_from(all.bytes.len()).map_err(|_| too_large())?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(column: &[Value], nulls: &[bool], values: &str) {
        let rows = column.iter().map(|value| vec![Value::Integer(7), value.clone()]).collect();
        let page = to_guest(rows).unwrap();
        assert_eq!((page.n_rows as usize, page.columns.len()), (column.len(), 2));
        let ColumnValues { nulls: own, values: vector } = &page.columns[1];
        assert_eq!((own.as_slice(), format!("{vector:?}").as_str()), (nulls, values));
    }

    #[test]
    fn rows_become_columns_with_something_in_the_place_of_each_null() {
        let (null, int) = (|| Value::Null, Value::Integer);
        check(&[int(1), int(2)], &[], "Vector::Integer([1, 2])");
        check(&[null(), int(1), null(), int(2)], &[true, false, true, false], "Vector::Integer([0, 1, 0, 2])");
        check(&[int(1), null()], &[false, true], "Vector::Integer([1, 0])");
        check(&[null(), null()], &[], "Vector::Null");
        let text = |text: &str| Value::Text(text.to_owned());
        check(
            &[null(), text("ä"), text(""), text("b")],
            &[true, false, false, false],
            "Vector::Text(Packed { offsets: [0, 0, 2, 2, 3], bytes: [195, 164, 98] })",
        );
    }

    #[test]
    fn decimals_that_do_not_fit_stand_as_digits_beside_the_others() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        check(
            &[decimal("9.90"), decimal("-3")],
            &[],
            "Vector::Decimal(Decimals { coefficients: [99, -3], scales: [1, 0], digits: [] })",
        );
        check(
            &[decimal("1.5"), Value::Null, decimal("10000000000000000000"), decimal("2")],
            &[false, true, false, false],
            "Vector::Decimal(Decimals { coefficients: [15, 0, 0, 2], scales: [1, 0, 0, 0], \
             digits: [\"\", \"\", \"10000000000000000000\", \"\"] })",
        );
    }

    #[test]
    fn no_row_is_an_empty_page() {
        let page = to_guest(Vec::new()).unwrap();
        assert_eq!((page.n_rows, page.columns.len()), (0, 0));
    }

    #[test]
    fn tables_that_contradict_themselves_are_a_refusal_and_not_a_wrong_page() {
        let mixed = to_guest(vec![vec![Value::Integer(1)], vec![Value::Boolean(true)]]);
        let ragged = to_guest(vec![vec![Value::Integer(1)], Vec::new()]);
        for refused in [mixed, ragged] {
            let refusal = refused.map(|page| page.n_rows).unwrap_err();
            assert_eq!((refusal.kind, refusal.code), (RefusalKind::Unavailable, Code::Internal));
        }
    }
}
