//! Schedules, and what they fired.

use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;

/// A run that a schedule began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiredBody {
    /// Whose data.
    pub tenant: String,
    /// The run.
    pub run: u64,
    /// Where it stands.
    pub state: String,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleBody {
    /// Its name.
    pub name: String,
    /// The job.
    pub job: String,
    /// As it is written.
    pub cron: String,
    /// The time zone of these fields.
    pub time_zone: String,
    /// How far it goes: `plan`, `apply`.
    pub until: String,
    /// When it fires next; absent where never.
    pub next: Option<String>,
    /// The time that it fired for last.
    pub last: Option<String>,
    /// When a host saw to that: later where it was made up for.
    pub last_begun_at: Option<String>,
    /// Why some of its runs could not begin.
    pub note: String,
    /// The runs of the last firing.
    pub runs: Vec<FiredBody>,
}

/// `GET /schedules`, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulesBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The schedules.
    pub schedules: Vec<ScheduleBody>,
}

impl SchedulesBody {
    /// A list.
    #[must_use]
    pub fn new(schedules: Vec<ScheduleBody>) -> Self {
        Self { format_version: FORMAT_VERSION.to_owned(), schedules }
    }
}
