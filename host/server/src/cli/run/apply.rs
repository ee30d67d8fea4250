//! `mendwright run apply RUN`: exactly what a plan shows, or nothing.

use mendwright_core::code::Code;
use mendwright_core::compare::{Comparison, Difference};
use mendwright_core::plan::document::{Cell, Document};
use mendwright_core::run::{Event, State};
use mendwright_store::RunRecord;
use serde::Serialize;

use super::loaded::{amounts, counted};
use super::shown::shown;
use super::{history, rfc3339_or_empty};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::prompt::{ask, confirm_digits, question, short};
use crate::engine::{Applied, rfc3339};
use crate::view::Next;
use crate::view::drift::{Drift, drift};
use crate::view::outcome::{ApplyResult, apply};
use crate::view::problem::{Exit, Problem};

/// Apply exactly what a plan shows, or nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    run: String,
    /// At least 16 hex digits of the plan's digest, from the person who read the plan.
    #[arg(long, value_name = "DIGEST", value_parser = confirm_digits)]
    confirm: Option<String>,
    /// Apply within the cooldown, with fewer approvals or without the role that it takes: for people in the role
    /// that may, in an emergency. Everybody sees it.
    #[arg(long)]
    break_glass: bool,
    /// Why the glass is broken.
    #[arg(long, short = 'm', value_name = "TEXT", requires = "break_glass")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    number: u64,
    run: String,
    state: &'static str,
    code: Option<Code>,
    message: &'a str,
    changes: u64,
    held: Option<u64>,
    broken: Option<u64>,
    new: Option<u64>,
    differences: Vec<DifferenceRecord<'a>>,
    left_for_next: &'a [String],
    elapsed_ms: u64,
    undo_until: String,
}

/// One place where now is not as planned. Empty columns stand for the whole change.
#[derive(Serialize)]
struct DifferenceRecord<'a> {
    resource: &'a str,
    key: &'a str,
    column: &'a str,
    planned: Option<Cell>,
    now: Option<Cell>,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let door = context.door().await?;
    let run = door.books().find(&args.run).await?;
    // Without a reason the engine refuses it, as it does for whoever asks the API.
    let glass = args.break_glass.then(|| args.reason.unwrap_or_default());
    let confirmed = match args.confirm {
        Some(digits) => digits,
        None => ask_person(context, &door, &run).await?,
    };
    let progress = Progress::begin(&context.out, format!("applying {}", run.number));
    context.begin_commit();
    let applied = door.apply(run.number, &confirmed, (&context.person(), glass.as_deref())).await;
    drop(progress);
    let applied = applied?;
    if glass.is_some() {
        warn(context, &door, &applied.run).await?;
    }
    show(context, &door, applied).await
}

/// Says loudly what was broken; and where nothing had to be, that.
async fn warn(context: &Context, door: &Door, run: &RunRecord) -> Result<(), Problem> {
    let events = door.books().events(run.number).await?;
    let broken = events.iter().rfind(|event| event.event == Event::GlassBroken && event.attempt == run.attempt);
    let told = match broken {
        Some(event) => {
            format!("{}: {} was applied by breaking the glass. {}", Code::BreakGlass, run.number, event.note)
        }
        None => format!("{} would have been applied without breaking the glass, and was", run.number),
    };
    context.out.stderr(&format!("{}\n", mendwright_core::text::escape(&told)));
    Ok(())
}

/// Shows the plan and asks for the beginning of its digest.
async fn ask_person(context: &Context, door: &Door, run: &RunRecord) -> Result<String, Problem> {
    let number = run.number.get();
    let again = format!("mendwright run apply {number}");
    let missing = |message: String| Problem::new(Code::ConfirmMissing, message);
    let is_planned = matches!(run.state, State::Planned | State::AwaitingApproval | State::Approved);
    let (Some(digest), true) = (run.plan_digest, is_planned) else {
        return Err(Problem::new(Code::RunState, format!("{} is {} and cannot be applied", run.number, run.state))
            .next(format!("mendwright run show {number}"), "how it came to that"));
    };
    if !context.out.can_ask() {
        return Err(missing(format!(
            "nobody confirmed the digest of {}; without a terminal nothing is asked",
            run.number
        ))
        .next(format!("mendwright run show {number} --full"), "read it first")
        .next(format!("{again} --confirm {}", short(&digest)), "applies exactly this"));
    }
    let document = shown(context, door, run.number).await?;
    let n = document.header.changes_count.parse().unwrap_or(0);
    context.out.stderr("\n");
    let question = question(&digest, &format!("apply {}", counted(n, "change")));
    ask(context, &question, &digest, &again).await
}

