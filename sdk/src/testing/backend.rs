//! The contract's `run`, `tables` and `table-writes` over in-memory tables.

use std::collections::{BTreeMap, BTreeSet};

use super::Tables;
use super::cursor::{Condition, Cursor};
use super::page::PageBuilder;
use super::table::{Changed, Column, Key, Table};
use crate::contract::{
    Cell, Check, ColumnInfo, Comparison, Detail, Filter, Finding, Found, HostResult, Identity, Level, Page, Query,
    RowChange, RowRemoval, Value,
};
use crate::error::Error;
use crate::manifest::{Manifest, Request};
use crate::row::ColumnSpec;
use crate::value::Ordered;

/// Keys in one `get`, values in one `is-in`.
const LIST_MAX: usize = 1_000;
/// Scans open at once.
const CURSORS_MAX: usize = 16;
/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 1_000;
/// Bytes of the log; the host's default.
const LOG_BYTES_MAX: usize = 256 * 1024;
/// Findings and checks; the host's default.
const FINDINGS_MAX: usize = 10_000;
/// The name in a manifest that stands for everything.
const ANY: &str = "*";

/// The host of one native run.
#[derive(Debug)]
pub(crate) struct Backend {
    manifest: Manifest,
    params: String,
    tenant: String,
    now_us: i64,
    random: u64,
    pub(super) tables: BTreeMap<String, Table>,
    cursors: BTreeMap<u32, Cursor>,
    next_cursor: u32,
    pub(super) findings: Vec<Finding>,
    pub(super) checks: Vec<Check>,
    pub(super) lines: Vec<(Level, String)>,
    log_bytes: usize,
    pub(super) progress: Option<(u64, u64)>,
}

fn detail(code: &str, message: impl Into<String>) -> Detail {
    Detail { code: code.to_owned(), message: message.into() }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::Invalid(detail("ERR_CALL_INVALID", message))
}

/// The run itself.
impl Backend {
    pub(super) fn new(manifest: Manifest, start: &Tables, params: &str) -> Self {
        Self {
            manifest,
            params: params.to_owned(),
            tenant: start.tenant.clone(),
            now_us: start.now_us,
            random: start.seed,
            tables: start.tables.clone(),
            cursors: BTreeMap::new(),
            next_cursor: 0,
            findings: Vec::new(),
            checks: Vec::new(),
            lines: Vec::new(),
            log_bytes: 0,
            progress: None,
        }
    }

    pub(crate) fn note_row(&mut self, table: &str, columns: &[ColumnSpec]) {
        if let Some(table) = self.tables.get_mut(table) {
            table.note(columns);
        }
    }

    pub(crate) fn who(&self) -> Identity {
        Identity {
            run: "run_00000000-0000-7000-8000-000000000000".to_owned(),
            tenant: self.tenant.clone(),
            job: self.manifest.name.to_owned(),
            version: self.manifest.version.to_owned(),
            now_us: self.now_us,
        }
    }

    pub(crate) fn params(&self) -> String {
        self.params.clone()
    }

    /// `SplitMix64`: any seeded sequence will do.
    pub(crate) const fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn log(&mut self, level: Level, message: &str) -> HostResult<()> {
        self.log_bytes += message.len();
        if self.log_bytes > LOG_BYTES_MAX {
            return Err(Error::BudgetExceeded(detail("ERR_BUDGET_LOG", "the run's log is full")));
        }
        self.lines.push((level, message.to_owned()));
        Ok(())
    }

    pub(crate) const fn progress(&mut self, done: u64, total: u64) {
        self.progress = Some((done, total));
    }

    pub(crate) fn report_finding(&mut self, finding: &Finding) -> HostResult<()> {
        if !self.manifest.findings.iter().any(|(code, _)| *code == finding.code) {
            let message = format!("the manifest lists no finding `{}`", finding.code);
            return Err(Error::Invalid(detail("ERR_FINDING_UNKNOWN", message)));
        }
        self.room_for_finding()?;
        self.findings.push(finding.clone());
        Ok(())
    }

    pub(crate) fn report_check(&mut self, check: &Check) -> HostResult<()> {
        self.room_for_finding()?;
        self.checks.push(check.clone());
        Ok(())
    }

