//! The contract's `tables` and `table-writes`, answered by a session. Before it answers it notes whether a
//! sensitive column was named.

use mendwright_core::change::Key;
use mendwright_core::port::{ColumnInfo, CursorId, Future, Query, Refusal, Row, RowChange, RowRemoval, Tables};

use super::Session;

impl Tables for Session {
    fn describe<'a>(&'a mut self, table: &'a str) -> Future<'a, Result<Vec<ColumnInfo>, Refusal>> {
        Box::pin(async move { self.describe_table(table) })
    }

    fn get<'a>(
        &'a mut self,
        table: &'a str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Future<'a, Result<Vec<Option<Row>>, Refusal>> {
        self.note_use(table, columns.iter().map(String::as_str));
        Box::pin(self.get_rows(table, keys, columns))
    }

    fn scan(&mut self, query: Query) -> Future<'_, Result<CursorId, Refusal>> {
        let compared = query.filters.iter().map(|filter| &filter.column);
        let named = query.columns.iter().chain(compared).chain(&query.order_by);
        self.note_use(&query.table, named.map(String::as_str));
        Box::pin(self.open_scan(query))
    }

    fn next_page(&mut self, cursor: CursorId) -> Future<'_, Result<Vec<Row>, Refusal>> {
        Box::pin(self.read_page(cursor))
    }

    fn close(&mut self, cursor: CursorId) {
        self.close_cursor(cursor);
    }

    fn insert<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        self.note_use(table, written(&rows));
        Box::pin(self.insert_rows(table, rows))
    }

    fn update<'a>(&'a mut self, table: &'a str, rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        self.note_use(table, written(&rows));
        Box::pin(self.update_rows(table, rows))
    }

    fn delete<'a>(&'a mut self, table: &'a str, rows: Vec<RowRemoval>) -> Future<'a, Result<(), Refusal>> {
        self.note_use(table, []);
        Box::pin(self.delete_rows(table, rows))
    }
}

fn written(rows: &[RowChange]) -> impl Iterator<Item = &str> {
    rows.iter().flat_map(|row| &row.cells).map(|(column, _)| column.as_str())
}
