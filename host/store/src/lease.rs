//! Who works on a run, and until when.
//!
//! A lease runs out by the database's clock. Taking one counts the run's attempt up: the number that every
//! later step, and the target's fence, must carry. So a process that comes back late writes nothing more.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_crash::{Point, reached};

use crate::db::{Conn, Place, dialect, query};
use crate::error::{Error, Result};
use crate::owner;
use crate::run::{RunNumber, RunRecord, from_row, read, select};
use crate::store::Store;

/// How long a lease lasts unless it is renewed: long enough for a stall of the disk or the network, short
/// enough that a dead host's work goes on before somebody looks for it.
pub const LEASE_US: i64 = 15_000_000;

/// How often it is renewed: two renewals may fail.
pub const RENEW_US: i64 = 5_000_000;

/// This process works on a run, until [`LEASE_US`] after it last said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: RunNumber,
    /// The fencing token.
    pub attempt: u64,
}

/// How many runs may be worked on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// In the whole fleet.
    pub overall: u32,
    /// For one tenant.
    pub per_tenant: u32,
}

impl Default for Concurrency {
    fn default() -> Self {
        // A component computes on one core; a tenant's repairs mostly wait for the same tables.
        Self { overall: 64, per_tenant: 4 }
    }
}

/// A run that is to be worked on, and the lease for it.
pub type Claimed = (RunRecord, Lease);

const FREE: &str = "(lease_until_us IS NULL OR lease_until_us <= {now})";

impl Store {
    /// Takes a run to work on it, whatever its state: at once or not at all.
    ///
    /// # Errors
    /// [`Error::Leased`] where another process (or another part of this one) works on it,
    /// [`Error::RunUnknown`].
    pub async fn claim(&self, run: RunNumber) -> Result<Lease> {
        let failed = self.failed("taking a run");
        for dead_were_looked_for in [false, true] {
            let mut writer = self.writer().await?;
            reached(Point::BeforeClaim);
            let taken = query(self.timed(
                "UPDATE runs SET attempt = attempt + 1, lease_owner = $1, lease_until_us = {now} + {lease} \
                 WHERE number = $2 AND {free} RETURNING attempt",
            ))
            .bind(self.owner())
            .bind(run.column())
            .scalar::<i64>(writer.conn())
            .await
            .map_err(failed)?;
            if let Some(attempt) = taken {
                reached(Point::Claimed);
                return Ok(Lease { run, attempt: count(run, attempt)? });
            }
            read(writer.conn(), run, failed).await?;
            drop(writer);
            if !dead_were_looked_for && !self.free_what_the_dead_hold().await? {
                break;
            }
        }
        Err(Error::Leased { run })
    }

