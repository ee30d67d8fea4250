//! What a worker does with a run that it has claimed. Failures before anything is written are tried again
//! with growing pauses; failures during it are recovered from, and never tried blindly.

use mendwright_core::code::Code;
use mendwright_core::task::Task;
use mendwright_core::work::{Next, TRIES_MAX, may_work_later, next, pause_us, recovery_pause_us};
use mendwright_crash::{Point, reached};
use mendwright_store::{Begun, Claimed, Idempotency, Lease, RunNumber, RunRecord};

use super::{Applied, Host, PlanRequest, Undone, problem, time};
use crate::view::problem::Problem;

/// How often a dry run is tried whose rehearsal finds its rows busy. What is still busy five seconds later is
/// shown as a plan without a rehearsal, and says so.
const REHEARSED_MAX: u64 = 2;

/// Whether what did not come about is tried again by the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// A person waits for the answer.
    Once,
    /// A worker does it.
    Again,
}

/// What a worker did.
#[derive(Debug)]
pub enum Worked {
    /// There is a plan, or nothing to do.
    Planned,
    /// The plan was applied, or why it was not.
    Applied(Box<Applied>),
    /// What was applied is undone.
    Undone(Box<Undone>),
    /// What a dead process left was brought to an end.
    Recovered,
}

impl PlanRequest {
    /// What began a run.
    fn of(run: &RunRecord) -> Self {
        Self {
            job: run.job_name.clone(),
            tenant: run.tenant.clone(),
            params: run.params.clone(),
            only: run.only.clone(),
            requested_by: run.requested_by.clone(),
            parent: run.parent,
            compensates: run.compensates,
            progress: None,
        }
    }
}

impl Host {
    /// Begins a run that a worker plans.
    ///
    /// # Errors
    /// There is no such job, its parameters are invalid, or the key was used for another request.
    pub async fn enqueue(&self, request: &PlanRequest, key: Option<&Idempotency>) -> Result<Begun, Problem> {
        let manifest = self.checked(request).await?;
        let now_us = time::now_us();
        let new = self.new_run(&manifest, request, now_us)?;
        self.store.enqueue_run(new, key, now_us).await.map_err(problem::store)
    }

    /// Asks for the plan of a run to be applied by a worker, if `digest_prefix` is the beginning of its digest.
    ///
    /// # Errors
    /// As [`Host::apply`] before it begins.
    pub async fn ask_apply(
        &self,
        number: RunNumber,
        digest_prefix: &str,
        (by, glass): (&str, Option<&str>),
    ) -> Result<RunRecord, Problem> {
        let run = self.store.run(number).await.map_err(problem::store)?;
        self.may_apply(&run, digest_prefix).await?;
        let glass = glass.map(super::policy::checked_reason).transpose()?;
        self.ask(&run, Task::Apply, (by, glass.as_deref()), digest_prefix).await?;
        self.store.run(number).await.map_err(problem::store)
    }

    /// Asks for a run to be undone by a worker, if `digest_prefix` is the beginning of the preview's digest.
    ///
    /// # Errors
    /// As [`Host::undo`] before it begins.
    pub async fn ask_undo(&self, number: RunNumber, digest_prefix: &str, by: &str) -> Result<RunRecord, Problem> {
        let (run, preview) = self.undo_preview(number).await?;
        super::apply::confirm(&preview.digest, digest_prefix)?;
        self.ask(&run, Task::Undo, (by, None), digest_prefix).await?;
        self.store.run(number).await.map_err(problem::store)
    }

    async fn ask(
        &self,
        run: &RunRecord,
        task: Task,
        (by, glass): (&str, Option<&str>),
        digest_prefix: &str,
    ) -> Result<(), Problem> {
        reached(Point::BeforeAsk);
        self.store.ask_breaking(run, task, by, Some(digest_prefix), glass).await.map_err(problem::store)?;
        reached(Point::Asked);
        Ok(())
    }

    /// Does what is to be done with a run that this process has claimed.
    ///
    /// # Errors
    /// What stopped it; the run says the same.
    pub async fn work(&self, (run, lease): Claimed) -> Result<Worked, Problem> {
        self.holding(lease, self.work_on(&run, lease)).await
    }

    async fn work_on(&self, run: &RunRecord, lease: Lease) -> Result<Worked, Problem> {
        let asked = run.asked.as_ref();
        let confirm = asked.and_then(|asked| asked.confirm.clone()).unwrap_or_default();
        let by = asked.map(|asked| asked.by.clone()).unwrap_or_default();
        let glass = asked.and_then(|asked| asked.glass.clone());
        match next(run.state, asked.map(|asked| asked.task)) {
            Next::Plan => self.plan_claimed(run, lease).await.map(|()| Worked::Planned),
            Next::Recover => self.recover_claimed(run, lease).await.map(|()| Worked::Recovered),
            Next::Apply => match self.apply_held(lease, &confirm, (&by, glass.as_deref()), Patience::Again).await {
                Ok(applied) => Ok(Worked::Applied(Box::new(applied))),
                Err(problem) => self.gave_up(lease, problem).await,
            },
            Next::Undo => match self.undo_held(lease, &confirm, &by).await {
                Ok(undone) => Ok(Worked::Undone(Box::new(undone))),
                Err(problem) => self.gave_up(lease, problem).await,
            },
            Next::Nothing => {
                let nothing = Problem::new(Code::Internal, format!("{} was claimed with nothing to do", run.number));
                self.gave_up(lease, nothing).await
            }
        }
    }

    /// What a former attempt left. Where the target does not answer, or a switch is thrown, it waits.
    async fn recover_claimed(&self, run: &RunRecord, lease: Lease) -> Result<(), Problem> {
        let recovered = Box::pin(self.recover(run)).await;
        let found = self.store.run(run.number).await.map_err(problem::store)?;
        if found.state.is_in_flight() && found.attempt == lease.attempt {
            let pause = recovery_pause_us(found.asked.map_or(0, |asked| asked.tries));
            self.store.put_off(lease, pause).await.map_err(problem::store)?;
        }
        recovered
    }

    /// A dry run that nobody waits for.
    async fn plan_claimed(&self, run: &RunRecord, lease: Lease) -> Result<(), Problem> {
        let request = PlanRequest::of(run);
        let manifest = match self.checked(&request).await {
            Ok(manifest) => manifest,
            Err(problem) => return Err(self.end_planning(run, problem.into()).await),
        };
        let tries = run.asked.as_ref().map_or(0, |asked| asked.tries);
        let patience = if tries < REHEARSED_MAX { Patience::Again } else { Patience::Once };
        let planned = Box::pin(self.plan_run(run, manifest, &request, None, patience)).await;
        let Err(stopped) = planned else { return Ok(()) };
        if may_work_later(stopped.problem.code) && tries < TRIES_MAX {
            self.store.put_off(lease, pause_us(tries)).await.map_err(problem::store)?;
            return Err(stopped.problem);
        }
        Err(self.end_planning(run, stopped).await)
    }

    /// A task that could not even begin is taken back, so that nobody tries it for ever.
    async fn gave_up<T>(&self, lease: Lease, problem: Problem) -> Result<T, Problem> {
        let found = self.store.run(lease.run).await.map_err(problem::store)?;
        if found.asked.is_some() && !found.state.is_in_flight() {
            self.store.give_up(lease, problem.code, &problem.message).await.map_err(problem::store)?;
        }
        Err(problem)
    }
}
