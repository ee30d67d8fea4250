//! Rows, column by column: the form in which they go to a component. An array of numbers crosses at the
//! price of a copy, and a list of lists at the price of a call into the component for each row.

use crate::code::Code;
use crate::decimal::Decimal;
use crate::port::{Refusal, RefusalKind, Row};
use crate::value::Value;

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
    /// Of each row the coefficient; 0 where the number is not compact.
    pub coefficients: Vec<i64>,
    /// Of each row the digits after the point; 0 where the number is not compact.
    pub scales: Vec<u8>,
    /// Empty where all are compact; otherwise of each row the plain digits of a number that is not.
    pub digits: Vec<String>,
}

/// The values of one column, one for each row; something stands in the place of each NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// Every row's is NULL.
    Null,
    /// Kind boolean.
    Boolean(Vec<bool>),
    /// Kind integer.
    Integer(Vec<i64>),
    /// Kind float.
    Float(Vec<f64>),
    /// Kind decimal.
    Decimal(Decimals),
    /// Kind text.
    Text(Packed),
    /// Kind bytes.
    Bytes(Packed),
    /// Kind timestamp.
    Timestamp(Packed),
    /// Kind json.
    Json(Packed),
}

/// One column of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnValues {
    /// For each row whether its value is NULL; empty where none is, and where all are.
    pub nulls: Vec<bool>,
    /// The values.
    pub values: Vector,
}

/// Rows, column by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// How many rows.
    pub n_rows: u32,
    /// The columns; none where there are no rows.
    pub columns: Vec<ColumnValues>,
}

impl Page {
    /// These rows, which all have the same columns.
    ///
    /// # Errors
    /// As [`PageBuilder::push`].
    pub fn of(rows: &[Row]) -> Result<Self, Refusal> {
        let mut page = PageBuilder::new(rows.first().map_or(0, Vec::len), rows.len());
        rows.iter().try_for_each(|row| page.push(row.iter()))?;
        Ok(page.finish())
    }
}

/// Makes a page of rows, given one after another.
#[derive(Debug)]
pub struct PageBuilder {
    n_rows: u32,
    columns: Vec<Builder>,
}

impl PageBuilder {
    /// For rows of `n_columns` values, about `n_rows` of them.
    #[must_use]
    pub fn new(n_columns: usize, n_rows: usize) -> Self {
        Self { n_rows: 0, columns: (0..n_columns).map(|_| Builder::new(n_rows)).collect() }
    }

    /// Adds a row. It has as many values as the others, and each column holds one kind and NULLs.
    ///
    /// # Errors
    /// The row is not of that sort, or the page is larger than any component's memory.
    pub fn push<'a>(&mut self, row: impl ExactSizeIterator<Item = &'a Value>) -> Result<(), Refusal> {
        if row.len() != self.columns.len() {
            return Err(contradiction("rows of different lengths"));
        }
        self.columns.iter_mut().zip(row).try_for_each(|(column, value)| column.push(value))?;
        self.n_rows = self.n_rows.checked_add(1).ok_or_else(too_large)?;
        Ok(())
    }

    /// The page.
    #[must_use]
    pub fn finish(self) -> Page {
        let columns = if self.n_rows == 0 { Vec::new() } else { self.columns };
        Page { n_rows: self.n_rows, columns: columns.into_iter().map(Builder::finish).collect() }
    }
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
#[derive(Debug)]
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

    fn push(&mut self, value: &Value) -> Result<(), Refusal> {
        if value.is_null() {
            self.push_null();
            return Ok(());
        }
        if matches!(self.values, Vector::Null) {
            self.start(value);
        }
        if !self.nulls.is_empty() {
            self.nulls.push(false);
        }
        self.n += 1;
        match (&mut self.values, value) {
            (Vector::Boolean(all), Value::Boolean(b)) => all.push(*b),
            (Vector::Integer(all), Value::Integer(i)) => all.push(*i),
            (Vector::Float(all), Value::Float(x)) => all.push(*x),
            (Vector::Decimal(all), Value::Decimal(d)) => push_decimal(all, d),
            (Vector::Bytes(all), Value::Bytes(b)) => pack(all, b)?,
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
        let rows: Vec<Row> = column.iter().map(|value| vec![Value::Integer(7), value.clone()]).collect();
        let page = Page::of(&rows).unwrap();
        assert_eq!((page.n_rows as usize, page.columns.len()), (column.len(), 2));
        let ColumnValues { nulls: own, values: vector } = &page.columns[1];
        assert_eq!((own.as_slice(), format!("{vector:?}").as_str()), (nulls, values));
    }

    #[test]
    fn rows_become_columns_with_something_in_the_place_of_each_null() {
        let (null, int) = (|| Value::Null, Value::Integer);
        check(&[int(1), int(2)], &[], "Integer([1, 2])");
        check(&[null(), int(1), null(), int(2)], &[true, false, true, false], "Integer([0, 1, 0, 2])");
        check(&[int(1), null()], &[false, true], "Integer([1, 0])");
        check(&[null(), null()], &[], "Null");
        let text = |text: &str| Value::Text(text.to_owned());
        check(
            &[null(), text("ä"), text(""), text("b")],
            &[true, false, false, false],
            "Text(Packed { offsets: [0, 0, 2, 2, 3], bytes: [195, 164, 98] })",
        );
    }

    #[test]
    fn decimals_that_do_not_fit_stand_as_digits_beside_the_others() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        check(
            &[decimal("9.90"), decimal("-3")],
            &[],
            "Decimal(Decimals { coefficients: [99, -3], scales: [1, 0], digits: [] })",
        );
        check(
            &[decimal("1.5"), Value::Null, decimal("10000000000000000000"), decimal("2")],
            &[false, true, false, false],
            "Decimal(Decimals { coefficients: [15, 0, 0, 2], scales: [1, 0, 0, 0], \
             digits: [\"\", \"\", \"10000000000000000000\", \"\"] })",
        );
    }

    #[test]
    fn no_row_is_an_empty_page() {
        let page = Page::of(&[]).unwrap();
        assert_eq!((page.n_rows, page.columns.len()), (0, 0));
    }

    #[test]
    fn tables_that_contradict_themselves_are_a_refusal_and_not_a_wrong_page() {
        let mixed = Page::of(&[vec![Value::Integer(1)], vec![Value::Boolean(true)]]);
        let ragged = Page::of(&[vec![Value::Integer(1)], Vec::new()]);
        for refused in [mixed, ragged] {
            let refusal = refused.map(|page| page.n_rows).unwrap_err();
            assert_eq!((refusal.kind, refusal.code), (RefusalKind::Unavailable, Code::Internal));
        }
    }
}
