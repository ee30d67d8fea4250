//! `mendwright run show RUN`: where a run stands, and its plan.

use clap::ValueEnum;
use mendwright_core::code::Code;
use mendwright_core::port::LogLevel;
use mendwright_core::text::escape;
use mendwright_store::{RunNumber, RunRecord};
use serde::Serialize;

use super::loaded::{Keys, Loaded, Pages, Wanted, job_summary, load, policy_of};
use super::{history, rfc3339_or_empty, sql};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Books;
use crate::cli::out::FORMAT_VERSION;
use crate::config::Config;
use crate::engine::{rfc3339, time};
use crate::view::json;
use crate::view::plan::{Options, Plan, plan};
use crate::view::problem::{Exit, Problem};
use crate::view::run::run_show;

/// A run: where it stands, and its plan.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    #[arg(default_value = "@last")]
    run: String,
    /// Every row, and every value at its full length.
    #[arg(long)]
    full: bool,
    /// The plan as plain SQL, for a person to run by hand. Changes of sensitive values are left out.
    #[arg(long, conflicts_with_all = ["format", "log"])]
    sql: bool,
    /// Only changes of these rows: invoices/6, or 6 where that is enough.
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
    /// Only changes in which this stands, whatever its case.
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// What the job logged.
    #[arg(long)]
    log: bool,
    /// The plan for programs.
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// A plan for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One document; the same as --json.
    Json,
    /// A header line, then one change a line.
    Ndjson,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    number: u64,
    run: String,
    state: &'static str,
    job: &'a str,
    version: &'a str,
    tenant: &'a str,
    requested_by: &'a str,
    created_at: String,
    undo_until: String,
    compensates: Option<u64>,
    code: Option<Code>,
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct Line<'a> {
    level: LogLevel,
    text: &'a str,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let shelf = context.shelf(&config).await?;
    let books = shelf.books();
    let run = books.find(&args.run).await?;
    let is_json = context.out.is_json() || args.format == Some(Format::Json);
    if args.log {
        log(context, books, &run).await?;
    } else if run.plan_digest.is_none() {
        without_plan(context, books, &run, is_json).await?;
    } else if args.sql {
        let script = sql::script(context, &config, books, &run, sql::Direction::There).await?;
        context.out.result(&script);
    } else if args.format == Some(Format::Ndjson) {
        lines(context, books, &run).await?;
    } else if is_json {
        let Loaded { mut document, changes } = load(books, run.number, Wanted::All).await?;
        document.changes = changes;
        context.out.result(&json::json(&document));
    } else {
        whole(context, &config, books, &run, &args).await?;
    }
    Ok(Exit::Done)
}

/// Head, history and plan.
async fn whole(
    context: &Context,
    config: &Config,
    books: Books<'_>,
    run: &RunRecord,
    args: &Args,
) -> Result<(), Problem> {
    let everything = args.full || args.grep.is_some() || !args.only.is_empty();
    let wanted = if everything { Wanted::All } else { Wanted::First };
    let Loaded { document, changes } = load(books, run.number, wanted).await?;
    let events = books.events(run.number).await?;
    let now_us = time::now_us();
    let now = rfc3339(now_us);
    let level = document.header.outcome.level;
    let compensation = books.compensation_of(run.number).await?;
    let head = history::head(run, &events, compensation.as_ref(), Some(level), now_us);
    context.out.result(&format!("{}\n", run_show(context.out.look, &head)));
    let policy = policy_of(books, run.number).await?;
    let summary = job_summary(config, &run.job_name);
    let next = history::next(run, now_us);
    let view = Plan {
        document: &document,
        changes: &changes,
        job_summary: &summary,
        policy: policy.as_ref(),
        now: &now,
        next: &next,
    };
    let options = Options { full: args.full, grep: args.grep.as_deref(), only: &args.only };
    context.out.result(&plan(context.out.look, &view, &options));
    Ok(())
}

/// A run that ended before it had a plan.
async fn without_plan(context: &Context, books: Books<'_>, run: &RunRecord, is_json: bool) -> Result<(), Problem> {
    if is_json {
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            number: run.number.get(),
            run: run.id.to_string(),
            state: run.state.word(),
            job: &run.job_name,
            version: &run.job_version,
            tenant: &run.tenant,
            requested_by: &run.requested_by,
            created_at: rfc3339(run.created_at_us),
            undo_until: rfc3339_or_empty(run.undo_until_us),
            compensates: run.compensates.map(RunNumber::get),
            code: run.outcome.as_ref().map(|outcome| outcome.code),
            message: run.outcome.as_ref().map(|outcome| outcome.message.as_str()),
        });
        return Ok(());
    }
    let events = books.events(run.number).await?;
    let now_us = time::now_us();
    let mut head = history::head(run, &events, None, None, now_us);
    head.next = history::next(run, now_us);
    context.out.result(&run_show(context.out.look, &head));
    Ok(())
}

/// A header line and a line for each change, however many there are.
async fn lines(context: &Context, books: Books<'_>, run: &RunRecord) -> Result<(), Problem> {
    let document = load(books, run.number, Wanted::No).await?.document;
    let keys = Keys::new(&document);
    context.out.result(&json::ndjson_header(&document));
    let mut pages = Pages::new(books, run.number);
    while let Some(page) = pages.next().await? {
        let text: String = page.iter().map(|stored| json::ndjson_change(&keys.record(stored))).collect();
        context.out.result(&text);
        if context.out.is_closed() {
            break;
        }
    }
    Ok(())
}

pub(super) async fn log(context: &Context, books: Books<'_>, run: &RunRecord) -> Result<(), Problem> {
    let lines = books.log(run.number).await?;
    if lines.is_empty() && !context.out.is_json() {
        context.out.note(&format!("{} logged nothing.", run.number));
    }
    for line in &lines {
        if context.out.is_json() {
            context.out.json(&Line { level: line.level, text: &line.text });
        } else {
            let word = match line.level {
                LogLevel::Debug => "debug",
                LogLevel::Info => "info",
                LogLevel::Warn => "warn",
                LogLevel::Error => "error",
            };
            context.out.result(&format!("{word:<5}  {}\n", escape(&line.text)));
        }
    }
    Ok(())
}
