//! Working on a run while it is leased to this process: the lease is renewed meanwhile and let go at the
//! end. Whoever loses it stops at once; what the target then still commits, the next process finds.

use std::future::Future;
use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_crash::{Point, reached};
use mendwright_store::lease::RENEW_US;
use mendwright_store::{Error as StoreError, Lease, RunNumber, RunRecord};

use super::{Host, problem};
use crate::view::problem::Problem;

impl Host {
    /// Takes a run, at once or not at all.
    pub(super) async fn claim(&self, number: RunNumber) -> Result<Lease, Problem> {
        self.store.claim(number).await.map_err(problem::store)
    }

    /// The run of a lease, as it is now: as long as nobody took it over. Whoever came too late must not go on
    /// with the number of the one who came after.
    pub(super) async fn held(&self, lease: Lease) -> Result<RunRecord, Problem> {
        let run = self.store.run(lease.run).await.map_err(problem::store)?;
        if run.attempt == lease.attempt {
            return Ok(run);
        }
        Err(problem::store(StoreError::Fenced { run: run.number, expected: lease.attempt, found: run.attempt }))
    }

    /// The same for who read it before.
    pub(super) async fn again(&self, run: &RunRecord) -> Result<RunRecord, Problem> {
        self.held(Lease { run: run.number, attempt: run.attempt }).await
    }

    /// Works under a lease.
    pub(super) async fn holding<T>(
        &self,
        lease: Lease,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        // On the heap: what a whole repair holds is too much for the stack of the one who waits for it. All
        // three go on side by side: work that holds the store's one writing connection would never give it
        // back to a renewal that is waited for alone.
        let mut work = Box::pin(work);
        let outcome = tokio::select! {
            outcome = &mut work => outcome,
            never = self.watch_switches() => match never {},
            lost = self.keep(lease) => Err(lost),
        };
        drop(work);
        reached(Point::BeforeRelease);
        if let Err(error) = self.store.release(lease).await {
            tracing::warn!(run = lease.run.get(), %error, "a run was not let go; its lease runs out");
        }
        reached(Point::Released);
        outcome
    }

    /// Renews a lease until somebody else has it.
    pub(super) async fn keep(&self, lease: Lease) -> Problem {
        let every = Duration::from_micros(RENEW_US.unsigned_abs());
        loop {
            tokio::time::sleep(every).await;
            reached(Point::BeforeRenewal);
            match self.store.renew(lease).await {
                Ok(()) => reached(Point::Renewed),
                Err(error @ StoreError::Fenced { .. }) => {
                    let next = format!("mendwright run show {}", lease.run.get());
                    return Problem::new(Code::FenceLost, error.to_string()).next(next, "where the run stands");
                }
                // The lease may outlive a store that does not answer for a while.
                Err(error) => tracing::warn!(run = lease.run.get(), %error, "a lease could not be renewed"),
            }
        }
    }
}
