//! How far a job is trusted for a tenant, and what its record says about it.

use mendwright_core::run::Event;

use crate::around::{self, Surroundings};
use crate::audit::{self, Fact};
use crate::db::{Conn, Row, query};
use crate::error::{Error, Result};
use crate::run::RunNumber;
use crate::store::Store;
use crate::switches;
use crate::transition::Step;
use crate::words::event_word;

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

/// What became of a job's runs for a tenant, since the last one that was undone or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackRecord {
    /// Runs that succeeded, in a row.
    pub succeeded: u64,
    /// Runs that were rolled back, stuck or diverged, ever.
    pub undone: u64,
    /// Runs that the gateway, a constraint or a person refused, ever.
    pub refused: u64,
}

/// Why a job is trusted less than somebody said: it went wrong since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// The run.
    pub run: RunNumber,
    /// What happened to it.
    pub event: String,
}

/// What is known of the trust in a job with a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownTrust {
    /// What any decision stands on.
    pub around: Surroundings,
    /// How often somebody said how far it is trusted.
    pub changes: u64,
    /// What waits for another signature.
    pub promotion: Option<StoredPromotion>,
}

/// What somebody signed, to trust a job further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPromotion {
    /// The promotion with the signatures so far.
    pub envelope: String,
    /// Who asked for it: `person:alice`.
    pub asked_by: String,
    /// When, by the database's clock.
    pub at_us: i64,
}

/// What is done about trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustMotion {
    /// It waits for another signature.
    Wait {
        /// The promotion with the signatures so far.
        envelope: String,
        /// Who asked for it.
        asked_by: String,
    },
    /// It is so from now on.
    Set {
        /// `suggest`, `approve` or `auto`.
        trust: String,
        /// Why.
        reason: String,
        /// Who signed it, and which policies let them, for the audit log.
        facts: Vec<(&'static str, String)>,
    },
}

/// Jobs and tenants that are listed at most.
pub const LISTED_MAX: i64 = 10_000;

/// What counts against a job: the host's own undo or a person's, and what could not be undone or verified.
pub(crate) const fn is_setback(event: Event) -> bool {
    matches!(
        event,
        Event::VerificationFailed | Event::RollbackCommitted | Event::RollbackFailed | Event::DivergenceFound
    )
}

impl Store {
    /// Says how far a job is trusted for a tenant.
    ///
    /// # Errors
    /// As any write.
    pub async fn set_trust(&self, trusted: &Trusted) -> Result<()> {
        let failed = self.failed("writing how far a job is trusted");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        set(tx.conn(), trusted, &[], failed).await?;
        tx.commit().await.map_err(failed)
    }

    /// Changes how far a job is trusted with a tenant, in one transaction; whoever decides about a run does so before
    /// or after. `judge` says what is done and by whom; where it refuses, nothing is written.
    ///
    /// # Errors
    /// As any write. The inner one is the judge's.
    pub async fn move_trust<E>(
        &self,
        (job, tenant): (&str, &str),
        judge: impl FnOnce(&KnownTrust) -> std::result::Result<(TrustMotion, String), E>,
    ) -> Result<std::result::Result<(), E>> {
        let failed = self.failed("changing how far a job is trusted");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        switches::hold_alone(tx.conn(), failed).await?;
        let around = around::look(tx.conn(), (tenant, job, None), failed).await?;
        let now_us = around.now_us;
        let (changes, promotion) = pending(tx.conn(), (job, tenant), failed).await?;
        let (motion, by) = match judge(&KnownTrust { around, changes, promotion }) {
            Ok(moved) => moved,
            Err(refused) => return Ok(Err(refused)),
        };
        match motion {
            TrustMotion::Wait { envelope, asked_by } => {
                query(
                    "INSERT INTO trust_promotions (job_name, tenant, envelope, asked_by, at_us) \
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (job_name, tenant) DO UPDATE SET \
                     envelope = excluded.envelope, asked_by = excluded.asked_by, at_us = excluded.at_us",
                )
                .bind(job)
                .bind(tenant)
                .bind(envelope)
                .bind(asked_by)
                .bind(now_us)
                .execute(tx.conn())
                .await
                .map_err(failed)?;
                let fact = Fact::new("trust.asked", &by, now_us).tenant(tenant).say("job", job);
                audit::record(tx.conn(), fact, failed).await?;
            }
            TrustMotion::Set { trust, reason, facts } => {
                let (job, tenant) = (job.to_owned(), tenant.to_owned());
                let trusted = Trusted { job, tenant, trust, by, reason, at_us: now_us };
                set(tx.conn(), &trusted, &facts, failed).await?;
            }
        }
        tx.commit().await.map_err(failed)?;
        Ok(Ok(()))
    }

