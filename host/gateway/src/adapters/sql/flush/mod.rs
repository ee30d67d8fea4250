//! Making the changes: one short transaction that awaits nothing but the database.
//!
//! **Invariant**: every write of a tenant's rows is here, is inside its tenant, guarded by what was
//! approved, and journaled in the same transaction.
//!
//! - `group`: changes of one shape, in the order they are made; `statement`: how a batch is written,
//!   `rowwise`: on SQLite, where `shared` lets flushes commit together;
//! - `fence`: one run at a time; `attempt`: and never a former attempt of it; `journal`: what was done, signed;
//! - `locks`: who holds a fence, for people;
//! - `lock`: what must not change while the transaction lasts, and what must not have changed;
//! - `fingerprints`, `marks`: what must be left alone where triggers fire;
//! - `look`: rows as they are now; `explain`: which are no longer as planned, for people;
//! - `orphans`: rows that hang on what is deleted;
//! - `rehearse`: the same, and back again, without a commit; `inverse`: the way back of a page;
//!   `undo`: the journal read backwards;
//! - `verify`: an independent read afterwards.

pub(crate) mod attempt;
mod explain;
pub(crate) mod fence;
mod fingerprints;
pub(crate) mod group;
mod inverse;
pub(crate) mod journal;
mod lock;
pub(crate) mod locks;
mod look;
mod marks;
mod orphans;
pub(crate) mod rehearse;
mod rowwise;
pub(crate) mod shared;
mod statement;
pub(crate) mod undo;
pub(crate) mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mendwright_core::binding::{Resolved, Resource};
use mendwright_core::code::Code;
use mendwright_core::plan::header::Digest;
use mendwright_crash::{Point, reached};

use super::computed::StableRead;
use super::connection::{Connection, RawRow, Role};
use super::engine::Engine;
use super::install;
use crate::error::{Error, Result};
use crate::gate::{Gate, Kind};
use crate::target::Target;
use fence::{Fence, Held};
use fingerprints::Fingerprints;
use group::Group;
use journal::{Commit, FlushId, Head, MacKey};
use statement::Written;
pub(crate) use statement::placeholders;

/// Times that a flush is tried where the database says it was in the way of another transaction.
const ATTEMPTS_MAX: u32 = 3;

/// One flush: what to write, by whose leave, and what must still be true.
pub(crate) struct Flush<'a> {
    pub(crate) target: &'a Target,
    pub(crate) tenant: &'a str,
    pub(crate) id: FlushId<'a>,
    /// Which claim of the run the host has.
    pub(crate) attempt: u64,
    /// The digest that was approved; used once.
    pub(crate) digest: Digest,
    pub(crate) kind: Kind,
    pub(crate) gate: &'a Gate,
    pub(crate) groups: &'a [Group],
    pub(crate) reads: &'a [StableRead],
    /// Resources that the writes or reads rest on, as the plan bound them.
    pub(crate) resolved: &'a BTreeMap<String, Arc<Resolved>>,
    pub(crate) bindings: &'a BTreeMap<String, Resource>,
    /// The target's identity as the plan bound it.
    pub(crate) identity: &'a str,
    pub(crate) key: &'a MacKey,
    pub(crate) now_us: i64,
}

/// What a flush came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Rows that were written.
    pub changes: u64,
    /// The root over its pages in the journal, by their MACs; `None` where it was several flushes, or is not known.
    pub root: Option<Digest>,
}

/// Makes the changes and commits, or changes nothing.
pub(crate) async fn flush(flush: &Flush<'_>) -> Result<Flushed> {
    reached(Point::BeforeConnect);
    if flush.target.engine == Engine::Sqlite {
        return shared::flush(flush).await;
    }
    flush.gate.pass(flush.kind).await?;
    let mut connection = Connection::open(flush.target, Role::Write).await?;
    let mut n = 1;
    let outcome = loop {
        let outcome = once(&mut connection, flush).await;
        match outcome {
            Err(error) if error.was_aborted() && n < ATTEMPTS_MAX => n += 1,
            other => break other,
        }
    };
    if outcome.is_err() {
        connection.close().await;
        return outcome;
    }
    prune_a_little(&mut connection, flush).await;
    connection.give_back(flush.target, Role::Write).await;
    outcome
}

