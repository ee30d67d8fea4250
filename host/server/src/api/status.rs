//! What the host does.

use mendwright_store::RunRecord;
use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;
use super::run::RunBody;
use super::switch::SwitchesBody;

/// `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthBody {
    /// Always `mendwright`.
    pub name: String,
    /// The host's version.
    pub version: String,
    /// `working`, or `stopping`.
    pub state: String,
}

/// A running host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostBody {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The name of it in its leases.
    pub owner: String,
    /// Since when.
    pub started_at: String,
    /// `working`, or `stopping`.
    pub state: String,
    /// Where its control store is. Never a password.
    pub store: String,
    /// Tasks that it works on now.
    pub working_on: u64,
    /// How many it works on at most.
    pub working_on_max: u64,
}

/// `GET /status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The host that answers; absent where none runs.
    pub host: Option<HostBody>,
    /// How switches stand.
    pub switches: SwitchesBody,
    /// Runs that are in flight, have a task, wait for approval or need a person; the oldest first.
    pub runs: Vec<RunBody>,
    /// Whether there are more of them.
    pub more: bool,
}

/// Runs that a status lists.
pub const RUNS_MAX: u32 = 200;

impl StatusBody {
    /// Of one run more than are listed.
    #[must_use]
    pub fn new(host: Option<HostBody>, switches: SwitchesBody, runs: &[RunRecord]) -> Self {
        let max = usize::try_from(RUNS_MAX).unwrap_or(usize::MAX);
        let listed = runs.iter().take(max).map(RunBody::from).collect();
        Self { format_version: FORMAT_VERSION.to_owned(), host, switches, runs: listed, more: runs.len() > max }
    }
}
