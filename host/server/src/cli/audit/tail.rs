//! `mendwright audit tail`: the last entries, and those that come.

use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_store::{Entry, LogFilter, Logged, RunNumber};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::{Done, problem};
use crate::engine::audit::Opened;
use crate::engine::rfc3339;
use crate::view::audit::{EntryLine, Held, entries};
use crate::view::problem::{Exit, Problem};

/// Entries that are listed at most: a list is for people, and a program reads an export.
const LIMIT_MAX: u32 = 10_000;

/// How often somebody who follows looks: slower than a person reads, faster than one waits.
const FOLLOW: Duration = Duration::from_millis(500);

/// The last entries, the newest last.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// At most so many.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
    /// About this run.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Go on with those that come.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    format_version: &'static str,
    index: u64,
    held: Held,
    entry: &'a Entry,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let opened = context.audit(&config).await?;
    opened.log().catch_up().await?;
    let run = match &args.run {
        Some(reference) => Some(context.find(&opened.store, reference).await?.number),
        None => None,
    };
    let last = opened.store.logged_last(run, args.limit).await.map_err(problem::store)?;
    if last.is_empty() && !args.follow {
        context.out.note("The audit log has no such entries yet.");
    }
    show(context, &opened, &last).await?;
    if args.follow {
        let next = match last.last() {
            Some(last) => last.leaf + 1,
            None => opened.store.audit_status().await.map_err(problem::store)?.size,
        };
        follow(context, &opened, run, next).await?;
    }
    Ok(Exit::Done)
}

async fn follow(context: &Context, opened: &Opened, run: Option<RunNumber>, mut from: u64) -> Result<(), Problem> {
    while !context.out.is_closed() {
        opened.log().catch_up().await?;
        let filter = LogFilter { run, from, limit: LIMIT_MAX };
        let came = opened.store.logged(filter).await.map_err(problem::store)?;
        show(context, opened, &came).await?;
        match came.last() {
            Some(last) => from = last.leaf + 1,
            None => tokio::time::sleep(FOLLOW).await,
        }
    }
    Ok(())
}

async fn show(context: &Context, opened: &Opened, logged: &[Logged]) -> Result<(), Problem> {
    if logged.is_empty() {
        return Ok(());
    }
    let status = opened.store.audit_status().await.map_err(problem::store)?;
    let signed = status.checkpoint.map_or(0, |checkpoint| checkpoint.size);
    let configured = |place: &str| opened.audit.anchors.iter().any(|anchor| anchor.to_string() == place);
    let anchored = status.anchors.iter().filter(|a| configured(&a.place)).map(|a| a.size).max().unwrap_or(0);
    let mut lines = Vec::new();
    for Logged { leaf, bytes } in logged {
        let entry = Entry::parse(bytes).map_err(|why| {
            Problem::new(Code::AuditTampered, format!("entry {leaf} of the audit log is none: {why}"))
                .next("mendwright audit verify", "what else differs")
        })?;
        let held = Held::of(*leaf, signed, anchored);
        if context.out.is_json() {
            context.out.json(&Line { format_version: FORMAT_VERSION, index: *leaf, held, entry: &entry });
        } else {
            lines.push(line(*leaf, held, entry));
        }
    }
    if !lines.is_empty() {
        context.out.result(&entries(context.out.look, &lines));
    }
    Ok(())
}

/// An entry as people see it.
pub(super) fn line(index: u64, held: Held, entry: Entry) -> EntryLine {
    let Entry { actor, at_us, body, delivery: _, id: _, kind, run, tenant, times, v: _ } = entry;
    EntryLine { index, held, at: rfc3339(at_us), kind, actor, run, tenant, times, body: body.into_iter().collect() }
}
