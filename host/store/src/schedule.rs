//! Firings of schedules: each happens once, whichever hosts look at the clock. A firing is a row with the
//! entry's name and the time as its key; its runs are begun under keys of their own.

use crate::audit::{self, Fact};
use crate::db::{Row, query};
use crate::error::Result;
use crate::run::RunNumber;
use crate::store::Store;

/// A firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// The entry's name.
    pub entry: String,
    /// The time that it was for, in microseconds since 1970.
    pub fire_at_us: i64,
    /// When a host saw to it.
    pub begun_at_us: i64,
    /// When its runs were all begun; absent while a host is at it, or died.
    pub done_at_us: Option<i64>,
    /// Why some of its runs could not begin.
    pub note: String,
}

/// A run of a firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiredRun {
    /// Whose data.
    pub tenant: String,
    /// Its run.
    pub run: RunNumber,
    /// When its apply was last asked for.
    pub asked_at_us: Option<i64>,
}

const SELECT: &str = "SELECT entry, fire_at_us, begun_at_us, done_at_us, note FROM schedule_firings";

fn fired_run(row: &Row) -> sqlx::Result<FiredRun> {
    Ok(FiredRun {
        tenant: row.try_get("tenant")?,
        run: RunNumber::new(row.try_get::<i64>("run")?.unsigned_abs()),
        asked_at_us: row.try_get("asked_at_us")?,
    })
}

fn firing(row: &Row) -> sqlx::Result<Firing> {
    Ok(Firing {
        entry: row.try_get("entry")?,
        fire_at_us: row.try_get("fire_at_us")?,
        begun_at_us: row.try_get("begun_at_us")?,
        done_at_us: row.try_get("done_at_us")?,
        note: row.try_get("note")?,
    })
}

impl Store {
    /// Since when an entry is known: what it would have been for before that is nobody's. Known from now on
    /// where it was not.
    ///
    /// # Errors
    /// As any write.
    pub async fn know_schedule(&self, entry: &str, now_us: i64) -> Result<i64> {
        let failed = self.failed("looking at a schedule");
        let known = "SELECT since_us FROM schedules WHERE entry = $1";
        let mut reader = self.reader().await?;
        if let Some(since) = query(known).bind(entry).scalar::<i64>(reader.conn()).await.map_err(failed)? {
            return Ok(since);
        }
        drop(reader);
        let mut writer = self.writer().await?;
        query("INSERT INTO schedules (entry, since_us) VALUES ($1, $2) ON CONFLICT (entry) DO NOTHING")
            .bind(entry)
            .bind(now_us)
            .execute(writer.conn())
            .await
            .map_err(failed)?;
        Ok(query(known).bind(entry).scalar::<i64>(writer.conn()).await.map_err(failed)?.unwrap_or(now_us))
    }

    /// Begins a firing. Says whether it is this call that did: of two hosts that see the time come, one.
    ///
    /// # Errors
    /// As any write.
    pub async fn begin_firing(&self, entry: &str, fire_at_us: i64, now_us: i64) -> Result<bool> {
        let failed = self.failed("beginning a firing");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let begun = query(
            "INSERT INTO schedule_firings (entry, fire_at_us, begun_at_us, note) VALUES ($1, $2, $3, '') \
             ON CONFLICT (entry, fire_at_us) DO NOTHING",
        )
        .bind(entry)
        .bind(fire_at_us)
        .bind(now_us)
        .execute(tx.conn())
        .await
        .map_err(failed)?;
        if begun == 1 {
            let fact = Fact::new("schedule.fired", "machine:schedule", now_us)
                .say("entry", entry)
                .say("fire_at_us", fire_at_us);
            audit::record(tx.conn(), fact, failed).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(begun == 1)
    }

    /// Firings whose runs are not all begun, the oldest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn open_firings(&self, limit: u32) -> Result<Vec<Firing>> {
        let failed = self.failed("looking for firings");
        let mut reader = self.reader().await?;
        let sql = format!("{SELECT} WHERE done_at_us IS NULL ORDER BY fire_at_us, entry LIMIT $1");
        let rows = query(sql).bind(i64::from(limit)).all(reader.conn()).await.map_err(failed)?;
        rows.iter().map(|row| firing(row).map_err(failed)).collect()
    }

