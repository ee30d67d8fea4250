//! What a scan of the snapshot shows once the overlay's changes are in it.

use std::cmp::Ordering;

use mendwright_core::change::Key;
use mendwright_core::port::{Comparison, Filter, Refusal, Row};
use mendwright_core::value::Value;

use super::super::connection::RawRow;
use super::super::overlay::{Base, Place, Wanted, Written};
use super::super::raw::Raw;
use super::Session;
use super::scan::OpenScan;
use super::table::Table;

impl Session {
    /// Puts a page of the snapshot, changed as the overlay says, behind the rows that are ready; and
    /// between them the overlay's rows that the snapshot has elsewhere or not at all.
    pub(super) fn merge(&mut self, open: &mut OpenScan, page: Vec<RawRow>) -> Result<(), Refusal> {
        let Some(rows) = self.overlay.resources.get(&open.table.resolved.name) else {
            for row in page {
                let values = values_of(&open.table, &open.selected, &row)?;
                // What the job asks for after this page must not come before it.
                open.last = Some(place_of(&open.selected, &open.order, &values));
                open.ready.push_back(values.into_iter().take(open.query.columns.len()).collect());
            }
            return Ok(());
        };
        // What decides where a row stands in this scan.
        let deciding: Vec<Place> = open
            .order
            .iter()
            .chain(open.query.filters.iter().map(|filter| &filter.column))
            .filter_map(|column| open.table.place(column))
            .collect();
        let shown: Vec<Option<Place>> = open.query.columns.iter().map(|column| open.table.place(column)).collect();
        let moved = |cells: &Written| deciding.iter().any(|place| cells.contains(*place));
        let positional = rows.inserts > 0 || deciding.iter().any(|place| rows.touched.contains(place));
        let mut elsewhere: Vec<(Vec<Value>, Row)> = Vec::new();
        if positional {
            for (key, row) in &rows.rows {
                let wanted = &row.wanted;
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
        let mut elsewhere =
            elsewhere.into_iter().filter(|(place, _)| last.as_ref().is_none_or(|last| place > last)).peekable();
        for row in page {
            let values = values_of(&open.table, &open.selected, &row)?;
            let place = place_of(&open.selected, &open.order, &values);
            // The same place is the same row, which the snapshot's own turn below leaves out.
            while let Some((_, row)) = elsewhere.next_if(|(other, _)| other.cmp(&place) != Ordering::Greater) {
                open.ready.push_back(row);
            }
            let key = Key(place.get(open.order.len() - open.table.resolved.key.len()..).unwrap_or_default().to_vec());
            match rows.rows.get(&key).map(|row| &row.wanted) {
                None => open.ready.push_back(values.into_iter().take(open.query.columns.len()).collect()),
                Some(Wanted::Update { cells, .. }) if !moved(cells) => {
                    let row = shown.iter().zip(values).map(|(place, old)| {
                        match place.and_then(|place| Some((open.table.bound(place)?, cells.get(place)?))) {
                            Some(((name, column), new)) => open.table.value(name, column, new),
                            None => Ok(old),
                        }
                    });
                    open.ready.push_back(row.collect::<Result<_, _>>()?);
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
pub(super) fn merged(table: &Table, key: &Key, wanted: &Wanted, columns: &[String]) -> Result<Option<Row>, Refusal> {
    match wanted {
        Wanted::Delete { .. } => Ok(None),
        Wanted::Update { base, cells, .. } => row_of(table, key, base, Some(cells), columns).map(Some),
        Wanted::Insert { cells, .. } => {
            let row = columns.iter().map(|name| {
                let at = table.resolved.key.iter().position(|k| k == name);
                match (at.and_then(|at| key.0.get(at)), written(table, cells, name)) {
                    (Some(value), _) => Ok(value.clone()),
                    (None, Some(value)) => value,
                    // A column with a constant default that the job left out: what it will hold is the
                    // database's; the job sees NULL until then.
                    (None, None) => Ok(Value::Null),
                }
            });
            row.collect::<Result<_, _>>().map(Some)
        }
    }
}

pub(super) fn row_of(
    table: &Table,
    _key: &Key,
    base: &Base,
    cells: Option<&Written>,
    columns: &[String],
) -> Result<Row, Refusal> {
    columns
        .iter()
        .map(|name| {
            if let Some(value) = cells.and_then(|cells| written(table, cells, name)) {
                return value;
            }
            let at = table.columns.binary_search(name).ok();
            match at.and_then(|at| base.cells.get(at)) {
                Some(raw) => table.value(name, table.readable(name)?, raw),
                None => Ok(Value::Null),
            }
        })
        .collect()
}

/// What the run wrote into this column, as the job sees it.
fn written(table: &Table, cells: &Written, name: &str) -> Option<Result<Value, Refusal>> {
    let place = table.place(name)?;
    let ((name, column), raw) = (table.bound(place)?, cells.get(place)?);
    Some(table.value(name, column, raw))
}
