//! Who may write a tenant's rows of a table: one run at a time, and never a stale one.
//!
//! PostgreSQL: the fence row names the run, its epoch and its backend before the flush begins; the
//! flush holds it `FOR SHARE`. Whoever takes it over first ends that backend, so that what it then
//! reads of the journal is final. SQLite: `BEGIN IMMEDIATE` admits one writer, and the epoch counts.

use std::time::Duration;

use mendwright_core::code::Code;
use tokio::time::Instant;

use super::super::connection::{Arg, Connection};
use super::super::engine::Engine;
use super::journal::own_table;
use crate::error::{Error, Result};
use crate::target::Target;

/// A held fence.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    tenant: String,
    run: String,
    /// Physical tables with their schemas, sorted.
    relations: Vec<String>,
    pub(super) epoch: i64,
}

/// Between two looks at whether a fence is free, or a backend gone.
const POLL: Duration = Duration::from_millis(20);

/// Looks at a backend that is told to end: four seconds of them.
const ENDS_MAX: usize = 200;

/// What stands before a run's id in the `application_name` of the connection that flushes it.
const NAME: &str = "mendwright ";

const FREE: &str = "fence.run IS NULL OR fence.run = excluded.run OR NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.pid = fence.pid AND a.backend_start::text = fence.backend_start)";

