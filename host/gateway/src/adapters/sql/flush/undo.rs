//! The journal read backwards: what a run did, undone by the host alone.
//!
//! A row that somebody changed since is a conflict; it is shown and stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mendwright_core::binding::{Resolved, ResolvedColumn};
use mendwright_core::change::Action;
use mendwright_core::code::Code;
use mendwright_core::merkle::Tree;
use mendwright_core::plan::header::Digest;
use mendwright_core::value::Value;

use super::super::connection::{Connection, Role};
use super::super::engine::Engine;
use super::super::raw::{Raw, shown_key, to_value};
use super::super::session::{RawCells, stored_columns};
use super::group::{Group, Write, arrange};
use super::journal::{self, Entry, Generation, MacKey};
use super::lock;
use crate::error::{Error, Result};
use crate::target::Target;

/// What undoing one row comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is as the run left it, and becomes what it was before.
    Restore,
    /// Somebody changed it since; it stays.
    Conflict(String),
}

/// One row of an undo's preview.
#[derive(Clone, Debug)]
pub struct UndoRow {
    /// The resource.
    pub resource: String,
    /// The key, for people.
    pub key: String,
    /// What the run did to it.
    pub did: Action,
    /// What undoing it comes to.
    pub fate: Fate,
    /// Logical column → before the run, what the run wrote, now. Sensitive columns are left out.
    pub cells: Vec<UndoCell>,
}

/// One column of one row of an undo's preview.
#[derive(Clone, Debug)]
pub struct UndoCell {
    /// The logical column.
    pub column: String,
    /// Before the run.
    pub before: Option<Value>,
    /// What the run wrote.
    pub wrote: Option<Value>,
    /// What is there now.
    pub now: Option<Value>,
}

/// What an undo would do.
#[derive(Clone, Debug)]
pub struct Undo {
    /// Every row of the journal.
    pub rows: Vec<UndoRow>,
    /// Over what would be restored; what a person confirms.
    pub digest: Digest,
    /// Which flush of the run this undoes.
    pub(crate) generation: Generation,
    pub(crate) groups: Vec<Group>,
}

impl Undo {
    /// Rows that would be restored.
    #[must_use]
    pub fn restores(&self) -> usize {
        self.rows.iter().filter(|row| row.fate == Fate::Restore).count()
    }

    /// Rows that would stay.
    #[must_use]
    pub fn conflicts(&self) -> usize {
        self.rows.len() - self.restores()
    }
}

/// What writes one entry's before-image back, and only if the row is as the entry left it.
pub(crate) fn inverse(entry: &Entry, resolved: &BTreeMap<String, Arc<Resolved>>) -> Result<Write> {
    let known = |resource: &Arc<Resolved>| stored_columns(resource);
    let table = resolved.get(&entry.resource).ok_or_else(|| {
        Error::refused(Code::ResourceUnknown, format!("resource `{}` is no longer bound", entry.resource))
    })?;
    let columns = known(table);
    let gone = entry.key.iter().chain(&entry.before).chain(&entry.after).find(|(c, _)| !columns.contains(c));
    if let Some((column, _)) = gone {
        return Err(Error::refused(
            Code::RollbackConflict,
            format!("column `{column}` of `{}` was dropped since the run", entry.resource),
        ));
    }
    let is_key = |column: &String| entry.key.iter().any(|(key, _)| key == column);
    let without_key = |cells: &RawCells| -> RawCells { cells.iter().filter(|(c, _)| !is_key(c)).cloned().collect() };
    let write =
        |action, guard, set| Write { resource: entry.resource.clone(), action, key: entry.key.clone(), guard, set };
    Ok(match entry.action {
        Action::Insert => write(Action::Delete, entry.after.clone(), RawCells::new()),
        Action::Delete => write(Action::Insert, RawCells::new(), without_key(&entry.before)),
        Action::Update => {
            let written = |column: &String| entry.after.iter().any(|(c, _)| c == column);
            let mut path = path_columns(table);
            // The rest of a reference that was written in part.
            let keys = table.foreign_keys.iter().filter(|key| key.columns.iter().any(written));
            path.extend(keys.flat_map(|key| key.columns.iter().cloned()));
            let stays = entry.before.iter().filter(|(c, _)| !written(c) && path.contains(c)).cloned();
            let guard = entry.after.iter().cloned().chain(stays).collect();
            let set = entry.before.iter().filter(|(c, _)| written(c)).cloned().collect();
            write(Action::Update, guard, set)
        }
    })
}

fn path_columns(table: &Resolved) -> Vec<String> {
    match table.tenant.steps.first() {
        Some(step) => step.on.iter().map(|(own, _)| own.clone()).collect(),
        None => table.tenant.column.iter().cloned().collect(),
    }
}

