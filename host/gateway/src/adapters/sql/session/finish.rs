//! What is left in the overlay, as net changes that can be planned and flushed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use mendwright_core::binding::Resolved;
use mendwright_core::change::{Action, Cells, Change, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{Refusal, RefusalKind};
use mendwright_core::value::Value;

use super::super::connection::Arg;
use super::super::engine::{Engine, bare, ident};
use super::super::overlay::{Base, Rows, Wanted, Written};
use super::super::raw::{Raw, to_value};
use super::super::scope::Scope;
use super::table::Table;
use super::{Session, clock};
use crate::error::{Error, Result};

/// Values that one statement asks PostgreSQL to print.
const ROUND_TRIP_VALUES: usize = 5_000;

/// A column in physical names with what it holds.
pub(crate) type RawCells = Vec<(String, Raw)>;

/// The net change of one row, as people see it and as the database stores it.
#[derive(Clone, Debug)]
pub(crate) struct NetChange {
    pub(crate) change: Change,
    /// Physical key columns.
    pub(crate) key: RawCells,
    /// What must still be so: for an update the columns read or written and those of the way to the
    /// tenant, for a delete the whole row; nothing for an insert.
    pub(crate) guard: RawCells,
    /// What shall be so: for an insert everything that it sets beside the key.
    pub(crate) set: RawCells,
}

/// A statement whose rows must be the same in the flush.
#[derive(Clone, Debug)]
pub(crate) struct StableRead {
    pub(crate) resource: String,
    pub(crate) sql: String,
    pub(crate) args: Vec<Arg>,
    /// Rows that the job saw.
    pub(crate) rows: usize,
    /// Whether it saw them all.
    pub(crate) complete: bool,
    pub(crate) hash: [u8; 32],
}

impl StableRead {
    pub(super) fn new(resource: &str, sql: &str, args: Vec<Arg>, rows: usize, hash: Sha256) -> Self {
        Self {
            resource: resource.to_owned(),
            sql: sql.to_owned(),
            args,
            rows,
            complete: true,
            hash: hash.finalize().into(),
        }
    }

    pub(super) fn size(&self) -> usize {
        let args: usize = self
            .args
            .iter()
            .map(|arg| match arg {
                Arg::Raw(raw) => raw.size(),
                Arg::Int(_) => 8,
                Arg::Texts(texts) => texts.iter().flatten().map(String::len).sum(),
                Arg::Ints(ints) => ints.len() * 8,
            })
            .sum();
        self.sql.len() + args + size_of::<Self>()
    }
}

/// What a run did with one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceUse {
    /// Rows that databases returned for it.
    pub rows_read: u64,
    /// Rows that the tenant has there.
    pub rows_of_tenant: u64,
}

/// What an execution came to: the changes it wants, and what they rest on.
pub struct Computed {
    pub(crate) changes: Vec<NetChange>,
    pub(crate) reads: Vec<StableRead>,
    pub(crate) tenant: String,
    /// Every resource that the flush has to know.
    pub(crate) resources: BTreeMap<String, Arc<Resolved>>,
    /// Granted resources, by the operator's name.
    pub bindings: BTreeMap<String, Arc<Resolved>>,
    /// The databases, as a plan binds them.
    pub targets: Vec<mendwright_core::plan::header::Target>,
    /// What was done with each resource.
    pub usage: BTreeMap<String, ResourceUse>,
    /// Columns that were read of each resource.
    pub columns_read: BTreeMap<String, BTreeSet<String>>,
}

impl Computed {
    /// The changes, in no particular order.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = &Change> {
        self.changes.iter().map(|net| &net.change)
    }

    /// Leaves only the changes that `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&Change) -> bool) {
        self.changes.retain(|net| keep(&net.change));
    }

    /// The databases that the changes touch.
    #[must_use]
    pub fn databases_written(&self) -> BTreeSet<String> {
        self.changes
            .iter()
            .filter_map(|net| self.resources.get(&net.change.resource).map(|r| r.database.clone()))
            .collect()
    }
}

impl Session {
    /// Turns the overlay into net changes and gives the snapshots up.
    ///
    /// # Errors
    /// A value that would not come back from the database as it was written, a cascade that cannot be
    /// expanded, and whatever a database answers.
    pub async fn finish(mut self) -> Result<Computed> {
        let computed = self.compute().await;
        let (bindings, targets) = (self.bindings(), self.identities());
        let (usage, columns_read) = (self.usage.clone(), self.columns_read.clone());
        let (tenant, resources) = (self.tenant.clone(), self.resources.clone());
        let reads = std::mem::take(&mut self.stable_reads);
        let ended = self.ended();
        self.close().await;
        // A component may have shrugged at reads that failed since.
        if let Some(error) = ended {
            return Err(error);
        }
        let changes = computed?;
        Ok(Computed { changes, reads, tenant, resources, bindings, targets, usage, columns_read })
    }

