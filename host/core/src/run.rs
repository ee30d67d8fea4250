//! A run from its dry run to its end: one total transition function, used by live hosts and recovery.

use std::fmt;
use std::str::FromStr;

use crate::code::Code;

/// Where a run stands. What more there is to say (plan, outcome, who) is kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The dry run is going on.
    Planning,
    /// There is a plan. It needs nobody's word, or policy does not let it run yet.
    Planned,
    /// The plan lacks the word of people.
    AwaitingApproval,
    /// Enough people approved the plan.
    Approved,
    /// The dry run found nothing to change.
    NothingToDo,
    /// Policy said no before anything ran.
    Denied,
    /// The gateway said no during the dry run.
    Refused,
    /// The job returned an error, or its component died.
    Failed,
    /// The control store committed that this host applies the plan; the target may or may not hold it.
    Applying,
    /// The target holds the plan; the host reads it back.
    Verifying,
    /// Applied and verified.
    Succeeded,
    /// The world no longer matched the plan; nothing was applied.
    Drifted,
    /// A constraint of the tenant's own forbade it; nothing was applied.
    Violated,
    /// The plan became too old.
    Expired,
    /// A person who could have approved it said no.
    Rejected,
    /// A person called it off before it was applied.
    Cancelled,
    /// The host restores the journal.
    RollingBack,
    /// What the run did is undone.
    RolledBack,
    /// The undo failed; only a person may leave this state.
    Stuck,
    /// The target lacks what the control store knows to be committed; only a person may leave this state.
    Diverged,
}

impl State {
    /// Every state, in the order of this file.
    pub const ALL: [Self; 20] = [
        Self::Planning,
        Self::Planned,
        Self::AwaitingApproval,
        Self::Approved,
        Self::NothingToDo,
        Self::Denied,
        Self::Refused,
        Self::Failed,
        Self::Applying,
        Self::Verifying,
        Self::Succeeded,
        Self::Drifted,
        Self::Violated,
        Self::Expired,
        Self::Rejected,
        Self::Cancelled,
        Self::RollingBack,
        Self::RolledBack,
        Self::Stuck,
        Self::Diverged,
    ];

    /// The word that the store and JSON use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Planned => "planned",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::NothingToDo => "nothing_to_do",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Applying => "applying",
            Self::Verifying => "verifying",
            Self::Succeeded => "succeeded",
            Self::Drifted => "drifted",
            Self::Violated => "violated",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Stuck => "stuck",
            Self::Diverged => "diverged",
        }
    }

    /// What the run waits for, in words for the operator; `None` once it is over.
    #[must_use]
    pub const fn waits_for(self) -> Option<&'static str> {
        match self {
            Self::Planning => Some("its dry run"),
            Self::Planned | Self::Approved => Some("somebody to apply it"),
            Self::AwaitingApproval => Some("people to approve it"),
            Self::Applying => Some("the target's commit"),
            Self::Verifying => Some("the host to read the rows back"),
            Self::RollingBack => Some("the target to restore the journal"),
            Self::Stuck | Self::Diverged => Some("a person"),
            Self::NothingToDo
            | Self::Denied
            | Self::Refused
            | Self::Failed
            | Self::Succeeded
            | Self::Drifted
            | Self::Violated
            | Self::Expired
            | Self::Rejected
            | Self::Cancelled
            | Self::RolledBack => None,
        }
    }

    /// Whether only a person may go on with it.
    #[must_use]
    pub const fn is_a_persons(self) -> bool {
        matches!(self, Self::Stuck | Self::Diverged)
    }

    /// Whether a host that died may have left it so, and recovery has to look at the target.
    #[must_use]
    pub const fn is_in_flight(self) -> bool {
        matches!(self, Self::Planning | Self::Applying | Self::Verifying | Self::RollingBack)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|s| s.word() == text).ok_or_else(|| format!("`{text}` is not a run's state"))
    }
}

/// What can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The dry run found changes.
    ChangesFound,
    /// The dry run found nothing to change.
    NoChangesFound,
    /// Policy said no.
    PolicyDenied,
    /// The gateway or a budget said no.
    GatewayRefused,
    /// The job returned an error or died, or the host could not go on before anything was written.
    ExecutionFailed,
    /// Policy wants the word of people first.
    ApprovalsAsked,
    /// Enough people have given it.
    ApprovalsGiven,
    /// One of them took it back, or it ran out, and it is no longer enough.
    ApprovalsLost,
    /// A person who could have approved the plan said no.
    PersonRejected,
    /// The plan became too old.
    PlanExpired,
    /// A person called it off.
    PersonCancelled,
    /// A host is about to open the flush.
    ApplyStarted,
    /// The same, by a person who broke the glass: policy would have forbidden it otherwise.
    GlassBroken,
    /// The apply ended before its transaction began, and may be started again: the run is planned.
    ApplyAbandoned,
    /// The apply ended before its transaction began, and may be started again: the run is approved.
    ApprovedApplyAbandoned,
    /// The world no longer matches.
    DriftFound,
    /// A constraint forbade the write.
    ConstraintViolated,
    /// Some batches of the plan are committed and the next one cannot be: they are restored.
    ApplyBroken,
    /// The target's journal holds the plan.
    FlushCommitted,
    /// The rows read back are the planned ones.
    VerificationPassed,
    /// They are not.
    VerificationFailed,
    /// A host is about to restore the journal.
    RollbackStarted,
    /// The target's journal holds the undo.
    RollbackCommitted,
    /// The target's journal holds the undo of an undo.
    RedoCommitted,
    /// The restore ended before its transaction began, and the run is as it was: applied.
    RollbackAbandoned,
    /// The restore ended before its transaction began, and the run is as it was: rolled back.
    RedoAbandoned,
    /// The restore failed.
    RollbackFailed,
    /// The target lacks what was committed.
    DivergenceFound,
}

