//! What somebody wants done with a run. Its state says what is true; this says what is next.

use std::fmt;
use std::str::FromStr;

use crate::run::{Event, State};

/// What a worker does with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// The dry run.
    Plan,
    /// To apply the plan and read it back.
    Apply,
    /// To restore the journal, or to restore what an undo took away.
    Undo,
}

impl Task {
    /// Every task.
    pub const ALL: [Self; 3] = [Self::Plan, Self::Apply, Self::Undo];

    /// The word that the store and JSON use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Undo => "undo",
        }
    }

    /// What is being done about a run that stands so; `None` where nothing has to be.
    #[must_use]
    pub const fn of(state: State) -> Option<Self> {
        match state {
            State::Planning => Some(Self::Plan),
            State::Applying | State::Verifying => Some(Self::Apply),
            State::RollingBack => Some(Self::Undo),
            State::Planned
            | State::AwaitingApproval
            | State::Approved
            | State::NothingToDo
            | State::Denied
            | State::Refused
            | State::Failed
            | State::Succeeded
            | State::Drifted
            | State::Violated
            | State::Expired
            | State::Rejected
            | State::Cancelled
            | State::RolledBack
            | State::Stuck
            | State::Diverged => None,
        }
    }

    /// Whether somebody may ask for this in that state.
    #[must_use]
    pub const fn may_be_asked(self, state: State) -> bool {
        match self {
            Self::Plan => false,
            Self::Apply => state.apply(Event::ApplyStarted).is_ok(),
            Self::Undo => state.apply(Event::RollbackStarted).is_ok(),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Task {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|task| task.word() == text).ok_or_else(|| format!("`{text}` is not a task"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_prints_and_parses_back() {
        for task in Task::ALL {
            assert_eq!(task.word().parse(), Ok(task));
        }
    }

    #[test]
    fn exactly_the_states_in_flight_have_a_task_of_their_own() {
        for state in State::ALL {
            assert_eq!(Task::of(state).is_some(), state.is_in_flight(), "{state}");
            // What is being done cannot be asked for at the same time.
            assert!(!Task::ALL.into_iter().any(|task| task.may_be_asked(state)) || !state.is_in_flight(), "{state}");
        }
    }
}
