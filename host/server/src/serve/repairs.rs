//! Repairs that are made at once: how many at a time, and what follows behind them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mendwright_store::Concurrency;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Phase, Shared};

/// Before repairs are finished again where the store did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a host that is to end goes on finishing: a round takes milliseconds. What is left, the next host
/// finds in the targets.
const LAST_ROUNDS_MAX: Duration = Duration::from_secs(5);

/// Room for repairs of this host. Their runs are leased meanwhile, so that workers of all hosts count them.
#[derive(Debug)]
pub(super) struct Repairs {
    limits: Concurrency,
    overall: Arc<Semaphore>,
    tenants: Mutex<BTreeMap<String, Arc<Semaphore>>>,
}

/// Held while one is made.
#[derive(Debug)]
pub(super) struct Room {
    _overall: Option<OwnedSemaphorePermit>,
    _of_tenant: Option<OwnedSemaphorePermit>,
}

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(Semaphore::MAX_PERMITS).clamp(1, Semaphore::MAX_PERMITS)
}

impl Repairs {
    pub(super) fn new(limits: Concurrency) -> Self {
        Self { limits, overall: Arc::new(Semaphore::new(size(limits.overall))), tenants: Mutex::default() }
    }

    /// Waits for room, in the order of arrival: connections are bounded, and so is who waits here.
    pub(super) async fn room(&self, tenant: &str) -> Room {
        let of_tenant = self.of_tenant(tenant);
        // Never closed.
        Room {
            _of_tenant: of_tenant.acquire_owned().await.ok(),
            _overall: self.overall.clone().acquire_owned().await.ok(),
        }
    }

    fn of_tenant(&self, tenant: &str) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = tenants.get(tenant) {
            return Arc::clone(found);
        }
        // Those that nobody uses now need not be remembered.
        tenants.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        let new = Arc::new(Semaphore::new(size(self.limits.per_tenant)));
        tenants.insert(tenant.to_owned(), Arc::clone(&new));
        new
    }

    /// Whether none is being made.
    pub(super) fn is_idle(&self) -> bool {
        self.overall.available_permits() == size(self.limits.overall)
    }
}

/// Finishes repairs whose targets hold them, until the host ends, and then what is left.
pub(super) async fn finish(shared: Arc<Shared>) {
    let mut phase = shared.phase.clone();
    loop {
        tokio::select! {
            () = shared.host.committed_waits() => {}
            _ = phase.wait_for(|phase| *phase == Phase::Ending) => break,
        }
        if let Err(problem) = shared.host.finish_committed().await {
            tracing::warn!(%problem, "repairs could not be finished yet");
            tokio::time::sleep(AGAIN).await;
        }
    }
    let rounds = async { while matches!(shared.host.finish_committed().await, Ok(1..)) {} };
    if tokio::time::timeout(LAST_ROUNDS_MAX, rounds).await.is_err() {
        tracing::info!("some repairs are left to be finished by the next host");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_room_for_so_many_of_a_tenant_and_so_many_in_all() {
        let repairs = Repairs::new(Concurrency { overall: 3, per_tenant: 2 });
        let held = [repairs.room("a").await, repairs.room("a").await];
        let third = tokio::time::timeout(Duration::from_millis(1), repairs.room("a")).await;
        assert!(third.is_err(), "a tenant has room for two");
        let other = repairs.room("b").await;
        let fourth = tokio::time::timeout(Duration::from_millis(1), repairs.room("c")).await;
        assert!(fourth.is_err() && !repairs.is_idle(), "three are the most");
        drop((held, other));
        assert!(repairs.is_idle());
        drop(repairs.room("d").await);
        assert_eq!(repairs.tenants.lock().unwrap().len(), 1, "nobody uses the others");
    }
}
