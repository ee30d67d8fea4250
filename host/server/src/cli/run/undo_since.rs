//! `mendwright undo --since 1h`: everything that was applied since then, the newest first. The preview of all
//! of it is confirmed once; the first run that cannot be undone as it was shown ends it.

use std::collections::BTreeSet;
use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::run::State;
use mendwright_store::{RunFilter, RunRecord};
use serde::Serialize;

use crate::api::act::UndoBody;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::prompt::{ask, short};
use crate::engine::rfc3339;
use crate::view::Next;
use crate::view::problem::{Exit, Problem};
use crate::view::undo_all::{Fate, UndoAll, UndoLine, ask_all, undo_all};

/// Runs that are undone at once at most: a preview of more is read by nobody.
const RUNS_MAX: u32 = 500;

/// Which runs, and how a person says so.
pub(in crate::cli) struct Which {
    /// `Applied in the last 1h`.
    pub(in crate::cli) title: String,
    /// What was typed, without what confirms it.
    pub(in crate::cli) command: String,
    pub(in crate::cli) runs: Runs,
}

/// Which runs.
pub(in crate::cli) enum Runs {
    /// What was applied in this time.
    Since { since: Duration, job: Option<String>, tenant: Option<String> },
    /// These, as far as they are applied.
    These(Vec<u64>),
}

impl Which {
    pub(super) fn since(typed: &str, job: Option<String>, tenant: Option<String>) -> Result<Self, Problem> {
        let since = mendwright_catalog::units::duration(typed)
            .map_err(|why| Problem::new(Code::RequestInvalid, format!("--since {typed}: {why}")))?;
        let mut command = format!("mendwright undo --since {typed}");
        for (name, value) in [("job", &job), ("tenant", &tenant)] {
            if let Some(value) = value {
                command.push_str(&format!(" --{name} '{}'", value.replace('\'', "'\\''")));
            }
        }
        Ok(Self { title: format!("Applied in the last {typed}"), command, runs: Runs::Since { since, job, tenant } })
    }
}

/// How it ended.
pub(in crate::cli) enum Ended {
    /// Only a look was wanted, or nothing that is applied can be restored.
    Looked,
    /// None of these is applied any more.
    Nothing,
    /// All of it is undone that can be.
    Undone,
    /// One run stopped it.
    Stopped(Exit),
}

/// A row of a tenant in a database.
type Row = (String, String, String, String);

/// One run, and what undoing it in its turn would restore.
struct One {
    run: RunRecord,
    found: Result<UndoBody, Problem>,
    /// Rows that it restores in its turn.
    restores: BTreeSet<Row>,
    /// Of these, the ones that a newer run wrote over, which is undone before.
    after: usize,
    fate: Fate,
}

impl One {
    fn is_undone(&self) -> bool {
        self.found.is_ok() && !self.restores.is_empty()
    }

    fn conflicts(&self) -> usize {
        self.found.as_ref().map_or(0, |found| found.rows.len() - self.restores.len())
    }
}

#[derive(Serialize)]
struct Record {
    format_version: &'static str,
    what: String,
    digest: String,
    runs: Vec<RunRecordJson>,
}

#[derive(Serialize)]
struct RunRecordJson {
    number: u64,
    run: String,
    job: String,
    tenant: String,
    applied_at: Option<String>,
    restores: usize,
    conflicts: usize,
    fate: &'static str,
    code: Option<Code>,
    message: Option<String>,
}

