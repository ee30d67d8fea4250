//! What a worker does with a run that it has claimed, and what it writes down of how that ended. The engine
//! and the simulation both ask here.

use crate::code::Code;
use crate::run::{Event, State};
use crate::task::Task;

/// How often a task is tried: after the last pause, some five minutes, whoever is woken should look.
pub const TRIES_MAX: u64 = 5;

/// The first pause. Each further one is four times as long: 1, 4, 16, 64, 256 seconds.
const PAUSE_US: i64 = 1_000_000;
const PAUSE_GROWTH: i64 = 4;

/// What is next for a claimed run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The dry run.
    Plan,
    /// What a former attempt left is brought to an end.
    Recover,
    /// To apply the plan.
    Apply,
    /// To undo what was applied.
    Undo,
    /// It was claimed with nothing to do.
    Nothing,
}

/// What is next for a run that stands so and of which that was asked.
#[must_use]
pub const fn next(state: State, asked: Option<Task>) -> Next {
    match (state, asked) {
        (State::Planning, _) => Next::Plan,
        (state, _) if state.is_in_flight() => Next::Recover,
        (_, Some(Task::Apply)) => Next::Apply,
        (_, Some(Task::Undo)) => Next::Undo,
        (_, Some(Task::Plan) | None) => Next::Nothing,
    }
}

/// The pause after so many tries, in microseconds.
#[must_use]
pub fn pause_us(tries: u64) -> i64 {
    let tries = u32::try_from(tries).unwrap_or(u32::MAX);
    PAUSE_US.saturating_mul(PAUSE_GROWTH.saturating_pow(tries))
}

/// The pause before a task that was tried so often is tried again; `None` where it is given up.
#[must_use]
pub fn again_in_us(tries: u64) -> Option<i64> {
    (tries < TRIES_MAX).then(|| pause_us(tries))
}

/// The pause of a run that is in flight: what a process left half done is never given up.
#[must_use]
pub fn recovery_pause_us(tries: u64) -> i64 {
    pause_us(tries.min(TRIES_MAX - 1))
}

/// Whether what failed so may go well later, as it is.
#[must_use]
pub const fn may_work_later(code: Code) -> bool {
    matches!(
        code,
        Code::TargetUnavailable | Code::TargetLocked | Code::TargetFailed | Code::SnapshotBusy | Code::LockWait
    )
}

/// How a flush ended that is not known to be committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushEnd {
    /// A row is no longer as planned.
    Drifted,
    /// A constraint of the tenant's own forbade it.
    Violated,
    /// The gateway said no.
    Refused(Code),
    /// The target said no before it committed anything.
    Unavailable,
    /// The target lacks what was committed.
    Diverged,
    /// COMMIT was sent, its answer was lost, and the target could not be asked.
    Unknown,
    /// A bug of the host.
    Internal,
}

/// The event of an apply whose flush ended so; `None` where nothing may be written down of it yet: the target
/// may hold the plan, and recovery asks it.
#[must_use]
pub const fn apply_ended(end: FlushEnd, approvals_needed: u32) -> Option<Event> {
    Some(match end {
        FlushEnd::Drifted | FlushEnd::Refused(Code::ReadsDrifted) => Event::DriftFound,
        FlushEnd::Violated => Event::ConstraintViolated,
        FlushEnd::Refused(_) => Event::GatewayRefused,
        FlushEnd::Unavailable => apply_abandoned(approvals_needed),
        FlushEnd::Diverged => Event::DivergenceFound,
        FlushEnd::Internal => Event::ExecutionFailed,
        FlushEnd::Unknown => return None,
    })
}

/// What a restore that ended so says of the run; `None` where the run stays *rolling back*: the target may
/// hold the undo, or the host itself began it and has to come to an end with it.
#[must_use]
pub const fn undo_ended(end: FlushEnd, generation: u64, must_end: bool) -> Option<Event> {
    Some(match end {
        FlushEnd::Unknown => return None,
        FlushEnd::Unavailable | FlushEnd::Drifted if must_end => return None,
        FlushEnd::Unavailable | FlushEnd::Drifted => undo_abandoned(generation),
        FlushEnd::Diverged => Event::DivergenceFound,
        FlushEnd::Refused(_) | FlushEnd::Violated | FlushEnd::Internal => Event::RollbackFailed,
    })
}

/// Whether a run can be undone, or its undo be. Of a plan that was never applied whole a restored part stays
/// restored: making it again would be no success.
#[must_use]
pub const fn may_undo(state: State, was_applied: bool) -> bool {
    state.apply(Event::RollbackStarted).is_ok() && (was_applied || matches!(state, State::Stuck))
}

/// A plan that people approved stays approved where its apply did not begin to write.
#[must_use]
pub const fn apply_abandoned(approvals_needed: u32) -> Event {
    if approvals_needed > 0 { Event::ApprovedApplyAbandoned } else { Event::ApplyAbandoned }
}

/// The event that puts a run back to what it was before its undo began.
#[must_use]
pub const fn undo_abandoned(generation: u64) -> Event {
    if generation.is_multiple_of(2) { Event::RollbackAbandoned } else { Event::RedoAbandoned }
}

/// The event that says that the target holds the undo of this generation.
#[must_use]
pub const fn undo_committed(generation: u64) -> Event {
    if generation.is_multiple_of(2) { Event::RollbackCommitted } else { Event::RedoCommitted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<_> = (0..7).map(|tries| again_in_us(tries).map(|us| us / 1_000_000)).collect();
        assert_eq!(pauses, [Some(1), Some(4), Some(16), Some(64), Some(256), None, None]);
        assert_eq!([4, 5, 900].map(recovery_pause_us), [256_000_000; 3]);
    }

    #[test]
    fn what_is_in_flight_is_recovered_whatever_was_asked() {
        for state in State::ALL.into_iter().filter(|state| state.is_in_flight()) {
            let first = next(state, None);
            assert!(Task::ALL.into_iter().all(|task| next(state, Some(task)) == first), "{state}");
            assert!(matches!(first, Next::Plan | Next::Recover), "{state}");
        }
    }

    #[test]
    fn a_part_that_is_restored_is_not_made_again() {
        let may = |state| [may_undo(state, true), may_undo(state, false)];
        assert_eq!(may(State::Succeeded), [true, false]);
        assert_eq!(may(State::RolledBack), [true, false]);
        assert_eq!(may(State::Stuck), [true, true]);
        assert_eq!(may(State::Applying), [false, false]);
    }

    #[test]
    fn every_end_of_a_flush_is_an_event_that_the_run_can_see_or_none() {
        use FlushEnd as F;
        let refused = [Code::FenceLost, Code::ReadsDrifted, Code::PlanUsed].map(F::Refused);
        let ends = [F::Drifted, F::Violated, F::Unavailable, F::Diverged, F::Unknown, F::Internal];
        for end in ends.into_iter().chain(refused) {
            for n in [0, 1] {
                let apply = apply_ended(end, n).map(|event| State::Applying.apply(event));
                assert_eq!(apply.is_none(), end == F::Unknown, "{end:?}");
                assert!(apply.is_none_or(|moved| moved.is_ok()), "{end:?}");
                let undo = undo_ended(end, u64::from(n), false).map(|event| State::RollingBack.apply(event));
                assert_eq!(undo.is_none(), end == F::Unknown, "{end:?}");
                assert!(undo.is_none_or(|moved| moved.is_ok()), "{end:?}");
                assert_ne!(undo_ended(end, u64::from(n), true), Some(undo_abandoned(u64::from(n))), "{end:?}");
            }
        }
    }
}
