//! What a repair does to one row.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::value::Value;

/// The values of a row's key columns, in the order of the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub Vec<Value>);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, value) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            write!(f, "{value}")?;
        }
        Ok(())
    }
}

/// Columns of one row by logical name, sorted.
pub type Cells = BTreeMap<String, Value>;

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The row appears.
    Insert,
    /// Some of its columns change.
    Update,
    /// The row disappears.
    Delete,
}

impl Action {
    /// Every action, in order.
    pub const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    /// `insert`, `update` or `delete`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// The sign that diffs use.
    #[must_use]
    pub const fn sign(self) -> char {
        match self {
            Self::Insert => '+',
            Self::Update => '~',
            Self::Delete => '-',
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl std::str::FromStr for Action {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|a| a.word() == text).ok_or_else(|| format!("`{text}` is not an action"))
    }
}

/// The net change of one row.
///
/// `before` holds the columns that the job read or writes, as they were; `after` the columns written.
/// An insert has no `before`, a delete no `after`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The resource, by the operator's name.
    pub resource: String,
    /// Which row.
    pub key: Key,
    /// What happens to it.
    pub action: Action,
    /// The columns read or written, as they were.
    pub before: Cells,
    /// The columns written, as they shall be.
    pub after: Cells,
    /// Why, in the job's words. Shown, not bound by the digest.
    pub reason: String,
}

impl Change {
    /// The order of a plan: by resource, then by key.
    #[must_use]
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.resource.cmp(&other.resource).then_with(|| self.key.cmp(&other.key))
    }
}
