//! The loop that works: claims what is due, as much as there is room for, works on each in a task of its own,
//! and tells whoever waits.
//!
//! What a dead host left in flight is due like anything else once its lease ran out: recovery has no path of
//! its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mendwright_crash::{Point, reached};
use mendwright_store::{Lease, RunNumber};
use tokio::task::{Id, JoinError, JoinSet};

use super::desk::Said;
use super::{Phase, Shared};
use crate::api::act::{AppliedBody, UndoneBody};
use crate::engine::Worked;
use crate::view::problem::Problem;

/// Between two looks at what is due where nobody rang: other processes of one file, pauses that are over,
/// leases that ran out. An idle look takes some 0.2 ms.
const POLL: Duration = Duration::from_secs(1);

/// What a task gives when it ends.
type Done = (RunNumber, Result<Said, Problem>);

/// Works until the host ends; gives how many tasks it left behind.
pub(super) async fn work(shared: Arc<Shared>) -> usize {
    let mut phase = shared.phase.clone();
    let mut tasks = JoinSet::new();
    let mut leases = BTreeMap::new();
    loop {
        let now = *phase.borrow_and_update();
        match now {
            Phase::Working => claim(&shared, &mut tasks, &mut leases).await,
            Phase::Draining if tasks.is_empty() && shared.repairs.is_idle() => return 0,
            Phase::Draining => {}
            Phase::Ending => return end(&shared, tasks, leases).await,
        }
        shared.working_on.store(u64::try_from(tasks.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        tokio::select! {
            Some(done) = tasks.join_next_with_id() => finish(&shared, &mut leases, done).await,
            () = shared.bell.rung() => {}
            () = tokio::time::sleep(POLL) => {}
            changed = phase.changed() => {
                if changed.is_err() {
                    return end(&shared, tasks, leases).await;
                }
            }
        }
    }
}

/// Claims what there is room for.
async fn claim(shared: &Arc<Shared>, tasks: &mut JoinSet<Done>, leases: &mut BTreeMap<Id, Lease>) {
    let limits = shared.host.config().concurrency;
    let room = shared.tasks_max.saturating_sub(u32::try_from(tasks.len()).unwrap_or(u32::MAX));
    if room == 0 {
        return;
    }
    let claimed = match shared.host.store().claim_due(room, limits).await {
        Ok(claimed) => claimed,
        Err(error) => {
            tracing::warn!(%error, "nothing could be claimed");
            return;
        }
    };
    for (run, lease) in claimed {
        let number = run.number;
        tracing::info!(run = number.get(), attempt = lease.attempt, state = run.state.word(), "working");
        let host = shared.host.clone();
        let task = tasks.spawn(async move { (number, host.work((run, lease)).await.map(said)) });
        leases.insert(task.id(), lease);
    }
}

fn said(worked: Worked) -> Said {
    match worked {
        Worked::Planned | Worked::Recovered => Said::Done,
        Worked::Applied(applied) => Said::Applied(Box::new(AppliedBody::from(&*applied))),
        Worked::Undone(undone) => Said::Undone(Box::new(UndoneBody::from(&*undone))),
    }
}

/// One task has ended.
async fn finish(shared: &Arc<Shared>, leases: &mut BTreeMap<Id, Lease>, done: Result<(Id, Done), JoinError>) {
    match done {
        Ok((id, (run, said))) => {
            leases.remove(&id);
            if let Err(problem) = &said {
                tracing::info!(run = run.get(), %problem, "a task did not come to good");
            }
            reached(Point::BeforeTold);
            shared.desk.put(run, said);
            reached(Point::Told);
        }
        Err(error) => {
            let lease = leases.remove(&error.id());
            tracing::error!(run = lease.map(|lease| lease.run.get()), %error, "a task died");
            // Its run is recovered by whoever claims it next.
            if let Some(lease) = lease {
                release(shared, lease).await;
            }
        }
    }
}

/// Ends at once: nothing is awaited but that other hosts may take the runs now, not when the leases run out.
async fn end(shared: &Arc<Shared>, mut tasks: JoinSet<Done>, leases: BTreeMap<Id, Lease>) -> usize {
    tasks.shutdown().await;
    for lease in leases.values() {
        release(shared, *lease).await;
    }
    leases.len()
}

async fn release(shared: &Arc<Shared>, lease: Lease) {
    if let Err(error) = shared.host.store().release(lease).await {
        tracing::warn!(run = lease.run.get(), %error, "a run was not let go; its lease runs out");
    }
}
