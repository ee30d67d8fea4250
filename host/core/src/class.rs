//! How delicate a resource or a column is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How delicate the data is; the operator says it in the binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Can be made again from something else: an index, a cache.
    Rebuildable,
    /// Everything else.
    #[default]
    Ordinary,
    /// Books: invoices, entries, balances.
    Ledger,
    /// Payments and what moves money.
    Payment,
    /// Taxes.
    Tax,
    /// Who may do what.
    Security,
    /// Keys, passwords, tokens.
    Secret,
}

impl Class {
    /// Every class, the least delicate first.
    pub const ALL: [Self; 7] =
        [Self::Rebuildable, Self::Ordinary, Self::Ledger, Self::Payment, Self::Tax, Self::Security, Self::Secret];

    /// The word of the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rebuildable => "rebuildable",
            Self::Ordinary => "ordinary",
            Self::Ledger => "ledger",
            Self::Payment => "payment",
            Self::Tax => "tax",
            Self::Security => "security",
            Self::Secret => "secret",
        }
    }

    /// Whether only people may start a write to it.
    #[must_use]
    pub const fn needs_people(self) -> bool {
        match self {
            Self::Rebuildable | Self::Ordinary => false,
            Self::Ledger | Self::Payment | Self::Tax | Self::Security | Self::Secret => true,
        }
    }

    /// Whether rows that were read but not written are covered by the plan unless the operator
    /// switches it off by name.
    #[must_use]
    pub const fn stable_reads_by_default(self) -> bool {
        match self {
            Self::Ledger | Self::Payment | Self::Tax => true,
            Self::Rebuildable | Self::Ordinary | Self::Security | Self::Secret => false,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Class {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|c| c.word() == text).ok_or_else(|| {
            let words: Vec<_> = Self::ALL.iter().map(|c| c.word()).collect();
            format!("`{text}` is not a class; one of {}", words.join(", "))
        })
    }
}
