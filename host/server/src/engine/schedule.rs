//! What is planned by the clock. Each firing happens once, whichever hosts look: the store's row of it is
//! unique. Of firings that nobody saw to while no host ran, the latest is made up for. Who asks is the machine
//! `schedule`, which approves nothing: policy says how far it goes.

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::run::State;
use mendwright_store::{Begun, Firing, Idempotency, Store};

use super::{Host, PlanRequest, problem, rfc3339, tenants, time};
use crate::api::schedule::{FiredBody, ScheduleBody, SchedulesBody};
use crate::config::{Config, Schedule, Until};
use crate::view::problem::Problem;

/// Who asks.
const ACTOR: &str = "machine:schedule";

/// Firings that are gone on with in one look.
const FIRINGS_MAX: u32 = 16;

/// Approved plans of one entry that are asked for in one look.
const APPROVED_MAX: u32 = 1_000;

/// Between two times that the apply of one plan is asked for.
const ASK_AGAIN_US: i64 = 60_000_000;

impl Host {
    /// Fires what is due, goes on with what a host left, and asks for applies. Says whether anything was done.
    ///
    /// # Errors
    /// The control store does not answer.
    pub(crate) async fn run_schedules(&self) -> Result<bool, Problem> {
        let mut any = false;
        for schedule in &self.config.schedules {
            let now_us = time::now_us();
            let since_us = self.store.know_schedule(&schedule.name, now_us).await.map_err(problem::store)?;
            if let Some(due_us) = schedule.latest(now_us).filter(|due_us| *due_us > since_us) {
                any |= self.store.begin_firing(&schedule.name, due_us, now_us).await.map_err(problem::store)?;
            }
        }
        for firing in self.store.open_firings(FIRINGS_MAX).await.map_err(problem::store)? {
            any = true;
            let schedule = self.config.schedules.iter().find(|schedule| schedule.name == firing.entry);
            let note = match schedule {
                Some(schedule) => self.fire(schedule, &firing).await?,
                None => "the configuration has no such schedule any more".to_owned(),
            };
            self.store.end_firing(&firing, &note, time::now_us()).await.map_err(problem::store)?;
        }
        for schedule in self.config.schedules.iter().filter(|schedule| schedule.until == Until::Apply) {
            any |= self.ask_fired(schedule).await?;
        }
        Ok(any)
    }

    /// Begins the runs of a firing; gives why some could not be.
    async fn fire(&self, schedule: &Schedule, firing: &Firing) -> Result<String, Problem> {
        let names = if schedule.tenants.is_empty() {
            match self.tenants().await.and_then(|found| tenants::granted(&found, &schedule.job)) {
                Ok((names, _)) => names,
                Err(problem) => return Ok(problem.message),
            }
        } else {
            schedule.tenants.clone()
        };
        let mut notes = Vec::new();
        for tenant in names {
            let request = PlanRequest {
                job: schedule.job.clone(),
                tenant: tenant.clone(),
                params: schedule.params.clone(),
                only: Vec::new(),
                requested_by: ACTOR.to_owned(),
                parent: None,
                compensates: None,
                progress: None,
            };
            let request_digest = Digest::of_json(&(&schedule.name, firing.fire_at_us, &tenant));
            let key = format!("schedule/{}/{}/{tenant}", schedule.name, firing.fire_at_us);
            match self.enqueue(&request, Some(&Idempotency { key, request: request_digest })).await {
                Ok(Begun::New(run) | Begun::Before(run)) => {
                    self.store.fired_run(firing, &tenant, run.number).await.map_err(problem::store)?;
                }
                Err(problem) if problem.code == Code::StoreUnavailable => return Err(problem),
                Err(problem) => notes.push(format!("{tenant}: {}", problem.message)),
            }
        }
        Ok(notes.join("; "))
    }

    /// Asks for the applies of the latest firing's plans, and of every plan that people approved since, whichever
    /// firing it is of. Policy says which of them come to that.
    async fn ask_fired(&self, schedule: &Schedule) -> Result<bool, Problem> {
        let mut fired = self.store.approved_runs(&schedule.name, APPROVED_MAX).await.map_err(problem::store)?;
        for firing in self.store.firings(&schedule.name, 1).await.map_err(problem::store)? {
            fired.extend(self.store.fired_runs(&firing).await.map_err(problem::store)?);
        }
        let (mut any, now_us) = (false, time::now_us());
        for fired in fired {
            let run = self.store.run(fired.run).await.map_err(problem::store)?;
            let is_ready = matches!(run.state, State::Planned | State::Approved) && run.asked.is_none();
            // What was approved since it was last asked for is not kept waiting.
            let waits = |at: i64| now_us.saturating_sub(at) < ASK_AGAIN_US && at >= run.updated_at_us;
            let may_ask = !fired.asked_at_us.is_some_and(waits);
            let (true, true, Some(digest)) = (is_ready, may_ask, run.plan_digest) else { continue };
            self.store.fired_asked(run.number, now_us).await.map_err(problem::store)?;
            any = true;
            if let Err(problem) = self.ask_apply(run.number, &digest.hex(), (ACTOR, None)).await {
                tracing::info!(run = run.number.get(), %problem, "an apply could not be asked for");
            }
        }
        Ok(any)
    }
}

/// Every schedule, with its next and its last firing.
pub(crate) async fn list(config: &Config, store: &Store) -> Result<SchedulesBody, Problem> {
    let now_us = time::now_us();
    let mut all = Vec::new();
    for schedule in &config.schedules {
        let last = store.firings(&schedule.name, 1).await.map_err(problem::store)?.pop();
        let mut runs = Vec::new();
        if let Some(firing) = &last {
            for fired in store.fired_runs(firing).await.map_err(problem::store)? {
                let state = store.run(fired.run).await.map_err(problem::store)?.state.word().to_owned();
                runs.push(FiredBody { tenant: fired.tenant, run: fired.run.get(), state });
            }
        }
        let until = match schedule.until {
            Until::Plan => "plan",
            Until::Apply => "apply",
        };
        all.push(ScheduleBody {
            name: schedule.name.clone(),
            job: schedule.job.clone(),
            cron: schedule.cron.clone(),
            time_zone: schedule.time_zone.clone(),
            until: until.to_owned(),
            next: schedule.next(now_us).map(rfc3339),
            last: last.as_ref().map(|firing| rfc3339(firing.fire_at_us)),
            last_begun_at: last.as_ref().map(|firing| rfc3339(firing.begun_at_us)),
            note: last.map(|firing| firing.note).unwrap_or_default(),
            runs,
        });
    }
    Ok(SchedulesBody::new(all))
}
