//! `mendwright run rollback RUN`, `mendwright undo RUN`: what was there before, where nobody changed
//! it since.

use std::collections::BTreeMap;

use mendwright_core::code::Code;
use mendwright_core::plan::document::{Cell, Document};
use mendwright_core::policy::{Decision, Effect};
use mendwright_core::run::State;
use mendwright_core::text::escape;
use mendwright_core::undo::Row;
use mendwright_store::RunRecord;
use serde::Serialize;

use super::undo_since::Ended;
use super::{compensate, history, sql, undo_since};
use crate::api::act::UndoBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::prompt::{ask, confirm_digits, short};
use crate::engine::{Undone, rfc3339};
use crate::view::Next;
use crate::view::outcome::{RollbackResult, rollback};
use crate::view::problem::{Exit, Problem};
use crate::view::undo::{UndoCell, UndoPreview, UndoRow, undo, undo_confirm};

/// Who else can make an undo possible that takes another person's word.
const FOR_OTHERS: &str = "for somebody else, with their own key: exactly this may be undone";

/// When to ask whom: said below both `undo` and `run rollback`.
const WHICH: &str = "\
Without --compensate the host restores the rows from its journal. The job is not asked and not needed. That is the way \
back wherever the rows themselves are what was wrong.

With --compensate the job that made the changes is asked for a way back of its own: where the rows are not all that \
there is to take back (a booking is reversed by another booking), or where they changed since. What it proposes is a \
plan like any other: read it, apply it with `mendwright run apply`, and undo it like any other. A job that has nothing \
better says so, and the host's way is shown.";

/// Undo what a run did; rows that somebody changed since stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = WHICH)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    #[arg(required_unless_present = "since")]
    run: Option<String>,
    /// Instead of one run: everything that was applied in this time, 30m, 1h, 2d, the newest first.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["run", "sql", "compensate", "full"])]
    since: Option<String>,
    /// With --since: only what this job did.
    #[arg(long, value_name = "JOB", requires = "since")]
    job: Option<String>,
    /// With --since: only what was done to this tenant.
    #[arg(long, short, value_name = "TENANT", requires = "since")]
    tenant: Option<String>,
    /// At least 16 hex digits of the preview's digest, from the person who read it.
    #[arg(long, value_name = "DIGEST", value_parser = confirm_digits)]
    confirm: Option<String>,
    /// Show what would be restored, and restore nothing.
    #[arg(long, conflicts_with = "confirm")]
    preview: bool,
    /// The way back as plain SQL, for a person to run by hand. Sensitive values are left out.
    #[arg(long, conflicts_with_all = ["confirm", "preview"])]
    sql: bool,
    /// Ask the job for a way back of its own, and show it as a plan. Nothing is changed.
    #[arg(long, conflicts_with_all = ["confirm", "preview", "sql"])]
    compensate: bool,
    /// Every row, and every value at its full length.
    #[arg(long)]
    full: bool,
}

#[derive(Serialize)]
struct PreviewRecord<'a> {
    format_version: &'static str,
    number: u64,
    run: String,
    state: &'static str,
    digest: String,
    restores: usize,
    conflicts: usize,
    rows: Vec<RowRecord<'a>>,
    answer: &'a Decision,
}

#[derive(Serialize)]
struct RowRecord<'a> {
    resource: &'a str,
    key: &'a str,
    did: &'static str,
    conflict: Option<&'a str>,
    cells: BTreeMap<&'a str, CellRecord>,
}

#[derive(Serialize)]
struct CellRecord {
    before: Option<Cell>,
    wrote: Option<Cell>,
    now: Option<Cell>,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    number: u64,
    run: String,
    state: &'static str,
    restored: u64,
    left: &'a [String],
    elapsed_ms: u64,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    if let Some(typed) = args.since {
        let which = undo_since::Which::since(&typed, args.job, args.tenant)?;
        let door = context.door().await?;
        return Ok(match undo_since::run(context, &door, which, args.confirm, args.preview).await? {
            Ended::Looked | Ended::Nothing | Ended::Undone => Exit::Done,
            Ended::Stopped(exit) => exit,
        });
    }
    let Some(reference) = args.run else {
        return Err(Problem::new(Code::Internal, "the command line was accepted without a run"));
    };
    if args.sql {
        let config = context.config()?;
        let shelf = context.shelf(&config).await?;
        let run = shelf.books().find(&reference).await?;
        // The undo of an undo goes there again.
        let undone = run.state == State::RolledBack;
        let direction = if undone { sql::Direction::There } else { sql::Direction::Back };
        context.out.result(&sql::script(context, &config, shelf.books(), &run, direction).await?);
        return Ok(Exit::Done);
    }
    let door = context.door().await?;
    let run = door.books().find(&reference).await?;
    if args.compensate {
        return compensate::run(context, &door, run, args.full).await;
    }
    let confirmed = match args.confirm {
        Some(digits) => digits,
        None => {
            let looked = look(context, &door, &run, args.preview, args.full).await?;
            let Some(digest) = looked else { return Ok(Exit::Done) };
            digest
        }
    };
    let progress = Progress::begin(&context.out, format!("undoing {}", run.number));
    context.begin_commit();
    let undone = door.undo(run.number, &confirmed, &context.person()).await;
    drop(progress);
    show(context, &door, &run, &undone?)
}