/// Where nothing was due, the next flushes do not look for so long.
const PRUNED_FOR_US: i64 = 1_000_000;

/// A little of what is due, on the way: the next flush does the same.
async fn prune_a_little(connection: &mut Connection, flush: &Flush<'_>) {
    let Flush { target, now_us, .. } = *flush;
    if now_us < target.is_pruned_until_us.load(Ordering::Relaxed) {
        return;
    }
    match journal::prune(connection, target, target.kept_since_us(now_us), now_us).await {
        Ok(0) => target.is_pruned_until_us.store(now_us.saturating_add(PRUNED_FOR_US), Ordering::Relaxed),
        Ok(_) => {}
        Err(error) => tracing::warn!(?error, "the journal's old pages stay for now"),
    }
}

async fn once(connection: &mut Connection, flush: &Flush<'_>) -> Result<Flushed> {
    let mut fence = Fence::new(flush.tenant, flush.id.run, flush.attempt, relations(flush.groups));
    let made = tokio::select! {
        biased;
        halted = flush.gate.thrown(flush.kind) => {
            // In the middle of a statement, perhaps: it must not go on to hold its locks. What frees the
            // fence is that its backend is gone.
            attempt::end_own_backend(flush.target, flush.id.run, flush.attempt).await;
            return Err(halted);
        }
        made = up_to_commit(connection, flush, &mut fence) => made,
    };
    match made {
        Ok(flushed) => {
            if let Err(error) = connection.commit().await {
                return Err(after_commit_failed(connection, flush, error).await);
            }
            reached(Point::AfterCommit);
            Ok(flushed)
        }
        Err(error) => {
            // The connection may be gone with the transaction; the fence then frees itself.
            if connection.batch("ROLLBACK").await.is_ok() {
                let _ = fence.release(connection, flush.target).await;
            }
            Err(error)
        }
    }
}

/// Everything before COMMIT; the gate is asked before the transaction begins, and last of all.
async fn up_to_commit(connection: &mut Connection, flush: &Flush<'_>, fence: &mut Fence) -> Result<Flushed> {
    attempt::introduce(connection, flush.target, flush.id.run, flush.attempt).await?;
    connection.limit_statements(flush.target.statement_timeout).await?;
    reached(Point::BeforeFence);
    fence.take(connection, flush.target).await?;
    reached(Point::BeforeBegin);
    flush.gate.pass(flush.kind).await?;
    begin(connection).await?;
    let flushed = inside(connection, flush, fence).await?;
    reached(Point::BeforeCommit);
    flush.gate.pass(flush.kind).await?;
    Ok(flushed)
}

/// A COMMIT that failed by a constraint changed nothing; one whose answer was lost may have.
async fn after_commit_failed(connection: &mut Connection, flush: &Flush<'_>, error: Error) -> Error {
    match error {
        // SQLite leaves the transaction open.
        Error::Violated { .. } | Error::Refused { .. } | Error::Unavailable { code: Code::TargetLocked, .. } => {
            let _ = connection.batch("ROLLBACK").await;
            error
        }
        Error::Unavailable { .. }
        | Error::Drifted(_)
        | Error::CommitUnknown
        | Error::Diverged(_)
        | Error::Internal(_) => {
            tracing::warn!(run = flush.id.run, "the answer to COMMIT was lost");
            Error::CommitUnknown
        }
    }
}

/// Begins the transaction; PostgreSQL has to be told the tenant.
async fn begin(connection: &mut Connection) -> Result<()> {
    connection
        .batch(match connection.engine() {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = on",
        })
        .await
}

/// SQLite: from here on foreign keys are checked at COMMIT, which switches that off again. Where there are none it is
/// left: with each change of such a setting SQLite prepares all its statements anew.
async fn defer_foreign_keys(connection: &mut Connection, groups: &[Group]) -> Result<()> {
    let has_keys = |group: &Group| {
        let Resolved { foreign_keys, referenced_by, side_effects, .. } = group.resolved.as_ref();
        // A trigger may write other tables, which have some.
        !(foreign_keys.is_empty() && referenced_by.is_empty() && side_effects.is_empty())
    };
    match connection.engine() {
        Engine::Sqlite if groups.iter().any(has_keys) => connection.batch("PRAGMA defer_foreign_keys = ON").await,
        Engine::Sqlite | Engine::Postgres => Ok(()),
    }
}