    /// The latest firings of an entry, the newest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn firings(&self, entry: &str, limit: u32) -> Result<Vec<Firing>> {
        let failed = self.failed("reading firings");
        let mut reader = self.reader().await?;
        let sql = format!("{SELECT} WHERE entry = $1 ORDER BY fire_at_us DESC LIMIT $2");
        let rows = query(sql).bind(entry).bind(i64::from(limit)).all(reader.conn()).await.map_err(failed)?;
        rows.iter().map(|row| firing(row).map_err(failed)).collect()
    }

    /// Writes down which run is a firing's for a tenant.
    ///
    /// # Errors
    /// As any write.
    pub async fn fired_run(&self, firing: &Firing, tenant: &str, run: RunNumber) -> Result<()> {
        let failed = self.failed("writing down a firing's run");
        let mut writer = self.writer().await?;
        query(
            "INSERT INTO schedule_runs (entry, fire_at_us, tenant, run) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (entry, fire_at_us, tenant) DO NOTHING",
        )
        .bind(firing.entry.as_str())
        .bind(firing.fire_at_us)
        .bind(tenant)
        .bind(run.column())
        .execute(writer.conn())
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// Writes down that all runs of a firing were begun that could be.
    ///
    /// # Errors
    /// As any write.
    pub async fn end_firing(&self, firing: &Firing, note: &str, now_us: i64) -> Result<()> {
        let failed = self.failed("ending a firing");
        let mut writer = self.writer().await?;
        query(
            "UPDATE schedule_firings SET done_at_us = $1, note = $2 WHERE entry = $3 AND fire_at_us = $4 \
             AND done_at_us IS NULL",
        )
        .bind(now_us)
        .bind(note)
        .bind(firing.entry.as_str())
        .bind(firing.fire_at_us)
        .execute(writer.conn())
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// Writes down that the apply of a firing's run was asked for.
    ///
    /// # Errors
    /// As any write.
    pub async fn fired_asked(&self, run: RunNumber, at_us: i64) -> Result<()> {
        let failed = self.failed("writing down what a schedule asked for");
        let mut writer = self.writer().await?;
        query("UPDATE schedule_runs SET asked_at_us = $1 WHERE run = $2")
            .bind(at_us)
            .bind(run.column())
            .execute(writer.conn())
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Runs of any firing of an entry whose plans people approved and that nobody works on, the oldest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn approved_runs(&self, entry: &str, limit: u32) -> Result<Vec<FiredRun>> {
        let failed = self.failed("looking for a schedule's approved runs");
        let mut reader = self.reader().await?;
        let rows = query(
            "SELECT fired.tenant, fired.run, fired.asked_at_us FROM runs JOIN schedule_runs fired \
             ON fired.run = runs.number WHERE runs.state = 'approved' AND runs.task IS NULL AND fired.entry = $1 \
             ORDER BY fired.run LIMIT $2",
        )
        .bind(entry)
        .bind(i64::from(limit))
        .all(reader.conn())
        .await
        .map_err(failed)?;
        rows.iter().map(|row| fired_run(row).map_err(failed)).collect()
    }

    /// The runs of a firing, by tenant.
    ///
    /// # Errors
    /// As any read.
    pub async fn fired_runs(&self, firing: &Firing) -> Result<Vec<FiredRun>> {
        let failed = self.failed("reading a firing's runs");
        let mut reader = self.reader().await?;
        let sql =
            "SELECT tenant, run, asked_at_us FROM schedule_runs WHERE entry = $1 AND fire_at_us = $2 ORDER BY tenant";
        let rows = query(sql).bind(firing.entry.as_str()).bind(firing.fire_at_us);
        let rows = rows.all(reader.conn()).await.map_err(failed)?;
        rows.iter().map(|row| fired_run(row).map_err(failed)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, opened, planned};

    #[tokio::test]
    async fn a_firing_begins_once_and_has_one_run_for_a_tenant() {
        let (_dir, store) = opened().await;
        assert_eq!(store.know_schedule("nightly", NOW).await.unwrap(), NOW);
        assert_eq!(store.know_schedule("nightly", NOW + 9).await.unwrap(), NOW, "since it was first seen");
        assert!(store.begin_firing("nightly", NOW + 1, NOW + 2).await.unwrap());
        assert!(!store.begin_firing("nightly", NOW + 1, NOW + 3).await.unwrap(), "another host was first");
        let open = store.open_firings(9).await.unwrap().remove(0);
        assert_eq!((open.begun_at_us, open.done_at_us), (NOW + 2, None));
        let (one, two) = (planned(&store, "Germany", 1).await, planned(&store, "Germany", 1).await);
        for run in [one, two] {
            store.fired_run(&open, "Germany", run).await.unwrap();
        }
        store.fired_asked(one, NOW + 4).await.unwrap();
        let runs = store.fired_runs(&open).await.unwrap();
        assert_eq!(runs, [FiredRun { tenant: "Germany".into(), run: one, asked_at_us: Some(NOW + 4) }]);
        store.end_firing(&open, "nobody is granted it", NOW + 5).await.unwrap();
        assert!(store.open_firings(9).await.unwrap().is_empty());
        assert!(store.begin_firing("nightly", NOW + 6, NOW + 6).await.unwrap());
        let times: Vec<i64> = store.firings("nightly", 9).await.unwrap().iter().map(|f| f.fire_at_us).collect();
        assert_eq!(times, [NOW + 6, NOW + 1]);
        assert!(store.firings("other", 9).await.unwrap().is_empty());
    }
}
