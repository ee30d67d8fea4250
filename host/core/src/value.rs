//! One value of one column.

use std::cmp::Ordering;
use std::fmt;

use crate::decimal::Decimal;
use crate::kind::Kind;

/// One value of one column, as a job sees it and as a plan binds it.
///
/// Equality is exact: text by its bytes, floats by their bits, decimals by their number, timestamps
/// and JSON by the database's own text.
#[derive(Clone, Debug)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// True or false.
    Boolean(bool),
    /// A 64-bit signed integer.
    Integer(i64),
    /// A binary double.
    Float(f64),
    /// An exact decimal.
    Decimal(Decimal),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A date, a time or both, as the database writes it.
    Timestamp(String),
    /// A JSON document's text.
    Json(String),
}

impl Value {
    /// The value as one tagged string, the form that digests are made of: `i:42`, `d:9.9`, `f:` and
    /// sixteen hex digits of the double's bits, `t:` and the text, `b:` and hex, `s:` and the
    /// timestamp, `j:` and the document, `o:true`. NULL is `n`.
    #[must_use]
    pub fn tagged(&self) -> String {
        match self {
            Self::Null => "n".to_owned(),
            Self::Boolean(b) => format!("o:{b}"),
            Self::Integer(i) => format!("i:{i}"),
            Self::Float(x) => format!("f:{:016x}", x.to_bits()),
            Self::Decimal(d) => format!("d:{d}"),
            Self::Text(t) => format!("t:{t}"),
            Self::Bytes(b) => format!("b:{}", hex::encode(b)),
            Self::Timestamp(t) => format!("s:{t}"),
            Self::Json(t) => format!("j:{t}"),
        }
    }

    /// Reads what [`Value::tagged`] wrote.
    #[must_use]
    pub fn from_tagged(text: &str) -> Option<Self> {
        if text == "n" {
            return Some(Self::Null);
        }
        let (tag, rest) = text.split_once(':')?;
        Some(match tag {
            "o" => Self::Boolean(rest.parse().ok()?),
            "i" => Self::Integer(rest.parse().ok()?),
            "f" => Self::Float(f64::from_bits(u64::from_str_radix(rest, 16).ok()?)),
            "d" => Self::Decimal(rest.parse().ok()?),
            "t" => Self::Text(rest.to_owned()),
            "b" => Self::Bytes(hex::decode(rest).ok()?),
            "s" => Self::Timestamp(rest.to_owned()),
            "j" => Self::Json(rest.to_owned()),
            _ => return None,
        })
    }

    /// The value as plan documents write it: NULL is `None`, everything else its plain text. The kind
    /// stands beside it in `resources.columns`.
    #[must_use]
    pub fn plain(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Boolean(b) => Some(b.to_string()),
            Self::Integer(i) => Some(i.to_string()),
            Self::Float(x) => Some(format!("{x:?}")),
            Self::Decimal(d) => Some(d.to_string()),
            Self::Bytes(b) => Some(hex::encode(b)),
            Self::Text(t) | Self::Timestamp(t) | Self::Json(t) => Some(t.clone()),
        }
    }

    /// Reads what [`Value::plain`] wrote, or what a person typed, for a column of `kind`.
    #[must_use]
    pub fn from_plain(kind: Kind, text: Option<&str>) -> Option<Self> {
        let Some(text) = text else { return Some(Self::Null) };
        Some(match kind {
            Kind::Boolean => Self::Boolean(text.parse().ok()?),
            Kind::Integer => Self::Integer(text.parse().ok()?),
            Kind::Float => Self::Float(text.parse().ok()?),
            Kind::Decimal(_) => Self::Decimal(text.parse().ok()?),
            Kind::Text => Self::Text(text.to_owned()),
            Kind::Bytes => Self::Bytes(hex::decode(text).ok()?),
            Kind::Timestamp => Self::Timestamp(text.to_owned()),
            Kind::Json => Self::Json(text.to_owned()),
        })
    }

    /// Whether a column of `kind` can hold this. NULL fits every kind; whether the column takes it is
    /// another question.
    #[must_use]
    pub const fn fits(&self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Null, _)
                | (Self::Boolean(_), Kind::Boolean)
                | (Self::Integer(_), Kind::Integer)
                | (Self::Float(_), Kind::Float)
                | (Self::Decimal(_), Kind::Decimal(_))
                | (Self::Text(_), Kind::Text)
                | (Self::Bytes(_), Kind::Bytes)
                | (Self::Timestamp(_), Kind::Timestamp)
                | (Self::Json(_), Kind::Json)
        )
    }

    /// Whether this is NULL.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Bytes this value holds in the host's memory, for its budget.
    #[must_use]
    pub fn size(&self) -> usize {
        let inner = match self {
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Float(_) => 0,
            Self::Decimal(d) => d.size(),
            Self::Text(t) | Self::Timestamp(t) | Self::Json(t) => t.len(),
            Self::Bytes(b) => b.len(),
        };
        size_of::<Self>() + inner
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Integer(_) | Self::Float(_) | Self::Decimal(_) => 2,
            Self::Text(_) => 3,
            Self::Bytes(_) => 4,
            Self::Timestamp(_) => 5,
            Self::Json(_) => 6,
        }
    }
}

/// The order in which scans deliver and plans list: NULL first, numbers by value, text and bytes by
/// their bytes. Total, and equal exactly where the values are.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b))
            | (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::Json(a), Self::Json(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()).then_with(|| a.tagged().cmp(&b.tagged())),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// For people and messages: the plain text, or `NULL`. Not escaped; see [`crate::text::escape`].
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plain().as_deref().unwrap_or("NULL"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_values() -> Vec<Value> {
        vec![
            Value::Null,
            Value::Boolean(true),
            Value::Integer(-7),
            Value::Float(-0.0),
            Value::Float(f64::NAN),
            Value::Decimal("9.90".parse().unwrap()),
            Value::Text("a:b\u{202e}".to_owned()),
            Value::Bytes(vec![0, 255]),
            Value::Timestamp("2026-11-20 03:12:09".to_owned()),
            Value::Json("{\"a\": 9007199254740993}".to_owned()),
        ]
    }

    #[test]
    fn tagged_text_reads_back_as_the_same_value() {
        for value in some_values() {
            assert_eq!(Value::from_tagged(&value.tagged()), Some(value));
        }
        for text in ["", "x:1", "i:", "f:zz", "n:"] {
            assert_eq!(Value::from_tagged(text), None, "{text}");
        }
    }

    #[test]
    fn negative_zero_is_not_zero_and_nan_equals_itself() {
        assert_ne!(Value::Float(0.0), Value::Float(-0.0));
        assert_eq!(Value::Float(f64::NAN), Value::Float(f64::NAN));
        assert_ne!(Value::Text("1".into()), Value::Integer(1));
    }

    #[test]
    fn the_order_is_total_over_all_cases() {
        let mut values = some_values();
        values.sort();
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }
}
