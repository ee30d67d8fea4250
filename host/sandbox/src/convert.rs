//! Between the contract's generated types and `mendwright-core`'s.

use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::decimal::{Decimal, ParseDecimalError, SCALE_MAX};
use mendwright_core::port::{
    ColumnInfo, Comparison, Filter, Finding, LogLevel, Query, Refusal, RefusalKind, RowChange, RowRemoval, Severity,
};
use mendwright_core::text::escape_short;
use mendwright_core::value::Value;

use crate::bindings::mendwright::repair::{run, table_writes, tables, types};

/// How much of a guest's text a message repeats.
const SHOWN_CHARS_MAX: usize = 60;

/// A value of the guest. Only decimals can be malformed.
pub(crate) fn value(value: types::Value) -> Result<Value, Refusal> {
    Ok(match value {
        types::Value::Null => Value::Null,
        types::Value::Boolean(b) => Value::Boolean(b),
        types::Value::Integer(i) => Value::Integer(i),
        types::Value::Float(x) => Value::Float(x),
        types::Value::Decimal(number) => Value::Decimal(decimal(number)?),
        types::Value::Text(text) => Value::Text(text),
        types::Value::Bytes(bytes) => Value::Bytes(bytes),
        types::Value::Timestamp(text) => Value::Timestamp(text),
        types::Value::Json(text) => Value::Json(text),
    })
}

/// A decimal of the guest, in the one form that its number has. In another one, what is recorded and
/// what is compared would not be what the job said.
fn decimal(decimal: types::Decimal) -> Result<Decimal, Refusal> {
    let refuse = |why: String| Refusal::new(RefusalKind::Invalid, Code::ValueKind, why);
    match decimal {
        types::Decimal::Scaled(types::Scaled { coefficient, scale }) => Decimal::from_compact(coefficient, scale)
            .ok_or_else(|| {
                let why = if scale > SCALE_MAX {
                    format!("the scale is at most {SCALE_MAX}")
                } else {
                    "the coefficient must not end in zero".to_owned()
                };
                refuse(format!("a decimal with coefficient {coefficient} and scale {scale} has another form: {why}"))
            }),
        types::Decimal::Digits(text) => {
            let shown = escape_short(&text, SHOWN_CHARS_MAX);
            // The contract wants plain digits; core also reads exponents.
            if text.contains(['e', 'E', '+']) {
                return Err(refuse(format!("`{shown}` is not a decimal in plain digits")));
            }
            let number: Decimal = text
                .parse()
                .map_err(|error: ParseDecimalError| refuse(escape_short(&error.to_string(), 2 * SHOWN_CHARS_MAX)))?;
            if let Some((coefficient, scale)) = number.compact() {
                return Err(refuse(format!(
                    "the decimal `{shown}` has another form: coefficient {coefficient} and scale {scale}"
                )));
            }
            if number.to_string() != text {
                return Err(refuse(format!("the decimal `{shown}` has zeros that its number does not need")));
            }
            Ok(number)
        }
    }
}

fn decimal_to_guest(decimal: &Decimal) -> types::Decimal {
    match decimal.compact() {
        Some((coefficient, scale)) => types::Decimal::Scaled(types::Scaled { coefficient, scale }),
        None => types::Decimal::Digits(decimal.to_string()),
    }
}

fn values(list: Vec<types::Value>) -> Result<Vec<Value>, Refusal> {
    list.into_iter().map(value).collect()
}

pub(crate) fn key(list: Vec<types::Value>) -> Result<Key, Refusal> {
    values(list).map(Key)
}

/// A value for the guest.
pub(crate) fn to_guest(value: Value) -> types::Value {
    match value {
        Value::Null => types::Value::Null,
        Value::Boolean(b) => types::Value::Boolean(b),
        Value::Integer(i) => types::Value::Integer(i),
        Value::Float(x) => types::Value::Float(x),
        Value::Decimal(d) => types::Value::Decimal(decimal_to_guest(&d)),
        Value::Text(text) => types::Value::Text(text),
        Value::Bytes(bytes) => types::Value::Bytes(bytes),
        Value::Timestamp(text) => types::Value::Timestamp(text),
        Value::Json(text) => types::Value::Json(text),
    }
}

pub(crate) fn column_to_guest(column: ColumnInfo) -> tables::Column {
    tables::Column {
        name: column.name,
        kind: column.kind.word().to_owned(),
        // A scale past 255 exists in no schema that a job meets; saying none is true enough.
        scale: column.kind.scale().and_then(|scale| u8::try_from(scale).ok()),
        currency: column.currency,
        nullable: column.nullable,
        key: column.key,
        writable: column.writable,
    }
}

pub(crate) fn query(query: tables::Query) -> Result<Query, Refusal> {
    let filters = query.filters.into_iter().map(filter).collect::<Result<_, _>>()?;
    Ok(Query { table: query.table, columns: query.columns, filters, order_by: query.order_by })
}

fn filter(filter: tables::Filter) -> Result<Filter, Refusal> {
    let op = match filter.op {
        tables::Comparison::Eq => Comparison::Eq,
        tables::Comparison::Lt => Comparison::Lt,
        tables::Comparison::Le => Comparison::Le,
        tables::Comparison::Gt => Comparison::Gt,
        tables::Comparison::Ge => Comparison::Ge,
        tables::Comparison::IsNull => Comparison::IsNull,
        tables::Comparison::IsIn => Comparison::IsIn,
    };
    Ok(Filter { column: filter.column, op, values: values(filter.values)? })
}

pub(crate) fn change(change: table_writes::Change) -> Result<RowChange, Refusal> {
    let cells =
        change.cells.into_iter().map(|cell| Ok((cell.column, value(cell.value)?))).collect::<Result<_, Refusal>>()?;
    Ok(RowChange { key: key(change.key)?, cells, reason: change.reason })
}

pub(crate) fn removal(removal: table_writes::Removal) -> Result<RowRemoval, Refusal> {
    Ok(RowRemoval { key: key(removal.key)?, reason: removal.reason })
}

pub(crate) fn finding(finding: types::Finding) -> Result<Finding, Refusal> {
    let severity = match finding.severity {
        types::Severity::Info => Severity::Info,
        types::Severity::Warning => Severity::Warning,
        types::Severity::Error => Severity::Error,
    };
    Ok(Finding { code: finding.code, severity, table: finding.table, key: key(finding.key)?, message: finding.message })
}

pub(crate) const fn level(level: run::Level) -> LogLevel {
    match level {
        run::Level::Debug => LogLevel::Debug,
        run::Level::Info => LogLevel::Info,
        run::Level::Warn => LogLevel::Warn,
        run::Level::Error => LogLevel::Error,
    }
}

/// A refusal as the contract's `error`.
pub(crate) fn refusal_to_guest(refusal: &Refusal) -> types::Error {
    let detail = types::Detail { code: refusal.code.text().to_owned(), message: refusal.message.clone() };
    match refusal.kind {
        RefusalKind::Denied => types::Error::Denied(detail),
        RefusalKind::NotFound => types::Error::NotFound(detail),
        RefusalKind::Invalid => types::Error::Invalid(detail),
        RefusalKind::Conflict => types::Error::Conflict(detail),
        RefusalKind::Drifted => types::Error::Drifted(detail),
        RefusalKind::BudgetExceeded => types::Error::BudgetExceeded(detail),
        RefusalKind::Halted => types::Error::Halted(detail),
        RefusalKind::Unavailable => types::Error::Unavailable(detail),
    }
}
