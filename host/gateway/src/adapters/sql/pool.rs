//! Connections to a target that wait for their next use, in a host that runs for long: opening one costs more
//! than a small repair. What goes back here is as it was when it was opened; what is not known to be is closed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, Role};
use super::engine::Engine;
use super::flush::shared::{FileId, file_id};
use crate::target::Target;

/// After so long a connection is asked whether its server is still there before it is used.
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// After so long it is closed.
const KEPT: Duration = Duration::from_secs(60);

/// The idle connections of a target; its clones share them.
#[derive(Clone, Default)]
pub(crate) struct Pool {
    idle: Arc<Mutex<Vec<Idle>>>,
    /// Idle ones at most; none where nothing is kept.
    max: usize,
}

struct Idle {
    connection: Connection,
    role: Role,
    since: Instant,
    /// SQLite: a file that was put in the target's place is another one.
    file: Option<FileId>,
}

impl Pool {
    pub(crate) fn of(max: usize) -> Self {
        Self { idle: Arc::default(), max }
    }

    /// One that can be used.
    pub(super) async fn take(&self, target: &Target, role: Role) -> Option<Connection> {
        if self.max == 0 {
            return None;
        }
        let file = if target.engine == Engine::Sqlite { file_id(target) } else { None };
        while let Some(idle) = self.last(role) {
            let age = idle.since.elapsed();
            let mut connection = idle.connection;
            if age > KEPT || idle.file != file {
                continue;
            }
            if target.engine == Engine::Postgres && age > ASKED_AFTER {
                let asked = connection.rows("SELECT 1::text", vec![]).await;
                if asked.is_err() {
                    continue;
                }
            }
            return Some(connection);
        }
        None
    }

    fn last(&self, role: Role) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let place = idle.iter().rposition(|idle| idle.role == role)?;
        Some(idle.swap_remove(place))
    }

    fn put(&self, idle: Idle) {
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|idle| idle.since.elapsed() <= KEPT);
        if all.len() < self.max {
            all.push(idle);
        }
    }
}

impl Connection {
    /// Lets it be used again, as it was when it was opened; nobody waits for that. Closes it where nothing is
    /// kept.
    pub(crate) async fn give_back(mut self, target: &Target, role: Role) {
        if target.pool.max == 0 {
            return self.close().await;
        }
        let target = target.clone();
        let back = async move {
            if self.renew(&target, role).await.is_err() {
                return;
            }
            let file = if target.engine == Engine::Sqlite { file_id(&target) } else { None };
            target.pool.put(Idle { connection: self, role, since: Instant::now(), file });
        };
        tokio::spawn(back);
    }
}
