//! Plans in several transactions: weaker by name, and never for what people must approve. What was
//! committed before a stop is a prefix: gone on with while it still is what was approved, restored
//! otherwise, and *stuck*, row by row, where even that cannot be.

use std::collections::BTreeSet;

use mendwright_catalog::manifest::{Manifest, Transaction};
use mendwright_core::code::Code;
use mendwright_core::commitment::Bound;
use mendwright_core::compare::{Comparing, Comparison};
use mendwright_core::level::Level;
use mendwright_core::plan::BoundChange;
use mendwright_core::run::{Event, State};
use mendwright_core::work::may_work_later;
use mendwright_gateway::batched::{self, Batched, Prefix, written_rows};
use mendwright_gateway::repair::{self, Flushed};
use mendwright_gateway::{Computed, Error as GatewayError, Target};
use mendwright_sandbox::Export;
use mendwright_store::{ChangeFilter, RunRecord, Step, StoredPlan};

use super::apply::{Ended, PAGE, flush_ended};
use super::bind::Binder;
use super::work::Patience;
use super::{Host, audit, problem, time};
use crate::view::problem::Problem;

/// Rows of a prefix that are named where it is stuck; `run show` and the journal have them all.
const NAMED_MAX: usize = 10;

/// How many rows each transaction of the job's plans has; `None` where a plan is one.
pub(super) fn size(manifest: &Manifest) -> Option<usize> {
    match manifest.apply.transaction {
        Transaction::Atomic => None,
        Transaction::Batched(rows) => Some(usize::try_from(rows).unwrap_or(usize::MAX)),
    }
}

/// Whether a plan may be applied in batches at all: said before anybody looks at it.
pub(super) fn may_batch(manifest: &Manifest, level: Level, computed: &Computed) -> Result<(), Problem> {
    let Some(size) = size(manifest) else { return Ok(()) };
    let refuse = |why: String| {
        let message = format!("{} applies in batches of {size} rows, {why}", manifest.name);
        Err(Problem::new(Code::PlanRefused, message)
            .detail("transaction = \"atomic\" under [apply] in its job.toml applies a plan whole or not at all"))
    };
    if level == Level::Assisted {
        return refuse("and what people approve (level 3) is applied whole".to_owned());
    }
    if computed.has_stable_reads() {
        return refuse("and rows that it reads must stay as they are (`stable_reads`) until all is written".to_owned());
    }
    Ok(())
}

impl Host {
    /// Makes the changes behind what a former attempt committed.
    pub(super) async fn flush_in_batches(
        &self,
        run: &RunRecord,
        plan: &StoredPlan,
        computed: Computed,
        (target, size): (&Target, usize),
        done: Prefix,
    ) -> Result<Flushed, Ended> {
        let id = run.id.to_string();
        let context = self.context(target, run, &id);
        let Batched { prefix, stopped } = computed.apply_batched(context, plan.digest, size, done).await;
        // Before anything is said of how it ended: whoever restores them leaves no trace of what was there.
        self.tell_batches(run, plan, target, prefix).await.map_err(Ended::waits)?;
        match stopped {
            // One that was several is told already.
            None => {
                let root = if prefix.batches == 1 { self.journal_root(run, target, 0).await } else { None };
                Ok(Flushed { changes: prefix.changes, root })
            }
            Some(error) => {
                // The switch says what becomes of a plan that it stops half-way.
                let restores = error.code() == Code::Halted && self.restores_what_runs().await.unwrap_or(false);
                Err(stopped_after(run, plan, prefix, error, restores))
            }
        }
    }

    /// Writes down each transaction of a plan that came in several, or of which only a part came; one that came
    /// whole in one is told with the step that says so.
    pub(super) async fn tell_batches(
        &self,
        run: &RunRecord,
        plan: &StoredPlan,
        target: &Target,
        prefix: Prefix,
    ) -> Result<(), Problem> {
        let is_whole = prefix.changes.to_string() == plan.header.changes_count;
        if prefix.batches == 0 || (prefix.batches == 1 && is_whole) {
            return Ok(());
        }
        let id = run.id.to_string();
        let batches = batched::batches(self.context(target, run, &id), prefix).await;
        let batches = batches.map_err(|error| problem::gateway(&error))?;
        let now_us = time::now_us();
        let facts = batches.iter().map(|batch| audit::flushed_batch(run, &plan.header, batch, now_us)).collect();
        self.store.deliver(run, facts).await.map_err(problem::store)
    }

    /// Goes on with a plan that a former process left half applied.
    pub(super) async fn go_on(&self, run: &RunRecord, prefix: Prefix) -> Result<(), Problem> {
        let plan = self.store.verify_plan(run.number).await.map_err(problem::store)?;
        let outcome = self.apply_rest(run, &plan, prefix).await;
        match self.settle(run, &plan, outcome, Patience::Once).await? {
            (_, _, None) => Ok(()),
            (_, _, Some(problem)) => Err(problem),
        }
    }

