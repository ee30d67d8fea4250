//! Applying a plan: the job runs again, exactly as it did, on today's data; what it wants is compared
//! with what was approved; and the gateway makes these changes, and no others.

use mendwright_catalog::manifest::Manifest;
use mendwright_core::code::Code;
use mendwright_core::compare::{Comparing, Comparison};
use mendwright_core::level::Level;
use mendwright_core::plan::header::{Digest, Header};
use mendwright_core::run::{Event, State};
use mendwright_core::work::{self, FlushEnd, again_in_us, may_work_later};
use mendwright_gateway::batched::Prefix;
use mendwright_gateway::repair::{self, Flushed};
use mendwright_gateway::{Error as GatewayError, Target};
use mendwright_sandbox::Export;
use mendwright_store::{ChangeFilter, Lease, RunNumber, RunRecord, Step, StoredPlan};

use super::bind::Binder;
use super::execute::Execution;
use super::job::Ready;
use super::work::Patience;
use super::{Host, audit, batched, only, problem, time};
use crate::view::problem::Problem;

/// Hex digits of a digest that a person's word must have at least.
const CONFIRM_DIGITS_MIN: usize = 16;

/// Changes of a stored plan that are read at once.
pub(super) const PAGE: u32 = 5_000;

/// What applying came to.
#[derive(Debug)]
pub struct Applied {
    /// The run as it is now.
    pub run: RunRecord,
    /// Rows that were written.
    pub changes: u64,
    /// Where the world no longer matched the plan.
    pub drift: Option<Comparison>,
    /// `resource/key` of changes that appeared since the plan and are left for the next one.
    pub left_for_next: Vec<String>,
    /// From the start to the end.
    pub elapsed_ms: u64,
    /// Why it did not succeed.
    pub problem: Option<Problem>,
}

/// How an apply ended that is not all written.
pub(super) struct Ended {
    /// What is to be written down of it; `None` where the run stays as it is: some batches are written,
    /// and the next command goes on.
    pub(super) event: Option<Event>,
    pub(super) problem: Problem,
    pub(super) drift: Option<Comparison>,
}

impl Ended {
    pub(super) const fn new(event: Event, problem: Problem) -> Self {
        Self { event: Some(event), problem, drift: None }
    }

    pub(super) const fn waits(problem: Problem) -> Self {
        Self { event: None, problem, drift: None }
    }
}

impl Host {
    /// Applies the plan of a run, if `digest_prefix` is the beginning of its digest, and reads it back.
    ///
    /// # Errors
    /// What stops it before it begins: no such run, a state that it cannot be applied in, a digest that
    /// is not the plan's, a plan that is too old or was edited. What stops it later is in [`Applied`].
    pub async fn apply(&self, number: RunNumber, digest_prefix: &str, by: &str) -> Result<Applied, Problem> {
        let lease = self.claim(number).await?;
        self.holding(lease, self.apply_held(lease, digest_prefix, (by, None), Patience::Once)).await
    }

    /// The same by a person who breaks the glass, with their reason: in the role that may, and never past what no
    /// configuration removes.
    ///
    /// # Errors
    /// As [`Host::apply`], and a reason that is none.
    pub async fn apply_breaking(
        &self,
        number: RunNumber,
        digest_prefix: &str,
        by: &str,
        reason: &str,
    ) -> Result<Applied, Problem> {
        let reason = super::policy::checked_reason(reason)?;
        let lease = self.claim(number).await?;
        self.holding(lease, self.apply_held(lease, digest_prefix, (by, Some(&reason)), Patience::Once)).await
    }

