//! How far a job is trusted for a tenant, and what its record says about it.

use crate::audit::{self, Fact};
use crate::db::query;
use crate::error::{Error, Result};
use crate::store::Store;

/// How far a job is trusted for a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The job's name.
    pub job: String,
    /// Whose data.
    pub tenant: String,
    /// `suggest`, `approve` or `auto`.
    pub trust: String,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at_us: i64,
}

/// What became of a job's runs for a tenant, since the last one that was rolled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackRecord {
    /// Runs that succeeded, in a row.
    pub succeeded: u64,
    /// Runs that were rolled back, stuck or diverged, ever.
    pub undone: u64,
}

impl Store {
    /// Says how far a job is trusted for a tenant.
    ///
    /// # Errors
    /// As any write.
    pub async fn set_trust(&self, trusted: &Trusted) -> Result<()> {
        let failed = self.failed("writing how far a job is trusted");
        let Trusted { job, tenant, trust, by, reason, at_us } = trusted;
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        query(
            "INSERT INTO trust (job_name, tenant, trust, granted_by, reason, at_us) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (job_name, tenant) DO UPDATE SET trust = excluded.trust, granted_by = excluded.granted_by, \
             reason = excluded.reason, at_us = excluded.at_us",
        )
        .bind(job.as_str())
        .bind(tenant.as_str())
        .bind(trust.as_str())
        .bind(by.as_str())
        .bind(reason.as_str())
        .bind(*at_us)
        .execute(tx.conn())
        .await
        .map_err(failed)?;
        let fact = Fact::new("trust.changed", by, *at_us).tenant(tenant).say("job", job).say("trust", trust);
        audit::record(tx.conn(), fact.say("reason", reason), failed).await?;
        tx.commit().await.map_err(failed)
    }

    /// Every job and tenant for which somebody said so.
    ///
    /// # Errors
    /// As any read.
    pub async fn trust(&self) -> Result<Vec<Trusted>> {
        let failed = self.failed("reading how far jobs are trusted");
        let mut reader = self.reader().await?;
        let rows =
            query("SELECT job_name, tenant, trust, granted_by, reason, at_us FROM trust ORDER BY job_name, tenant")
                .all(reader.conn())
                .await
                .map_err(failed)?;
        let read = |row: &crate::db::Row| -> sqlx::Result<Trusted> {
            Ok(Trusted {
                job: row.try_get("job_name")?,
                tenant: row.try_get("tenant")?,
                trust: row.try_get("trust")?,
                by: row.try_get("granted_by")?,
                reason: row.try_get("reason")?,
                at_us: row.try_get("at_us")?,
            })
        };
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }

    /// What a job's runs for a tenant came to.
    ///
    /// # Errors
    /// As any read.
    pub async fn track_record(&self, job: &str, tenant: &str) -> Result<TrackRecord> {
        let failed = self.failed("reading a job's record");
        let mut reader = self.reader().await?;
        let row = query(
            "SELECT count(CASE WHEN state = 'succeeded' AND number > coalesce((SELECT max(number) FROM runs \
               WHERE job_name = $1 AND tenant = $2 AND state IN ('rolled_back', 'stuck', 'diverged')), 0) \
               THEN 1 END) AS succeeded, \
             count(CASE WHEN state IN ('rolled_back', 'stuck', 'diverged') THEN 1 END) AS undone \
             FROM runs WHERE job_name = $1 AND tenant = $2",
        )
        .bind(job)
        .bind(tenant)
        .optional(reader.conn())
        .await
        .map_err(failed)?
        .ok_or_else(|| Error::Bug("an aggregate gave no row".to_owned()))?;
        let n = |column| row.try_get::<i64>(column).map(i64::unsigned_abs).map_err(failed);
        Ok(TrackRecord { succeeded: n("succeeded")?, undone: n("undone")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, opened, planned, tamper};

    #[tokio::test]
    async fn trust_is_said_again_and_a_record_begins_anew_after_an_undo() {
        let (_dir, store) = opened().await;
        let said = |trust: &str| Trusted {
            job: "reconcile_invoices".into(),
            tenant: "Germany".into(),
            trust: trust.into(),
            by: "person:alice".into(),
            reason: "ten good ones".into(),
            at_us: NOW,
        };
        store.set_trust(&said("approve")).await.unwrap();
        store.set_trust(&said("auto")).await.unwrap();
        assert_eq!(store.trust().await.unwrap(), [said("auto")]);
        for _ in 0..4 {
            planned(&store, "Germany", 1).await;
        }
        tamper(&store, "UPDATE runs SET state = CASE number WHEN 2 THEN 'rolled_back' ELSE 'succeeded' END")
            .await
            .unwrap();
        let record = store.track_record("reconcile_invoices", "Germany").await.unwrap();
        assert_eq!(record, TrackRecord { succeeded: 2, undone: 1 });
    }
}
