//! The word of people, and the answers of policy.

use mendwright_core::policy::Decision;
use mendwright_store::StoredDecision;
use serde::{Deserialize, Serialize};

use super::FORMAT_VERSION;
use super::run::RunBody;
use crate::engine::{Voted, rfc3339};

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
    /// Whose word it was.
    pub person: String,
    /// `approve`, `reject`, `withdraw`.
    pub verb: String,
    /// How many approvals count.
    pub approvals: u64,
    /// How many are needed.
    pub needed: u32,
}

impl From<&Voted> for VotedBody {
    fn from(voted: &Voted) -> Self {
        Self {
            run: RunBody::from(&voted.run),
            person: voted.person.clone(),
            verb: voted.verb.word().to_owned(),
            approvals: voted.approvals,
            needed: voted.needed,
        }
    }
}