    pub(super) async fn apply_held(
        &self,
        lease: Lease,
        digest_prefix: &str,
        (by, glass): (&str, Option<&str>),
        patience: Patience,
    ) -> Result<Applied, Problem> {
        let start = time::now_us();
        let run = self.held(lease).await?;
        let plan = self.may_apply(&run, digest_prefix).await?;
        let origin = self.hold_origin(&run).await?;
        let applying = async {
            self.begin_apply(&run, &plan, (by, glass)).await?;
            let run = self.held(lease).await?;
            let mut left = Vec::new();
            let outcome = Box::pin(self.apply_run(&run, &plan, &mut left)).await;
            let (changes, drift, problem) = Box::pin(self.settle(&run, &plan, outcome, patience)).await?;
            let run = self.store.run(lease.run).await.map_err(problem::store)?;
            Ok(Applied { run, changes, drift, left_for_next: left, elapsed_ms: time::since_ms(start), problem })
        };
        match origin {
            Some(origin) => self.holding(origin, applying).await,
            None => applying.await,
        }
    }

    /// Writes down how an apply ended, and reads back or restores what is written.
    pub(super) async fn settle(
        &self,
        run: &RunRecord,
        plan: &StoredPlan,
        outcome: Result<Flushed, Ended>,
        patience: Patience,
    ) -> Result<(u64, Option<Comparison>, Option<Problem>), Problem> {
        let Ended { event, mut problem, drift } = match outcome {
            Ok(flushed) => {
                let committed = self.committed_step(run, plan, flushed.root).await?;
                return Ok((flushed.changes, None, self.verify_and_settle(&committed).await?));
            }
            Err(ended) => ended,
        };
        let Some(event) = event else { return Ok((0, drift, Some(problem))) };
        let event = if event == Event::ApplyAbandoned {
            work::apply_abandoned(plan.header.outcome.approvals_needed)
        } else {
            event
        };
        let now_us = time::now_us();
        let mut step = Step::new(State::Applying, event, now_us)
            .attempt(run.attempt)
            .outcome(problem.code, problem.message.clone());
        let tries = run.asked.as_ref().map_or(0, |asked| asked.tries);
        if patience == Patience::Again
            && may_work_later(problem.code)
            && matches!(event, Event::ApplyAbandoned | Event::ApprovedApplyAbandoned)
            && let Some(after_us) = again_in_us(tries)
        {
            step = step.again_in(after_us);
        }
        self.store.step(run.number, step).await.map_err(problem::store)?;
        if event == Event::ApplyBroken {
            let run = self.again(run).await?;
            problem = match self.restore_prefix(&run).await {
                Ok(restored) => problem.detail(format!("these {restored} rows were restored")),
                Err(worse) => worse.detail(problem.message),
            };
        }
        Ok((0, drift, Some(problem)))
    }

    /// Everything that has to hold before a host writes down that it applies the plan.
    pub(super) async fn may_apply(&self, run: &RunRecord, digest_prefix: &str) -> Result<StoredPlan, Problem> {
        let number = run.number.get();
        let applied = [State::Succeeded, State::RolledBack, State::Verifying, State::RollingBack];
        if applied.contains(&run.state) {
            return Err(Problem::new(
                Code::PlanUsed,
                format!("the plan of #{number} was applied; a plan is used once"),
            )
            .next(format!("mendwright run plan --again {number}"), "a new plan on today's data"));
        }
        if !matches!(run.state, State::Planned | State::AwaitingApproval | State::Approved) {
            let state = run.state;
            return Err(Problem::new(Code::RunState, format!("#{number} is {state} and cannot be applied"))
                .next(format!("mendwright run show {number}"), "how it came to that"));
        }
        self.not_halted().await?;
        let again = format!("mendwright run plan --again {number}");
        if run.expires_at_us.is_some_and(|at| at < time::now_us()) {
            let step = Step::new(run.state, Event::PlanExpired, time::now_us()).attempt(run.attempt);
            self.store.step(run.number, step).await.map_err(problem::store)?;
            return Err(Problem::new(Code::PlanExpired, format!("the plan of #{number} is too old to be applied"))
                .next(again, "a new plan on today's data"));
        }
        let plan = self.store.verify_plan(run.number).await.map_err(problem::store)?;
        confirm(&plan.digest, digest_prefix)
            .map_err(|problem| problem.next(format!("mendwright run show {number}"), "the plan with its digest"))?;
        if plan.header.outcome.level == Level::Governed && plan.document.rehearsal.passed != Some(true) {
            return Err(Problem::new(
                Code::RehearsalFailed,
                format!("#{number} is level 2 and was not rehearsed: {}", plan.document.rehearsal.detail),
            )
            .detail("dry_run_lock_ms_max under [database.NAME] says how long a rehearsal may hold locks")
            .next(again, "plans and rehearses again"));
        }
        Ok(plan)
    }

