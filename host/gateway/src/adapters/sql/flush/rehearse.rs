//! The flush and its undo inside one real transaction that is then rolled back: triggers and
//! constraints really fire, and the rows have to arrive where they began.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use mendwright_core::binding::Resolved;
use mendwright_core::code::Code;
use mendwright_crash::{Point, reached};

use super::super::connection::{Arg, Connection, Role};
use super::super::engine::Engine;
use super::super::raw::Raw;
use super::fence::Backend;
use super::fingerprints::{Fingerprints, prints};
use super::group::{Group, arrange};
use super::inverse::Inverse;
use super::journal::{Entry, Head, Page, entries};
use super::{lock, orphans, statement, write_batch};
use crate::error::{Error, Result};
use crate::target::Target;

/// How a rehearsal went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rehearsed {
    /// It arrived where it began.
    Passed,
    /// It could not be held, and why.
    NotHeld(String),
    /// It could not be held while others worked on the same rows, and why: later it may.
    Busy(String),
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
    reached(Point::BeforeRehearsal);
    let limit = target.dry_run_lock_max;
    let backend = Backend::of(&mut connection).await?;
    connection.limit_statements(limit).await?;
    let held = tokio::time::timeout(limit, in_transaction(&mut connection, target, tenant, groups, resolved)).await;
    let too_long = || {
        Ok(Rehearsed::Busy(format!("it would hold locks for more than dry_run_lock_ms_max = {} ms", limit.as_millis())))
    };
    match held {
        Err(_elapsed) => {
            // Dropping the connection rolls back, on PostgreSQL when its statement comes to an end.
            drop(connection);
            backend.end(target).await;
            too_long()
        }
        Ok(outcome) => {
            let rolled_back = connection.batch("ROLLBACK").await;
            reached(Point::AfterRehearsal);
            connection.close().await;
            match outcome {
                Err(Error::Unavailable { code: Code::TargetLocked, .. }) => {
                    Ok(Rehearsed::Busy("somebody else holds a lock that it needs".to_owned()))
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
    super::begin(connection).await?;
    super::defer_foreign_keys(connection, groups).await?;
    if connection.engine() == Engine::Postgres {
        let sql = "SELECT set_config('mendwright.tenant', $1, true)";
        connection.rows(sql, vec![Arg::text(tenant)]).await?;
    }
    lock::tables(connection, target, groups, &[], resolved).await?;
    let start = whole(connection, groups).await?;
    let mut pages = Vec::new();
    make(connection, tenant, groups, resolved, Some(&mut pages)).await?;
    reached(Point::InRehearsal);
    let mut back = Vec::with_capacity(pages.len());
    for Page { head, rows } in pages.into_iter().rev() {
        back.push(Inverse::new(&head, target.engine, resolved)?.group(rows.iter().rev()));
    }
    arrange(&mut back, resolved);
    make(connection, tenant, &back, resolved, None).await?;
    if whole(connection, groups).await? == start {
        return Ok(());
    }
    Err(Error::refused(
        Code::RehearsalFailed,
        "flush and restore did not arrive where they began: something in the database does more than is declared",
    ))
}

/// Writes the groups; puts down what a journal would hold of it.
async fn make(
    connection: &mut Connection,
    tenant: &str,
    groups: &[Group],
    resolved: &BTreeMap<String, Arc<Resolved>>,
    mut journal: Option<&mut Vec<Page>>,
) -> Result<()> {
    let fingerprints = Fingerprints::take(connection, groups).await?;
    for group in groups {
        for batch in statement::batches(group) {
            let stored = write_batch(connection, tenant, group, batch, resolved).await?;
            if let Some(pages) = &mut journal {
                let entry = |[key, before, after]: [&[Raw]; 3]| Entry {
                    key: key.into(),
                    before: before.into(),
                    after: after.into(),
                };
                pages.push(Page { head: Head::of(group), rows: entries(batch, &stored).map(entry).collect() });
            }
        }
    }
    if connection.engine() == Engine::Postgres {
        connection.batch("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED").await?;
    }
    orphans::none(connection, groups).await?;
    fingerprints.check(connection, groups).await
}

/// Every stored column of every row that the groups write, derived ones excepted, as one hash each.
async fn whole(connection: &mut Connection, groups: &[Group]) -> Result<Vec<[u8; 32]>> {
    let mut all = Vec::with_capacity(groups.len());
    for group in groups {
        let mut hash = Sha256::new();
        for batch in statement::batches(group) {
            for (key, print) in prints(connection, group, batch, &[]).await? {
                key.iter().for_each(|tag| {
                    hash.update(u64::try_from(tag.len()).unwrap_or(u64::MAX).to_be_bytes());
                    hash.update(tag.as_bytes());
                });
                hash.update(print);
            }
        }
        all.push(hash.finalize().into());
    }
    Ok(all)
}