pub(in crate::cli) async fn run(
    context: &Context,
    door: &Door,
    which: Which,
    confirm: Option<String>,
    preview: bool,
) -> Result<Ended, Problem> {
    let mut all = look(context, door, &which).await?;
    let digest = digest(&all);
    let again = which.command.clone();
    if all.iter().all(|one| !one.is_undone()) {
        show(context, &which, &all, &digest, vec![]);
        return Ok(if all.is_empty() { Ended::Nothing } else { Ended::Looked });
    }
    let command = Next::new(format!("{again} --confirm {}", short(&digest)), "undoes exactly this, the newest first");
    match confirm {
        Some(digits) if digest.hex().starts_with(&digits) => {}
        Some(_) => {
            let message = "the digest typed is not the one of what would be undone now; nothing was done";
            return Err(
                Problem::new(Code::ConfirmMismatch, message).next(format!("{again} --preview"), "shows it again")
            );
        }
        None => {
            let only_look = preview || !context.out.can_ask();
            show(context, &which, &all, &digest, if preview { vec![command.clone()] } else { vec![] });
            if preview {
                return Ok(Ended::Looked);
            }
            if only_look {
                let message = "nobody confirmed it; without a terminal nothing is asked";
                let mut problem = Problem::new(Code::ConfirmMissing, message);
                problem.next.push(command);
                return Err(problem);
            }
            ask(context, &ask_all(&digest), &digest, &again).await?;
        }
    }
    context.begin_commit();
    let stopped = undo(context, door, &mut all).await;
    let next = match &stopped {
        None => vec![],
        Some((run, problem)) => {
            let mut next = problem.next.clone();
            next.push(Next::new(format!("mendwright run show {}", run.number.get()), "where it stopped"));
            next.push(Next::new(format!("{again} --preview"), "what is left"));
            next
        }
    };
    show(context, &which, &all, &digest, next);
    match stopped {
        None => Ok(Ended::Undone),
        Some((_, problem)) => Ok(Ended::Stopped(problem.exit())),
    }
}

/// What was applied, the newest first, with what undoing it would restore.
async fn look(context: &Context, door: &Door, which: &Which) -> Result<Vec<One>, Problem> {
    let mut runs = match &which.runs {
        Runs::Since { since, job, tenant } => applied_since(door, *since, job.clone(), tenant.clone()).await?,
        Runs::These(numbers) => {
            let mut runs = Vec::with_capacity(numbers.len());
            for number in numbers {
                runs.push(door.books().find(&number.to_string()).await?);
            }
            runs.retain(|run| run.state == State::Succeeded);
            runs
        }
    };
    if runs.len() > usize::try_from(RUNS_MAX).unwrap_or(usize::MAX) {
        let message = format!("these are more than {RUNS_MAX} runs, and no more are undone at once");
        return Err(Problem::new(Code::RunState, message)
            .next("mendwright undo --since TIME --job JOB --tenant TENANT --preview", "a part of them"));
    }
    runs.sort_by_key(|run| std::cmp::Reverse((run.applied_at_us, run.number)));
    let progress = Progress::begin(&context.out, "reading the journals");
    let (mut all, mut newer) = (Vec::with_capacity(runs.len()), BTreeSet::new());
    for run in runs {
        let found = door.undo_preview(run.number, &context.person()).await;
        all.push(in_its_turn(run, found, &mut newer));
    }
    drop(progress);
    Ok(all)
}

async fn applied_since(
    door: &Door,
    since: Duration,
    job: Option<String>,
    tenant: Option<String>,
) -> Result<Vec<RunRecord>, Problem> {
    let since_us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    let filter = RunFilter {
        tenant,
        job,
        state: Some(State::Succeeded),
        applied_since_us: Some(door.now_us().saturating_sub(since_us)),
        limit: RUNS_MAX + 1,
        ..RunFilter::default()
    };
    let listed = door.books().list(&filter).await?;
    listed.into_iter().map(|listed| listed.run.record()).collect()
}

/// What a run restores once all that `newer` runs restore is back.
fn in_its_turn(run: RunRecord, found: Result<UndoBody, Problem>, newer: &mut BTreeSet<Row>) -> One {
    let (mut restores, mut after) = (BTreeSet::new(), 0);
    for row in found.iter().flat_map(|found| &found.rows) {
        let name = named(&run, &row.resource, &row.key);
        let waits = row.conflict.is_some() && newer.contains(&name);
        if waits || row.conflict.is_none() {
            after += usize::from(waits);
            restores.insert(name);
        }
    }
    newer.extend(restores.iter().cloned());
    One { run, found, restores, after, fate: Fate::Waits }
}