/// Shows what an undo would do, and asks for the beginning of its digest unless only a look was wanted.
pub(super) async fn look(
    context: &Context,
    door: &Door,
    run: &RunRecord,
    only_preview: bool,
    full: bool,
) -> Result<Option<String>, Problem> {
    let progress = Progress::begin(&context.out, format!("reading the journal of {}", run.number));
    let found = door.undo_preview(run.number, &context.person()).await;
    drop(progress);
    let found = found?;
    let run = found.run.clone().record()?;
    let number = run.number.get();
    if let Some(by) = door.books().compensation_of(run.number).await? {
        context
            .out
            .note(&format!("{} is compensated by {}: to take that back, undo {}", run.number, by.number, by.number));
    }
    let again = format!("mendwright undo {number}");
    let confirm = Next::new(format!("{again} --confirm {}", short(&found.digest)), "restores exactly this");
    if context.out.is_json() && (only_preview || !context.out.can_ask()) {
        context.out.json(&preview_record(&run, &found));
        return if only_preview { Ok(None) } else { Err(unconfirmed(&run, confirm)) };
    }
    let lacks = !found.answer.allows();
    let document = door.books().document(run.number).await?;
    let hints = match (only_preview, found.restores()) {
        (true, 1..) if lacks => {
            vec![Next::new(format!("mendwright run approve {number} --undo"), FOR_OTHERS), confirm.clone()]
        }
        (_, 0) => vec![Next::new(format!("{again} --sql"), "the way back as SQL, for a person to judge")],
        (true, _) => vec![confirm.clone(), Next::new(format!("{again} --sql"), "the same as SQL")],
        (false, _) => Vec::new(),
    };
    let preview = preview(&run, &found, &document, rfc3339(door.now_us()), hints);
    let text = undo(if only_preview { context.out.look } else { context.out.look_err() }, &preview, full);
    if only_preview {
        context.out.result(&text);
        return Ok(None);
    }
    context.out.stderr(&text);
    if found.restores() == 0 {
        let message = format!("nothing of {} can be restored: every row changed since", run.number);
        return Err(Problem::new(Code::RollbackConflict, message)
            .next(format!("{again} --sql"), "the way back as SQL, for a person to judge"));
    }
    if lacks {
        return Err(missing(number, &found.answer));
    }
    if !context.out.can_ask() {
        return Err(unconfirmed(&run, confirm));
    }
    ask(context, &undo_confirm(&preview), &found.digest, &again).await.map(Some)
}

/// A preview as those see it who have their word about it.
pub(super) async fn shown(context: &Context, door: &Door, found: &UndoBody) -> Result<String, Problem> {
    let run = found.run.clone().record()?;
    let document = door.books().document(run.number).await?;
    let preview = preview(&run, found, &document, rfc3339(door.now_us()), Vec::new());
    // Whoever is shown it here gives their word, and does not do it.
    let preview = UndoPreview { lacks: Vec::new(), ..preview };
    Ok(undo(context.out.look_err(), &preview, false))
}

/// What somebody sees who may not do it so: nobody is asked for a digest in vain.
fn missing(number: u64, answer: &Decision) -> Problem {
    let missing: Vec<String> = answer.missing.iter().map(ToString::to_string).collect();
    let message = format!("#{number} may not be undone so: {}", missing.join("; "));
    let problem = Problem::new(answer.code().unwrap_or(Code::PolicyDenied), message)
        .detail(format!("said by {}", answer.by.join(", ")));
    match answer.effect {
        Effect::NeedsApproval => problem.next(format!("mendwright run approve {number} --undo"), FOR_OTHERS),
        Effect::Allow | Effect::Deny => {
            problem.next(format!("mendwright policy why {number}"), "every answer about it, with what it stood on")
        }
    }
}