    /// Takes runs whose task is due, the longest waiting first, within the limits.
    ///
    /// # Errors
    /// As any write.
    pub async fn claim_due(&self, at_most: u32, limits: Concurrency) -> Result<Vec<Claimed>> {
        let failed = self.failed("taking runs that are due");
        self.free_what_the_dead_hold().await?;
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let engine = self.engine();
        // Limits hold across hosts: they claim one after the other. Claiming takes a millisecond.
        query(format!("SELECT value FROM counters WHERE name = 'claim'{}", dialect::for_update(engine)))
            .optional(tx.conn())
            .await
            .map_err(failed)?;
        let busy = query(self.timed(
            "SELECT tenant, count(*) AS n FROM runs WHERE task IS NOT NULL AND lease_until_us > {now} GROUP BY tenant",
        ))
        .all(tx.conn())
        .await
        .map_err(failed)?;
        let mut room = Room::new(limits);
        for row in &busy {
            room.take(&row.try_get::<String>("tenant").map_err(failed)?, row.try_get("n").map_err(failed)?);
        }
        let mut claimed = Vec::new();
        let due = format!(
            "{}{}",
            self.timed(&select(
                "WHERE task IS NOT NULL AND due_at_us <= {now} AND {free} ORDER BY due_at_us, number LIMIT $1"
            )),
            dialect::for_update_skip_locked(engine)
        );
        // More than can be taken: a tenant at its limit must not keep the others waiting.
        let looked_at = i64::from(at_most).saturating_mul(LOOKED_AT);
        for row in query(due).bind(looked_at).all(tx.conn()).await.map_err(failed)? {
            let mut run = from_row(&row)?;
            if claimed.len() >= usize::try_from(at_most).unwrap_or(usize::MAX) {
                break;
            }
            if !room.has(&run.tenant) {
                continue;
            }
            room.take(&run.tenant, 1);
            reached(Point::BeforeClaim);
            let attempt = query(self.timed(
                "UPDATE runs SET attempt = attempt + 1, lease_owner = $1, lease_until_us = {now} + {lease} \
                 WHERE number = $2 RETURNING attempt",
            ))
            .bind(self.owner())
            .bind(run.number.column())
            .scalar::<i64>(tx.conn())
            .await
            .map_err(failed)?
            .ok_or_else(|| Error::Bug(format!("run {} is gone", run.number)))?;
            reached(Point::ClaimUncommitted);
            run.attempt = count(run.number, attempt)?;
            claimed.push((run.clone(), Lease { run: run.number, attempt: run.attempt }));
        }
        tx.commit().await.map_err(failed)?;
        claimed.iter().for_each(|_| reached(Point::Claimed));
        Ok(claimed)
    }

    /// Says that this process still works on a run.
    ///
    /// # Errors
    /// [`Error::Fenced`] where somebody else does since.
    pub async fn renew(&self, lease: Lease) -> Result<()> {
        let failed = self.failed("renewing a lease");
        let mut writer = self.writer().await?;
        let sql = self.timed(
            "UPDATE runs SET lease_until_us = {now} + {lease} WHERE number = $1 AND attempt = $2 AND lease_owner = $3",
        );
        let held = query(sql).bind(lease.run.column()).bind(column(lease.attempt)).bind(self.owner());
        if held.execute(writer.conn()).await.map_err(failed)? == 1 {
            return Ok(());
        }
        let found = read(writer.conn(), lease.run, failed).await?;
        Err(Error::Fenced { run: lease.run, expected: lease.attempt, found: found.attempt })
    }

