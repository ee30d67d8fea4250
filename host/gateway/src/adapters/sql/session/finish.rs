//! What is left in the overlay, as net changes that can be planned and flushed.

use mendwright_core::binding::Resolved;
use mendwright_core::change::{Action, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{Refusal, RefusalKind};
use mendwright_core::value::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::super::computed::{Computed, Growing};
use super::super::connection::Arg;
use super::super::engine::{Engine, bare, ident};
use super::super::flush::group::Group;
use super::super::overlay::{Rows, Wanted};
use super::super::raw::{Raw, to_value};
use super::super::scope::Scope;
use super::keys::{KEYS_MAX, join_keys, with_keys};
use super::net::Net;
use super::table::Table;
use super::{Session, clock};
use crate::error::{Error, Result};

/// Values that one statement asks PostgreSQL to print.
const ROUND_TRIP_VALUES: usize = 5_000;

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
        let growing = computed?;
        Ok(Computed { reads, tenant, bindings, targets, usage, columns_read, ..Computed::new(growing, resources) })
    }

    async fn compute(&mut self) -> Result<Growing> {
        for cursor in self.scans.keys().copied().collect::<Vec<_>>() {
            self.close_cursor(mendwright_core::port::CursorId(cursor));
        }
        self.count_tenant_rows().await?;
        self.expand_cascades().await?;
        let overlay = std::mem::take(&mut self.overlay);
        let mut growing = Growing::default();
        for (resource, rows) in overlay.resources {
            let Some(table) = self.table_of(&resource) else { continue };
            let mut whole = self.whole_rows(&table, &rows).await?;
            let read = self.columns_read.get(&resource).cloned().unwrap_or_default();
            let first = growing.groups.len();
            let mut net = Net::new(&table, &rows.columns, &read);
            for (key, row) in rows.rows {
                net.push(*row, whole.remove(&key).unwrap_or_default(), &mut growing)?;
            }
            if let Some(new) = growing.groups.get_mut(first..) {
                self.check_round_trip(&table, new).await?;
            }
        }
        Ok(growing)
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
            let connection = self.source(&table).map_err(refused)?.snapshot.connection();
            if !scope.joins.is_empty() {
                connection.join_as_it_likes().await?;
            }
            let rows = connection.count(&sql, scope.args()).await;
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
                .filter(|row| matches!(row.wanted, Wanted::Delete { .. }))
                .map(|row| row.raw.to_vec())
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
            // Nobody says that the child's columns have an index.
            source.snapshot.connection().join_as_it_likes().await?;
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
            puts.push((key, raw.into(), Wanted::Delete { base, reason: reason.into() }));
        }
        self.put_all(child, puts).map_err(refused)?;
        Ok(n)
    }

    /// Every physical column of the rows that are to be deleted: an undo has to bring them back whole.
    async fn whole_rows(&mut self, table: &Table, rows: &Rows) -> Result<BTreeMap<Key, Vec<Raw>>> {
        let doomed: Vec<Vec<Raw>> = rows
            .rows
            .values()
            .filter(|row| matches!(row.wanted, Wanted::Delete { .. }))
            .map(|row| row.raw.to_vec())
            .collect();
        let mut found = BTreeMap::new();
        let physical = stored_columns(&table.resolved);
        let select: Vec<String> = physical.iter().map(|column| table.engine.read("t", column)).collect();
        for chunk in doomed.chunks(KEYS_MAX) {
            let (join, args) = join_keys(table, chunk);
            let sql = with_keys(table, chunk, &format!("SELECT {} FROM {}{join}", select.join(", "), table.from()));
            let source = self.source(table).map_err(refused)?;
            for row in source.snapshot.rows(&sql, args).await? {
                let key = table.resolved.key_columns().filter_map(|(name, column)| {
                    let raw = row.get(physical.iter().position(|own| *own == column.column)?)?;
                    Some(table.value(name, column, raw))
                });
                let key = key.collect::<Result<Vec<Value>, _>>().map_err(refused)?;
                found.insert(Key(key), row);
            }
        }
        Ok(found)
    }

    /// Asks PostgreSQL how it would print each value that the plan writes: what comes back is what is
    /// stored, and it has to be the value that the job meant.
    async fn check_round_trip(&mut self, table: &Table, groups: &mut [Group]) -> Result<()> {
        if table.engine == Engine::Sqlite {
            return Ok(());
        }
        for group in groups {
            for (at, physical) in group.shape.set.iter().enumerate() {
                let Some((name, column)) = table.resolved.columns.iter().find(|(_, c)| c.column == *physical) else {
                    continue;
                };
                let sql = format!(
                    "SELECT v::{}::text FROM unnest($1::text[]) WITH ORDINALITY AS u(v, n) ORDER BY n",
                    column.declared
                );
                for chunk in group.rows.chunks_mut(ROUND_TRIP_VALUES) {
                    let mut cells: Vec<&mut Raw> = chunk.iter_mut().filter_map(|row| row.set.get_mut(at)).collect();
                    let texts = cells.iter().map(|raw| raw.text().map(ToOwned::to_owned)).collect();
                    let source = self.source(table).map_err(refused)?;
                    let printed = source.snapshot.rows(&sql, vec![Arg::Texts(texts)]).await?;
                    for (raw, row) in cells.iter_mut().zip(printed) {
                        let stored = row.into_iter().next().unwrap_or(Raw::Null);
                        let value = |raw: &Raw| to_value(Engine::Postgres, column.kind, raw);
                        if **raw != stored && value(raw) != value(&stored) {
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

pub(super) fn refused(refusal: Refusal) -> Error {
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
