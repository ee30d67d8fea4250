//! A small repair of a job that is trusted to apply by itself: planned, judged and applied in one go. It waits
//! for one transaction of the control store before its target commits, and for none after: that the target
//! holds it is the truth, and what the store says of it follows behind (`finish`).
//!
//! Nothing is promised less than elsewhere. What is applied is what the one execution computed: plan and apply
//! are one moment here, and policy lets exactly that digest be applied in the transaction that commits
//! *applying*. Whatever is not small, not trusted or not allowed goes the ordinary way.

use mendwright_catalog::manifest::Manifest;
use mendwright_core::commitment::Salt;
use mendwright_core::level::Level;
use mendwright_core::plan::BoundChange;
use mendwright_core::policy::{Action, Stage};
use mendwright_core::run::{Event, State};
use mendwright_gateway::repair::{Flushed, Rehearsed};
use mendwright_gateway::{Error as GatewayError, Target};
use mendwright_store::{
    AtOnce, Begins, Begun, Decision, Idempotency, NewPlan, NewRun, RunNumber, RunRecord, Step, StoredPlan,
    Surroundings, Written,
};
use tokio::time::Instant;

use super::apply::{Applied, Ended, flush_ended};
use super::bind::Binder;
use super::document::{self, Parts};
use super::execute::Execution;
use super::finish::{Committed, Held, Room};
use super::plan::{PLAN_VALID_US, check_shares};
use super::work::Patience;
use super::{Host, PlanRequest, batched, problem, random, time};
use crate::view::problem::Problem;
use mendwright_core::code::Code;

/// Rows of a repair that is small. What changes more takes its time anyway.
const CHANGES_MAX: usize = 1_000;

/// What became of a request to repair something.
#[derive(Debug)]
pub enum Repaired {
    /// The target holds it.
    Applied(Box<Applied>),
    /// It is a run like any other: workers plan it, and somebody applies it.
    Begun(Box<RunRecord>),
    /// The same request came before; this is what it began.
    Before(Box<RunRecord>),
}

/// Why a repair is not made at once.
enum Refused {
    /// It goes the ordinary way, where what stands against it is written down.
    Ordinary(String),
    Problem(Problem),
}

