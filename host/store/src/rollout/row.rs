//! Rows of rollouts, through one door.

use mendwright_core::rollout::Tally;

use super::{RolloutEvent, RolloutNumber, RolloutRecord, RolloutTenant};
use crate::db::{Conn, Row, query};
use crate::error::{Error, Result};
use crate::run::RunNumber;

pub(super) const SELECT: &str = "SELECT number, job_name, params, waves, stop_if, state, wave, seen_ended, \
     seen_rollbacks, seen_failures, seen_refusals, started_by, because, created_at_us, updated_at_us FROM rollouts";

pub(super) async fn one(
    conn: Conn<'_>,
    number: RolloutNumber,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<RolloutRecord> {
    let row = query(format!("{SELECT} WHERE number = $1")).bind(number.column()).optional(conn).await;
    match row.map_err(failed)? {
        Some(row) => read_rollout(&row, failed),
        None => Err(Error::RolloutUnknown { number }),
    }
}

pub(super) fn read_rollout(row: &Row, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<RolloutRecord> {
    let text = |column| row.try_get::<String>(column).map_err(failed);
    let int = |column| row.try_get::<i64>(column).map_err(failed);
    let number = RolloutNumber::new(int("number")?.unsigned_abs());
    let nonsense = |column: &'static str, why: String| Error::corrupt("rollouts", column, number.get(), why);
    Ok(RolloutRecord {
        number,
        job: text("job_name")?,
        params: serde_json::from_str(&text("params")?).map_err(|e| nonsense("params", e.to_string()))?,
        waves: text("waves")?.parse().map_err(|e| nonsense("waves", e))?,
        stop_if: text("stop_if")?.parse().map_err(|e| nonsense("stop_if", e))?,
        state: text("state")?.parse().map_err(|e| nonsense("state", e))?,
        wave: usize::try_from(int("wave")?).map_err(|e| nonsense("wave", e.to_string()))?,
        seen: Tally {
            ended: int("seen_ended")?.unsigned_abs(),
            rollbacks: int("seen_rollbacks")?.unsigned_abs(),
            failures: int("seen_failures")?.unsigned_abs(),
            refusals: int("seen_refusals")?.unsigned_abs(),
        },
        started_by: text("started_by")?,
        because: text("because")?,
        created_at_us: int("created_at_us")?,
        updated_at_us: int("updated_at_us")?,
    })
}

pub(super) fn read_tenant(row: &Row) -> sqlx::Result<RolloutTenant> {
    let place = |column| row.try_get::<i64>(column).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    Ok(RolloutTenant {
        seat: place("seat")?,
        wave: place("wave")?,
        tenant: row.try_get("tenant")?,
        run: row.try_get::<Option<i64>>("run")?.map(|run| RunNumber::new(run.unsigned_abs())),
        asked_at_us: row.try_get("asked_at_us")?,
    })
}

pub(super) fn read_event(row: &Row, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<RolloutEvent> {
    let text = |column| row.try_get::<String>(column).map_err(failed);
    let seq = row.try_get::<i64>("seq").map_err(failed)?.unsigned_abs();
    Ok(RolloutEvent {
        seq,
        at_us: row.try_get("at_us").map_err(failed)?,
        event: text("event")?,
        to: text("to_state")?.parse().map_err(|e| Error::corrupt("rollout_events", "to_state", seq, e))?,
        by: text("happened_by")?,
        because: text("because")?,
    })
}
