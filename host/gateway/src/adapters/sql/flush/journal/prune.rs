//! The journal after `journal.keep`: its pages go, and what a flush consumed stays. A plan is used once
//! for ever. With the pages go the numbers of attempts, see [`super::super::attempt`].

use super::super::super::connection::{Arg, Connection};
use super::super::super::engine::Engine;
use super::super::attempt;
use super::own_table;
use crate::error::Result;
use crate::target::Target;

/// Flushes of one transaction: their pages may be megabytes each, and an application may wait.
const FLUSHES_MAX: i64 = 10;

/// Removes the pages of the oldest flushes that were committed before this moment; a few of them. Gives
/// how many flushes that were.
pub(crate) async fn prune(connection: &mut Connection, target: &Target, before_us: i64, now_us: i64) -> Result<u64> {
    let begin = match target.engine {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN",
    };
    connection.batch(begin).await?;
    let pruned = inside(connection, target, before_us, now_us).await;
    let end = if pruned.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.batch(end).await;
    let pruned = pruned?;
    ended.map(|()| pruned)
}

async fn inside(connection: &mut Connection, target: &Target, before_us: i64, now_us: i64) -> Result<u64> {
    let (commits, journal) = (own_table(target, "commits"), own_table(target, "journal"));
    let ([a, b, c, d], text, skip) = match target.engine {
        Engine::Sqlite => (["?1", "?2", "?3", "?4"], "", ""),
        // Several hosts may prune at once.
        Engine::Postgres => (["$1", "$2", "$3", "$4"], "::text", " FOR UPDATE SKIP LOCKED"),
    };
    let due = format!(
        "SELECT run, generation{text}, batch{text} FROM {commits}
         WHERE pruned_at_us IS NULL AND committed_at_us < {a} ORDER BY committed_at_us LIMIT {b}{skip}"
    );
    let due = connection.rows(&due, vec![Arg::Int(before_us), Arg::Int(FLUSHES_MAX)]).await?;
    let delete = format!("DELETE FROM {journal} WHERE run = {a} AND generation = {b} AND batch = {c}");
    let mark = format!("UPDATE {commits} SET pruned_at_us = {d} WHERE run = {a} AND generation = {b} AND batch = {c}");
    if !due.is_empty() {
        attempt::prune(connection, target).await?;
    }
    let mut pruned = 0;
    for row in due {
        let [run, generation, batch] = row.as_slice() else { continue };
        let (Some(run), Some(generation), Some(batch)) = (run.text(), generation.integer(), batch.integer()) else {
            continue;
        };
        let id = || vec![Arg::text(run), Arg::Int(generation), Arg::Int(batch)];
        connection.execute(&delete, id()).await?;
        connection.execute(&mark, [id(), vec![Arg::Int(now_us)]].concat()).await?;
        pruned += 1;
    }
    Ok(pruned)
}
