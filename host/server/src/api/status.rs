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

/// How far the audit log is signed, and out of the host's hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBody {
    /// Entries that have their place.
    pub entries: u64,
    /// Entries that have none yet.
    pub waiting: u64,
    /// Entries that a checkpoint covers.
    pub signed: u64,
    /// Places elsewhere.
    pub anchors: Vec<AnchorBody>,
}

/// A place for checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorBody {
    /// The place.
    pub place: String,
    /// Entries that its last checkpoint covers; 0 for none.
    pub size: u64,
    /// The code of why it took nothing the last time; absent where it did, or was not asked by this host.
    pub problem: Option<String>,
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
    /// How the audit log stands.
    pub audit: AuditBody,
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
    pub fn new(host: Option<HostBody>, switches: SwitchesBody, audit: AuditBody, runs: &[RunRecord]) -> Self {
        let max = usize::try_from(RUNS_MAX).unwrap_or(usize::MAX);
        let listed = runs.iter().take(max).map(RunBody::from).collect();
        let format_version = FORMAT_VERSION.to_owned();
        Self { format_version, host, switches, audit, runs: listed, more: runs.len() > max }
    }
}
