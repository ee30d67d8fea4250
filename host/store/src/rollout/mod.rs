//! Rollouts: what was begun, for whom, in which order, and what happened to it. A rollout moves by
//! compare-and-set through core's transition function; a tenant's run is begun under a key of its own, so that
//! whoever drives it twice begins it once.

mod drive;
mod row;

use mendwright_core::rollout::{Event, State, StopIf, Tally, Waves};
use mendwright_crash::{Point, reached};

use crate::audit::{self, Fact};
use crate::db::query;
use crate::error::{Error, Result};
use crate::run::RunNumber;
use crate::store::Store;
use row::{SELECT, read_event, read_rollout, read_tenant};

pub use crate::number::RolloutNumber;
pub use drive::RolloutLease;

/// A rollout that is about to begin.
#[derive(Clone, Debug)]
pub struct NewRollout {
    /// The job's name.
    pub job: String,
    /// Its parameters.
    pub params: serde_json::Value,
    /// How large each wave is.
    pub waves: Waves,
    /// When it stops by itself.
    pub stop_if: StopIf,
    /// `person:alice`: the runs are hers.
    pub started_by: String,
    /// Whose turn comes when.
    pub seats: Vec<(usize, String)>,
}

/// A rollout as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRecord {
    /// The number that people type.
    pub number: RolloutNumber,
    /// The job's name.
    pub job: String,
    /// Its parameters.
    pub params: serde_json::Value,
    /// How large each wave is.
    pub waves: Waves,
    /// When it stops by itself.
    pub stop_if: StopIf,
    /// Where it stands.
    pub state: State,
    /// The wave whose turn it is, from 0.
    pub wave: usize,
    /// How runs had ended when a person last let it go on.
    pub seen: Tally,
    /// `person:alice`.
    pub started_by: String,
    /// Why it stands so, where somebody or a rule said.
    pub because: String,
    /// When it began, in microseconds since 1970.
    pub created_at_us: i64,
    /// When it last moved.
    pub updated_at_us: i64,
}

/// A tenant of a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutTenant {
    /// Its place in the order of turns, from 0.
    pub seat: usize,
    /// Its wave, from 0.
    pub wave: usize,
    /// Its name.
    pub tenant: String,
    /// Its run; absent before its turn.
    pub run: Option<RunNumber>,
    /// When the driver last asked for its apply.
    pub asked_at_us: Option<i64>,
}

/// Something that happened to a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutEvent {
    /// 1, 2, 3 … of this rollout.
    pub seq: u64,
    /// When.
    pub at_us: i64,
    /// What.
    pub event: String,
    /// Where it stands since.
    pub to: State,
    /// Who: `person:alice`, `host`.
    pub by: String,
    /// Why.
    pub because: String,
}

/// How a rollout moves.
#[derive(Clone, Debug)]
pub struct RolloutStep<'a> {
    /// Where the caller knows it to be.
    pub from: &'a RolloutRecord,
    /// What happened.
    pub event: Event,
    /// Who did it.
    pub by: &'a str,
    /// Why.
    pub because: &'a str,
    /// How runs have ended, where that is seen from here on.
    pub seen: Option<Tally>,
    /// Now.
    pub now_us: i64,
}

impl Store {
    /// Begins a rollout; whichever host comes first drives it.
    ///
    /// # Errors
    /// As any write.
    pub async fn begin_rollout(&self, new: NewRollout, now_us: i64) -> Result<RolloutRecord> {
        let failed = self.failed("beginning a rollout");
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let number = query("UPDATE counters SET value = value + 1 WHERE name = 'rollout' RETURNING value")
            .scalar::<i64>(tx.conn())
            .await
            .map_err(failed)?
            .ok_or_else(|| Error::corrupt("counters", "value", "rollout", "it is gone"))?;
        query(
            "INSERT INTO rollouts (number, job_name, params, waves, stop_if, state, wave, seen_ended, seen_rollbacks, \
             seen_failures, seen_refusals, started_by, because, created_at_us, updated_at_us, attempt) \
             VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, $7, '', $8, $8, 0)",
        )
        .bind(number)
        .bind(new.job.as_str())
        .bind(new.params.to_string())
        .bind(new.waves.to_string())
        .bind(new.stop_if.to_string())
        .bind(State::Running.word())
        .bind(new.started_by.as_str())
        .bind(now_us)
        .execute(tx.conn())
        .await
        .map_err(failed)?;
        for (seat, (wave, tenant)) in (0_i64..).zip(&new.seats) {
            query("INSERT INTO rollout_tenants (rollout, seat, wave, tenant) VALUES ($1, $2, $3, $4)")
                .bind(number)
                .bind(seat)
                .bind(i64::try_from(*wave).unwrap_or(i64::MAX))
                .bind(tenant.as_str())
                .execute(tx.conn())
                .await
                .map_err(failed)?;
        }
        let fact = Fact::new("rollout.begun", &new.started_by, now_us)
            .say("rollout", number)
            .say("job", &new.job)
            .say("waves", &new.waves)
            .say("stop_if", &new.stop_if)
            .say("tenants", new.seats.len());
        audit::record(tx.conn(), fact, failed).await?;
        let number = RolloutNumber::new(number.unsigned_abs());
        let record = row::one(tx.conn(), number, failed).await?;
        tx.commit().await.map_err(failed)?;
        Ok(record)
    }

