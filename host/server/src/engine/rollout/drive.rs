//! Driving rollouts: does what core says is next. Killed at any moment, the next host does it again, and each
//! thing is still done once: a run is begun under a key, its apply is asked for by compare-and-set, and a
//! rollout moves by one too.

use mendwright_core::plan::Digest;
use mendwright_core::rollout::{Act, Event, next};
use mendwright_crash::{Point, reached};
use mendwright_store::{Begun, Idempotency, RolloutRecord, RolloutStep, RolloutTenant, RunRecord};

use super::{Known, known, plan_request};
use crate::engine::{Host, problem, time};
use crate::view::problem::Problem;
use mendwright_core::code::Code;

/// Rollouts that are driven in one look: it is a few statements each.
const ROLLOUTS_MAX: u32 = 8;

/// What is done for one rollout in one look: beginning a run takes milliseconds, and the lease is for seconds.
const ACTS_MAX: usize = 100;

impl Host {
    /// Looks at every rollout that runs and does what is next. Says whether anything was done.
    ///
    /// # Errors
    /// The control store does not answer.
    pub(crate) async fn drive_rollouts(&self) -> Result<bool, Problem> {
        let mut any = false;
        for (rollout, lease) in self.store.claim_rollouts(ROLLOUTS_MAX).await.map_err(problem::store)? {
            match self.drive(&rollout).await {
                Ok(acted) => any |= acted,
                // Whoever looks next tries it again; what is wrong with a run, the run says.
                Err(problem) => tracing::warn!(rollout = rollout.number.get(), %problem, "a rollout was not driven"),
            }
            self.store.release_rollout(lease).await.map_err(problem::store)?;
        }
        Ok(any)
    }

    async fn drive(&self, rollout: &RolloutRecord) -> Result<bool, Problem> {
        let known = known(&self.store, rollout.number).await?;
        let acts = next(&known.standing(), &known.rollout.stop_if);
        let any = !acts.is_empty();
        for act in acts.into_iter().take(ACTS_MAX) {
            match act {
                Act::Begin(seat) => self.begin_seat(&known, seat).await?,
                Act::Ask(seat) => self.ask_seat(&known, seat).await?,
                Act::Happens(event, because) => self.happens(&known.rollout, event, &because).await?,
            }
        }
        Ok(any)
    }

    /// Begins a tenant's run. What no tenant's run can begin with stops the rollout.
    async fn begin_seat(&self, known: &Known, place: usize) -> Result<(), Problem> {
        let Some((seat, None)) = known.seats.get(place) else { return Ok(()) };
        let rollout = &known.rollout;
        let request = plan_request(&rollout.job, &seat.tenant, &rollout.params, &rollout.started_by);
        let content = Digest::of_json(&(&rollout.job, &seat.tenant, &rollout.params, &rollout.started_by));
        let key = Idempotency { key: format!("rollout/{}/{}", rollout.number.get(), seat.seat), request: content };
        let run = match self.enqueue(&request, Some(&key)).await {
            Ok(Begun::New(run) | Begun::Before(run)) => run,
            Err(problem) if matches!(problem.code, Code::StoreUnavailable) => return Err(problem),
            Err(problem) => {
                let because = format!("the run of {} could not begin: {}", seat.tenant, problem.message);
                return self.happens(rollout, Event::RuleBit, &because).await;
            }
        };
        reached(Point::RolloutRunBegun);
        self.store.seat_run(rollout.number, seat.seat, run.number).await.map_err(problem::store)
    }

    /// Asks for the apply of exactly the plan that is there. Policy says whether it comes to that.
    async fn ask_seat(&self, known: &Known, place: usize) -> Result<(), Problem> {
        let Some((RolloutTenant { seat, .. }, Some(run))) = known.seats.get(place) else { return Ok(()) };
        let RunRecord { number, plan_digest: Some(digest), .. } = run else { return Ok(()) };
        let (rollout, by) = (known.rollout.number, &known.rollout.started_by);
        // First the time: one that is killed in between asks a minute later, and not twice at once.
        self.store.seat_asked(rollout, *seat, time::now_us()).await.map_err(problem::store)?;
        reached(Point::RolloutAskKept);
        if let Err(problem) = self.ask_apply(*number, &digest.hex(), (by, None)).await {
            tracing::info!(rollout = rollout.get(), run = number.get(), %problem, "an apply could not be asked for");
        }
        Ok(())
    }

    async fn happens(&self, from: &RolloutRecord, event: Event, because: &str) -> Result<(), Problem> {
        let step = RolloutStep { from, event, by: "host", because, seen: None, now_us: time::now_us() };
        match self.store.step_rollout(step).await {
            Ok(moved) => tracing::info!(rollout = moved.number.get(), state = moved.state.word(), because, "it moved"),
            // A person moved it meanwhile.
            Err(error @ mendwright_store::Error::RolloutMoved { .. }) => tracing::debug!(%error, "overtaken"),
            Err(error) => return Err(problem::store(error)),
        }
        Ok(())
    }
}
