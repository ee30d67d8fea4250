//! An undo's own approval. What was approved covers the plan's exact inverse for a while; what comes later, or
//! leaves rows that somebody changed since, is previewed, and approved as exactly that preview.

use mendwright_core::approval::{Counted, Statement, Verb};
use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::policy::{Action, Approvals, Decision, Facts, Stage};
use mendwright_core::run::Event;
use mendwright_core::work;
use mendwright_gateway::repair::Undo;
use mendwright_store::{Fact, Known, RunNumber, RunRecord, Step, StoredPlan, Verdict};

use super::super::{Host, problem, time};
use super::ask::{Judged, NOBODY, refusal};
use super::facts::{About, Question};
use super::vote::{Voted, not_counted};
use crate::view::problem::Problem;

/// Words that do not count of which a refusal says why: the latest. About undos of before there may be many.
const UNCOUNTED_MAX: usize = 5;

/// An undo, as far as a decision has to know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct UndoInHand {
    pub(super) digest: Digest,
    pub(super) conflicts: u64,
    /// Which flush of the run it takes back.
    pub(super) generation: u64,
}

impl From<&Undo> for UndoInHand {
    fn from(undo: &Undo) -> Self {
        Self {
            digest: undo.digest,
            conflicts: u64::try_from(undo.conflicts()).unwrap_or(u64::MAX),
            generation: u64::from(undo.generation()),
        }
    }
}

impl Host {
    /// What policy would answer to `by`, who would do exactly this undo now.
    ///
    /// # Errors
    /// The store or the registry cannot be read.
    pub async fn undo_answer(&self, run: &RunRecord, preview: &Undo, by: &str) -> Result<Decision, Problem> {
        let plan = self.store.load_plan(run.number).await.map_err(problem::store)?;
        let around = self.store.surroundings(&run.tenant, &run.job_name, run.target.as_deref()).await;
        let votes = self.store.votes(run.number).await.map_err(problem::store)?;
        let manifest = self.manifest(&run.job_name).ok();
        let about = About { run, manifest: manifest.as_ref(), plan: Some(&plan), undo: Some(preview.into()) };
        let judged = self.judge(doing(by), about, &votes, &around.map_err(problem::store)?)?;
        Ok(judged.decision)
    }

    /// Commits *rolling back*, if policy says yes to exactly this undo in that very transaction.
    pub(in crate::engine) async fn begin_undo(&self, run: &RunRecord, preview: &Undo, by: &str) -> Result<(), Problem> {
        // A job that is gone cannot say what it was about. Its plan says at which level it was applied.
        let manifest = self.manifest(&run.job_name).ok();
        let plan = self.store.verify_plan(run.number).await.map_err(problem::store)?;
        let undo = UndoInHand::from(preview);
        let judge = |known: &Known| {
            let about = About { run: &known.run, manifest: manifest.as_ref(), plan: Some(&plan), undo: Some(undo) };
            let judged = self.judge(doing(by), about, &known.votes, &known.around)?;
            let mut verdict = Verdict { decision: Some(judged.kept()?), ..Verdict::default() };
            if judged.decision.allows() {
                let started = Step::new(run.state, Event::RollbackStarted, time::now_us()).attempt(run.attempt).by(by);
                let needed = self.needed_to_undo(&judged.facts);
                // When it was decided, so that whoever looks later finds the answer and counts as of then.
                let fact = Fact::new("undo.begun", by, known.around.now_us)
                    .say("undo", undo.digest)
                    .say("generation", undo.generation + 1)
                    .say("conflicts", undo.conflicts)
                    .say("level", u8::from(judged.facts.levels.highest()))
                    .say("needed", needed);
                verdict.steps.push(started.note("confirmed").fact(fact));
            }
            Ok::<_, Problem>((verdict, judged))
        };
        let judged = self.store.decide(run.number, None, judge).await.map_err(problem::store)??;
        if judged.decision.allows() { Ok(()) } else { Err(no(&judged, run)) }
    }

    /// How many others have to approve the undo that these facts are about.
    fn needed_to_undo(&self, facts: &Facts) -> u32 {
        facts.compute(&self.authority.settings).approvals_needed
    }

    /// What would be undone now.
    pub(super) async fn undo_in_hand(&self, number: RunNumber) -> Result<UndoInHand, Problem> {
        let (_, preview) = self.undo_preview(number).await?;
        if preview.restores() == 0 {
            return Err(Problem::new(
                Code::RollbackConflict,
                format!("nothing of #{} can be restored: every row changed since", number.get()),
            ));
        }
        Ok((&preview).into())
    }

