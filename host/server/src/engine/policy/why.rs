//! An answer of policy for people: what it was, what is missing, who said so.

use mendwright_core::code::Code;
use mendwright_core::policy::{Action, Decision, Stage};
use mendwright_core::run::State;
use mendwright_store::{NewRun, RunNumber, RunRecord};

use super::super::{Host, PlanRequest, problem, time};
use super::facts::{About, Question};
use crate::view::problem::Problem;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When, in microseconds since 1970-01-01 UTC.
    pub at_us: i64,
    /// Whether it was kept, or is what would be answered now.
    pub is_kept: bool,
    /// When in the run's life.
    pub stage: Stage,
    /// What was wanted, by whom.
    pub action: Action,
    /// `person:alice`.
    pub actor: String,
    /// The answer.
    pub decision: Decision,
}

/// Everything that policy answers about a run, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The run; absent where one is only thought of.
    pub run: Option<RunRecord>,
    /// In order; what would be answered now is the last.
    pub answers: Vec<Answer>,
    /// What each policy that made an answer says: id and sentence.
    pub says: Vec<(String, String)>,
}

impl Host {
    /// Every answer about a run, and what would be answered to `by` now who applied it, or undid it.
    ///
    /// # Errors
    /// There is no such run, or the registry cannot be read.
    pub async fn why(&self, number: RunNumber, by: &str) -> Result<Why, Problem> {
        let run = self.store.run(number).await.map_err(problem::store)?;
        let corrupt = |error: serde_json::Error| Problem::new(Code::StoreCorrupt, format!("a decision: {error}"));
        let mut answers = Vec::new();
        for kept in self.store.decisions(number).await.map_err(problem::store)? {
            let facts: mendwright_core::policy::Facts = serde_json::from_str(&kept.decision.facts).map_err(corrupt)?;
            answers.push(Answer {
                at_us: kept.at_us,
                is_kept: true,
                stage: facts.stage,
                action: facts.action,
                actor: facts.actor.who().to_string(),
                decision: serde_json::from_str(&kept.decision.decision).map_err(corrupt)?,
            });
        }
        if matches!(run.state, State::Planned | State::AwaitingApproval | State::Approved) {
            let plan = self.store.load_plan(number).await.map_err(problem::store)?;
            let manifest = self.manifest(&run.job_name)?;
            let around = self.store.surroundings(&run.tenant, &run.job_name, run.target.as_deref()).await;
            let around = around.map_err(problem::store)?;
            let votes = self.store.votes(number).await.map_err(problem::store)?;
            let question = Question { stage: Stage::AtApply, action: Action::Apply, by, break_glass: None };
            let about = About::of(&run, &manifest, Some(&plan));
            let judged = self.judge(question, about, &votes, &around)?;
            answers.push(now(&judged.decision, Stage::AtApply, Action::Apply, by, around.now_us));
        }
        // Where the target does not answer, that is no reason to say nothing of what was answered.
        if let Ok((run, preview)) = self.undo_preview(number).await {
            let decision = self.undo_answer(&run, &preview, by).await?;
            answers.push(now(&decision, Stage::AtApply, Action::Rollback, by, time::now_us()));
        }
        Ok(self.told(Some(run), answers))
    }

    /// What would be answered if `by` planned a job for a tenant, and if something applied it by itself.
    ///
    /// # Errors
    /// There is no such job, or the registry cannot be read.
    pub async fn would(&self, request: &PlanRequest, by: &str) -> Result<Why, Problem> {
        let manifest = self.manifest(&request.job)?;
        let new: NewRun = self.new_run(&manifest, request, time::now_us())?;
        let run = thought_of(new);
        let around = self.store.surroundings(&run.tenant, &run.job_name, None).await.map_err(problem::store)?;
        let mut answers = Vec::new();
        for (stage, action, by) in [
            (Stage::BeforePlanning, Action::Preview, by),
            (Stage::AtApply, Action::Apply, by),
            (Stage::AtApply, Action::Apply, MACHINE),
        ] {
            let question = Question { stage, action, by, break_glass: None };
            let about = About::of(&run, &manifest, None);
            let judged = self.judge(question, about, &[], &around)?;
            answers.push(now(&judged.decision, stage, action, by, around.now_us));
        }
        Ok(self.told(None, answers))
    }

    fn told(&self, run: Option<RunRecord>, answers: Vec<Answer>) -> Why {
        let set = self.authority.policies.now();
        let mut ids: Vec<&String> = answers.iter().flat_map(|answer| &answer.decision.by).collect();
        ids.sort();
        ids.dedup();
        let says = |id: &&String| set.engine.about().get(*id).map(|about| about.says.clone());
        let says = ids.iter().map(|id| ((*id).clone(), says(id).unwrap_or_default())).collect();
        Why { run, answers, says }
    }
}

/// Who applies by itself, where a person asks what would happen.
const MACHINE: &str = "machine:detector";

fn now(decision: &Decision, stage: Stage, action: Action, by: &str, at_us: i64) -> Answer {
    Answer { at_us, is_kept: false, stage, action, actor: by.to_owned(), decision: decision.clone() }
}

/// A run that nobody began.
fn thought_of(new: NewRun) -> RunRecord {
    RunRecord {
        number: RunNumber::new(0),
        id: new.id,
        nonce: new.nonce,
        tenant: new.tenant,
        job_name: new.job_name,
        job_version: new.job_version,
        state: State::Planning,
        created_at_us: new.frozen_now_us,
        updated_at_us: new.frozen_now_us,
        requested_by: new.requested_by,
        environment: new.environment,
        params: new.params,
        only: new.only,
        frozen_now_us: new.frozen_now_us,
        frozen_seed: new.frozen_seed,
        parent: new.parent,
        compensates: new.compensates,
        plan_digest: None,
        target: None,
        attempt: 0,
        undo_generation: 0,
        outcome: None,
        expires_at_us: None,
        applied_at_us: None,
        undo_until_us: None,
        asked: None,
        leased: None,
    }
}
