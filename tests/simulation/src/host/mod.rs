//! A host: a worker that claims what is due and works on it, one message at a time. Between two messages
//! anything can happen to it. What it does is the engine's order of messages; what it decides, `core` decides.

mod apply;
mod undo;

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use mendwright_core::code::Code;
use mendwright_core::gate::{Kind, Pass, WAIT_MAX, pass};
use mendwright_core::recovery::{Asks, Finding, Held, Left};
use mendwright_core::run::{Event, State};
use mendwright_core::work::{self, FlushEnd, Next};

use crate::control::{Fail, Lease, Row, Step};
use crate::monitor::told;
use crate::target::{Fate, FlushId, Tx, Write};
use crate::world::{PLAN_US, World, plan, wanted};
use crate::{Mutation, monitor};

/// A host.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) world: Rc<RefCell<World>>,
    pub(crate) me: usize,
}

/// Lets the others go on.
async fn turn() {
    let mut waited = false;
    poll_fn(move |_| if std::mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// What stops a host's work on a run.
pub(crate) type Done<T> = Result<T, Fail>;

impl Host {
    /// One message to the control store and its answer; either may be lost.
    async fn control<T>(&self, what: &str, op: impl FnOnce(&mut World) -> Done<T>) -> Done<T> {
        turn().await;
        let answer = {
            let mut world = self.world.borrow_mut();
            let answer = if !world.control_is_up || world.breaks(80) { Err(Fail::Lost) } else { op(&mut world) };
            if !matches!(answer, Err(Fail::Unknown)) {
                world.say(|| format!("host {}: {what}: {}", self.me, told(&answer)));
            }
            if answer.is_ok() && world.breaks(60) {
                world.say(|| format!("host {}: that answer is lost", self.me));
                Err(Fail::Lost)
            } else {
                answer
            }
        };
        turn().await;
        answer
    }

    /// The same with the target.
    async fn target<T>(&self, what: &str, op: impl FnOnce(&mut World) -> Result<T, FlushEnd>) -> Result<T, FlushEnd> {
        turn().await;
        let answer = {
            let mut world = self.world.borrow_mut();
            let answer =
                if !world.target_is_up || world.breaks(40) { Err(FlushEnd::Unavailable) } else { op(&mut world) };
            let told = answer.as_ref().err().map_or_else(|| "done".to_owned(), |end| format!("{end:?}"));
            world.say(|| format!("host {} asks the target: {what}: {told}", self.me));
            answer
        };
        turn().await;
        answer
    }

    /// Now, as this host believes.
    fn now_us(&self) -> i64 {
        let world = self.world.borrow();
        world.now_us + world.hosts.get(self.me).map_or(0, |host| host.offset_us)
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.world.borrow().is(mutation)
    }

    /// Works for ever.
    pub(crate) async fn work(self) {
        loop {
            self.expire_overdue().await;
            let me = self.me;
            let claim = move |world: &mut World| {
                let (row, lease) = world.control.claim_due(me, world.now_us).ok_or(Fail::Unknown)?;
                world.monitor.claimed(row.run, lease.attempt, me);
                Ok((row, lease))
            };
            // Of a claim whose answer is lost nobody knows; its lease runs out.
            let Ok((row, lease)) = self.control("claims", claim).await else { continue };
            let now_us = self.world.borrow().now_us;
            if let Some(host) = self.world.borrow_mut().hosts.get_mut(me) {
                (host.lease, host.renewed_us) = (Some(lease), now_us);
            }
            self.world
                .borrow_mut()
                .say(|| format!("host {me}: #{} is {}, attempt {}", row.run, row.state, lease.attempt));
            let _ = self.work_on(&row, lease).await;
            let let_go = move |world: &mut World| {
                world.control.release(lease);
                Ok(())
            };
            let _ = self.control("lets go", let_go).await;
            if let Some(host) = self.world.borrow_mut().hosts.get_mut(me) {
                host.lease = None;
            }
        }
    }

    /// Plans that became too old. One that somebody takes at the same moment is left to them.
    async fn expire_overdue(&self) {
        let now_us = self.now_us();
        let overdue = |row: &&Row| {
            row.expires_us < now_us && matches!(row.state, State::Planned | State::AwaitingApproval | State::Approved)
        };
        let overdue: Vec<Row> = self.world.borrow().control.rows().filter(overdue).cloned().collect();
        for row in overdue {
            let step = Step::new(row.state, Event::PlanExpired).attempt(row.attempt);
            let _ = self.control("expires", move |world| world.control.step(row.run, step, world.now_us)).await;
        }
    }

    async fn work_on(&self, row: &Row, lease: Lease) -> Done<()> {
        match work::next(row.state, row.task) {
            Next::Plan => self.plan_claimed(row, lease).await,
            Next::Recover => {
                let recovered = self.recover(row).await;
                let found = self.row(row.run).await?;
                if found.state.is_in_flight() && found.attempt == lease.attempt {
                    let pause = work::recovery_pause_us(found.tries);
                    self.control("puts off", move |world| world.control.put_off(lease, pause, world.now_us)).await?;
                }
                recovered
            }
            Next::Apply => match self.apply_held(row).await {
                Err(fail) => self.gave_up(lease, fail).await,
                done => done,
            },
            Next::Undo => match self.undo_held(row).await {
                Err(fail) => self.gave_up(lease, fail).await,
                done => done,
            },
            Next::Nothing => self.gave_up(lease, Fail::Illegal).await,
        }
    }

    async fn gave_up(&self, lease: Lease, fail: Fail) -> Done<()> {
        let found = self.row(lease.run).await?;
        if found.task.is_some() && !found.state.is_in_flight() {
            self.control("gives up", move |world| world.control.give_up(lease, Code::RunState)).await?;
        }
        Err(fail)
    }

    async fn row(&self, run: u64) -> Done<Row> {
        self.control("reads the run", move |world| world.control.run(run).cloned()).await
    }

    /// The run of a lease, as long as nobody took it over.
    async fn held(&self, run: u64, attempt: u64) -> Done<Row> {
        let row = self.row(run).await?;
        if row.attempt == attempt || self.is(Mutation::TakesTheNextNumber) { Ok(row) } else { Err(Fail::Fenced) }
    }

    async fn step(&self, run: u64, step: Step) -> Done<State> {
        let what = format!("#{run} {:?}", step.event);
        self.control(&what, move |world| world.control.step(run, step, world.now_us)).await
    }

    async fn plan_claimed(&self, row: &Row, lease: Lease) -> Done<()> {
        let run = row.run;
        let writes = self.target("a snapshot", |world| Ok(wanted(&world.target.kept.rows))).await;
        let Ok(writes) = writes else {
            if work::may_work_later(Code::TargetUnavailable) && row.tries < work::TRIES_MAX {
                let pause = work::pause_us(row.tries);
                return self.control("puts off", move |world| world.control.put_off(lease, pause, world.now_us)).await;
            }
            let step = Step::new(State::Planning, Event::ExecutionFailed).attempt(row.attempt);
            return self.step(run, step).await.map(drop);
        };
        let (made, now_us) = (plan(run, &writes), self.now_us());
        let save = move |world: &mut World| world.control.save_plan(run, made, now_us + PLAN_US, world.now_us);
        let state = self.control("saves the plan", save).await?;
        if state == State::Planned && row.job.needed > 0 {
            self.step(run, Step::new(State::Planned, Event::ApprovalsAsked)).await?;
        }
        Ok(())
    }

    /// What a former attempt left.
    async fn recover(&self, row: &Row) -> Done<()> {
        let left = Left {
            state: row.state,
            was_applied: row.was_applied,
            verification_failed: row.outcome == Some(Code::VerifyFailed) && !self.is(Mutation::ForgetsWhatWasWrong),
            generation: row.generation,
            approvals_needed: row.job.needed,
        };
        let n = u64::try_from(row.plan.as_ref().map_or(0, |plan| plan.changes.len())).unwrap_or(0);
        let held = match left.asks() {
            Asks::Nothing => Held::Nothing,
            Asks::Plan => {
                let (batches, changes) = self.committed(row, 0).await.map_err(|_end| Fail::Lost)?;
                Held::of(batches, changes, n)
            }
            Asks::Undo => {
                let (undone, _) = self.committed(row, row.generation + 1).await.map_err(|_end| Fail::Lost)?;
                let (batches, changes) = self.committed(row, row.generation).await.map_err(|_end| Fail::Lost)?;
                let undoes = match row.generation {
                    0 => Held::of(batches, changes, n),
                    _ if batches > 0 => Held::All,
                    _ => Held::Nothing,
                };
                let undoes = if self.is(Mutation::ForgivesLosses) { Held::All } else { undoes };
                Held::of_undo(undone > 0, undoes)
            }
        };
        let believes = self.is(Mutation::TrustsItself) && row.state == State::Verifying;
        let held = if believes { Held::All } else { held };
        match left.decide(held) {
            None => Ok(()),
            Some(Finding::Committed) => {
                self.committed_step(row).await?;
                self.verify_and_settle(row).await
            }
            Some(Finding::Happened(event)) => {
                let step = Step::new(row.state, event).attempt(row.attempt);
                self.step(row.run, step).await.map(drop)
            }
            Some(Finding::ReadBack) => self.verify_and_settle(row).await,
            Some(Finding::RolledBack) => self.rolled_back_step(row).await,
            Some(Finding::GoOn) => self.go_on(row).await,
            Some(Finding::RestorePrefix) => self.restore_prefix(row).await,
            Some(Finding::Restore) => self.roll_back(row, None).await,
        }
    }

    /// Takes the run over in the target, and asks its journal.
    async fn committed(&self, row: &Row, generation: u64) -> Result<(u32, u64), FlushEnd> {
        let (run, attempt) = (row.run, row.attempt);
        let ask = move |world: &mut World| {
            world.target.take_over(run, attempt)?;
            world.monitor.took_over(run, attempt);
            Ok(world.target.prefix(run, generation))
        };
        self.target("takes over", ask).await
    }

    /// Waits a moment for fresh word of the switches.
    async fn pass(&self, kind: Kind) -> Result<(), FlushEnd> {
        let since_us = self.world.borrow().now_us;
        loop {
            let (now_us, heard) = {
                let world = self.world.borrow();
                (world.now_us, world.hosts.get(self.me).and_then(|host| host.heard))
            };
            let age = heard.and_then(|(asked_us, _)| u64::try_from(now_us - asked_us).ok());
            let thrown = heard.filter(|(_, is_thrown)| *is_thrown).map(|_| false);
            match pass(kind, thrown, age.map(std::time::Duration::from_micros)) {
                Pass::Goes => return Ok(()),
                Pass::Stopped => return Err(FlushEnd::Unavailable),
                Pass::Waits if u128::try_from(now_us - since_us).is_ok_and(|us| us > WAIT_MAX.as_micros()) => {
                    return Err(FlushEnd::Unavailable);
                }
                Pass::Waits => turn().await,
            }
        }
    }

    /// One transaction that awaits nothing but the database.
    async fn flush(&self, row: &Row, id: FlushId, kind: Kind, writes: &[Write]) -> Result<(), FlushEnd> {
        self.pass(kind).await?;
        let plan = row.plan.as_ref().ok_or(FlushEnd::Internal)?;
        let digest = match kind {
            Kind::Apply => plan.digest,
            // Of each undo another.
            Kind::Rollback => crate::world::plan(row.run * 1_000 + id.generation, writes).digest,
        };
        let (attempt, afterwards) = (row.attempt, self.is(Mutation::JournalsAfterwards));
        let tx = Tx { id, attempt, digest, kind, writes: Vec::new(), is_journaled: false, is_sent: false };
        let tx = self.target("begins", move |world| world.target.begin(tx)).await?;
        let overwrites = kind == Kind::Rollback && self.is(Mutation::OverwritesOthers);
        for write in writes {
            let write = *write;
            let what = format!("row {} from {} to {}", write.key, write.before, write.after);
            let written = self.target(&what, move |world| world.target.write(tx, write, overwrites)).await;
            written.inspect_err(|_| self.world.borrow_mut().target.abort(tx))?;
        }
        if !afterwards {
            let journaled = self.target("the journal", move |world| world.target.journal(tx)).await;
            journaled.inspect_err(|_| self.world.borrow_mut().target.abort(tx))?;
        }
        if !self.is(Mutation::IgnoresTheGate) {
            self.pass(kind).await.inspect_err(|_| self.world.borrow_mut().target.abort(tx))?;
        }
        {
            // Nothing comes between the gate's word and this.
            let mut world = self.world.borrow_mut();
            let (since_us, now_us) = (world.control.kill_since_us, world.now_us);
            world.target.send_commit(tx)?;
            world.monitor.sent(kind, since_us, now_us);
            world.monitor.wrote_as(row.run, attempt, self.me);
            world.say(|| format!("host {} sends COMMIT of {id:?}", self.me));
        }
        loop {
            turn().await;
            let (fate, is_lost) = {
                let mut world = self.world.borrow_mut();
                let is_lost = world.breaks(12);
                // What lost the answer may have taken the target along.
                if is_lost && world.breaks(3) {
                    world.target_is_up = false;
                    world.say(|| "the target answers: false".to_owned());
                }
                (world.target.fate(tx), is_lost)
            };
            match fate {
                _ if is_lost && self.is(Mutation::AppliesAgain) => {
                    return Box::pin(self.flush(row, id, kind, writes)).await;
                }
                _ if is_lost => return self.after_lost_commit(row, id).await,
                Fate::Open => {}
                Fate::Committed => return Ok(()),
                Fate::Aborted => return self.after_lost_commit(row, id).await,
            }
        }
    }

    /// The answer to COMMIT was lost: the target's journal is asked.
    async fn after_lost_commit(&self, row: &Row, id: FlushId) -> Result<(), FlushEnd> {
        match self.committed(row, id.generation).await {
            Ok((batches, _)) if batches > id.batch => Ok(()),
            Ok(_) => Err(FlushEnd::Unavailable),
            Err(_) if self.is(Mutation::TakesSilenceForNo) => Err(FlushEnd::Unavailable),
            Err(_) => Err(FlushEnd::Unknown),
        }
    }
}

/// That the watcher sees what the control store commits.
fn watch_begin(world: &mut World, before: &Row) {
    let is_halted = world.control.kill_since_us.is_some();
    let monitor: &mut monitor::Monitor = &mut world.monitor;
    monitor.apply_began(before, is_halted);
}
