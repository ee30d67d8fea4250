//! Values as a database stores them, and the one translation between these and a job's values.
//!
//! A plan speaks of [`Value`]s, so that SQLite and PostgreSQL give the same plan. The journal and every
//! guard speak of [`Raw`]s, so that an undo writes back the same bits.

use mendwright_core::binding::{Resolved, ResolvedColumn};
use mendwright_core::decimal::Decimal;
use mendwright_core::kind::Kind;
use mendwright_core::value::Value;

use super::engine::Engine;

/// A value as the database stores it: SQLite's storage classes; on PostgreSQL always NULL or the
/// type's own text under fixed settings (ISO dates, UTC, hex bytes, shortest floats).
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Real(a), Self::Real(b)) => a.to_bits() == b.to_bits(),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Blob(a), Self::Blob(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Raw {}

impl Raw {
    /// One tagged string, as the journal keeps it.
    pub(crate) fn tagged(&self) -> String {
        match self {
            Self::Null => Value::Null,
            Self::Integer(i) => Value::Integer(*i),
            Self::Real(x) => Value::Float(*x),
            Self::Text(t) => Value::Text(t.clone()),
            Self::Blob(b) => Value::Bytes(b.clone()),
        }
        .tagged()
    }

    /// Reads what [`Raw::tagged`] wrote.
    pub(crate) fn from_tagged(text: &str) -> Option<Self> {
        Some(match Value::from_tagged(text)? {
            Value::Null => Self::Null,
            Value::Integer(i) => Self::Integer(i),
            Value::Float(x) => Self::Real(x),
            Value::Text(t) => Self::Text(t),
            Value::Bytes(b) => Self::Blob(b),
            Value::Boolean(_) | Value::Decimal(_) | Value::Timestamp(_) | Value::Json(_) => return None,
        })
    }

    /// The text, where it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Integer(_) | Self::Real(_) | Self::Blob(_) => None,
        }
    }

    /// The integer, where it is one or its text is.
    pub(crate) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(i) => Some(*i),
            Self::Text(text) => text.parse().ok(),
            Self::Null | Self::Real(_) | Self::Blob(_) => None,
        }
    }

    /// Whether it is a true boolean, in either engine's form.
    pub(crate) fn truth(&self) -> bool {
        matches!(self, Self::Integer(1)) || self.text().is_some_and(|t| t == "true" || t == "t")
    }

    pub(crate) fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(t) => t.len(),
                Self::Blob(b) => b.len(),
                Self::Null | Self::Integer(_) | Self::Real(_) => 0,
            }
    }
}

/// A key for people: `6`, or `7/DE` where it is composite; `••••` where a part of it is sensitive.
pub(crate) fn shown_key<'a>(table: &Resolved, key: impl IntoIterator<Item = &'a Raw>) -> String {
    if table.key_columns().any(|(_, column)| column.sensitive) {
        return "••••".to_owned();
    }
    let parts: Vec<String> = key
        .into_iter()
        .map(|raw| match raw {
            Raw::Null => "NULL".to_owned(),
            Raw::Integer(i) => i.to_string(),
            Raw::Real(x) => x.to_string(),
            Raw::Text(t) => t.clone(),
            Raw::Blob(b) => hex::encode(b),
        })
        .collect();
    parts.join("/")
}

/// What a stored value is to a job, or `None` if it cannot be of the column's kind.
pub(crate) fn to_value(engine: Engine, kind: Kind, raw: &Raw) -> Option<Value> {
    if matches!(raw, Raw::Null) {
        return Some(Value::Null);
    }
    match engine {
        Engine::Sqlite => from_sqlite(kind, raw),
        Engine::Postgres => from_postgres(kind, raw.text()?),
    }
}

fn from_sqlite(kind: Kind, raw: &Raw) -> Option<Value> {
    Some(match (kind, raw) {
        (Kind::Boolean, Raw::Integer(0)) => Value::Boolean(false),
        (Kind::Boolean, Raw::Integer(1)) => Value::Boolean(true),
        (Kind::Integer, Raw::Integer(i)) => Value::Integer(*i),
        (Kind::Float, Raw::Real(x)) => Value::Float(*x),
        (Kind::Float, Raw::Integer(i)) => Value::Float(exact_f64(*i)?),
        (Kind::Decimal(_), Raw::Integer(i)) => Value::Decimal(Decimal::from(*i)),
        (Kind::Decimal(_), Raw::Real(x)) => Value::Decimal(Decimal::from_shortest(*x)?),
        (Kind::Decimal(_), Raw::Text(t)) => Value::Decimal(t.parse().ok()?),
        (Kind::Text, Raw::Text(t)) => Value::Text(t.clone()),
        (Kind::Bytes, Raw::Blob(b)) => Value::Bytes(b.clone()),
        (Kind::Timestamp, Raw::Text(t)) => Value::Timestamp(t.clone()),
        (Kind::Json, Raw::Text(t)) => Value::Json(t.clone()),
        _ => return None,
    })
}

