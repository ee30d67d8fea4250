//! Which attempt of a run may write. Each claim of a run is an attempt, and its number counts up; the
//! target keeps the highest that any host announced, and a flush below it is refused.
//!
//! The flush raises the number and thereby locks its row until COMMIT. Whoever takes the run over ends
//! the former backends, commits its own number, and only then reads the journal: what it finds is final,
//! because a flush of a former attempt either committed before or meets the higher number, whenever its
//! host wakes up and whether it had opened its connection or not.
//!
//! **How long a row is kept**: as long as the run has a journal, and never for less than [`KEPT_US`]. A
//! host would have to sleep longer than that between its last look at the control store and its flush to
//! find no row; it then still meets the guards of its plan, and the key in `commits`, which is for ever.

use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_crash::{Point, reached};
use tokio::time::Instant;

use super::super::connection::{Arg, Connection, Role};
use super::super::engine::Engine;
use super::super::install;
use super::journal::own_table;
use crate::error::{Error, Result};
use crate::target::Target;

/// Now by the database's clock, in microseconds since 1970.
pub(super) const NOW_POSTGRES: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
pub(super) const NOW_SQLITE: &str = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

/// Thirty days by the database's clock: no machine sleeps as long and then still has its connection.
const KEPT_US: i64 = 30 * 24 * 3_600 * 1_000_000;

/// Rows that one pruning removes: more than the flushes that it looks at, so that they do not pile up.
const PRUNED_MAX: i64 = 100;

/// What stands before a run's id in the `application_name` of the connection that flushes it; its attempt
/// stands behind.
const NAME: &str = "mendwright ";

/// Between two looks at whether a backend is gone.
const POLL: Duration = Duration::from_millis(20);

/// The longest that a takeover waits for former backends to end. Told to, they do so at their next check
/// for interrupts, within milliseconds unless their host is stopped in the middle of a result; then it
/// takes the kernel's time.
const ENDS_WITHIN: Duration = Duration::from_secs(4);

/// The longest that a takeover waits for a row that a former attempt locked before it looks for that
/// attempt's backend again.
const ROW_WITHIN_MS: u32 = 200;

/// An attempt as its column holds it.
fn column(attempt: u64) -> i64 {
    i64::try_from(attempt).unwrap_or(i64::MAX)
}

/// The same as a parameter.
pub(super) fn arg(attempt: u64) -> Arg {
    Arg::Int(column(attempt))
}

/// What a host is told that is no longer in charge.
pub(super) fn lost() -> Error {
    Error::refused(Code::FenceLost, "another host took this run over")
}

/// Raises the number of a run (the first parameter) to the second one, and locks it; changes no row where
/// a later attempt was announced.
pub(super) fn announce(target: &Target) -> String {
    let (now, [run, attempt]) = match target.engine {
        Engine::Sqlite => (NOW_SQLITE, ["?1", "?2"]),
        Engine::Postgres => (NOW_POSTGRES, ["$1", "$2"]),
    };
    format!(
        "INSERT INTO {} AS former (run, attempt, raised_at_us) VALUES ({run}, {attempt}, {now})
         ON CONFLICT (run) DO UPDATE SET attempt = excluded.attempt, raised_at_us = excluded.raised_at_us
         WHERE former.attempt <= excluded.attempt",
        own_table(target, "attempts")
    )
}

/// From here on no former attempt of the run writes, and what the journal says of it is final.
pub(crate) async fn take_over(connection: &mut Connection, target: &Target, run: &str, attempt: u64) -> Result<()> {
    reached(Point::BeforeTakeover);
    let until = Instant::now() + ENDS_WITHIN;
    loop {
        // A host that is itself behind ends nobody.
        if highest(connection, target, run, "").await? > column(attempt) {
            return Err(lost());
        }
        end_former_backends(connection, target, run, attempt).await?;
        match raise(connection, target, run, attempt).await {
            // A former attempt began in between: it is ended in the next round.
            Err(Error::Unavailable { code: Code::TargetLocked, .. })
                if target.engine == Engine::Postgres && Instant::now() < until => {}
            done => return done.inspect(|()| reached(Point::TakenOver)),
        }
    }
}

async fn highest(connection: &mut Connection, target: &Target, run: &str, lock: &str) -> Result<i64> {
    let table = own_table(target, "attempts");
    let sql = match target.engine {
        Engine::Sqlite => format!("SELECT attempt FROM {table} WHERE run = ?1"),
        Engine::Postgres => format!("SELECT attempt::text FROM {table} WHERE run = $1{lock}"),
    };
    Ok(connection.one(&sql, vec![Arg::text(run)]).await?.integer().unwrap_or(0))
}