    async fn apply_rest(&self, run: &RunRecord, plan: &StoredPlan, prefix: Prefix) -> Result<Flushed, Ended> {
        let broken = |problem: Problem| Ended::new(Event::ApplyBroken, problem);
        let (_, target) = self.written_target(run).await.map_err(Ended::waits)?;
        let manifest = self.manifest(&run.job_name).map_err(broken)?;
        self.same_job(&manifest, plan).map_err(broken)?;
        let size = size(&manifest).unwrap_or(usize::MAX);
        let ready = self.ready(manifest, &run.tenant).await.map_err(broken)?;
        let mut execution = self.compute(&ready, run, Export::Apply, None, None).await.map_err(|stopped| {
            if may_work_later(stopped.problem.code) { Ended::waits(stopped.problem) } else { broken(stopped.problem) }
        })?;
        let id = run.id.to_string();
        let written = written_rows(self.context(&target, run, &id), prefix).await;
        let written = written.map_err(|error| broken(problem::gateway(&error)))?;
        let salt = self.store.salt(run.number).await.map_err(|error| Ended::waits(problem::store(error)))?;
        let binder = Binder::new(&execution, &salt);
        let written = written.iter().map(|(resource, key)| (resource.clone(), binder.key(resource, key))).collect();
        let (comparison, new) = self.rest_of(run, &binder, &written).await.map_err(Ended::waits)?;
        if comparison.broken > 0 {
            let problem = Problem::new(Code::PlanDrifted, "the rest of the plan no longer matches the world");
            return Err(Ended { drift: Some(comparison), ..broken(problem) });
        }
        let mut kept = vec![true; binder.len()];
        for place in new.into_iter().map(|n| binder.place(n)) {
            if let Some(kept) = kept.get_mut(place) {
                *kept = false;
            }
        }
        drop(binder);
        execution.computed.retain_places(&kept);
        self.flush_in_batches(run, plan, execution.computed, (&target, size), prefix).await
    }

    /// Holds the planned changes that are not written yet against what the job wants now.
    async fn rest_of(
        &self,
        run: &RunRecord,
        binder: &Binder<'_>,
        written: &BTreeSet<(String, Vec<Bound>)>,
    ) -> Result<(Comparison, Vec<usize>), Problem> {
        let mut comparing = Comparing::new(binder.changes());
        let is_rest = |change: &BoundChange| !written.contains(&(change.resource.clone(), change.key.clone()));
        let mut after = 0;
        loop {
            let page = self.store.changes(run.number, &ChangeFilter::default(), after, PAGE).await;
            let page = page.map_err(problem::store)?;
            let Some(last) = page.last() else { return Ok(comparing.finish()) };
            after = last.seq;
            let rest = page.iter().map(|stored| &stored.change).filter(|change| is_rest(change));
            rest.for_each(|change| comparing.planned(change));
        }
    }

    /// Restores the prefix of a plan that cannot be gone on with; a row of it that somebody changed since
    /// is for a person.
    pub(super) async fn restore_prefix(&self, run: &RunRecord) -> Result<u64, Problem> {
        let (_, target) = self.written_target(run).await?;
        let id = run.id.to_string();
        let preview = repair::undo_preview(self.context(&target, run, &id), 0).await;
        let preview = match preview {
            Ok(preview) => preview,
            Err(error) => return Err(self.rollback_ended(run, &error).await),
        };
        if preview.conflicts() == 0 {
            return self.roll_back(run, &target, Some(&preview)).await;
        }
        let rows: Vec<String> =
            preview.rows.iter().take(NAMED_MAX).map(|row| format!("{}/{}", row.resource, row.key)).collect();
        let more = preview.rows.len().saturating_sub(rows.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "{} rows were written before the plan had to stop, and {} of them changed since: {}{more}",
            preview.rows.len(),
            preview.conflicts(),
            rows.join(", ")
        );
        let step = Step::new(State::RollingBack, Event::RollbackFailed, time::now_us())
            .attempt(run.attempt)
            .outcome(Code::RollbackConflict, message.clone());
        self.store.step(run.number, step).await.map_err(problem::store)?;
        let number = run.number.get();
        Err(Problem::new(Code::RollbackConflict, message)
            .next(format!("mendwright undo {number}"), "shows each row, and restores those that still can be"))
    }
}

/// How a plan ends whose next batch could not be made.
fn stopped_after(run: &RunRecord, plan: &StoredPlan, prefix: Prefix, error: GatewayError, restores: bool) -> Ended {
    if prefix.batches == 0 {
        return flush_ended(error, plan);
    }
    let so_far = format!("{} of {} rows were written before", prefix.changes, plan.header.changes_count);
    let later = !restores && matches!(error, GatewayError::Unavailable { .. } | GatewayError::CommitUnknown);
    let ended = flush_ended(error, plan);
    if later {
        let next = format!("mendwright run show {}", run.number.get());
        return Ended::waits(ended.problem.detail(so_far).next(next, "the next command goes on with the rest"));
    }
    Ended { event: Some(Event::ApplyBroken), problem: ended.problem.detail(so_far), drift: ended.drift }
}