    /// Computes again, compares, and flushes.
    async fn apply_run(&self, run: &RunRecord, plan: &StoredPlan, left: &mut Vec<String>) -> Result<Flushed, Ended> {
        let refused = |problem: Problem| Ended::new(Event::GatewayRefused, problem);
        let manifest = self.manifest(&run.job_name).map_err(refused)?;
        self.same_job(&manifest, plan).map_err(refused)?;
        let size = batched::size(&manifest);
        let ready = self.ready(manifest, &run.tenant).await.map_err(refused)?;
        let mut execution = self.compute(&ready, run, Export::Apply, None, None).await.map_err(|stopped| {
            let code = stopped.problem.code;
            let event = if matches!(code, Code::JobFailed | Code::JobTrapped) {
                Event::ExecutionFailed
            } else if may_work_later(code) {
                Event::ApplyAbandoned
            } else {
                Event::GatewayRefused
            };
            Ended::new(event, stopped.problem)
        })?;
        self.compare_with_plan(run, &ready, plan, &mut execution, left).await?;
        let database = execution.computed.database().map_err(|error| refused(problem::gateway(&error)))?;
        let Some(database) = database else {
            return Err(refused(Problem::new(Code::Internal, "a plan without changes was to be applied")));
        };
        let target = self.target(&database).map_err(refused)?;
        if let Some(size) = size {
            return self.flush_in_batches(run, plan, execution.computed, (&target, size), Prefix::default()).await;
        }
        let id = run.id.to_string();
        let context = self.context(&target, run, &id);
        match execution.computed.apply(context, plan.digest).await {
            Ok(flushed) => Ok(flushed),
            Err(GatewayError::CommitUnknown) => self.after_lost_commit(run, plan, &target).await,
            Err(error) => Err(flush_ended(error, plan)),
        }
    }

    /// The answer to COMMIT was lost: the target's journal is asked.
    pub(super) async fn after_lost_commit(
        &self,
        run: &RunRecord,
        plan: &StoredPlan,
        target: &Target,
    ) -> Result<Flushed, Ended> {
        let id = run.id.to_string();
        match repair::committed(self.context(target, run, &id), 0).await {
            Ok(Some(committed)) => {
                Ok(Flushed { changes: committed.changes, root: self.journal_root(run, target, 0).await })
            }
            Ok(None) => Err(Ended::new(
                Event::ApplyAbandoned,
                Problem::new(
                    Code::TargetUnavailable,
                    "the connection was lost before the target committed; nothing was applied",
                )
                .detail("check that the target answers and that its disk has space")
                .next(format!("mendwright run apply {}", run.number.get()), "tries again: the plan still stands"),
            )),
            Err(error) => {
                tracing::warn!(run = run.number.get(), %error, "what became of a commit is not known yet");
                Err(flush_ended(GatewayError::CommitUnknown, plan))
            }
        }
    }

    pub(super) fn same_job(&self, manifest: &Manifest, plan: &StoredPlan) -> Result<(), Problem> {
        let header = &plan.header;
        if manifest.version.to_string() == header.job.version && manifest.digest() == header.job.manifest {
            return Ok(());
        }
        Err(changed(&format!("the manifest of {}", manifest.name)))
    }

