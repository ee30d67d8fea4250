//! The run's parameters, and what every attack shares: values from text, refusals to text.
//!
//! Values are written tagged, as plans bind them: `i:42`, `d:9.90`, `t:text`, `n`.

use serde_json::Value as Json;

use crate::bindings::mendwright::repair::run::{self, Level};
use crate::bindings::mendwright::repair::table_writes::{Cell, Change};
use crate::bindings::mendwright::repair::tables::{ColumnValues, Found, Packed, Page, Vector};
use crate::bindings::mendwright::repair::types::{Decimal, Error, Scaled, Value};

/// The run's parameters.
pub(crate) struct Params(Json);

impl Params {
    pub(crate) fn read() -> Self {
        Self(serde_json::from_str(&run::params()).unwrap_or(Json::Null))
    }

    /// The parameters that stand under this name; all of them where nothing does.
    pub(crate) fn within(self, name: &str) -> Self {
        Self(self.0.get(name).cloned().unwrap_or(self.0))
    }

    pub(crate) fn text(&self, name: &str, default: &str) -> String {
        self.0.get(name).and_then(Json::as_str).unwrap_or(default).to_owned()
    }

    pub(crate) fn number(&self, name: &str, default: u64) -> u64 {
        self.0.get(name).and_then(Json::as_u64).unwrap_or(default)
    }

    /// The table attacked.
    pub(crate) fn table(&self) -> String {
        self.text("table", "invoices")
    }

    /// The column attacked.
    pub(crate) fn column(&self) -> String {
        self.text("column", "total")
    }

    /// The value written.
    pub(crate) fn value(&self) -> Value {
        value(&self.text("value", "d:11.00"))
    }

    /// The key attacked: `"key": ["i:1"]`.
    pub(crate) fn key(&self) -> Vec<Value> {
        self.0.get("key").map_or_else(|| vec![Value::Integer(1)], values)
    }

    /// Keys and what the column shall be: `"rows": [[["i:1"], "d:9.90"], …]`.
    pub(crate) fn rows(&self) -> Vec<(Vec<Value>, Value)> {
        let Some(rows) = self.0.get("rows").and_then(Json::as_array) else {
            return vec![(self.key(), self.value())];
        };
        let row = |row: &Json| Some((values(row.get(0)?), value(row.get(1)?.as_str()?)));
        rows.iter().filter_map(row).collect()
    }

    /// A list of keys with cells: `"updates": [[["i:1"], [["total", "d:9.90"]]], …]`.
    pub(crate) fn changes(&self, name: &str) -> Vec<Change> {
        let cell = |cell: &Json| {
            Some(Cell { column: cell.get(0)?.as_str()?.to_owned(), value: value(cell.get(1)?.as_str()?) })
        };
        let change = |row: &Json| {
            let cells = row.get(1).and_then(Json::as_array).into_iter().flatten().filter_map(cell).collect();
            Some(Change { key: values(row.get(0)?), cells, reason: self.text("reason", "hostile") })
        };
        self.0.get(name).and_then(Json::as_array).into_iter().flatten().filter_map(change).collect()
    }

    /// Further cells of an insert: `"cells": [["customer", "i:7"], …]`.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let cell = |cell: &Json| {
            Some(Cell { column: cell.get(0)?.as_str()?.to_owned(), value: value(cell.get(1)?.as_str()?) })
        };
        self.0
            .get("cells")
            .and_then(Json::as_array)
            .map_or_else(Vec::new, |list| list.iter().filter_map(cell).collect())
    }
}

fn values(list: &Json) -> Vec<Value> {
    list.as_array().into_iter().flatten().filter_map(Json::as_str).map(value).collect()
}

fn value(tagged: &str) -> Value {
    let (tag, rest) = tagged.split_once(':').unwrap_or(("n", ""));
    match tag {
        "o" => Value::Boolean(rest == "true"),
        "b" => Value::Bytes(bytes(rest)),
        "i" => Value::Integer(rest.parse().unwrap_or(0)),
        "d" => Value::Decimal(decimal(rest)),
        "f" => Value::Float(rest.parse().unwrap_or(0.0)),
        "t" => Value::Text(rest.to_owned()),
        "s" => Value::Timestamp(rest.to_owned()),
        "j" => Value::Json(rest.to_owned()),
        _ => Value::Null,
    }
}

