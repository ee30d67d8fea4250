//! Values of columns and the Rust types that stand for them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

use crate::contract::{self, Value};
pub use crate::value_ref::{DecimalRef, ValueRef};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false: `bool`.
    Boolean,
    /// A 64-bit signed integer: `i64`.
    Integer,
    /// A binary double: `f64`.
    Float,
    /// An exact decimal: [`Decimal`].
    Decimal,
    /// Text: `String`.
    Text,
    /// Bytes: `Vec<u8>`.
    Bytes,
    /// A date, a time or both: [`crate::Timestamp`].
    Timestamp,
    /// A JSON document: [`crate::Json`].
    Json,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Boolean,
        Self::Integer,
        Self::Float,
        Self::Decimal,
        Self::Text,
        Self::Bytes,
        Self::Timestamp,
        Self::Json,
    ];

    /// The contract's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Decimal => "decimal",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Reads what a person typed for a column of this kind: bytes as hex digits, everything else as
    /// plans print it. `None` if it is no such value.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<Value> {
        Some(match self {
            Self::Boolean => Value::Boolean(bool::from_str(text).ok()?),
            Self::Integer => Value::Integer(text.parse().ok()?),
            Self::Float => Value::Float(text.parse().ok()?),
            Self::Decimal => Value::Decimal(contract::Decimal::parse(text)?),
            Self::Text => Value::Text(text.to_owned()),
            Self::Bytes => Value::Bytes(from_hex(text)?),
            Self::Timestamp => Value::Timestamp(text.to_owned()),
            Self::Json => Value::Json(text.to_owned()),
        })
    }
}

impl Value {
    /// The value without its own copy of a text.
    #[must_use]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Boolean(b) => ValueRef::Boolean(*b),
            Self::Integer(i) => ValueRef::Integer(*i),
            Self::Float(x) => ValueRef::Float(*x),
            Self::Decimal(d) => ValueRef::Decimal(d.as_ref()),
            Self::Text(t) => ValueRef::Text(t),
            Self::Bytes(b) => ValueRef::Bytes(b),
            Self::Timestamp(t) => ValueRef::Timestamp(t),
            Self::Json(t) => ValueRef::Json(t),
        }
    }

    /// What it holds; none for NULL, which every kind can be.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.as_ref().kind()
    }

    /// Whether this is NULL.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The order in which the host sorts: NULL first, numbers by value, text and bytes by their bytes.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        self.as_ref().order(other.as_ref())
    }

    /// Whether both are the same to the host: decimals by their number, floats by their bits,
    /// everything else byte for byte.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.as_ref().same(other.as_ref())
    }

    /// Bytes it takes on the way to the host, about.
    pub(crate) const fn size(&self) -> usize {
        match self {
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Float(_) => 8,
            Self::Decimal(contract::Decimal::Scaled(_)) => 16,
            Self::Decimal(contract::Decimal::Digits(t)) | Self::Text(t) | Self::Timestamp(t) | Self::Json(t) => {
                16 + t.len()
            }
            Self::Bytes(b) => 16 + b.len(),
        }
    }
}

/// A value with the host's order, for keys of tables that are known only when a job runs.
#[derive(Clone, Debug)]
pub struct Ordered(pub Value);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order(&other.0)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ordered {}

/// As plans print it: NULL, plain digits, bytes as hex digits, text as it is.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Why a value cannot be read as a Rust type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The column holds another kind.
    Kind {
        /// What the Rust type reads.
        wanted: Kind,
        /// What was there.
        found: Kind,
    },
    /// NULL, and the type is no `Option`.
    Null,
    /// A decimal with more digits than [`Decimal`] holds (28).
    TooManyDigits(String),
    /// The row has no such column.
    Missing,
}

/// A value of the database does not fit the Rust type that reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// What does not fit.
    pub mismatch: Mismatch,
}