    async fn compute(&mut self) -> Result<Vec<NetChange>> {
        for cursor in self.scans.keys().copied().collect::<Vec<_>>() {
            self.close_cursor(mendwright_core::port::CursorId(cursor));
        }
        self.count_tenant_rows().await?;
        self.expand_cascades().await?;
        let overlay = std::mem::take(&mut self.overlay);
        let mut changes = Vec::new();
        for (resource, rows) in overlay.resources {
            let Some(table) = self.table_of(&resource) else { continue };
            let whole = self.whole_rows(&table, &rows).await?;
            let read = self.columns_read.get(&resource).cloned().unwrap_or_default();
            let first = changes.len();
            for (key, (raw, wanted)) in rows.rows {
                let net = match wanted {
                    Wanted::Update { base, cells, reason } => {
                        update(&table, &rows.columns, &read, key, raw, &base, cells, reason)?
                    }
                    Wanted::Insert { cells, reason } => Some(insert(&table, key, raw, cells, reason)),
                    Wanted::Delete { reason, .. } => {
                        let row = whole.get(&key).cloned().unwrap_or_default();
                        Some(delete(&table, key, raw, row, reason)?)
                    }
                };
                changes.extend(net);
            }
            if let Some(new) = changes.get_mut(first..) {
                self.check_round_trip(&table, new).await?;
            }
        }
        Ok(changes)
    }

    fn table_of(&self, resource: &str) -> Option<Table> {
        self.tables.values().find(|table| table.resolved.name == resource).cloned()
    }

    async fn count_tenant_rows(&mut self) -> Result<()> {
        let names: BTreeSet<String> = self.usage.keys().cloned().collect();
        for name in names {
            let Some(table) = self.table_of(&name) else { continue };
            let scope = Scope::new(table.engine, &table.resolved, &self.tenant, 1);
            let count = if table.engine == Engine::Postgres { "count(*)::text" } else { "count(*)" };
            let sql = format!("SELECT {count} FROM {}{} WHERE {}", table.from(), scope.joins, scope.condition);
            let started = clock();
            let source = self.source(&table).map_err(refused)?;
            let rows = source.snapshot.connection().count(&sql, scope.args()).await;
            let spent = self.spend(started);
            self.usage.entry(name).or_default().rows_of_tenant = rows?;
            spent.map_err(refused)?;
        }
        Ok(())
    }

    /// Deleting a parent takes its children along: they become planned changes, so that people see
    /// them and an undo brings them back.
    async fn expand_cascades(&mut self) -> Result<()> {
        // Each round follows one level of references.
        for _ in 0..super::REFERENCES_DEPTH_MAX {
            let mut found = 0;
            for child in self.tables.values().cloned().collect::<Vec<_>>() {
                for key in child.resolved.foreign_keys.clone() {
                    let Some(parent) = self.referenced(&child.resolved, &key) else { continue };
                    if parent.cascades.contains(&child.resolved.name) {
                        found += self.take_along(&child, &parent, &key).await?;
                    }
                }
            }
            if found == 0 {
                return Ok(());
            }
        }
        Err(Error::refused(Code::Referenced, "deletes cascade through more levels than can be followed"))
    }

    async fn take_along(
        &mut self,
        child: &Table,
        parent: &Resolved,
        key: &mendwright_core::binding::ForeignKey,
    ) -> Result<usize> {
        let parents: Vec<Vec<Raw>> = match self.overlay.resources.get(&parent.name) {
            Some(rows) => rows
                .rows
                .values()
                .filter(|(_, wanted)| matches!(wanted, Wanted::Delete { .. }))
                .map(|(raw, _)| raw.clone())
                .collect(),
            None => return Ok(0),
        };
        let mut children: Vec<Key> = Vec::new();
        for chunk in parents.chunks(500) {
            let scope = Scope::new(child.engine, &child.resolved, &self.tenant, 1);
            let mut args = scope.args();
            let mut rows = Vec::with_capacity(chunk.len());
            for values in chunk {
                let row: Vec<String> = values
                    .iter()
                    .zip(&key.columns)
                    .map(|(raw, own)| {
                        args.push(Arg::Raw(raw.clone()));
                        child.engine.param(args.len(), &bare(&declared(&child.resolved, own)))
                    })
                    .collect();
                rows.push(format!("({})", row.join(", ")));
            }
            let own: Vec<String> = key.columns.iter().map(|column| format!("t.{}", ident(column))).collect();
            let sql = format!(
                "SELECT {} FROM {}{} WHERE {} AND ({}) IN (VALUES {})",
                child.select(&child.resolved.key),
                child.from(),
                scope.joins,
                scope.condition,
                own.join(", "),
                rows.join(", ")
            );
            let source = self.source(child).map_err(refused)?;
            for row in source.snapshot.rows(&sql, args).await? {
                let values = child.resolved.key_columns().zip(&row);
                let key: Vec<Value> = values
                    .map(|((name, column), raw)| child.value(name, column, raw))
                    .collect::<Result<_, _>>()
                    .map_err(refused)?;
                children.push(Key(key));
            }
        }
        children.retain(|key| !matches!(self.overlay.get(&child.resolved.name, key), Some(Wanted::Delete { .. })));
        let n = children.len();
        if n > 0 {
            may_take(child)?;
        }
        let bases = self.fetch(child, &children, false).await.map_err(refused)?;
        let mut puts = Vec::with_capacity(n);
        for (key, base) in bases {
            let raw = child.key(&key).map_err(refused)?;
            let reason = format!("goes with its row of {}", parent.name);
            puts.push((key, raw, Wanted::Delete { base, reason }));
        }
        self.put_all(child, puts).map_err(refused)?;
        Ok(n)
    }

