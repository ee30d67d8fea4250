//! The run's parameters, and what every attack shares: values from text, refusals to text.
//!
//! Values are written tagged, as plans bind them: `i:42`, `d:9.90`, `t:text`, `n`.

use serde_json::Value as Json;

use crate::bindings::mendwright::repair::run::{self, Level};
use crate::bindings::mendwright::repair::table_writes::{Cell, Change};
use crate::bindings::mendwright::repair::types::{Error, Value};

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
        "d" => Value::Decimal(rest.to_owned()),
        "f" => Value::Float(rest.parse().unwrap_or(0.0)),
        "t" => Value::Text(rest.to_owned()),
        "s" => Value::Timestamp(rest.to_owned()),
        "j" => Value::Json(rest.to_owned()),
        _ => Value::Null,
    }
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
