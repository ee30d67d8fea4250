//! A job's own way back: its `rollback` export is told which rows a run changed, and what it proposes is
//! a plan like any other. It is asked only where a person wants that: the host's undo asks nobody.

use mendwright_core::authority::Authority;
use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::plan::BoundChange;
use mendwright_core::plan::header::Compensates;
use mendwright_core::run::State;
use mendwright_sandbox::{Compensation, Export, Planned};
use mendwright_store::{ChangeFilter, Lease, RunNumber, RunRecord, StoredPlan};

use super::execute::{Execution, Stopped};
use super::job::Ready;
use super::record::Slot;
use super::{Host, Progress, problem};
use crate::view::problem::Problem;

/// Rows that the contract lets a component be told of, in `verify` and in `rollback`.
pub(super) const PLANNED_MAX: u32 = 10_000;

/// Why a component cannot be told of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untold {
    /// The plan holds its key as a commitment only.
    Masked,
    /// No table of the job is this resource any more.
    Denied,
}

/// A row of a plan as the job calls it.
pub(super) fn row(authority: &Authority, change: &BoundChange) -> Result<Planned, Untold> {
    let table = authority.tables().find(|(_, access)| access.resource() == change.resource);
    let (table, _) = table.ok_or(Untold::Denied)?;
    let key: Option<Vec<_>> = change.key.iter().map(|bound| bound.shown().cloned()).collect();
    Ok(Planned { table: table.to_owned(), key: Key(key.ok_or(Untold::Masked)?) })
}

/// A run that was applied, and the plan that was.
pub(super) struct Origin {
    run: RunRecord,
    plan: StoredPlan,
}

impl Host {
    /// The run that a compensation takes back, if it is one that can be: applied, not undone, and not
    /// compensated by another run than `by`.
    pub(super) async fn origin(&self, of: RunNumber, by: Option<RunNumber>) -> Result<Origin, Problem> {
        let run = self.store.run(of).await.map_err(problem::store)?;
        let number = of.get();
        let undo = format!("mendwright undo {number}");
        let refused = |why: String| Problem::new(Code::RunState, format!("{of} {why}"));
        if let Some(earlier) = run.compensates {
            // Its rows are not those of a repair, and the job could not tell the two apart.
            return Err(refused(format!("is a compensation itself, of {earlier}")).next(undo, "undoes it"));
        }
        if run.state == State::RolledBack {
            return Err(refused("is undone: nothing is left to be taken back".to_owned()));
        }
        if run.state != State::Succeeded {
            return Err(refused(format!("is {}: what was not applied cannot be taken back", run.state))
                .next(format!("mendwright run show {number}"), "how it came to that"));
        }
        let in_force = self.store.compensation_of(of).await.map_err(problem::store)?;
        if let Some(other) = in_force.filter(|other| Some(other.number) != by) {
            return Err(refused(format!("is compensated already, by {}", other.number))
                .next(format!("mendwright undo {}", other.number.get()), "undoes that first"));
        }
        let plan = self.store.verify_plan(of).await.map_err(problem::store)?;
        let changes = &plan.header.changes_count;
        if changes.parse().unwrap_or(u64::MAX) > u64::from(PLANNED_MAX) {
            let message = format!("{of} changed {changes} rows; a component can be told of {PLANNED_MAX}");
            return Err(Problem::new(Code::CompensationRows, message).next(undo, "the host restores any number"));
        }
        Ok(Origin { run, plan })
    }

    /// Keeps what a compensation takes back as it is while that is applied: an undo of both at once would
    /// take it back twice.
    pub(super) async fn hold_origin(&self, run: &RunRecord) -> Result<Option<Lease>, Problem> {
        let Some(of) = run.compensates else { return Ok(None) };
        let lease = self.claim(of).await?;
        match self.origin(of, Some(run.number)).await {
            Ok(_) => Ok(Some(lease)),
            Err(problem) => self.holding(lease, async { Err(problem) }).await,
        }
    }

    /// One execution for a plan or its apply: the `usual` export, or `rollback` where the run is a
    /// compensation.
    pub(super) async fn compute(
        &self,
        ready: &Ready,
        run: &RunRecord,
        usual: Export,
        progress: Option<Progress>,
        slot: Option<&Slot>,
    ) -> Result<Execution, Stopped> {
        let Some(of) = run.compensates else { return self.execute_into(ready, run, usual, progress, slot).await };
        let origin = self.origin(of, Some(run.number)).await?;
        let rows = self.rows_of(ready, &origin).await?;
        let mut execution = self.execute_into(ready, run, Export::Rollback(rows), progress, slot).await?;
        match execution.compensation {
            Some(Compensation::Proposed) if execution.computed.is_empty() => {
                execution.summary = format!("The job proposes nothing to take {of} back.");
            }
            Some(Compensation::Proposed) => {}
            Some(Compensation::Restore) | None => {
                // Whatever it asked for on the way, it then said that it proposes nothing.
                execution.computed.retain(|_| false);
                execution.summary = format!("The job leaves it to the host to restore what {of} changed.");
            }
        }
        execution.compensates = Some(Compensates { run: origin.run.id.to_string(), plan: origin.plan.digest });
        Ok(execution)
    }

    /// The rows that the component is asked about: all of the plan's, or none.
    async fn rows_of(&self, ready: &Ready, origin: &Origin) -> Result<Vec<Planned>, Problem> {
        let of = origin.run.number;
        let undo = format!("mendwright undo {}", of.get());
        if ready.component_digest != origin.plan.header.job.component {
            let message = format!("the component of {} is not the one that made the plan of {of}", ready.manifest.name);
            return Err(Problem::new(Code::PlanBinding, message).next(undo, "restores without any component"));
        }
        let changes = self.store.changes(of, &ChangeFilter::default(), 0, PLANNED_MAX).await;
        let changes = changes.map_err(problem::store)?;
        let told = |change: &BoundChange| {
            row(&ready.authority, change).map_err(|untold| match untold {
                Untold::Masked => {
                    let message =
                        format!("{of} changed rows of `{}`, whose keys are sensitive and kept masked", change.resource);
                    Problem::new(Code::CompensationMasked, message).next(&undo, "restores without any component")
                }
                Untold::Denied => {
                    let message = format!("{of} changed `{}`, which the job may no longer use", change.resource);
                    Problem::new(Code::GrantMissing, message).next(&undo, "restores without any component")
                }
            })
        };
        changes.iter().map(|stored| told(&stored.change)).collect()
    }
}
