//! Changes of every kind at once, and a job that tells whatever it reads to whoever listens.

use std::io::Write as _;

use crate::bindings::mendwright::repair::run;
use crate::bindings::mendwright::repair::table_writes::{self, Removal};
use crate::bindings::mendwright::repair::tables::{self, Comparison, Filter, Query};
use crate::bindings::mendwright::repair::types::{Check, Failure, Finding, Severity, Value};
use crate::params::{found, say, tell};
use crate::{Outcome, Run};

/// No attack: reads the rows that it updates, then updates, inserts and deletes as the parameters say.
pub(crate) fn mixed(run: &Run) -> Outcome {
    let (table, params) = (run.params.table(), &run.params);
    let (updates, inserts) = (params.changes("updates"), params.changes("inserts"));
    let deletes = params.changes("deletes");
    for change in &updates {
        let columns: Vec<String> = change.cells.iter().map(|cell| cell.column.clone()).collect();
        say("get", tables::get(&table, std::slice::from_ref(&change.key), &columns));
    }
    // Whoever listens to the progress may hold the run here, with everything read.
    run::progress(1, 2);
    if !updates.is_empty() {
        say("update", table_writes::update(&table, &updates));
    }
    if !inserts.is_empty() {
        say("insert", table_writes::insert(&table, &inserts));
    }
    let removals: Vec<Removal> =
        deletes.into_iter().map(|change| Removal { key: change.key, reason: change.reason }).collect();
    if !removals.is_empty() {
        say("delete", table_writes::delete(&table, &removals));
    }
    Ok(String::new())
}

/// Reads a cell and says it in every word that a job has; then writes it into its own row.
pub(crate) fn gossip(run: &Run) -> Outcome {
    let (table, column) = (run.params.table(), run.params.column());
    let rows = say("get", tables::get(&table, &[run.params.key()], std::slice::from_ref(&column)));
    let said = format!("{:?}", rows.as_ref().map(found));
    tell(&said);
    let _ = writeln!(std::io::stdout(), "{said}");
    let _ = writeln!(std::io::stderr(), "{said}");
    let _ = run::report_finding(&Finding {
        code: "flood".to_owned(),
        severity: Severity::Info,
        table: table.clone(),
        key: run.params.key(),
        message: said.clone(),
    });
    let _ =
        run::report_check(&Check { name: said.clone(), passed: true, expected: said.clone(), actual: said.clone() });
    let mut change = crate::params::change(run.params.key(), &column, Value::Null);
    change.reason = said.clone();
    if let Some(cell) = change.cells.first_mut() {
        cell.value = run.params.value();
    }
    say("update", table_writes::update(&table, &[change]));
    Ok(said)
}

/// Compares a column with a value of the parameters and never reads it, tells the value, and ends as
/// `then` says.
pub(crate) fn whisper(run: &Run) -> Outcome {
    let (table, said) = (run.params.table(), run.params.text("value", ""));
    let filter = Filter { column: run.params.column(), op: Comparison::Eq, values: vec![run.params.value()] };
    let query = Query { table, columns: vec!["id".to_owned()], filters: vec![filter], order_by: Vec::new() };
    if let Some(cursor) = say("scan", tables::scan(&query)) {
        say("next-page", cursor.next_page());
    }
    tell(&said);
    let _ = run::report_finding(&Finding {
        code: "flood".to_owned(),
        severity: Severity::Info,
        table: said.clone(),
        key: vec![run.params.value()],
        message: said.clone(),
    });
    match run.params.text("then", "").as_str() {
        "fail" => Err(Failure { code: said.clone(), message: said }),
        "panic" => panic!("{said}"),
        "wall" => say("describe", tables::describe(&said)).map_or_else(|| Ok(String::new()), |_| Ok(said)),
        _ => Ok(said),
    }
}
