//! `scan`: one statement, walked page by page.

use std::collections::VecDeque;

use sha2::{Digest as _, Sha256};

use mendwright_core::budget::Metric;
use mendwright_core::code::Code;
use mendwright_core::port::{Comparison, CursorId, Filter, Query, Refusal, RefusalKind, Row};
use mendwright_core::value::Value;

use super::super::computed::StableRead;
use super::super::connection::Arg;
use super::super::engine::ident;
use super::super::raw::Raw;
use super::super::scope::Scope;
use super::super::snapshot::{PAGE_ROWS, Scan};
use super::super::sought::Sought;
use super::hash_row;
use super::table::{Table, refuse};
use super::{Session, clock};

/// Values of an `is-in`, as the contract says.
const IS_IN_MAX: usize = 1_000;

/// A condition that no row meets.
const NONE: &str = "1 = 0";

/// A condition that every row meets.
const EVERY: &str = "1 = 1";

/// An open scan.
pub(super) struct OpenScan {
    pub(super) table: Table,
    pub(super) query: Query,
    /// Columns that each row of the statement has: the query's, then the key's and the order's that
    /// are not among them.
    pub(super) selected: Vec<String>,
    /// The columns rows are sorted by, the key at the end.
    pub(super) order: Vec<String>,
    /// `None` once the snapshot has no more rows.
    scan: Option<Scan>,
    pub(super) ready: VecDeque<Row>,
    /// Where the rows delivered so far end, in the scan's order.
    pub(super) last: Option<Vec<Value>>,
    /// For resources whose reads must stay true: the statement and a running hash of its rows.
    stable: Option<(StableRead, Sha256)>,
}

impl Session {
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
        let stable = table
            .resolved
            .stable_reads
            .then(|| (StableRead::new(&table.resolved.name, &sql, args.clone(), 0, Sha256::new()), Sha256::new()));
        let started = clock();
        let opened = self.source(&table)?.snapshot.scan(&sql, args).await;
        let spent = self.spend(started);
        let scan = opened.map_err(|error| error.to_refusal())?;
        spent?;
        self.scans_opened += 1;
        let open =
            OpenScan { table, query, selected, order, scan: Some(scan), ready: VecDeque::new(), last: None, stable };
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

/// One condition of a scan; its values are parameters.
fn condition(table: &Table, filter: &Filter, args: &mut Vec<Arg>) -> Result<String, Refusal> {
    let column = table.readable(&filter.column)?;
    let wrong =
        |why: &str| refuse(RefusalKind::Invalid, Code::CallInvalid, format!("filter on `{}`: {why}", filter.column));
    let is_key = table.resolved.key.contains(&filter.column);
    let is_null = || format!("t.{} IS NULL", ident(&column.column));
    match filter.op {
        Comparison::IsNull => Ok(is_null()),
        Comparison::IsIn => {
            if filter.values.len() > IS_IN_MAX {
                return Err(wrong("`is-in` takes at most 1,000 values"));
            }
            let mut raws = Vec::with_capacity(filter.values.len());
            for value in filter.values.iter().filter(|value| !value.is_null()) {
                if let Sought::Stored(raw) = table.sought(&filter.column, column, value)? {
                    raws.push(raw);
                }
            }
            let first = args.len() + 1;
            args.extend(raws.iter().cloned().map(Arg::Raw));
            let listed = (!raws.is_empty()).then(|| table.engine.one_of("t", column, first, &raws));
            let null = filter.values.iter().any(Value::is_null).then(is_null);
            Ok(match (listed, null) {
                (Some(listed), Some(null)) => format!("({listed} OR {null})"),
                (Some(only), None) | (None, Some(only)) => only,
                (None, None) => NONE.to_owned(),
            })
        }
        Comparison::Eq | Comparison::Lt | Comparison::Le | Comparison::Gt | Comparison::Ge => {
            let is_range = filter.op != Comparison::Eq;
            if is_range && !is_key {
                return Err(wrong("ranges are for key columns"));
            }
            let [value] = filter.values.as_slice() else { return Err(wrong("takes exactly one value")) };
            if value.is_null() {
                return if is_range { Err(wrong("NULL has no order")) } else { Ok(is_null()) };
            }
            let (operator, raw) = match against(filter.op, table.sought(&filter.column, column, value)?) {
                Against::Compare(operator, raw) => (operator, raw),
                Against::Every => return Ok(EVERY.to_owned()),
                Against::None => return Ok(NONE.to_owned()),
                Against::Unordered => return Err(wrong("the value has no order with what the column can hold")),
            };
            args.push(Arg::Raw(raw.clone()));
            Ok(table.engine.compare("t", column, operator, args.len(), &raw))
        }
    }
}

/// What a comparison with a value comes to.
enum Against {
    /// This operator and this value.
    Compare(&'static str, Raw),
    /// Every row meets it.
    Every,
    /// No row meets it.
    None,
    /// It cannot be told.
    Unordered,
}

/// A comparison with a value that the column may not be able to hold.
fn against(op: Comparison, sought: Sought) -> Against {
    match (op, sought) {
        (Comparison::Lt, Sought::Stored(raw)) => Against::Compare("<", raw),
        (Comparison::Le, Sought::Stored(raw) | Sought::JustAbove(raw)) | (Comparison::Lt, Sought::JustAbove(raw)) => {
            Against::Compare("<=", raw)
        }
        (Comparison::Ge, Sought::Stored(raw)) => Against::Compare(">=", raw),
        (Comparison::Gt, Sought::Stored(raw) | Sought::JustAbove(raw)) | (Comparison::Ge, Sought::JustAbove(raw)) => {
            Against::Compare(">", raw)
        }
        (Comparison::Lt | Comparison::Le, Sought::BelowAll) => Against::None,
        (Comparison::Gt | Comparison::Ge, Sought::BelowAll) => Against::Every,
        (Comparison::Lt | Comparison::Le | Comparison::Gt | Comparison::Ge, Sought::Nowhere) => Against::Unordered,
        (Comparison::Eq | Comparison::IsIn | Comparison::IsNull, Sought::Stored(raw)) => Against::Compare("=", raw),
        (Comparison::Eq | Comparison::IsIn | Comparison::IsNull, _) => Against::None,
    }
}
