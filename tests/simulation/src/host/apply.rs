//! Applying a plan: compute again, compare, flush, read back.

use std::collections::BTreeSet;

use mendwright_core::code::Code;
use mendwright_core::compare::Comparing;
use mendwright_core::gate::Kind;
use mendwright_core::run::{Event, State};
use mendwright_core::work::{self, FlushEnd};

use super::{Done, Host, watch_begin};
use crate::Mutation;
use crate::control::{Fail, Row, Step};
use crate::target::{FlushId, Write};
use crate::world::{bound, plan, unbound, wanted};

/// How an apply ended that is not all written.
struct Ended {
    event: Option<Event>,
    code: Option<Code>,
}

impl Ended {
    const fn new(event: Event) -> Self {
        Self { event: Some(event), code: None }
    }

    fn flush(end: FlushEnd, row: &Row) -> Self {
        let later = matches!(end, FlushEnd::Unavailable).then_some(Code::TargetUnavailable);
        Self { event: work::apply_ended(end, row.job.needed), code: later }
    }
}

impl Host {
    pub(super) async fn apply_held(&self, claimed: &Row) -> Done<()> {
        let row = self.held(claimed.run, claimed.attempt).await?;
        self.may_apply(&row).await?;
        let (run, attempt) = (row.run, row.attempt);
        let nobody = self.is(Mutation::AsksNobody);
        let begin = move |world: &mut crate::world::World| {
            let before = world.control.run(run)?.clone();
            world.control.begin_apply(run, attempt, nobody, world.now_us)?;
            watch_begin(world, &before);
            Ok(())
        };
        self.control("begins to apply", begin).await?;
        let row = self.held(run, attempt).await?;
        let outcome = self.apply_run(&row).await;
        self.settle(&row, outcome).await
    }

    async fn may_apply(&self, row: &Row) -> Done<()> {
        if !matches!(row.state, State::Planned | State::AwaitingApproval | State::Approved) {
            return Err(Fail::Overtaken);
        }
        let nobody = self.is(Mutation::AsksNobody);
        let is_halted = self.control("the switches", |world| Ok(world.control.kill_since_us.is_some())).await?;
        if is_halted && !nobody {
            return Err(Fail::Denied);
        }
        let now_us = self.now_us();
        if row.expires_us < now_us {
            self.step(row.run, Step::new(row.state, Event::PlanExpired).attempt(row.attempt)).await?;
            return Err(Fail::Denied);
        }
        if row.plan.as_ref().map(|plan| plan.digest) == row.confirm { Ok(()) } else { Err(Fail::Denied) }
    }

    /// What the job wants now, without what was left for the next plan; compared with the plan.
    async fn compute(&self, row: &Row, written: &BTreeSet<i64>) -> Result<Vec<Write>, Ended> {
        let plan_then = row.plan.as_ref().ok_or(Ended::new(Event::ExecutionFailed))?;
        let now = self.target("a snapshot", |world| Ok(wanted(&world.target.kept.rows))).await;
        let now = now.map_err(|end| Ended::flush(end, row))?;
        if written.is_empty() && plan(row.run, &now).digest == plan_then.digest {
            return Ok(now);
        }
        let mut comparing = Comparing::new(now.iter().map(bound));
        let rest = plan_then.changes.iter().filter(|c| unbound(c).is_none_or(|write| !written.contains(&write.key)));
        rest.for_each(|change| comparing.planned(change));
        let (comparison, new) = comparing.finish();
        // Behind a prefix, rows that appeared since are left as in an independent plan.
        if !comparison.holds(row.job.independent || !written.is_empty()) {
            return Err(Ended::new(Event::DriftFound));
        }
        let kept = now.into_iter().enumerate().filter(|(place, _)| !new.contains(place)).map(|(_, write)| write);
        Ok(kept.collect())
    }

