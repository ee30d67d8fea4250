//! The word of people: what somebody signs, and what becomes of the run by it.

use mendwright_core::approval::{CheckpointRef, NotCounted, Statement, Verb};
use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::key::SecretKey;
use mendwright_core::merkle::Tree;
use mendwright_core::people::{Actor, Role};
use mendwright_core::plan::header::Digest;
use mendwright_core::policy::{Action, Stage};
use mendwright_core::run::{Event, State};
use mendwright_core::tlog::Checkpoint;
use mendwright_store::{Fact, Known, RunNumber, RunRecord, Step, StoredPlan, Verdict};

use super::super::{Host, problem, time};
use super::ask;
use super::facts::{About, Question, nonce, targets};
use crate::view::problem::Problem;

/// What somebody wants to say about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Yes, no, or no longer.
    pub verb: Verb,
    /// Why; a rejection needs it.
    pub reason: Option<String>,
    /// How long it counts, in microseconds; never longer than the plan.
    pub lasts_us: i64,
}

/// What became of a run by a vote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voted {
    /// The run as it is now.
    pub run: RunRecord,
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
    /// What a person signs about the plan of a run, with their own key.
    ///
    /// # Errors
    /// There is no plan, or the key is nobody's.
    pub async fn ballot(&self, number: RunNumber, ballot: &Ballot, key: &SecretKey) -> Result<Envelope, Problem> {
        let run = self.store.run(number).await.map_err(problem::store)?;
        let plan = self.store.verify_plan(number).await.map_err(problem::store)?;
        let registry = self.registry().await?.ok_or_else(no_registry)?;
        let id = key.id();
        let (person, _) = registry.key(&id).ok_or_else(|| {
            Problem::new(Code::ApprovalNotCounted, format!("key {id} is not in the registry of people"))
                .next("mendwright person list", "who is, with which keys")
        })?;
        let now_us = self.store.clock_us().await.map_err(problem::store)?;
        let last = run.expires_at_us.unwrap_or(i64::MAX);
        let statement = Statement {
            verb: ballot.verb,
            plan: plan.digest,
            run: run.id.to_string(),
            nonce: nonce(&run),
            tenant: run.tenant.clone(),
            targets: targets(&plan),
            person: Actor::Person(person.name.clone()),
            role: Role::Approver,
            key: id,
            expires_at_us: now_us.saturating_add(ballot.lasts_us).min(last),
            checkpoint: self.latest_checkpoint().await?,
            session: None,
            reason: ballot.reason.clone(),
        };
        let mut envelope =
            statement.envelope().map_err(|error| Problem::new(Code::ApprovalInvalid, error.to_string()))?;
        envelope.sign(key);
        Ok(envelope)
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

    /// Lets somebody have their word about the plan of a run: it is verified, asked of policy, kept, and the
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
        let manifest = self.manifest(&run.job_name)?;
        let text = parsed.to_json();
        let judge = |known: &Known| {
            let about = About { run: &known.run, manifest: &manifest, plan: Some(&plan) };
            self.judge_vote(known, about, &plan, &statement)
        };
        let mut voted = self.store.decide(number, Some(&text), judge).await.map_err(problem::store)??;
        voted.run = self.store.run(number).await.map_err(problem::store)?;
        Ok(voted)
    }

    fn judge_vote(
        &self,
        known: &Known,
        about: About<'_>,
        plan: &StoredPlan,
        statement: &Statement,
    ) -> Result<(Verdict, Voted), Problem> {
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
        let counted = self.authority.count(registry, &known.run, Some(plan), &known.votes, known.around.now_us);
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
            person,
            verb: statement.verb,
            approvals: u64::try_from(tally.approved_by.len()).unwrap_or(u64::MAX),
            needed: tally.needed,
            is_enough: tally.enough,
        };
        Ok((verdict, voted))
    }
}

fn no_registry() -> Problem {
    Problem::new(Code::RegistryInvalid, "there is no registry of people yet: nobody can approve anything")
        .next("mendwright person init", "makes one, with you as its first admin")
}

fn not_counted(why: &NotCounted, run: &RunRecord) -> Problem {
    let number = run.number.get();
    Problem::new(why.code(), format!("that is no approval of #{number}: {why}"))
        .next(format!("mendwright run show {number}"), "the plan that it would have to be about")
}