async fn show(context: &Context, door: &Door, applied: Applied) -> Done {
    // Where the run ended says more than the reason: a drift, an undo by the host, a stuck one.
    let ended = Exit::of_state(applied.run.state);
    let exit = applied.problem.as_ref().filter(|_| ended == Exit::Done).map_or(ended, Problem::exit);
    if context.out.is_json() {
        context.out.json(&record(&applied));
        return Ok(exit);
    }
    let document = door.books().document(applied.run.number).await?;
    let now = rfc3339(door.now_us());
    let text = match &applied.drift {
        Some(comparison) => drifted(context, &applied, comparison, &document, &now),
        None => apply(context.out.look, &result(&applied, &document, now, door.now_us())),
    };
    context.out.result(&text);
    Ok(exit)
}

fn drifted(context: &Context, applied: &Applied, comparison: &Comparison, document: &Document, now: &str) -> String {
    let view = Drift {
        number: applied.run.number.get(),
        planned_at: &document.created_at,
        now,
        elapsed_ms: applied.elapsed_ms,
        comparison,
        resources: &document.resources,
        next: &[],
    };
    drift(context.out.look, &view)
}

fn result(applied: &Applied, document: &Document, now: String, now_us: i64) -> ApplyResult {
    let run = &applied.run;
    let was_written = matches!(run.state, State::Succeeded | State::Verifying);
    let written = document.resources.iter().filter(|_| was_written).filter_map(|resource| {
        let (inserts, updates, deletes) = amounts(resource);
        (inserts + updates + deletes > 0).then(|| (resource.name.clone(), inserts, updates, deletes))
    });
    let problem = applied.problem.as_ref();
    let mut next = history::next(run, now_us);
    // What the problem itself proposes is the nearest.
    for hint in problem.iter().flat_map(|problem| &problem.next).rev() {
        if !next.contains(hint) {
            next.insert(0, hint.clone());
        }
    }
    if matches!(run.state, State::Planned | State::Approved) {
        next.push(Next::new(format!("mendwright run apply {}", run.number.get()), "the same plan once more"));
    }
    ApplyResult {
        number: run.number.get(),
        state: run.state,
        code: problem.map(|problem| problem.code),
        message: problem.map(sentence).unwrap_or_default(),
        elapsed_ms: applied.elapsed_ms,
        written: written.collect(),
        left_for_next: applied.left_for_next.clone(),
        undo_until: if was_written { rfc3339_or_empty(run.undo_until_us) } else { String::new() },
        now,
        next,
    }
}

/// The message and its details in one line.
pub(super) fn sentence(problem: &Problem) -> String {
    std::iter::once(&problem.message).chain(&problem.detail).cloned().collect::<Vec<_>>().join("; ")
}

fn record(applied: &Applied) -> Record<'_> {
    let drift = applied.drift.as_ref();
    Record {
        format_version: FORMAT_VERSION,
        number: applied.run.number.get(),
        run: applied.run.id.to_string(),
        state: applied.run.state.word(),
        code: applied.problem.as_ref().map(|problem| problem.code),
        message: applied.problem.as_ref().map_or("", |problem| &problem.message),
        changes: applied.changes,
        held: drift.map(|drift| drift.held),
        broken: drift.map(|drift| drift.broken),
        new: drift.map(|drift| drift.new),
        differences: drift.iter().flat_map(|drift| &drift.differences).map(difference).collect(),
        left_for_next: &applied.left_for_next,
        elapsed_ms: applied.elapsed_ms,
        undo_until: rfc3339_or_empty(applied.run.undo_until_us),
    }
}

fn difference(found: &Difference) -> DifferenceRecord<'_> {
    DifferenceRecord {
        resource: &found.resource,
        key: &found.key,
        column: &found.column,
        planned: found.planned.as_ref().map(Cell::from),
        now: found.now.as_ref().map(Cell::from),
    }
}
