//! `mendwright run plan JOB --tenant TENANT`: what a job would change.

use std::path::PathBuf;

use mendwright_catalog::manifest::Manifest;
use mendwright_core::code::Code;
use mendwright_core::compare::compare;
use mendwright_core::run::State;
use mendwright_store::RunRecord;
use serde_json::{Map, Value};

use super::history;
use super::loaded::{Loaded, Pages, Wanted, job_summary, load, policy_of};
use super::plan_all;
use super::record::Recording;
use crate::cli::context::Context;
use crate::cli::door::{Books, Door};
use crate::cli::progress::Progress;
use crate::cli::{Done, problem};
use crate::config::Config;
use crate::engine::time::now_us;
use crate::engine::{PlanRequest, rfc3339};
use crate::view::difference::{PlanDifference, plan_difference};
use crate::view::json;
use crate::view::plan::{Options, Plan, Policy, plan};
use crate::view::problem::{Exit, Problem};

/// Find out what a job would change. Nothing is changed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job.
    #[arg(required_unless_present = "again")]
    job: Option<String>,
    /// Whose data; '*' plans for every tenant for whom a grant names the job, a run each.
    #[arg(long, short, value_name = "TENANT", required_unless_present = "again")]
    tenant: Option<String>,
    /// A parameter of the job; `mendwright job explain JOB` lists them.
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// The parameters as a JSON object in a file; --param goes before it.
    #[arg(long = "params", value_name = "FILE.json")]
    params_file: Option<PathBuf>,
    /// Keep only the changes of these rows: invoices/6, or 6 where that is enough.
    #[arg(long, value_name = "KEY")]
    only: Vec<String>,
    /// Plan what an earlier run planned once more, and show the difference.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["job", "tenant", "params", "params_file"])]
    again: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) ending: Ending,
}

/// How a plan is shown and ends, and what is kept of it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct Ending {
    /// Every row, and every value at its full length.
    #[arg(long)]
    pub(in crate::cli) full: bool,
    /// End with 2 if there are changes.
    #[arg(long)]
    pub(in crate::cli) detailed_exitcode: bool,
    /// Write the dry run to a file, for `mendwright job replay`. It then holds all that the job read, IN
    /// CLEAR, sensitive columns too: production data, to be kept as closely as the database. Only you may
    /// read the file; it has at most 64 MiB.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) record: Option<PathBuf>,
    /// Write over that file if it is there.
    #[arg(long, requires = "record")]
    pub(in crate::cli) force: bool,
}

/// `name=value`.
pub(in crate::cli) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("it takes NAME=VALUE".to_owned()),
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let door = door(context, &args.ending).await?;
    let request = match &args.again {
        Some(reference) => {
            let request = again(context, &door, reference, args.only).await?;
            if request.compensates.is_some() && args.ending.record.is_some() {
                // A recording is of a dry run, and replays one.
                let message = format!("{reference} is a compensation, and no recording holds one");
                return Err(Problem::new(Code::RunState, message)
                    .next(format!("mendwright run plan --again {reference}"), "plans it again, unrecorded"));
            }
            request
        }
        None => {
            let (Some(job), Some(tenant)) = (args.job, args.tenant) else {
                return Err(Problem::new(Code::Internal, "the command line was accepted without a job"));
            };
            let params = params(door.config(), &job, args.params_file.as_deref(), &args.params)?;
            if tenant == plan_all::EVERY {
                one_tenant_only(&args.only, &args.ending)?;
                return plan_all::run(context, &door, job, params, &args.ending).await;
            }
            request(context, job, tenant, params, args.only)
        }
    };
    make(context, &door, request, args.ending).await
}

/// Refuses what makes no sense for all tenants at once.
fn one_tenant_only(only: &[String], ending: &Ending) -> Result<(), Problem> {
    let option = match (only.is_empty(), &ending.record, ending.full) {
        (false, _, _) => "--only",
        (true, Some(_), _) => "--record",
        (true, None, true) => "--full",
        (true, None, false) => return Ok(()),
    };
    Err(Problem::new(Code::OnlyUnknown, format!("{option} is about one tenant, and --tenant '*' is all of them"))
        .next("mendwright tenant list", "one of these"))
}

/// Where a plan is made. A recording is written by the process that reads the rows: never sent anywhere.
pub(in crate::cli) async fn door(context: &Context, ending: &Ending) -> Result<Door, Problem> {
    match ending.record {
        Some(_) => Ok(Door::Local(Box::new(context.host().await?))),
        None => context.door().await,
    }
}

/// A request with nothing unusual in it.
pub(in crate::cli) fn request(
    context: &Context,
    job: String,
    tenant: String,
    params: Value,
    only: Vec<String>,
) -> PlanRequest {
    PlanRequest {
        job,
        tenant,
        params,
        only,
        requested_by: context.person(),
        parent: None,
        compensates: None,
        progress: None,
    }
}

/// What an earlier run was asked for.
async fn again(context: &Context, door: &Door, reference: &str, only: Vec<String>) -> Result<PlanRequest, Problem> {
    let before = door.books().find(reference).await?;
    let request = request(context, before.job_name, before.tenant, before.params, only);
    Ok(PlanRequest { parent: Some(before.number), compensates: before.compensates, ..request })
}

