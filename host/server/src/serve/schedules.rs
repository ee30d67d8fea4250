//! Looks at the clock, for ever: what is due by it is begun once, by whichever host is first.

use std::sync::Arc;
use std::time::Duration;

use super::{Phase, Shared};

/// Between two looks: a schedule's finest field is a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn keep(shared: Arc<Shared>) {
    if shared.host.config().schedules.is_empty() {
        return;
    }
    loop {
        if *shared.phase.borrow() == Phase::Working {
            match shared.host.run_schedules().await {
                Ok(true) => shared.bell.ring(),
                Ok(false) => {}
                Err(problem) => tracing::warn!(%problem, "schedules were not looked at"),
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
