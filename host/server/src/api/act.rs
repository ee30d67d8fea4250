//! What is asked for, and what came of it.

use mendwright_core::commitment::Bound;
use mendwright_core::compare::{Comparison, Difference, What};
use mendwright_core::plan::Digest;
use mendwright_core::policy::Decision;
use mendwright_core::undo::{self, Row};
use mendwright_gateway::repair::{Undo, UndoRow};
use mendwright_store::RunRecord;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::problem::ProblemBody;
use super::run::RunBody;
use super::{FORMAT_VERSION, nonsense};
use crate::engine::{Applied, PlanRequest, Undone};
use crate::view::problem::Problem;

/// `POST /runs`: a dry run of `job` for `tenant`; or of what an earlier run was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanBody {
    /// The job's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Whose data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The job's parameters.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// `resource/key` of the only changes to keep; empty for all.
    #[serde(default)]
    pub only: Vec<String>,
    /// Instead of job, tenant and parameters: plan what this run planned once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u64>,
    /// Instead of them: ask the job of this run to take it back in its own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensates: Option<u64>,
}

impl From<&PlanRequest> for PlanBody {
    fn from(request: &PlanRequest) -> Self {
        let only = request.only.clone();
        if let Some(parent) = request.parent {
            return Self { again: Some(parent.get()), only, ..Self::default() };
        }
        if let Some(of) = request.compensates {
            return Self { compensates: Some(of.get()), only, ..Self::default() };
        }
        let params = request.params.as_object().cloned().unwrap_or_default();
        Self { job: Some(request.job.clone()), tenant: Some(request.tenant.clone()), params, only, ..Self::default() }
    }
}

/// `POST /repairs`: a small repair, made at once where the job is trusted with the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepairBody {
    /// The job's name.
    pub job: String,
    /// Whose data.
    pub tenant: String,
    /// The job's parameters.
    #[serde(default)]
    pub params: Map<String, Value>,
}

/// `POST …/apply`: at least 16 hex digits of the plan's digest, from the person who read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyBody {
    /// The digits.
    pub confirm: String,
    /// Why they break the glass, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
}

/// `POST …/undo`: at least 16 hex digits of the digest, from the person who read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmBody {
    /// The digits.
    pub confirm: String,
}

/// `POST …/cancel`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Why.
    pub reason: String,
}

/// What applying came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedBody {
    /// The run as it is now.
    pub run: RunBody,
    /// Rows that were written.
    pub changes: u64,
    /// Where the world no longer matched the plan.
    pub drift: Option<DriftBody>,
    /// `resource/key` of changes that are left for the next plan.
    pub left_for_next: Vec<String>,
    /// From the start to the end.
    pub elapsed_ms: u64,
    /// Why it did not succeed.
    pub problem: Option<ProblemBody>,
}

/// Where now is not as planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftBody {
    /// Planned changes that hold exactly.
    pub held: u64,
    /// Planned changes that do not.
    pub broken: u64,
    /// Changes that nobody planned.
    pub new: u64,
    /// The first differences.
    pub differences: Vec<DifferenceBody>,
}

/// One place where now is not as planned. Values are as a plan's leaf has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferenceBody {
    /// The resource.
    pub resource: String,
    /// The key.
    pub key: String,
    /// The column; empty for the whole change.
    pub column: String,
    /// What the plan says.
    pub planned: Option<String>,
    /// What is so now.
    pub now: Option<String>,
    /// `before`, `after`, `action`, `missing`, `new`.
    pub what: String,
}

const fn what_word(what: What) -> &'static str {
    match what {
        What::Before => "before",
        What::After => "after",
        What::Action => "action",
        What::Missing => "missing",
        What::New => "new",
    }
}

fn what(text: &str) -> Result<What, Problem> {
    let all = [What::Before, What::After, What::Action, What::Missing, What::New];
    all.into_iter().find(|what| what_word(*what) == text).ok_or_else(|| nonsense("a difference", text))
}

impl From<&Comparison> for DriftBody {
    fn from(found: &Comparison) -> Self {
        let differences = found.differences.iter().map(|one| DifferenceBody {
            resource: one.resource.clone(),
            key: one.key.clone(),
            column: one.column.clone(),
            planned: one.planned.as_ref().map(Bound::tagged),
            now: one.now.as_ref().map(Bound::tagged),
            what: what_word(one.what).to_owned(),
        });
        Self { held: found.held, broken: found.broken, new: found.new, differences: differences.collect() }
    }
}

