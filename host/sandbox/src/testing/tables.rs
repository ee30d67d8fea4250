//! Tables in memory. They know what every adapter knows (kinds, keys, what is writable) and nothing
//! of tenants, snapshots or plans: changes are made at once.

use std::collections::BTreeMap;
use std::future::ready;

use mendwright_core::change::{Cells, Key};
use mendwright_core::code::Code;
use mendwright_core::kind::Kind;
use mendwright_core::port::{
    ColumnInfo, Comparison, CursorId, Filter, Future, Query, Refusal, RefusalKind, Row, RowChange, RowRemoval, Tables,
};
use mendwright_core::value::Value;

/// Rows in one page of a scan, as the contract says.
const PAGE_ROWS_MAX: usize = 1_000;

/// One table: its columns, key first, and its rows by key. A row's cells leave out the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTable {
    /// The columns, key columns first.
    pub columns: Vec<ColumnInfo>,
    /// The rows.
    pub rows: BTreeMap<Key, Cells>,
}

/// Tables in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryTables {
    /// By name.
    pub tables: BTreeMap<String, MemoryTable>,
    /// How many rows calls asked to change.
    pub rows_changed: usize,
    cursors: BTreeMap<u32, Cursor>,
    next_cursor: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    query: Query,
    keys: std::collections::VecDeque<Key>,
}

/// A column, not NULL.
#[must_use]
pub fn column(name: &str, kind: Kind, key: bool, writable: bool) -> ColumnInfo {
    ColumnInfo { name: name.to_owned(), kind, currency: None, nullable: false, key, writable }
}

impl MemoryTables {
    /// A table `invoices` with key `id` (integer) and the writable column `total` (decimal), with ids
    /// from 1 and a total of 10 each.
    #[must_use]
    pub fn invoices(n_rows: i64) -> Self {
        let columns = vec![
            column("id", Kind::Integer, true, false),
            column("tenant", Kind::Text, false, false),
            column("total", Kind::Decimal(Some((20, 2))), false, true),
        ];
        let rows = (1..=n_rows)
            .map(|id| {
                let cells = Cells::from([
                    ("tenant".to_owned(), Value::Text("acme".to_owned())),
                    ("total".to_owned(), Value::Decimal(10.into())),
                ]);
                (Key(vec![Value::Integer(id)]), cells)
            })
            .collect();
        Self { tables: [("invoices".to_owned(), MemoryTable { columns, rows })].into(), ..Self::default() }
    }

    fn table(&self, name: &str) -> Result<&MemoryTable, Refusal> {
        self.tables
            .get(name)
            .ok_or_else(|| refuse(RefusalKind::Denied, Code::TableDenied, "no such table for this job"))
    }

    fn change(&mut self, name: &str, rows: &[RowChange], insert: bool) -> Result<(), Refusal> {
        let table = self.table(name)?;
        // The whole batch is looked at before any of it is made.
        for row in rows {
            table.check_key(&row.key)?;
            for (column, value) in &row.cells {
                let info = table.column(column)?;
                if !info.writable && !insert {
                    return Err(refuse(RefusalKind::Denied, Code::ColumnFixed, "the column is not writable"));
                }
                if !value.fits(info.kind) {
                    return Err(refuse(RefusalKind::Invalid, Code::ValueKind, "the value has another kind"));
                }
            }
            match (table.rows.contains_key(&row.key), insert) {
                (true, true) => return Err(refuse(RefusalKind::Conflict, Code::RowExists, "the row exists")),
                (false, false) => return Err(refuse(RefusalKind::NotFound, Code::RowUnknown, "no such row")),
                (true, false) | (false, true) => {}
            }
        }
        self.rows_changed += rows.len();
        let table = self.tables.entry(name.to_owned()).or_default();
        for row in rows {
            table.rows.entry(row.key.clone()).or_default().extend(row.cells.iter().cloned());
        }
        Ok(())
    }

    fn remove(&mut self, name: &str, rows: &[RowRemoval]) -> Result<(), Refusal> {
        let table = self.table(name)?;
        if rows.iter().any(|row| !table.rows.contains_key(&row.key)) {
            return Err(refuse(RefusalKind::NotFound, Code::RowUnknown, "no such row"));
        }
        self.rows_changed += rows.len();
        let table = self.tables.entry(name.to_owned()).or_default();
        table.rows.retain(|key, _| rows.iter().all(|row| row.key != *key));
        Ok(())
    }

