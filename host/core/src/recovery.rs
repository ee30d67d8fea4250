//! What has to be done about a run that a process left half done: the target's journal says what is true,
//! the control store follows.

use crate::run::{Event, State};
use crate::task::Task;
use crate::work;

/// What the target holds of a run's last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing of it.
    Nothing,
    /// Some batches of a plan.
    Part,
    /// All of it.
    All,
    /// Not even all of what the flush stands on: the target was set back to a time before, or replaced.
    Lost,
}

impl Held {
    /// What the target holds of an undo: whether it is there, and what is there of what it undoes.
    #[must_use]
    pub const fn of_undo(is_there: bool, undoes: Self) -> Self {
        match (is_there, undoes) {
            (true, _) => Self::All,
            (false, Self::All) => Self::Nothing,
            (false, Self::Nothing | Self::Part | Self::Lost) => Self::Lost,
        }
    }

    /// What so many committed batches with so many changes are of a plan of `planned` changes.
    #[must_use]
    pub const fn of(batches: u32, changes: u64, planned: u64) -> Self {
        match batches {
            0 => Self::Nothing,
            _ if changes == planned => Self::All,
            _ => Self::Part,
        }
    }
}

/// A run that nobody works on, as the control store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it stood.
    pub state: State,
    /// Whether it was applied whole before.
    pub was_applied: bool,
    /// Whether its restore was begun by the host, because the rows read back were not the planned ones.
    pub verification_failed: bool,
    /// How many undos the target's journal holds, as far as the control store knows.
    pub generation: u64,
    /// Approvals that its plan needs.
    pub approvals_needed: u32,
}

/// What has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// One event says what happened.
    Happened(Event),
    /// The target holds the plan; that is written down, and it is read back.
    Committed,
    /// The target holds the plan; it has to be read back.
    ReadBack,
    /// The target holds the undo.
    RolledBack,
    /// The target holds some batches of the plan.
    GoOn,
    /// The target holds some batches of a plan that could not be gone on with.
    RestorePrefix,
    /// The target holds a plan that was not found as planned, and is to be restored.
    Restore,
}

impl Left {
    /// Whether the target has to be asked, and for what.
    #[must_use]
    pub const fn asks(self) -> Asks {
        match Task::of(self.state) {
            Some(Task::Apply) => Asks::Plan,
            Some(Task::Undo) => Asks::Undo,
            Some(Task::Plan) | None => Asks::Nothing,
        }
    }

    /// What follows from what the target holds; `None` where nothing is left to do.
    #[must_use]
    pub const fn decide(self, held: Held) -> Option<Finding> {
        Some(match (self.state, held) {
            (State::Planning, _) => Finding::Happened(Event::ExecutionFailed),
            (State::Applying, Held::All) => Finding::Committed,
            (State::Applying, Held::Part) => Finding::GoOn,
            (State::Applying, Held::Nothing | Held::Lost) => {
                Finding::Happened(work::apply_abandoned(self.approvals_needed))
            }
            (State::Verifying, Held::All) => Finding::ReadBack,
            (State::Verifying, Held::Part | Held::Nothing | Held::Lost) => Finding::Happened(Event::DivergenceFound),
            (State::RollingBack, Held::All) => Finding::RolledBack,
            (State::RollingBack, _) if !self.was_applied => Finding::RestorePrefix,
            (State::RollingBack, Held::Lost) => Finding::Happened(Event::DivergenceFound),
            // What is known to be wrong does not become a success because a host died.
            (State::RollingBack, _) if self.verification_failed => Finding::Restore,
            (State::RollingBack, _) => Finding::Happened(work::undo_abandoned(self.generation)),
            _ => return None,
        })
    }
}

/// What the target is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: a dry run leaves no trace there.
    Nothing,
    /// The batches of the plan.
    Plan,
    /// The next undo, and where that is not there, what it undoes.
    Undo,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_left() -> impl Iterator<Item = Left> {
        let flags = [false, true].into_iter().flat_map(|a| [false, true].map(|b| (a, b)));
        State::ALL.into_iter().flat_map(move |state| {
            flags.clone().flat_map(move |(was_applied, verification_failed)| {
                [0, 1].map(|n| Left {
                    state,
                    was_applied,
                    verification_failed,
                    generation: u64::from(n),
                    approvals_needed: n,
                })
            })
        })
    }

    #[test]
    fn recovery_follows_the_target_in_every_state_that_a_process_can_die_in() {
        for left in every_left() {
            for held in [Held::Nothing, Held::Part, Held::All, Held::Lost] {
                let found = left.decide(held);
                assert_eq!(found.is_some(), left.state.is_in_flight(), "{left:?}");
                if let Some(Finding::Happened(event)) = found {
                    assert!(left.state.apply(event).is_ok(), "{left:?} {event:?}");
                }
                // Without a look at the target only a dry run is over.
                assert!(left.asks() != Asks::Nothing || matches!(left.state, State::Planning) || found.is_none());
            }
        }
    }

    #[test]
    fn what_was_found_wrong_is_restored_and_never_a_success() {
        for left in every_left().filter(|left| left.state == State::RollingBack && left.verification_failed) {
            let found = left.decide(Held::Nothing);
            assert!(matches!(found, Some(Finding::Restore | Finding::RestorePrefix)), "{left:?} {found:?}");
        }
    }

    #[test]
    fn what_the_target_lost_is_neither_a_success_nor_undone() {
        for left in every_left().filter(|left| left.state == State::RollingBack) {
            let found = left.decide(Held::Lost);
            let diverged = Finding::Happened(Event::DivergenceFound);
            // Of a part that was never all, what is there is restored.
            let expected = if left.was_applied { diverged } else { Finding::RestorePrefix };
            assert_eq!(found, Some(expected), "{left:?}");
        }
    }

    #[test]
    fn a_plan_without_a_committed_batch_is_not_held_whatever_its_size() {
        assert_eq!(Held::of(0, 0, 0), Held::Nothing);
        assert_eq!([1, 2, 3].map(|n| Held::of(1, n, 3)), [Held::Part, Held::Part, Held::All]);
    }
}