    /// Lets the next process have a run. A run that settled was let go by that step.
    ///
    /// # Errors
    /// As any write.
    pub async fn release(&self, lease: Lease) -> Result<()> {
        let failed = self.failed("letting a run go");
        let mut writer = self.writer().await?;
        query(
            "UPDATE runs SET lease_owner = NULL, lease_until_us = NULL \
             WHERE number = $1 AND attempt = $2 AND lease_owner = $3",
        )
        .bind(lease.run.column())
        .bind(column(lease.attempt))
        .bind(self.owner())
        .execute(writer.conn())
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// Puts a run's task off: it is due again `after_us` from now, and is let go until then.
    ///
    /// # Errors
    /// [`Error::Fenced`].
    pub async fn put_off(&self, lease: Lease, after_us: i64) -> Result<()> {
        let failed = self.failed("putting a run off");
        let mut writer = self.writer().await?;
        let sql = self.timed(
            "UPDATE runs SET lease_owner = NULL, lease_until_us = NULL, tries = tries + 1, due_at_us = {now} + $4 \
             WHERE number = $1 AND attempt = $2 AND lease_owner = $3 AND task IS NOT NULL",
        );
        let put_off = query(sql)
            .bind(lease.run.column())
            .bind(column(lease.attempt))
            .bind(self.owner())
            .bind(after_us)
            .execute(writer.conn())
            .await
            .map_err(failed)?;
        if put_off == 1 {
            return Ok(());
        }
        let found = read(writer.conn(), lease.run, failed).await?;
        Err(Error::Fenced { run: lease.run, expected: lease.attempt, found: found.attempt })
    }

    /// Takes a task back that cannot be done, and says why; the run stays where it rests.
    ///
    /// # Errors
    /// [`Error::Fenced`].
    pub async fn give_up(&self, lease: Lease, code: Code, message: &str) -> Result<()> {
        let failed = self.failed("giving a task up");
        let mut writer = self.writer().await?;
        let given_up = query(
            "UPDATE runs SET task = NULL, task_by = NULL, task_confirm = NULL, task_glass = NULL, due_at_us = NULL, tries = 0, \
             lease_owner = NULL, lease_until_us = NULL, outcome_code = $4, outcome_message = $5 \
             WHERE number = $1 AND attempt = $2 AND lease_owner = $3",
        )
        .bind(lease.run.column())
        .bind(column(lease.attempt))
        .bind(self.owner())
        .bind(code.text())
        .bind(message)
        .execute(writer.conn())
        .await
        .map_err(failed)?;
        if given_up == 1 {
            return Ok(());
        }
        let found = read(writer.conn(), lease.run, failed).await?;
        Err(Error::Fenced { run: lease.run, expected: lease.attempt, found: found.attempt })
    }

    /// Runs that some process began to work on and none works on now, the oldest first: what recovery has
    /// to look at. Whoever takes one claims it first and reads it again.
    ///
    /// # Errors
    /// As any read.
    pub async fn in_flight(&self) -> Result<Vec<RunRecord>> {
        let failed = self.failed("looking for runs in flight");
        self.free_what_the_dead_hold().await?;
        let states: Vec<String> =
            State::ALL.iter().filter(|s| s.is_in_flight()).map(|s| format!("'{}'", s.word())).collect();
        let rest = format!("WHERE state IN ({}) AND attempt > 0 AND {{free}} ORDER BY number", states.join(", "));
        let mut reader = self.reader().await?;
        let rows = query(self.timed(&select(&rest))).all(reader.conn()).await.map_err(failed)?;
        rows.iter().map(from_row).collect()
    }

    /// Beside a control file: leases of processes that are dead count no longer. Says whether there were
    /// any. In a server they run out by themselves.
    async fn free_what_the_dead_hold(&self) -> Result<bool> {
        let Place::File(path) = self.place() else { return Ok(false) };
        let failed = self.failed("looking for dead processes");
        let mut reader = self.reader().await?;
        let owners = query(self.timed(
            "SELECT DISTINCT lease_owner FROM runs WHERE lease_owner IS NOT NULL AND lease_owner <> $1 \
             AND lease_until_us > {now}",
        ))
        .bind(self.owner())
        .all(reader.conn())
        .await
        .map_err(failed)?;
        drop(reader);
        let mut any = false;
        for row in owners {
            let name: String = row.first().map_err(failed)?;
            if owner::is_dead(path, &name)? {
                any = true;
                let mut writer = self.writer().await?;
                query("UPDATE runs SET lease_until_us = 0 WHERE lease_owner = $1")
                    .bind(name)
                    .execute(writer.conn())
                    .await
                    .map_err(failed)?;
            }
        }
        Ok(any)
    }

    /// A statement with the database's clock in it.
    pub(crate) fn timed(&self, sql: &str) -> String {
        let now = dialect::now(self.engine());
        sql.replace("{free}", FREE).replace("{now}", now).replace("{lease}", &LEASE_US.to_string())
    }

    /// The database's clock, in microseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// As any read.
    pub async fn clock_us(&self) -> Result<i64> {
        let mut reader = self.reader().await?;
        clock(reader.conn(), self.failed("asking for the time")).await
    }
}

/// The database's clock, inside a transaction too.
pub(crate) async fn clock(conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<i64> {
    let sql = format!("SELECT {}", dialect::now(conn.engine()));
    let now = query(sql).scalar::<i64>(conn).await.map_err(failed)?;
    now.ok_or_else(|| Error::Bug("a clock gave no time".to_owned()))
}

/// How many due runs are looked at for each that may be taken.
const LOOKED_AT: i64 = 8;

fn column(attempt: u64) -> i64 {
    i64::try_from(attempt).unwrap_or(i64::MAX)
}

fn count(run: RunNumber, attempt: i64) -> Result<u64> {
    u64::try_from(attempt).map_err(|e| Error::corrupt("runs", "attempt", run, e))
}

/// What is left of the limits.
struct Room {
    limits: Concurrency,
    overall: i64,
    tenants: std::collections::BTreeMap<String, i64>,
}

impl Room {
    const fn new(limits: Concurrency) -> Self {
        Self { limits, overall: 0, tenants: std::collections::BTreeMap::new() }
    }

    fn take(&mut self, tenant: &str, n: i64) {
        self.overall += n;
        *self.tenants.entry(tenant.to_owned()).or_default() += n;
    }

    fn has(&self, tenant: &str) -> bool {
        let of_tenant = self.tenants.get(tenant).copied().unwrap_or(0);
        self.overall < i64::from(self.limits.overall) && of_tenant < i64::from(self.limits.per_tenant)
    }
}

#[cfg(test)]
mod tests {
    use mendwright_core::run::Event;
    use mendwright_core::task::Task;

    use super::*;
    use crate::create::{Begun, Idempotency};
    use crate::testing::{NOW, new_run, open, opened, path, planned, planning, tamper};
    use crate::transition::Step;

    async fn enqueue(store: &Store, tenant: &str) -> RunNumber {
        let Begun::New(run) = store.enqueue_run(new_run(tenant), None, 1).await.unwrap() else { panic!("new") };
        run.number
    }

    /// The clock of a host that is an hour ahead (or behind) says nothing about when something is due.
    #[tokio::test]
    async fn what_is_due_is_said_by_the_databases_clock_alone() {
        let (_dir, store) = opened().await;
        let ahead = store.clock_us().await.unwrap() + 3_600_000_000;
        let Begun::New(run) = store.enqueue_run(new_run("Germany"), None, ahead).await.unwrap() else { panic!("new") };
        let claimed = store.claim_due(9, Concurrency::default()).await.unwrap();
        assert_eq!(claimed.iter().map(|(run, _)| run.number).collect::<Vec<_>>(), [run.number]);
        let planned = planned(&store, "France", 1).await;
        let record = store.run(planned).await.unwrap();
        store.ask(&record, Task::Apply, "person:alice", None).await.unwrap();
        let (_, lease) = store.claim_due(9, Concurrency::default()).await.unwrap().remove(0);
        let step = |state, event| Step::new(state, event, ahead).attempt(lease.attempt);
        store.step(planned, step(State::Planned, Event::ApplyStarted)).await.unwrap();
        store.step(planned, step(State::Applying, Event::ApplyAbandoned).again_in(60_000_000)).await.unwrap();
        let due = store.run(planned).await.unwrap().asked.unwrap().due_at_us;
        let now = store.clock_us().await.unwrap();
        assert!((now..=now + 60_000_000).contains(&due), "{due} is not within a minute of {now}");
    }

    #[tokio::test]
    async fn a_run_is_worked_on_by_one_at_a_time_and_is_free_again_afterwards() {
        let (_dir, store) = opened().await;
        let other = open(path(&store)).await;
        let (run, lease) = planning(&store, "Germany").await;
        for handle in [&store, &other] {
            assert!(matches!(handle.claim(run.number).await, Err(Error::Leased { .. })));
        }
        store.release(lease).await.unwrap();
        let taken = other.claim(run.number).await.unwrap();
        assert_eq!(taken.attempt, lease.attempt + 1);
        // Who let it go cannot let it go again for somebody else.
        store.release(lease).await.unwrap();
        assert!(matches!(store.claim(run.number).await, Err(Error::Leased { .. })));
        assert!(matches!(store.claim(RunNumber::new(99)).await, Err(Error::RunUnknown { .. })));
    }

    #[tokio::test]
    async fn recovery_sees_runs_in_flight_whose_process_is_gone_and_no_others() {
        let (_dir, store) = opened().await;
        let gone = open(path(&store)).await;
        let (dead, _) = gone.create_run(new_run("Germany"), NOW).await.unwrap();
        let (_alive, _) = planning(&store, "France").await;
        let waiting = planned(&store, "Portugal", 2).await;
        enqueue(&store, "Portugal").await;
        let applying = planned(&store, "Italy", 2).await;
        store.transition(applying, State::Planned, Event::ApplyStarted, NOW, "").await.unwrap();
        drop(gone);
        let found: Vec<_> = store.in_flight().await.unwrap().into_iter().map(|run| run.number).collect();
        assert_eq!(found, [dead.number, applying]);
        assert!(!found.contains(&waiting));
    }

    #[tokio::test]
    async fn due_runs_are_taken_oldest_first_within_the_limits_of_tenant_and_fleet() {
        let (_dir, store) = opened().await;
        for tenant in ["Germany", "Germany", "Germany", "France", "Italy"] {
            enqueue(&store, tenant).await;
        }
        let limits = Concurrency { overall: 4, per_tenant: 2 };
        let taken: Vec<u64> =
            store.claim_due(9, limits).await.unwrap().iter().map(|(run, _)| run.number.get()).collect();
        assert_eq!(taken, [1, 2, 4, 5], "the third of Germany waits, and keeps nobody");
        assert!(store.claim_due(9, limits).await.unwrap().is_empty());
        let lease = Lease { run: RunNumber::new(2), attempt: 1 };
        store.put_off(lease, 3_600_000_000).await.unwrap();
        let next: Vec<_> = store.claim_due(9, limits).await.unwrap();
        assert_eq!(next.iter().map(|(run, _)| run.number.get()).collect::<Vec<_>>(), [3]);
        assert_eq!(store.run(RunNumber::new(2)).await.unwrap().asked.unwrap().tries, 1);
        assert!(matches!(store.put_off(lease, 0).await, Err(Error::Fenced { .. })));
    }

    #[tokio::test]
    async fn a_request_that_comes_twice_begins_one_run_and_another_request_is_refused() {
        let (_dir, store) = opened().await;
        let digest = |text: &str| mendwright_core::plan::Digest::of(text.as_bytes());
        let key = Idempotency { key: "nightly-1".into(), request: digest("a") };
        let first = store.enqueue_run(new_run("Germany"), Some(&key), NOW).await.unwrap();
        let Begun::New(run) = first else { panic!("{first:?}") };
        let again = store.enqueue_run(new_run("Germany"), Some(&key), NOW).await.unwrap();
        assert_eq!(again, Begun::Before(run));
        let other = Idempotency { request: digest("b"), ..key };
        let refused = store.enqueue_run(new_run("Germany"), Some(&other), NOW).await.unwrap_err();
        assert!(matches!(refused, Error::KeyReused { .. }), "{refused}");
        assert_eq!(enqueue(&store, "France").await.get(), 2, "a request that came twice takes no number");
    }

    #[tokio::test]
    async fn what_is_asked_of_a_run_waits_for_a_worker_and_is_asked_once() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 1).await;
        let record = store.run(run).await.unwrap();
        store.ask(&record, Task::Apply, "person:alice", Some("ab")).await.unwrap();
        let asked = store.run(run).await.unwrap().asked.unwrap();
        assert_eq!(
            (asked.task, asked.by.as_str(), asked.confirm.as_deref()),
            (Task::Apply, "person:alice", Some("ab"))
        );
        let twice = store.ask(&record, Task::Apply, "person:bob", None).await.unwrap_err();
        assert!(matches!(twice, Error::Leased { .. }), "{twice}");
        let taken = store.claim_due(1, Concurrency::default()).await.unwrap();
        assert_eq!(taken.len(), 1);
        tamper(&store, "UPDATE runs SET state = 'succeeded', task = NULL, task_by = NULL, due_at_us = NULL")
            .await
            .unwrap();
        let moved = store.ask(&record, Task::Apply, "person:bob", None).await.unwrap_err();
        assert!(matches!(moved, Error::Moved { found: State::Succeeded, .. }), "{moved}");
    }
}