impl Fence {
    /// PostgreSQL, before the flush: puts this backend's name on each fence row.
    pub(super) async fn take(
        connection: &mut Connection,
        target: &Target,
        tenant: &str,
        run: &str,
        mut relations: Vec<String>,
    ) -> Result<Self> {
        relations.sort();
        relations.dedup();
        let mut fence = Self { tenant: tenant.to_owned(), run: run.to_owned(), relations, epoch: 1 };
        if target.engine == Engine::Sqlite {
            return Ok(fence);
        }
        end_former_backend(connection, target, run).await?;
        let table = own_table(target, "fence");
        let sql = format!(
            "INSERT INTO {table} AS fence (tenant, relation, epoch, run, pid, backend_start)
             SELECT $1, $2, 1, $3, pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()
             ON CONFLICT (tenant, relation) DO UPDATE SET epoch = fence.epoch + 1, run = excluded.run,
               pid = excluded.pid, backend_start = excluded.backend_start WHERE {FREE} RETURNING epoch::text"
        );
        let until = Instant::now() + target.lock_timeout;
        while let Some(relation) = fence.try_take(connection, &sql, until).await? {
            // Unless the very last look finds it free.
            if Instant::now() >= until {
                return Err(fence.is_held(connection, target, &relation).await);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(fence)
    }

    /// Takes every fence row or none; gives the first that another run has.
    async fn try_take(&mut self, connection: &mut Connection, sql: &str, until: Instant) -> Result<Option<String>> {
        // Behind a flush that holds its row, the database does the waiting; no longer than is left.
        let left = until.saturating_duration_since(Instant::now()).max(POLL);
        // Not durable by itself: should the server fall, its backend falls with it, and a flush that
        // commits makes everything before it durable.
        connection
            .batch(&format!("BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = {}", left.as_millis()))
            .await?;
        let taken = self.take_all(connection, sql).await;
        let end = if matches!(taken, Ok(None)) { "COMMIT" } else { "ROLLBACK" };
        let ended = connection.batch(end).await;
        let taken = taken?;
        ended.map(|()| taken)
    }

    async fn take_all(&mut self, connection: &mut Connection, sql: &str) -> Result<Option<String>> {
        for relation in &self.relations {
            let args = vec![Arg::text(self.tenant.clone()), Arg::text(relation.clone()), Arg::text(self.run.clone())];
            match connection.one(sql, args).await {
                Ok(epoch) => match epoch.integer() {
                    Some(epoch) => self.epoch = self.epoch.max(epoch),
                    None => return Ok(Some(relation.clone())),
                },
                Err(Error::Unavailable { code: Code::TargetLocked, source: None, .. }) => {
                    return Ok(Some(relation.clone()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Names the run that has a fence row.
    async fn is_held(&self, connection: &mut Connection, target: &Target, relation: &str) -> Error {
        let sql = format!("SELECT run FROM {} WHERE tenant = $1 AND relation = $2", own_table(target, "fence"));
        let holder = connection.one(&sql, vec![Arg::text(self.tenant.clone()), Arg::text(relation)]).await;
        let holder = holder.ok().and_then(|run| run.text().map(ToOwned::to_owned));
        Error::unavailable(
            Code::TargetLocked,
            format!(
                "{} is writing the tenant's rows of {relation}: it holds their fence for longer than `lock_timeout`",
                holder.as_deref().unwrap_or("another run")
            ),
        )
    }

    /// Inside the flush: whether the fence is still this run's, and stays so until the end.
    pub(super) async fn hold(&self, connection: &mut Connection, target: &Target) -> Result<()> {
        let table = own_table(target, "fence");
        for relation in &self.relations {
            let args = vec![Arg::text(self.tenant.clone()), Arg::text(relation.clone()), Arg::text(self.run.clone())];
            let held = match target.engine {
                Engine::Sqlite => {
                    let sql = format!(
                        "INSERT INTO {table} (tenant, relation, epoch, run) VALUES (?1, ?2, 1, ?3)
                         ON CONFLICT (tenant, relation) DO UPDATE SET epoch = epoch + 1, run = excluded.run"
                    );
                    connection.execute(&sql, args).await? == 1
                }
                Engine::Postgres => {
                    let sql = format!(
                        "SELECT 1::text FROM {table} WHERE tenant = $1 AND relation = $2 AND run = $3
                           AND pid = pg_backend_pid() FOR SHARE"
                    );
                    connection.rows(&sql, args).await?.len() == 1
                }
            };
            if !held {
                return Err(Error::refused(Code::FenceLost, "another host took this run over"));
            }
        }
        Ok(())
    }

    /// Lets the next run in; inside the flush, or after it was rolled back.
    pub(super) async fn release(&self, connection: &mut Connection, target: &Target) -> Result<()> {
        let table = own_table(target, "fence");
        let run = if target.engine == Engine::Sqlite { "?1" } else { "$1" };
        let sql = format!("UPDATE {table} SET run = NULL, pid = NULL, backend_start = NULL WHERE run = {run}");
        connection.execute(&sql, vec![Arg::text(self.run.clone())]).await?;
        Ok(())
    }
}

/// PostgreSQL: says for which run this connection is, before it waits for anything.
pub(super) async fn introduce(connection: &mut Connection, run: &str) -> Result<()> {
    if connection.engine() == Engine::Sqlite {
        return Ok(());
    }
    let sql = "SELECT set_config('application_name', $1, false)";
    connection.rows(sql, vec![Arg::text(format!("{NAME}{run}"))]).await.map(drop)
}

/// The server's side of a connection.
pub(super) struct Backend {
    /// PostgreSQL: its number, and when it started.
    id: Option<[String; 2]>,
}

impl Backend {
    pub(super) async fn of(connection: &mut Connection) -> Result<Self> {
        if connection.engine() == Engine::Sqlite {
            return Ok(Self { id: None });
        }
        let sql = "SELECT pid::text, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let rows = connection.rows(sql, vec![]).await?;
        let texts: Vec<String> =
            rows.into_iter().flatten().filter_map(|raw| raw.text().map(ToOwned::to_owned)).collect();
        Ok(Self { id: texts.try_into().ok() })
    }

    /// Ends it, and waits until it is gone. Where that cannot be had it ends by itself, when its statement
    /// times out.
    pub(super) async fn end(self, target: &Target) {
        let Some([pid, start]) = self.id else { return };
        let ended = async {
            let mut connection = Connection::open(target, super::super::connection::Role::Write).await?;
            let sql = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
                 WHERE pid::text = $1 AND backend_start::text = $2";
            for _ in 0..ENDS_MAX {
                let args = vec![Arg::text(pid.as_str()), Arg::text(start.as_str())];
                if connection.rows(sql, args).await?.is_empty() {
                    break;
                }
                tokio::time::sleep(POLL).await;
            }
            connection.close().await;
            Ok::<_, Error>(())
        };
        if let Err(error) = ended.await {
            tracing::warn!(?error, "a rehearsal's statement goes on until its timeout");
        }
    }
}

/// PostgreSQL: ends the backend that wrote for this run before, if it is still there, and waits until
/// it is gone. Only then does the journal say what came of it.
pub(crate) async fn end_former_backend(connection: &mut Connection, target: &Target, run: &str) -> Result<()> {
    if target.engine == Engine::Sqlite {
        return Ok(());
    }
    // By name too: a former attempt may still wait for the fence row that is to carry its number.
    let alive = format!(
        "FROM pg_stat_activity a WHERE a.pid <> pg_backend_pid() AND a.datname = current_database()
           AND (a.application_name = '{NAME}' || $1 OR EXISTS (SELECT 1 FROM {} f WHERE f.run = $1
             AND a.pid = f.pid AND a.backend_start::text = f.backend_start))",
        own_table(target, "fence")
    );
    let end = format!("SELECT pg_terminate_backend(a.pid)::text {alive}");
    let count = format!("SELECT count(*)::text {alive}");
    // A backend that is told to end does so at its next check for interrupts, within milliseconds
    // unless its host is stopped in the middle of a result; then it takes the kernel's time.
    for _ in 0..ENDS_MAX {
        connection.rows(&end, vec![Arg::text(run)]).await?;
        if connection.count(&count, vec![Arg::text(run)]).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(Error::unavailable(
        Code::TargetLocked,
        "the database connection of a former attempt of this run does not end; try again, or end it by hand",
    ))
}
