//! The overlay's changes. A batch is accepted or refused as a whole: everything is checked before
//! anything is put down.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::binding::ResolvedColumn;
use mendwright_core::budget::Metric;
use mendwright_core::change::{Action, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{Refusal, RefusalKind, RowChange, RowRemoval};
use mendwright_core::value::Value;

use super::super::overlay::{Base, Wanted, Written};
use super::super::raw::Raw;
use super::Session;
use super::table::{Table, refuse};

/// Bytes of a reason; it is a few words for a person.
const REASON_BYTES_MAX: usize = 1_000;

type Put = (Key, Box<[Raw]>, Wanted);

impl Session {
    pub(super) async fn update_rows(&mut self, table: &str, rows: Vec<RowChange>) -> Result<(), Refusal> {
        let table = self.table(table)?;
        table.allow(Action::Update)?;
        distinct(&table, rows.iter().map(|row| &row.key))?;
        let mut wanted = Vec::with_capacity(rows.len());
        for row in rows {
            let raw = table.key(&row.key)?;
            let cells = written(&table, &row, |name| table.writable(name).map(drop))?;
            wanted.push((row.key, raw, cells, row.reason.into_boxed_str()));
        }
        let unknown: Vec<Key> = wanted
            .iter()
            .filter(|(key, ..)| self.overlay.get(&table.resolved.name, key).is_none())
            .map(|(key, ..)| key.clone())
            .collect();
        let mut bases = self.bases(&table, &unknown).await?;
        let pointing = self.with_whole_references(&table, &wanted, &bases)?;
        self.check_references(&table, pointing.iter()).await?;
        let mut puts: Vec<Put> = Vec::with_capacity(wanted.len());
        for (key, raw, new, reason) in wanted {
            let put = match self.overlay.get(&table.resolved.name, &key).cloned() {
                Some(Wanted::Delete { .. }) => return Err(missing(&table, &key)),
                Some(Wanted::Insert { mut cells, reason: first }) => {
                    cells.extend(new);
                    Wanted::Insert { cells, reason: if reason.is_empty() { first } else { reason } }
                }
                Some(Wanted::Update { base, mut cells, reason: first }) => {
                    cells.extend(new);
                    Wanted::Update { base, cells, reason: if reason.is_empty() { first } else { reason } }
                }
                None => {
                    let base = bases.remove(&key).ok_or_else(|| missing(&table, &key))?;
                    Wanted::Update { base, cells: new, reason }
                }
            };
            puts.push((key, raw.into(), put));
        }
        self.put_all(&table, puts)
    }

    pub(super) async fn insert_rows(&mut self, table: &str, rows: Vec<RowChange>) -> Result<(), Refusal> {
        let table = self.table(table)?;
        table.allow(Action::Insert)?;
        distinct(&table, rows.iter().map(|row| &row.key))?;
        may_choose_key(&table)?;
        let mut wanted = Vec::with_capacity(rows.len());
        for row in rows {
            let raw = table.key(&row.key)?;
            let cells = written(&table, &row, |name| insertable(&table, name))?;
            let cells = self.with_tenant(&table, cells)?;
            complete(&table, &cells)?;
            wanted.push((row.key, raw, cells, row.reason.into_boxed_str()));
        }
        self.check_references(&table, wanted.iter().map(|(_, _, cells, _)| cells)).await?;
        let keys: Vec<Key> = wanted.iter().map(|(key, ..)| key.clone()).collect();
        let bases = self.bases(&table, &keys).await?;
        let mut puts: Vec<Put> = Vec::with_capacity(wanted.len());
        for (key, raw, cells, reason) in wanted {
            if bases.contains_key(&key) || self.overlay.get(&table.resolved.name, &key).is_some() {
                return Err(refuse(
                    RefusalKind::Conflict,
                    Code::RowExists,
                    format!("`{}` already has row {}, or this run changes it", table.resolved.name, table.shown(&key)),
                ));
            }
            puts.push((key, raw.into(), Wanted::Insert { cells, reason }));
        }
        self.put_all(&table, puts)
    }

    pub(super) async fn delete_rows(&mut self, table: &str, rows: Vec<RowRemoval>) -> Result<(), Refusal> {
        let table = self.table(table)?;
        table.allow(Action::Delete)?;
        if let Some((code, message)) = table.resolved.delete_refusals.first() {
            return Err(refuse(RefusalKind::Denied, code.parse().unwrap_or(Code::Referenced), message));
        }
        distinct(&table, rows.iter().map(|row| &row.key))?;
        let unknown: Vec<Key> = rows
            .iter()
            .map(|row| &row.key)
            .filter(|key| self.overlay.get(&table.resolved.name, key).is_none())
            .cloned()
            .collect();
        let mut bases = self.bases(&table, &unknown).await?;
        let mut puts: Vec<Put> = Vec::with_capacity(rows.len());
        let mut forgotten: Vec<Key> = Vec::new();
        for row in rows {
            let raw = table.key(&row.key)?.into();
            let reason = row.reason.into_boxed_str();
            match self.overlay.get(&table.resolved.name, &row.key).cloned() {
                Some(Wanted::Delete { .. }) => return Err(missing(&table, &row.key)),
                Some(Wanted::Insert { .. }) => forgotten.push(row.key),
                Some(Wanted::Update { base, .. }) => puts.push((row.key, raw, Wanted::Delete { base, reason })),
                None => {
                    let base = bases.remove(&row.key).ok_or_else(|| missing(&table, &row.key))?;
                    puts.push((row.key, raw, Wanted::Delete { base, reason }));
                }
            }
        }
        self.put_all(&table, puts)?;
        if let Some(rows) = self.overlay.resources.get_mut(&table.resolved.name) {
            for key in forgotten {
                if rows.rows.remove(&key).is_some() {
                    rows.inserts = rows.inserts.saturating_sub(1);
                    self.meter.release(Metric::RowsChanged, 1);
                }
            }
        }
        Ok(())
    }

    /// The rows that a batch of changes rests on. Looking for one counts as reading it, found or not.
    async fn bases(&mut self, table: &Table, keys: &[Key]) -> Result<BTreeMap<Key, Base>, Refusal> {
        self.meter.charge(Metric::RowsRead, u64::try_from(keys.len()).unwrap_or(u64::MAX))?;
        self.fetch(table, keys, false).await
    }

    /// Puts a checked batch down, as far as the budget goes: all of it or nothing.
    pub(super) fn put_all(&mut self, table: &Table, puts: Vec<Put>) -> Result<(), Refusal> {
        let rows = self.overlay.of(&table.resolved.name, &table.columns);
        let size = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let fresh = puts.iter().filter(|(key, ..)| !rows.rows.contains_key(key)).count();
        self.meter.charge(Metric::RowsChanged, size(fresh))?;
        self.meter.charge(Metric::BytesChanged, size(puts.iter().map(|(_, _, w)| w.changed_bytes()).sum()))?;
        self.meter.charge(Metric::HostMemory, size(puts.iter().map(|(k, _, w)| key_size(k) + w.size()).sum()))?;
        for (key, raw, wanted) in puts {
            rows.put(key, raw, wanted);
        }
        Ok(())
    }

    /// What the rows would hold of each foreign key that they write a part of.
    fn with_whole_references(
        &mut self,
        table: &Table,
        rows: &[(Key, Vec<Raw>, Written, Box<str>)],
        bases: &BTreeMap<Key, Base>,
    ) -> Result<Vec<Written>, Refusal> {
        let mut whole: Vec<Written> = rows.iter().map(|(_, _, cells, _)| cells.clone()).collect();
        for key in &table.resolved.foreign_keys {
            let of_key = |column: &&ResolvedColumn| key.columns.contains(&column.column);
            let columns = table
                .columns
                .iter()
                .filter_map(|name| Some((name, table.place(name)?, table.resolved.columns.get(name)?)));
            let columns: Vec<_> = columns.filter(|(_, _, column)| of_key(column)).collect();
            for ((row, _, written, _), cells) in rows.iter().zip(&mut whole) {
                if !columns.iter().any(|(_, place, _)| written.contains(*place)) {
                    continue;
                }
                for (name, place, _) in columns.iter().filter(|(_, place, _)| !written.contains(*place)) {
                    let (base, newer) = match self.overlay.get(&table.resolved.name, row) {
                        Some(Wanted::Update { base, cells, .. }) => (Some(base), cells.get(*place)),
                        Some(Wanted::Insert { cells, .. }) => (None, cells.get(*place)),
                        Some(Wanted::Delete { .. }) | None => (bases.get(row), None),
                    };
                    let at = table.columns.binary_search(name).ok();
                    let stored = base.and_then(|base| base.cells.get(at?));
                    if let Some(raw) = newer.or(stored) {
                        cells.insert(*place, raw.clone());
                    }
                }
                // What the reference rests on is guarded.
                let names: Vec<String> = columns.iter().map(|(name, ..)| (*name).clone()).collect();
                self.note_columns(table, &names);
            }
        }
        Ok(whole)
    }

    /// The host says whose a new row is; a job that says so itself must say the same.
    fn with_tenant(&self, table: &Table, mut cells: Written) -> Result<Written, Refusal> {
        let path = &table.resolved.tenant;
        let (true, Some(physical)) = (path.steps.is_empty(), &path.column) else { return Ok(cells) };
        let Some((name, column)) = table.resolved.columns.iter().find(|(_, c)| c.column == *physical) else {
            return Err(refuse(RefusalKind::Denied, Code::ColumnFixed, "the tenant column is not bound"));
        };
        let value = Value::from_plain(column.kind, Some(&self.tenant)).ok_or_else(|| {
            refuse(RefusalKind::Invalid, Code::ValueKind, "the tenant's name does not fit its column")
        })?;
        let raw = table.raw(name, column, &value)?;
        if let Some(place) = table.place(name) {
            cells.insert(place, raw);
        }
        Ok(cells)
    }
}

fn key_size(key: &Key) -> usize {
    // The key stands in the map as values and beside the change as stored; the map's nodes stay half
    // empty where they fill in order.
    2 * key.0.iter().map(Value::size).sum::<usize>() + 96
}

fn missing(table: &Table, key: &Key) -> Refusal {
    let message = format!("the tenant has no row {} in `{}`", table.shown(key), table.resolved.name);
    refuse(RefusalKind::NotFound, Code::RowUnknown, message)
}

fn distinct<'a>(table: &Table, keys: impl Iterator<Item = &'a Key>) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for key in keys {
        if !seen.insert(key) {
            return Err(refuse(
                RefusalKind::Conflict,
                Code::CallInvalid,
                format!("one call names row {} of `{}` twice", table.shown(key), table.resolved.name),
            ));
        }
    }
    Ok(())
}

