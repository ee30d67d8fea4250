//! What the driver of a rollout does now. It decides here, on everything that is known; the driver acts without
//! a thought of its own.

use super::state::{Event, State};
use super::stop::{StopIf, Tally};
use crate::run::State as RunState;

/// What is known of one tenant's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where the run stands.
    pub state: RunState,
    /// Whether somebody works on it, or was asked to.
    pub is_busy: bool,
    /// Whether the driver may ask for its apply (again): it never did, or policy said no a while ago.
    pub may_ask: bool,
}

impl Seen {
    /// Whether nothing more comes of it by itself.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        !self.is_busy
            && !self.state.is_in_flight()
            && !matches!(self.state, RunState::Planned | RunState::AwaitingApproval | RunState::Approved)
    }
}

/// A tenant of a rollout, in the order of turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its wave, from 0.
    pub wave: usize,
    /// Its run; absent before its turn.
    pub run: Option<Seen>,
}

/// A rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where it stands.
    pub state: State,
    /// The wave whose turn it is, from 0.
    pub wave: usize,
    /// How runs had ended when a person last let it go on: that much is seen.
    pub seen: Tally,
    /// Its tenants.
    pub seats: Vec<Seat>,
}

impl Standing {
    /// How runs have ended so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::of(self.seats.iter().filter_map(|seat| seat.run).filter(|run| run.has_ended()).map(|run| run.state))
    }
}

/// What the driver does. Seats are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Begin the run of this tenant.
    Begin(usize),
    /// Ask for the apply of its plan.
    Ask(usize),
    /// Write down that this happened, and for which reason.
    Happens(Event, String),
}

/// What is to be done now; nothing where it waits.
#[must_use]
pub fn next(rollout: &Standing, stop_if: &StopIf) -> Vec<Act> {
    if rollout.state != State::Running {
        return Vec::new();
    }
    let (now, before) = (rollout.tally(), rollout.seen);
    let fresh = Tally {
        ended: now.ended.saturating_sub(before.ended),
        rollbacks: now.rollbacks.saturating_sub(before.rollbacks),
        failures: now.failures.saturating_sub(before.failures),
        refusals: now.refusals.saturating_sub(before.refusals),
    };
    if let Some(rule) = stop_if.bites(fresh) {
        return vec![Act::Happens(Event::RuleBit, rule)];
    }
    let in_turn = || rollout.seats.iter().enumerate().filter(|(_, seat)| seat.wave <= rollout.wave);
    if in_turn().all(|(_, seat)| seat.run.is_some_and(Seen::has_ended)) {
        let has_more = rollout.seats.iter().any(|seat| seat.wave > rollout.wave);
        let event = if has_more { Event::WaveEnded } else { Event::LastWaveEnded };
        return vec![Act::Happens(event, String::new())];
    }
    in_turn()
        .filter_map(|(n, seat)| match seat.run {
            None => Some(Act::Begin(n)),
            Some(run) => {
                let is_ready = matches!(run.state, RunState::Planned | RunState::Approved);
                (is_ready && !run.is_busy && run.may_ask).then_some(Act::Ask(n))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seat(wave: usize, state: Option<RunState>) -> Seat {
        match state {
            None => Seat { wave, run: None },
            Some(state) => Seat { wave, run: Some(Seen { state, is_busy: false, may_ask: true }) },
        }
    }

    fn rollout(wave: usize, seats: Vec<Seat>) -> Standing {
        Standing { state: State::Running, wave, seen: Tally::default(), seats }
    }

    fn acts(rollout: &Standing) -> Vec<Act> {
        next(rollout, &StopIf::default())
    }

    #[test]
    fn the_canary_goes_first_and_the_next_wave_when_all_of_it_ended() {
        let start = rollout(0, vec![seat(0, None), seat(1, None), seat(1, None)]);
        assert_eq!(acts(&start), [Act::Begin(0)]);
        for waits in [RunState::AwaitingApproval, RunState::Planning, RunState::Applying, RunState::Verifying] {
            assert!(acts(&rollout(0, vec![seat(0, Some(waits)), seat(1, None)])).is_empty(), "{waits}");
        }
        for ready in [RunState::Planned, RunState::Approved] {
            assert_eq!(acts(&rollout(0, vec![seat(0, Some(ready)), seat(1, None)])), [Act::Ask(0)], "{ready}");
        }
        for well in [RunState::Succeeded, RunState::NothingToDo, RunState::Rejected] {
            let ended = rollout(0, vec![seat(0, Some(well)), seat(1, None)]);
            assert_eq!(acts(&ended), [Act::Happens(Event::WaveEnded, String::new())], "{well}");
        }
        let last = rollout(1, vec![seat(0, Some(RunState::Succeeded)), seat(1, Some(RunState::NothingToDo))]);
        assert_eq!(acts(&last), [Act::Happens(Event::LastWaveEnded, String::new())]);
        assert_eq!(acts(&rollout(0, vec![])), [Act::Happens(Event::LastWaveEnded, String::new())]);
    }

    #[test]
    fn a_rule_bites_before_anything_is_begun_and_what_was_seen_bites_no_more() {
        let wrong = rollout(0, vec![seat(0, Some(RunState::RolledBack)), seat(0, None), seat(1, None)]);
        assert_eq!(acts(&wrong), [Act::Happens(Event::RuleBit, "rollbacks > 0".to_owned())]);
        let resumed = Standing { seen: wrong.tally(), ..wrong };
        assert_eq!(acts(&resumed), [Act::Begin(1)]);
    }

    #[test]
    fn one_that_does_not_run_does_nothing_and_one_that_was_asked_is_not_asked_again() {
        for state in State::ALL.into_iter().filter(|state| *state != State::Running) {
            assert!(acts(&Standing { state, ..rollout(0, vec![seat(0, None)]) }).is_empty(), "{state}");
        }
        for (is_busy, may_ask) in [(true, true), (false, false)] {
            let run = Some(Seen { state: RunState::Approved, is_busy, may_ask });
            assert!(acts(&rollout(0, vec![Seat { wave: 0, run }])).is_empty());
        }
        // Whoever is still at work has not ended, whatever the state says.
        assert!(!Seen { state: RunState::Succeeded, is_busy: true, may_ask: true }.has_ended());
    }
}
