//! Holding still: the kill switch, calling a run off, and plans that nobody applied in time.

use mendwright_core::code::Code;
use mendwright_core::run::{Event, State};
use mendwright_core::switch::{Kind, Standing, Switch};
use mendwright_core::task::Task;
use mendwright_store::{RunNumber, RunRecord, Step, Store, Switches};

use super::{Host, problem, time};
use crate::view::problem::Problem;

/// Plans that are marked as too old at once.
const OVERDUE_MAX: u32 = 100;

/// The kill switch, if it is thrown and has not run out.
pub(crate) fn kill(switches: &Switches, now_us: i64) -> Option<Switch> {
    Standing::of(&switches.thrown, "", &[], "", "", now_us).kill
}

/// Why nothing is applied: who said so, and in which words.
pub(crate) fn kill_reason(switch: &Switch) -> String {
    format!("{} threw the kill switch: {}", switch.by, switch.reason)
}

/// Throws a switch or puts it back, and gives the new epoch. The kill switch takes back what nobody has begun.
/// Needs the control store and nothing else: what stops repairs must not depend on what they need.
///
/// # Errors
/// The switch does not take its scope, or nobody said why.
pub(crate) async fn throw(store: &Store, switch: &Switch) -> Result<(u64, Vec<RunNumber>), Problem> {
    let wrong = |message: String| {
        Problem::new(Code::SwitchInvalid, message).next("mendwright switch list", "the switches, and how they stand")
    };
    if !switch.kind.takes(&switch.scope) {
        return Err(wrong(format!("the switch {} does not take {}", switch.kind, switch.scope)));
    }
    if switch.reason.trim().is_empty() {
        return Err(wrong(format!("nobody said why {} is to be thrown", switch.kind)));
    }
    let epoch = store.throw(switch).await.map_err(problem::store)?;
    if switch.kind != Kind::Kill || !switch.is_on {
        return Ok((epoch, Vec::new()));
    }
    Ok((epoch, cancel_pending(store, switch).await?))
}

/// Takes back every apply that was asked for and that nobody has begun.
pub(crate) async fn cancel_pending(store: &Store, kill: &Switch) -> Result<Vec<RunNumber>, Problem> {
    store.cancel_pending(&kill_reason(kill), &kill.by, time::now_us()).await.map_err(problem::store)
}

/// Calls a run off that is not being applied.
///
/// # Errors
/// It is being applied or is over.
pub(crate) async fn cancel(store: &Store, number: RunNumber, reason: &str, by: &str) -> Result<RunRecord, Problem> {
    let run = store.run(number).await.map_err(problem::store)?;
    if run.state.apply(Event::PersonCancelled).is_err() {
        let message = format!("{number} is {} and cannot be called off", run.state);
        let problem = Problem::new(Code::RunState, message);
        return Err(match Task::of(run.state) {
            Some(_) => problem.next("mendwright stop --reason …", "stops every apply, this one too"),
            None if run.state == State::Succeeded => {
                problem.next(format!("mendwright undo {}", number.get()), "takes back what it did")
            }
            None => problem.next(format!("mendwright run show {}", number.get()), "how it came to that"),
        });
    }
    let note = format!("{by}: {reason}");
    let step = Step::new(run.state, Event::PersonCancelled, time::now_us()).by(by).note(note);
    store.step(number, step).await.map_err(problem::store)?;
    store.run(number).await.map_err(problem::store)
}

impl Host {
    /// Refuses where the kill switch is thrown.
    pub(super) async fn not_halted(&self) -> Result<(), Problem> {
        let switches = self.store.switches().await.map_err(problem::store)?;
        let now_us = self.store.clock_us().await.map_err(problem::store)?;
        match kill(&switches, now_us) {
            None => Ok(()),
            Some(switch) => Err(Problem::new(Code::Halted, kill_reason(&switch))
                .detail("nothing was applied")
                .next("mendwright switch list", "who threw what, when and why")),
        }
    }

    /// Marks plans that became too old. One that somebody takes at the same moment is left to them.
    pub(crate) async fn expire_overdue(&self) -> Result<usize, Problem> {
        let now_us = time::now_us();
        let mut expired = 0;
        for run in self.store.overdue_plans(now_us, OVERDUE_MAX).await.map_err(problem::store)? {
            let step = Step::new(run.state, Event::PlanExpired, now_us).attempt(run.attempt);
            match self.store.step(run.number, step).await {
                Ok(_) => expired += 1,
                Err(error) => tracing::debug!(run = run.number.get(), %error, "a plan was taken before it expired"),
            }
        }
        Ok(expired)
    }
}
