//! `mendwright run verify RUN`: reads back what a run wrote.

use mendwright_core::port::Check;
use mendwright_core::text::escape;
use serde::Serialize;

use super::history;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::{Done, problem};
use crate::engine::{Host, VerifiedRun};
use crate::view::outcome::{VerifyResult, VerifyRow, verify};
use crate::view::problem::Exit;

/// Read back what a run wrote.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    run: String,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    number: u64,
    rows_read: u64,
    rows_held: u64,
    differ: &'a [String],
    checks: &'a [Check],
    findings: usize,
    summary: &'a str,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let host = context.host().await?;
    let run = context.find(host.store(), &args.run).await?;
    let progress = Progress::begin(&context.out, format!("reading {} back", run.number));
    let verified = host.verify(run.number).await;
    drop(progress);
    let verified = verified?;
    let plan = host.store().load_plan(run.number).await.map_err(problem::store)?;
    let planned: u64 = plan.header.changes_count.parse().unwrap_or(0);
    let rows_read = planned.max(verified.verified.held);
    let good = verified.verified.differ.is_empty() && verified.checks.iter().all(|check| check.passed);
    if context.out.is_json() {
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            number: run.number.get(),
            rows_read,
            rows_held: verified.verified.held,
            differ: &verified.verified.differ,
            checks: &verified.checks,
            findings: verified.findings.len(),
            summary: &verified.summary,
        });
    } else {
        show(context, &host, verified, rows_read);
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

fn show(context: &Context, host: &Host, verified: VerifiedRun, rows_read: u64) {
    let row = |name: &String| {
        let (resource, key) = name.split_once('/').unwrap_or((name, ""));
        VerifyRow {
            resource: resource.to_owned(),
            key: key.to_owned(),
            column: String::new(),
            kind: String::new(),
            wrote: None,
            now: None,
        }
    };
    let result = VerifyResult {
        number: verified.run.number.get(),
        rows_held: verified.verified.held,
        rows_read,
        // Which rows is all that is known here; the undo's preview shows their values.
        differing: Vec::new(),
        checks: verified.checks,
        next: Vec::new(),
    };
    let mut text = verify(context.out.look, &result);
    for row in verified.verified.differ.iter().map(row) {
        text.push_str(&format!("  ⚡ {} {} holds something else\n", escape(&row.resource), escape(&row.key)));
    }
    for finding in &verified.findings {
        text.push_str(&format!(
            "  ! {} {}: {}\n",
            escape(&finding.table),
            escape(&finding.code),
            escape(&finding.message)
        ));
    }
    if !verified.summary.is_empty() {
        text.push_str(&format!("  {}\n", escape(&verified.summary)));
    }
    context.out.result(&text);
    let mut next = history::next(&verified.run, host.now_us());
    // It was just done.
    next.retain(|hint| !hint.command.starts_with("mendwright run verify"));
    context.out.next(&next);
}
