//! Each counter: what it has now, what the host's journal says was done to it, and what the
//! application's own trigger saw being done. All three must say the same.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::Scene;
use crate::sql::{Db, int, text};

/// A flush that the target holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) digest: String,
    pub(crate) generation: i64,
    pub(crate) kind: String,
    pub(crate) changes: i64,
}

/// Run id → its flushes, the first first.
pub(crate) type Commits = BTreeMap<(String, i64), Commit>;

pub(crate) async fn commits(target: &mut Db) -> anyhow::Result<Commits> {
    let columns = ["run", "generation", "batch", "digest", "kind", "changes"];
    let own = target.own("commits");
    let mut commits = Commits::new();
    for row in target.table(&columns, &own).await? {
        ensure!(int(&row, 2)? == 0, "no plan of the workload has batches: {row:?}");
        let generation = int(&row, 1)?;
        let commit = Commit { digest: text(&row, 3)?, generation, kind: text(&row, 4)?, changes: int(&row, 5)? };
        ensure!(commits.insert((text(&row, 0)?, generation), commit).is_none(), "two commits of one flush: {row:?}");
    }
    Ok(commits)
}

/// A counter: its table and its id.
type Counter = (String, i64);

/// What was done to each: before and after, in some order.
type Steps = BTreeMap<Counter, Vec<(i64, i64)>>;

/// Gives how many changes there were.
pub(crate) async fn check(
    scene: &Scene,
    target: &mut Db,
    commits: &Commits,
    wrong: &mut Vec<String>,
) -> anyhow::Result<usize> {
    let journal = journal(scene, target, commits, wrong).await?;
    let seen = seen(scene, target).await?;
    let mut changes = 0;
    for table in &scene.tables {
        for row in target.table(&["id", "value"], &format!("{table} ORDER BY id")).await? {
            let counter = (table.clone(), int(&row, 0)?);
            let now = int(&row, 1)?;
            let name = format!("{table}/{}", counter.1);
            let mut at = scene.first;
            for (before, after) in seen.get(&counter).into_iter().flatten() {
                if *before != at {
                    wrong.push(format!("{name}: a write from {before} to {after} where it was {at}"));
                }
                if (before - after).abs() != 1 {
                    wrong.push(format!("{name}: a write from {before} to {after} is no step"));
                }
                at = *after;
                changes += 1;
            }
            if at != now {
                wrong.push(format!("{name}: it is {now}, and its writes end with {at}"));
            }
            let sorted = |steps: Option<&Vec<(i64, i64)>>| {
                let mut steps = steps.cloned().unwrap_or_default();
                steps.sort_unstable();
                steps
            };
            let (kept, happened) = (sorted(journal.get(&counter)), sorted(seen.get(&counter)));
            if kept != happened {
                wrong.push(format!("{name}: the journal has {kept:?}, and there happened {happened:?}"));
            }
        }
    }
    Ok(changes)
}

/// What the application's trigger saw, in order.
async fn seen(scene: &Scene, target: &mut Db) -> anyhow::Result<Steps> {
    let mut steps = Steps::new();
    for table in &scene.tables {
        let history = format!("{table}_history ORDER BY seq");
        for row in target.table(&["counter", "before", "after"], &history).await? {
            let of = steps.entry((table.clone(), int(&row, 0)?)).or_default();
            of.push((int(&row, 1)?, int(&row, 2)?));
        }
    }
    Ok(steps)
}

/// What the journal says.
async fn journal(scene: &Scene, target: &mut Db, commits: &Commits, wrong: &mut Vec<String>) -> anyhow::Result<Steps> {
    let mut steps = Steps::new();
    let mut counted: BTreeMap<(String, i64), i64> = BTreeMap::new();
    let (columns, own) = (["run", "generation", "relation", "action", "columns", "rows"], target.own("journal"));
    for row in target.table(&columns, &own).await? {
        let flush = (text(&row, 0)?, int(&row, 1)?);
        let relation = text(&row, 2)?;
        ensure!(text(&row, 3)? == "update", "no plan of the workload does anything else: {row:?}");
        let table = relation.rsplit('.').next().unwrap_or_default().trim_matches('"').to_owned();
        ensure!(scene.tables.contains(&table), "{relation} is no table of the workload");
        let shape: Value = serde_json::from_str(&text(&row, 4)?)?;
        let lines: Vec<Vec<String>> = serde_json::from_str(&text(&row, 5)?)?;
        let names: Vec<(&str, &str)> = ["key", "before", "after"]
            .into_iter()
            .flat_map(|part| {
                let names = shape.get(part).and_then(Value::as_array).into_iter().flatten();
                names.filter_map(move |name| Some((part, name.as_str()?)))
            })
            .collect();
        for line in lines {
            let value = |part: &str, column: &str| -> anyhow::Result<i64> {
                let at = names.iter().position(|name| *name == (part, column));
                let tagged = at.and_then(|at| line.get(at)).with_context(|| format!("no {part} {column}: {line:?}"))?;
                let number = tagged.strip_prefix("i:").or_else(|| tagged.strip_prefix("t:"));
                Ok(number.with_context(|| tagged.clone())?.parse()?)
            };
            let counter = (table.clone(), value("key", "id")?);
            steps.entry(counter).or_default().push((value("before", "value")?, value("after", "value")?));
            *counted.entry(flush.clone()).or_default() += 1;
        }
        if !commits.contains_key(&flush) {
            wrong.push(format!("{} has a page of flush {} in the journal, and no commit", flush.0, flush.1));
        }
    }
    for (flush, commit) in commits {
        let pages = counted.get(flush).copied().unwrap_or(0);
        if pages != commit.changes {
            wrong.push(format!("{} #{}: {} changes, {pages} in the journal", flush.0, flush.1, commit.changes));
        }
    }
    Ok(steps)
}
