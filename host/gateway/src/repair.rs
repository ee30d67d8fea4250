//! What a host does with a computed repair: rehearse it, apply it, read it back, undo it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::binding::{Resolved, Resource};
use mendwright_core::code::Code;
use mendwright_core::plan::header::Digest;
use mendwright_crash::{Point, reached};

use crate::adapters::sql::computed::Computed;
use crate::adapters::sql::connection::{Connection, Role};
pub use crate::adapters::sql::flush::Flushed;
use crate::adapters::sql::flush::journal::FlushId;
pub use crate::adapters::sql::flush::journal::MacKey;
pub use crate::adapters::sql::flush::locks::{HeldLock, Locks, Waiting, locks};
pub use crate::adapters::sql::flush::rehearse::Rehearsed;
use crate::adapters::sql::flush::undo::Of;
pub use crate::adapters::sql::flush::undo::{Fate, Undo, UndoCell, UndoRow};
pub use crate::adapters::sql::flush::verify::Verified;
use crate::adapters::sql::flush::{Flush, attempt, flush, journal, rehearse, undo, verify};
use crate::adapters::sql::session::seen;
use crate::error::{Error, Result};
use crate::gate::{Gate, Kind};
use crate::target::Target;

/// What every act on a target needs to know.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The target that is written.
    pub target: &'a Target,
    /// Every resource of the configuration.
    pub resources: &'a BTreeMap<String, Resource>,
    /// Whose data.
    pub tenant: &'a str,
    /// The run, as its id prints.
    pub run: &'a str,
    /// Which claim of the run this host has: it counts up with each, and the target refuses a flush of a
    /// former one.
    pub attempt: u64,
    /// The key that the journal is signed with.
    pub key: &'a MacKey,
    /// Whether a switch lets it write.
    pub gate: &'a Gate,
    /// Now, in microseconds since 1970-01-01 UTC.
    pub now_us: i64,
}

/// What the target knows of a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The digest that was used.
    pub digest: Digest,
    /// Rows that were written.
    pub changes: u64,
    /// When, in microseconds since 1970-01-01 UTC.
    pub at_us: i64,
}

impl Computed {
    /// The one database that the changes are in.
    ///
    /// # Errors
    /// `ERR_PLAN_REFUSED` for more than one: an atomic plan touches one database.
    pub fn database(&self) -> Result<Option<String>> {
        let mut databases = self.databases_written().into_iter();
        match (databases.next(), databases.next()) {
            (Some(_), Some(_)) => Err(Error::refused(
                Code::PlanRefused,
                "the plan changes two databases, and no transaction spans them: split the repair",
            )),
            (first, _) => Ok(first),
        }
    }

    /// Whether rows that were read must still be so in the flush.
    #[must_use]
    pub fn has_stable_reads(&self) -> bool {
        !self.reads.is_empty()
    }

    /// The identity of a target as the plan bound it.
    pub(crate) fn identity_of(&self, database: &str) -> Result<String> {
        let target = self.targets.iter().find(|target| target.database == database);
        target
            .map(|target| target.identity.clone())
            .ok_or_else(|| Error::Internal("the plan's database is not open".to_owned()))
    }

    /// Flush and undo in one transaction that is rolled back.
    ///
    /// # Errors
    /// What the flush would end with.
    pub async fn rehearse(&self, target: &Target) -> Result<Rehearsed> {
        rehearse::rehearse(target, &self.tenant, &self.groups, &self.resources).await
    }

    /// Makes the changes: what was compared with the approved plan, and nothing else.
    ///
    /// # Errors
    /// Everything that a flush can end with; nothing was changed, unless it is
    /// [`Error::CommitUnknown`]: then [`committed`] knows.
    pub async fn apply(self, context: Context<'_>, digest: Digest) -> Result<Flushed> {
        let identity = self.identity_of(&context.target.name)?;
        let reads: Vec<_> = self
            .reads
            .into_iter()
            .filter(|read| self.resources.get(&read.resource).is_some_and(|r| r.database == context.target.name))
            .collect();
        flush(&Flush {
            target: context.target,
            tenant: context.tenant,
            id: FlushId { run: context.run, generation: 0, batch: 0 },
            attempt: context.attempt,
            digest,
            kind: Kind::Apply,
            gate: context.gate,
            groups: &self.groups,
            reads: &reads,
            resolved: &self.resources,
            bindings: context.resources,
            identity: &identity,
            key: context.key,
            now_us: context.now_us,
        })
        .await
    }
}

/// Makes the context's attempt the one that may write for its run: former attempts are ended, and refused
/// from here on, whether their host had opened a connection or not. What the target's journal says of the
/// run afterwards is final. [`committed`] and [`crate::batched::prefix_of`] begin with it.
///
/// # Errors
/// `ERR_FENCE_LOST` where a later attempt was announced; `ERR_TARGET_LOCKED` where a former one does not
/// end, on SQLite because its process is stopped in the middle of its transaction; the target does not
/// answer.
pub async fn take_over(context: Context<'_>) -> Result<()> {
    let mut connection = Connection::open(context.target, Role::Write).await?;
    let taken = attempt::take_over(&mut connection, context.target, context.run, context.attempt).await;
    connection.close().await;
    taken
}

/// What the target's journal says of a run's flush: the truth, whatever a host remembers.
///
/// # Errors
/// As [`take_over`].
pub async fn committed(context: Context<'_>, generation: u32) -> Result<Option<Committed>> {
    let mut connection = Connection::open(context.target, Role::Write).await?;
    attempt::take_over(&mut connection, context.target, context.run, context.attempt).await?;
    let found =
        journal::find(&mut connection, context.target, FlushId { run: context.run, generation, batch: 0 }).await?;
    connection.close().await;
    Ok(found.map(|found| Committed {
        digest: found.commit.digest,
        changes: u64::try_from(found.commit.changes).unwrap_or(0),
        at_us: found.commit.committed_at_us,
    }))
}