    /// Holds what the job wants now against what was approved: promise P2.
    async fn compare_with_plan(
        &self,
        run: &RunRecord,
        ready: &Ready,
        plan: &StoredPlan,
        execution: &mut Execution,
        left: &mut Vec<String>,
    ) -> Result<(), Ended> {
        let refused = |problem: Problem| Ended::new(Event::GatewayRefused, problem);
        let only = plan.header.only.clone();
        let salt = self.store.salt(run.number).await.map_err(|error| refused(problem::store(error)))?;
        if !only.is_empty() {
            let masking = execution.masking(&salt);
            only::retain(&mut execution.computed, &only, &masking);
        }
        let binder = Binder::new(execution, &salt);
        let now = self.bind(ready, run, execution, &binder, only.clone());
        same_header(&plan.header, &now.header).map_err(refused)?;
        // The digest covers every change: where it is the approved one, so are they.
        if now.digest == plan.digest {
            return Ok(());
        }
        let (comparison, new) = self.differences(run.number, &binder).await.map_err(refused)?;
        if !comparison.holds(plan.header.independent) {
            return Err(drifted(comparison));
        }
        let mut kept = vec![true; binder.len()];
        for place in new.into_iter().map(|n| binder.place(n)) {
            let change = execution.computed.change(place);
            let key =
                if binder.masks_key_of(&change.resource) { "••••".to_owned() } else { change.key.to_string() };
            left.push(format!("{}/{key}", change.resource));
            if let Some(kept) = kept.get_mut(place) {
                *kept = false;
            }
        }
        drop(binder);
        execution.computed.retain_places(&kept);
        let exact = self.bind(ready, run, execution, &Binder::new(execution, &salt), only);
        if exact.digest != plan.digest {
            return Err(refused(changed("something that the approval covers")));
        }
        Ok(())
    }

    /// Holds the stored changes, page by page, against those of now.
    async fn differences(&self, number: RunNumber, binder: &Binder<'_>) -> Result<(Comparison, Vec<usize>), Problem> {
        let mut comparing = Comparing::new(binder.changes());
        let mut after = 0;
        loop {
            let page =
                self.store.changes(number, &ChangeFilter::default(), after, PAGE).await.map_err(problem::store)?;
            let Some(last) = page.last() else { return Ok(comparing.finish()) };
            after = last.seq;
            page.iter().for_each(|stored| comparing.planned(&stored.change));
        }
    }

    /// The root over a flush's pages as the target has them; nothing where it does not say.
    pub(super) async fn journal_root(&self, run: &RunRecord, target: &Target, generation: u32) -> Option<Digest> {
        let id = run.id.to_string();
        let root = repair::journal_root(self.context(target, run, &id), generation).await;
        root.unwrap_or_else(|error| {
            tracing::warn!(run = run.number.get(), %error, "the audit log is not told the root over a journal");
            None
        })
    }

    /// Writes down that the target holds the plan.
    pub(super) async fn committed_step(
        &self,
        run: &RunRecord,
        plan: &StoredPlan,
        root: Option<Digest>,
    ) -> Result<RunRecord, Problem> {
        let (step, _) = self.committed(run, plan, root);
        self.store.step(run.number, step).await.map_err(problem::store)?;
        self.again(run).await
    }

    /// What is written down of a run whose plan the target holds, and until when it can be undone.
    pub(super) fn committed(&self, run: &RunRecord, plan: &StoredPlan, root: Option<Digest>) -> (Step, i64) {
        let now_us = time::now_us();
        let keep = plan
            .header
            .targets
            .iter()
            .filter_map(|target| self.config.databases.get(&target.database))
            .map(|database| i64::try_from(database.journal.keep.as_micros()).unwrap_or(i64::MAX))
            .min()
            .unwrap_or(0);
        let undo_until_us = now_us.saturating_add(keep);
        let step = Step::new(State::Applying, Event::FlushCommitted, now_us)
            .attempt(run.attempt)
            .undo_until(undo_until_us)
            .fact(audit::flushed(run, plan, root, now_us));
        (step, undo_until_us)
    }
}

