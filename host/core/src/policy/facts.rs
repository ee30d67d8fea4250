//! What a decision is told. The server fills it from the store, the registry and the plan, inside the
//! transaction that the decision belongs to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::words::{Action, Actor, Category, Scope, Severity, Stage, Subject, SwitchMove, Trust, Who};
use crate::class::Class;
use crate::level::Level;

/// Everything that a decision may depend on, and nothing else: the same facts and settings give the
/// same decision. Every instant is in microseconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// When policy is asked.
    pub stage: Stage,
    /// What somebody wants to do.
    pub action: Action,
    /// Who wants it.
    pub actor: Actor,
    /// What it is done to, where that is no run (`publish`, `switch`, `read`).
    pub subject: Subject,
    /// Who asked for the run.
    pub requester: Who,
    /// Now.
    pub now: i64,

    /// The run's id.
    pub run: String,
    /// Whose data.
    pub tenant: String,
    /// The module of the tenant's system, where there are modules.
    #[serde(default)]
    pub module: Option<String>,
    /// The job's name.
    pub job: String,
    /// The resources that the plan writes; before planning, those that the job asks to write.
    pub resources: BTreeSet<String>,
    /// The classes of the columns and rows written.
    pub classes: BTreeSet<Class>,
    /// What the job is about.
    pub category: Category,
    /// How bad the incident is; a run that no incident asked for says `info`.
    pub severity: Severity,
    /// How sure the decider is, per mille. Without one, a machine counts as not sure at all; what
    /// people scheduled is sure (1000).
    #[serde(default)]
    pub confidence: Option<u16>,
    /// Where the level comes from, computed now.
    pub levels: Levels,

    /// The plan in hand; `None` before planning.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// The undo in hand, where one is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Undo>,
    /// Who has given their word for exactly this plan, or for exactly this undo, and who has in vain.
    #[serde(default)]
    pub approvals: Approvals,

    /// When plans were applied to this target: at least the latest, and many of the last hour.
    #[serde(default)]
    pub applied_at: Vec<i64>,
    /// How many more there were in the last hour, all of them before those.
    #[serde(default)]
    pub more_last_hour: u32,

    /// Whether the kill switch is thrown.
    pub kill_switch: bool,
    /// Where SAFE_MODE is on, as far as it reaches this run.
    #[serde(default)]
    pub safe_mode: BTreeSet<Scope>,
    /// Whether somebody switched automatic repairs of this category off at run time, whatever the
    /// settings say.
    #[serde(default)]
    pub auto_heal_off: bool,
    /// For the action `switch`: which way.
    #[serde(default)]
    pub switch: Option<SwitchMove>,
    /// For the action `trust`: how far the job is to be trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_wanted: Option<Trust>,
    /// The reason with which the actor breaks the glass. It needs the role as well.
    #[serde(default)]
    pub break_glass: Option<String>,
}

/// Where a run's level comes from: the highest of the three counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// What the job's manifest says.
    pub manifest: Level,
    /// What the classes of the data written demand.
    pub class: Level,
    /// What the operations demand: a delete.
    pub operation: Level,
}

impl Levels {
    /// The level that holds.
    #[must_use]
    pub fn highest(self) -> Level {
        self.manifest.max(self.class).max(self.operation)
    }
}

/// What a decision has to know of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The level in its header, which is what people approved.
    pub level: Level,
    /// Rows changed.
    pub n_changes: u64,
    /// The largest share of a resource's rows of the tenant that changes, in hundredths of a percent.
    pub share: u32,
    /// How its rehearsal went.
    pub rehearsal: Rehearsal,
    /// When it becomes too old.
    pub expires_at: i64,
}

/// What a decision has to know of an undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Which: the digest of its preview. Nothing is decided by it; it says what was decided about.
    pub digest: String,
    /// When the plan was applied.
    pub applied_at: i64,
    /// Rows that somebody changed since. They stay as they are, whatever is decided.
    pub conflicts: u64,
}

/// How a rehearsal went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rehearsal {
    /// There was none.
    Missing,
    /// It did not arrive where it began.
    Failed,
    /// Byte for byte where it began.
    Passed,
}

/// The word of people about exactly this plan or undo, as `core::approval` counted it: signature, registry,
/// digest, tenant, age and revocation are checked there. Policy counts persons once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// Those that count.
    #[serde(default)]
    pub held: Vec<Held>,
    /// Those that do not, and why. Nothing is decided by them; `policy why` shows them.
    #[serde(default)]
    pub uncounted: Vec<Uncounted>,
}

/// One valid approval of exactly this plan or undo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Whose.
    pub by: Who,
    /// What the registry let them be.
    pub roles: BTreeSet<String>,
}

/// One approval that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uncounted {
    /// Whose it claims to be.
    pub by: Who,
    /// Why not, as half a sentence: `it is of another plan`.
    pub because: String,
}