fn written(table: &Table, row: &RowChange, allowed: impl Fn(&str) -> Result<(), Refusal>) -> Result<Written, Refusal> {
    if row.reason.len() > REASON_BYTES_MAX {
        return Err(refuse(
            RefusalKind::Invalid,
            Code::CallInvalid,
            format!("a reason has at most {REASON_BYTES_MAX} bytes"),
        ));
    }
    let mut cells = Written::default();
    for (name, value) in &row.cells {
        allowed(name)?;
        let (Some(place), Some(column)) = (table.place(name), table.resolved.columns.get(name)) else { continue };
        if cells.insert(place, table.raw(name, column, value)?).is_some() {
            return Err(refuse(RefusalKind::Invalid, Code::CallInvalid, format!("`{name}` is set twice in one row")));
        }
    }
    Ok(cells)
}

/// Whether an insert may set this column: what an update may, and the columns of the way to the
/// tenant, which say under which of the tenant's own parents the row hangs.
fn insertable(table: &Table, name: &str) -> Result<(), Refusal> {
    let on_path = table.resolved.tenant.steps.first().is_some_and(|step| {
        table.resolved.columns.get(name).is_some_and(|c| step.on.iter().any(|(own, _)| *own == c.column))
    });
    if on_path && table.access.writes(name) { Ok(()) } else { table.writable(name).map(drop) }
}

