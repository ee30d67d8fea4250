//! The words of a question: who wants to do what, when it is asked, and how far a job is trusted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a job or an incident is about; the same five words as an error's area.
pub use crate::code::Area as Category;
/// How bad an incident is; the same three words as a finding's.
pub use crate::port::Severity;

/// Defines an enum of plain words with `ALL`, `word`, `Display`, `FromStr` and serde by the same word.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $noun:literal { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every one, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word that policies, the store and JSON use.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|one| one.word() == text).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|one| one.word()).collect();
                    format!("`{text}` is not {}; one of {}", $noun, words.join(", "))
                })
            }
        }
    };
}

words! {
    /// What somebody wants to do.
    Action, "an action" {
        /// Make a plan: a dry run.
        Preview = "preview",
        /// Write a plan's changes.
        Apply = "apply",
        /// Give one's word for a plan.
        Approve = "approve",
        /// Say no to a plan, or to an undo.
        Reject = "reject",
        /// Restore what a run wrote.
        Rollback = "rollback",
        /// Give one's word for exactly such an undo.
        ApproveUndo = "approve_undo",
        /// Call a run off before it is applied.
        Cancel = "cancel",
        /// Put a job into the catalog.
        Publish = "publish",
        /// Throw or release a switch.
        Switch = "switch",
        /// Say how far a job is trusted with a tenant.
        Trust = "trust",
        /// Look.
        Read = "read",
    }
}

impl Action {
    /// Whether it is done to a run, so that the facts about runs belong to the question.
    #[must_use]
    pub const fn is_about_a_run(self) -> bool {
        match self {
            Self::Preview
            | Self::Apply
            | Self::Approve
            | Self::Reject
            | Self::Rollback
            | Self::ApproveUndo
            | Self::Cancel => true,
            Self::Publish | Self::Switch | Self::Trust | Self::Read => false,
        }
    }
}

words! {
    /// When policy is asked.
    Stage, "a stage" {
        /// Before anything ran; of the plan nothing is known.
        BeforePlanning = "before_planning",
        /// The plan is there.
        WithPlan = "with_plan",
        /// Inside the transaction that commits *applying*.
        AtApply = "at_apply",
    }
}

words! {
    /// How far a job is trusted with a tenant when no person stands behind it.
    Trust, "a trust" {
        /// It makes plans; people apply them.
        Suggest = "suggest",
        /// It applies what a person approved.
        Approve = "approve",
        /// It applies by itself.
        Auto = "auto",
    }
}

words! {
    /// How far a switch reaches.
    Scope, "a switch's scope" {
        /// Everything.
        Global = "global",
        /// One tenant.
        Tenant = "tenant",
        /// One module of a tenant.
        Module = "module",
    }
}

words! {
    /// What is done to a switch.
    SwitchMove, "a move of a switch" {
        /// Less may happen afterwards.
        Throw = "throw",
        /// More may happen afterwards.
        Release = "release",
    }
}

words! {
    /// What a question that is not about a run is about; the facts hold its name.
    Subject, "a subject" {
        /// The run.
        Run = "run",
        /// The job.
        Job = "job",
        /// The tenant.
        Tenant = "tenant",
        /// The tenant's module.
        Module = "module",
        /// Mendwright as a whole.
        System = "system",
    }
}

/// Who acts, without what they may do: `person:alice`, `machine:detector/totals`, `host`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Who {
    /// A person of the registry.
    Person(String),
    /// A detector, a schedule, a rollout.
    Machine(String),
    /// Mendwright itself, finishing what was begun.
    Host,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => write!(f, "person:{name}"),
            Self::Machine(name) => write!(f, "machine:{name}"),
            Self::Host => f.write_str("host"),
        }
    }
}

impl FromStr for Who {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A name without its kind is refused: `alice` who is not known to be a person would not be
        // recognised as the approver of her own request.
        match text.split_once(':') {
            None if text == "host" => Ok(Self::Host),
            Some(("person", name)) if !name.trim().is_empty() => Ok(Self::Person(name.to_owned())),
            Some(("machine", name)) if !name.trim().is_empty() => Ok(Self::Machine(name.to_owned())),
            Some(_) | None => Err(format!("`{text}` is nobody; `person:NAME`, `machine:NAME` or `host`")),
        }
    }
}

impl TryFrom<String> for Who {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.to_string()
    }
}

/// Whether two names are one person's. Wider than equality on purpose: `Alice` and `alice ` must
/// never count as two people, and taking two people for one only asks for a third.
#[must_use]
pub fn same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// Who acts, and in which roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Actor {
    /// A person of the registry.
    Person {
        /// Their name there.
        name: String,
        /// What the registry lets them be, now.
        roles: BTreeSet<String>,
    },
    /// A detector, a schedule, a rollout: `detector/totals`.
    Machine {
        /// What it is, and which.
        name: String,
    },
    /// Mendwright itself, finishing what was begun: the undo of a failed verification, recovery.
    Host,
}

impl Actor {
    /// Who it is.
    #[must_use]
    pub fn who(&self) -> Who {
        match self {
            Self::Person { name, roles: _ } => Who::Person(name.clone()),
            Self::Machine { name } => Who::Machine(name.clone()),
            Self::Host => Who::Host,
        }
    }

    /// Whether it is `who`; persons by [`same_person`].
    #[must_use]
    pub fn is(&self, who: &Who) -> bool {
        match (self, who) {
            (Self::Person { name, roles: _ }, Who::Person(other)) => same_person(name, other),
            (Self::Machine { name }, Who::Machine(other)) => name == other,
            (Self::Host, Who::Host) => true,
            (Self::Person { .. } | Self::Machine { .. } | Self::Host, Who::Person(_) | Who::Machine(_) | Who::Host) => {
                false
            }
        }
    }

    /// Whether it is a person in `role`.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        match self {
            Self::Person { roles, name: _ } => roles.contains(role),
            Self::Machine { .. } | Self::Host => false,
        }
    }

    /// Whether it is a person.
    #[must_use]
    pub const fn is_person(&self) -> bool {
        matches!(self, Self::Person { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_parses_back_and_a_bare_name_is_nobody() {
        for who in [Who::Person("alice".into()), Who::Machine("detector/totals".into()), Who::Host] {
            assert_eq!(who.to_string().parse(), Ok(who));
        }
        for text in ["alice", "", "person:", "person: ", "Host", "robot:x", "machine:"] {
            assert!(text.parse::<Who>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_person_is_themselves_however_the_name_is_written() {
        let alice = Actor::Person { name: "Alice ".into(), roles: BTreeSet::new() };
        assert!(alice.is(&Who::Person("alice".into())));
        assert!(!alice.is(&Who::Machine("alice".into())));
        assert!(!alice.is(&Who::Host));
        assert!(Actor::Host.is(&Who::Host));
    }

    #[test]
    fn each_word_parses_back() {
        for action in Action::ALL {
            assert_eq!(action.word().parse(), Ok(*action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.word());
        }
        for stage in Stage::ALL {
            assert_eq!(stage.word().parse(), Ok(*stage));
        }
        assert_eq!("Auto".parse::<Trust>().unwrap_err(), "`Auto` is not a trust; one of suggest, approve, auto");
    }
}