/// Whether what a person said is the beginning of the digest.
pub(super) fn confirm(digest: &Digest, typed: &str) -> Result<(), Problem> {
    let typed = typed.trim().trim_start_matches("sha256:").to_ascii_lowercase();
    if typed.len() < CONFIRM_DIGITS_MIN {
        return Err(Problem::new(
            Code::ConfirmMissing,
            format!("a plan is confirmed with at least {CONFIRM_DIGITS_MIN} hex digits of its digest"),
        ));
    }
    if digest.hex().starts_with(&typed) {
        return Ok(());
    }
    Err(Problem::new(Code::ConfirmMismatch, "the digest given is not this plan's; nothing was applied"))
}

fn changed(what: &str) -> Problem {
    Problem::new(Code::PlanBinding, format!("{what} changed since the plan was made; nothing was applied"))
}

/// Everything of the header but the changes: what differs is said by name.
fn same_header(planned: &Header, now: &Header) -> Result<(), Problem> {
    if planned.targets != now.targets {
        return Err(Problem::new(
            Code::TargetChanged,
            "the database is not the one that the plan was made for; nothing was applied",
        ));
    }
    let pairs = [
        ("the job", planned.job == now.job),
        ("the parameters", planned.params == now.params && planned.params_masked == now.params_masked),
        ("a grant", planned.grants == now.grants && planned.grants_digest == now.grants_digest),
        ("the budget", planned.budget == now.budget),
        ("the frozen time or seed", planned.frozen == now.frozen),
        ("whether each change stands alone", planned.independent == now.independent),
        ("which rows must stay as they were read", planned.stable_reads == now.stable_reads),
        ("the run that it takes back", planned.compensates == now.compensates),
        ("the tenant", planned.tenant == now.tenant),
    ];
    if let Some((what, _)) = pairs.into_iter().find(|(_, same)| !same) {
        return Err(changed(what));
    }
    let differs = planned.bindings.iter().find(|(name, digest)| now.bindings.get(*name) != Some(digest));
    match differs {
        Some((name, _)) => Err(changed(&format!("the binding of `{name}`, or its table,"))),
        None if planned.bindings.len() != now.bindings.len() => Err(changed("which resources are bound")),
        None => Ok(()),
    }
}

fn drifted(comparison: Comparison) -> Ended {
    let problem = Problem::new(Code::PlanDrifted, "the world no longer matches the plan; nothing was applied");
    Ended { drift: Some(comparison), ..Ended::new(Event::DriftFound, problem) }
}

/// How a flush ended, as far as what becomes of its run goes.
pub(super) const fn flush_end(error: &GatewayError) -> FlushEnd {
    match error {
        GatewayError::Drifted(_) => FlushEnd::Drifted,
        GatewayError::Violated { .. } => FlushEnd::Violated,
        GatewayError::Refused { code, .. } => FlushEnd::Refused(*code),
        GatewayError::Diverged(_) => FlushEnd::Diverged,
        GatewayError::Unavailable { .. } => FlushEnd::Unavailable,
        GatewayError::CommitUnknown => FlushEnd::Unknown,
        GatewayError::Internal(_) => FlushEnd::Internal,
    }
}

/// Of a plan that nothing is known to be committed of.
pub(super) fn flush_ended(error: GatewayError, plan: &StoredPlan) -> Ended {
    let event = work::apply_ended(flush_end(&error), plan.header.outcome.approvals_needed);
    let problem = problem::gateway(&error);
    if let GatewayError::Drifted(comparison) = error {
        return drifted(*comparison);
    }
    let problem = if event.is_none() { unknown(problem) } else { problem };
    Ended { event, problem, drift: None }
}

/// What a person is told where only the target knows whether it committed.
pub(super) fn unknown(problem: Problem) -> Problem {
    problem
        .detail("only the target's journal knows whether it committed, and the target does not answer")
        .next("mendwright run list", "asks the target; what it holds is what the run becomes")
}