/// A decimal of few digits in the contract's one form; any other text as it is, for the host to judge.
pub(crate) fn decimal(text: &str) -> Decimal {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= 18);
    match (format!("{whole}{fraction}").parse(), scale) {
        (Ok(coefficient), Some(scale)) if !text.starts_with('+') => Decimal::Scaled(Scaled { coefficient, scale }),
        (_, _) => Decimal::Digits(text.to_owned()),
    }
}

/// The rows of a page, as a list of lists.
pub(crate) fn rows(page: &Page) -> Vec<Vec<Value>> {
    let n_rows = usize::try_from(page.n_rows).unwrap_or(0);
    (0..n_rows).map(|row| page.columns.iter().filter_map(|column| cell(column, row)).collect()).collect()
}

/// What `get` found: the row of each key, or none.
pub(crate) fn found(found: &Found) -> Vec<Option<Vec<Value>>> {
    let mut rows = rows(&found.rows).into_iter();
    found.present.iter().map(|present| present.then(|| rows.next()).flatten()).collect()
}

fn cell(column: &ColumnValues, row: usize) -> Option<Value> {
    if column.nulls.get(row) == Some(&true) {
        return Some(Value::Null);
    }
    let bytes = |packed: &Packed| {
        let offset = |at: usize| usize::try_from(*packed.offsets.get(at)?).ok();
        packed.bytes.get(offset(row)?..offset(row + 1)?).map(<[u8]>::to_vec)
    };
    let text = |packed: &Packed| String::from_utf8(bytes(packed)?).ok();
    Some(match &column.values {
        Vector::Null => Value::Null,
        Vector::Boolean(all) => Value::Boolean(*all.get(row)?),
        Vector::Integer(all) => Value::Integer(*all.get(row)?),
        Vector::Float(all) => Value::Float(*all.get(row)?),
        Vector::Decimal(all) => match all.digits.get(row) {
            Some(digits) if !digits.is_empty() => Value::Decimal(Decimal::Digits(digits.clone())),
            _ => {
                let (coefficient, scale) = (*all.coefficients.get(row)?, *all.scales.get(row)?);
                Value::Decimal(Decimal::Scaled(Scaled { coefficient, scale }))
            }
        },
        Vector::Text(all) => Value::Text(text(all)?),
        Vector::Bytes(all) => Value::Bytes(bytes(all)?),
        Vector::Timestamp(all) => Value::Timestamp(text(all)?),
        Vector::Json(all) => Value::Json(text(all)?),
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).filter_map(|n| u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()).collect()
}

/// A change of one cell.
pub(crate) fn change(key: Vec<Value>, column: &str, value: Value) -> Change {
    Change { key, cells: vec![Cell { column: column.to_owned(), value }], reason: "hostile".to_owned() }
}

/// Writes to the log what the host said to `what`: everything that an attacker could learn from it.
pub(crate) fn say<T>(what: &str, result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(answer) => {
            tell(&format!("{what}: ok"));
            Some(answer)
        }
        Err(error) => {
            let (case, detail) = match error {
                Error::Denied(detail) => ("denied", detail),
                Error::NotFound(detail) => ("not-found", detail),
                Error::Invalid(detail) => ("invalid", detail),
                Error::Conflict(detail) => ("conflict", detail),
                Error::Drifted(detail) => ("drifted", detail),
                Error::BudgetExceeded(detail) => ("budget-exceeded", detail),
                Error::Halted(detail) => ("halted", detail),
                Error::Unavailable(detail) => ("unavailable", detail),
            };
            tell(&format!("{what}: {case} {} {}", detail.code, detail.message));
            None
        }
    }
}

/// Writes a line to the log; a full log is somebody else's attack.
pub(crate) fn tell(message: &str) {
    let _ = run::log(Level::Info, message);
}
