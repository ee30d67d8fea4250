//! A value where it stands: in a page, or in a [`Value`].

use std::cmp::Ordering;
use std::fmt;

use crate::contract::{Scaled, Value};
pub use crate::exact::DecimalRef;
use crate::value::Kind;

/// One value of one column, its text not copied: what a row of a page gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// SQL NULL.
    Null,
    /// True or false.
    Boolean(bool),
    /// A 64-bit signed integer.
    Integer(i64),
    /// A binary double.
    Float(f64),
    /// An exact decimal.
    Decimal(DecimalRef<'a>),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A date, a time or both, as the database writes it.
    Timestamp(&'a str),
    /// A JSON document's text.
    Json(&'a str),
}

impl ValueRef<'_> {
    /// A copy that stands by itself.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(b) => Value::Boolean(b),
            Self::Integer(i) => Value::Integer(i),
            Self::Float(x) => Value::Float(x),
            Self::Decimal(d) => Value::Decimal(d.to_owned()),
            Self::Text(t) => Value::Text(t.to_owned()),
            Self::Bytes(b) => Value::Bytes(b.to_owned()),
            Self::Timestamp(t) => Value::Timestamp(t.to_owned()),
            Self::Json(t) => Value::Json(t.to_owned()),
        }
    }

    /// What it holds; none for NULL, which every kind can be.
    #[must_use]
    pub const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Boolean(_) => Kind::Boolean,
            Self::Integer(_) => Kind::Integer,
            Self::Float(_) => Kind::Float,
            Self::Decimal(_) => Kind::Decimal,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::Json(_) => Kind::Json,
        })
    }

    /// Whether this is NULL.
    #[must_use]
    pub const fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    /// The order in which the host sorts: NULL first, numbers by value, text and bytes by their bytes.
    #[must_use]
    pub fn order(self, other: ValueRef<'_>) -> Ordering {
        match (self, other) {
            (Self::Null, ValueRef::Null) => Ordering::Equal,
            (Self::Boolean(a), ValueRef::Boolean(b)) => a.cmp(&b),
            (Self::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
            (Self::Float(a), ValueRef::Float(b)) => a.total_cmp(&b),
            (Self::Decimal(a), ValueRef::Decimal(b)) => a.order(b),
            (Self::Decimal(a), ValueRef::Integer(b)) => a.order(whole(b)),
            (Self::Integer(a), ValueRef::Decimal(b)) => whole(a).order(b),
            (Self::Text(a), ValueRef::Text(b))
            | (Self::Timestamp(a), ValueRef::Timestamp(b))
            | (Self::Json(a), ValueRef::Json(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bytes(a), ValueRef::Bytes(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    /// Whether both are the same to the host: decimals by their number, floats by their bits,
    /// everything else byte for byte.
    #[must_use]
    pub fn same(self, other: ValueRef<'_>) -> bool {
        match (self, other) {
            (Self::Decimal(a), ValueRef::Decimal(b)) => a.order(b) == Ordering::Equal,
            (Self::Float(a), ValueRef::Float(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Float(_) => 2,
            Self::Integer(_) | Self::Decimal(_) => 3,
            Self::Text(_) => 4,
            Self::Bytes(_) => 5,
            Self::Timestamp(_) => 6,
            Self::Json(_) => 7,
        }
    }
}

const fn whole(number: i64) -> DecimalRef<'static> {
    DecimalRef::Scaled(Scaled { coefficient: number, scale: 0 })
}

/// As plans print it: NULL, plain digits, bytes as hex digits, text as it is.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean(b) => b.fmt(f),
            Self::Integer(i) => i.fmt(f),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Decimal(d) => d.fmt(f),
            Self::Text(t) | Self::Timestamp(t) | Self::Json(t) => f.write_str(t),
            Self::Bytes(b) => b.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}
