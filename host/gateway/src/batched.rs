//! A plan in several transactions: weaker by name. Each is a flush with a journal of its own; a plan that
//! stops half way is a prefix that the journals know, to be gone on with or restored.

use std::collections::VecDeque;

use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::plan::header::Digest;
use mendwright_core::value::Value;

use crate::adapters::sql::computed::Computed;
use crate::adapters::sql::connection::{Connection, Role};
use crate::adapters::sql::flush::group::Group;
use crate::adapters::sql::flush::journal::{self, FlushId};
use crate::adapters::sql::flush::{Flush, attempt, flush};
use crate::adapters::sql::raw::to_value;
use crate::error::{Error, Result};
use crate::gate::Kind;
use crate::repair::{Context, resolve_all};

/// What the target's journal knows of an apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    /// Transactions that were committed.
    pub batches: u32,
    /// Rows that they wrote.
    pub changes: u64,
}

/// What applying in batches came to.
#[derive(Debug)]
pub struct Batched {
    /// Everything that is committed, of former attempts too.
    pub prefix: Prefix,
    /// Why it stopped before the end.
    pub stopped: Option<Error>,
}

impl Computed {
    /// Makes the changes, `size` of them in each transaction, behind what a former attempt committed.
    pub async fn apply_batched(self, context: Context<'_>, digest: Digest, size: usize, done: Prefix) -> Batched {
        let mut prefix = done;
        let identity = match self.identity_of(&context.target.name) {
            Ok(identity) => identity,
            Err(error) => return Batched { prefix, stopped: Some(error) },
        };
        let mut rest: VecDeque<Group> = self.groups.into();
        loop {
            let groups = take(&mut rest, size.max(1));
            if groups.is_empty() {
                return Batched { prefix, stopped: None };
            }
            let id = FlushId { run: context.run, generation: 0, batch: prefix.batches };
            let flushed = flush(&Flush {
                target: context.target,
                tenant: context.tenant,
                id,
                attempt: context.attempt,
                digest,
                kind: Kind::Apply,
                gate: context.gate,
                groups: &groups,
                reads: &[],
                resolved: &self.resources,
                bindings: context.resources,
                identity: &identity,
                key: context.key,
                now_us: context.now_us,
            })
            .await;
            let changes = match flushed {
                Ok(flushed) => flushed.changes,
                Err(Error::CommitUnknown) => match prefix_of(context).await {
                    Ok(found) if found.batches > prefix.batches => found.changes - prefix.changes,
                    Ok(_) => {
                        let lost = "the connection was lost before the target committed a batch";
                        let error = Error::unavailable(Code::TargetUnavailable, lost);
                        return Batched { prefix, stopped: Some(error) };
                    }
                    Err(error) => {
                        tracing::warn!(run = context.run, %error, "what became of a batch is not known yet");
                        return Batched { prefix, stopped: Some(Error::CommitUnknown) };
                    }
                },
                Err(error) => return Batched { prefix, stopped: Some(error) },
            };
            prefix = Prefix { batches: prefix.batches + 1, changes: prefix.changes + changes };
        }
    }
}

/// The first `n` rows, in the order of a flush.
fn take(rest: &mut VecDeque<Group>, mut n: usize) -> Vec<Group> {
    let mut taken = Vec::new();
    while n > 0 {
        let Some(mut group) = rest.pop_front() else { break };
        let behind = group.rows.split_off(n.min(group.rows.len()));
        n -= group.rows.len();
        if !behind.is_empty() {
            rest.push_front(Group { shape: group.shape.clone(), rows: behind });
        }
        taken.push(group);
    }
    taken
}

/// What the target's journal knows of the run's apply.
///
/// # Errors
/// As [`crate::repair::take_over`], with which it begins.
pub async fn prefix_of(context: Context<'_>) -> Result<Prefix> {
    let mut connection = Connection::open(context.target, Role::Write).await?;
    let found = look(&mut connection, context).await;
    connection.close().await;
    found
}

async fn look(connection: &mut Connection, context: Context<'_>) -> Result<Prefix> {
    attempt::take_over(connection, context.target, context.run, context.attempt).await?;
    let mut prefix = Prefix::default();
    loop {
        let id = FlushId { run: context.run, generation: 0, batch: prefix.batches };
        let Some(found) = journal::find(connection, context.target, id).await? else { return Ok(prefix) };
        prefix.batches += 1;
        prefix.changes += u64::try_from(found.commit.changes).unwrap_or(0);
    }
}

/// One transaction of an apply, as the target's journal has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Which one, from 0.
    pub n: u32,
    /// Rows that it wrote.
    pub changes: u64,
    /// The root over its pages, by their MACs; `None` where they are no longer kept, or are not what this host
    /// wrote.
    pub root: Option<Digest>,
}

/// Every transaction that the target's journal knows of the run's apply.
///
/// # Errors
/// Whatever the target answers.
pub async fn batches(context: Context<'_>, prefix: Prefix) -> Result<Vec<Batch>> {
    let mut connection = Connection::open(context.target, Role::Write).await?;
    let mut found = Vec::new();
    for n in 0..prefix.batches {
        let id = FlushId { run: context.run, generation: 0, batch: n };
        let Some(held) = journal::find(&mut connection, context.target, id).await? else {
            return Err(journal::absent(&mut connection, context.target, id).await?);
        };
        let root = journal::root_of(&mut connection, context.target, context.key, id).await?;
        found.push(Batch { n, changes: u64::try_from(held.commit.changes).unwrap_or(0), root });
    }
    connection.close().await;
    Ok(found)
}

/// The rows that the run's apply wrote so far, by its journal: resource and key.
///
/// # Errors
/// `ERR_JOURNAL_TAMPERED`, `ERR_JOURNAL_EXPIRED`, and whatever the target answers.
pub async fn written_rows(context: Context<'_>, prefix: Prefix) -> Result<Vec<(String, Key)>> {
    let resolved = resolve_all(context).await?;
    let mut connection = Connection::open(context.target, Role::Write).await?;
    let mut rows = Vec::new();
    for batch in 0..prefix.batches {
        let id = FlushId { run: context.run, generation: 0, batch };
        let opened = journal::Reader::open(&mut connection, context.target, context.key, id).await?;
        let Some(mut reader) = opened else {
            return Err(journal::absent(&mut connection, context.target, id).await?);
        };
        while let Some(page) = reader.next(&mut connection).await? {
            let table = resolved.get(&page.head.resource).ok_or_else(|| {
                Error::refused(Code::PlanBinding, format!("resource `{}` is no longer bound", page.head.resource))
            })?;
            for entry in &page.rows {
                let key = table.key_columns().zip(&entry.key).map(|((_, column), raw)| {
                    to_value(context.target.engine, column.kind, raw).ok_or_else(|| {
                        Error::refused(Code::PlanBinding, format!("the key of `{}` changed its kind", table.name))
                    })
                });
                rows.push((page.head.resource.clone(), Key(key.collect::<Result<Vec<Value>>>()?)));
            }
        }
    }
    connection.close().await;
    Ok(rows)
}