async fn raise(connection: &mut Connection, target: &Target, run: &str, attempt: u64) -> Result<()> {
    let begin = match target.engine {
        // Admits one writer: a former attempt is not in the middle of its flush now.
        Engine::Sqlite => "BEGIN IMMEDIATE".to_owned(),
        Engine::Postgres => {
            format!("BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = {ROW_WITHIN_MS}")
        }
    };
    connection.batch(&begin).await?;
    let raised = inside(connection, target, run, attempt).await;
    let end = if matches!(raised, Ok(true)) { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.batch(end).await;
    raised?;
    ended
}

/// Whether a number was written. It is there already where a host asks what became of its own flush,
/// perhaps on a full disk.
async fn inside(connection: &mut Connection, target: &Target, run: &str, attempt: u64) -> Result<bool> {
    let found = highest(connection, target, run, " FOR UPDATE").await?;
    if found > column(attempt) {
        return Err(lost());
    }
    if found == column(attempt) {
        return Ok(false);
    }
    match connection.execute(&announce(target), vec![Arg::text(run), arg(attempt)]).await? {
        0 => Err(lost()),
        _ => {
            reached(Point::TakeoverUncommitted);
            Ok(true)
        }
    }
}

/// PostgreSQL: says for which attempt of which run this connection is, before it waits for anything; refuses a
/// server that could lose what it commits.
pub(super) async fn introduce(connection: &mut Connection, target: &Target, run: &str, attempt: u64) -> Result<()> {
    let sql = format!("SELECT {}, set_config('application_name', $1, false)", install::SAFETY);
    let name = Arg::text(format!("{}{attempt}", name_of(run)));
    let found = connection.rows(&sql, vec![name]).await?;
    install::is_safe(target, found.first().map(Vec::as_slice).unwrap_or_default())
}

/// What the names of a run's connections begin with.
pub(super) fn name_of(run: &str) -> String {
    format!("{NAME}{run} #")
}

/// The backends whose name begins with this parameter, but for the one that asks.
pub(super) fn backends_of(name: &str) -> String {
    format!(
        "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()
           AND starts_with(application_name, {name})"
    )
}

/// The run and the attempt that a connection said it is for.
pub(super) fn introduced(application_name: &str) -> Option<(&str, u64)> {
    let (run, attempt) = application_name.strip_prefix(NAME)?.rsplit_once(" #")?;
    Some((run, attempt.parse().ok()?))
}

/// PostgreSQL: ends the backends that wrote for this run before, in this attempt or an earlier one, and
/// waits until they are gone.
pub(super) async fn end_former_backends(
    connection: &mut Connection,
    target: &Target,
    run: &str,
    attempt: u64,
) -> Result<()> {
    if target.engine == Engine::Sqlite {
        return Ok(());
    }
    // By name: a former attempt may still wait for the fence row that is to carry its number. A later one's
    // is left alone, so that a host that is behind does not disturb it.
    let named = backends_of("$1");
    let look = format!("SELECT pid::text, application_name {named}");
    let end = format!("SELECT pg_terminate_backend(pid)::text {named} AND pid = ANY($2)");
    let of_run = || Arg::text(name_of(run));
    let until = Instant::now() + ENDS_WITHIN;
    loop {
        let found = connection.rows(&look, vec![of_run()]).await?;
        let former = found.iter().filter_map(|row| match row.as_slice() {
            [pid, name] if introduced(name.text()?)?.1 <= attempt => pid.integer(),
            _ => None,
        });
        let former: Vec<i64> = former.collect();
        if former.is_empty() {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(Error::unavailable(
                Code::TargetLocked,
                "the database connection of a former attempt of this run does not end; try again, or end it by hand",
            ));
        }
        connection.rows(&end, vec![of_run(), Arg::Ints(former)]).await?;
        tokio::time::sleep(POLL).await;
    }
}

/// PostgreSQL: ends this attempt's own backend, from another connection. Where that cannot be had it ends
/// by itself when its statement does: its COMMIT was not sent.
pub(super) async fn end_own_backend(target: &Target, run: &str, attempt: u64) {
    let ended = async {
        let mut connection = Connection::open(target, Role::Write).await?;
        let ended = end_former_backends(&mut connection, target, run, attempt).await;
        connection.close().await;
        ended
    };
    if let Err(error) = ended.await {
        tracing::warn!(?error, "a statement that was stopped goes on until its timeout");
    }
}

/// Removes rows of runs that have no journal (any more) and were not heard of for
/// long; a few of them.
pub(crate) async fn prune(connection: &mut Connection, target: &Target) -> Result<u64> {
    let (attempts, commits) = (own_table(target, "attempts"), own_table(target, "commits"));
    let (now, [kept, most], skip) = match target.engine {
        Engine::Sqlite => (NOW_SQLITE, ["?1", "?2"], ""),
        Engine::Postgres => (NOW_POSTGRES, ["$1", "$2"], " FOR UPDATE SKIP LOCKED"),
    };
    let sql = format!(
        "DELETE FROM {attempts} WHERE run IN (SELECT run FROM {attempts} AS a WHERE a.raised_at_us < {now} - {kept}
           AND NOT EXISTS (SELECT 1 FROM {commits} AS c WHERE c.run = a.run AND c.pruned_at_us IS NULL)
           ORDER BY a.raised_at_us LIMIT {most}{skip})"
    );
    connection.execute(&sql, vec![Arg::Int(KEPT_US), Arg::Int(PRUNED_MAX)]).await
}
