//! Who drives a rollout, and what driving writes down. The lease only keeps hosts from doing the same twice at
//! once: were two of them to drive, each thing would still be done once.

use super::row::{SELECT, read_rollout};
use super::{RolloutNumber, RolloutRecord};
use crate::db::{dialect, query};
use crate::error::{Error, Result};
use crate::run::{RunNumber, RunRecord, from_row, select};
use crate::store::Store;

/// How long a host may take for one look at a rollout before another one looks: beginning runs takes
/// milliseconds each. What a host leaves that is killed meanwhile goes on so much later.
const LEASE_US: i64 = 5_000_000;

/// This process drives a rollout, until `LEASE_US` (5 s) from when it took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolloutLease {
    /// The rollout.
    pub rollout: RolloutNumber,
    /// Counts up with each time that it was taken.
    pub attempt: u64,
}

impl Store {
    /// Takes rollouts that run and that nobody drives now.
    ///
    /// # Errors
    /// As any write.
    pub async fn claim_rollouts(&self, at_most: u32) -> Result<Vec<(RolloutRecord, RolloutLease)>> {
        let failed = self.failed("taking rollouts to drive");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let free = format!(
            "{} ORDER BY updated_at_us, number LIMIT $1{}",
            self.timed(&format!("{SELECT} WHERE state = 'running' AND {{free}}")),
            dialect::for_update_skip_locked(self.engine())
        );
        let rows = query(free).bind(i64::from(at_most)).all(tx.conn()).await.map_err(failed)?;
        let mut taken = Vec::new();
        for row in &rows {
            let record = read_rollout(row, failed)?;
            let attempt = query(self.timed(
                "UPDATE rollouts SET attempt = attempt + 1, lease_owner = $1, lease_until_us = {now} + $2 \
                     WHERE number = $3 RETURNING attempt",
            ))
            .bind(self.owner())
            .bind(LEASE_US)
            .bind(record.number.column())
            .scalar::<i64>(tx.conn())
            .await
            .map_err(failed)?
            .ok_or_else(|| Error::Bug(format!("{} is gone", record.number)))?;
            let lease = RolloutLease { rollout: record.number, attempt: attempt.unsigned_abs() };
            taken.push((record, lease));
        }
        tx.commit().await.map_err(failed)?;
        Ok(taken)
    }

    /// Lets the next host have it.
    ///
    /// # Errors
    /// As any write.
    pub async fn release_rollout(&self, lease: RolloutLease) -> Result<()> {
        let failed = self.failed("letting a rollout go");
        let mut writer = self.writer().await?;
        query("UPDATE rollouts SET lease_owner = NULL, lease_until_us = NULL WHERE number = $1 AND attempt = $2")
            .bind(lease.rollout.column())
            .bind(i64::try_from(lease.attempt).unwrap_or(i64::MAX))
            .execute(writer.conn())
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Writes down which run is a tenant's. It has one for ever.
    ///
    /// # Errors
    /// As any write.
    pub async fn seat_run(&self, rollout: RolloutNumber, seat: usize, run: RunNumber) -> Result<()> {
        self.seat("SET run = $1 WHERE rollout = $2 AND seat = $3 AND run IS NULL", rollout, seat, run.column()).await
    }

    /// Writes down that the apply of a tenant's plan was asked for.
    ///
    /// # Errors
    /// As any write.
    pub async fn seat_asked(&self, rollout: RolloutNumber, seat: usize, at_us: i64) -> Result<()> {
        self.seat("SET asked_at_us = $1 WHERE rollout = $2 AND seat = $3", rollout, seat, at_us).await
    }

    async fn seat(&self, set: &str, rollout: RolloutNumber, seat: usize, value: i64) -> Result<()> {
        let failed = self.failed("writing down what a rollout did");
        let mut writer = self.writer().await?;
        query(format!("UPDATE rollout_tenants {set}"))
            .bind(value)
            .bind(rollout.column())
            .bind(i64::try_from(seat).unwrap_or(i64::MAX))
            .execute(writer.conn())
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// The runs of a rollout, the oldest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn rollout_runs(&self, rollout: RolloutNumber) -> Result<Vec<RunRecord>> {
        let mut reader = self.reader().await?;
        let rows =
            query(select("WHERE number IN (SELECT run FROM rollout_tenants WHERE rollout = $1) ORDER BY number"))
                .bind(rollout.column())
                .all(reader.conn())
                .await
                .map_err(self.failed("reading a rollout's runs"))?;
        rows.iter().map(from_row).collect()
    }
}