fn unconfirmed(run: &RunRecord, confirm: Next) -> Problem {
    let message = format!("nobody confirmed the undo of {}; without a terminal nothing is asked", run.number);
    let mut problem = Problem::new(Code::ConfirmMissing, message);
    problem.next.push(confirm);
    problem
}

fn preview(run: &RunRecord, found: &UndoBody, document: &Document, now: String, next: Vec<Next>) -> UndoPreview {
    let kinds: BTreeMap<&str, &BTreeMap<String, String>> =
        document.resources.iter().map(|resource| (resource.name.as_str(), &resource.columns)).collect();
    let kind = |resource: &str, column: &str| kinds.get(resource).and_then(|of| of.get(column)).cloned();
    let cells = |row: &Row| {
        let cells = row.cells.iter().map(|(column, cell)| UndoCell {
            column: column.clone(),
            kind: kind(&row.resource, column).unwrap_or_default(),
            wrote: cell.wrote.clone(),
            now: cell.now.clone(),
            before: cell.before.clone(),
        });
        cells.collect()
    };
    let mut rows: Vec<UndoRow> = found
        .rows
        .iter()
        .map(|row| UndoRow {
            resource: row.resource.clone(),
            key: row.key.clone(),
            action: row.did,
            conflict: row.conflict.clone(),
            cells: cells(row),
        })
        .collect();
    if found.rows.len() > crate::view::plan::ROWS_MAX {
        // Not all are shown: those that stay as they are must not be among those left out.
        rows.sort_by_key(|row| row.conflict.is_none());
    }
    UndoPreview {
        number: run.number.get(),
        state: run.state,
        ended_at: rfc3339(run.updated_at_us),
        now,
        changes: count(found.rows.len()),
        restores: count(found.restores()),
        conflicts: count(found.conflicts()),
        rows,
        digest: found.digest,
        lacks: found.answer.missing.iter().map(ToString::to_string).collect(),
        next,
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn preview_record<'a>(run: &RunRecord, found: &'a UndoBody) -> PreviewRecord<'a> {
    let cells = |row: &'a Row| {
        let cells = row.cells.iter().map(|(column, cell)| {
            let cell = cell.clone();
            (column.as_str(), CellRecord { before: cell.before, wrote: cell.wrote, now: cell.now })
        });
        cells.collect()
    };
    PreviewRecord {
        format_version: FORMAT_VERSION,
        number: run.number.get(),
        run: run.id.to_string(),
        state: run.state.word(),
        digest: found.digest.to_string(),
        restores: found.restores(),
        conflicts: found.conflicts(),
        rows: found
            .rows
            .iter()
            .map(|row| RowRecord {
                resource: &row.resource,
                key: &row.key,
                did: row.did.word(),
                conflict: row.conflict.as_deref(),
                cells: cells(row),
            })
            .collect(),
        answer: &found.answer,
    }
}

fn show(context: &Context, door: &Door, before: &RunRecord, undone: &Undone) -> Done {
    let run = &undone.run;
    // The undo of an undo ends where it began: applied.
    let wanted = if before.state == State::RolledBack { State::Succeeded } else { State::RolledBack };
    let exit = if run.state == wanted { Exit::Done } else { Exit::of_state(run.state) };
    if context.out.is_json() {
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            number: run.number.get(),
            run: run.id.to_string(),
            state: run.state.word(),
            restored: undone.restored,
            left: &undone.left,
            elapsed_ms: undone.elapsed_ms,
        });
        return Ok(exit);
    }
    let mut next = history::next(run, door.now_us());
    if run.state == State::RolledBack {
        next.push(Next::new(format!("mendwright undo {}", run.number.get()), "undoes the undo"));
    }
    let result = RollbackResult {
        number: run.number.get(),
        state: run.state,
        code: run.outcome.as_ref().filter(|_| exit != Exit::Done).map(|outcome| outcome.code),
        message: run.outcome.as_ref().filter(|_| exit != Exit::Done).map(|o| o.message.clone()).unwrap_or_default(),
        elapsed_ms: undone.elapsed_ms,
        restored: undone.restored,
        // The title says why; the reasons of each are in the preview.
        left: undone.left.iter().map(|row| escape(row.split_once(": ").map_or(row, |(name, _)| name))).collect(),
        next,
    };
    context.out.result(&rollback(context.out.look, &result));
    Ok(exit)
}