impl ValueError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.mismatch {
            Mismatch::Kind { .. } => "VALUE_OTHER_KIND",
            Mismatch::Null => "VALUE_NULL",
            Mismatch::TooManyDigits(_) => "VALUE_TOO_MANY_DIGITS",
            Mismatch::Missing => "VALUE_MISSING",
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}.{}` ", self.table, self.column)?;
        match &self.mismatch {
            Mismatch::Kind { wanted, found } => write!(f, "is read as {} and holds {}", wanted.word(), found.word()),
            Mismatch::Null => f.write_str("is NULL; read it as an Option"),
            Mismatch::TooManyDigits(_) => f.write_str("has more than 28 digits; read it as a Value"),
            Mismatch::Missing => f.write_str("was not read; name it in the scan"),
        }
    }
}

impl std::error::Error for ValueError {}

/// A Rust type that a column can be read as.
pub trait Field: Sized {
    /// What such a column holds.
    const KIND: Kind;
    /// Whether the type takes NULL.
    const NULLABLE: bool = false;

    /// Reads a value.
    ///
    /// # Errors
    /// [`Mismatch`] if the value is of another kind, NULL or too long.
    fn from_value(value: ValueRef<'_>) -> Result<Self, Mismatch>;

    /// The value to write.
    fn to_value(&self) -> Value;
}

fn other<T: Field>(value: ValueRef<'_>) -> Mismatch {
    value.kind().map_or(Mismatch::Null, |found| Mismatch::Kind { wanted: T::KIND, found })
}

macro_rules! field {
    ($type:ty, $kind:ident, $inner:pat => $read:expr, $this:ident => $write:expr) => {
        impl Field for $type {
            const KIND: Kind = Kind::$kind;

            fn from_value(value: ValueRef<'_>) -> Result<Self, Mismatch> {
                if let ValueRef::$kind($inner) = value { Ok($read) } else { Err(other::<Self>(value)) }
            }

            fn to_value(&self) -> Value {
                let $this = self;
                Value::$kind($write)
            }
        }

        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                value.to_value()
            }
        }
    };
}

field!(bool, Boolean, b => b, this => *this);
field!(i64, Integer, i => i, this => *this);
field!(f64, Float, x => x, this => *this);
field!(String, Text, t => t.to_owned(), this => this.clone());
field!(Vec<u8>, Bytes, b => b.to_owned(), this => this.clone());
field!(crate::Timestamp, Timestamp, t => Self::new(t), this => this.as_str().to_owned());
field!(crate::Json, Json, t => Self::new(t), this => this.as_str().to_owned());

/// Reads integers too: a quantity is a number, however the column keeps it.
impl Field for Decimal {
    const KIND: Kind = Kind::Decimal;

    fn from_value(value: ValueRef<'_>) -> Result<Self, Mismatch> {
        if let ValueRef::Decimal(number) = value {
            return number.to_decimal().ok_or_else(|| Mismatch::TooManyDigits(number.to_string()));
        }
        if let ValueRef::Integer(number) = value { Ok(Self::from(number)) } else { Err(other::<Self>(value)) }
    }

    fn to_value(&self) -> Value {
        Value::Decimal((*self).into())
    }
}

impl From<Decimal> for Value {
    fn from(value: Decimal) -> Self {
        value.to_value()
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<T: Field> Field for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;

    fn from_value(value: ValueRef<'_>) -> Result<Self, Mismatch> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::to_value)
    }
}

impl<T: Field> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.to_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_becomes_the_hosts_canonical_value() {
        assert_eq!(Kind::Decimal.parse("-00.500"), Some(Decimal::new(-5, 1).into()));
        assert_eq!(Kind::Decimal.parse("-0.00"), Some(Decimal::ZERO.into()));
        for wrong in ["", ".", "1e5", "1,5", "--1", "1.", ".5"] {
            assert_eq!(Kind::Decimal.parse(wrong), None, "{wrong}");
        }
        assert_eq!(Kind::Bytes.parse("00fF"), Some(Value::Bytes(vec![0, 255])));
        assert_eq!(Kind::Bytes.parse("0"), None);
        assert_eq!(Kind::Boolean.parse("yes"), None);
    }

    #[test]
    fn a_decimal_beyond_28_digits_is_an_error_and_not_a_rounded_number() {
        let long = "123456789012345678901234567890.5".to_owned();
        let value = Kind::Decimal.parse(&long).unwrap();
        assert_eq!(Decimal::from_value(value.as_ref()), Err(Mismatch::TooManyDigits(long)));
        let fine = "0.1234567890123456789012345678";
        let value = Kind::Decimal.parse(fine).unwrap();
        assert_eq!(Decimal::from_value(value.as_ref()).map(|d| d.to_string()), Ok(fine.into()));
    }

    #[test]
    fn null_needs_an_option_and_a_quantity_may_be_an_integer() {
        assert_eq!(i64::from_value(ValueRef::Null), Err(Mismatch::Null));
        assert_eq!(Option::<i64>::from_value(ValueRef::Null), Ok(None));
        assert_eq!(Decimal::from_value(ValueRef::Integer(3)), Ok(Decimal::from(3)));
        assert_eq!(
            i64::from_value(ValueRef::Text("3")),
            Err(Mismatch::Kind { wanted: Kind::Integer, found: Kind::Text })
        );
    }
}