impl Event {
    /// Every event, in the order of this file.
    pub const ALL: [Self; 28] = [
        Self::ChangesFound,
        Self::NoChangesFound,
        Self::PolicyDenied,
        Self::GatewayRefused,
        Self::ExecutionFailed,
        Self::ApprovalsAsked,
        Self::ApprovalsGiven,
        Self::ApprovalsLost,
        Self::PersonRejected,
        Self::PlanExpired,
        Self::PersonCancelled,
        Self::ApplyStarted,
        Self::GlassBroken,
        Self::ApplyAbandoned,
        Self::ApprovedApplyAbandoned,
        Self::DriftFound,
        Self::ConstraintViolated,
        Self::ApplyBroken,
        Self::FlushCommitted,
        Self::VerificationPassed,
        Self::VerificationFailed,
        Self::RollbackStarted,
        Self::RollbackCommitted,
        Self::RedoCommitted,
        Self::RollbackAbandoned,
        Self::RedoAbandoned,
        Self::RollbackFailed,
        Self::DivergenceFound,
    ];
}

/// The event cannot happen in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state} cannot see {event:?}")]
pub struct IllegalTransition {
    /// Where the run stands.
    pub state: State,
    /// What was said to have happened.
    pub event: Event,
}

impl IllegalTransition {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::RunState
    }
}

impl State {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalTransition`] holds both.
    pub const fn apply(self, event: Event) -> Result<Self, IllegalTransition> {
        use Event as E;
        use State as S;
        Ok(match (self, event) {
            (S::Planning, E::ChangesFound) => S::Planned,
            (S::Planning, E::NoChangesFound) => S::NothingToDo,
            (S::Planning, E::PolicyDenied) => S::Denied,
            (S::Planning, E::GatewayRefused) => S::Refused,
            (S::Planning, E::ExecutionFailed) => S::Failed,
            (S::Planned, E::ApprovalsAsked) => S::AwaitingApproval,
            (S::AwaitingApproval, E::ApprovalsGiven) => S::Approved,
            (S::Approved, E::ApprovalsLost) => S::AwaitingApproval,
            (S::Planned | S::AwaitingApproval | S::Approved, E::PersonRejected) => S::Rejected,
            (S::Planned | S::AwaitingApproval | S::Approved, E::PlanExpired) => S::Expired,
            // A dry run writes nothing: it may be called off at any time.
            (S::Planning | S::Planned | S::AwaitingApproval | S::Approved, E::PersonCancelled) => S::Cancelled,
            (S::Planned | S::Approved, E::ApplyStarted) => S::Applying,
            (S::Planned | S::AwaitingApproval | S::Approved, E::GlassBroken) => S::Applying,
            (S::Applying, E::ApplyAbandoned) => S::Planned,
            (S::Applying, E::ApprovedApplyAbandoned) => S::Approved,
            (S::Applying, E::DriftFound) => S::Drifted,
            (S::Applying, E::ConstraintViolated) => S::Violated,
            (S::Applying, E::GatewayRefused) => S::Refused,
            (S::Applying, E::ExecutionFailed) => S::Failed,
            (S::Applying, E::ApplyBroken) => S::RollingBack,
            (S::Applying, E::FlushCommitted) => S::Verifying,
            (S::Verifying, E::VerificationPassed) => S::Succeeded,
            (S::Verifying, E::VerificationFailed) => S::RollingBack,
            (S::Succeeded | S::RolledBack, E::RollbackStarted) => S::RollingBack,
            (S::RollingBack, E::RollbackCommitted) => S::RolledBack,
            (S::RollingBack, E::RedoCommitted) => S::Succeeded,
            (S::RollingBack, E::RollbackAbandoned) => S::Succeeded,
            (S::RollingBack, E::RedoAbandoned) => S::RolledBack,
            (S::RollingBack, E::RollbackFailed) => S::Stuck,
            // A person looked at the rows and tries the undo again.
            (S::Stuck, E::RollbackStarted) => S::RollingBack,
            (
                S::Applying | S::Verifying | S::Succeeded | S::RollingBack | S::RolledBack | S::Stuck,
                E::DivergenceFound,
            ) => S::Diverged,
            (state, event) => return Err(IllegalTransition { state, event }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_prints_and_parses_back() {
        for state in State::ALL {
            assert_eq!(state.word().parse(), Ok(state));
        }
    }

    #[test]
    fn the_whole_matrix_of_states_and_events_is_as_reviewed() {
        let mut matrix = String::new();
        for state in State::ALL {
            for event in Event::ALL {
                if let Ok(next) = state.apply(event) {
                    matrix.push_str(&format!("{state} + {event:?} = {next}\n"));
                }
            }
        }
        insta::assert_snapshot!(matrix);
    }

    #[test]
    fn what_is_over_stays_over() {
        for state in State::ALL.into_iter().filter(|s| s.waits_for().is_none()) {
            for event in Event::ALL {
                let goes_on = state.apply(event).is_ok();
                let may = matches!(state, State::Succeeded | State::RolledBack);
                assert!(!goes_on || may, "{state} {event:?}");
            }
        }
    }
}
