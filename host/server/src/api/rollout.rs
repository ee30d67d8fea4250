//! Rollouts: one job for many tenants, in waves.

use mendwright_core::code::Code;
use mendwright_core::rollout::Tally;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FORMAT_VERSION;

/// `POST /rollouts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginBody {
    /// The job's name.
    pub job: String,
    /// Its parameters.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// `5,20%,50%,100%`.
    pub waves: String,
    /// `rollbacks > 2%`; `rollbacks > 0 or failures > 0` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_if: Option<String>,
}

/// `POST /rollouts/{rollout}/pause`, `…/resume`, `…/cancel`, `…/undone`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveBody {
    /// Why.
    pub reason: String,
}

/// A tenant of a rollout, in the order of turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatBody {
    /// Its name.
    pub tenant: String,
    /// Its wave, from 1.
    pub wave: u64,
    /// Its run; absent before its turn.
    pub run: Option<u64>,
    /// Where the run stands.
    pub state: Option<String>,
    /// What it waits for; absent once nothing more comes of it.
    pub waits_for: Option<String>,
    /// Why the run is where it is.
    pub code: Option<Code>,
    /// The sentence that goes with the code.
    pub message: Option<String>,
}

/// How runs ended so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TallyBody {
    /// All that ended.
    pub ended: u64,
    /// Applied and undone, or an undo that failed.
    pub rollbacks: u64,
    /// The job failed, the world had changed, or a constraint forbade it.
    pub failures: u64,
    /// Policy, the gateway or a person said no.
    pub refusals: u64,
}

impl From<Tally> for TallyBody {
    fn from(tally: Tally) -> Self {
        let Tally { ended, rollbacks, failures, refusals } = tally;
        Self { ended, rollbacks, failures, refusals }
    }
}

/// Something that happened to a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutEventBody {
    /// 1, 2, 3 ….
    pub seq: u64,
    /// When.
    pub at: String,
    /// What.
    pub event: String,
    /// Where it stands since.
    pub to: String,
    /// Who.
    pub by: String,
    /// Why.
    pub because: String,
}

/// `GET /rollouts/{rollout}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The number that people type.
    pub number: u64,
    /// The job's name.
    pub job: String,
    /// Where it stands.
    pub state: String,
    /// The wave whose turn it is, from 1.
    pub wave: u64,
    /// How large each wave is.
    pub waves: String,
    /// When it stops by itself.
    pub stop_if: String,
    /// Whose runs these are.
    pub started_by: String,
    /// Why it stands so, where somebody or a rule said.
    pub because: String,
    /// When it began.
    pub created_at: String,
    /// When it last moved.
    pub updated_at: String,
    /// How many tenants it is for.
    pub tenants_total: u64,
    /// How runs ended so far.
    pub tally: TallyBody,
    /// Its tenants; empty in a list.
    pub tenants: Vec<SeatBody>,
    /// What happened to it; empty in a list.
    pub events: Vec<RolloutEventBody>,
}

/// `GET /rollouts`, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutsBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The rollouts.
    pub rollouts: Vec<RolloutBody>,
}

impl RolloutsBody {
    /// A list.
    #[must_use]
    pub fn new(rollouts: Vec<RolloutBody>) -> Self {
        Self { format_version: FORMAT_VERSION.to_owned(), rollouts }
    }
}
