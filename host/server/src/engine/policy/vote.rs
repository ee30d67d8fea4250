//! The word of people: what somebody signs, and what becomes of the run by it.

use mendwright_core::approval::{Ballot, CheckpointRef, Counted, NotCounted, Paper, Statement, Subject, Verb};
use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::key::{KeyId, SecretKey};
use mendwright_core::merkle::Tree;
use mendwright_core::people::document::TIME_US_MAX;
use mendwright_core::people::{PersonName, Role};
use mendwright_core::plan::header::Digest;
use mendwright_core::policy::{Action, Stage};
use mendwright_core::run::{Event, State};
use mendwright_core::tlog::Checkpoint;
use mendwright_store::{Fact, Known, RunNumber, RunRecord, Step, Verdict};

use super::super::{Host, problem, time};
use super::ask;
use super::facts::{About, Question, nonce, targets};
use super::registry::no_registry;
use crate::view::problem::Problem;

/// What became of a run by a vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voted {
    /// The run as it is now.
    pub run: RunRecord,
    /// The undo's digest, where it was about undoing.
    pub undo: Option<Digest>,
    /// Who voted.
    pub person: String,
    /// What they said.
    pub verb: Verb,
    /// How many approvals count.
    pub approvals: u64,
    /// How many are needed.
    pub needed: u32,
    /// Whether that is enough.
    pub is_enough: bool,
}

impl Host {
    /// What the owner of a key signs about the plan of a run, or about its undo as it would be done now.
    ///
    /// # Errors
    /// There is no plan, or the key is nobody's; nothing can be undone.
    pub async fn paper(&self, number: RunNumber, key: KeyId, about: Subject) -> Result<Paper, Problem> {
        let registry = self.registry().await?.ok_or_else(no_registry)?;
        let (person, _) = registry.key(&key).ok_or_else(|| {
            Problem::new(Code::ApprovalNotCounted, format!("key {key} is not in the registry of people"))
                .next("mendwright person list", "who is, with which keys")
        })?;
        self.paper_for(number, person.name.clone(), (key, about)).await
    }

    /// The same for a person and whatever key is to sign.
    pub(super) async fn paper_for(
        &self,
        number: RunNumber,
        person: PersonName,
        (key, about): (KeyId, Subject),
    ) -> Result<Paper, Problem> {
        let run = self.store.run(number).await.map_err(problem::store)?;
        let plan = self.store.verify_plan(number).await.map_err(problem::store)?;
        let (undo, last_us) = match about {
            Subject::Plan => (None, run.expires_at_us),
            Subject::Undo => (Some(self.undo_in_hand(number).await?.digest), run.undo_until_us),
        };
        Ok(Paper {
            plan: plan.digest,
            undo,
            run: run.id,
            nonce: nonce(&run),
            tenant: run.tenant.clone(),
            targets: targets(&plan),
            person,
            role: Role::Approver,
            key,
            checkpoint: self.latest_checkpoint().await?,
            now_us: self.store.clock_us().await.map_err(problem::store)?,
            last_us: last_us.unwrap_or(TIME_US_MAX),
        })
    }

    /// The same, said and signed by somebody whose key is here.
    ///
    /// # Errors
    /// As [`Host::paper`], and a word that is none.
    pub async fn ballot(
        &self,
        number: RunNumber,
        ballot: &Ballot,
        (key, about): (&SecretKey, Subject),
    ) -> Result<Envelope, Problem> {
        sign(&self.paper(number, key.id(), about).await?.say(ballot), key)
    }

    /// The audit log as it was last signed.
    async fn latest_checkpoint(&self) -> Result<CheckpointRef, Problem> {
        let status = self.store.audit_status().await.map_err(problem::store)?;
        let Some(stored) = status.checkpoint else {
            return Ok(CheckpointRef { size: 0, root: Digest(Tree::default().root()) });
        };
        let checkpoint = Checkpoint::open(&stored.note, &self.log_key.verifier()?)
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        Ok(CheckpointRef { size: checkpoint.size, root: Digest(checkpoint.root) })
    }