    /// A rollout.
    ///
    /// # Errors
    /// [`Error::RolloutUnknown`].
    pub async fn rollout(&self, number: RolloutNumber) -> Result<RolloutRecord> {
        let mut reader = self.reader().await?;
        row::one(reader.conn(), number, self.failed("reading a rollout")).await
    }

    /// Rollouts, the newest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn rollouts(&self, limit: u32) -> Result<Vec<RolloutRecord>> {
        let failed = self.failed("listing rollouts");
        let mut reader = self.reader().await?;
        let sql = format!("{SELECT} ORDER BY number DESC LIMIT $1");
        let rows = query(sql).bind(i64::from(limit)).all(reader.conn()).await.map_err(failed)?;
        rows.iter().map(|row| read_rollout(row, failed)).collect()
    }

    /// Its tenants, in the order of turns.
    ///
    /// # Errors
    /// As any read.
    pub async fn rollout_tenants(&self, number: RolloutNumber) -> Result<Vec<RolloutTenant>> {
        let failed = self.failed("reading a rollout's tenants");
        let mut reader = self.reader().await?;
        let rows =
            query("SELECT seat, wave, tenant, run, asked_at_us FROM rollout_tenants WHERE rollout = $1 ORDER BY seat")
                .bind(number.column())
                .all(reader.conn())
                .await
                .map_err(failed)?;
        rows.iter().map(|row| read_tenant(row).map_err(failed)).collect()
    }

    /// What happened to it, in order.
    ///
    /// # Errors
    /// As any read.
    pub async fn rollout_events(&self, number: RolloutNumber) -> Result<Vec<RolloutEvent>> {
        let failed = self.failed("reading what happened to a rollout");
        let mut reader = self.reader().await?;
        let rows = query(
            "SELECT seq, at_us, event, to_state, happened_by, because FROM rollout_events WHERE rollout = $1 \
             ORDER BY seq",
        )
        .bind(number.column())
        .all(reader.conn())
        .await
        .map_err(failed)?;
        rows.iter().map(|row| read_event(row, failed)).collect()
    }

    /// Moves a rollout, if it still is where the caller knows it to be.
    ///
    /// # Errors
    /// [`Error::RolloutMoved`]; [`Error::RolloutIllegal`].
    pub async fn step_rollout(&self, step: RolloutStep<'_>) -> Result<RolloutRecord> {
        let failed = self.failed("moving a rollout");
        let RolloutStep { from, event, by, because, seen, now_us } = step;
        let number = from.number;
        let to = from.state.apply(event).map_err(|source| Error::RolloutIllegal { number, source })?;
        let wave = if event == Event::WaveEnded { from.wave + 1 } else { from.wave };
        let seen = seen.unwrap_or(from.seen);
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let place = |wave: usize| i64::try_from(wave).unwrap_or(i64::MAX);
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let moved = query(
            "UPDATE rollouts SET state = $1, wave = $2, seen_ended = $3, seen_rollbacks = $4, seen_failures = $5, \
             seen_refusals = $6, because = $7, updated_at_us = $8 WHERE number = $9 AND state = $10 AND wave = $11",
        )
        .bind(to.word())
        .bind(place(wave))
        .bind(count(seen.ended))
        .bind(count(seen.rollbacks))
        .bind(count(seen.failures))
        .bind(count(seen.refusals))
        .bind(because)
        .bind(now_us)
        .bind(number.column())
        .bind(from.state.word())
        .bind(place(from.wave))
        .execute(tx.conn())
        .await
        .map_err(failed)?;
        if moved != 1 {
            let found = row::one(tx.conn(), number, failed).await?.state;
            return Err(Error::RolloutMoved { number, expected: from.state, found });
        }
        let name = format!("{event:?}");
        query(
            "INSERT INTO rollout_events (rollout, seq, at_us, event, to_state, happened_by, because) \
             SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6 FROM rollout_events WHERE rollout = $1",
        )
        .bind(number.column())
        .bind(now_us)
        .bind(name.as_str())
        .bind(to.word())
        .bind(by)
        .bind(because)
        .execute(tx.conn())
        .await
        .map_err(failed)?;
        let fact = Fact::new("rollout.moved", by, now_us)
            .say("rollout", number.get())
            .say("event", name)
            .say("state", to)
            .say("because", because);
        audit::record(tx.conn(), fact, failed).await?;
        let record = row::one(tx.conn(), number, failed).await?;
        reached(Point::RolloutMoveUncommitted);
        tx.commit().await.map_err(failed)?;
        reached(Point::RolloutMoved);
        Ok(record)
    }
}

#[cfg(test)]
mod tests;
