//! Values of columns and the Rust types that stand for them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

use crate::contract::Value;

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
            Self::Decimal => Value::Decimal(digits::canonical(text)?),
            Self::Text => Value::Text(text.to_owned()),
            Self::Bytes => Value::Bytes(from_hex(text)?),
            Self::Timestamp => Value::Timestamp(text.to_owned()),
            Self::Json => Value::Json(text.to_owned()),
        })
    }
}

impl Value {
    /// What it holds; none for NULL, which every kind can be.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
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
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The order in which the host sorts: NULL first, numbers by value, text and bytes by their bytes.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => digits::order(a, b),
            (Self::Decimal(a), Self::Integer(b)) => digits::order(a, &b.to_string()),
            (Self::Integer(a), Self::Decimal(b)) => digits::order(&a.to_string(), b),
            (Self::Text(a), Self::Text(b))
            | (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::Json(a), Self::Json(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    /// Whether both are the same to the host: decimals by their number, floats by their bits,
    /// everything else byte for byte.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Decimal(a), Self::Decimal(b)) => digits::order(a, b) == Ordering::Equal,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }

    const fn rank(&self) -> u8 {
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

    /// Bytes it takes on the way to the host, about.
    pub(crate) const fn size(&self) -> usize {
        match self {
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Float(_) => 8,
            Self::Decimal(t) | Self::Text(t) | Self::Timestamp(t) | Self::Json(t) => 16 + t.len(),
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
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Boolean(b) => b.fmt(f),
            Self::Integer(i) => i.fmt(f),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Decimal(t) | Self::Text(t) | Self::Timestamp(t) | Self::Json(t) => f.write_str(t),
            Self::Bytes(b) => b.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
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
    fn from_value(value: Value) -> Result<Self, Mismatch>;

    /// Reads a value that stays where it is.
    ///
    /// # Errors
    /// As [`Field::from_value`].
    fn from_ref(value: &Value) -> Result<Self, Mismatch> {
        Self::from_value(value.clone())
    }

    /// The value to write.
    fn to_value(&self) -> Value;
}

fn other<T: Field>(value: &Value) -> Mismatch {
    value.kind().map_or(Mismatch::Null, |found| Mismatch::Kind { wanted: T::KIND, found })
}

macro_rules! field {
    ($type:ty, $kind:ident, $inner:pat => $read:expr, $this:ident => $write:expr) => {
        impl Field for $type {
            const KIND: Kind = Kind::$kind;

            fn from_value(value: Value) -> Result<Self, Mismatch> {
                if let Value::$kind($inner) = value { Ok($read) } else { Err(other::<Self>(&value)) }
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
field!(String, Text, t => t, this => this.clone());
field!(Vec<u8>, Bytes, b => b, this => this.clone());
field!(crate::Timestamp, Timestamp, t => Self::new(t), this => this.as_str().to_owned());
field!(crate::Json, Json, t => Self::new(t), this => this.as_str().to_owned());

/// Reads integers too: a quantity is a number, however the column keeps it.
impl Field for Decimal {
    const KIND: Kind = Kind::Decimal;

    fn from_value(value: Value) -> Result<Self, Mismatch> {
        Self::from_ref(&value)
    }

    // Most of what a repair reads is money: no copy of its digits.
    fn from_ref(value: &Value) -> Result<Self, Mismatch> {
        if let Value::Integer(number) = value {
            return Ok(Self::from(*number));
        }
        let Value::Decimal(text) = value else { return Err(other::<Self>(value)) };
        Self::from_str_exact(text).map_err(|_| Mismatch::TooManyDigits(text.clone()))
    }

    fn to_value(&self) -> Value {
        Value::Decimal(self.to_string())
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

    fn from_value(value: Value) -> Result<Self, Mismatch> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }

    fn from_ref(value: &Value) -> Result<Self, Mismatch> {
        if value.is_null() { Ok(None) } else { T::from_ref(value).map(Some) }
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

/// Decimals as plain digits, without a limit on their length.
mod digits {
    use std::cmp::Ordering;

    /// Sign, digits before the point without leading zeros, digits after it without trailing ones.
    fn parts(text: &str) -> (bool, &str, &str) {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        (negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction)
    }

    pub(super) fn order(a: &str, b: &str) -> Ordering {
        let ((a_negative, a_whole, a_fraction), (b_negative, b_whole, b_fraction)) = (parts(a), parts(b));
        let size = || {
            a_whole
                .len()
                .cmp(&b_whole.len())
                .then_with(|| a_whole.cmp(b_whole))
                .then_with(|| a_fraction.cmp(b_fraction))
        };
        match (a_negative, b_negative) {
            (false, false) => size(),
            (true, true) => size().reverse(),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }

    /// The form that the host keeps: no plus, no leading or trailing zeros, no negative zero.
    pub(super) fn canonical(text: &str) -> Option<String> {
        let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = bare.split_once('.').unwrap_or((bare, "0"));
        let number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !number(whole) || !number(fraction) {
            return None;
        }
        let (negative, whole, fraction) = parts(text);
        let sign = if negative { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        Some(format!("{sign}{whole}{point}{fraction}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_ordered_by_their_number_at_any_length() {
        let mut texts = ["10", "9.9", "-1", "-10.5", "0.5", "0", "12345678901234567890123456789012345.1", "-0.01"];
        texts.sort_by(|a, b| digits::order(a, b));
        assert_eq!(texts, ["-10.5", "-1", "-0.01", "0", "0.5", "9.9", "10", "12345678901234567890123456789012345.1"]);
        assert!(Value::Decimal("9.90".into()).same(&Value::Decimal("+09.9".into())));
        assert_eq!(Value::Integer(7).order(&Value::Decimal("7.5".into())), Ordering::Less);
        assert_eq!(Value::Null.order(&Value::Integer(i64::MIN)), Ordering::Less);
    }

    #[test]
    fn what_a_person_types_becomes_the_hosts_canonical_value() {
        assert_eq!(Kind::Decimal.parse("-00.500"), Some(Value::Decimal("-0.5".into())));
        assert_eq!(Kind::Decimal.parse("-0.00"), Some(Value::Decimal("0".into())));
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
        assert_eq!(Decimal::from_value(Value::Decimal(long.clone())), Err(Mismatch::TooManyDigits(long)));
        let fine = "0.1234567890123456789012345678";
        assert_eq!(Decimal::from_value(Value::Decimal(fine.into())).map(|d| d.to_string()), Ok(fine.into()));
    }

    #[test]
    fn null_needs_an_option_and_a_quantity_may_be_an_integer() {
        assert_eq!(i64::from_value(Value::Null), Err(Mismatch::Null));
        assert_eq!(Option::<i64>::from_value(Value::Null), Ok(None));
        assert_eq!(Decimal::from_value(Value::Integer(3)), Ok(Decimal::from(3)));
        assert_eq!(
            i64::from_value(Value::Text("3".into())),
            Err(Mismatch::Kind { wanted: Kind::Integer, found: Kind::Text })
        );
    }
}