/// The root over the pages of a flush in the target's journal, as [`Flushed`] says it.
///
/// # Errors
/// Whatever the target answers.
pub async fn journal_root(context: Context<'_>, generation: u32) -> Result<Option<Digest>> {
    let mut connection = Connection::open(context.target, Role::Write).await?;
    let id = FlushId { run: context.run, generation, batch: 0 };
    let root = journal::root_of(&mut connection, context.target, context.key, id).await;
    connection.close().await;
    root
}

/// One transaction of a run as the target's journal has it, for whoever believes nothing of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journaled {
    /// 0 applied the plan, 1 undid it, 2 undid that …
    pub generation: u32,
    /// Which transaction of it, from 0.
    pub batch: u32,
    /// The digest of the plan or of the undo that was used.
    pub digest: Digest,
    /// Rows that it wrote.
    pub changes: u64,
    /// The MACs of its pages in their order; none where they are no longer kept.
    pub macs: Vec<String>,
}

/// Every transaction of a run that the target's journal holds.
///
/// # Errors
/// Whatever the target answers.
pub async fn journaled(target: &Target, run: &str) -> Result<Vec<Journaled>> {
    let mut connection = Connection::open(target, Role::Write).await?;
    let mut all = Vec::new();
    let (mut generation, mut batch) = (0, 0);
    loop {
        let id = FlushId { run, generation, batch };
        match journal::find(&mut connection, target, id).await? {
            Some(journal::Found { commit, .. }) => {
                let macs = journal::macs(&mut connection, target, id).await?;
                let changes = u64::try_from(commit.changes).unwrap_or(0);
                all.push(Journaled { generation, batch, digest: commit.digest, changes, macs });
                batch += 1;
            }
            None if batch == 0 => break,
            None => (generation, batch) = (generation + 1, 0),
        }
    }
    connection.close().await;
    Ok(all)
}

/// Removes the journal of every flush that can no longer be undone: those older than the target's
/// `keep`. Gives how many.
///
/// # Errors
/// The target does not answer, or the role may not.
pub async fn prune(target: &Target, now_us: i64) -> Result<u64> {
    let mut connection = Connection::open(target, Role::Write).await?;
    let mut pruned = 0;
    let outcome = loop {
        match journal::prune(&mut connection, target, target.kept_since_us(now_us), now_us).await {
            Ok(0) => break Ok(pruned),
            Ok(n) => pruned += n,
            Err(error) => break Err(error),
        }
    };
    // Of runs that never had a journal, too.
    while outcome.is_ok() && attempt::prune(&mut connection, target).await? > 0 {}
    connection.close().await;
    outcome
}

/// Reads the rows of a flush back.
///
/// # Errors
/// `ERR_JOURNAL_TAMPERED`, `ERR_JOURNAL_EXPIRED`, and whatever the target answers.
pub async fn read_back(context: Context<'_>, generation: u32) -> Result<Verified> {
    reached(Point::BeforeReadBack);
    let resolved = resolve_all(context).await?;
    let found = verify::verify(of(context, generation, &resolved)).await?;
    reached(Point::AfterReadBack);
    Ok(found)
}

/// What undoing a flush would do, row by row.
///
/// # Errors
/// `ERR_JOURNAL_TAMPERED`, `ERR_JOURNAL_EXPIRED`, and whatever the target answers.
pub async fn undo_preview(context: Context<'_>, generation: u32) -> Result<Undo> {
    reached(Point::BeforePreview);
    let resolved = resolve_all(context).await?;
    undo::preview(of(context, generation, &resolved)).await
}

const fn of<'a>(context: Context<'a>, generation: u32, resolved: &'a BTreeMap<String, Arc<Resolved>>) -> Of<'a> {
    let Context { target, key, run, tenant, .. } = context;
    Of { target, key, run, generation, tenant, resolved }
}

/// Restores what the preview says can be restored, if it still can.
///
/// # Errors
/// [`Error::Drifted`] where a row changed since the preview; everything else that a flush can end with.
pub async fn undo_apply(context: Context<'_>, preview: &Undo, identity: &str) -> Result<Flushed> {
    let resolved = resolve_all(context).await?;
    flush(&Flush {
        target: context.target,
        tenant: context.tenant,
        id: FlushId { run: context.run, generation: preview.generation + 1, batch: 0 },
        attempt: context.attempt,
        digest: preview.digest,
        kind: Kind::Rollback,
        gate: context.gate,
        groups: &preview.groups,
        reads: &[],
        resolved: &resolved,
        bindings: context.resources,
        identity,
        key: context.key,
        now_us: context.now_us,
    })
    .await
}

/// Every resource of the target's database, as it is bound now; those that cannot be bound are left
/// out, and an entry of theirs is a conflict by name.
pub(crate) async fn resolve_all(context: Context<'_>) -> Result<BTreeMap<String, Arc<Resolved>>> {
    let mut connection = Connection::open(context.target, Role::Read).await?;
    let all = context.resources;
    let mut resolved = BTreeMap::new();
    for resource in all.values().filter(|r| r.database == context.target.name) {
        match seen::resolve(&mut connection, context.target, resource, all, context.tenant).await {
            Ok(found) => drop(resolved.insert(resource.name.clone(), found)),
            Err(Error::Refused { message, .. }) => {
                tracing::debug!(resource = resource.name, message, "not bound");
            }
            Err(error) => return Err(error),
        }
    }
    connection.give_back(context.target, Role::Read).await;
    Ok(resolved)
}