    /// Every physical column of the rows that are to be deleted: an undo has to bring them back whole.
    async fn whole_rows(&mut self, table: &Table, rows: &Rows) -> Result<BTreeMap<Key, RawCells>> {
        let doomed: Vec<(&Key, &Vec<Raw>)> = rows
            .rows
            .iter()
            .filter(|(_, (_, wanted))| matches!(wanted, Wanted::Delete { .. }))
            .map(|(key, (raw, _))| (key, raw))
            .collect();
        let mut found = BTreeMap::new();
        if doomed.is_empty() {
            return Ok(found);
        }
        let physical = stored_columns(&table.resolved);
        let select: Vec<String> = physical.iter().map(|column| table.engine.read("t", column)).collect();
        let keys: Vec<String> = table.resolved.key_columns().map(|(_, c)| c.column.clone()).collect();
        for (key, raw) in doomed {
            let mut args = Vec::new();
            let at: Vec<String> = keys
                .iter()
                .zip(raw)
                .map(|(column, raw)| {
                    args.push(Arg::Raw(raw.clone()));
                    let param = table.engine.param(args.len(), &bare(&declared(&table.resolved, column)));
                    format!("t.{} = {param}", ident(column))
                })
                .collect();
            let sql = format!("SELECT {} FROM {} WHERE {}", select.join(", "), table.from(), at.join(" AND "));
            let source = self.source(table).map_err(refused)?;
            if let Some(row) = source.snapshot.rows(&sql, args).await?.into_iter().next() {
                found.insert(key.clone(), physical.iter().cloned().zip(row).collect());
            }
        }
        Ok(found)
    }

    /// Asks PostgreSQL how it would print each value that the plan writes: what comes back is what is
    /// stored, and it has to be the value that the job meant.
    async fn check_round_trip(&mut self, table: &Table, changes: &mut [NetChange]) -> Result<()> {
        if table.engine == Engine::Sqlite {
            return Ok(());
        }
        let columns: BTreeSet<String> =
            changes.iter().flat_map(|net| net.set.iter().map(|(column, _)| column.clone())).collect();
        for physical in columns {
            let Some((name, column)) = table.resolved.columns.iter().find(|(_, c)| c.column == physical) else {
                continue;
            };
            let sql = format!(
                "SELECT v::{}::text FROM unnest($1::text[]) WITH ORDINALITY AS u(v, n) ORDER BY n",
                column.declared
            );
            let mut cells: Vec<&mut Raw> = changes
                .iter_mut()
                .flat_map(|net| net.set.iter_mut())
                .filter(|(own, _)| *own == physical)
                .map(|(_, raw)| raw)
                .collect();
            for chunk in cells.chunks_mut(ROUND_TRIP_VALUES) {
                let texts = chunk.iter().map(|raw| raw.text().map(ToOwned::to_owned)).collect();
                let source = self.source(table).map_err(refused)?;
                let printed = source.snapshot.rows(&sql, vec![Arg::Texts(texts)]).await?;
                for (raw, row) in chunk.iter_mut().zip(printed) {
                    let stored = row.into_iter().next().unwrap_or(Raw::Null);
                    let meant = to_value(Engine::Postgres, column.kind, raw);
                    if meant != to_value(Engine::Postgres, column.kind, &stored) {
                        return Err(Error::refused(
                            Code::ValueRoundTrip,
                            format!(
                                "`{}.{name}` ({}) would not give a planned value back as it was written",
                                table.resolved.name, column.declared
                            ),
                        ));
                    }
                    **raw = stored;
                }
            }
        }
        Ok(())
    }
}