    fn room_for_finding(&self) -> HostResult<()> {
        if self.findings.len() + self.checks.len() < FINDINGS_MAX {
            return Ok(());
        }
        Err(Error::BudgetExceeded(detail("ERR_BUDGET_FINDINGS", "the run has reported all it may")))
    }
}

/// Reading.
impl Backend {
    fn request(&self, table: &str) -> Option<&'static Request> {
        let named = |name: &str| self.manifest.requests.iter().find(|request| request.table == name);
        named(table).or_else(|| named(ANY))
    }

    /// The table, if the manifest requests it and the test binds it.
    fn table(&self, name: &str) -> HostResult<(&Table, &'static Request)> {
        let found = self.tables.get(name).zip(self.request(name));
        let message = || format!("the manifest does not request table `{name}`, or the test does not bind it");
        found.ok_or_else(|| Error::Denied(detail("ERR_TABLE_DENIED", message())))
    }

    pub(crate) fn describe(&self, name: &str) -> HostResult<Vec<ColumnInfo>> {
        // Asking is no offence: an optional table is simply not there.
        let missing = || Error::NotFound(detail("ERR_TABLE_DENIED", "there is no such table for this run"));
        let (table, request) = self.table(name).map_err(|_| missing())?;
        let info = |(place, column): (usize, &Column)| ColumnInfo {
            name: column.name.clone(),
            kind: column.kind.word().to_owned(),
            scale: column.scale,
            currency: column.currency.clone(),
            nullable: column.nullable,
            key: table.key.contains(&place),
            writable: names(request.write, &column.name) && !table.key.contains(&place),
        };
        let all: Vec<_> = table.columns.iter().enumerate().collect();
        let mut others: Vec<_> =
            all.iter().filter(|(place, c)| !table.key.contains(place) && reads(request, &c.name)).copied().collect();
        others.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        let key = table.key.iter().filter_map(|place| all.get(*place).copied());
        Ok(key.chain(others).map(info).collect())
    }

    pub(crate) fn get(&self, name: &str, keys: &[Vec<Value>], columns: &[String]) -> HostResult<Found> {
        let (table, request) = self.table(name)?;
        if keys.len() > LIST_MAX {
            return Err(invalid("`get` takes at most 1,000 keys"));
        }
        let places = readable(table, request, columns)?;
        let (mut present, mut rows) = (Vec::with_capacity(keys.len()), PageBuilder::new(places.len(), keys.len()));
        for key in keys {
            let row = table.now(&valid_key(table, key)?);
            present.push(row.is_some());
            if let Some(row) = row {
                rows.push(places.iter().filter_map(|place| row.get(*place)));
            }
        }
        Ok(Found { present, rows: rows.finish() })
    }

    pub(crate) fn scan(&mut self, query: &Query) -> HostResult<u32> {
        let (table, request) = self.table(&query.table)?;
        let columns = readable(table, request, &query.columns)?;
        let by = readable(table, request, &query.order_by)?;
        let conditions = query.filters.iter().map(|filter| condition(table, request, filter));
        let cursor = Cursor::new(table, columns, conditions.collect::<HostResult<_>>()?, by);
        if self.cursors.len() >= CURSORS_MAX {
            return Err(Error::BudgetExceeded(detail("ERR_BUDGET_CURSORS", "16 scans are open")));
        }
        self.next_cursor += 1;
        self.cursors.insert(self.next_cursor, cursor);
        Ok(self.next_cursor)
    }

    pub(crate) fn next_page(&mut self, cursor: u32) -> HostResult<Page> {
        let cursor = self.cursors.get_mut(&cursor).ok_or_else(|| invalid("the scan is closed"))?;
        let table = self.tables.get(&cursor.table).ok_or_else(|| invalid("the table is gone"))?;
        Ok(cursor.next_page(table))
    }

    pub(crate) fn close(&mut self, cursor: u32) {
        self.cursors.remove(&cursor);
    }
}