/// The parameters: those of the file, with those typed over them.
pub(in crate::cli) fn params(
    config: &Config,
    job: &str,
    file: Option<&std::path::Path>,
    typed: &[(String, String)],
) -> Result<Value, Problem> {
    let mut params = match file {
        None => Map::new(),
        Some(path) => read_params(path)?,
    };
    if !typed.is_empty() {
        let manifest = manifest(config, job)?;
        for (name, text) in typed {
            params.insert(name.clone(), manifest.param_from_text(name, text));
        }
    }
    Ok(Value::Object(params))
}

fn read_params(path: &std::path::Path) -> Result<Map<String, Value>, Problem> {
    let text = mendwright_catalog::file::read(path, Code::ParamInvalid).map_err(problem::diagnostic)?;
    let wrong = |why: String| Problem::new(Code::ParamInvalid, format!("{} {why}", path.display()));
    match serde_json::from_str(&text) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(wrong("does not hold a JSON object: {\"name\": value, …}".to_owned())),
        Err(error) => Err(wrong(format!("is not JSON: {error}"))),
    }
}

fn manifest(config: &Config, job: &str) -> Result<Manifest, Problem> {
    let Some(jobs) = &config.jobs else {
        return Err(Problem::new(Code::JobUnknown, "the configuration names no jobs directory")
            .next("mendwright config check", "after [jobs] path = \"jobs\" is added"));
    };
    mendwright_catalog::jobs::find(&jobs.path, job).map_err(problem::diagnostics)
}

/// Makes the plan and shows it.
pub(in crate::cli) async fn make(context: &Context, door: &Door, mut request: PlanRequest, ending: Ending) -> Done {
    let what = format!("{} for {}", request.job, mendwright_core::text::escape(&request.tenant));
    let progress = Progress::begin(&context.out, what);
    request.progress = Some(progress.report());
    let recording = ending.record.as_deref().map(|path| Recording::to(path, ending.force)).transpose()?;
    let (planned, recorded) = match (&recording, door) {
        (Some(_), Door::Local(host)) => host.plan_recorded(request).await,
        (Some(_) | None, _) => (door.plan(request).await, None),
    };
    drop(progress);
    // A run that failed is the one that somebody wants to try again.
    let kept = recording.zip(recorded).map_or(Ok(()), |(recording, recorded)| recording.keep(context, recorded));
    let run = planned?;
    let wanted = if ending.full || context.out.is_json() { Wanted::All } else { Wanted::First };
    let loaded = load(door.books(), run.number, wanted).await?;
    let now = rfc3339(door.now_us());
    if let Some(before) = run.parent.filter(|_| !context.out.is_json()) {
        show_difference(context, door.books(), &run, before).await?;
    }
    let policy = policy_of(door.books(), run.number).await?;
    show(context, door.config(), &run, loaded, policy.as_ref(), &now, ending.full);
    kept?;
    let has_changes = matches!(run.state, State::Planned | State::AwaitingApproval | State::Approved);
    Ok(match (has_changes, ending.detailed_exitcode) {
        (true, true) => Exit::Changes,
        // The plan is what was asked for; whom its apply waits for is said in it.
        (true, false) => Exit::Done,
        (false, _) => Exit::of_state(run.state),
    })
}

pub(super) fn show(
    context: &Context,
    config: &Config,
    run: &RunRecord,
    loaded: Loaded,
    policy: Option<&Policy>,
    now: &str,
    full: bool,
) {
    let Loaded { mut document, changes } = loaded;
    if context.out.is_json() {
        document.changes = changes;
        context.out.result(&json::json(&document));
        return;
    }
    let summary = job_summary(config, &run.job_name);
    let next = history::next(run, now_us());
    let view = Plan { document: &document, changes: &changes, job_summary: &summary, policy, now, next: &next };
    let options = Options { full, ..Options::default() };
    context.out.result(&plan(context.out.look, &view, &options));
}

/// Before the new plan: in what it differs from the old one.
async fn show_difference(
    context: &Context,
    books: Books<'_>,
    run: &RunRecord,
    before: mendwright_store::RunNumber,
) -> Result<(), Problem> {
    let old = match books.document(before).await {
        Ok(_) => all(books, before).await?,
        // A run that ended without a plan has nothing to differ from.
        Err(_) => return Ok(()),
    };
    let new = all(books, run.number).await?;
    let resources = load(books, run.number, Wanted::No).await?.document.resources;
    let difference = PlanDifference {
        old: before.get(),
        new: run.number.get(),
        comparison: &compare(old, new),
        resources: &resources,
        next: &[],
    };
    context.out.result(&format!("{}\n", plan_difference(context.out.look, &difference)));
    Ok(())
}

async fn all(
    books: Books<'_>,
    run: mendwright_store::RunNumber,
) -> Result<Vec<mendwright_core::plan::BoundChange>, Problem> {
    let mut pages = Pages::new(books, run);
    let mut changes = Vec::new();
    while let Some(page) = pages.next().await? {
        changes.extend(page.into_iter().map(|stored| stored.change));
    }
    Ok(changes)
}
