//! Who may write a tenant's rows of a table: one run at a time, and never a stale attempt of it.
//!
//! PostgreSQL: the fence row names the run, its attempt and its backend before the flush begins; the
//! flush holds it `FOR SHARE`. SQLite: `BEGIN IMMEDIATE` admits one writer. On both the flush holds its
//! run's row of `attempts` too, see [`super::attempt`].

use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_core::plan::header::Digest;
use tokio::time::Instant;

use super::super::connection::{Arg, Connection, Role};
use super::super::engine::Engine;
use super::attempt;
use super::journal::{FlushId, own_table};
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
        let Some(backend) = connection.backend().await? else {
            return Err(Error::unavailable(Code::TargetUnavailable, "the server does not know this connection"));
        };
        let until = Instant::now() + target.lock_timeout;
        if self.take_at_once(connection, target, &backend).await? {
            return Ok(());
        }
        attempt::end_former_backends(connection, target, &self.run, self.attempt).await?;
        let sql = Self::statement(target, "");
        while let Some(relation) = self.try_take(connection, &sql, &backend, until).await? {
            // Unless the very last look finds it free.
            if Instant::now() >= until {
                return Err(self.is_held(connection, target, &relation).await);
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// One fence row, by one statement that is a transaction of its own, where nothing is in the way: neither
    /// another run nor a former backend of this one.
    async fn take_at_once(
        &mut self,
        connection: &mut Connection,
        target: &Target,
        backend: &[String; 2],
    ) -> Result<bool> {
        let [relation] = self.relations.as_slice() else { return Ok(false) };
        let former = format!("AND NOT EXISTS (SELECT 1 {})", attempt::backends_of("$7::text"));
        let mut args = self.args(relation, backend);
        args.push(Arg::text(attempt::name_of(&self.run)));
        match connection.one(&Self::statement(target, &former), args).await {
            Ok(epoch) => Ok(epoch.integer().map(|epoch| self.epoch = self.epoch.max(epoch)).is_some()),
            Err(Error::Unavailable { code: Code::TargetLocked, source: None, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes one row, if it is free and the condition holds. Not durable by itself: should the server fall, its
    /// backend falls with it, and a flush that commits makes everything before it durable.
    fn statement(target: &Target, condition: &str) -> String {
        let (table, now) = (own_table(target, "fence"), attempt::NOW_POSTGRES);
        format!(
            "INSERT INTO {table} AS fence (tenant, relation, epoch, run, attempt, since_us, pid, backend_start)
             SELECT $1, $2, 1, $3, $4, {now}, $5::text::int, $6
               WHERE set_config('synchronous_commit', 'off', true) = 'off' {condition}
             ON CONFLICT (tenant, relation) DO UPDATE SET epoch = fence.epoch + 1, run = excluded.run,
               attempt = excluded.attempt, since_us = excluded.since_us, pid = excluded.pid,
               backend_start = excluded.backend_start WHERE {FREE} RETURNING epoch::text"
        )
    }

    /// Takes every fence row or none; gives the first that another run has.
    async fn try_take(
        &mut self,
        connection: &mut Connection,
        sql: &str,
        backend: &[String; 2],
        until: Instant,
    ) -> Result<Option<String>> {
        // Behind a flush that holds its row, the database does the waiting; no longer than is left.
        let left = until.saturating_duration_since(Instant::now()).max(POLL);
        connection.batch(&format!("BEGIN; SET LOCAL lock_timeout = {}", left.as_millis())).await?;
        let taken = self.take_all(connection, sql, backend).await;
        let end = if matches!(taken, Ok(None)) { "COMMIT" } else { "ROLLBACK" };
        let ended = connection.batch(end).await;
        let taken = taken?;
        ended.map(|()| taken)
    }

    async fn take_all(
        &mut self,
        connection: &mut Connection,
        sql: &str,
        backend: &[String; 2],
    ) -> Result<Option<String>> {
        for relation in &self.relations {
            match connection.one(sql, self.args(relation, backend)).await {
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

    fn args(&self, relation: &str, backend: &[String]) -> Vec<Arg> {
        let texts = [self.tenant.as_str(), relation, self.run.as_str()].into_iter().map(Arg::text);
        let backend = backend.iter().map(Arg::text);
        texts.chain([attempt::arg(self.attempt)]).chain(backend).collect()
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

    /// SQLite, inside the flush: whether fence and run are still this attempt's; if so they stay it until the
    /// end.
    pub(super) async fn hold_sqlite(&self, connection: &mut Connection, target: &Target) -> Result<bool> {
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
            connection.execute(&sql, self.args(relation, &[])).await?;
        }
        Ok(true)
    }

    /// PostgreSQL, the flush's first statement: the same, with the tenant said and what else is asked first, in one
    /// message: each costs a flush what a small write does. Whoever took the fence is alone with its run and its
    /// tenant's rows, so that nothing of it can change while this waits.
    pub(super) async fn hold_postgres(
        &self,
        connection: &mut Connection,
        target: &Target,
        (id, digest): (FlushId<'_>, Digest),
    ) -> Result<Held> {
        let sql = format!(
            "WITH own AS ({} RETURNING 1), held AS (SELECT relation FROM {}
               WHERE tenant = $3 AND relation = ANY($4) AND run = $1 AND attempt = $2 AND pid = pg_backend_pid()
               ORDER BY relation FOR SHARE)
             SELECT (SELECT count(*) FROM own)::text, (SELECT count(*) FROM held)::text,
               (SELECT count(*) FROM {} WHERE batch = $5 AND (digest = $6 OR (run = $1 AND generation = $7)))::text,
               (SELECT string_agg(value, ' ' ORDER BY key) FROM {} WHERE key IN ('format', 'identity')),
               set_config('mendwright.tenant', $3, true)",
            attempt::announce(target),
            own_table(target, "fence"),
            own_table(target, "commits"),
            own_table(target, "meta"),
        );
        let relations = self.relations.iter().cloned().map(Some).collect();
        let args = vec![
            Arg::text(self.run.clone()),
            attempt::arg(self.attempt),
            Arg::text(self.tenant.clone()),
            Arg::Texts(relations),
            Arg::Int(i64::from(id.batch)),
            Arg::text(digest.to_string()),
            Arg::Int(i64::from(id.generation)),
        ];
        let found = connection.rows(&sql, args).await?;
        let [own, held, used, target, _tenant] = found.first().map(Vec::as_slice).unwrap_or_default() else {
            return Err(Error::Internal("the fence answered nothing".to_owned()));
        };
        Ok(Held {
            is_held: own.integer() == Some(1) && held.integer() == i64::try_from(self.relations.len()).ok(),
            is_used: used.integer() != Some(0),
            target: target.text().map(ToOwned::to_owned),
        })
    }

    /// Lets the next run in; inside the flush, or after it was rolled back.
    pub(super) async fn release(&self, connection: &mut Connection, target: &Target) -> Result<()> {
        let [run, attempt] = if target.engine == Engine::Sqlite { ["?1", "?2"] } else { ["$1", "$2"] };
        connection.execute(&Self::released(target, run, attempt), self.own()).await?;
        Ok(())
    }

    /// The statement that does, with the parameters of [`Fence::own`] in these places.
    pub(super) fn released(target: &Target, run: &str, attempt: &str) -> String {
        format!(
            "UPDATE {} SET run = NULL, attempt = NULL, since_us = NULL, pid = NULL, backend_start = NULL
             WHERE run = {run} AND attempt = {attempt}",
            own_table(target, "fence")
        )
    }

    /// The run and its attempt.
    pub(super) fn own(&self) -> Vec<Arg> {
        vec![Arg::text(self.run.clone()), attempt::arg(self.attempt)]
    }
}

/// What is said at the beginning of a flush.
pub(super) struct Held {
    /// Fence and run are this attempt's until the end.
    pub(super) is_held: bool,
    /// The target knows the plan or the flush already.
    pub(super) is_used: bool,
    /// What `database init` wrote: format and identity. SQLite is asked for it.
    pub(super) target: Option<String>,
}

/// The server's side of a connection.
pub(super) struct Backend {
    /// PostgreSQL: its number, and when it started.
    id: Option<[String; 2]>,
}

impl Backend {
    pub(super) async fn of(connection: &mut Connection) -> Result<Self> {
        Ok(Self { id: connection.backend().await? })
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
