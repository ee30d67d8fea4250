//! Rollouts: beginning one, driving it, and what there is to see of it. Core decides what is next; nothing is
//! decided here. A rollout has no rights: each tenant's run is planned and applied in the name of the person who
//! began it, policy is asked as for any run of theirs, and level 3 waits for the word of others.

mod drive;
mod show;

use mendwright_core::rollout::{Event, Seat, Seen, Standing, StopIf, Waves};
use mendwright_store::{NewRollout, RolloutNumber, RolloutRecord, RolloutStep, RolloutTenant, RunRecord, Store};
use serde_json::Value;

use super::{Host, PlanRequest, problem, tenants, time};
use crate::api::rollout::RolloutBody;
use crate::view::problem::Problem;
use mendwright_core::code::Code;

pub(crate) use show::{list, show};

/// Between two times that the apply of one plan is asked for: what policy forbids for a while (a window, a
/// switch) is asked again, and each answer is kept.
const ASK_AGAIN_US: i64 = 60_000_000;

/// What is to be rolled out.
#[derive(Clone, Debug)]
pub(crate) struct RolloutRequest {
    /// The job's name.
    pub(crate) job: String,
    /// Its parameters: an object.
    pub(crate) params: Value,
    /// How large each wave is.
    pub(crate) waves: Waves,
    /// When it stops by itself.
    pub(crate) stop_if: StopIf,
    /// `person:alice`.
    pub(crate) by: String,
}

impl Host {
    /// Begins a rollout to every tenant for whom a grant names the job. A running host drives it.
    ///
    /// # Errors
    /// There is no such job, its parameters are invalid, or nobody is granted it.
    pub(crate) async fn begin_rollout(&self, request: RolloutRequest) -> Result<RolloutBody, Problem> {
        let RolloutRequest { job, params, waves, stop_if, by } = request;
        let found = self.tenants().await?;
        let (names, _) = tenants::granted(&found, &job)?;
        let Some(first) = names.first() else {
            let message = format!("no grant names {job} for any of the {} tenants", found.tenants.len());
            return Err(Problem::new(Code::GrantMissing, message).next("mendwright tenant list", "who is granted what"));
        };
        self.checked(&plan_request(&job, first, &params, &by)).await?;
        let seats = waves.seat(&names);
        let new = NewRollout { job, params, waves, stop_if, started_by: by, seats };
        let begun = self.store.begin_rollout(new, time::now_us()).await.map_err(problem::store)?;
        show(&self.store, begun.number).await
    }
}

/// Moves a rollout as a person wants.
///
/// # Errors
/// There is no such rollout, or it is in a state in which this cannot be done.
pub(crate) async fn step(
    store: &Store,
    number: RolloutNumber,
    event: Event,
    (by, because): (&str, &str),
) -> Result<RolloutBody, Problem> {
    let known = known(store, number).await?;
    // What went wrong before somebody lets it go on is seen: it does not stop it again.
    let seen = (event == Event::PersonResumed).then(|| known.standing().tally());
    let step = RolloutStep { from: &known.rollout, event, by, because, seen, now_us: time::now_us() };
    store.step_rollout(step).await.map_err(problem::store)?;
    show(store, number).await
}

/// Everything that the store knows of a rollout.
pub(super) struct Known {
    pub(super) rollout: RolloutRecord,
    /// In the order of turns, each with its run.
    pub(super) seats: Vec<(RolloutTenant, Option<RunRecord>)>,
    pub(super) now_us: i64,
}

impl Known {
    fn standing(&self) -> Standing {
        let seat = |(seat, run): &(RolloutTenant, Option<RunRecord>)| Seat {
            wave: seat.wave,
            run: run.as_ref().map(|run| Seen {
                state: run.state,
                is_busy: run.asked.is_some(),
                may_ask: seat.asked_at_us.is_none_or(|at| self.now_us.saturating_sub(at) >= ASK_AGAIN_US),
            }),
        };
        Standing {
            state: self.rollout.state,
            wave: self.rollout.wave,
            seen: self.rollout.seen,
            seats: self.seats.iter().map(seat).collect(),
        }
    }
}

async fn known(store: &Store, number: RolloutNumber) -> Result<Known, Problem> {
    let rollout = store.rollout(number).await.map_err(problem::store)?;
    let runs = store.rollout_runs(number).await.map_err(problem::store)?;
    let run_of = |seat: &RolloutTenant| runs.iter().find(|run| Some(run.number) == seat.run).cloned();
    let seats = store.rollout_tenants(number).await.map_err(problem::store)?;
    let seats = seats.into_iter().map(|seat| (seat.clone(), run_of(&seat))).collect();
    Ok(Known { rollout, seats, now_us: time::now_us() })
}

fn plan_request(job: &str, tenant: &str, params: &Value, by: &str) -> PlanRequest {
    PlanRequest {
        job: job.to_owned(),
        tenant: tenant.to_owned(),
        params: params.clone(),
        only: Vec::new(),
        requested_by: by.to_owned(),
        parent: None,
        compensates: None,
        progress: None,
    }
}