/// Every column that a row stores, in physical names.
pub(crate) fn stored_columns(resolved: &Resolved) -> Vec<String> {
    let bound = resolved.columns.values().filter(|c| !c.generated).map(|c| c.column.clone());
    let unbound = resolved.unbound.iter().filter(|c| !c.generated).map(|c| c.column.clone());
    bound.chain(unbound).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The database's own name of a physical column's type.
pub(crate) fn declared(resolved: &Resolved, physical: &str) -> String {
    let bound = resolved.columns.values().find(|c| c.column == physical).map(|c| c.declared.clone());
    let unbound = || resolved.unbound.iter().find(|c| c.column == physical).map(|c| c.declared.clone());
    bound.or_else(unbound).unwrap_or_else(|| "text".to_owned())
}

fn refused(refusal: Refusal) -> Error {
    match refusal.kind {
        RefusalKind::Unavailable => Error::unavailable(refusal.code, refusal.message),
        RefusalKind::Denied
        | RefusalKind::NotFound
        | RefusalKind::Invalid
        | RefusalKind::Conflict
        | RefusalKind::Drifted
        | RefusalKind::BudgetExceeded
        | RefusalKind::Halted => Error::refused(refusal.code, refusal.message),
    }
}

/// Whether rows of this table may go with their parents: no less than a delete of their own.
fn may_take(child: &Table) -> Result<()> {
    child.allow(Action::Delete).map_err(refused)?;
    match child.resolved.write_refusals.iter().chain(&child.resolved.delete_refusals).next() {
        None => Ok(()),
        Some((code, message)) => Err(Error::refused(code.parse().unwrap_or(Code::Referenced), message.clone())),
    }
}

fn key_cells(table: &Table, raw: Vec<Raw>) -> RawCells {
    table.resolved.key_columns().map(|(_, column)| column.column.clone()).zip(raw).collect()
}

#[expect(clippy::too_many_arguments, reason = "one row of the overlay, taken apart by its owner")]
fn update(
    table: &Table,
    columns: &[String],
    read: &BTreeSet<String>,
    key: Key,
    raw: Vec<Raw>,
    base: &Base,
    cells: Written,
    reason: String,
) -> Result<Option<NetChange>> {
    let mut before = Cells::new();
    let mut guard: RawCells = table.path_columns().into_iter().zip(base.path.iter().cloned()).collect();
    for (name, raw) in columns.iter().zip(&base.cells) {
        let Some(column) = table.resolved.columns.get(name) else { continue };
        let is_key = table.resolved.key.contains(name);
        if is_key || !(read.contains(name) || cells.contains_key(name)) {
            continue;
        }
        before.insert(name.clone(), table.value(name, column, raw).map_err(refused)?);
        if !guard.iter().any(|(physical, _)| *physical == column.column) {
            guard.push((column.column.clone(), raw.clone()));
        }
    }
    let mut after = Cells::new();
    let mut set = RawCells::new();
    for (name, (value, raw)) in cells {
        if before.get(&name) == Some(&value) {
            continue;
        }
        if let Some(column) = table.resolved.columns.get(&name) {
            set.push((column.column.clone(), raw));
            after.insert(name, value);
        }
    }
    if set.is_empty() {
        return Ok(None);
    }
    let change = Change { resource: table.resolved.name.clone(), key, action: Action::Update, before, after, reason };
    Ok(Some(NetChange { change, key: key_cells(table, raw), guard, set }))
}

fn insert(table: &Table, key: Key, raw: Vec<Raw>, cells: Written, reason: String) -> NetChange {
    let mut after = Cells::new();
    let mut set = RawCells::new();
    for (name, (value, raw)) in cells {
        if let Some(column) = table.resolved.columns.get(&name) {
            set.push((column.column.clone(), raw));
            after.insert(name, value);
        }
    }
    let change = Change {
        resource: table.resolved.name.clone(),
        key,
        action: Action::Insert,
        before: Cells::new(),
        after,
        reason,
    };
    NetChange { change, key: key_cells(table, raw), guard: RawCells::new(), set }
}

/// A delete shows and binds every bound column; unbound ones are guarded and journaled.
fn delete(table: &Table, key: Key, raw: Vec<Raw>, row: RawCells, reason: String) -> Result<NetChange> {
    let mut before = Cells::new();
    for (name, column) in table.resolved.columns.iter().filter(|(name, _)| !table.resolved.key.contains(name)) {
        if let Some((_, raw)) = row.iter().find(|(physical, _)| *physical == column.column) {
            before.insert(name.clone(), table.value(name, column, raw).map_err(refused)?);
        }
    }
    let change = Change {
        resource: table.resolved.name.clone(),
        key,
        action: Action::Delete,
        before,
        after: Cells::new(),
        reason,
    };
    Ok(NetChange { change, key: key_cells(table, raw), guard: row, set: RawCells::new() })
}
