//! The word of people, and the answers of policy.

use std::collections::BTreeSet;

use mendwright_core::approval::{CheckpointRef, Nonce, Paper, Verb};
use mendwright_core::key::KeyId;
use mendwright_core::people::{PersonName, Role};
use mendwright_core::plan::Digest;
use mendwright_core::policy::Decision;
use mendwright_store::StoredDecision;
use serde::{Deserialize, Serialize};

use super::run::RunBody;
use super::{FORMAT_VERSION, nonsense, time};
use crate::engine::{Voted, rfc3339};
use crate::view::problem::Problem;

/// One answer of policy about a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionBody {
    /// 1, 2, 3 … of this run.
    pub seq: u64,
    /// RFC 3339.
    pub at: String,
    /// `before_planning`, `with_plan`, `at_apply`.
    pub stage: String,
    /// The answer, with the policies that made it and what is missing.
    pub answer: Decision,
}

/// Every answer of policy about a run, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionsBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// All of them.
    pub decisions: Vec<DecisionBody>,
}

impl DecisionsBody {
    /// From the store's rows.
    ///
    /// # Errors
    /// A decision that is none.
    pub fn new(decisions: Vec<StoredDecision>) -> serde_json::Result<Self> {
        let body = |kept: StoredDecision| {
            Ok(DecisionBody {
                seq: kept.seq,
                at: rfc3339(kept.at_us),
                stage: kept.decision.stage,
                answer: serde_json::from_str(&kept.decision.decision)?,
            })
        };
        let decisions = decisions.into_iter().map(body).collect::<serde_json::Result<_>>()?;
        Ok(Self { format_version: FORMAT_VERSION.to_owned(), decisions })
    }
}

/// What became of a run by somebody's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VotedBody {
    /// The run as it is now.
    pub run: RunBody,
    /// The undo's digest, where it was about undoing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Digest>,
    /// Whose word it was.
    pub person: String,
    /// `approve`, `reject`, `withdraw`.
    pub verb: Verb,
    /// How many approvals count.
    pub approvals: u64,
    /// How many are needed.
    pub needed: u32,
    /// Whether that is enough.
    pub is_enough: bool,
}

impl VotedBody {
    /// As the engine said it.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn voted(self) -> Result<Voted, Problem> {
        let Self { run, undo, person, verb, approvals, needed, is_enough } = self;
        Ok(Voted { run: run.record()?, undo, person, verb, approvals, needed, is_enough })
    }
}

impl From<&Voted> for VotedBody {
    fn from(voted: &Voted) -> Self {
        Self {
            run: RunBody::from(&voted.run),
            undo: voted.undo,
            person: voted.person.clone(),
            verb: voted.verb,
            approvals: voted.approvals,
            needed: voted.needed,
            is_enough: voted.is_enough,
        }
    }
}

/// `POST …/session-votes`: the word of whoever is at the other end of the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionVoteBody {
    /// `approve`, `reject`, `withdraw`.
    pub verb: Verb,
    /// Why; a rejection needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it is about undoing: the digest that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Digest>,
}

/// What the owner of a key signs about a plan, or about its undo: everything of a statement but the word itself, which is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The run's id.
    pub run: String,
    /// The plan's digest.
    pub plan: Digest,
    /// The undo's digest, where it is for a word about undoing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Digest>,
    /// The run's nonce.
    pub nonce: Nonce,
    /// Whose data.
    pub tenant: String,
    /// The identities of the databases.
    pub targets: BTreeSet<String>,
    /// Whose key it is.
    pub person: PersonName,
    /// In which role they have their word.
    pub role: Role,
    /// The key.
    pub key: KeyId,
    /// The audit log as it was last signed.
    pub checkpoint: CheckpointRef,
    /// Now, by the control database's clock.
    pub now: String,
    /// No word counts longer.
    pub expires_at: String,
}

impl From<&Paper> for PaperBody {
    fn from(paper: &Paper) -> Self {
        let Paper { plan, undo, run, nonce, tenant, targets, person, role, key, checkpoint, now_us, last_us } = paper;
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            run: run.to_string(),
            plan: *plan,
            undo: *undo,
            nonce: *nonce,
            tenant: tenant.clone(),
            targets: targets.clone(),
            person: person.clone(),
            role: *role,
            key: *key,
            checkpoint: checkpoint.clone(),
            now: rfc3339(*now_us),
            expires_at: rfc3339(*last_us),
        }
    }
}

impl PaperBody {
    /// As the engine said it.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn paper(self) -> Result<Paper, Problem> {
        Ok(Paper {
            plan: self.plan,
            undo: self.undo,
            run: self.run.parse().map_err(|_| nonsense("a run's id", &self.run))?,
            nonce: self.nonce,
            tenant: self.tenant,
            targets: self.targets,
            person: self.person,
            role: self.role,
            key: self.key,
            checkpoint: self.checkpoint,
            now_us: time(&self.now)?,
            last_us: time(&self.expires_at)?,
        })
    }
}
