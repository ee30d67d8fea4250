//! Attacks on P4, *one way to act*: names that become SQL, and things that nobody granted.

use crate::bindings::mendwright::repair::table_writes::{self, Removal};
use crate::bindings::mendwright::repair::tables::{self, Comparison, Filter, Query};
use crate::bindings::mendwright::repair::types::Value;
use crate::params::{change, say};
use crate::{Outcome, Run};

/// Names that would do harm if one of them ever stood in a statement.
const NAMES: [&str; 7] = [
    "x\"; drop table invoice; --",
    "x'; drop table invoice; --",
    "invoices; select 1",
    "main.sqlite_master",
    "pg_catalog.pg_class",
    "in\0voices",
    "mendwright_journal",
];

/// Uses each name as a table and as a column, wherever a name can stand; goes on after each refusal.
pub(crate) fn names(run: &Run) -> Outcome {
    let (table, column) = (run.params.table(), run.params.column());
    for name in NAMES {
        let owned = || name.to_owned();
        say("describe", tables::describe(name));
        say("get table", tables::get(name, &[run.params.key()], std::slice::from_ref(&column)));
        say("get column", tables::get(&table, &[run.params.key()], &[owned()]));
        let filter = Filter { column: owned(), op: Comparison::Eq, values: vec![Value::Text(owned())] };
        for query in [
            Query { table: owned(), columns: vec![column.clone()], filters: Vec::new(), order_by: Vec::new() },
            Query { table: table.clone(), columns: vec![owned()], filters: Vec::new(), order_by: Vec::new() },
            Query { table: table.clone(), columns: vec![column.clone()], filters: vec![filter], order_by: Vec::new() },
            Query { table: table.clone(), columns: vec![column.clone()], filters: Vec::new(), order_by: vec![owned()] },
        ] {
            say("scan", tables::scan(&query));
        }
        say("update table", table_writes::update(name, &[change(run.params.key(), &column, run.params.value())]));
        say("update column", table_writes::update(&table, &[change(run.params.key(), name, run.params.value())]));
        let removal = Removal { key: vec![Value::Text(owned())], reason: owned() };
        say("delete", table_writes::delete(name, &[removal]));
    }
    Ok(String::new())
}

/// Reads a table that its manifest does not request.
pub(crate) fn undeclared_table(run: &Run) -> Outcome {
    say("describe", tables::describe(&run.params.table()));
    say("get", tables::get(&run.params.table(), &[run.params.key()], &[run.params.column()]));
    Ok(String::new())
}

/// Reads a column that its manifest does not request.
pub(crate) fn undeclared_column(run: &Run) -> Outcome {
    say("get", tables::get(&run.params.table(), &[run.params.key()], &[run.params.column()]));
    Ok(String::new())
}

/// Does what its manifest does not request: deletes where it may only update, say.
pub(crate) fn undeclared_operation(run: &Run) -> Outcome {
    let removal = Removal { key: run.params.key(), reason: "hostile".to_owned() };
    say("delete", table_writes::delete(&run.params.table(), &[removal]));
    Ok(String::new())
}
