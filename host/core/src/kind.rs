//! What a column holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a column holds, as a job sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// True or false.
    Boolean,
    /// A 64-bit signed integer.
    Integer,
    /// A binary double.
    Float,
    /// An exact decimal; `Some((precision, scale))` where the database or the binding fixes them.
    Decimal(Option<(u16, u16)>),
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// A date, a time or both, in the database's ISO form, UTC.
    Timestamp,
    /// A JSON document as text.
    Json,
}

impl Kind {
    /// The bare word, as components see it in `tables.describe`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Decimal(_) => "decimal",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
        }
    }

    /// Digits after the point, where they are fixed.
    #[must_use]
    pub const fn scale(self) -> Option<u16> {
        match self {
            Self::Decimal(Some((_, scale))) => Some(scale),
            Self::Decimal(None)
            | Self::Boolean
            | Self::Integer
            | Self::Float
            | Self::Text
            | Self::Bytes
            | Self::Timestamp
            | Self::Json => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Decimal(Some((precision, scale))) = self {
            return write!(f, "decimal({precision},{scale})");
        }
        f.write_str(self.word())
    }
}

/// The text names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a column type; one of boolean, integer, float, decimal, decimal(P,S), text, bytes, timestamp, json"
)]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownKind(text.to_owned());
        Ok(match text {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "decimal" => Self::Decimal(None),
            "text" => Self::Text,
            "bytes" => Self::Bytes,
            "timestamp" => Self::Timestamp,
            "json" => Self::Json,
            other => {
                let inner = other.strip_prefix("decimal(").and_then(|t| t.strip_suffix(')')).ok_or_else(unknown)?;
                let (precision, scale) = inner.split_once(',').ok_or_else(unknown)?;
                let precision: u16 = precision.trim().parse().map_err(|_| unknown())?;
                let scale: u16 = scale.trim().parse().map_err(|_| unknown())?;
                if precision == 0 || precision > 1_000 || scale > precision {
                    return Err(unknown());
                }
                Self::Decimal(Some((precision, scale)))
            }
        })
    }
}

impl TryFrom<String> for Kind {
    type Error = UnknownKind;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_prints_and_parses_back() {
        for text in ["boolean", "integer", "float", "decimal", "decimal(10,2)", "text", "bytes", "timestamp", "json"] {
            assert_eq!(text.parse::<Kind>().unwrap().to_string(), text);
        }
        for text in ["int", "decimal(2)", "decimal(2,3)", "decimal(0,0)", "decimal(10,2", ""] {
            assert!(text.parse::<Kind>().is_err(), "{text}");
        }
    }
}