    fn open(&mut self, query: Query) -> Result<CursorId, Refusal> {
        let table = self.table(&query.table)?;
        for name in query.columns.iter().chain(&query.order_by).chain(query.filters.iter().map(|f| &f.column)) {
            table.column(name)?;
        }
        let mut keys: Vec<(Row, Key)> = table
            .rows
            .iter()
            .filter(|(key, cells)| query.filters.iter().all(|filter| table.meets(key, cells, filter)))
            .map(|(key, cells)| (table.row(key, cells, &query.order_by), key.clone()))
            .collect();
        keys.sort();
        let cursor = Cursor { keys: keys.into_iter().map(|(_, key)| key).collect(), query };
        self.next_cursor += 1;
        self.cursors.insert(self.next_cursor, cursor);
        Ok(CursorId(self.next_cursor))
    }

    fn page(&mut self, cursor: CursorId) -> Result<Vec<Row>, Refusal> {
        let Some(open) = self.cursors.get_mut(&cursor.0) else {
            return Err(refuse(RefusalKind::Invalid, Code::CallInvalid, "the scan is closed"));
        };
        let n_rows = open.keys.len().min(PAGE_ROWS_MAX);
        let keys: Vec<Key> = open.keys.drain(..n_rows).collect();
        let query = open.query.clone();
        let table = self.table(&query.table)?;
        Ok(keys
            .iter()
            .filter_map(|key| table.rows.get(key).map(|cells| table.row(key, cells, &query.columns)))
            .collect())
    }
}

impl MemoryTable {
    fn column(&self, name: &str) -> Result<&ColumnInfo, Refusal> {
        let found = self.columns.iter().find(|column| column.name == name);
        found.ok_or_else(|| refuse(RefusalKind::Denied, Code::ColumnDenied, "no such column for this job"))
    }

    fn check_key(&self, key: &Key) -> Result<(), Refusal> {
        let kinds: Vec<Kind> = self.columns.iter().filter(|column| column.key).map(|column| column.kind).collect();
        if key.0.len() == kinds.len() && key.0.iter().zip(kinds).all(|(value, kind)| value.fits(kind)) {
            return Ok(());
        }
        Err(refuse(RefusalKind::Invalid, Code::CallInvalid, "the key is not one of this table"))
    }

    fn value<'a>(&'a self, key: &'a Key, cells: &'a Cells, name: &str) -> Option<&'a Value> {
        let place = self.columns.iter().filter(|column| column.key).position(|column| column.name == name);
        place.and_then(|place| key.0.get(place)).or_else(|| cells.get(name))
    }

    fn row(&self, key: &Key, cells: &Cells, columns: &[String]) -> Row {
        columns.iter().map(|name| self.value(key, cells, name).cloned().unwrap_or(Value::Null)).collect()
    }

    fn meets(&self, key: &Key, cells: &Cells, filter: &Filter) -> bool {
        let own = self.value(key, cells, &filter.column).unwrap_or(&Value::Null);
        let other = filter.values.first().unwrap_or(&Value::Null);
        match filter.op {
            Comparison::Eq => own == other,
            Comparison::Lt => own < other,
            Comparison::Le => own <= other,
            Comparison::Gt => own > other,
            Comparison::Ge => own >= other,
            Comparison::IsNull => own.is_null(),
            Comparison::IsIn => filter.values.contains(own),
        }
    }
}

fn refuse(kind: RefusalKind, code: Code, message: &str) -> Refusal {
    Refusal::new(kind, code, message)
}

impl Tables for MemoryTables {
    fn describe<'a>(&'a mut self, table: &'a str) -> Future<'a, Result<Vec<ColumnInfo>, Refusal>> {
        Box::pin(ready(self.table(table).map(|table| table.columns.clone())))
    }

    fn get<'a>(
        &'a mut self,
        table: &'a str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Future<'a, Result<Vec<Option<Row>>, Refusal>> {
        let rows = self.table(table).and_then(|table| {
            columns.iter().try_for_each(|name| table.column(name).map(drop))?;
            keys.iter().try_for_each(|key| table.check_key(key))?;
            Ok(keys.iter().map(|key| table.rows.get(key).map(|cells| table.row(key, cells, &columns))).collect())
        });
        Box::pin(ready(rows))
    }

    fn scan(&mut self, query: Query) -> Future<'_, Result<CursorId, Refusal>> {
        Box::pin(ready(self.open(query)))
    }

    fn next_page(&mut self, cursor: CursorId) -> Future<'_, Result<Vec<Row>, Refusal>> {
        Box::pin(ready(self.page(cursor)))
    }

    fn close(&mut self, cursor: CursorId) {
        self.cursors.remove(&cursor.0);
    }

    fn insert<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(ready(self.change(table, &rows, true)))
    }

    fn update<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(ready(self.change(table, &rows, false)))
    }

    fn delete<'a>(&'a mut self, table: &'a str, rows: Vec<RowRemoval>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(ready(self.remove(table, &rows)))
    }
}