/// Whoever gets past this is the only one who writes for the run and the tenant's rows until the end, for the first
/// time and in the database that the plan was made for.
async fn hold(connection: &mut Connection, flush: &Flush<'_>, fence: &Fence) -> Result<()> {
    let held = match connection.engine() {
        Engine::Sqlite => {
            let is_held = fence.hold_sqlite(connection, flush.target).await?;
            let is_used = journal::is_used(connection, flush.target, flush.id, flush.digest).await?;
            Held { is_held, is_used, target: None }
        }
        Engine::Postgres => fence.hold_postgres(connection, flush.target, (flush.id, flush.digest)).await?,
    };
    // Said first: a plan that is used stays so, whoever is in charge.
    if held.is_used {
        return Err(journal::used());
    }
    if !held.is_held {
        return Err(attempt::lost());
    }
    journal::stands(connection, flush.target, flush.id).await?;
    if held.target != Some(install::written(flush.identity)) {
        lock::same_target(connection, flush).await?;
    }
    Ok(())
}

async fn inside(connection: &mut Connection, flush: &Flush<'_>, fence: &Fence) -> Result<Flushed> {
    hold(connection, flush, fence).await?;
    defer_foreign_keys(connection, flush.groups).await?;
    reached(Point::BeforeLocks);
    lock::tables(connection, flush.target, flush.groups, flush.reads, flush.resolved).await?;
    lock::same_bindings(connection, flush).await?;
    lock::same_reads(connection, flush.reads).await?;
    reached(Point::BeforeWrites);
    let mut writer = journal::Writer::new(flush.target, flush.key, flush.id);
    let mut changes = 0_u64;
    let prints = Fingerprints::take(connection, flush.groups).await?;
    for group in flush.groups {
        let head = Head::of(group);
        for batch in statement::batches(group) {
            let stored = write_batch(connection, flush.tenant, group, batch, flush.resolved).await?;
            reached(Point::BetweenWriteAndJournal);
            writer.page(connection, &head, journal::entries(batch, &stored)).await?;
            changes += u64::try_from(batch.len()).unwrap_or(0);
            reached(Point::BetweenBatches);
        }
    }
    if connection.engine() == Engine::Postgres {
        // Deferred constraints and their triggers speak now, not at COMMIT.
        connection.batch("SET CONSTRAINTS ALL IMMEDIATE").await?;
    }
    prints.check(connection, flush.groups).await?;
    let commit = Commit {
        digest: flush.digest,
        run: flush.id.run.to_owned(),
        generation: flush.id.generation,
        batch: flush.id.batch,
        tenant: flush.tenant.to_owned(),
        kind: flush.kind.word(),
        epoch: fence.epoch,
        committed_at_us: flush.now_us,
        changes: i64::try_from(changes).unwrap_or(i64::MAX),
    };
    reached(Point::BeforeConsumption);
    let root = writer.commit(connection, flush.target, &commit, fence).await?;
    Ok(Flushed { changes, root: Some(root) })
}

/// Writes one batch inside its tenant; gives inserted rows as they are stored.
async fn write_batch(
    connection: &mut Connection,
    tenant: &str,
    group: &Group,
    batch: &[group::RowWrite],
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<Vec<RawRow>> {
    lock::path(connection, group, batch, tenant).await?;
    orphans::no_cascade(connection, group, batch).await?;
    let stored = match statement::write(connection, group, batch, tenant).await? {
        Written::AsPlanned(stored) => stored,
        Written::Drifted => return Err(explain::explain(connection, group, batch, tenant).await),
        Written::Differs => {
            return Err(Error::refused(
                Code::WriteDiffers,
                format!(
                    "after the write `{}` held something else than planned: a trigger or a type changed it",
                    group.resolved.name
                ),
            ));
        }
    };
    lock::in_tenant(connection, group, batch, tenant).await?;
    lock::references(connection, group, batch, tenant, resolved).await?;
    Ok(stored)
}

fn relations(groups: &[Group]) -> Vec<String> {
    groups
        .iter()
        .map(|group| match &group.resolved.schema {
            Some(schema) => format!("{schema}.{}", group.resolved.table),
            None => group.resolved.table.clone(),
        })
        .collect()
}
