//! What there is to read about a run: its plan's changes, what happened to it, what the job said.

use mendwright_core::code::Code;
use mendwright_core::plan::BoundChange;
use mendwright_core::plan::document::ChangeRecord;
use mendwright_core::port::LogLevel;
use mendwright_core::run::Event;
use mendwright_store::{LogLine, RunEvent, StoredChange};
use serde::{Deserialize, Serialize};

use super::{FORMAT_VERSION, nonsense, time, word};
use crate::engine::rfc3339;
use crate::view::problem::Problem;

/// A change of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeBody {
    /// 1, 2, 3 … in the plan's order.
    pub seq: u64,
    /// The change, as the plan's document has it.
    #[serde(flatten)]
    pub change: ChangeRecord,
    /// The bytes that the plan's digest covers.
    pub leaf: String,
}

impl ChangeBody {
    /// Of a stored change. `key` are the columns of its resource's key.
    #[must_use]
    pub fn new(stored: &StoredChange, key: &[String]) -> Self {
        let leaf = stored.change.leaf();
        Self { seq: stored.seq, change: ChangeRecord::new(&stored.change, key), leaf }
    }

    /// The change as the store has it.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn stored(self) -> Result<StoredChange, Problem> {
        let change = BoundChange::from_leaf(&self.leaf, self.change.reason);
        Ok(StoredChange { seq: self.seq, change: change.ok_or_else(|| nonsense("a change", &self.leaf))? })
    }
}

/// Changes of a plan, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The page.
    pub changes: Vec<ChangeBody>,
    /// `after` of the next page; absent on the last one.
    pub next: Option<u64>,
}

impl ChangesBody {
    /// A page of at most `limit` changes.
    #[must_use]
    pub fn new(changes: Vec<ChangeBody>, limit: u32) -> Self {
        let is_full = u32::try_from(changes.len()).unwrap_or(u32::MAX) >= limit;
        let next = changes.last().filter(|_| is_full).map(|last| last.seq);
        Self { format_version: FORMAT_VERSION.to_owned(), changes, next }
    }
}

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBody {
    /// 1, 2, 3 … of the run.
    pub seq: u64,
    /// When.
    pub at: String,
    /// Where the run stood.
    pub from: String,
    /// What happened.
    pub event: String,
    /// Where it stands since.
    pub to: String,
    /// In which attempt.
    pub attempt: u64,
    /// Why, as a code.
    pub code: Option<Code>,
    /// Why, in words.
    pub note: String,
}

impl From<&RunEvent> for EventBody {
    fn from(event: &RunEvent) -> Self {
        Self {
            seq: event.seq,
            at: rfc3339(event.at_us),
            from: event.from.word().to_owned(),
            event: format!("{:?}", event.event),
            to: event.to.word().to_owned(),
            attempt: event.attempt,
            code: event.code,
            note: event.note.clone(),
        }
    }
}

impl EventBody {
    /// The event as the store has it.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn event(self) -> Result<RunEvent, Problem> {
        let known = Event::ALL.into_iter().find(|event| format!("{event:?}") == self.event);
        Ok(RunEvent {
            seq: self.seq,
            at_us: time(&self.at)?,
            from: word("a run's state", &self.from)?,
            event: known.ok_or_else(|| nonsense("an event", &self.event))?,
            to: word("a run's state", &self.to)?,
            attempt: self.attempt,
            code: self.code,
            note: self.note,
        })
    }
}

/// Everything that happened to a run, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventsBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// All of it.
    pub events: Vec<EventBody>,
}

/// A line that the job logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineBody {
    /// How much it matters.
    pub level: LogLevel,
    /// The text, as the job wrote it.
    pub text: String,
}

impl From<LogLine> for LineBody {
    fn from(line: LogLine) -> Self {
        Self { level: line.level, text: line.text }
    }
}

impl From<LineBody> for LogLine {
    fn from(line: LineBody) -> Self {
        Self { level: line.level, text: line.text }
    }
}

/// What the job logged, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// All of it: a run's log is bounded.
    pub lines: Vec<LineBody>,
}

#[cfg(test)]
mod tests {
    use mendwright_core::run::State;

    use super::*;

    #[test]
    fn every_event_goes_there_and_back() {
        for event in Event::ALL {
            let (from, to) = (State::Planned, State::Applying);
            let happened = RunEvent { seq: 1, at_us: 5, from, event, to, attempt: 2, code: None, note: "x".into() };
            let text = serde_json::to_string(&EventBody::from(&happened)).unwrap();
            assert_eq!(serde_json::from_str::<EventBody>(&text).unwrap().event().unwrap(), happened);
        }
    }
}
