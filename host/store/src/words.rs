//! Enums of `core` as the words that rows hold. Each makes a round trip in a test.

use mendwright_core::port::LogLevel;
use mendwright_core::run::Event;

pub(crate) const fn event_word(event: Event) -> &'static str {
    match event {
        Event::ChangesFound => "changes_found",
        Event::NoChangesFound => "no_changes_found",
        Event::PolicyDenied => "policy_denied",
        Event::GatewayRefused => "gateway_refused",
        Event::ExecutionFailed => "execution_failed",
        Event::ApprovalsAsked => "approvals_asked",
        Event::ApprovalsGiven => "approvals_given",
        Event::ApprovalsLost => "approvals_lost",
        Event::PersonRejected => "person_rejected",
        Event::PlanExpired => "plan_expired",
        Event::PersonCancelled => "person_cancelled",
        Event::ApplyStarted => "apply_started",
        Event::GlassBroken => "glass_broken",
        Event::ApplyAbandoned => "apply_abandoned",
        Event::ApprovedApplyAbandoned => "approved_apply_abandoned",
        Event::DriftFound => "drift_found",
        Event::ConstraintViolated => "constraint_violated",
        Event::FlushCommitted => "flush_committed",
        Event::VerificationPassed => "verification_passed",
        Event::VerificationFailed => "verification_failed",
        Event::RollbackStarted => "rollback_started",
        Event::RollbackCommitted => "rollback_committed",
        Event::RedoCommitted => "redo_committed",
        Event::ApplyBroken => "apply_broken",
        Event::RollbackAbandoned => "rollback_abandoned",
        Event::RedoAbandoned => "redo_abandoned",
        Event::RollbackFailed => "rollback_failed",
        Event::DivergenceFound => "divergence_found",
    }
}

pub(crate) fn event_from_word(word: &str) -> Option<Event> {
    Event::ALL.into_iter().find(|event| event_word(*event) == word)
}

pub(crate) const fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

pub(crate) fn level_from_word(word: &str) -> Option<LogLevel> {
    [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error].into_iter().find(|l| level_word(*l) == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for event in Event::ALL {
            assert_eq!(event_from_word(event_word(event)), Some(event));
        }
        for level in [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error] {
            assert_eq!(level_from_word(level_word(level)), Some(level));
        }
        assert_eq!(event_from_word("sneezed"), None);
    }
}