    /// Lets somebody have their word about the plan of a run, or about its undo: it is verified, asked of policy, kept, and the
    /// run moves by it, in one transaction.
    ///
    /// # Errors
    /// It is no vote, it does not count, policy says no, or the run waits for nobody's word.
    pub async fn vote(&self, number: RunNumber, envelope: &[u8]) -> Result<Voted, Problem> {
        let invalid = |why: String| Problem::new(Code::ApprovalInvalid, why);
        let parsed = Envelope::parse(envelope).map_err(|error| invalid(error.to_string()))?;
        let statement = Statement::read(&parsed).map_err(|error| invalid(error.to_string()))?;
        let run = self.store.run(number).await.map_err(problem::store)?;
        let plan = self.store.verify_plan(number).await.map_err(problem::store)?;
        let text = parsed.to_json();
        if statement.about() == Subject::Undo {
            return self.vote_on_undo(&run, &plan, &statement, &text).await;
        }
        let manifest = self.manifest(&run.job_name)?;
        let judge = |known: &Known| {
            let about = About::of(&known.run, &manifest, Some(&plan));
            self.judge_vote(known, about, &statement)
        };
        let mut voted = self.store.decide(number, Some(&text), judge).await.map_err(problem::store)??;
        voted.run = self.store.run(number).await.map_err(problem::store)?;
        Ok(voted)
    }

    fn judge_vote(&self, known: &Known, about: About<'_>, statement: &Statement) -> Result<(Verdict, Voted), Problem> {
        let state = known.run.state;
        if !matches!(state, State::Planned | State::AwaitingApproval | State::Approved) {
            let number = known.run.number.get();
            let message = format!("#{number} is {state} and waits for nobody's word");
            return Err(Problem::new(Code::RunState, message)
                .next(format!("mendwright run show {number}"), "how it came to that"));
        }
        let person = statement.person.person().map_or_else(String::new, ToString::to_string);
        let by = format!("person:{person}");
        let action = match statement.verb {
            Verb::Approve => Some(Action::Approve),
            Verb::Reject => Some(Action::Reject),
            // Nobody needs leave to take their own word back.
            Verb::Withdraw => None,
        };
        let chain = self.authority.chain(&known.around.people)?;
        let registry = chain.as_ref().map(|chain| chain.in_force(known.around.now_us));
        let before = known.votes.split_last().map_or(&[][..], |(_, before)| before);
        let votes = (known.votes.as_slice(), known.around.now_us);
        let counted = self.authority.count(&self.config, registry, about, &known.run.requested_by, votes);
        if let Some(why) = &counted.last {
            return Err(not_counted(why, &known.run));
        }
        let mut verdict = Verdict::default();
        if let Some(action) = action {
            let question = Question { stage: Stage::WithPlan, action, by: &by, break_glass: None };
            let judged = self.judge(question, about, before, &known.around)?;
            if !judged.decision.allows() {
                return Err(ask::no(&judged.decision, &known.run));
            }
            verdict.decision = Some(judged.kept()?);
        }
        // Genuine, allowed, and worth nothing: whoever says so has to know.
        if let Some(Counted::No(why)) = counted.tally.votes.last() {
            let number = known.run.number.get();
            return Err(Problem::new(why.code(), format!("that does not count for #{number}: {why}"))
                .next(format!("mendwright run cancel {number} --reason \"…\""), "calls off what you asked for yourself")
                .next(format!("mendwright run show {number}"), "where it stands"));
        }
        let now_us = time::now_us();
        let step = |from, event| Step::new(from, event, now_us).by(&by);
        let tally = &counted.tally;
        if tally.rejected_by.is_some() {
            let why = statement.reason.clone().unwrap_or_default();
            verdict.steps.push(step(state, Event::PersonRejected).note(why));
        } else if tally.enough && state != State::Approved {
            if state == State::Planned {
                verdict.steps.push(step(state, Event::ApprovalsAsked));
            }
            verdict.steps.push(step(State::AwaitingApproval, Event::ApprovalsGiven));
        } else if !tally.enough && state == State::Approved {
            verdict.steps.push(step(state, Event::ApprovalsLost));
        }
        let fact = Fact::new("vote.cast", &by, now_us)
            .say("verb", statement.verb)
            .say("plan", statement.plan)
            .say("key", statement.key)
            .say("reason", statement.reason.as_deref().unwrap_or_default());
        verdict.facts.push(fact);
        let voted = Voted {
            run: known.run.clone(),
            undo: None,
            person,
            verb: statement.verb,
            approvals: u64::try_from(tally.approved_by.len()).unwrap_or(u64::MAX),
            needed: tally.needed,
            is_enough: tally.enough,
        };
        Ok((verdict, voted))
    }
}

/// A statement, signed.
///
/// # Errors
/// It is none: a reason is missing or too long.
pub fn sign(statement: &Statement, key: &SecretKey) -> Result<Envelope, Problem> {
    let mut envelope = statement.envelope().map_err(|error| Problem::new(error.code(), error.to_string()))?;
    envelope.sign(key);
    Ok(envelope)
}

pub(super) fn not_counted(why: &NotCounted, run: &RunRecord) -> Problem {
    let number = run.number.get();
    Problem::new(why.code(), format!("that is no approval of #{number}: {why}"))
        .next(format!("mendwright run show {number}"), "the plan that it would have to be about")
}
