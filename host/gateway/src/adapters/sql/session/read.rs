//! `get` and `scan`: the snapshot's rows of one tenant, merged with the overlay.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest as _, Sha256};

use mendwright_core::budget::Metric;
use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::port::{ColumnInfo, Comparison, CursorId, Filter, Query, Refusal, RefusalKind, Row};
use mendwright_core::value::Value;

use super::super::connection::{Arg, RawRow};
use super::super::engine::{Engine, bare};
use super::super::overlay::{Base, Wanted, Written};
use super::super::raw::Raw;
use super::super::scope::Scope;
use super::super::snapshot::{PAGE_ROWS, Scan};
use super::finish::StableRead;
use super::table::{Table, refuse};
use super::{Session, clock};

/// Keys of one statement: SQLite takes 32,766 parameters, and a composite key uses several.
const KEYS_MAX: usize = 1_000;

/// Values of an `is-in`, as the contract says.
const IS_IN_MAX: usize = 1_000;

/// An open scan.
pub(super) struct OpenScan {
    table: Table,
    query: Query,
    /// Columns that each row of the statement has: the query's, then the key's and the order's that
    /// are not among them.
    selected: Vec<String>,
    /// The columns rows are sorted by, the key at the end.
    order: Vec<String>,
    /// `None` once the snapshot has no more rows.
    scan: Option<Scan>,
    ready: VecDeque<Row>,
    /// Where the rows delivered so far end, in the scan's order.
    last: Option<Vec<Value>>,
    /// For resources whose reads must stay true: the statement and a running hash of its rows.
    stable: Option<(StableRead, Sha256)>,
}

