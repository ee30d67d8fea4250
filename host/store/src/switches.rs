//! How switches stand, and throwing them. Each throw counts the epoch up: a host that looks at the epoch
//! knows whether anything changed without reading more.

use mendwright_core::code::Code;
use mendwright_core::switch::{Kind, Scope, Switch};

use crate::audit::{self, Fact};
use crate::db::{Conn, Engine, Row, dialect, query};
use crate::error::{Error, Result};
use crate::run::RunNumber;
use crate::store::Store;

/// Switches that do not stand as by default, and the epoch in which that was so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Counts up with each throw.
    pub epoch: u64,
    /// By kind and scope. Expired ones are among them: see [`mendwright_core::switch::Standing`].
    pub thrown: Vec<Switch>,
}

const SELECT: &str = "SELECT kind, scope, is_on, reason, thrown_by, at_us, expires_at_us, running FROM switches \
     ORDER BY kind, scope";

impl Store {
    /// Throws a switch, or puts it back. Whoever decides at the same moment does so before or after, never
    /// in between. Gives the new epoch.
    ///
    /// # Errors
    /// As any write. The caller has checked that the switch takes its scope and has a reason.
    pub async fn throw(&self, switch: &Switch) -> Result<u64> {
        let failed = self.failed("throwing a switch");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let epoch = query("UPDATE counters SET value = value + 1 WHERE name = 'switch_epoch' RETURNING value")
            .scalar::<i64>(tx.conn())
            .await
            .map_err(failed)?;
        let epoch = epoch.ok_or_else(|| Error::corrupt("counters", "value", "switch_epoch", "it is gone"))?;
        let Switch { kind, scope, is_on, reason, by, at_us, expires_at_us, running } = switch;
        query("DELETE FROM switches WHERE kind = $1 AND scope = $2")
            .bind(kind.word())
            .bind(scope.to_string())
            .execute(tx.conn())
            .await
            .map_err(failed)?;
        if *is_on != kind.is_on_by_default() {
            query(
                "INSERT INTO switches (kind, scope, is_on, reason, thrown_by, at_us, expires_at_us, running) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(kind.word())
            .bind(scope.to_string())
            .bind(i64::from(*is_on))
            .bind(reason.as_str())
            .bind(by.as_str())
            .bind(*at_us)
            .bind(*expires_at_us)
            .bind(running.word())
            .execute(tx.conn())
            .await
            .map_err(failed)?;
        }
        let fact = Fact::new("switch.thrown", by, *at_us)
            .say("switch", kind)
            .say("scope", scope)
            .say("is_on", is_on)
            .say("reason", reason)
            .say("epoch", epoch)
            .say("running", running.word());
        let fact = match scope {
            Scope::Tenant(tenant) => fact.tenant(tenant),
            Scope::Everything | Scope::Module(_) | Scope::Category(_) | Scope::Job(_) => fact,
        };
        audit::record(tx.conn(), fact, failed).await?;
        tx.commit().await.map_err(failed)?;
        u64::try_from(epoch).map_err(|e| Error::corrupt("counters", "value", "switch_epoch", e))
    }

    /// Takes back every apply that was asked for and that nobody has begun, the oldest first; what is in flight
    /// stays. Each of these runs says why. For the kill switch: what is asked for later is refused where it is asked.
    ///
    /// # Errors
    /// As any write.
    pub async fn cancel_pending(&self, reason: &str, by: &str, now_us: i64) -> Result<Vec<RunNumber>> {
        let failed = self.failed("taking back what was asked for");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let rows = query(self.timed(
            "UPDATE runs SET task = NULL, task_by = NULL, task_confirm = NULL, task_glass = NULL, due_at_us = NULL, tries = 0, \
             lease_owner = NULL, lease_until_us = NULL, outcome_code = $1, outcome_message = $2 \
             WHERE task = 'apply' AND state IN ('planned', 'approved') AND {free} RETURNING number, tenant",
        ))
        .bind(Code::Halted.text())
        .bind(reason)
        .all(tx.conn())
        .await
        .map_err(failed)?;
        let read = |row: &Row| -> sqlx::Result<(i64, String)> { Ok((row.try_get("number")?, row.try_get("tenant")?)) };
        let mut found: Vec<(i64, String)> = rows.iter().map(read).collect::<sqlx::Result<_>>().map_err(failed)?;
        // An UPDATE gives its rows in an order of its own.
        found.sort_unstable();
        let mut taken_back = Vec::new();
        for (number, tenant) in found {
            let run = RunNumber::new(number.unsigned_abs());
            let fact = Fact::new("run.task_cancelled", by, now_us).run(run).tenant(&tenant).say("reason", reason);
            audit::record(tx.conn(), fact, failed).await?;
            taken_back.push(run);
        }
        tx.commit().await.map_err(failed)?;
        Ok(taken_back)
    }

    /// How switches stand.
    ///
    /// # Errors
    /// As any read.
    pub async fn switches(&self) -> Result<Switches> {
        let failed = self.failed("reading the switches");
        let mut reader = self.reader().await?;
        let mut tx = reader.begin_read().await.map_err(failed)?;
        stand(tx.conn(), failed).await
    }

    /// The epoch of the switches: one small read, for whoever asks often.
    ///
    /// # Errors
    /// As any read.
    pub async fn switch_epoch(&self) -> Result<u64> {
        let failed = self.failed("reading the switches' epoch");
        let mut reader = self.reader().await?;
        epoch(reader.conn(), "", failed).await
    }
}

async fn epoch(conn: Conn<'_>, lock: &str, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<u64> {
    let sql = format!("SELECT value FROM counters WHERE name = 'switch_epoch'{lock}");
    let found = query(sql).scalar::<i64>(conn).await.map_err(failed)?;
    let found = found.ok_or_else(|| Error::corrupt("counters", "value", "switch_epoch", "it is gone"))?;
    u64::try_from(found).map_err(|e| Error::corrupt("counters", "value", "switch_epoch", e))
}

/// PostgreSQL: the switches stay as they are until the transaction ends. Who reads them does so in a later
/// statement: this one waits for whoever throws one.
pub(crate) async fn hold(conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<()> {
    hold_by(conn, dialect::for_share, failed).await
}

/// The same, and nobody else decides about anything meanwhile: for what decisions stand on.
pub(crate) async fn hold_alone(conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<()> {
    hold_by(conn, dialect::for_update, failed).await
}

async fn hold_by(
    conn: Conn<'_>,
    lock: fn(Engine) -> &'static str,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    if conn.engine() == Engine::Sqlite {
        return Ok(());
    }
    let lock = lock(conn.engine());
    epoch(conn, lock, failed).await.map(drop)
}

async fn stand(mut conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<Switches> {
    let epoch = epoch(conn.reborrow(), "", failed).await?;
    let rows = query(SELECT).all(conn).await.map_err(failed)?;
    let thrown = rows.iter().map(|row| SwitchRow::read(row).map_err(failed)?.into_switch()).collect::<Result<_>>()?;
    Ok(Switches { epoch, thrown })
}

/// A row of `switches`, as it is.
pub(crate) struct SwitchRow {
    pub(crate) kind: String,
    pub(crate) scope: String,
    pub(crate) is_on: i64,
    pub(crate) reason: String,
    pub(crate) thrown_by: String,
    pub(crate) at_us: i64,
    pub(crate) expires_at_us: Option<i64>,
    pub(crate) running: String,
}

impl SwitchRow {
    fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            kind: row.try_get("kind")?,
            scope: row.try_get("scope")?,
            is_on: row.try_get("is_on")?,
            reason: row.try_get("reason")?,
            thrown_by: row.try_get("thrown_by")?,
            at_us: row.try_get("at_us")?,
            expires_at_us: row.try_get("expires_at_us")?,
            running: row.try_get("running")?,
        })
    }