/// Reads the journal of a flush and compares it with the rows as they are now.
pub(crate) async fn preview(
    target: &Target,
    key: &MacKey,
    run: &str,
    generation: Generation,
    tenant: &str,
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<Undo> {
    let mut connection = Connection::open(target, Role::Write).await?;
    let undo = look(&mut connection, target, key, run, generation, tenant, resolved).await;
    connection.close().await;
    undo
}

async fn look(
    connection: &mut Connection,
    target: &Target,
    key: &MacKey,
    run: &str,
    generation: Generation,
    tenant: &str,
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<Undo> {
    let Some((_, entries)) = journal::read(connection, target, key, run, generation).await? else {
        return Err(Error::refused(
            Code::JournalExpired,
            "the target's journal does not hold this run (any more): it can no longer be undone",
        ));
    };
    let mut writes: Vec<Write> = Vec::with_capacity(entries.len());
    let mut rows: Vec<UndoRow> = Vec::with_capacity(entries.len());
    for entry in &entries {
        let (fate, write) = match inverse(entry, resolved) {
            Ok(write) => (Fate::Restore, Some(write)),
            Err(Error::Refused { message, .. }) => (Fate::Conflict(message), None),
            Err(error) => return Err(error),
        };
        rows.push(UndoRow {
            resource: entry.resource.clone(),
            key: resolved
                .get(&entry.resource)
                .map_or_else(|| "?".to_owned(), |table| shown_key(table, entry.key.iter().map(|(_, raw)| raw))),
            did: entry.action,
            fate,
            cells: Vec::new(),
        });
        writes.extend(write);
    }
    let mut restorable: Vec<Write> = Vec::with_capacity(writes.len());
    let now = now(connection, &writes, tenant, resolved).await?;
    let mut pending = writes.into_iter();
    for (row, entry) in rows.iter_mut().zip(&entries) {
        if row.fate != Fate::Restore {
            continue;
        }
        let Some(write) = pending.next() else { break };
        let state = now.get(&(write.resource.clone(), tags(&write.key)));
        row.fate = fate(&write, state);
        row.cells = cells(target.engine, entry, state, resolved.get(&entry.resource));
        if row.fate == Fate::Restore {
            restorable.push(write);
        }
    }
    let groups = arrange(restorable, resolved);
    Ok(Undo { rows, digest: digest(run, generation, &groups), generation, groups })
}

fn tags(key: &RawCells) -> Vec<String> {
    key.iter().map(|(_, raw)| raw.tagged()).collect()
}

type Now = BTreeMap<(String, Vec<String>), RawCells>;

/// The rows concerned as they are now; those of other tenants look as if they were not there, except
/// that their keys are taken.
async fn now(
    connection: &mut Connection,
    writes: &[Write],
    tenant: &str,
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<Now> {
    let mut now = Now::new();
    let engine = connection.engine();
    for group in arrange(writes.to_vec(), resolved) {
        // Not the whole row: what lies beside it may be unreadable, and is not looked at.
        let columns: BTreeSet<String> = group.guard.iter().chain(&group.set).cloned().collect();
        let select: Vec<String> = columns.iter().map(|column| engine.read("t", column)).collect();
        let scope = (group.action != Action::Insert).then_some(tenant);
        for (key, row) in lock::stored(connection, &group, &group.rows, scope, &select).await? {
            now.insert((group.resolved.name.clone(), key), columns.iter().cloned().zip(row).collect());
        }
    }
    Ok(now)
}

fn fate(write: &Write, now: Option<&RawCells>) -> Fate {
    let conflict = |why: &str| Fate::Conflict(why.to_owned());
    match (write.action, now) {
        (Action::Insert, None) => Fate::Restore,
        (Action::Insert, Some(_)) => conflict("its key is taken again"),
        (Action::Update | Action::Delete, None) => conflict("it is gone, or no longer the tenant's"),
        (Action::Update | Action::Delete, Some(now)) => {
            let same = write.guard.iter().all(|(column, raw)| now.iter().any(|(c, r)| c == column && r == raw));
            if same { Fate::Restore } else { conflict("changed since; stays unless you say otherwise") }
        }
    }
}

fn cells(engine: Engine, entry: &Entry, now: Option<&RawCells>, table: Option<&Arc<Resolved>>) -> Vec<UndoCell> {
    let Some(table) = table else { return Vec::new() };
    let value = |column: &ResolvedColumn, cells: &RawCells| -> Option<Value> {
        let (_, raw) = cells.iter().find(|(c, _)| *c == column.column)?;
        to_value(engine, column.kind, raw)
    };
    let shown = |column: &ResolvedColumn| match entry.action {
        Action::Update => entry.after.iter().any(|(c, _)| *c == column.column),
        Action::Insert => entry.after.iter().any(|(c, _)| *c == column.column),
        Action::Delete => entry.before.iter().any(|(c, _)| *c == column.column),
    };
    table
        .columns
        .iter()
        .filter(|(name, column)| !column.sensitive && !table.key.contains(name) && shown(column))
        .map(|(name, column)| UndoCell {
            column: name.clone(),
            before: value(column, &entry.before),
            wrote: value(column, &entry.after),
            now: now.and_then(|now| value(column, now)),
        })
        .collect()
}

fn digest(run: &str, generation: Generation, groups: &[Group]) -> Digest {
    let mut root = Tree::default();
    for group in groups {
        for row in &group.rows {
            let tagged = |raws: &[Raw]| raws.iter().map(Raw::tagged).collect::<Vec<_>>();
            let leaf = serde_json::to_vec(&(
                &group.resolved.name,
                group.action.word(),
                tagged(&row.key),
                (&group.guard, tagged(&row.guard)),
                (&group.set, tagged(&row.set)),
            ));
            root.push(&leaf.unwrap_or_default());
        }
    }
    Digest::of_json(&("mendwright undo v1", run, generation, hex::encode(root.root())))
}
