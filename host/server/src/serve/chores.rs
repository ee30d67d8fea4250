//! What a host does beside its work, again and again, as long as it runs. Any number of hosts do the same:
//! each of these is done once, whoever comes first.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Phase, Shared};
use crate::view::problem::Problem;

/// Something to be done now and then.
#[derive(Clone, Copy, Debug)]
enum Chore {
    /// Plans that became too old are marked.
    Expire,
    /// Rollouts go on.
    Rollouts,
    /// What is due by the clock is begun.
    Schedules,
    /// The audit log is sequenced, signed and sent elsewhere.
    Audit,
}

impl Chore {
    const ALL: [Self; 4] = [Self::Expire, Self::Rollouts, Self::Schedules, Self::Audit];

    /// The pause between two times.
    const fn every(self) -> Duration {
        match self {
            // Applying one looks by itself.
            Self::Expire => Duration::from_secs(30),
            // A wave is watched by a person, who sees the next one begin within a second; a schedule's finest
            // field is a second.
            Self::Rollouts | Self::Schedules => Duration::from_secs(1),
            // What waits is in the store: only its place in the log is late.
            Self::Audit => Duration::from_secs(2),
        }
    }

    const fn failed(self) -> &'static str {
        match self {
            Self::Expire => "plans that are too old were not marked",
            Self::Rollouts => "rollouts were not driven",
            Self::Schedules => "schedules were not looked at",
            Self::Audit => "the audit log was not kept up to date",
        }
    }

    /// Whether there is anything to do, ever.
    fn is_needed(self, shared: &Shared) -> bool {
        match self {
            Self::Schedules => !shared.host.config().schedules.is_empty(),
            Self::Expire | Self::Rollouts | Self::Audit => true,
        }
    }

    /// Whether it begins new work, which a host that is to end leaves to others.
    const fn begins_work(self) -> bool {
        match self {
            Self::Rollouts | Self::Schedules => true,
            Self::Expire | Self::Audit => false,
        }
    }

    async fn once(self, shared: &Shared) -> Result<(), Problem> {
        let began = match self {
            Self::Expire => {
                match shared.host.expire_overdue().await? {
                    0 => {}
                    n => tracing::info!(n, "plans became too old"),
                }
                false
            }
            Self::Rollouts => shared.host.drive_rollouts().await?,
            Self::Schedules => shared.host.run_schedules().await?,
            Self::Audit => {
                shared.host.keep_audit().await?;
                false
            }
        };
        if began {
            shared.bell.ring();
        }
        Ok(())
    }
}

/// Begins all of them.
pub(super) fn begin(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    for chore in Chore::ALL.into_iter().filter(|chore| chore.is_needed(shared)) {
        let shared = shared.clone();
        tasks.spawn(async move {
            loop {
                let may = !chore.begins_work() || *shared.phase.borrow() == Phase::Working;
                if may && let Err(problem) = chore.once(&shared).await {
                    tracing::warn!(%problem, "{}", chore.failed());
                }
                tokio::time::sleep(chore.every()).await;
            }
        });
    }
}