fn named(run: &RunRecord, resource: &str, key: &str) -> Row {
    let target = run.target.clone().unwrap_or_default();
    (target, run.tenant.clone(), resource.to_owned(), key.to_owned())
}

/// What a person confirms: each run, the digest of its own preview, and what it restores in its turn.
fn digest(all: &[One]) -> Digest {
    let parts: Vec<_> = all
        .iter()
        .map(|one| (one.run.number.get(), one.found.as_ref().ok().map(|found| found.digest), &one.restores))
        .collect();
    Digest::of_json(&parts)
}

/// Undoes one after the other; gives the run that stopped it, and why.
async fn undo(context: &Context, door: &Door, all: &mut [One]) -> Option<(RunRecord, Problem)> {
    let progress = Progress::begin(&context.out, "undoing");
    let by = context.person();
    for one in all.iter_mut() {
        if !one.is_undone() {
            one.fate = Fate::Left;
            continue;
        }
        if let Err(problem) = undo_one(door, one, &by).await {
            one.fate = Fate::Stopped(problem.code, problem.message.clone());
            return Some((one.run.clone(), problem));
        }
        one.fate = Fate::Undone;
    }
    drop(progress);
    None
}

async fn undo_one(door: &Door, one: &One, by: &str) -> Result<(), Problem> {
    let now = door.undo_preview(one.run.number, by).await?;
    let free = now.rows.iter().filter(|row| row.conflict.is_none());
    let free: BTreeSet<Row> = free.map(|row| named(&one.run, &row.resource, &row.key)).collect();
    if free != one.restores {
        let message =
            format!("{} would restore other rows than were shown: somebody changed one since", one.run.number);
        return Err(Problem::new(Code::RollbackConflict, message));
    }
    let undone = door.undo(one.run.number, &now.digest.hex(), by).await?;
    if undone.run.state == State::RolledBack {
        return Ok(());
    }
    let (code, message) = match undone.run.outcome {
        Some(outcome) => (outcome.code, outcome.message),
        None => (Code::RunState, format!("{} is {} after its undo", one.run.number, undone.run.state)),
    };
    Err(Problem::new(code, message))
}

fn show(context: &Context, which: &Which, all: &[One], digest: &Digest, next: Vec<Next>) {
    if context.out.is_json() {
        let runs = all.iter().map(record).collect();
        let (what, digest) = (which.command.clone(), digest.to_string());
        context.out.json(&Record { format_version: FORMAT_VERSION, what, digest, runs });
        return;
    }
    let lines = all.iter().map(line).collect();
    let view = UndoAll { title: which.title.clone(), lines, digest: *digest, next };
    context.out.result(&undo_all(context.out.look, &view));
}

fn line(one: &One) -> UndoLine {
    UndoLine {
        number: one.run.number.get(),
        job: one.run.job_name.clone(),
        tenant: one.run.tenant.clone(),
        restores: one.restores.len(),
        after: one.after,
        conflicts: one.conflicts(),
        fate: match &one.found {
            Err(problem) => Fate::Stopped(problem.code, problem.message.clone()),
            Ok(_) => one.fate.clone(),
        },
    }
}

fn record(one: &One) -> RunRecordJson {
    let line = line(one);
    let (code, message) = match &line.fate {
        Fate::Stopped(code, message) => (Some(*code), Some(message.clone())),
        Fate::Waits | Fate::Left | Fate::Undone => (None, None),
    };
    RunRecordJson {
        number: line.number,
        run: one.run.id.to_string(),
        job: line.job,
        tenant: line.tenant,
        applied_at: one.run.applied_at_us.map(rfc3339),
        restores: line.restores,
        conflicts: line.conflicts,
        fate: line.fate.word(),
        code,
        message,
    }
}
