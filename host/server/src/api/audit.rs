//! What was written down.

use mendwright_store::{AuditEntry, RunNumber};
use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;
use crate::engine::rfc3339;

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryBody {
    /// Counts up, with gaps.
    pub id: u64,
    /// When it happened.
    pub at: String,
    /// What: `run.begun`, `switch.thrown`, ….
    pub kind: String,
    /// About which run.
    pub run: Option<u64>,
    /// About which tenant.
    pub tenant: Option<String>,
    /// Who.
    pub actor: String,
    /// What else there is to say.
    pub body: serde_json::Value,
    /// How often it was told.
    pub times: u64,
    /// Its place in the log's tree; absent until it has one.
    pub leaf: Option<u64>,
}

impl From<&AuditEntry> for EntryBody {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: rfc3339(entry.at_us),
            kind: entry.kind.clone(),
            run: entry.run.map(RunNumber::get),
            tenant: entry.tenant.clone(),
            actor: entry.actor.clone(),
            body: serde_json::from_str(&entry.body).unwrap_or_default(),
            times: entry.times,
            leaf: entry.leaf,
        }
    }
}

/// `GET /audit/entries`, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntriesBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The page.
    pub entries: Vec<EntryBody>,
    /// `before` of the next page; absent on the last one.
    pub next: Option<u64>,
}

impl EntriesBody {
    /// A page of at most `limit` entries.
    #[must_use]
    pub fn new(entries: &[AuditEntry], limit: u32) -> Self {
        let is_full = u32::try_from(entries.len()).unwrap_or(u32::MAX) >= limit;
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            entries: entries.iter().map(EntryBody::from).collect(),
            next: entries.last().filter(|_| is_full).map(|last| last.id),
        }
    }
}
