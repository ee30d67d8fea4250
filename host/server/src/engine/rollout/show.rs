//! What there is to see of rollouts.

use mendwright_store::{RolloutEvent, RolloutNumber, RolloutTenant, RunRecord, Store};

use super::{Known, known};
use crate::api::FORMAT_VERSION;
use crate::api::rollout::{RolloutBody, RolloutEventBody, RolloutsBody, SeatBody};
use crate::engine::{problem, rfc3339};
use crate::view::problem::Problem;

/// Rollouts of a list: months of them.
const LISTED_MAX: u32 = 100;

/// Everything about one.
pub(crate) async fn show(store: &Store, number: RolloutNumber) -> Result<RolloutBody, Problem> {
    let known = known(store, number).await?;
    let events = store.rollout_events(number).await.map_err(problem::store)?;
    Ok(body(&known, events))
}

/// The newest first, without their tenants.
pub(crate) async fn list(store: &Store) -> Result<RolloutsBody, Problem> {
    let mut all = Vec::new();
    for rollout in store.rollouts(LISTED_MAX).await.map_err(problem::store)? {
        let known = known(store, rollout.number).await?;
        all.push(RolloutBody { tenants: Vec::new(), ..body(&known, Vec::new()) });
    }
    Ok(RolloutsBody::new(all))
}

fn body(known: &Known, events: Vec<RolloutEvent>) -> RolloutBody {
    let rollout = known.rollout.clone();
    let from_one = |wave: usize| u64::try_from(wave).unwrap_or(u64::MAX).saturating_add(1);
    let seat = |(seat, run): &(RolloutTenant, Option<RunRecord>)| {
        let outcome = run.as_ref().and_then(|run| run.outcome.as_ref());
        SeatBody {
            tenant: seat.tenant.clone(),
            wave: from_one(seat.wave),
            run: seat.run.map(mendwright_store::RunNumber::get),
            state: run.as_ref().map(|run| run.state.word().to_owned()),
            waits_for: waits_for(seat, run.as_ref()),
            code: outcome.map(|outcome| outcome.code),
            message: outcome.map(|outcome| outcome.message.clone()),
        }
    };
    let event = |one: RolloutEvent| RolloutEventBody {
        seq: one.seq,
        at: rfc3339(one.at_us),
        event: one.event,
        to: one.to.word().to_owned(),
        by: one.by,
        because: one.because,
    };
    RolloutBody {
        format_version: FORMAT_VERSION.to_owned(),
        number: rollout.number.get(),
        job: rollout.job,
        state: rollout.state.word().to_owned(),
        wave: from_one(rollout.wave),
        waves: rollout.waves.to_string(),
        stop_if: rollout.stop_if.to_string(),
        started_by: rollout.started_by,
        because: rollout.because,
        created_at: rfc3339(rollout.created_at_us),
        updated_at: rfc3339(rollout.updated_at_us),
        tenants_total: u64::try_from(known.seats.len()).unwrap_or(u64::MAX),
        tally: known.standing().tally().into(),
        tenants: known.seats.iter().map(seat).collect(),
        events: events.into_iter().map(event).collect(),
    }
}

fn waits_for(seat: &RolloutTenant, run: Option<&RunRecord>) -> Option<String> {
    let Some(run) = run else { return Some("its turn".to_owned()) };
    if let Some(asked) = &run.asked {
        let what = run.state.waits_for().filter(|_| run.state.is_in_flight());
        return Some(what.map_or_else(|| format!("a free worker, to {} it", asked.task), ToOwned::to_owned));
    }
    match (&run.outcome, seat.asked_at_us, run.state.waits_for()) {
        (Some(outcome), Some(_), Some(_)) => Some(format!("policy, which is asked again: {}", outcome.message)),
        (_, _, waits) => waits.map(ToOwned::to_owned),
    }
}
