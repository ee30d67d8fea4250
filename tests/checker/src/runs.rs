//! Runs: where they stand, how they came there, who has them, and what clients were told of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::books::Commits;
use crate::sql::{Db, Row, cell, int, text};
use crate::{Promises, Scene};

/// States that a run ends in.
const FINAL: [&str; 10] = [
    "nothing_to_do",
    "denied",
    "refused",
    "failed",
    "succeeded",
    "drifted",
    "violated",
    "expired",
    "cancelled",
    "rolled_back",
];

/// States in which a run waits for somebody's word, and nothing of it is done.
const RESUMABLE: [&str; 3] = ["planned", "awaiting_approval", "approved"];

struct Run {
    number: i64,
    id: String,
    state: String,
    attempt: i64,
    generation: i64,
}

/// Gives how many runs there are, and how many of them a target holds.
pub(crate) async fn check(
    scene: &Scene,
    control: &mut Db,
    target: &mut Db,
    commits: &Commits,
    wrong: &mut Vec<String>,
) -> anyhow::Result<(usize, usize)> {
    let runs = runs(control, wrong).await?;
    let known: BTreeSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    for ((run, generation), _) in commits.iter().filter(|((run, _), _)| !known.contains(run.as_str())) {
        wrong.push(format!("the target holds flush {generation} of {run}, which no control store knows"));
    }
    let mut digests = BTreeSet::new();
    for ((run, generation), commit) in commits {
        if !digests.insert(&commit.digest) {
            wrong.push(format!("flush {generation} of {run}: its digest was used before"));
        }
    }
    let mut applied = 0;
    for run in &runs {
        applied += usize::from(commits.contains_key(&(run.id.clone(), 0)));
        held_by_target(run, commits, wrong);
    }
    events(control, &runs, wrong).await?;
    attempts(target, &runs, wrong).await?;
    promised(&scene.promises, control, &runs, commits, wrong).await?;
    Ok((runs.len(), applied))
}

async fn runs(control: &mut Db, wrong: &mut Vec<String>) -> anyhow::Result<Vec<Run>> {
    let columns =
        ["number", "id", "state", "attempt", "undo_generation", "task", "lease_owner", "lease_until_us", "due_at_us"];
    let mut runs = Vec::new();
    for row in control.table(&columns, "runs ORDER BY number").await? {
        let (number, state) = (int(&row, 0)?, text(&row, 2)?);
        if !FINAL.contains(&state.as_str()) && !RESUMABLE.contains(&state.as_str()) {
            wrong.push(format!("#{number} is {state}: neither at its end nor at rest ({row:?})"));
        }
        if let Some(task) = cell(&row, 5) {
            wrong.push(format!("#{number} still has the task to {task}"));
        }
        if let Some(owner) = cell(&row, 6) {
            wrong.push(format!("#{number} is still leased to {owner}"));
        }
        runs.push(Run { number, id: text(&row, 1)?, state, attempt: int(&row, 3)?, generation: int(&row, 4)? });
    }
    Ok(runs)
}

/// What the control store says of a run is what the target holds of it: no more and no less.
fn held_by_target(run: &Run, commits: &Commits, wrong: &mut Vec<String>) {
    let Run { number, id, state, generation, .. } = run;
    let held: Vec<i64> = commits.keys().filter(|(of, _)| of == id).map(|(_, generation)| *generation).collect();
    let is_applied = ["succeeded", "rolled_back"].contains(&state.as_str());
    let wanted: Vec<i64> = if is_applied { (0..=*generation).collect() } else { Vec::new() };
    if held != wanted {
        wrong.push(format!("#{number} is {state} after {generation} undos, and the target holds {held:?} of it"));
    }
    if is_applied && (generation % 2 == 0) != (state == "succeeded") {
        wrong.push(format!("#{number} is {state} after {generation} undos"));
    }
    for (n, kind) in held.iter().filter_map(|n| Some((n, &commits.get(&(id.clone(), *n))?.kind))) {
        if (*n == 0) != (kind == "apply") {
            wrong.push(format!("#{number}: flush {n} is of the kind {kind}"));
        }
    }
}

/// Steps follow each other without a gap, end where the run stands, and attempts never fall.
async fn events(control: &mut Db, runs: &[Run], wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let columns = ["run", "seq", "from_state", "event", "to_state", "attempt"];
    let mut of: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    for row in control.table(&columns, "run_events ORDER BY run, seq").await? {
        of.entry(int(&row, 0)?).or_default().push(row);
    }
    for run in runs {
        let (mut at, mut attempt, mut flushed) = ("planning".to_owned(), 0, 0);
        for (n, row) in of.get(&run.number).into_iter().flatten().enumerate() {
            let (from, event, to) = (text(row, 2)?, text(row, 3)?, text(row, 4)?);
            if usize::try_from(int(row, 1)?) != Ok(n + 1) || from != at {
                wrong.push(format!("#{}: step {row:?} does not follow on {at}", run.number));
            }
            if int(row, 5)? < attempt {
                wrong.push(format!("#{}: step {row:?} is of an earlier attempt than {attempt}", run.number));
            }
            attempt = int(row, 5)?;
            flushed += i64::from(["flush_committed", "rollback_committed", "redo_committed"].contains(&event.as_str()));
            at = to;
        }
        if at != run.state {
            wrong.push(format!("#{} is {}, and its steps end with {at}", run.number, run.state));
        }
        let is_applied = ["succeeded", "rolled_back"].contains(&run.state.as_str());
        let wanted = if is_applied { run.generation + 1 } else { 0 };
        if flushed != wanted {
            wrong.push(format!("#{} is {}: {flushed} steps say that something was written", run.number, run.state));
        }
    }
    Ok(())
}

/// No target heard of an attempt that was never claimed.
async fn attempts(target: &mut Db, runs: &[Run], wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let own = target.own("attempts");
    let claimed: BTreeMap<&str, i64> = runs.iter().map(|run| (run.id.as_str(), run.attempt)).collect();
    for row in target.table(&["run", "attempt"], &own).await? {
        let (run, attempt) = (text(&row, 0)?, int(&row, 1)?);
        if claimed.get(run.as_str()).is_none_or(|claimed| *claimed < attempt) {
            wrong.push(format!("the target knows attempt {attempt} of {run}, which nobody claimed"));
        }
    }
    Ok(())
}

/// Whatever a client was told is so, and no request became two runs.
async fn promised(
    promises: &Promises,
    control: &mut Db,
    runs: &[Run],
    commits: &Commits,
    wrong: &mut Vec<String>,
) -> anyhow::Result<()> {
    let mut keys = BTreeMap::new();
    for row in control.table(&["idempotency_key", "run"], "idempotency_keys").await? {
        keys.insert(text(&row, 0)?, int(&row, 1)?);
    }
    for (key, number) in &promises.begun {
        if keys.get(key) != Some(number) {
            wrong.push(format!("the request {key} was told to be #{number}, and it is {:?}", keys.get(key)));
        }
    }
    if keys.len() != runs.len() {
        wrong.push(format!("{} requests became {} runs", keys.len(), runs.len()));
    }
    let ids: BTreeMap<i64, &str> = runs.iter().map(|run| (run.number, run.id.as_str())).collect();
    for (told, what, generation) in [(&promises.applied, "applied", 0), (&promises.undone, "undone", 1)] {
        for number in told {
            let held = ids.get(number).is_some_and(|id| commits.contains_key(&((*id).to_owned(), generation)));
            if !held {
                wrong.push(format!("#{number} was said to be {what}, and the target holds nothing of it"));
            }
        }
    }
    Ok(())
}