/// Writing: a batch is accepted or refused as a whole, so everything is checked first.
impl Backend {
    pub(crate) fn insert(&mut self, name: &str, rows: Vec<RowChange>) -> HostResult<()> {
        let (table, request) = self.may(name, "insert")?;
        distinct(rows.iter().map(|row| &row.key))?;
        let mut puts = Vec::with_capacity(rows.len());
        for row in rows {
            let key = valid_key(table, &row.key)?;
            check_cells(table, request, &row)?;
            if table.before(&key).is_some() || table.overlay.contains_key(&key) {
                return Err(Error::Conflict(detail("ERR_ROW_EXISTS", format!("`{name}` already has such a row"))));
            }
            let mut values = vec![Value::Null; table.columns.len()];
            for (place, value) in table.key.iter().zip(&row.key) {
                put(&mut values, *place, value.clone());
            }
            set(table, &mut values, &row.cells);
            let left_out = table.columns.iter().enumerate().find(|(place, column)| {
                !column.nullable && !table.key.contains(place) && !row.cells.iter().any(|c| c.column == column.name)
            });
            if let Some((_, column)) = left_out {
                let message = format!("an inserted row of `{name}` must name `{}`", column.name);
                return Err(Error::Invalid(detail("ERR_INSERT_INCOMPLETE", message)));
            }
            puts.push((key, Changed { values: Some(values), reason: row.reason }));
        }
        self.put(name, puts);
        Ok(())
    }

    pub(crate) fn update(&mut self, name: &str, rows: Vec<RowChange>) -> HostResult<()> {
        let (table, request) = self.may(name, "update")?;
        distinct(rows.iter().map(|row| &row.key))?;
        let mut puts = Vec::with_capacity(rows.len());
        for row in rows {
            let key = valid_key(table, &row.key)?;
            check_cells(table, request, &row)?;
            let mut values = table.now(&key).cloned().ok_or_else(|| no_row(name))?;
            set(table, &mut values, &row.cells);
            puts.push((key, Changed { values: Some(values), reason: row.reason }));
        }
        self.put(name, puts);
        Ok(())
    }

    pub(crate) fn delete(&mut self, name: &str, rows: Vec<RowRemoval>) -> HostResult<()> {
        let (table, _) = self.may(name, "delete")?;
        distinct(rows.iter().map(|row| &row.key))?;
        let mut puts = Vec::with_capacity(rows.len());
        for row in rows {
            let key = valid_key(table, &row.key)?;
            if table.now(&key).is_none() {
                return Err(no_row(name));
            }
            puts.push((key, Changed { values: None, reason: row.reason }));
        }
        self.put(name, puts);
        Ok(())
    }

    fn may(&self, name: &str, operation: &str) -> HostResult<(&Table, &'static Request)> {
        let (table, request) = self.table(name)?;
        if !request.operations.contains(&operation) {
            let message = format!("the manifest does not request to {operation} rows of `{name}`");
            return Err(Error::Denied(detail("ERR_OPERATION_DENIED", message)));
        }
        Ok((table, request))
    }

    fn put(&mut self, name: &str, puts: Vec<(Key, Changed)>) {
        let Some(table) = self.tables.get_mut(name) else { return };
        for (key, mut changed) in puts {
            if changed.values.is_none() && table.before(&key).is_none() {
                // Inserted by this run and taken back: as if it had never been.
                table.overlay.remove(&key);
                continue;
            }
            if changed.reason.is_empty()
                && let Some(earlier) = table.overlay.get(&key)
            {
                changed.reason.clone_from(&earlier.reason);
            }
            table.overlay.insert(key, changed);
        }
    }
}

fn names(list: &[&str], name: &str) -> bool {
    list.iter().any(|own| *own == name || *own == ANY)
}

fn reads(request: &Request, column: &str) -> bool {
    names(request.read, column) || names(request.write, column)
}

fn readable(table: &Table, request: &Request, columns: &[String]) -> HostResult<Vec<usize>> {
    columns.iter().map(|column| readable_one(table, request, column)).collect()
}

fn readable_one(table: &Table, request: &Request, column: &str) -> HostResult<usize> {
    let place = table.place(column).filter(|place| table.key.contains(place) || reads(request, column));
    place.ok_or_else(|| {
        let message = format!("`{}.{column}` is not bound, or the manifest does not request it", table.name);
        Error::Denied(detail("ERR_COLUMN_DENIED", message))
    })
}

fn check_kind(column: &Column, value: &Value) -> HostResult<()> {
    if let Some(kind) = value.kind().filter(|kind| *kind != column.kind) {
        let message = format!("`{}` holds {}, not {}", column.name, column.kind.word(), kind.word());
        return Err(Error::Invalid(detail("ERR_VALUE_KIND", message)));
    }
    if let Value::Decimal(number) = value
        && !number.is_canonical()
    {
        let message = format!("`{}`: the decimal {number} is not in the one form of its number", column.name);
        return Err(Error::Invalid(detail("ERR_VALUE_KIND", message)));
    }
    Ok(())
}