fn from_postgres(kind: Kind, text: &str) -> Option<Value> {
    Some(match kind {
        Kind::Boolean => Value::Boolean(text == "true" || text == "t"),
        Kind::Integer => Value::Integer(text.parse().ok()?),
        Kind::Float => Value::Float(text.parse().ok()?),
        Kind::Decimal(_) => Value::Decimal(text.parse().ok()?),
        Kind::Text => Value::Text(text.to_owned()),
        Kind::Bytes => Value::Bytes(hex::decode(text.strip_prefix("\\x")?).ok()?),
        Kind::Timestamp => Value::Timestamp(text.to_owned()),
        Kind::Json => Value::Json(text.to_owned()),
    })
}

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwritable {
    /// It is not of the column's kind.
    Kind,
    /// It has more digits after the point than the column keeps.
    Scale,
    /// The database would give something else back.
    RoundTrip,
}

/// How a job's value is stored in this column. On PostgreSQL the text that the type itself would
/// print may still differ; the gateway asks it before a plan is made.
pub(crate) fn from_value(engine: Engine, column: &ResolvedColumn, value: &Value) -> Result<Raw, Unwritable> {
    if !value.fits(column.kind) {
        return Err(Unwritable::Kind);
    }
    if let (Value::Decimal(decimal), Some(scale)) = (value, column.kind.scale())
        && decimal.scale() > usize::from(scale)
    {
        return Err(Unwritable::Scale);
    }
    if let Value::Text(t) | Value::Json(t) | Value::Timestamp(t) = value
        && t.contains('\0')
    {
        return Err(Unwritable::RoundTrip);
    }
    match engine {
        Engine::Sqlite => to_sqlite(column, value),
        Engine::Postgres => Ok(to_postgres(column, value)),
    }
}

fn to_postgres(column: &ResolvedColumn, value: &Value) -> Raw {
    Raw::Text(match value {
        Value::Null => return Raw::Null,
        Value::Boolean(b) => b.to_string(),
        Value::Integer(i) => i.to_string(),
        Value::Float(x) if x.is_nan() => "NaN".to_owned(),
        Value::Float(x) if x.is_infinite() => if *x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Value::Float(x) => x.to_string(),
        Value::Decimal(d) => {
            let scale = column.kind.scale().map(usize::from);
            scale.and_then(|scale| d.padded(scale)).unwrap_or_else(|| d.to_string())
        }
        Value::Bytes(b) => format!("\\x{}", hex::encode(b)),
        Value::Text(t) | Value::Timestamp(t) | Value::Json(t) => t.clone(),
    })
}

fn to_sqlite(column: &ResolvedColumn, value: &Value) -> Result<Raw, Unwritable> {
    let affinity = Affinity::of(&column.declared);
    let raw = match value {
        Value::Null => Raw::Null,
        Value::Boolean(b) => Raw::Integer(i64::from(*b)),
        Value::Integer(i) => Raw::Integer(*i),
        Value::Float(x) => Raw::Real(*x),
        Value::Bytes(b) => Raw::Blob(b.clone()),
        Value::Text(t) | Value::Timestamp(t) | Value::Json(t) => Raw::Text(t.clone()),
        Value::Decimal(d) if affinity == Affinity::Text => {
            let scale = column.kind.scale().map(usize::from);
            Raw::Text(scale.and_then(|scale| d.padded(scale)).unwrap_or_else(|| d.to_string()))
        }
        Value::Decimal(d) => match d.to_string().parse::<i64>() {
            Ok(i) => Raw::Integer(i),
            Err(_) => Raw::Real(d.to_exact_f64().ok_or(Unwritable::RoundTrip)?),
        },
    };
    affinity.store(raw).ok_or(Unwritable::RoundTrip)
}

/// SQLite's column affinity, by the rules of <https://sqlite.org/datatype3.html>, section 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    pub(crate) fn of(declared: &str) -> Self {
        let upper = declared.to_ascii_uppercase();
        let has = |word: &str| upper.contains(word);
        if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if upper.is_empty() || has("BLOB") {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// What a column of this affinity holds after `raw` was written; `None` where that is not the
    /// value any more.
    fn store(self, raw: Raw) -> Option<Raw> {
        match (self, raw) {
            // NaN becomes NULL, and −0.0 loses its sign where SQLite stores it as an integer.
            (_, Raw::Real(x)) if x.is_nan() || (x == 0.0 && x.is_sign_negative()) => None,
            (Self::Numeric | Self::Integer, Raw::Real(x)) => Some(as_integer(x).map_or(Raw::Real(x), Raw::Integer)),
            (Self::Real, Raw::Integer(i)) => exact_f64(i).map(Raw::Real),
            (Self::Text, Raw::Integer(_) | Raw::Real(_)) => None,
            (Self::Numeric | Self::Integer | Self::Real, Raw::Text(t)) => {
                // A text that reads as a number becomes one: '02' is 2 afterwards.
                (t.trim().parse::<f64>().is_err()).then_some(Raw::Text(t))
            }
            (_, raw) => Some(raw),
        }
    }
}

