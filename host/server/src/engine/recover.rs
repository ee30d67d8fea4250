//! What a process that died left half done is finished by the next one: the target's journal says
//! what is true, the control store follows.

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::recovery::{Asks, Finding, Held, Left};
use mendwright_core::run::{Event, State};
use mendwright_crash::{Point, reached};
use mendwright_gateway::batched::{Prefix, prefix_of};
use mendwright_gateway::repair;
use mendwright_store::{RunRecord, Step};

use super::undo::{generation, verification_failed};
use super::{Host, problem, time};
use crate::view::problem::Problem;

impl Host {
    /// Finishes every run that was left in flight. One whose target does not answer stays as it is,
    /// and is tried again by the next command.
    pub(super) async fn recover_all(&self) -> Result<(), Problem> {
        for found in self.store.in_flight().await.map_err(problem::store)? {
            // A dry run that was put off is a worker's: it is due again, and fails only when that gives it up.
            let put_off = found.asked.as_ref().is_some_and(|asked| asked.tries > 0);
            if found.state == State::Planning && put_off {
                continue;
            }
            let Ok(lease) = self.claim(found.number).await else { continue };
            let recovering = async {
                let run = self.held(lease).await?;
                if let Err(problem) = Box::pin(self.recover(&run)).await {
                    tracing::warn!(run = run.number.get(), %problem, "a run that was left in flight waits for its target");
                }
                Ok(())
            };
            self.holding(lease, recovering).await?;
        }
        Ok(())
    }

    pub(super) async fn recover(&self, run: &RunRecord) -> Result<(), Problem> {
        reached(Point::BeforeRecovery);
        let left = self.left(run).await?;
        let (held, prefix) = match left.asks() {
            Asks::Plan => self.told_of_plan(run).await?,
            Asks::Undo => (self.held_of_undo(run).await?, Prefix::default()),
            Asks::Nothing => (Held::Nothing, Prefix::default()),
        };
        let Some(finding) = left.decide(held) else { return Ok(()) };
        reached(Point::RecoveryDecided);
        self.follow(run, finding, prefix).await?;
        reached(Point::Recovered);
        Ok(())
    }

    /// Writes down, and does, what follows from what the target holds.
    async fn follow(&self, run: &RunRecord, finding: Finding, prefix: Prefix) -> Result<(), Problem> {
        let note = "a process died here; the target's journal was asked";
        match finding {
            Finding::Committed => {
                let plan = self.store.load_plan(run.number).await.map_err(problem::store)?;
                let (_, target) = self.written_target(run).await?;
                let root = self.journal_root(run, &target, 0).await;
                let run = self.committed_step(run, &plan, root).await?;
                self.verify_and_settle(&run).await.map(drop)
            }
            Finding::Happened(event) => {
                let mut step = Step::new(run.state, event, time::now_us()).attempt(run.attempt).note(note);
                if event == Event::ExecutionFailed {
                    step = step.outcome(Code::Internal, "the process that planned it ended before it was done");
                }
                if let Some(at) = run.undo_until_us {
                    step = step.undo_until(at);
                }
                self.store.step(run.number, step).await.map(drop).map_err(problem::store)
            }
            Finding::ReadBack => self.verify_and_settle(run).await.map(drop),
            Finding::RolledBack => {
                let undo = self.undo_of(run).await?;
                let (_, target) = self.written_target(run).await?;
                let root = self.journal_root(run, &target, generation(run) + 1).await;
                self.rolled_back_step(run, undo, root).await
            }
            Finding::GoOn => self.go_on(run, prefix).await,
            Finding::RestorePrefix => self.restore_prefix(run).await.map(drop),
            Finding::Restore => {
                let (_, target) = self.written_target(run).await?;
                self.roll_back(run, &target, None).await.map(drop)
            }
        }
    }

    /// The undo that the target holds.
    async fn undo_of(&self, run: &RunRecord) -> Result<Digest, Problem> {
        let (_, target) = self.written_target(run).await?;
        let id = run.id.to_string();
        let found = repair::committed(self.context(&target, run, &id), generation(run) + 1).await;
        let found = found.map_err(|error| problem::gateway(&error))?;
        found.map(|committed| committed.digest).ok_or_else(|| {
            Problem::new(Code::TargetDiverged, format!("the target held an undo of {} a moment ago", run.number))
        })
    }

    /// What recovery decides by.
    async fn left(&self, run: &RunRecord) -> Result<Left, Problem> {
        let approvals_needed = if run.state == State::Applying {
            self.store.load_plan(run.number).await.map_err(problem::store)?.header.outcome.approvals_needed
        } else {
            0
        };
        Ok(Left {
            state: run.state,
            was_applied: run.applied_at_us.is_some(),
            verification_failed: verification_failed(run),
            generation: run.undo_generation,
            approvals_needed,
        })
    }

    /// The same as [`Host::held_of_plan`], once it is told what is there: the process that put it there died.
    async fn told_of_plan(&self, run: &RunRecord) -> Result<(Held, Prefix), Problem> {
        let (held, prefix) = self.held_of_plan(run).await?;
        if run.state == State::Applying {
            let (plan, target) = self.written_target(run).await?;
            self.tell_batches(run, &plan, &target, prefix).await?;
        }
        Ok((held, prefix))
    }

    async fn held_of_plan(&self, run: &RunRecord) -> Result<(Held, Prefix), Problem> {
        let (plan, target) = self.written_target(run).await?;
        let id = run.id.to_string();
        let prefix = prefix_of(self.context(&target, run, &id)).await.map_err(|error| problem::gateway(&error))?;
        let planned = plan.header.changes_count.parse().unwrap_or(u64::MAX);
        let held = Held::of(prefix.batches, prefix.changes, planned);
        Ok((held, prefix))
    }

    async fn held_of_undo(&self, run: &RunRecord) -> Result<Held, Problem> {
        let (_, target) = self.written_target(run).await?;
        let (id, generation) = (run.id.to_string(), generation(run));
        let context = self.context(&target, run, &id);
        let committed = async |generation| {
            let found = repair::committed(context, generation).await.map_err(|error| problem::gateway(&error))?;
            Ok::<_, Problem>(found.is_some())
        };
        let is_there = committed(generation + 1).await?;
        // An undo is one transaction, a plan may be several.
        let undoes = match generation {
            0 => self.held_of_plan(run).await?.0,
            _ if committed(generation).await? => Held::All,
            _ => Held::Nothing,
        };
        Ok(Held::of_undo(is_there, undoes))
    }
}
