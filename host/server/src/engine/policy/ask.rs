//! The three times at which policy is asked about a run: before its dry run, with the plan in hand, and in
//! the transaction that commits *applying*.

use mendwright_catalog::manifest::Manifest;
use mendwright_core::code::Code;
use mendwright_core::people::Registry;
use mendwright_core::policy::{Action, Decision, Effect, Facts, Stage, Trust};
use mendwright_core::run::{Event, State};
use mendwright_store::{Decision as StoredDecision, Fact, Known, RunRecord, Step, StoredPlan, Surroundings, Verdict};

use super::super::{Host, problem, time};
use super::facts::{About, Count, Question, stands};
use crate::view::problem::Problem;

/// Who asked for what nobody has asked for yet.
pub(super) const NOBODY: &str = "";

/// An answer, and everything that it stands on.
pub(super) struct Judged {
    pub(super) decision: Decision,
    pub(super) facts: Facts,
    pub(super) count: Count,
}

impl Judged {
    /// As the store keeps it.
    pub(super) fn kept(&self) -> Result<StoredDecision, Problem> {
        let json = |error: serde_json::Error| Problem::new(Code::Internal, error.to_string());
        Ok(StoredDecision {
            stage: self.facts.stage.word().to_owned(),
            effect: self.decision.effect.word().to_owned(),
            decision: serde_json::to_string(&self.decision).map_err(json)?,
            facts: serde_json::to_string(&self.facts).map_err(json)?,
        })
    }
}

impl Host {
    /// Asks about a run with everything that is known of it.
    pub(super) fn judge(
        &self,
        question: Question<'_>,
        about: About<'_>,
        votes: &[mendwright_store::StoredVote],
        around: &Surroundings,
    ) -> Result<Judged, Problem> {
        let chain = self.authority.chain(&around.people)?;
        let registry: Option<&Registry> = chain.as_ref().map(|chain| chain.in_force(around.now_us));
        let asks = match (about.undo, question.action) {
            (None, _) => about.run.requested_by.as_str(),
            (Some(_), Action::Rollback) => question.by,
            (Some(_), _) => NOBODY,
        };
        let count = self.authority.count(&self.config, registry, about, asks, (votes, around.now_us));
        let facts = self.authority.facts(&self.config, question, about, registry, around, count.approvals.clone());
        let settings = self.authority.settings((&about.run.job_name, &about.run.tenant), around);
        let decision = self.authority.policies.now().engine.decide(&facts, &settings);
        Ok(Judged { decision, facts, count })
    }

    /// Before the dry run: whether there may be one at all.
    pub(in crate::engine) async fn may_plan(&self, run: &RunRecord, manifest: &Manifest) -> Result<(), Problem> {
        let question = Question {
            stage: Stage::BeforePlanning,
            action: Action::Preview,
            by: &run.requested_by,
            break_glass: None,
        };
        let judge = |known: &Known| {
            off(&known.around, run, manifest)?;
            let about = About::of(&known.run, manifest, None);
            let judged = self.judge(question, about, &[], &known.around)?;
            let verdict = Verdict { decision: Some(judged.kept()?), ..Verdict::default() };
            Ok::<_, Problem>((verdict, judged.decision))
        };
        let decision = self.store.decide(run.number, None, judge).await.map_err(problem::store)??;
        if decision.allows() { Ok(()) } else { Err(no(&decision, run)) }
    }

    /// With the plan in hand: whether it waits for people. A plan that policy does not let run yet stays
    /// *planned*; what is missing is shown, and asked again at its apply.
    pub(in crate::engine) fn judge_plan(
        &self,
        known: &Known,
        manifest: &Manifest,
        plan: &StoredPlan,
    ) -> Result<Verdict, Problem> {
        let by = &known.run.requested_by;
        let question = Question { stage: Stage::WithPlan, action: Action::Apply, by, break_glass: None };
        let about = About::of(&known.run, manifest, Some(plan));
        let judged = self.judge(question, about, &known.votes, &known.around)?;
        let mut verdict = Verdict { decision: Some(judged.kept()?), ..Verdict::default() };
        if judged.decision.effect == Effect::NeedsApproval {
            verdict.steps.push(Step::new(State::Planned, Event::ApprovalsAsked, time::now_us()));
        }
        Ok(verdict)
    }

