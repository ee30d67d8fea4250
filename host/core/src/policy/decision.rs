//! What policy answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::missing::Missing;

/// Yes, no, or not without the word of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may happen.
    Allow,
    /// It may not.
    Deny,
    /// It may not now, and it may once enough people have given their word; nothing else is missing.
    NeedsApproval,
}

impl Effect {
    /// The word of the store and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NeedsApproval => "needs_approval",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The answer that is in `by` when no policy allowed what was asked and none forbade it either.
pub const NOBODY_ALLOWS: &str = "builtin:nobody-allows-it";

/// An answer, with the policies that made it. This is what is stored and what a plan's JSON shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The answer.
    #[serde(rename = "decision")]
    pub effect: Effect,
    /// The ids of the policies that made it, sorted: those that allow, or those that forbid.
    pub by: Vec<String>,
    /// What would have to be different. Empty for a yes.
    pub missing: Vec<Missing>,
    /// What would have forbidden it, had the glass not been broken. Whoever shows or logs a decision
    /// shows this loudly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broke: Vec<String>,
}

impl Decision {
    /// Whether it may happen.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.effect == Effect::Allow
    }
}
