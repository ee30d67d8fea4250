//! PostgreSQL: looks after a dry run's snapshot, and ends it before the application has waited for it
//! longer than it may.
//!
//! A snapshot holds the weakest lock that there is on each table it read. Only a schema change waits
//! for that; but everything else then waits behind the schema change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use mendwright_core::code::Code;

use super::connection::{Arg, Connection, Role};
use crate::error::{Error, Result};
use crate::target::Target;

/// Looks within the time that an application may wait: the wait is seen at most a fifth of it late.
const LOOKS: u32 = 5;

/// No more often than this: a look costs the server about a millisecond.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Whether anybody waits for a lock that the backend holds. `pg_locks` shows this to every role.
const SOMEBODY_WAITS: &str =
    "SELECT count(*)::text FROM pg_locks w WHERE NOT w.granted AND $1::text::int = ANY (pg_blocking_pids(w.pid))";

/// Ends the backend, if it still is the one that we opened.
const END: &str = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
     WHERE pid = $1::text::int AND backend_start::text = $2";

/// Someone who looks after a snapshot; dropped with it.
pub(crate) struct Watch {
    task: JoinHandle<()>,
    ended: Arc<AtomicBool>,
    max: Duration,
}

impl Watch {
    /// Begins to look after the snapshot that this connection is about to take.
    pub(crate) async fn start(target: &Target, snapshot: &mut Connection) -> Result<Self> {
        let own: Vec<String> = snapshot.backend().await?.into_iter().flatten().collect();
        let ended = Arc::new(AtomicBool::new(false));
        let max = target.dry_run_lock_max;
        let watcher = Watcher { target: target.clone(), connection: None, own, max, ended: Arc::clone(&ended) };
        Ok(Self { task: tokio::spawn(watcher.watch()), ended, max })
    }

    /// Why the snapshot is no more, if this is why.
    pub(crate) fn ended(&self) -> Option<Error> {
        self.ended.load(Ordering::Acquire).then(|| {
            Error::unavailable(
                Code::LockWait,
                format!(
                    "the application waited for the dry run longer than dry_run_lock_ms_max = {} ms allows; the dry run was ended",
                    self.max.as_millis()
                ),
            )
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Watcher {
    target: Target,
    /// Opened for the first look: most dry runs are over by then.
    connection: Option<Connection>,
    /// The snapshot's backend: pid and start.
    own: Vec<String>,
    max: Duration,
    ended: Arc<AtomicBool>,
}

impl Watcher {
    async fn watch(mut self) {
        let pause = (self.max / LOOKS).max(PAUSE_MIN);
        let mut waits_since: Option<Instant> = None;
        loop {
            tokio::time::sleep(pause).await;
            let waits = match self.somebody_waits().await {
                Ok(waits) => waits,
                // Who cannot look must not let anybody wait.
                Err(error) => {
                    tracing::warn!(%error, "the locks of a dry run cannot be looked after");
                    true
                }
            };
            if !waits {
                waits_since = None;
                continue;
            }
            let now = now();
            // It may have begun right after the last look, and goes on until the next.
            let since = *waits_since.get_or_insert(now.checked_sub(pause).unwrap_or(now));
            if now.duration_since(since) + pause >= self.max {
                self.ended.store(true, Ordering::Release);
                let args = self.own.iter().cloned().map(Arg::text).collect();
                let end = async { self.connection().await?.rows(END, args).await };
                if let Err(error) = end.await {
                    tracing::warn!(%error, "the snapshot of a dry run could not be ended");
                }
                return;
            }
        }
    }

    async fn somebody_waits(&mut self) -> Result<bool> {
        let pid = self.own.first().cloned().unwrap_or_default();
        Ok(self.connection().await?.count(SOMEBODY_WAITS, vec![Arg::text(pid)]).await? > 0)
    }

    async fn connection(&mut self) -> Result<&mut Connection> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(&self.target, Role::Read).await?);
        }
        self.connection.as_mut().ok_or_else(|| Error::Internal("a connection was opened and is not there".to_owned()))
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "measures how long somebody waits")]
    Instant::now()
}