fn condition(table: &Table, request: &Request, filter: &Filter) -> HostResult<Condition> {
    let place = readable_one(table, request, &filter.column)?;
    let wrong = |why: &str| invalid(format!("filter on `{}`: {why}", filter.column));
    let (op, n) = (filter.op, filter.values.len());
    match op {
        Comparison::IsNull if n != 0 => return Err(wrong("`is-null` takes no value")),
        Comparison::IsIn if n > LIST_MAX => return Err(wrong("`is-in` takes at most 1,000 values")),
        Comparison::IsNull | Comparison::IsIn => {}
        Comparison::Eq if n != 1 => return Err(wrong("takes exactly one value")),
        Comparison::Eq => {}
        Comparison::Lt | Comparison::Le | Comparison::Gt | Comparison::Ge => {
            if !table.key.contains(&place) {
                return Err(wrong("ranges are for key columns"));
            }
            if n != 1 || filter.values.iter().any(Value::is_null) {
                return Err(wrong("takes exactly one value, and NULL has no order"));
            }
        }
    }
    if let Some(column) = table.columns.get(place) {
        filter.values.iter().try_for_each(|value| check_kind(column, value))?;
    }
    Ok(Condition { place, op, values: filter.values.clone() })
}

fn valid_key(table: &Table, key: &[Value]) -> HostResult<Key> {
    if table.key.is_empty() {
        return Err(invalid(format!("`{}` has no key here: mark it in its first line (`id*`)", table.name)));
    }
    if key.len() != table.key.len() {
        return Err(invalid(format!("`{}` has {} key columns, not {}", table.name, table.key.len(), key.len())));
    }
    for (place, value) in table.key.iter().zip(key) {
        let Some(column) = table.columns.get(*place) else { continue };
        check_kind(column, value)?;
        if value.is_null() {
            return Err(Error::Invalid(detail("ERR_VALUE_KIND", format!("key `{}` cannot be NULL", column.name))));
        }
    }
    Ok(key.iter().cloned().map(Ordered).collect())
}

fn check_cells(table: &Table, request: &Request, row: &RowChange) -> HostResult<()> {
    if row.reason.len() > REASON_BYTES_MAX {
        return Err(invalid("a reason has at most 1,000 bytes"));
    }
    let mut seen = BTreeSet::new();
    for Cell { column: name, value } in &row.cells {
        let place = table.place(name);
        if place.is_some_and(|place| table.key.contains(&place)) {
            return Err(Error::Denied(detail("ERR_COLUMN_FIXED", format!("`{}.{name}` is a key column", table.name))));
        }
        let column = place.and_then(|place| table.columns.get(place)).filter(|_| names(request.write, name));
        let Some(column) = column else {
            let message = format!("`{}.{name}` is not bound, or the manifest does not request to write it", table.name);
            return Err(Error::Denied(detail("ERR_COLUMN_DENIED", message)));
        };
        check_kind(column, value)?;
        if !seen.insert(name) {
            return Err(invalid(format!("`{name}` is set twice in one row")));
        }
    }
    Ok(())
}

fn distinct<'a>(keys: impl Iterator<Item = &'a Vec<Value>>) -> HostResult<()> {
    let mut seen = BTreeSet::new();
    for key in keys {
        if !seen.insert(key.iter().cloned().map(Ordered).collect::<Key>()) {
            return Err(Error::Conflict(detail("ERR_CALL_INVALID", "one call names a row twice")));
        }
    }
    Ok(())
}

fn no_row(table: &str) -> Error {
    Error::NotFound(detail("ERR_ROW_UNKNOWN", format!("the tenant has no such row in `{table}`")))
}

fn set(table: &Table, values: &mut [Value], cells: &[Cell]) {
    for cell in cells {
        if let Some(place) = table.place(&cell.column) {
            put(values, place, cell.value.clone());
        }
    }
}

fn put(values: &mut [Value], place: usize, value: Value) {
    if let Some(own) = values.get_mut(place) {
        *own = value;
    }
}
