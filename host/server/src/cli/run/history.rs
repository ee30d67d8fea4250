//! What a run is and was, and what can be typed next because of it.

use mendwright_core::run::{Event, State};
use mendwright_store::{RunEvent, RunNumber, RunRecord};

use super::rfc3339_or_empty;
use crate::engine::rfc3339;
use crate::view::Next;
use crate::view::run::{RunHead, TimelineEvent};
use mendwright_core::level::Level;

/// The head of `run show`.
pub(super) fn head(
    run: &RunRecord,
    events: &[RunEvent],
    compensation: Option<&RunRecord>,
    level: Option<Level>,
    now_us: i64,
) -> RunHead {
    let asked = TimelineEvent {
        at: rfc3339(run.created_at_us),
        what: "planning".to_owned(),
        by: run.requested_by.clone(),
        detail: run.parent.map_or(String::new(), |parent| format!("{parent} again")),
    };
    let mut timeline: Vec<TimelineEvent> = std::iter::once(asked).chain(events.iter().map(happened)).collect();
    timeline.extend(compensation.map(compensated));
    timeline.sort_by(|a, b| a.at.cmp(&b.at));
    let waits = run.state == State::Planned;
    RunHead {
        number: run.number.get(),
        id: run.id.to_string(),
        state: run.state,
        code: run.outcome.as_ref().map(|outcome| outcome.code),
        message: run.outcome.as_ref().map(|outcome| outcome.message.clone()).unwrap_or_default(),
        job: run.job_name.clone(),
        version: run.job_version.clone(),
        tenant: run.tenant.clone(),
        environment: run.environment.clone(),
        level,
        requested_by: run.requested_by.clone(),
        expires_at: if waits { rfc3339_or_empty(run.expires_at_us) } else { String::new() },
        undo_until: rfc3339_or_empty(run.undo_until_us),
        now: rfc3339(now_us),
        compensates: run.compensates.map(RunNumber::get),
        timeline,
        next: Vec::new(),
    }
}

/// What stands in the history of a run that another one takes back.
fn compensated(by: &RunRecord) -> TimelineEvent {
    let number = by.number;
    TimelineEvent {
        at: rfc3339(by.applied_at_us.unwrap_or(by.updated_at_us)),
        what: "compensated".to_owned(),
        by: by.requested_by.clone(),
        detail: if by.state == State::Succeeded {
            format!("by {number}")
        } else {
            format!("by {number}, {}", by.state)
        },
    }
}

pub(super) fn happened(event: &RunEvent) -> TimelineEvent {
    let code = event.code.map(|code| code.text().to_owned());
    let detail = [code, Some(event.note.clone())].into_iter().flatten().filter(|part| !part.is_empty());
    TimelineEvent {
        at: rfc3339(event.at_us),
        what: words(event.event).to_owned(),
        by: String::new(),
        detail: detail.collect::<Vec<_>>().join(" · "),
    }
}

/// What happened, in words.
pub(super) const fn words(event: Event) -> &'static str {
    match event {
        Event::ChangesFound => "planned",
        Event::NoChangesFound => "nothing to do",
        Event::PolicyDenied => "denied",
        Event::GatewayRefused => "refused",
        Event::ExecutionFailed => "failed",
        Event::ApprovalsAsked => "waits for people",
        Event::ApprovalsGiven => "approved",
        Event::ApprovalsLost => "no longer approved",
        Event::PersonRejected => "rejected",
        Event::PlanExpired => "expired",
        Event::PersonCancelled => "cancelled",
        Event::ApplyStarted => "apply started",
        Event::GlassBroken => "THE GLASS WAS BROKEN: apply started",
        Event::ApplyAbandoned | Event::ApprovedApplyAbandoned => "apply ended before it began to write",
        Event::DriftFound => "drifted",
        Event::ConstraintViolated => "violates a constraint",
        Event::FlushCommitted => "committed",
        Event::VerificationPassed => "verified",
        Event::VerificationFailed => "not verified",
        Event::RollbackStarted => "undo started",
        Event::RollbackCommitted => "undone",
        Event::RedoCommitted => "done again",
        Event::ApplyBroken => "stopped after some batches; these are restored",
        Event::RollbackAbandoned | Event::RedoAbandoned => "undo ended before it began to write",
        Event::RollbackFailed => "undo failed",
        Event::DivergenceFound => "diverged",
    }
}

/// What can be typed next about a run in its state. Empty where the plan's own hints are the right
/// ones, and where it is over.
pub(super) fn next(run: &RunRecord, now_us: i64) -> Vec<Next> {
    let number = run.number.get();
    let again = Next::new(format!("mendwright run plan --again {number}"), "a new plan on today's data");
    let log = Next::new(format!("mendwright run show {number} --log"), "what the job logged");
    let explain = run
        .outcome
        .as_ref()
        .map(|outcome| Next::new(format!("mendwright explain {}", outcome.code), "what that means and what to do"));
    let can_undo = run.undo_until_us.is_some_and(|until| now_us < until);
    match run.state {
        State::Planned | State::AwaitingApproval | State::Approved
            if run.expires_at_us.is_some_and(|at| at < now_us) =>
        {
            vec![again]
        }
        State::Planned | State::Approved | State::NothingToDo => Vec::new(),
        State::AwaitingApproval => vec![
            Next::new(
                format!("mendwright run approve {number}"),
                "somebody else, from their own machine, with their own key",
            ),
            Next::new(format!("mendwright run show {number} --full | --sql | --json"), ""),
        ],
        State::Planning | State::Applying | State::Verifying | State::RollingBack => {
            vec![Next::new(format!("mendwright run verify {number}"), "asks the target how it ended")]
        }
        State::Succeeded if can_undo => vec![
            Next::new(format!("mendwright undo {number}"), "shows what was there before, and restores it"),
            Next::new(format!("mendwright run verify {number}"), "reads the rows back"),
        ],
        State::Succeeded => vec![again],
        State::RolledBack => vec![again],
        State::Drifted | State::Expired | State::Rejected | State::Cancelled => vec![again],
        State::Violated => explain.into_iter().chain([again]).collect(),
        State::Denied => explain.into_iter().collect(),
        State::Refused | State::Failed => explain.into_iter().chain([log, again]).collect(),
        State::Diverged => explain.into_iter().chain([again]).collect(),
        State::Stuck => {
            let sql = format!("mendwright undo {number} --sql");
            explain.into_iter().chain([Next::new(sql, "the way back as SQL, for a person to judge")]).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_words_of_its_own_but_abandoned_ones_of_one_kind() {
        let words: std::collections::BTreeSet<&str> = Event::ALL.into_iter().map(words).collect();
        assert_eq!(words.len(), Event::ALL.len() - 2);
    }
}