    /// What is known of the trust in a job with a tenant.
    ///
    /// # Errors
    /// As any read.
    pub async fn trust_of(&self, job: &str, tenant: &str) -> Result<KnownTrust> {
        let failed = self.failed("reading how far a job is trusted");
        let around = self.surroundings(tenant, job, None).await?;
        let mut reader = self.reader().await?;
        let (changes, promotion) = pending(reader.conn(), (job, tenant), failed).await?;
        Ok(KnownTrust { around, changes, promotion })
    }

    /// Every job and tenant for which somebody said so.
    ///
    /// # Errors
    /// As any read.
    pub async fn trust(&self) -> Result<Vec<Trusted>> {
        let failed = self.failed("reading how far jobs are trusted");
        let mut reader = self.reader().await?;
        let rows = query(
            "SELECT job_name, tenant, trust, granted_by, reason, at_us FROM trust ORDER BY job_name, tenant LIMIT $1",
        )
        .bind(LISTED_MAX)
        .all(reader.conn())
        .await
        .map_err(failed)?;
        let read = |row: &Row| -> sqlx::Result<Trusted> {
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
        let row = query(format!("{RECORD} FROM runs WHERE job_name = $1 AND tenant = $2"))
            .bind(job)
            .bind(tenant)
            .optional(reader.conn())
            .await
            .map_err(failed)?
            .ok_or_else(|| Error::Bug("an aggregate gave no row".to_owned()))?;
        record(&row).map_err(failed)
    }

    /// The jobs and tenants of which there are runs, or of which somebody said how far they are trusted.
    ///
    /// # Errors
    /// As any read.
    pub async fn known_jobs(&self) -> Result<Vec<(String, String)>> {
        let failed = self.failed("reading which jobs ran for whom");
        let mut reader = self.reader().await?;
        let rows = query(
            "SELECT job_name, tenant FROM runs UNION SELECT job_name, tenant FROM trust \
             ORDER BY job_name, tenant LIMIT $1",
        )
        .bind(LISTED_MAX)
        .all(reader.conn())
        .await
        .map_err(failed)?;
        let read =
            |row: &Row| -> sqlx::Result<(String, String)> { Ok((row.try_get("job_name")?, row.try_get("tenant")?)) };
        rows.iter().map(|row| read(row).map_err(failed)).collect()
    }
}

/// What ended a row of successes is what the host, the target or a person did not let stand.
const RECORD: &str = "SELECT count(CASE WHEN state = 'succeeded' AND number > coalesce((SELECT max(number) FROM runs \
      WHERE job_name = $1 AND tenant = $2 AND state IN ('rolling_back', 'rolled_back', 'stuck', 'diverged', 'refused', \
      'violated', 'rejected')), 0) THEN 1 END) AS succeeded, \
     count(CASE WHEN state IN ('rolled_back', 'stuck', 'diverged') THEN 1 END) AS undone, \
     count(CASE WHEN state IN ('refused', 'violated', 'rejected') THEN 1 END) AS refused";

fn record(row: &Row) -> sqlx::Result<TrackRecord> {
    let n = |column| row.try_get::<i64>(column).map(i64::unsigned_abs);
    Ok(TrackRecord { succeeded: n("succeeded")?, undone: n("undone")?, refused: n("refused")? })
}

/// Says so, inside the caller's transaction: what went wrong before counts no more, and what waited for a signature
/// was about another occasion.
async fn set(
    mut conn: Conn<'_>,
    trusted: &Trusted,
    said: &[(&'static str, String)],
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    let Trusted { job, tenant, trust, by, reason, at_us } = trusted;
    query(
        "INSERT INTO trust (job_name, tenant, trust, granted_by, reason, at_us, changes) \
         VALUES ($1, $2, $3, $4, $5, $6, 1) \
         ON CONFLICT (job_name, tenant) DO UPDATE SET trust = excluded.trust, granted_by = excluded.granted_by, \
         reason = excluded.reason, at_us = excluded.at_us, changes = trust.changes + 1",
    )
    .bind(job.as_str())
    .bind(tenant.as_str())
    .bind(trust.as_str())
    .bind(by.as_str())
    .bind(reason.as_str())
    .bind(*at_us)
    .execute(conn.reborrow())
    .await
    .map_err(failed)?;
    for table in ["trust_setbacks", "trust_promotions"] {
        query(format!("DELETE FROM {table} WHERE job_name = $1 AND tenant = $2"))
            .bind(job.as_str())
            .bind(tenant.as_str())
            .execute(conn.reborrow())
            .await
            .map_err(failed)?;
    }
    let fact = Fact::new("trust.changed", by, *at_us).tenant(tenant).say("job", job).say("trust", trust);
    let fact = said.iter().fold(fact.say("reason", reason), |fact, (what, text)| fact.say(what, text));
    audit::record(conn, fact, failed).await
}

/// Writes down, in the transaction of the step, that a job went wrong for a tenant: until somebody says again how far
/// it is trusted, it does not apply by itself.
pub(crate) async fn set_back(
    mut conn: Conn<'_>,
    (job, tenant): (&str, &str),
    run: RunNumber,
    step: &Step,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    query(
        "INSERT INTO trust_setbacks (job_name, tenant, run, event, at_us) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (job_name, tenant) DO UPDATE SET run = excluded.run, event = excluded.event, \
         at_us = excluded.at_us",
    )
    .bind(job)
    .bind(tenant)
    .bind(run.column())
    .bind(event_word(step.event))
    .bind(step.now_us)
    .execute(conn.reborrow())
    .await
    .map_err(failed)?;
    let fact = Fact::new("trust.set_back", "host", step.now_us).run(run).tenant(tenant);
    audit::record(conn, fact.say("job", job).say("event", event_word(step.event)), failed).await
}

/// How often it was said, and what waits for another signature.
async fn pending(
    mut conn: Conn<'_>,
    (job, tenant): (&str, &str),
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<(u64, Option<StoredPromotion>)> {
    let changes = query("SELECT changes FROM trust WHERE job_name = $1 AND tenant = $2")
        .bind(job)
        .bind(tenant)
        .scalar::<i64>(conn.reborrow())
        .await
        .map_err(failed)?;
    let row = query("SELECT envelope, asked_by, at_us FROM trust_promotions WHERE job_name = $1 AND tenant = $2")
        .bind(job)
        .bind(tenant)
        .optional(conn)
        .await
        .map_err(failed)?;
    let read = |row: Row| -> sqlx::Result<StoredPromotion> {
        Ok(StoredPromotion {
            envelope: row.try_get("envelope")?,
            asked_by: row.try_get("asked_by")?,
            at_us: row.try_get("at_us")?,
        })
    };
    Ok((changes.map_or(0, i64::unsigned_abs), row.map(read).transpose().map_err(failed)?))
}

#[cfg(test)]
mod tests {
    use mendwright_core::run::State;

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
        assert_eq!(record, TrackRecord { succeeded: 2, undone: 1, refused: 0 });
        tamper(&store, "UPDATE runs SET state = 'rejected' WHERE number = 4").await.unwrap();
        let record = store.track_record("reconcile_invoices", "Germany").await.unwrap();
        assert_eq!(record, TrackRecord { succeeded: 0, undone: 1, refused: 1 });
    }

    #[tokio::test]
    async fn what_goes_wrong_is_known_until_somebody_says_again() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 1).await;
        let known = async || store.trust_of("reconcile_invoices", "Germany").await.unwrap();
        for (from, event) in [
            (State::Planned, Event::ApplyStarted),
            (State::Applying, Event::FlushCommitted),
            (State::Verifying, Event::VerificationPassed),
            (State::Succeeded, Event::RollbackStarted),
        ] {
            store.transition(run, from, event, NOW, "").await.unwrap();
            assert_eq!(known().await.around.setback, None, "{event:?}");
        }
        store.transition(run, State::RollingBack, Event::RollbackCommitted, NOW, "").await.unwrap();
        let setback = Setback { run, event: "rollback_committed".into() };
        assert_eq!(known().await.around.setback, Some(setback));
        let wait = TrustMotion::Wait { envelope: "{}".into(), asked_by: "person:ana".into() };
        let pair = ("reconcile_invoices", "Germany");
        let moved = async |motion| store.move_trust(pair, |_| Ok::<_, ()>((motion, "person:ana".into()))).await;
        moved(wait).await.unwrap().unwrap();
        assert_eq!(known().await.promotion.unwrap().asked_by, "person:ana");
        let set = TrustMotion::Set { trust: "auto".into(), reason: "looked at it".into(), facts: vec![] };
        moved(set).await.unwrap().unwrap();
        let after = known().await;
        assert_eq!((after.around.setback, after.promotion, after.changes), (None, None, 1));
        assert_eq!(after.around.trust.as_deref(), Some("auto"));
        assert_eq!(store.known_jobs().await.unwrap(), [(pair.0.to_owned(), pair.1.to_owned())]);
    }
}