impl Refused {
    fn ordinary(why: impl Into<String>) -> Self {
        Self::Ordinary(why.into())
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What was computed and may be applied.
struct Small {
    execution: Execution,
    plan: StoredPlan,
    salt: Salt,
    changes: Vec<BoundChange>,
    expires_at_us: i64,
    target: Target,
}

impl Host {
    /// Repairs at once where that may be, and begins a run of the ordinary kind where not.
    ///
    /// # Errors
    /// There is no such job, its parameters are invalid, the key was used for another request, or the store
    /// does not answer. What stops a repair that has begun is in [`Applied`].
    pub async fn repair(&self, request: &PlanRequest, key: Option<&Idempotency>) -> Result<Repaired, Problem> {
        if let Some(key) = key
            && let Some(before) = self.store.begun_by(key).await.map_err(problem::store)?
        {
            return Ok(Repaired::Before(Box::new(before)));
        }
        let manifest = self.checked(request).await?;
        if may_be_small(&manifest, request)
            && let Some(room) = self.finishing.room().await
        {
            match Box::pin(self.at_once(&manifest, request, key, room)).await {
                Ok(repaired) => return Ok(repaired),
                Err(Refused::Ordinary(why)) => {
                    tracing::info!(job = request.job, tenant = request.tenant, why, "a repair is not made at once");
                }
                Err(Refused::Problem(problem)) => return Err(problem),
            }
        }
        match self.enqueue(request, key).await? {
            Begun::New(run) => Ok(Repaired::Begun(Box::new(run))),
            Begun::Before(run) => Ok(Repaired::Before(Box::new(run))),
        }
    }

    async fn at_once(
        &self,
        manifest: &Manifest,
        request: &PlanRequest,
        key: Option<&Idempotency>,
        room: Room,
    ) -> Result<Repaired, Refused> {
        let start = time::now_us();
        let new = self.new_run(manifest, request, start)?;
        let run = provisional(&new, start);
        let looked = self.may_look(&run, manifest).await?;
        let small = self.small(manifest, &run).await?;
        let row = |change: &BoundChange| (run.tenant.clone(), change.resource.clone(), change.key_text());
        let claim = self.finishing.claims.claim(small.changes.iter().map(row).collect()).await;
        // An answer is as old as its question: see the gate.
        let asked = Instant::now();
        let judge = |around: &Surroundings| self.judge_at_once(around, &run, manifest, (&small.plan, looked));
        let plan = NewPlan {
            header: &small.plan.header,
            document: &small.plan.document,
            salt: &small.salt,
            log: &small.execution.log,
            expires_at_us: small.expires_at_us,
            now_us: start,
        };
        let at_once = AtOnce { new: &new, key, plan };
        let written = self.store.begin_at_once(at_once, &small.changes, judge).await.map_err(problem::store)??;
        let run = match written {
            Written::New(run, around) => {
                self.tell_gate(asked, &around.switches);
                *run
            }
            Written::Before(run) => return Ok(Repaired::Before(run)),
        };
        let applied = self.begun(run, small, start, (room, claim));
        Ok(Repaired::Applied(Box::new(applied.await?)))
    }

    /// A repair whose run is *applying*: flushed, and answered as soon as the target holds it.
    async fn begun(&self, run: RunRecord, small: Small, start: i64, held: Held) -> Result<Applied, Problem> {
        let Small { execution, plan, target, .. } = small;
        let flushing = async {
            let id = run.id.to_string();
            match execution.computed.apply(self.context(&target, &run, &id), plan.digest).await {
                Ok(flushed) => Ok(flushed),
                Err(GatewayError::CommitUnknown) => self.after_lost_commit(&run, &plan, &target).await,
                Err(error) => Err(flush_ended(error, &plan)),
            }
        };
        let outcome = self.while_watched(&run, flushing).await;
        let Flushed { changes, root } = match outcome {
            Ok(flushed) => flushed,
            Err(ended) => return self.not_applied(&run, &plan, ended, start).await,
        };
        let (step, undo_until_us) = self.committed(&run, &plan, root);
        let now = RunRecord {
            state: State::Verifying,
            applied_at_us: Some(time::now_us()),
            undo_until_us: Some(undo_until_us),
            updated_at_us: time::now_us(),
            ..run.clone()
        };
        self.finishing.push(Committed { run, step, undo_until_us, target, held });
        let elapsed_ms = time::since_ms(start);
        Ok(Applied { run: now, changes, drift: None, left_for_next: Vec::new(), elapsed_ms, problem: None })
    }

    /// The ordinary end of an apply that wrote nothing.
    async fn not_applied(
        &self,
        run: &RunRecord,
        plan: &StoredPlan,
        ended: Ended,
        start: i64,
    ) -> Result<Applied, Problem> {
        let (changes, drift, problem) = Box::pin(self.settle(run, plan, Err(ended), Patience::Once)).await?;
        let attempt = run.attempt;
        let run = self.store.run(run.number).await.map_err(problem::store)?;
        if run.state.is_in_flight() && run.attempt == attempt {
            // Only its target knows what became of it: whoever takes it next asks there.
            self.let_go(&run).await;
        }
        let elapsed_ms = time::since_ms(start);
        Ok(Applied { run, changes, drift, left_for_next: Vec::new(), elapsed_ms, problem })
    }

    /// Whether a dry run may look at the data now. What policy says is written down with the run, or where the
    /// request goes the ordinary way.
    async fn may_look(&self, run: &RunRecord, manifest: &Manifest) -> Result<Vec<Decision>, Refused> {
        let around = self.store.surroundings(&run.tenant, &run.job_name, None).await.map_err(problem::store)?;
        let question = (Stage::BeforePlanning, Action::Preview);
        let decision = self.answer(&around, run, manifest, None, question)?;
        decision
            .map(|decision| vec![decision])
            .ok_or_else(|| Refused::ordinary("policy lets it wait before its dry run"))
    }

    /// Whether it may be applied with its plan as it is, after the answers that there are.
    fn judge_at_once(
        &self,
        around: &Surroundings,
        run: &RunRecord,
        manifest: &Manifest,
        (plan, mut decisions): (&StoredPlan, Vec<Decision>),
    ) -> Result<Begins, Refused> {
        match self.answer(around, run, manifest, Some(plan), (Stage::AtApply, Action::Apply))? {
            Some(decision) => decisions.push(decision),
            None => return Err(Refused::ordinary("policy lets it wait")),
        }
        let started = Step::new(State::Planned, Event::ApplyStarted, time::now_us());
        let started = started.attempt(1).by(&run.requested_by).note("at once: the job is trusted with the tenant");
        Ok(Begins { decisions, started })
    }

    /// Computes, and holds what comes of it against what may be made at once.
    async fn small(&self, manifest: &Manifest, run: &RunRecord) -> Result<Small, Refused> {
        let ready = self.ready(manifest.clone(), &run.tenant).await?;
        let execution = self.execute_small(&ready, run).await;
        // What is written down of a run that stopped is what its own dry run says.
        let execution = execution.map_err(|stopped| Refused::ordinary(stopped.problem.to_string()))?;
        let n = execution.computed.len();
        if n == 0 || n > CHANGES_MAX || check_shares(&ready, &execution.computed).is_err() {
            return Err(Refused::ordinary(format!("{n} changes")));
        }
        let bytes = random().map_err(|error| Problem::new(Code::Io, error.to_string()))?;
        let salt = Salt::new(bytes);
        let masking = execution.masking(&salt);
        let binder = Binder::new(&execution, &salt);
        let plan = self.bind(&ready, run, &execution, &binder, Vec::new());
        let changes: Vec<BoundChange> = binder.changes().collect();
        let rehearsal = match plan.header.outcome.level {
            Level::Auto => Rehearsed::NotHeld("level 1 is applied without one".to_owned()),
            Level::Governed => self.rehearse(&execution.computed).await?,
            Level::Assisted => return Err(Refused::ordinary("level 3 is applied by people")),
        };
        let database = execution.computed.database().map_err(|error| problem::gateway(&error))?;
        let Some(database) = database else { return Err(Refused::ordinary("no changes")) };
        let target = self.target(&database)?;
        let expires_at_us = run.created_at_us.saturating_add(PLAN_VALID_US);
        let document = document::build(&Parts {
            run,
            ready: &ready,
            execution: &execution,
            plan: &plan,
            masking: &masking,
            rehearsal,
            expires_at_us,
            keep_us: self.keep_us(&execution.computed)?,
        });
        let plan = StoredPlan { digest: document.digest, header: plan.header, document };
        Ok(Small { execution, plan, salt, changes, expires_at_us, target })
    }
}

/// Whether a request may come to a repair at once, before anything is known of its plan.
fn may_be_small(manifest: &Manifest, request: &PlanRequest) -> bool {
    manifest.level < Level::Assisted
        && batched::size(manifest).is_none()
        && request.only.is_empty()
        && request.compensates.is_none()
}

/// A run that is not in the store yet, as far as its dry run and policy have to know it.
fn provisional(new: &NewRun, now_us: i64) -> RunRecord {
    new.as_planning(RunNumber::new(0), now_us)
}
