//! What ran, on what, and what it read.

use mendwright_core::plan::document::Document;

use crate::view::look::{Ink, Look, safe};
use crate::view::number::{When, thousands};
use crate::view::plan::Plan;

pub(super) fn head(look: Look, plan: &Plan<'_>) -> String {
    let document = plan.document;
    let header = &document.header;
    let title = format!(
        "{} {} · tenant {} · {}",
        safe(&header.job.name),
        safe(&header.job.version),
        safe(&header.tenant),
        targets(document)
    );
    let mut out = look.apart((Ink::Bold, &title), (Ink::Bold, &format!("run #{}", document.number)));
    out.push('\n');
    match &document.compensation {
        // What the job repairs is not what it does here.
        Some(compensation) => {
            out.push_str(&lines(look, &format!("Takes back #{} in the job's own way.", compensation.of)))
        }
        None if !plan.job_summary.is_empty() => out.push_str(&lines(look, plan.job_summary)),
        None => {}
    }
    out.push_str(&lines(look, &read(plan)));
    out
}

fn lines(look: Look, text: &str) -> String {
    let mut out = look.wrap(&safe(text), 0).join("\n");
    out.push('\n');
    out
}

/// `chinook (sqlite, demo)`.
fn targets(document: &Document) -> String {
    let environment = safe(&document.environment);
    let each: Vec<String> = document
        .header
        .targets
        .iter()
        .map(|target| format!("{} ({}, {environment})", safe(&target.database), safe(&target.engine)))
        .collect();
    if each.is_empty() { environment } else { each.join(" · ") }
}

/// `Read 28 invoices and 152 invoice_lines in one snapshot, 03:12:09 UTC. Nothing was written.`
fn read(plan: &Plan<'_>) -> String {
    let document = plan.document;
    let time = When { at: &document.created_at, now: plan.now() }.to_second();
    // What was written is named first: it is what the reader came for.
    let mut resources: Vec<_> = document.resources.iter().filter(|r| r.rows_read != "0").collect();
    resources.sort_by_key(|r| super::diff::total(r) == 0);
    let each: Vec<String> = resources.iter().map(|r| format!("{} {}", thousands(&r.rows_read), r.name)).collect();
    let what = match each.as_slice() {
        [] => return format!("Read nothing, {time}. Nothing was written."),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    let snapshot =
        if document.header.targets.len() > 1 { "in one snapshot of each database" } else { "in one snapshot" };
    format!("Read {what} {snapshot}, {time}. Nothing was written.")
}
