//! What happened to runs, as it was written down with each step.

use mendwright_core::code::Code;
use mendwright_core::run::{Event, State};

use crate::db::{Row, query};
use crate::error::{Error, Result};
use crate::run::RunNumber;
use crate::store::Store;
use crate::words;

/// Something that happened to a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEvent {
    /// 1, 2, 3 … within the run.
    pub seq: u64,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// Where the run stood.
    pub from: State,
    /// What happened.
    pub event: Event,
    /// Where it stands since.
    pub to: State,
    /// In which attempt.
    pub attempt: u64,
    /// Why, as a code.
    pub code: Option<Code>,
    /// Why, in words; may be empty.
    pub note: String,
}

impl Store {
    /// Everything that happened to a run, in order.
    ///
    /// # Errors
    /// [`Error::RunUnknown`].
    pub async fn events(&self, run: RunNumber) -> Result<Vec<RunEvent>> {
        let failed = self.failed("reading what happened to a run");
        self.run(run).await?;
        let mut reader = self.reader().await?;
        let rows = query(
            "SELECT seq, at_us, from_state, event, to_state, attempt, code, note FROM run_events \
             WHERE run = $1 ORDER BY seq",
        )
        .bind(run.column())
        .all(reader.conn())
        .await
        .map_err(failed)?;
        rows.iter().map(|row| EventRow::read(row).map_err(failed)?.into_event(run)).collect()
    }
}

/// A row of `run_events`, as it is.
struct EventRow {
    seq: i64,
    at_us: i64,
    from_state: String,
    event: String,
    to_state: String,
    attempt: i64,
    code: Option<String>,
    note: String,
}

impl EventRow {
    fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            seq: row.try_get("seq")?,
            at_us: row.try_get("at_us")?,
            from_state: row.try_get("from_state")?,
            event: row.try_get("event")?,
            to_state: row.try_get("to_state")?,
            attempt: row.try_get("attempt")?,
            code: row.try_get("code")?,
            note: row.try_get("note")?,
        })
    }

    /// The one door from rows to events.
    fn into_event(self, run: RunNumber) -> Result<RunEvent> {
        let Self { seq, at_us, from_state, event, to_state, attempt, code, note } = self;
        let nonsense = |column: &'static str, detail: &dyn ToString| {
            Error::corrupt("run_events", column, format!("{run}/{seq}"), detail.to_string())
        };
        Ok(RunEvent {
            seq: u64::try_from(seq).map_err(|e| nonsense("seq", &e))?,
            at_us,
            from: from_state.parse().map_err(|e: String| nonsense("from_state", &e))?,
            event: words::event_from_word(&event).ok_or_else(|| nonsense("event", &event))?,
            to: to_state.parse().map_err(|e: String| nonsense("to_state", &e))?,
            attempt: u64::try_from(attempt).map_err(|e| nonsense("attempt", &e))?,
            code: code.map(|code| code.parse().map_err(|e| nonsense("code", &e))).transpose()?,
            note,
        })
    }
}
