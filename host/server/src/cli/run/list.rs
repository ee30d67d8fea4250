//! `mendwright run list`.

use mendwright_core::run::State;
use mendwright_store::{RunFilter, RunRecord};
use serde::Serialize;

use super::rfc3339_or_empty;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::run::{RunRow, run_list};

/// Runs that are listed at most: a list is for people, and a script pages.
const LIMIT_MAX: u32 = 1_000;

/// The runs, the newest first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of this tenant.
    #[arg(long, short, value_name = "TENANT")]
    tenant: Option<String>,
    /// Of this job.
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// In this state: planned, succeeded, drifted, …
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<State>,
    /// Older than this run: the next page.
    #[arg(long, value_name = "RUN")]
    before: Option<String>,
    /// At most so many.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX)))]
    limit: u32,
}

fn state(text: &str) -> Result<State, String> {
    let word = text.to_ascii_lowercase().replace([' ', '-'], "_");
    word.parse().map_err(|_| {
        let words: Vec<&str> = State::ALL.into_iter().map(State::word).collect();
        format!("one of {}", words.join(", "))
    })
}

#[derive(Serialize)]
struct Runs {
    format_version: &'static str,
    runs: Vec<Record>,
}

#[derive(Serialize)]
struct Record {
    number: u64,
    run: String,
    state: &'static str,
    job: String,
    version: String,
    tenant: String,
    requested_by: String,
    created_at: String,
    updated_at: String,
    expires_at: String,
    undo_until: String,
    digest: Option<String>,
    code: Option<&'static str>,
    message: Option<String>,
    parent: Option<u64>,
    compensates: Option<u64>,
    inserts: Option<u64>,
    updates: Option<u64>,
    deletes: Option<u64>,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let shelf = context.shelf(&config).await?;
    let books = shelf.books();
    let before = match &args.before {
        Some(reference) => Some(books.find(reference).await?.number),
        None => None,
    };
    let filter = RunFilter {
        tenant: args.tenant,
        job: args.job,
        state: args.state,
        before,
        limit: args.limit,
        ..RunFilter::default()
    };
    let mut found = Vec::new();
    for listed in books.list(&filter).await? {
        let changes = listed.inserts.zip(listed.updates).zip(listed.deletes).map(|((a, b), c)| (a, b, c));
        found.push((listed.run.record()?, changes));
    }
    if context.out.is_json() {
        let runs = found.into_iter().map(|(run, changes)| record(run, changes)).collect();
        context.out.json(&Runs { format_version: FORMAT_VERSION, runs });
        return Ok(Exit::Done);
    }
    let rows: Vec<RunRow> = found.into_iter().map(|(run, changes)| row(run, changes)).collect();
    context.out.result(&run_list(context.out.look, &rows, &rfc3339(now_us())));
    Ok(Exit::Done)
}

fn row(run: RunRecord, changes: Option<(u64, u64, u64)>) -> RunRow {
    RunRow {
        number: run.number.get(),
        state: run.state,
        job: run.job_name,
        version: run.job_version,
        compensates: run.compensates.map(mendwright_store::RunNumber::get),
        tenant: run.tenant,
        created_at: rfc3339(run.created_at_us),
        changes,
        requested_by: run.requested_by,
    }
}

fn record(run: RunRecord, changes: Option<(u64, u64, u64)>) -> Record {
    Record {
        number: run.number.get(),
        run: run.id.to_string(),
        state: run.state.word(),
        job: run.job_name,
        version: run.job_version,
        tenant: run.tenant,
        requested_by: run.requested_by,
        created_at: rfc3339(run.created_at_us),
        updated_at: rfc3339(run.updated_at_us),
        expires_at: rfc3339_or_empty(run.expires_at_us),
        undo_until: rfc3339_or_empty(run.undo_until_us),
        digest: run.plan_digest.map(|digest| digest.to_string()),
        code: run.outcome.as_ref().map(|outcome| outcome.code.text()),
        message: run.outcome.map(|outcome| outcome.message),
        parent: run.parent.map(mendwright_store::RunNumber::get),
        compensates: run.compensates.map(mendwright_store::RunNumber::get),
        inserts: changes.map(|c| c.0),
        updates: changes.map(|c| c.1),
        deletes: changes.map(|c| c.2),
    }
}
