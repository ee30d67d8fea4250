//! What the last look at the switches said, and when that was.
//!
//! A host sends a COMMIT only if it looked within the last [`AGE_MAX`] of its monotonic clock (P8): a host
//! that is cut off from the control store stops by itself.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use mendwright_core::switch::Switch;
use mendwright_store::Store;

use super::Shared;
use crate::engine::{halt, problem, time};
use crate::view::problem::Problem;

/// Between two looks: two of them may fail before a look is too old.
pub const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How old a look may be that a commit stands on.
pub const AGE_MAX: Duration = Duration::from_millis(100);

/// One look at the switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// When it began, by the monotonic clock: what was thrown later it may not have seen.
    pub at: Instant,
    /// The switches' epoch.
    pub epoch: u64,
    /// The kill switch, where it was thrown.
    pub kill: Option<Switch>,
}

impl Look {
    /// Looks now.
    ///
    /// # Errors
    /// The control store does not answer.
    pub async fn now(store: &Store) -> Result<Self, Problem> {
        let at = now();
        let switches = store.switches().await.map_err(problem::store)?;
        Ok(Self { at, epoch: switches.epoch, kill: halt::kill(&switches, time::now_us()) })
    }

    /// Whether a commit may stand on it, at this moment.
    #[must_use]
    pub fn may_commit(&self, now: Instant) -> bool {
        self.kill.is_none() && now.saturating_duration_since(self.at) <= AGE_MAX
    }
}

/// The last look.
#[derive(Debug)]
pub struct Gate(RwLock<Look>);

impl Gate {
    /// After a first look.
    ///
    /// # Errors
    /// The control store does not answer.
    pub async fn open(store: &Store) -> Result<Self, Problem> {
        Ok(Self(RwLock::new(Look::now(store).await?)))
    }

    /// What it said.
    #[must_use]
    pub fn last(&self) -> Look {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks again: at the epoch alone, unless it changed or a switch may have run out.
    async fn again(&self, store: &Store) -> Result<Look, Problem> {
        let last = self.last();
        let at = now();
        let epoch = store.switch_epoch().await.map_err(problem::store)?;
        let look = if epoch == last.epoch && last.kill.is_none() {
            Look { at, epoch, kill: None }
        } else {
            Look::now(store).await?
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = look.clone();
        Ok(look)
    }
}

/// Looks every [`LOOK_EVERY`], for ever; takes back what is pending when the kill switch was thrown.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut done = None;
    let mut failed = false;
    loop {
        every.tick().await;
        match shared.gate.again(shared.host.store()).await {
            Ok(Look { epoch, kill: Some(kill), .. }) if done != Some(epoch) => {
                tracing::warn!(by = kill.by, reason = kill.reason, "the kill switch is thrown");
                match halt::cancel_pending(shared.host.store(), &kill).await {
                    Ok(_) => done = Some(epoch),
                    Err(problem) => tracing::error!(%problem, "what is pending was not taken back"),
                }
                failed = false;
            }
            Ok(_) => failed = false,
            Err(problem) => {
                // Once, not twenty times a second.
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!(%problem, "the switches cannot be read");
                }
            }
        }
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the age of a look is measured by the monotonic clock (P8)")]
    Instant::now()
}

#[cfg(test)]
mod tests {
    use mendwright_core::switch::{Kind, Running, Scope};

    use super::*;

    #[tokio::test]
    async fn a_look_sees_what_was_thrown_and_grows_old() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_file(&dir.path().join("control.db"), "test", time::now_us()).await.unwrap();
        let gate = Gate::open(&store).await.unwrap();
        let look = gate.last();
        assert!(look.may_commit(look.at) && look.may_commit(look.at + AGE_MAX));
        assert!(!look.may_commit(look.at + AGE_MAX + Duration::from_millis(1)));
        let (reason, by) = ("enough".to_owned(), "person:alice".to_owned());
        let (at_us, expires_at_us) = (time::now_us(), None);
        let kill = Switch {
            kind: Kind::Kill,
            scope: Scope::Everything,
            is_on: true,
            reason,
            by,
            at_us,
            expires_at_us,
            running: Running::Wait,
        };
        store.throw(&kill).await.unwrap();
        let look = gate.again(&store).await.unwrap();
        assert_eq!((look.epoch, look.kill.as_ref()), (1, Some(&kill)));
        assert!(!look.may_commit(look.at) && gate.last() == look);
        store.throw(&Switch { is_on: false, ..kill }).await.unwrap();
        assert!(gate.again(&store).await.unwrap().kill.is_none());
    }
}
