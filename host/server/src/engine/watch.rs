//! Watching the switches while runs are worked on, so that they bite in the middle of a flush (P8). One
//! task of the process watches; when its own work ends, the next one does.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use mendwright_core::switch::{Kind, Running, Switch};
use mendwright_gateway::Halt;
use mendwright_store::{Lease, RunRecord, Switches};
use tokio::time::Instant;

use super::apply::Ended;
use super::{Host, problem};
use crate::view::problem::Problem;

/// Between two looks. A look may stand for [`mendwright_gateway::gate::FRESH`]: two of them may be late.
const LOOK_EVERY: Duration = Duration::from_millis(40);

impl Host {
    /// Tells the gate what the switches say, until it is dropped.
    pub(super) async fn watch_switches(&self) -> Infallible {
        let _watching = self.watching.lock().await;
        let mut known = Switches::default();
        loop {
            let asked = Instant::now();
            match self.look(&mut known).await {
                Ok(()) => self.gate.tell(asked, kill(&known, super::time::now_us()).map(halt)),
                // The gate notices by itself that it heard nothing.
                Err(problem) => tracing::debug!(%problem, "the switches could not be read"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Tells the gate how the switches stood when a transaction read them that was begun after `asked`.
    pub(super) fn tell_gate(&self, asked: Instant, switches: &Switches) {
        self.gate.tell(asked, kill(switches, super::time::now_us()).map(halt));
    }

    /// The flush of a run that is leased to this process: watched like any other as soon as it takes longer
    /// than a look at the switches lasts.
    pub(super) async fn while_watched<T>(
        &self,
        run: &RunRecord,
        flushing: impl Future<Output = Result<T, Ended>>,
    ) -> Result<T, Ended> {
        let lease = Lease { run: run.number, attempt: run.attempt };
        let watching = async {
            tokio::time::sleep(LOOK_EVERY).await;
            self.watch_switches().await
        };
        // On the heap, as all that works under a lease.
        let mut flushing = Box::pin(flushing);
        tokio::select! {
            done = &mut flushing => done,
            never = watching => match never {},
            lost = self.keep(lease) => Err(Ended::waits(lost)),
        }
    }

    /// The switches as they stand now; of those that nobody moved since, the epoch is enough.
    async fn look(&self, known: &mut Switches) -> Result<(), Problem> {
        let epoch = self.store.switch_epoch().await.map_err(problem::store)?;
        if epoch != known.epoch {
            *known = self.store.switches().await.map_err(problem::store)?;
        }
        Ok(())
    }

    /// Whether what a stopped plan has written so far is to be restored.
    pub(super) async fn restores_what_runs(&self) -> Result<bool, Problem> {
        let switches = self.store.switches().await.map_err(problem::store)?;
        Ok(kill(&switches, super::time::now_us()).is_some_and(|switch| switch.running == Running::RollBack))
    }
}

/// The kill switch, where it is thrown.
fn kill(switches: &Switches, now_us: i64) -> Option<&Switch> {
    switches
        .thrown
        .iter()
        .find(|switch| switch.kind == Kind::Kill && switch.is_on && switch.expires_at_us.is_none_or(|at| at > now_us))
}

fn halt(switch: &Switch) -> Halt {
    let Switch { by, reason, .. } = switch;
    Halt { reason: format!("the kill switch was thrown by {by}: {reason}"), restoring: false }
}
