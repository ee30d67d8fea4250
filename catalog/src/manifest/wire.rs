//! `job.toml` as it is written. The doc comments are what editors show.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::change::Action;
use mendwright_core::code::Area;
use mendwright_core::port::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::budget::Limits;
use crate::words;

/// What a repair job says of itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The job's name; the name of its directory.
    #[schemars(with = "words::Name")]
    pub(super) name: String,
    /// The job's semantic version.
    #[schemars(with = "words::Version")]
    pub(super) version: semver::Version,
    /// One sentence on what it repairs.
    #[schemars(length(min = 1))]
    pub(super) summary: String,
    /// The contract it was written for: mendwright:repair@0.1.0.
    pub(super) wit: String,
    /// What it is about.
    #[schemars(with = "words::Category")]
    pub(super) category: Area,
    /// At least this level; what is touched can only raise it.
    #[schemars(range(min = 1, max = 3))]
    pub(super) level: u8,
    /// Kinds of anomalies that it remedies.
    #[serde(default)]
    #[schemars(with = "Vec<words::Dotted>")]
    pub(super) remedies: Vec<String>,
    /// Where a person reads what to do when it does not help.
    #[schemars(length(min = 1))]
    pub(super) runbook: Option<String>,
    /// Who answers for it.
    #[schemars(length(min = 1))]
    pub(super) owner: Option<String>,
    /// What holds after it, in sentences; printed in the catalog.
    #[serde(default)]
    pub(super) invariants: Vec<String>,
    /// What it asks of each table. "*" stands for every table that the operator grants.
    #[serde(default)]
    #[schemars(transform = words::keyed_by_name_or_any)]
    pub(super) request: BTreeMap<String, Request>,
    /// How its changes are applied.
    #[serde(default)]
    pub(super) apply: Apply,
    /// How much work a run may be.
    #[serde(default)]
    pub(super) budget: Limits,
    /// What it may leave for a person.
    #[serde(default)]
    #[schemars(transform = words::keyed_by_name)]
    pub(super) finding: BTreeMap<String, Finding>,
}

/// What the job asks of one table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The job does its work without this table where the operator binds none.
    #[serde(default)]
    pub(super) optional: bool,
    /// Columns it reads.
    #[serde(default)]
    #[schemars(with = "Vec<words::NameOrAny>")]
    pub(super) read: BTreeSet<String>,
    /// Columns it writes.
    #[serde(default)]
    #[schemars(with = "Vec<words::NameOrAny>")]
    pub(super) write: BTreeSet<String>,
    /// Columns it reads where they are bound and granted.
    #[serde(default)]
    #[schemars(with = "Vec<words::NameOrAny>")]
    pub(super) optional_read: BTreeSet<String>,
    /// Columns it writes where they are bound and granted.
    #[serde(default)]
    #[schemars(with = "Vec<words::NameOrAny>")]
    pub(super) optional_write: BTreeSet<String>,
    /// What it does to rows.
    #[serde(default)]
    #[schemars(with = "Vec<words::Action>")]
    pub(super) operations: BTreeSet<Action>,
}

/// How changes are applied.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Apply {
    /// "atomic" (all or nothing, the default) or { batched = 1000 }.
    #[serde(default)]
    pub(super) transaction: Transaction,
    /// Whether a part of them may be applied without the rest.
    #[serde(default)]
    pub(super) changes: Changes,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
#[schemars(extend("x-takes" = "\"atomic\" or { batched = 1000 }"))]
pub(super) enum Transaction {
    Atomic(Atomic),
    Batched {
        /// Changes in each transaction.
        #[schemars(range(min = 1))]
        batched: u64,
    },
}

impl Default for Transaction {
    fn default() -> Self {
        Self::Atomic(Atomic::Atomic)
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Atomic {
    Atomic,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Changes {
    Independent,
    #[default]
    Together,
}

/// Something the job may leave for a person.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Finding {
    /// How bad it is.
    #[schemars(with = "words::Severity")]
    pub(super) severity: Severity,
    /// What the person can do.
    #[schemars(length(min = 1))]
    pub(super) help: String,
}
