//! Who may write a tenant's rows of a table: one run at a time, and never a stale attempt of it.
//!
//! PostgreSQL: the fence row names the run, its attempt and its backend before the flush begins; the
//! flush holds it `FOR SHARE`. SQLite: `BEGIN IMMEDIATE` admits one writer. On both the flush holds its
//! run's row of `attempts` too, see [`super::attempt`].

use std::time::Duration;

use mendwright_core::code::Code;
use tokio::time::Instant;

use super::super::connection::{Arg, Connection, Role};
use super::super::engine::Engine;
use super::super::raw::Raw;
use super::attempt;
use super::journal::own_table;
use crate::error::{Error, Result};
use crate::target::Target;

/// A held fence.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    tenant: String,
    run: String,
    attempt: u64,
    /// Physical tables with their schemas, sorted.
    relations: Vec<String>,
    pub(super) epoch: i64,
}

/// Between two looks at whether a fence is free, or a backend gone.
const POLL: Duration = Duration::from_millis(20);

/// Looks at a backend that is told to end: four seconds of them.
const ENDS_MAX: usize = 200;

const FREE: &str = "fence.run IS NULL OR (fence.run = excluded.run AND fence.attempt <= excluded.attempt) OR NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.pid = fence.pid AND a.backend_start::text = fence.backend_start)";

impl Fence {
    pub(super) fn new(tenant: &str, run: &str, attempt: u64, mut relations: Vec<String>) -> Self {
        relations.sort();
        relations.dedup();
        Self { tenant: tenant.to_owned(), run: run.to_owned(), attempt, relations, epoch: 1 }
    }

    /// PostgreSQL, before the flush: puts this backend's name on each fence row.
    pub(super) async fn take(&mut self, connection: &mut Connection, target: &Target) -> Result<()> {
        attempt::end_former_backends(connection, target, &self.run, self.attempt).await?;
        let (table, now) = (own_table(target, "fence"), attempt::NOW_POSTGRES);
        let sql = format!(
            "INSERT INTO {table} AS fence (tenant, relation, epoch, run, attempt, since_us, pid, backend_start)
             SELECT $1, $2, 1, $3, $4, {now}, pid, backend_start::text
               FROM pg_stat_activity WHERE pid = pg_backend_pid()
             ON CONFLICT (tenant, relation) DO UPDATE SET epoch = fence.epoch + 1, run = excluded.run,
               attempt = excluded.attempt, since_us = excluded.since_us, pid = excluded.pid,
               backend_start = excluded.backend_start WHERE {FREE} RETURNING epoch::text"
        );
        let until = Instant::now() + target.lock_timeout;
        while let Some(relation) = self.try_take(connection, &sql, until).await? {
            // Unless the very last look finds it free.
            if Instant::now() >= until {
                return Err(self.is_held(connection, target, &relation).await);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
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
            match connection.one(sql, self.args(relation)).await {
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

    fn args(&self, relation: &str) -> Vec<Arg> {
        let texts = [self.tenant.as_str(), relation, self.run.as_str()];
        texts.into_iter().map(Arg::text).chain([attempt::arg(self.attempt)]).collect()
    }

    /// Names the run that has a fence row.
    async fn is_held(&self, connection: &mut Connection, target: &Target, relation: &str) -> Error {
        let sql = format!("SELECT run FROM {} WHERE tenant = $1 AND relation = $2", own_table(target, "fence"));
        let holder = connection.one(&sql, vec![Arg::text(self.tenant.clone()), Arg::text(relation)]).await;
        let holder = holder.ok().and_then(|run| run.text().map(ToOwned::to_owned));
        if holder.as_ref() == Some(&self.run) {
            return attempt::lost();
        }
        Error::unavailable(
            Code::TargetLocked,
            format!(
                "{} is writing the tenant's rows of {relation}: it holds their fence for longer than `lock_timeout`",
                holder.as_deref().unwrap_or("another run")
            ),
        )
    }

    /// Inside the flush: whether fence and run are still this attempt's; if so they stay it until the end.
    pub(super) async fn hold(&self, connection: &mut Connection, target: &Target) -> Result<bool> {
        match target.engine {
            Engine::Sqlite => self.hold_sqlite(connection, target).await,
            Engine::Postgres => self.hold_postgres(connection, target).await,
        }
    }

    async fn hold_sqlite(&self, connection: &mut Connection, target: &Target) -> Result<bool> {
        let (announce, table) = (attempt::announce(target), own_table(target, "fence"));
        let own = vec![Arg::text(self.run.clone()), attempt::arg(self.attempt)];
        if connection.execute(&announce, own).await? == 0 {
            return Ok(false);
        }
        let sql = format!(
            "INSERT INTO {table} (tenant, relation, epoch, run, attempt, since_us)
             VALUES (?1, ?2, 1, ?3, ?4, {now})
             ON CONFLICT (tenant, relation) DO UPDATE SET epoch = epoch + 1, run = excluded.run,
               attempt = excluded.attempt, since_us = excluded.since_us",
            now = attempt::NOW_SQLITE
        );
        for relation in &self.relations {
            connection.execute(&sql, self.args(relation)).await?;
        }
        Ok(true)
    }

    /// Both in one message: each costs the flush what a small write does.
    async fn hold_postgres(&self, connection: &mut Connection, target: &Target) -> Result<bool> {
        let sql = format!(
            "WITH own AS ({} RETURNING 1), held AS (SELECT relation FROM {}
               WHERE tenant = $3 AND relation = ANY($4) AND run = $1 AND attempt = $2 AND pid = pg_backend_pid()
               ORDER BY relation FOR SHARE)
             SELECT (SELECT count(*) FROM own)::text, (SELECT count(*) FROM held)::text",
            attempt::announce(target),
            own_table(target, "fence"),
        );
        let relations = self.relations.iter().cloned().map(Some).collect();
        let args = vec![
            Arg::text(self.run.clone()),
            attempt::arg(self.attempt),
            Arg::text(self.tenant.clone()),
            Arg::Texts(relations),
        ];
        let counts: Vec<i64> = connection.rows(&sql, args).await?.iter().flatten().filter_map(Raw::integer).collect();
        Ok(counts == [1, i64::try_from(self.relations.len()).unwrap_or(i64::MAX)])
    }

    /// Lets the next run in; inside the flush, or after it was rolled back.
    pub(super) async fn release(&self, connection: &mut Connection, target: &Target) -> Result<()> {
        let table = own_table(target, "fence");
        let [run, attempt] = if target.engine == Engine::Sqlite { ["?1", "?2"] } else { ["$1", "$2"] };
        let sql = format!(
            "UPDATE {table} SET run = NULL, attempt = NULL, since_us = NULL, pid = NULL, backend_start = NULL
             WHERE run = {run} AND attempt = {attempt}"
        );
        connection.execute(&sql, vec![Arg::text(self.run.clone()), attempt::arg(self.attempt)]).await?;
        Ok(())
    }
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
            let mut connection = Connection::open(target, Role::Write).await?;
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