    async fn apply_run(&self, row: &Row) -> Result<(), Ended> {
        let writes = self.compute(row, &BTreeSet::new()).await?;
        self.flush_from(row, writes, 0).await
    }

    /// The transactions behind those that are committed.
    async fn flush_from(&self, row: &Row, writes: Vec<Write>, mut batch: u32) -> Result<(), Ended> {
        let size = row.job.batch.unwrap_or(writes.len()).max(1);
        for part in writes.chunks(size) {
            let id = FlushId { run: row.run, generation: 0, batch };
            if let Err(end) = self.flush(row, id, Kind::Apply, part).await {
                return Err(match end {
                    end if batch == 0 => Ended::flush(end, row),
                    FlushEnd::Unavailable | FlushEnd::Unknown => Ended { event: None, code: None },
                    _ => Ended::new(Event::ApplyBroken),
                });
            }
            batch += 1;
        }
        Ok(())
    }

    /// Writes down how an apply ended.
    async fn settle(&self, row: &Row, outcome: Result<(), Ended>) -> Done<()> {
        let Ended { event, code } = match outcome {
            Ok(()) => {
                self.committed_step(row).await?;
                return self.verify_and_settle(row).await;
            }
            Err(ended) => ended,
        };
        let Some(event) = event else { return Ok(()) };
        let mut step = Step::new(State::Applying, event).attempt(row.attempt);
        step.outcome = code;
        if code.is_some_and(work::may_work_later)
            && matches!(event, Event::ApplyAbandoned | Event::ApprovedApplyAbandoned)
        {
            step.again_in_us = work::again_in_us(row.tries);
        }
        self.step(row.run, step).await?;
        if event == Event::ApplyBroken {
            let row = self.held(row.run, row.attempt).await?;
            self.restore_prefix(&row).await?;
        }
        Ok(())
    }

    /// Goes on with a plan that a former process left half applied.
    pub(super) async fn go_on(&self, row: &Row) -> Done<()> {
        let run = row.run;
        let look = move |world: &mut crate::world::World| {
            Ok((world.target.prefix(run, 0).0, world.target.journal_of(run, 0)?))
        };
        let Ok((batch, journal)) = self.target("what is written", look).await else { return Err(Fail::Lost) };
        let written: BTreeSet<i64> = journal.iter().map(|write| write.key).collect();
        let outcome = match self.compute(row, &written).await {
            Ok(writes) => self.flush_from(row, writes, batch).await,
            Err(Ended { code: Some(_), .. }) => Err(Ended { event: None, code: None }),
            Err(_) => Err(Ended::new(Event::ApplyBroken)),
        };
        self.settle(row, outcome).await
    }

    pub(super) async fn committed_step(&self, row: &Row) -> Done<()> {
        let step = Step::new(State::Applying, Event::FlushCommitted).attempt(row.attempt);
        self.step(row.run, step).await.map(drop)
    }

    /// Compares the rows with the journal; what does not hold is undone.
    pub(super) async fn verify_and_settle(&self, row: &Row) -> Done<()> {
        let run = row.run;
        let read = move |world: &mut crate::world::World| {
            let journal = world.target.journal_of(run, 0)?;
            world.monitor.read_back(run);
            Ok(journal.iter().all(|write| world.target.kept.rows.get(&write.key) == Some(&write.after)))
        };
        let step = |event| Step::new(State::Verifying, event).attempt(row.attempt);
        let holds = match self.target("reads back", read).await {
            Ok(holds) => holds,
            Err(_) if self.is(Mutation::TrustsItself) => true,
            // It stays *verifying*.
            Err(_) => return Ok(()),
        };
        if holds {
            return self.step(run, step(Event::VerificationPassed)).await.map(drop);
        }
        self.world.borrow_mut().monitor.found_wrong(run);
        self.step(run, step(Event::VerificationFailed).outcome(Code::VerifyFailed)).await?;
        let row = self.held(run, row.attempt).await?;
        self.roll_back(&row, None).await
    }
}