    /// The one door from rows to switches.
    pub(crate) fn into_switch(self) -> Result<Switch> {
        let Self { kind, scope, is_on, reason, thrown_by, at_us, expires_at_us, running } = self;
        let name = format!("{kind} {scope}");
        let nonsense = |column: &'static str, detail: String| Error::corrupt("switches", column, &name, detail);
        Ok(Switch {
            kind: kind.parse::<Kind>().map_err(|e| nonsense("kind", e))?,
            scope: scope.parse().map_err(|e| nonsense("scope", e))?,
            is_on: is_on == 1,
            reason,
            by: thrown_by,
            at_us,
            expires_at_us,
            running: running.parse().map_err(|e| nonsense("running", e))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use mendwright_core::run::{Event, State};
    use mendwright_core::switch::Running;
    use mendwright_core::task::Task;

    use super::*;
    use crate::testing::{NOW, opened, planned, tamper};

    fn switch(kind: Kind, scope: Scope, is_on: bool) -> Switch {
        let (reason, by) = ("migration".to_owned(), "person:alice".to_owned());
        Switch { kind, scope, is_on, reason, by, at_us: NOW, expires_at_us: Some(NOW + 9), running: Running::RollBack }
    }

    #[tokio::test]
    async fn a_switch_stands_as_it_was_thrown_until_it_is_put_back_and_each_throw_is_an_epoch() {
        let (_dir, store) = opened().await;
        assert_eq!(store.switches().await.unwrap(), Switches::default());
        let germany = switch(Kind::SafeMode, Scope::Tenant("Germany".into()), true);
        let off = switch(Kind::AutoHeal, Scope::Category("DATA".into()), false);
        assert_eq!(store.throw(&germany).await.unwrap(), 1);
        assert_eq!(store.throw(&off).await.unwrap(), 2);
        let found = store.switches().await.unwrap();
        assert_eq!((found.epoch, found.thrown), (2, vec![off, germany.clone()]));
        store.throw(&Switch { is_on: false, ..germany }).await.unwrap();
        assert_eq!((store.switches().await.unwrap().thrown.len(), store.switch_epoch().await.unwrap()), (1, 3));
    }

    #[tokio::test]
    async fn what_nobody_began_is_taken_back_and_says_why_and_what_is_in_flight_stays() {
        let (_dir, store) = opened().await;
        let (waits, runs) = (planned(&store, "Germany", 1).await, planned(&store, "France", 1).await);
        for run in [waits, runs] {
            let run = store.run(run).await.unwrap();
            store.ask(&run, Task::Apply, "person:alice", Some("digest")).await.unwrap();
        }
        store.transition(runs, State::Planned, Event::ApplyStarted, NOW, "").await.unwrap();
        assert_eq!(store.cancel_pending("alice stopped it", "person:alice", NOW).await.unwrap(), [waits]);
        let run = store.run(waits).await.unwrap();
        assert_eq!((run.state, run.asked), (State::Planned, None));
        assert_eq!(run.outcome.map(|o| (o.code, o.message)), Some((Code::Halted, "alice stopped it".to_owned())));
        assert!(store.run(runs).await.unwrap().asked.is_some());
        assert!(store.cancel_pending("again", "person:alice", NOW).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_switch_that_nobody_knows_is_named() {
        let (_dir, store) = opened().await;
        store.throw(&switch(Kind::Kill, Scope::Everything, true)).await.unwrap();
        tamper(&store, "UPDATE switches SET kind = 'warp'").await.unwrap();
        let error = store.switches().await.unwrap_err();
        assert!(error.to_string().contains("`switches.kind`, row warp everything"), "{error}");
    }
}