impl DriftBody {
    fn comparison(self) -> Result<Comparison, Problem> {
        let bound = |text: Option<String>| match text {
            None => Ok(None),
            Some(text) => Bound::from_tagged(&text).map(Some).ok_or_else(|| nonsense("a value", &text)),
        };
        let differences = self.differences.into_iter().map(|one| {
            Ok(Difference {
                what: what(&one.what)?,
                resource: one.resource,
                key: one.key,
                column: one.column,
                planned: bound(one.planned)?,
                now: bound(one.now)?,
            })
        });
        let differences = differences.collect::<Result<_, Problem>>()?;
        Ok(Comparison { held: self.held, broken: self.broken, new: self.new, differences })
    }
}

impl From<&Applied> for AppliedBody {
    fn from(applied: &Applied) -> Self {
        Self {
            run: RunBody::from(&applied.run),
            changes: applied.changes,
            drift: applied.drift.as_ref().map(DriftBody::from),
            left_for_next: applied.left_for_next.clone(),
            elapsed_ms: applied.elapsed_ms,
            problem: applied.problem.as_ref().map(ProblemBody::from),
        }
    }
}

impl AppliedBody {
    /// As the engine said it.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn applied(self) -> Result<Applied, Problem> {
        Ok(Applied {
            run: self.run.record()?,
            changes: self.changes,
            drift: self.drift.map(DriftBody::comparison).transpose()?,
            left_for_next: self.left_for_next,
            elapsed_ms: self.elapsed_ms,
            problem: self.problem.map(Problem::from),
        })
    }
}

/// What an undo would do, and what policy would answer to whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The run.
    pub run: RunBody,
    /// What a person confirms, and others approve: over all that follows but what is there now and the answer.
    pub digest: Digest,
    /// Which flush of the run it takes back: 0 is its apply.
    pub generation: u32,
    /// Over the exact bytes that would be written, sensitive ones among them.
    pub writes: Digest,
    /// Every row of the journal.
    pub rows: Vec<Row>,
    /// Whether it may be done so, and what is missing.
    pub answer: Decision,
}

impl UndoBody {
    /// Of a preview.
    #[must_use]
    pub fn new(run: &RunRecord, found: &Undo, answer: Decision) -> Self {
        Self {
            format_version: FORMAT_VERSION.to_owned(),
            run: RunBody::from(run),
            digest: found.digest,
            generation: found.generation(),
            writes: found.writes,
            rows: found.rows.iter().map(UndoRow::shown).collect(),
            answer,
        }
    }

    /// Whether the digest is that of the rows: a host could show one undo and have another one signed.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.digest == undo::digest(&self.run.run, self.generation, &self.writes, self.rows.iter().cloned())
    }

    /// Rows that would be restored.
    #[must_use]
    pub fn restores(&self) -> usize {
        self.rows.iter().filter(|row| row.conflict.is_none()).count()
    }

    /// Rows that would stay.
    #[must_use]
    pub fn conflicts(&self) -> usize {
        self.rows.len() - self.restores()
    }
}

/// What undoing came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoneBody {
    /// The run as it is now.
    pub run: RunBody,
    /// Rows that were restored.
    pub restored: u64,
    /// `resource/key: why` of rows that stayed.
    pub left: Vec<String>,
    /// From the start to the end.
    pub elapsed_ms: u64,
}

impl From<&Undone> for UndoneBody {
    fn from(undone: &Undone) -> Self {
        Self {
            run: RunBody::from(&undone.run),
            restored: undone.restored,
            left: undone.left.clone(),
            elapsed_ms: undone.elapsed_ms,
        }
    }
}

impl UndoneBody {
    /// As the engine said it.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn undone(self) -> Result<Undone, Problem> {
        let Self { run, restored, left, elapsed_ms } = self;
        Ok(Undone { run: run.record()?, restored, left, elapsed_ms })
    }
}

#[cfg(test)]
mod tests {
    use mendwright_core::value::Value as V;

    use super::*;

    #[test]
    fn a_drift_goes_there_and_back_with_its_exact_values() {
        let bound = |text: &str| Some(Bound::Shown(V::Decimal(text.parse().unwrap())));
        let one = |what| Difference {
            resource: "invoices".into(),
            key: "6".into(),
            column: "total".into(),
            planned: bound("9.90"),
            now: None,
            what,
        };
        let all = [What::Before, What::After, What::Action, What::Missing, What::New];
        let found = Comparison { held: 1, broken: 2, new: 3, differences: all.map(one).to_vec() };
        let text = serde_json::to_string(&DriftBody::from(&found)).unwrap();
        assert_eq!(serde_json::from_str::<DriftBody>(&text).unwrap().comparison().unwrap(), found);
    }
}