    /// Lets somebody have their word about the undo of a run: it is held against what the undo would do now.
    pub(super) async fn vote_on_undo(
        &self,
        run: &RunRecord,
        plan: &StoredPlan,
        statement: &Statement,
        envelope: &str,
    ) -> Result<Voted, Problem> {
        let undo = self.undo_in_hand(run.number).await?;
        let manifest = self.manifest(&run.job_name).ok();
        let judge = |known: &Known| {
            let about = About { run: &known.run, manifest: manifest.as_ref(), plan: Some(plan), undo: Some(undo) };
            self.judge_undo_vote(known, about, undo, statement)
        };
        self.store.decide(run.number, Some(envelope), judge).await.map_err(problem::store)?
    }

    fn judge_undo_vote(
        &self,
        known: &Known,
        about: About<'_>,
        undo: UndoInHand,
        statement: &Statement,
    ) -> Result<(Verdict, Voted), Problem> {
        let run = &known.run;
        let number = run.number.get();
        if !work::may_undo(run.state, run.applied_at_us.is_some()) || run.undo_generation != undo.generation {
            let message = format!("#{number} is {} and waits for nobody's word about its undo", run.state);
            return Err(Problem::new(Code::RunState, message)
                .next(format!("mendwright run show {number}"), "how it came to that"));
        }
        let person = statement.person.person().map_or_else(String::new, ToString::to_string);
        let by = format!("person:{person}");
        let chain = self.authority.chain(&known.around.people)?;
        let registry = chain.as_ref().map(|chain| chain.in_force(known.around.now_us));
        let votes = (known.votes.as_slice(), known.around.now_us);
        let counted = self.authority.count(&self.config, registry, about, NOBODY, votes);
        if let Some(why) = &counted.last {
            return Err(not_counted(why, run));
        }
        let decision = self.may_vote_on_undo(known, about, statement.verb, &by)?;
        let preview = format!("mendwright undo {number} --preview");
        if let Some(Counted::No(why)) = counted.tally.votes.last() {
            return Err(Problem::new(why.code(), format!("that does not count for the undo of #{number}: {why}"))
                .next(preview, "what it would do now"));
        }
        let facts =
            self.authority.facts(&self.config, doing(&by), about, registry, &known.around, Approvals::default());
        let needed = self.needed_to_undo(&facts);
        if statement.verb == Verb::Reject && needed == 0 {
            let message = format!("to undo #{number} takes nobody's word now, and a no would not hold it back");
            return Err(Problem::new(Code::RunState, message).next(preview, "what it would do"));
        }
        let fact = Fact::new("vote.cast", &by, time::now_us())
            .say("verb", statement.verb)
            .say("plan", statement.plan)
            .say("undo", undo.digest)
            .say("key", statement.key)
            .say("reason", statement.reason.as_deref().unwrap_or_default());
        let approvals = counted.tally.approved_by.len();
        let voted = Voted {
            run: run.clone(),
            undo: Some(undo.digest),
            person,
            verb: statement.verb,
            approvals: u64::try_from(approvals).unwrap_or(u64::MAX),
            needed,
            is_enough: u32::try_from(approvals).unwrap_or(u32::MAX) >= needed,
        };
        Ok((Verdict { decision, facts: vec![fact], ..Verdict::default() }, voted))
    }

    /// The answer of policy to `by` who says so about an undo, where it is asked.
    fn may_vote_on_undo(
        &self,
        known: &Known,
        about: About<'_>,
        verb: Verb,
        by: &str,
    ) -> Result<Option<mendwright_store::Decision>, Problem> {
        let action = match verb {
            Verb::Approve => Action::ApproveUndo,
            Verb::Reject => Action::Reject,
            // Nobody needs leave to take their own word back.
            Verb::Withdraw => return Ok(None),
        };
        let question = Question { stage: Stage::AtApply, action, by, break_glass: None };
        let before = known.votes.split_last().map_or(&[][..], |(_, before)| before);
        let judged = self.judge(question, about, before, &known.around)?;
        if judged.decision.allows() { Ok(Some(judged.kept()?)) } else { Err(no(&judged, &known.run)) }
    }
}

/// What is asked where `by` undoes.
const fn doing(by: &str) -> Question<'_> {
    Question { stage: Stage::AtApply, action: Action::Rollback, by, break_glass: None }
}

/// A no to an undo, and why the word of those who gave it does not count.
fn no(judged: &Judged, run: &RunRecord) -> Problem {
    let number = run.number.get();
    let what = format!("#{number} may not be undone so");
    let problem = refusal(&judged.decision, run, &what, &format!("mendwright run approve {number} --undo"));
    let latest = judged.facts.approvals.uncounted.iter().rev().take(UNCOUNTED_MAX);
    latest.fold(problem, |problem, one| problem.detail(format!("{}: {}", one.by, one.because)))
}