fn may_choose_key(table: &Table) -> Result<(), Refusal> {
    if !table.resolved.sequence_key || table.resolved.guest_keys {
        return Ok(());
    }
    Err(refuse(
        RefusalKind::Denied,
        Code::InsertKey,
        format!(
            "the key of `{}` comes from a sequence; `guest_keys = true` in its binding would let jobs choose it",
            table.resolved.name
        ),
    ))
}

fn complete(table: &Table, cells: &Written) -> Result<(), Refusal> {
    let absent = table.resolved.columns.iter().find(|(name, column)| {
        !table.place(name).is_some_and(|place| cells.contains(place))
            && !table.resolved.key.contains(name)
            && !column.has_constant_default
            && !column.generated
            && column.derived.is_none()
    });
    if let Some((name, _)) = absent {
        return Err(refuse(
            RefusalKind::Invalid,
            Code::InsertIncomplete,
            format!("a new row of `{}` must set `{name}`: it has no constant default", table.resolved.name),
        ));
    }
    match table.resolved.unbound.iter().find(|column| !column.has_constant_default && !column.generated) {
        None => Ok(()),
        Some(column) => Err(refuse(
            RefusalKind::Denied,
            Code::InsertIncomplete,
            format!(
                "a new row of `{}` would leave `{}` to the database; bind that column first",
                table.resolved.name, column.column
            ),
        )),
    }
}
