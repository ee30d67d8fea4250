//! Who may start a repair follows from what it touches, not from what it claims.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::change::Action;
use crate::class::Class;

/// How much of a person's word a repair needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Level {
    /// May run by itself.
    Auto = 1,
    /// May run by itself after a rehearsal, where policy says so.
    Governed = 2,
    /// Planned by anybody, applied by people only.
    Assisted = 3,
}

impl From<Level> for u8 {
    fn from(level: Level) -> Self {
        level as Self
    }
}

impl TryFrom<u8> for Level {
    type Error = String;
    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::Auto),
            2 => Ok(Self::Governed),
            3 => Ok(Self::Assisted),
            other => Err(format!("{other} is not a level; one of 1, 2, 3")),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", u8::from(*self))
    }
}

/// One thing a plan does, as far as the level is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The resource.
    pub resource: String,
    /// The written column, or `None` for the row as a whole.
    pub column: Option<String>,
    /// The class of that column or row.
    pub class: Class,
    /// What is done.
    pub action: Action,
}

/// Why a plan has its level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Because {
    /// The manifest says at least this.
    Manifest,
    /// What is written is delicate.
    ResourceClass {
        /// The resource.
        resource: String,
        /// The column, where it has a class of its own.
        column: Option<String>,
        /// The class.
        class: Class,
    },
    /// Rows disappear.
    Deletes {
        /// The resource.
        resource: String,
    },
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest => f.write_str("the job's manifest says so"),
            Self::ResourceClass { resource, column: None, class } => write!(f, "{resource} is class {class}"),
            Self::ResourceClass { resource, column: Some(column), class } => {
                write!(f, "{resource}.{column} is class {class}")
            }
            Self::Deletes { resource } => write!(f, "rows of {resource} are deleted"),
        }
    }
}

/// The level of one touch by itself: promise P7.
#[must_use]
pub fn of_touch(touch: &Touch) -> (Level, Option<Because>) {
    let class = || {
        Some(Because::ResourceClass {
            resource: touch.resource.clone(),
            column: touch.column.clone(),
            class: touch.class,
        })
    };
    if touch.class.needs_people() {
        return (Level::Assisted, class());
    }
    match (touch.class, touch.action) {
        (Class::Rebuildable, _) => (Level::Auto, None),
        (_, Action::Delete) => (Level::Assisted, Some(Because::Deletes { resource: touch.resource.clone() })),
        (_, Action::Insert | Action::Update) => (Level::Governed, class()),
    }
}

/// The level of a plan: the highest of the manifest's and each touch's, and every reason for it.
#[must_use]
pub fn of_plan(manifest: Level, touches: &[Touch]) -> (Level, Vec<Because>) {
    let found: Vec<_> = touches.iter().map(of_touch).collect();
    let level = found.iter().map(|(level, _)| *level).max().map_or(manifest, |touched| touched.max(manifest));
    let mut because: Vec<Because> = Vec::new();
    for reason in found.into_iter().filter(|(own, _)| *own == level).filter_map(|(_, reason)| reason) {
        if !because.contains(&reason) {
            because.push(reason);
        }
    }
    if because.is_empty() {
        because.push(Because::Manifest);
    }
    (level, because)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(class: Class, action: Action) -> Touch {
        Touch { resource: "r".into(), column: None, class, action }
    }

    #[test]
    fn each_class_and_action_has_the_level_that_p7_gives_it() {
        use Action::{Delete, Insert, Update};
        for action in Action::ALL {
            assert_eq!(of_touch(&touch(Class::Rebuildable, action)).0, Level::Auto);
            for class in [Class::Ledger, Class::Payment, Class::Tax, Class::Security, Class::Secret] {
                assert_eq!(of_touch(&touch(class, action)).0, Level::Assisted, "{class} {action}");
            }
        }
        for (action, level) in [(Insert, Level::Governed), (Update, Level::Governed), (Delete, Level::Assisted)] {
            assert_eq!(of_touch(&touch(Class::Ordinary, action)).0, level);
        }
    }

    #[test]
    fn a_manifest_can_raise_the_level_and_never_lower_it() {
        let ledger = [touch(Class::Ledger, Action::Update)];
        assert_eq!(of_plan(Level::Auto, &ledger).0, Level::Assisted);
        assert_eq!(
            of_plan(Level::Assisted, &[touch(Class::Rebuildable, Action::Update)]),
            (Level::Assisted, vec![Because::Manifest])
        );
        assert_eq!(of_plan(Level::Auto, &[]).0, Level::Auto);
    }
}
