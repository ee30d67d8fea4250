//! Whether a host may write at this moment (P8): a matter of what the switches said, and of how long ago it
//! asked for them.

use std::time::Duration;

/// A host may write for as long after it asked for the switches. A reader that asks every quarter of it is
/// not noticed.
pub const FRESH: Duration = Duration::from_millis(100);

/// The longest that a flush waits for fresh word, perhaps with locks held: five times what it takes where
/// all is well, and still less than an application notices.
pub const WAIT_MAX: Duration = Duration::from_millis(500);

/// What a flush is for; decides which switches stop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes the changes of a plan.
    Apply,
    /// Takes them back, or takes that back.
    Rollback,
}

impl Kind {
    /// As the target's journal has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Rollback => "rollback",
        }
    }

    /// Whether a thrown switch stops it; `restoring` where that one stops restoring too.
    #[must_use]
    pub const fn is_stopped(self, restoring: bool) -> bool {
        match self {
            Self::Apply => true,
            Self::Rollback => restoring,
        }
    }
}

/// What a gate answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The flush may go on.
    Goes,
    /// A switch stops it.
    Stopped,
    /// What is known is too old; whoever waits may hear more.
    Waits,
}

/// What follows from the last word of the switches: whether one is thrown (and stops restoring too), and how
/// long ago they were asked for; `None` where they never were.
#[must_use]
pub fn pass(kind: Kind, thrown: Option<bool>, age: Option<Duration>) -> Pass {
    if thrown.is_some_and(|restoring| kind.is_stopped(restoring)) {
        return Pass::Stopped;
    }
    if age.is_some_and(|age| age <= FRESH) { Pass::Goes } else { Pass::Waits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fresh_word_of_no_switch_lets_a_flush_go_on() {
        let old = FRESH + Duration::from_micros(1);
        let cases = [
            (Kind::Apply, None, Some(FRESH), Pass::Goes),
            (Kind::Apply, None, Some(old), Pass::Waits),
            (Kind::Apply, None, None, Pass::Waits),
            (Kind::Apply, Some(false), Some(Duration::ZERO), Pass::Stopped),
            // A switch that was seen thrown does not become old.
            (Kind::Apply, Some(false), Some(old), Pass::Stopped),
            (Kind::Rollback, Some(false), Some(FRESH), Pass::Goes),
            (Kind::Rollback, Some(false), Some(old), Pass::Waits),
            (Kind::Rollback, Some(true), Some(FRESH), Pass::Stopped),
        ];
        for (kind, thrown, age, expected) in cases {
            assert_eq!(pass(kind, thrown, age), expected, "{kind:?} {thrown:?} {age:?}");
        }
    }
}
