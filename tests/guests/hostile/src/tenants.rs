//! Attacks on P5, *one tenant*: reading, writing or inferring what is another tenant's. The keys and
//! values come from the parameters, because an attacker may well know them.

use crate::bindings::mendwright::repair::table_writes::{self, Cell, Change, Removal};
use crate::bindings::mendwright::repair::tables::{self, Comparison, Filter, Query};
use crate::params::{change, found, rows, say, tell};
use crate::{Outcome, Run};

/// Reads another tenant's row by its key.
pub(crate) fn get_foreign(run: &Run) -> Outcome {
    let (table, column) = (run.params.table(), run.params.column());
    if let Some(answer) = say("get", tables::get(&table, &[run.params.key()], &[column])) {
        tell(&format!("rows: {:?}", found(&answer)));
    }
    Ok(String::new())
}

/// Searches for another tenant's rows by a filter on any column, the tenant's perhaps.
pub(crate) fn scan_foreign(run: &Run) -> Outcome {
    let (table, column) = (run.params.table(), run.params.column());
    let filter = Filter { column: column.clone(), op: Comparison::Eq, values: vec![run.params.value()] };
    let query = Query { table, columns: vec![column], filters: vec![filter], order_by: Vec::new() };
    if let Some(cursor) = say("scan", tables::scan(&query))
        && let Some(page) = say("next-page", cursor.next_page())
    {
        tell(&format!("rows: {:?}", rows(&page)));
    }
    Ok(String::new())
}

/// Changes another tenant's row. What the host answers must not tell whether there is such a row.
pub(crate) fn update_foreign(run: &Run) -> Outcome {
    let change = change(run.params.key(), &run.params.column(), run.params.value());
    say("update", table_writes::update(&run.params.table(), &[change]));
    Ok(String::new())
}

/// Deletes another tenant's row, and listens to the answer.
pub(crate) fn delete_foreign(run: &Run) -> Outcome {
    let removal = Removal { key: run.params.key(), reason: "hostile".to_owned() };
    say("delete", table_writes::delete(&run.params.table(), &[removal]));
    Ok(String::new())
}

/// Inserts a row under a given key to learn from the answer whether another tenant has it.
pub(crate) fn insert_probe(run: &Run) -> Outcome {
    let mut cells = vec![Cell { column: run.params.column(), value: run.params.value() }];
    cells.extend(run.params.cells());
    let row = Change { key: run.params.key(), cells, reason: "hostile".to_owned() };
    say("insert", table_writes::insert(&run.params.table(), &[row]));
    Ok(String::new())
}

/// Writes a column that no job may: the tenant column, so that a row moves to another tenant, or the
/// key of the parent, so that a line hangs under another tenant's.
pub(crate) fn write_column(run: &Run) -> Outcome {
    let change = change(run.params.key(), &run.params.column(), run.params.value());
    say("update", table_writes::update(&run.params.table(), &[change]));
    Ok(String::new())
}

/// Writes a foreign key, and then inserts a row with it, to learn whether another tenant has the
/// parent.
pub(crate) fn foreign_key_probe(run: &Run) -> Outcome {
    let table = run.params.table();
    let change = change(run.params.key(), &run.params.column(), run.params.value());
    say("update", table_writes::update(&table, &[change]));
    insert_probe(run)
}
