//! Tables in memory that cost as little as tables can: rows lie ready in the order they are asked for,
//! and a page is a copy of a slice. What is measured over them is everything else.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;

use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::kind::Kind;
use mendwright_core::page::{Page, PageBuilder};
use mendwright_core::port::{
    ColumnInfo, CursorId, Future, Query, Refusal, RefusalKind, Row, RowChange, RowRemoval, Tables,
};
use mendwright_core::value::Value;

/// Rows in one page of a scan, as the contract says.
const PAGE_ROWS: usize = 1_000;

/// Tables in memory. A clone shares the rows, which a run does not change: it only counts.
#[derive(Clone, Debug, Default)]
pub struct RowTables {
    tables: BTreeMap<String, Table>,
    scans: BTreeMap<u32, Scan>,
    opened: u32,
    /// Rows that calls asked to change.
    pub changed: usize,
}

#[derive(Clone, Debug)]
struct Table {
    columns: Vec<ColumnInfo>,
    rows: Arc<Vec<Row>>,
}

#[derive(Clone, Debug)]
struct Scan {
    rows: Arc<Vec<Row>>,
    places: Vec<usize>,
    next: usize,
}

impl RowTables {
    /// Adds a table: columns with the key first, rows in the order that a job asks for.
    #[must_use]
    pub fn with(mut self, name: &str, columns: &[(&str, Kind)], rows: Vec<Row>) -> Self {
        let column = |(at, (name, kind)): (usize, &(&str, Kind))| ColumnInfo {
            name: (*name).to_owned(),
            kind: *kind,
            currency: matches!(kind, Kind::Decimal(_)).then(|| "USD".to_owned()),
            nullable: false,
            key: at == 0,
            writable: at > 0,
        };
        let columns = columns.iter().enumerate().map(column).collect();
        self.tables.insert(name.to_owned(), Table { columns, rows: Arc::new(rows) });
        self
    }

    fn table(&self, name: &str) -> Result<&Table, Refusal> {
        let missing = || Refusal::new(RefusalKind::NotFound, Code::TableDenied, "there is no such table");
        self.tables.get(name).ok_or_else(missing)
    }

    fn open(&mut self, query: &Query) -> Result<CursorId, Refusal> {
        let table = self.table(&query.table)?;
        // A condition is only ever one that nothing meets.
        let rows = if query.filters.is_empty() { Arc::clone(&table.rows) } else { Arc::default() };
        let scan = Scan { rows, places: places(table, &query.columns)?, next: 0 };
        self.opened += 1;
        self.scans.insert(self.opened, scan);
        Ok(CursorId(self.opened))
    }

    /// The places of the columns that a scan reads, and its next rows.
    fn turn(&mut self, cursor: CursorId) -> Option<(&[usize], &[Row])> {
        let scan = self.scans.get_mut(&cursor.0)?;
        let rows = scan.rows.get(scan.next..)?;
        let rows = rows.get(..PAGE_ROWS).unwrap_or(rows);
        scan.next += rows.len();
        Some((&scan.places, rows))
    }

    fn columns(&mut self, cursor: CursorId) -> Result<Page, Refusal> {
        let Some((places, rows)) = self.turn(cursor) else { return Ok(Page::default()) };
        let mut page = PageBuilder::new(places.len(), rows.len());
        for row in rows {
            page.push(places.iter().map(|at| row.get(*at).unwrap_or(&Value::Null)))?;
        }
        Ok(page.finish())
    }

    fn page(&mut self, cursor: CursorId) -> Vec<Row> {
        let Some((places, rows)) = self.turn(cursor) else { return Vec::new() };
        rows.iter().map(|row| pick(row, places)).collect()
    }
}

fn pick(row: &Row, places: &[usize]) -> Row {
    places.iter().map(|at| row.get(*at).cloned().unwrap_or(Value::Null)).collect()
}

fn places(table: &Table, columns: &[String]) -> Result<Vec<usize>, Refusal> {
    let missing = || Refusal::new(RefusalKind::Denied, Code::ColumnDenied, "there is no such column");
    let place = |name: &String| table.columns.iter().position(|column| column.name == *name).ok_or_else(missing);
    columns.iter().map(place).collect()
}

impl Tables for RowTables {
    fn describe<'a>(&'a mut self, table: &'a str) -> Future<'a, Result<Vec<ColumnInfo>, Refusal>> {
        Box::pin(ready(self.table(table).map(|table| table.columns.clone())))
    }

    fn get<'a>(
        &'a mut self,
        table: &'a str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Future<'a, Result<Vec<Option<Row>>, Refusal>> {
        let found = self.table(table).and_then(|table| {
            let places = places(table, &columns)?;
            let row = |key: &Key| {
                let row = table.rows.iter().find(|row| row.first() == key.0.first())?;
                Some(pick(row, &places))
            };
            Ok(keys.iter().map(row).collect())
        });
        Box::pin(ready(found))
    }

    fn scan(&mut self, query: Query) -> Future<'_, Result<CursorId, Refusal>> {
        Box::pin(ready(self.open(&query)))
    }

    fn next_page(&mut self, cursor: CursorId) -> Future<'_, Result<Vec<Row>, Refusal>> {
        Box::pin(ready(Ok(self.page(cursor))))
    }

    fn next_columns(&mut self, cursor: CursorId) -> Future<'_, Result<Page, Refusal>> {
        Box::pin(ready(self.columns(cursor)))
    }

    fn close(&mut self, cursor: CursorId) {
        self.scans.remove(&cursor.0);
    }

    fn insert<'a>(&'a mut self, _table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        self.changed += rows.len();
        Box::pin(ready(Ok(())))
    }

    fn update<'a>(&'a mut self, _table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        self.changed += rows.len();
        Box::pin(ready(Ok(())))
    }

    fn delete<'a>(&'a mut self, _table: &'a str, rows: Vec<RowRemoval>) -> Future<'a, Result<(), Refusal>> {
        self.changed += rows.len();
        Box::pin(ready(Ok(())))
    }
}
