//! The flush and its undo inside one real transaction that is then rolled back: triggers and
//! constraints really fire, and the rows have to arrive where they began.

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::binding::Resolved;
use mendwright_core::code::Code;

use super::super::connection::{Connection, Role};
use super::super::engine::Engine;
use super::super::session::stored_columns;
use super::group::{Group, arrange};
use super::journal::Entry;
use super::{lock, orphans, statement, undo, write_batch};
use crate::crash::crash_point;
use crate::error::{Error, Result};
use crate::target::Target;

/// How a rehearsal went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rehearsed {
    /// It arrived where it began.
    Passed,
    /// It could not be held, and why.
    NotHeld(String),
}

/// Holds the rehearsal, for no longer than an application may be made to wait.
///
/// # Errors
/// What the flush itself would end with: a constraint, a trigger that changes more than declared, or
/// `ERR_REHEARSAL_FAILED` where the undo did not lead back.
pub(crate) async fn rehearse(
    target: &Target,
    tenant: &str,
    groups: &[Group],
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<Rehearsed> {
    let mut connection = match Connection::open(target, Role::Write).await {
        Ok(connection) => connection,
        Err(Error::Unavailable { message, .. }) => return Ok(Rehearsed::NotHeld(message)),
        Err(error) => return Err(error),
    };
    let limit = target.dry_run_lock_max;
    connection.limit_statements(limit).await?;
    let held = tokio::time::timeout(limit, in_transaction(&mut connection, target, tenant, groups, resolved)).await;
    let too_long = || {
        Ok(Rehearsed::NotHeld(format!(
            "it would hold locks for more than dry_run_lock_ms_max = {} ms",
            limit.as_millis()
        )))
    };
    match held {
        Err(_elapsed) => {
            // Dropping the connection rolls back.
            drop(connection);
            too_long()
        }
        Ok(outcome) => {
            let rolled_back = connection.batch("ROLLBACK").await;
            connection.close().await;
            match outcome {
                Err(Error::Unavailable { code: Code::TargetLocked, .. }) => {
                    Ok(Rehearsed::NotHeld("somebody else holds a lock that it needs".to_owned()))
                }
                Err(Error::Unavailable { code: Code::TargetUnavailable, .. }) => too_long(),
                Err(Error::Refused { code: Code::TargetUnsafe, message }) => Ok(Rehearsed::NotHeld(message)),
                Err(error) => Err(error),
                Ok(()) => rolled_back.map(|()| Rehearsed::Passed),
            }
        }
    }
}

async fn in_transaction(
    connection: &mut Connection,
    target: &Target,
    tenant: &str,
    groups: &[Group],
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<()> {
    super::begin(connection, tenant).await?;
    lock::tables(connection, target, groups, &[], resolved).await?;
    let start = whole(connection, groups).await?;
    let entries = make(connection, tenant, groups, resolved).await?;
    crash_point!("in_rehearsal");
    let mut writes = Vec::with_capacity(entries.len());
    for entry in entries.iter().rev() {
        writes.push(undo::inverse(entry, resolved)?);
    }
    let back = arrange(writes, resolved);
    make(connection, tenant, &back, resolved).await?;
    if whole(connection, groups).await? == start {
        return Ok(());
    }
    Err(Error::refused(
        Code::RehearsalFailed,
        "flush and restore did not arrive where they began: something in the database does more than is declared",
    ))
}

async fn make(
    connection: &mut Connection,
    tenant: &str,
    groups: &[Group],
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<Vec<Entry>> {
    let prints = lock::Fingerprints::take(connection, groups).await?;
    let mut entries = Vec::new();
    for group in groups {
        for batch in group.rows.chunks(statement::batch_rows(connection.engine(), group)) {
            entries.extend(write_batch(connection, tenant, group, batch, resolved).await?);
        }
    }
    if connection.engine() == Engine::Postgres {
        connection.batch("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED").await?;
    }
    orphans::none(connection, groups).await?;
    prints.check(connection, groups).await?;
    Ok(entries)
}

type Rows = BTreeMap<Vec<String>, [u8; 32]>;

/// Every stored column of every row that the groups write, derived ones excepted.
async fn whole(connection: &mut Connection, groups: &[Group]) -> Result<Vec<Rows>> {
    let mut all = Vec::with_capacity(groups.len());
    for group in groups {
        debug_assert!(!stored_columns(&group.resolved).is_empty(), "a table has columns");
        all.push(lock::prints(connection, group, &[]).await?);
    }
    Ok(all)
}