    /// Commits *applying*, if policy says yes in that very transaction. `glass` is why `by` breaks it.
    pub(in crate::engine) async fn begin_apply(
        &self,
        run: &RunRecord,
        plan: &StoredPlan,
        (by, glass): (&str, Option<&str>),
    ) -> Result<(), Problem> {
        let manifest = self.manifest(&run.job_name)?;
        let question = Question { stage: Stage::AtApply, action: Action::Apply, by, break_glass: glass };
        let judge = |known: &Known| {
            off(&known.around, run, &manifest)?;
            let about = About::of(&known.run, &manifest, Some(plan));
            let judged = self.judge(question, about, &known.votes, &known.around)?;
            let mut verdict = Verdict { decision: Some(judged.kept()?), ..Verdict::default() };
            let state = known.run.state;
            let role = &self.authority.settings.break_glass_role;
            if let Some(reason) = glass.filter(|_| !judged.facts.actor.has_role(role)) {
                verdict.facts.push(Fact::new("glass.refused", by, time::now_us()).say("reason", reason));
                return Ok((verdict, Err(no_glass(by, role, run))));
            }
            if let (Some(reason), true) = (glass, judged.decision.warning().is_some()) {
                let broke = judged.decision.broke.join(", ");
                let broken = Step::new(state, Event::GlassBroken, time::now_us()).attempt(run.attempt).by(by);
                let fact = Fact::new("glass.broken", by, time::now_us()).say("reason", reason).say("broke", &broke);
                let note = format!("{by}: {reason} (past {broke})");
                verdict.steps.push(broken.outcome(Code::BreakGlass, reason).note(note).fact(fact));
            } else if judged.decision.allows() {
                let started = Step::new(state, Event::ApplyStarted, time::now_us());
                verdict.steps.push(started.attempt(run.attempt).by(by).note("confirmed"));
            } else if state == State::Approved && !judged.count.tally.enough {
                // An approval ran out, or its key was revoked.
                verdict.steps.push(Step::new(state, Event::ApprovalsLost, time::now_us()));
            } else if state == State::Planned && judged.decision.effect == Effect::NeedsApproval {
                verdict.steps.push(Step::new(state, Event::ApprovalsAsked, time::now_us()));
            }
            Ok::<_, Problem>((verdict, Ok(judged.decision)))
        };
        let decision = self.store.decide(run.number, None, judge).await.map_err(problem::store)???;
        if let Some(code) = decision.warning() {
            let (run, reason, broke) = (run.number.get(), glass.unwrap_or_default(), decision.broke.join(", "));
            tracing::warn!(%code, run, by, reason, broke, "somebody broke the glass");
        }
        if decision.allows() { Ok(()) } else { Err(no(&decision, run)) }
    }

    /// What policy answers about a run that nobody voted on; `None` where it is not yes, or where the job is not
    /// trusted to go on by itself.
    pub(in crate::engine) fn answer(
        &self,
        around: &Surroundings,
        run: &RunRecord,
        manifest: &Manifest,
        plan: Option<&StoredPlan>,
        (stage, action): (Stage, Action),
    ) -> Result<Option<StoredDecision>, Problem> {
        if off(around, run, manifest).is_err()
            || self.authority.settings((&run.job_name, &run.tenant), around).trust(&run.job_name, &run.tenant)
                != Trust::Auto
        {
            return Ok(None);
        }
        let question = Question { stage, action, by: &run.requested_by, break_glass: None };
        let judged = self.judge(question, About::of(run, manifest, plan), &[], around)?;
        judged.decision.allows().then(|| judged.kept()).transpose()
    }
}

/// A job that somebody switched off is neither planned nor applied.
fn off(around: &Surroundings, run: &RunRecord, manifest: &Manifest) -> Result<(), Problem> {
    let standing = stands(&around.switches.thrown, run, manifest.category, &[], around.now_us);
    let Some(switch) = standing.job_off else { return Ok(()) };
    let message = format!("{} was switched off by {}: {}", run.job_name, switch.by, switch.reason);
    Err(Problem::new(Code::PolicyDenied, message).next("mendwright switch list", "how all switches stand"))
}

/// Who wants to break the glass and may not.
fn no_glass(by: &str, role: &str, run: &RunRecord) -> Problem {
    let role = mendwright_core::text::escape_short(role, 40);
    Problem::new(Code::PolicyDenied, format!("{by} does not hold the role {role}, which may break the glass"))
        .detail("nothing was applied, and that it was tried is written down")
        .next("mendwright person list", "who does")
        .next(format!("mendwright policy why {}", run.number.get()), "what is missing for an ordinary apply")
}

/// A no, in words: what is missing, and who said so.
pub(super) fn no(decision: &Decision, run: &RunRecord) -> Problem {
    let number = run.number.get();
    refusal(decision, run, &format!("#{number} may not go on"), &format!("mendwright run approve {number}"))
}

/// The same of whatever may not be, where `approve` is how people make up for it.
pub(super) fn refusal(decision: &Decision, run: &RunRecord, what: &str, approve: &str) -> Problem {
    let missing: Vec<String> = decision.missing.iter().map(ToString::to_string).collect();
    let missing = if missing.is_empty() { "no policy allows it".to_owned() } else { missing.join("; ") };
    let code = decision.code().unwrap_or(Code::PolicyDenied);
    let problem =
        Problem::new(code, format!("{what}: {missing}")).detail(format!("said by {}", decision.by.join(", ")));
    match decision.effect {
        Effect::NeedsApproval => {
            problem.next(approve, "for somebody who may: from their own machine, with their own key")
        }
        Effect::Allow | Effect::Deny => problem.next(
            format!("mendwright policy why {}", run.number.get()),
            "every answer about it, with what it stood on",
        ),
    }
}
