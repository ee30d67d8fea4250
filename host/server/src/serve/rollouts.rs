//! Drives rollouts, for ever: any host does, under a lease.

use std::sync::Arc;
use std::time::Duration;

use super::{Phase, Shared};

/// Between two looks: a wave is watched by a person, who sees the next one begin within a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn drive(shared: Arc<Shared>) {
    loop {
        if *shared.phase.borrow() == Phase::Working {
            match shared.host.drive_rollouts().await {
                Ok(true) => shared.bell.ring(),
                Ok(false) => {}
                Err(problem) => tracing::warn!(%problem, "rollouts were not driven"),
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
