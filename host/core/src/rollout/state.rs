//! Where a rollout stands: one total transition function.

use std::fmt;
use std::str::FromStr;

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Its waves go on.
    Running,
    /// A rule or a person stopped it; runs that were begun end by themselves.
    Paused,
    /// Every tenant had its turn.
    Done,
    /// A person called it off.
    Cancelled,
    /// A person had undone what it applied.
    Undone,
}

/// What can happen to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Every run of a wave ended, and there is another wave.
    WaveEnded,
    /// Every run of the last wave ended.
    LastWaveEnded,
    /// Too much went wrong.
    RuleBit,
    /// A person stopped it for a while.
    PersonPaused,
    /// A person lets it go on; what went wrong before is seen.
    PersonResumed,
    /// A person called it off.
    PersonCancelled,
    /// What it applied is undone.
    PersonUndid,
}

impl State {
    /// Every state, in the order of this file.
    pub const ALL: [Self; 5] = [Self::Running, Self::Paused, Self::Done, Self::Cancelled, Self::Undone];

    /// The word that the store and JSON use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Undone => "undone",
        }
    }

    /// Where it stands after an event.
    ///
    /// # Errors
    /// The event cannot happen in this state.
    pub const fn apply(self, event: Event) -> Result<Self, IllegalTransition> {
        use {Event as E, State as S};
        match (self, event) {
            (S::Running, E::WaveEnded) | (S::Paused, E::PersonResumed) => Ok(S::Running),
            (S::Running, E::LastWaveEnded) => Ok(S::Done),
            (S::Running, E::RuleBit | E::PersonPaused) => Ok(S::Paused),
            (S::Running | S::Paused, E::PersonCancelled) => Ok(S::Cancelled),
            // One that runs is paused first: nothing is begun while what is there is taken back.
            (S::Paused | S::Done | S::Cancelled, E::PersonUndid) => Ok(S::Undone),
            (S::Running, E::PersonResumed | E::PersonUndid)
            | (S::Paused, E::WaveEnded | E::LastWaveEnded | E::RuleBit | E::PersonPaused)
            | (
                S::Done | S::Cancelled,
                E::WaveEnded | E::LastWaveEnded | E::RuleBit | E::PersonPaused | E::PersonResumed | E::PersonCancelled,
            )
            | (
                S::Undone,
                E::WaveEnded
                | E::LastWaveEnded
                | E::RuleBit
                | E::PersonPaused
                | E::PersonResumed
                | E::PersonCancelled
                | E::PersonUndid,
            ) => Err(IllegalTransition { state: self, event }),
        }
    }
}

impl Event {
    /// Every event, in the order of this file.
    pub const ALL: [Self; 7] = [
        Self::WaveEnded,
        Self::LastWaveEnded,
        Self::RuleBit,
        Self::PersonPaused,
        Self::PersonResumed,
        Self::PersonCancelled,
        Self::PersonUndid,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.word() == text).ok_or_else(|| format!("`{text}` is not a rollout's state"))
    }
}

/// The event cannot happen in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rollout that is {state} cannot see {event:?}")]
pub struct IllegalTransition {
    /// Where it stands.
    pub state: State,
    /// What was said to have happened.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_in_every_state() {
        let mut lines = Vec::new();
        for state in State::ALL {
            assert_eq!(state.word().parse(), Ok(state));
            for event in Event::ALL {
                let after = state.apply(event).map_or("—", State::word);
                lines.push(format!("{:<10} {:<16} {after}", state.word(), format!("{event:?}")));
            }
        }
        insta::assert_snapshot!("matrix", lines.join("\n"));
    }
}
