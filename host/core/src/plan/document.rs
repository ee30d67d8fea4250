//! The frozen JSON format of a plan, version 1.0.
//!
//! Counts and values are strings; the kinds of the values stand in `resources[].columns`. Sensitive
//! values are `{"masked": "…"}` with the commitment in hex. Minor versions add; a reader rejects a
//! major version that it does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::Action;
use crate::class::Class;
use crate::commitment::{Bound, Commitment};
use crate::level::Because;
use crate::plan::bound::{BoundCells, BoundChange};
use crate::plan::header::{Digest, Header};
use crate::port::{Check, Severity};
use crate::value::Value;

/// The version that this host writes.
pub const FORMAT_VERSION: &str = "1.0";

/// A plan as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// What people approve.
    pub digest: Digest,
    /// The run.
    pub run: String,
    /// The run's number.
    pub number: u64,
    /// RFC 3339, microseconds, UTC.
    pub created_at: String,
    /// RFC 3339, microseconds, UTC.
    pub expires_at: String,
    /// `environment` of the configuration.
    pub environment: String,
    /// Who asked for it: `person:alice`.
    pub requested_by: String,
    /// Of a compensation: the number of the run that it takes back, and what the job said to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<CompensationRecord>,
    /// Everything the digest covers besides the changes.
    pub header: Header,
    /// Why the level is what it is.
    pub because: Vec<Because>,
    /// What the plan does to each resource; those only read are listed with zeros.
    pub resources: Vec<ResourceSummary>,
    /// What the job said at its end.
    pub summary: String,
    /// What the job left for people.
    pub findings: Vec<FindingRecord>,
    /// Invariants the job checked.
    pub checks: Vec<Check>,
    /// How the rehearsal went.
    pub rehearsal: Rehearsal,
    /// What it cost.
    pub measured: BTreeMap<String, String>,
    /// The changes, in the plan's order; absent where they are listed apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeRecord>,
}

impl Document {
    /// The database that the plan writes; `None` where nothing changes.
    #[must_use]
    pub fn written_database(&self) -> Option<&str> {
        let changes = |r: &&ResourceSummary| [&r.inserts, &r.updates, &r.deletes].iter().any(|n| n.as_str() != "0");
        self.resources.iter().find(changes).map(|resource| resource.database.as_str())
    }
}

/// What a job answered when it was asked how to take a run back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompensationAnswer {
    /// Nothing of its own: the host restores the journal.
    Restore,
    /// The changes of this plan.
    Proposed,
}

/// Whose compensation a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompensationRecord {
    /// The number of the run that was applied.
    pub of: u64,
    /// What the job said.
    pub answer: CompensationAnswer,
}

/// What a plan does to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSummary {
    /// The operator's name.
    pub name: String,
    /// Which database.
    pub database: String,
    /// How delicate it is.
    pub class: Class,
    /// Key columns in key order.
    pub key: Vec<String>,
    /// Column → kind, and the currency of money: `decimal(10,2) USD`. Columns of this run only.
    pub columns: BTreeMap<String, String>,
    /// Columns that are masked.
    pub sensitive: Vec<String>,
    /// Rows that the job read.
    pub rows_read: String,
    /// Rows that the tenant has.
    pub rows_of_tenant: String,
    /// Rows that appear.
    pub inserts: String,
    /// Rows that change.
    pub updates: String,
    /// Rows that disappear.
    pub deletes: String,
    /// Changed ÷ tenant's rows, four digits.
    pub share: String,
    /// Column → sums over the changed rows.
    pub net: BTreeMap<String, NetRecord>,
}

/// Sums of one column over the changed rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetRecord {
    /// As it was.
    pub before: String,
    /// As it shall be.
    pub after: String,
    /// The difference.
    pub delta: String,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// One of the manifest's.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// The resource.
    pub resource: String,
    /// Key column → value; empty for the whole table.
    pub key: BTreeMap<String, Cell>,
    /// One sentence.
    pub message: String,
}

/// How the rehearsal went: flush and restore in one transaction that was then rolled back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// Whether it arrived where it began; absent if it was not held.
    pub passed: Option<bool>,
    /// Why it was not held or what went wrong.
    pub detail: String,
    /// Triggers and rules that fired or may fire.
    pub triggers: Vec<String>,
    /// Resources whose rows go along.
    pub cascades: Vec<String>,
    /// RFC 3339: until when the run can be undone if applied now.
    pub undo_until: String,
}

/// A value of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// The value's plain text; `null` for NULL.
    Plain(Option<String>),
    /// A sensitive value.
    Masked {
        /// The commitment in hex.
        masked: String,
    },
}

impl From<&Bound> for Cell {
    fn from(bound: &Bound) -> Self {
        match bound {
            Bound::Shown(value) => Self::Plain(value.plain()),
            Bound::Masked(Commitment(hash)) => Self::Masked { masked: hex::encode(hash) },
        }
    }
}

impl From<&Value> for Cell {
    fn from(value: &Value) -> Self {
        Self::Plain(value.plain())
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// The resource.
    pub resource: String,
    /// What happens to the row.
    pub action: Action,
    /// Key column → value.
    pub key: BTreeMap<String, Cell>,
    /// Columns read or written, as they were.
    pub before: BTreeMap<String, Cell>,
    /// Columns written, as they shall be.
    pub after: BTreeMap<String, Cell>,
    /// Why.
    pub reason: String,
}

impl ChangeRecord {
    /// The document's form of a bound change. `key_columns` are the resource's, in key order.
    #[must_use]
    pub fn new(change: &BoundChange, key_columns: &[String]) -> Self {
        let cells = |cells: &BoundCells| cells.iter().map(|(c, v)| (c.clone(), Cell::from(v))).collect();
        Self {
            resource: change.resource.clone(),
            action: change.action,
            key: key_columns.iter().cloned().zip(change.key.iter().map(Cell::from)).collect(),
            before: cells(&change.before),
            after: cells(&change.after),
            reason: change.reason.clone(),
        }
    }
}
