//! Attacks on P13, *work is metered*: filling what the host keeps for a run. Every refusal is
//! ignored: an attacker goes on as long as it is let.

use std::io::Write;

use crate::bindings::mendwright::repair::run::{self, Level};
use crate::bindings::mendwright::repair::tables::{self, Comparison, Filter, Query};
use crate::bindings::mendwright::repair::types::{Check, Finding, Severity, Value};
use crate::params::{say, tell};
use crate::{Outcome, Run};

/// Logs a hundred thousand lines.
pub(crate) fn log_flood(run: &Run) -> Outcome {
    for n in 0..run.params.number("n", 100_000) {
        let _ = run::log(Level::Info, &format!("line {n} of a flood"));
    }
    Ok("flooded".to_owned())
}

/// Prints for as long as it is let, past the contract's own log.
pub(crate) fn stdout_flood(run: &Run) -> Outcome {
    let mut out = std::io::stdout();
    for n in 0..run.params.number("n", 1_000_000) {
        let _ = writeln!(out, "line {n} of a flood");
    }
    Ok("flooded".to_owned())
}

/// Reports a hundred thousand findings.
pub(crate) fn finding_flood(run: &Run) -> Outcome {
    let finding = Finding {
        code: run.params.text("code", "flood"),
        severity: Severity::Info,
        table: run.params.table(),
        key: run.params.key(),
        message: "one of many".to_owned(),
    };
    for _ in 0..run.params.number("n", 100_000) {
        let _ = run::report_finding(&finding);
    }
    Ok("flooded".to_owned())
}

/// Reports a hundred thousand checks.
pub(crate) fn check_flood(run: &Run) -> Outcome {
    let text = || "one of many".to_owned();
    let check = Check { name: text(), passed: true, expected: text(), actual: text() };
    for _ in 0..run.params.number("n", 100_000) {
        let _ = run::report_check(&check);
    }
    Ok("flooded".to_owned())
}

/// Reports progress a million times; it is free of budget, and still costs fuel.
pub(crate) fn progress_flood(run: &Run) -> Outcome {
    for n in 0..run.params.number("n", 1_000_000) {
        run::progress(n, u64::MAX);
    }
    Ok("flooded".to_owned())
}

fn query(run: &Run, filters: Vec<Filter>) -> Query {
    Query { table: run.params.table(), columns: vec![run.params.column()], filters, order_by: Vec::new() }
}

/// Opens a hundred thousand scans and keeps them all.
pub(crate) fn cursors(run: &Run) -> Outcome {
    let query = query(run, Vec::new());
    let mut open = Vec::new();
    for _ in 0..run.params.number("n", 100_000) {
        open.extend(tables::scan(&query).ok());
    }
    Ok(format!("{} scans open", open.len()))
}

/// Makes the database work without a row to show for it: a hundred thousand scans that match
/// nothing.
pub(crate) fn empty_scans(run: &Run) -> Outcome {
    let nothing = Filter { column: run.params.column(), op: Comparison::IsIn, values: vec![Value::Null] };
    let query = query(run, vec![nothing]);
    let mut n_refused = 0_u64;
    for _ in 0..run.params.number("n", 100_000) {
        let answer = tables::scan(&query).and_then(|cursor| cursor.next_page());
        n_refused += u64::from(answer.is_err());
    }
    Ok(format!("{n_refused} refused"))
}

/// Opens scans, drops some, and reads on from one that is left: numbers must not be mixed up.
pub(crate) fn cursor_order(run: &Run) -> Outcome {
    let query = query(run, Vec::new());
    let mut open: Vec<_> = (0..4).filter_map(|_| say("scan", tables::scan(&query))).collect();
    let kept = open.pop();
    open.clear();
    let _again = say("scan", tables::scan(&query));
    if let Some(rows) = kept.and_then(|cursor| say("next-page", cursor.next_page())) {
        tell(&format!("{} rows", rows.n_rows));
    }
    Ok(String::new())
}