/// The integer that a NUMERIC column stores instead of this double: exact, and within 51 bits.
fn as_integer(x: f64) -> Option<i64> {
    const LIMIT: f64 = 2_251_799_813_685_248.0;
    if x.fract() != 0.0 || x.abs() >= LIMIT {
        return None;
    }
    format!("{x:.0}").parse().ok()
}

fn exact_f64(i: i64) -> Option<f64> {
    const LIMIT: u64 = 1 << 53;
    (i.unsigned_abs() <= LIMIT).then(|| i.to_string().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mendwright_core::class::Class;

    fn column(kind: &str, declared: &str) -> ResolvedColumn {
        ResolvedColumn {
            column: "c".into(),
            kind: kind.parse().unwrap(),
            declared: declared.into(),
            nullable: true,
            has_constant_default: false,
            generated: false,
            exact: true,
            currency: None,
            class: Class::Ordinary,
            sensitive: false,
            derived: None,
        }
    }

    fn decimal(text: &str) -> Value {
        Value::Decimal(text.parse().unwrap())
    }

    fn check(kind: &str, declared: &str, value: Value, expect: Result<Raw, Unwritable>) {
        let column = column(kind, declared);
        let raw = from_value(Engine::Sqlite, &column, &value);
        assert_eq!(raw, expect, "{value:?} into {declared}");
        if let Ok(raw) = raw {
            assert_eq!(to_value(Engine::Sqlite, column.kind, &raw), Some(value));
        }
    }

    #[test]
    fn sqlite_stores_a_decimal_as_its_affinity_would() {
        check("decimal(10,2)", "NUMERIC(10,2)", decimal("13.86"), Ok(Raw::Real(13.86)));
        check("decimal(10,2)", "NUMERIC(10,2)", decimal("10"), Ok(Raw::Integer(10)));
        check("decimal(10,2)", "REAL", decimal("10"), Ok(Raw::Real(10.0)));
        check("decimal(10,2)", "TEXT", decimal("10"), Ok(Raw::Text("10.00".into())));
        check("decimal(10,2)", "NUMERIC(10,2)", decimal("10.005"), Err(Unwritable::Scale));
        check("decimal", "NUMERIC", decimal("12345678901234567.89"), Err(Unwritable::RoundTrip));
        check("decimal", "TEXT", decimal("12345678901234567.89"), Ok(Raw::Text("12345678901234567.89".into())));
    }

    #[test]
    fn what_sqlite_would_silently_change_is_refused() {
        check("float", "REAL", Value::Float(f64::NAN), Err(Unwritable::RoundTrip));
        check("float", "REAL", Value::Float(-0.0), Err(Unwritable::RoundTrip));
        check("text", "NUMERIC", Value::Text("02".into()), Err(Unwritable::RoundTrip));
        check("text", "TEXT", Value::Text("02".into()), Ok(Raw::Text("02".into())));
        check("text", "TEXT", Value::Text("a\0b".into()), Err(Unwritable::RoundTrip));
        check("integer", "TEXT", Value::Integer(2), Err(Unwritable::RoundTrip));
        check("integer", "INTEGER", Value::Text("2".into()), Err(Unwritable::Kind));
    }

    #[test]
    fn a_raw_value_reads_back_from_the_journal_bit_for_bit() {
        for raw in [Raw::Null, Raw::Integer(-1), Raw::Real(-0.0), Raw::Text("n".into()), Raw::Blob(vec![0, 9])] {
            assert_eq!(Raw::from_tagged(&raw.tagged()), Some(raw));
        }
    }

    #[test]
    fn postgres_text_becomes_a_value_and_numeric_nan_does_not() {
        let read = |kind: &str, text: &str| to_value(Engine::Postgres, kind.parse().unwrap(), &Raw::Text(text.into()));
        assert_eq!(read("decimal(10,2)", "13.80"), Some(decimal("13.8")));
        assert_eq!(read("decimal", "NaN"), None);
        assert_eq!(read("float", "NaN"), Some(Value::Float(f64::NAN)));
        assert_eq!(read("bytes", "\\x00ff"), Some(Value::Bytes(vec![0, 255])));
        assert_eq!(read("boolean", "true"), Some(Value::Boolean(true)));
    }
}
