//! What a process that died left half done is finished by the next one: the target's journal says
//! what is true, the control store follows.

use mendwright_core::code::Code;
use mendwright_core::run::{Event, State};
use mendwright_gateway::batched::{Prefix, prefix_of};
use mendwright_gateway::repair;
use mendwright_store::{RunRecord, Step};

use super::undo::{abandoned, generation};
use super::{Host, problem, time};
use crate::view::problem::Problem;

/// What has to be done about a run that nobody works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    /// One event says what happened.
    Happened(Event),
    /// The target holds the plan; it has to be read back.
    ReadBack,
    /// The target holds the undo.
    RolledBack,
    /// The target holds some batches of the plan.
    GoOn,
    /// The target holds some batches of a plan that could not be gone on with.
    RestorePrefix,
}

/// What the target holds of a run's last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    /// Some batches of a plan.
    Part,
    All,
}

/// Decides, from where the run stood, whether it was applied whole before, and what the target holds of
/// its last flush.
const fn decide(state: State, was_applied: bool, held: Held, abandoned: Event) -> Option<Finding> {
    Some(match (state, held) {
        (State::Planning, _) => Finding::Happened(Event::ExecutionFailed),
        (State::Applying, Held::All) => Finding::Happened(Event::FlushCommitted),
        (State::Applying, Held::Part) => Finding::GoOn,
        (State::Applying, Held::Nothing) => Finding::Happened(Event::ApplyAbandoned),
        (State::Verifying, Held::All) => Finding::ReadBack,
        (State::Verifying, Held::Part | Held::Nothing) => Finding::Happened(Event::DivergenceFound),
        (State::RollingBack, Held::All) => Finding::RolledBack,
        (State::RollingBack, _) if !was_applied => Finding::RestorePrefix,
        (State::RollingBack, _) => Finding::Happened(abandoned),
        _ => return None,
    })
}

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
                let run = self.store.run(found.number).await.map_err(problem::store)?;
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
        let (held, prefix) = if matches!(run.state, State::Applying | State::Verifying) {
            self.held_of_plan(run).await?
        } else if run.state == State::RollingBack {
            (self.held_of_undo(run).await?, Prefix::default())
        } else {
            (Held::Nothing, Prefix::default())
        };
        let was_applied = run.applied_at_us.is_some();
        let Some(finding) = decide(run.state, was_applied, held, abandoned(run)) else { return Ok(()) };
        let note = "a process died here; the target's journal was asked";
        match finding {
            Finding::Happened(Event::FlushCommitted) => {
                let plan = self.store.load_plan(run.number).await.map_err(problem::store)?;
                let run = self.committed_step(run, &plan).await?;
                self.verify_and_settle(&run).await.map(drop)
            }
            Finding::Happened(event) => {
                let mut event = event;
                if event == Event::ApplyAbandoned {
                    let plan = self.store.load_plan(run.number).await.map_err(problem::store)?;
                    event = super::apply::abandoned(event, &plan);
                }
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
            Finding::RolledBack => self.rolled_back_step(run).await,
            Finding::GoOn => self.go_on(run, prefix).await,
            Finding::RestorePrefix => self.restore_prefix(run).await.map(drop),
        }
    }

    async fn held_of_plan(&self, run: &RunRecord) -> Result<(Held, Prefix), Problem> {
        let (plan, target) = self.written_target(run).await?;
        let id = run.id.to_string();
        let prefix = prefix_of(self.context(&target, run, &id)).await.map_err(|error| problem::gateway(&error))?;
        let held = match prefix.batches {
            0 => Held::Nothing,
            _ if prefix.changes.to_string() == plan.header.changes_count => Held::All,
            _ => Held::Part,
        };
        Ok((held, prefix))
    }

    async fn held_of_undo(&self, run: &RunRecord) -> Result<Held, Problem> {
        let (_, target) = self.written_target(run).await?;
        let id = run.id.to_string();
        let found = repair::committed(self.context(&target, run, &id), generation(run) + 1).await;
        let found = found.map_err(|error| problem::gateway(&error))?;
        Ok(if found.is_some() { Held::All } else { Held::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_follows_the_target_in_every_state_that_a_process_can_die_in() {
        for state in State::ALL {
            for held in [Held::Nothing, Held::Part, Held::All] {
                for was_applied in [false, true] {
                    let found = decide(state, was_applied, held, Event::RollbackAbandoned);
                    assert_eq!(found.is_some(), state.is_in_flight(), "{state}");
                    if let Some(Finding::Happened(event)) = found {
                        assert!(state.apply(event).is_ok(), "{state} {event:?}");
                    }
                }
            }
        }
    }
}