impl Session {
    pub(super) async fn get_rows(
        &mut self,
        table: &str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Result<Vec<Option<Row>>, Refusal> {
        let table = self.table(table)?;
        for column in &columns {
            table.readable(column)?;
        }
        self.note_columns(&table, &columns);
        self.meter.charge(Metric::RowsRead, u64::try_from(keys.len().max(1)).unwrap_or(u64::MAX))?;
        let unknown: Vec<Key> = keys
            .iter()
            .filter(|key| self.overlay.get(&table.resolved.name, key).is_none())
            .cloned()
            .collect();
        let bases = self.fetch(&table, &unknown, true).await?;
        self.usage.entry(table.resolved.name.clone()).or_default().rows_read +=
            u64::try_from(bases.len()).unwrap_or(u64::MAX);
        keys.iter()
            .map(|key| match self.overlay.get(&table.resolved.name, key) {
                Some(wanted) => merged(&table, key, wanted, &columns),
                None => bases.get(key).map(|base| row_of(&table, key, base, None, &columns)).transpose(),
            })
            .collect()
    }

    pub(super) fn describe_table(&mut self, table: &str) -> Result<Vec<ColumnInfo>, Refusal> {
        match self.tables.get(table) {
            Some(table) => Ok(table.describe()),
            None => Err(refuse(
                RefusalKind::NotFound,
                Code::TableDenied,
                "there is no such table for this run",
            )),
        }
    }

    pub(super) fn note_columns(&mut self, table: &Table, columns: &[String]) {
        let noted = self.columns_read.entry(table.resolved.name.clone()).or_default();
        for column in columns {
            if !noted.contains(column) {
                noted.insert(column.clone());
            }
        }
    }

    /// The snapshot's rows with these keys, as the overlay keeps them.
    pub(super) async fn fetch(
        &mut self,
        table: &Table,
        keys: &[Key],
        stable: bool,
    ) -> Result<BTreeMap<Key, Base>, Refusal> {
        let mut found = BTreeMap::new();
        let width = table.columns.len();
        let select = format!("{}{}", table.select(&table.columns), table.select_path());
        for chunk in keys.chunks(KEYS_MAX) {
            let raws: Vec<Vec<Raw>> = chunk.iter().map(|key| table.key(key)).collect::<Result<_, _>>()?;
            let scope = Scope::new(table.engine, &table.resolved, &self.tenant, 1);
            let first = scope.args().len() + 1;
            let (join, mut key_args) = join_keys(table, &raws, first);
            let mut args = scope.args();
            args.append(&mut key_args);
            let sql = format!(
                "SELECT {select} FROM {}{join}{} WHERE {} ORDER BY {}",
                table.from(),
                scope.joins,
                scope.condition,
                table.key_list().join(", ")
            );
            let sql = with_keys(table, &raws, first, &sql);
            let rows = self.rows(table, &sql, args, stable).await?;
            for mut row in rows {
                let path = row.split_off(width.min(row.len()));
                let base = Base { cells: row, path };
                let key = key_of(table, &table.columns, &base.cells)?;
                found.insert(key, base);
            }
        }
        Ok(found)
    }

    /// A small result of the snapshot; remembered where the resource's reads must stay true.
    async fn rows(&mut self, table: &Table, sql: &str, args: Vec<Arg>, stable: bool) -> Result<Vec<RawRow>, Refusal> {
        let started = clock();
        let left = self.time_left();
        let source = self.source(table)?;
        let connection = source.snapshot.connection();
        let limited = connection.limit_statements(left).await;
        let rows = match limited {
            Ok(()) => connection.rows(sql, args.clone()).await,
            Err(error) => Err(error),
        };
        connection.lift_limit();
        let spent = self.spend(started);
        let rows = rows.map_err(|error| error.to_refusal())?;
        spent?;
        if stable && table.resolved.stable_reads {
            let mut hash = Sha256::new();
            rows.iter().for_each(|row| hash_row(&mut hash, row));
            let read = StableRead::new(&table.resolved.name, sql, args, rows.len(), hash);
            self.remember(read)?;
        }
        Ok(rows)
    }

    fn remember(&mut self, read: StableRead) -> Result<(), Refusal> {
        self.meter.charge(Metric::HostMemory, u64::try_from(read.size()).unwrap_or(u64::MAX))?;
        self.stable_reads.push(read);
        Ok(())
    }

    pub(super) async fn open_scan(&mut self, query: Query) -> Result<CursorId, Refusal> {
        let table = self.table(&query.table)?;
        self.meter.charge(Metric::RowsRead, 1)?;
        let (selected, order) = scan_columns(&table, &query)?;
        let engine = table.engine;
        let scope = Scope::new(engine, &table.resolved, &self.tenant, 1);
        let mut args = scope.args();
        let mut conditions = vec![scope.condition.clone()];
        for filter in &query.filters {
            conditions.push(condition(&table, filter, &mut args)?);
        }
        let order_by: Vec<String> = order
            .iter()
            .filter_map(|name| table.resolved.columns.get(name))
            .map(|column| engine.order("t", column))
            .collect();
        let sql = format!(
            "SELECT {} FROM {}{} WHERE {} ORDER BY {}",
            table.select(&selected),
            table.from(),
            scope.joins,
            conditions.join(" AND "),
            order_by.join(", ")
        );
        self.note_columns(&table, &query.columns);
        self.meter.charge(Metric::Cursors, 1)?;
        let stable = table.resolved.stable_reads.then(|| {
            (StableRead::new(&table.resolved.name, &sql, args.clone(), 0, Sha256::new()), Sha256::new())
        });
        let started = clock();
        let opened = self.source(&table)?.snapshot.scan(&sql, args).await;
        let spent = self.spend(started);
        let scan = opened.map_err(|error| error.to_refusal())?;
        spent?;
        self.scans_opened += 1;
        let open = OpenScan {
            table,
            query,
            selected,
            order,
            scan: Some(scan),
            ready: VecDeque::new(),
            last: None,
            stable,
        };
        self.scans.insert(self.scans_opened, open);
        Ok(CursorId(self.scans_opened))
    }

    pub(super) async fn read_page(&mut self, cursor: CursorId) -> Result<Vec<Row>, Refusal> {
        let Some(mut open) = self.scans.remove(&cursor.0) else {
            return Err(refuse(RefusalKind::Invalid, Code::CallInvalid, "the scan is closed"));
        };
        let filled = self.fill(&mut open).await;
        let page = open.ready.len().min(PAGE_ROWS);
        let rows = open.ready.drain(..page).collect();
        self.scans.insert(cursor.0, open);
        filled.map(|()| rows)
    }

    /// Reads on until a row is ready or there are no more.
    async fn fill(&mut self, open: &mut OpenScan) -> Result<(), Refusal> {
        while open.ready.is_empty() {
            let Some(scan) = &mut open.scan else { return Ok(()) };
            let started = clock();
            let page = match self.sources.get_mut(&open.table.resolved.database) {
                Some(source) => source.snapshot.page(scan).await,
                None => Ok(Vec::new()),
            };
            let spent = self.spend(started);
            let page = page.map_err(|error| error.to_refusal())?;
            spent?;
            let n = u64::try_from(page.len()).unwrap_or(u64::MAX);
            self.meter.charge(Metric::RowsRead, n)?;
            self.usage.entry(open.table.resolved.name.clone()).or_default().rows_read += n;
            if let Some((read, hash)) = &mut open.stable {
                page.iter().for_each(|row| hash_row(hash, row));
                read.rows += page.len();
            }
            let at_end = page.is_empty();
            self.merge(open, page)?;
            if at_end {
                if let (Some(scan), Some(source)) =
                    (open.scan.take(), self.sources.get_mut(&open.table.resolved.database))
                {
                    source.snapshot.close_scan(scan);
                }
                self.remember_scan(open, true)?;
            }
        }
        Ok(())
    }

    fn remember_scan(&mut self, open: &mut OpenScan, complete: bool) -> Result<(), Refusal> {
        match open.stable.take() {
            Some((mut read, hash)) => {
                read.hash = hash.finalize().into();
                read.complete = complete;
                self.remember(read)
            }
            None => Ok(()),
        }
    }

    /// Puts a page of the snapshot, changed as the overlay says, behind the rows that are ready; and
    /// between them the overlay's rows that the snapshot has elsewhere or not at all.
    fn merge(&mut self, open: &mut OpenScan, page: Vec<RawRow>) -> Result<(), Refusal> {
        let Some(rows) = self.overlay.resources.get(&open.table.resolved.name) else {
            for row in page {
                let values = values_of(&open.table, &open.selected, &row)?;
                open.ready.push_back(values.into_iter().take(open.query.columns.len()).collect());
            }
            return Ok(());
        };
        let moved = |cells: &Written| {
            open.order.iter().chain(open.query.filters.iter().map(|f| &f.column)).any(|c| cells.contains_key(c))
        };
        let positional = rows.inserts > 0 || open.order.iter().any(|c| rows.touched.contains(c))
            || open.query.filters.iter().any(|f| rows.touched.contains(&f.column));
        let mut elsewhere: Vec<(Vec<Value>, Row)> = Vec::new();
        if positional {
            for (key, (_, wanted)) in &rows.rows {
                let apart = match wanted {
                    Wanted::Insert { .. } => true,
                    Wanted::Update { cells, .. } => moved(cells),
                    Wanted::Delete { .. } => false,
                };
                if apart && let Some(found) = placed(open, key, wanted)? {
                    elsewhere.push(found);
                }
            }
            elsewhere.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let at_end = page.is_empty();
        let last = open.last.clone();
        let mut elsewhere = elsewhere
            .into_iter()
            .filter(|(place, _)| last.as_ref().is_none_or(|last| place > last))
            .peekable();
        for row in page {
            let values = values_of(&open.table, &open.selected, &row)?;
            let place = place_of(&open.selected, &open.order, &values);
            while let Some((_, row)) = elsewhere.next_if(|(other, _)| other.cmp(&place) == Ordering::Less) {
                open.ready.push_back(row);
            }
            let key = Key(place.get(open.order.len() - open.table.resolved.key.len()..).unwrap_or_default().to_vec());
            match rows.rows.get(&key).map(|(_, wanted)| wanted) {
                None => open.ready.push_back(values.into_iter().take(open.query.columns.len()).collect()),
                Some(Wanted::Update { cells, .. }) if !moved(cells) => {
                    let row = open.query.columns.iter().zip(values).map(|(column, old)| {
                        cells.get(column).map_or(old, |(new, _)| new.clone())
                    });
                    open.ready.push_back(row.collect());
                }
                Some(Wanted::Update { .. } | Wanted::Insert { .. } | Wanted::Delete { .. }) => {}
            }
            open.last = Some(place);
        }
        if at_end {
            open.ready.extend(elsewhere.map(|(_, row)| row));
        }
        Ok(())
    }

    pub(super) fn close_cursor(&mut self, cursor: CursorId) {
        let Some(mut open) = self.scans.remove(&cursor.0) else { return };
        self.meter.release(Metric::Cursors, 1);
        // The budget for it is checked by the next call; an open scan's end is no call of the guest.
        let _ = self.remember_scan(&mut open, false);
        if let (Some(scan), Some(source)) = (open.scan.take(), self.sources.get_mut(&open.table.resolved.database)) {
            source.snapshot.close_scan(scan);
        }
    }
}

/// The columns of a scan's statement, and those it sorts by.
fn scan_columns(table: &Table, query: &Query) -> Result<(Vec<String>, Vec<String>), Refusal> {
    let mut order: Vec<String> = Vec::new();
    for column in &query.order_by {
        table.readable(column)?;
        if !order.contains(column) && !table.resolved.key.contains(column) {
            order.push(column.clone());
        } else if table.resolved.key.first() == Some(column) {
            // Sorting by the key is what the tie-break does anyway.
            break;
        } else {
            return Err(refuse(
                RefusalKind::Invalid,
                Code::CallInvalid,
                format!("`order-by` names `{column}` twice, or a key column out of the key's order"),
            ));
        }
    }
    order.extend(table.resolved.key.iter().cloned());
    let mut selected = query.columns.clone();
    for column in &query.columns {
        table.readable(column)?;
    }
    for column in &order {
        if !selected.contains(column) {
            selected.push(column.clone());
        }
    }
    Ok((selected, order))
}

fn values_of(table: &Table, columns: &[String], row: &[Raw]) -> Result<Vec<Value>, Refusal> {
    columns.iter().zip(row).map(|(name, raw)| table.value(name, table.readable(name)?, raw)).collect()
}

fn place_of(selected: &[String], order: &[String], values: &[Value]) -> Vec<Value> {
    order
        .iter()
        .filter_map(|column| selected.iter().position(|s| s == column).and_then(|at| values.get(at)).cloned())
        .collect()
}

/// Where an overlay row stands in a scan, and what it shows there; `None` if it does not meet the
/// filters.
fn placed(open: &OpenScan, key: &Key, wanted: &Wanted) -> Result<Option<(Vec<Value>, Row)>, Refusal> {
    let filters: Vec<String> = open.query.filters.iter().map(|f| f.column.clone()).collect();
    let Some(tested) = merged(&open.table, key, wanted, &filters)? else { return Ok(None) };
    if !open.query.filters.iter().zip(&tested).all(|(filter, value)| meets(filter, value)) {
        return Ok(None);
    }
    let place = merged(&open.table, key, wanted, &open.order)?.unwrap_or_default();
    let row = merged(&open.table, key, wanted, &open.query.columns)?.unwrap_or_default();
    Ok(Some((place, row)))
}

fn meets(filter: &Filter, value: &Value) -> bool {
    let against = |wanted: Ordering, or_equal: bool| {
        filter.values.first().is_some_and(|bound| {
            let order = value.cmp(bound);
            !value.is_null() && (order == wanted || (or_equal && order == Ordering::Equal))
        })
    };
    match filter.op {
        Comparison::Eq | Comparison::IsIn => filter.values.contains(value),
        Comparison::IsNull => value.is_null(),
        Comparison::Lt => against(Ordering::Less, false),
        Comparison::Le => against(Ordering::Less, true),
        Comparison::Gt => against(Ordering::Greater, false),
        Comparison::Ge => against(Ordering::Greater, true),
    }
}

/// A row as the job sees it through the overlay; `None` where it is deleted.
fn merged(table: &Table, key: &Key, wanted: &Wanted, columns: &[String]) -> Result<Option<Row>, Refusal> {
    match wanted {
        Wanted::Delete { .. } => Ok(None),
        Wanted::Update { base, cells, .. } => row_of(table, key, base, Some(cells), columns).map(Some),
        Wanted::Insert { cells, .. } => {
            let row = columns.iter().map(|name| {
                let at = table.resolved.key.iter().position(|k| k == name);
                match (at.and_then(|at| key.0.get(at)), cells.get(name)) {
                    (Some(value), _) | (None, Some((value, _))) => value.clone(),
                    // A column with a constant default that the job left out: what it will hold is the
                    // database's; the job sees NULL until then.
                    (None, None) => Value::Null,
                }
            });
            Ok(Some(row.collect()))
        }
    }
}

fn row_of(table: &Table, _key: &Key, base: &Base, cells: Option<&Written>, columns: &[String]) -> Result<Row, Refusal> {
    columns
        .iter()
        .map(|name| {
            if let Some((value, _)) = cells.and_then(|cells| cells.get(name)) {
                return Ok(value.clone());
            }
            let at = table.columns.binary_search(name).ok();
            match at.and_then(|at| base.cells.get(at)) {
                Some(raw) => table.value(name, table.readable(name)?, raw),
                None => Ok(Value::Null),
            }
        })
        .collect()
}

fn key_of(table: &Table, columns: &[String], cells: &[Raw]) -> Result<Key, Refusal> {
    let mut key = Vec::with_capacity(table.resolved.key.len());
    for (name, column) in table.resolved.key_columns() {
        if let Some(raw) = columns.binary_search_by(|c| c.as_str().cmp(name)).ok().and_then(|at| cells.get(at)) {
            key.push(table.value(name, column, raw)?);
        }
    }
    Ok(Key(key))
}

/// One condition of a scan; its values are parameters.
fn condition(table: &Table, filter: &Filter, args: &mut Vec<Arg>) -> Result<String, Refusal> {
    let column = table.readable(&filter.column)?;
    let wrong = |why: &str| refuse(RefusalKind::Invalid, Code::CallInvalid, format!("filter on `{}`: {why}", filter.column));
    let is_key = table.resolved.key.contains(&filter.column);
    let mut one = |operator: &str, args: &mut Vec<Arg>| -> Result<String, Refusal> {
        let [value] = filter.values.as_slice() else { return Err(wrong("takes exactly one value")) };
        if value.is_null() {
            return Err(wrong("NULL has no order"));
        }
        args.push(Arg::Raw(table.raw(&filter.column, column, value)?));
        Ok(table.engine.compare("t", column, operator, args.len()))
    };
    let name = super::super::engine::ident(&column.column);
    match filter.op {
        Comparison::IsNull => Ok(format!("t.{name} IS NULL")),
        Comparison::Eq if filter.values.first().is_some_and(Value::is_null) => Ok(format!("t.{name} IS NULL")),
        Comparison::Eq => one("=", args),
        Comparison::Lt | Comparison::Le | Comparison::Gt | Comparison::Ge if !is_key => {
            Err(wrong("ranges are for key columns"))
        }
        Comparison::Lt => one("<", args),
        Comparison::Le => one("<=", args),
        Comparison::Gt => one(">", args),
        Comparison::Ge => one(">=", args),
        Comparison::IsIn => {
            if filter.values.len() > IS_IN_MAX {
                return Err(wrong("`is-in` takes at most 1,000 values"));
            }
            let first = args.len() + 1;
            for value in filter.values.iter().filter(|value| !value.is_null()) {
                args.push(Arg::Raw(table.raw(&filter.column, column, value)?));
            }
            let n = args.len() + 1 - first;
            let listed = (n > 0).then(|| table.engine.one_of("t", column, first, n));
            let null = filter.values.iter().any(Value::is_null).then(|| format!("t.{name} IS NULL"));
            Ok(match (listed, null) {
                (Some(listed), Some(null)) => format!("({listed} OR {null})"),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => "1 = 0".to_owned(),
            })
        }
    }
}

/// `JOIN` with the keys wanted, and their parameters.
fn join_keys(table: &Table, keys: &[Vec<Raw>], first: usize) -> (String, Vec<Arg>) {
    let columns: Vec<_> = table.resolved.key_columns().map(|(_, column)| column).collect();
    match table.engine {
        Engine::Sqlite => {
            let on: Vec<String> =
                table.key_list().iter().enumerate().map(|(n, key)| format!("{key} = mw.k{n}")).collect();
            let args = keys.iter().flatten().cloned().map(Arg::Raw).collect();
            (format!(" JOIN mw ON {}", on.join(" AND ")), args)
        }
        Engine::Postgres => {
            let arrays: Vec<String> = (0..columns.len()).map(|n| format!("${}::text[]", first + n)).collect();
            let names: Vec<String> = (0..columns.len()).map(|n| format!("k{n}")).collect();
            let on: Vec<String> = columns
                .iter()
                .zip(table.key_list())
                .enumerate()
                .map(|(n, (column, key))| format!("{key} = mw.k{n}::{}", bare(&column.declared)))
                .collect();
            let args = (0..columns.len())
                .map(|n| Arg::Texts(keys.iter().map(|k| k.get(n).and_then(Raw::text).map(ToOwned::to_owned)).collect()))
                .collect();
            (
                format!(" JOIN unnest({}) AS mw({}) ON {}", arrays.join(", "), names.join(", "), on.join(" AND ")),
                args,
            )
        }
    }
}

/// SQLite has no arrays: the keys stand before the statement as a table of their own.
fn with_keys(table: &Table, keys: &[Vec<Raw>], first: usize, sql: &str) -> String {
    match table.engine {
        Engine::Postgres => sql.to_owned(),
        Engine::Sqlite => {
            let width = table.resolved.key.len();
            let names: Vec<String> = (0..width).map(|n| format!("k{n}")).collect();
            let rows: Vec<String> = (0..keys.len())
                .map(|row| {
                    let params: Vec<String> = (0..width).map(|n| format!("?{}", first + row * width + n)).collect();
                    format!("({})", params.join(","))
                })
                .collect();
            format!("WITH mw({}) AS (VALUES {}) {sql}", names.join(","), rows.join(","))
        }
    }
}

/// Counts a row into a hash; lengths keep neighbours apart.
pub(crate) fn hash_row(hash: &mut Sha256, row: &[Raw]) {
    for raw in row {
        let tagged = raw.tagged();
        hash.update(u64::try_from(tagged.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(tagged.as_bytes());
    }
    hash.update([0xff]);
}
