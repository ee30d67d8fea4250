//! The journal read backwards: what a run did, undone by the host alone.
//!
//! A row that somebody changed since is a conflict; it is shown and stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mendwright_core::binding::{Resolved, ResolvedColumn};
use mendwright_core::change::Action;
use mendwright_core::merkle::Tree;
use mendwright_core::plan::document::Cell;
use mendwright_core::plan::header::Digest;
use mendwright_core::undo;
use mendwright_core::value::Value;

use super::super::connection::{Connection, RawRow, Role};
use super::super::engine::Engine;
use super::super::raw::{Raw, shown_key, to_value};
use super::group::{Group, RowWrite, arrange};
use super::inverse::Inverse;
use super::journal::{self, Entry, FlushId, Generation, Head, MacKey, Page, Reader};
use super::look::{stored, tags};
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
    /// What a person confirms, and others approve: see [`undo::digest`].
    pub digest: Digest,
    /// Over the exact bytes that would be written.
    pub writes: Digest,
    /// Which flush of the run this undoes.
    pub(crate) generation: Generation,
    pub(crate) groups: Vec<Group>,
}

impl UndoRow {
    /// As people see and approve it.
    #[must_use]
    pub fn shown(&self) -> undo::Row {
        let cell = |value: &Option<Value>| value.as_ref().map(Cell::from);
        undo::Row {
            resource: self.resource.clone(),
            key: self.key.clone(),
            did: self.did,
            conflict: match &self.fate {
                Fate::Restore => None,
                Fate::Conflict(why) => Some(why.clone()),
            },
            cells: self
                .cells
                .iter()
                .map(|UndoCell { column, before, wrote, now }| {
                    let cells = undo::Cells { before: cell(before), wrote: cell(wrote), now: cell(now) };
                    (column.clone(), cells)
                })
                .collect(),
        }
    }
}

impl Undo {
    /// Which flush of the run this undoes: 0 is its apply.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

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

/// Whose journal is read, and where.
#[derive(Clone, Copy)]
pub(crate) struct Of<'a> {
    pub(crate) target: &'a Target,
    pub(crate) key: &'a MacKey,
    pub(crate) run: &'a str,
    pub(crate) generation: Generation,
    pub(crate) tenant: &'a str,
    /// Resources as they are bound now.
    pub(crate) resolved: &'a BTreeMap<String, Arc<Resolved>>,
}

impl<'a> Of<'a> {
    /// The journal of one transaction of the flush.
    pub(crate) async fn batch(self, connection: &mut Connection, batch: u32) -> Result<Option<Reader<'a>>> {
        let id = FlushId { run: self.run, generation: self.generation, batch };
        let found = Reader::open(connection, self.target, self.key, id).await?;
        if found.is_none() && batch == 0 {
            return Err(journal::absent(connection, self.target, id).await?);
        }
        Ok(found)
    }
}

/// Reads the journal of a flush and compares it with the rows as they are now.
pub(crate) async fn preview(of: Of<'_>) -> Result<Undo> {
    let mut connection = Connection::open(of.target, Role::Write).await?;
    let undo = look(&mut connection, of).await;
    connection.close().await;
    undo
}

async fn look(connection: &mut Connection, of: Of<'_>) -> Result<Undo> {
    let (mut rows, mut groups) = (Vec::new(), Vec::new());
    let mut batch = 0;
    while let Some(mut reader) = of.batch(connection, batch).await? {
        while let Some(page) = reader.next(connection).await? {
            look_at_page(connection, of, page, &mut rows, &mut groups).await?;
        }
        batch += 1;
    }
    arrange(&mut groups, of.resolved);
    let writes = writes(of, &groups);
    let digest = undo::digest(of.run, of.generation, &writes, rows.iter().map(UndoRow::shown));
    Ok(Undo { rows, digest, writes, generation: of.generation, groups })
}

async fn look_at_page(
    connection: &mut Connection,
    of: Of<'_>,
    page: Page,
    rows: &mut Vec<UndoRow>,
    groups: &mut Vec<Group>,
) -> Result<()> {
    let Page { head, rows: entries } = page;
    let table = of.resolved.get(&head.resource);
    let row = |entry: &Entry, fate: Fate, cells: Vec<UndoCell>| UndoRow {
        resource: head.resource.clone(),
        key: table.map_or_else(|| "?".to_owned(), |table| shown_key(table, &entry.key)),
        did: head.action,
        fate,
        cells,
    };
    let inverse = match Inverse::new(&head, of.target.engine, of.resolved) {
        Ok(inverse) => inverse,
        Err(Error::Refused { message, .. }) => {
            rows.extend(entries.iter().map(|entry| row(entry, Fate::Conflict(message.clone()), Vec::new())));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let group = inverse.group(&entries);
    let now = Now::look(connection, &group, of.tenant).await?;
    let mut restorable = Vec::with_capacity(group.rows.len());
    let Group { shape, rows: writes } = group;
    for (entry, write) in entries.iter().zip(writes) {
        let found = now.rows.get(&tags(&write.key));
        let fate = fate(shape.action, &shape.guard, &write, found.map(|found| (now.columns.as_slice(), found)));
        let cells = table.map_or_else(Vec::new, |table| cells(of.target.engine, &head, entry, &now, found, table));
        if fate == Fate::Restore {
            restorable.push(write);
        }
        rows.push(row(entry, fate, cells));
    }
    let same = |group: &&mut Group| {
        let own = &group.shape;
        let names = (&own.resolved.name, own.action, &own.key, &own.guard, &own.set);
        names == (&shape.resolved.name, shape.action, &shape.key, &shape.guard, &shape.set)
    };
    match groups.iter_mut().find(same) {
        Some(group) => group.rows.extend(restorable),
        None if restorable.is_empty() => {}
        None => groups.push(Group { shape, rows: restorable }),
    }
    Ok(())
}

/// The rows concerned as they are now; those of other tenants look as if they were not there, except
/// that their keys are taken.
struct Now {
    columns: Vec<String>,
    rows: BTreeMap<Vec<String>, RawRow>,
}

impl Now {
    async fn look(connection: &mut Connection, group: &Group, tenant: &str) -> Result<Self> {
        // Not the whole row: what lies beside it may be unreadable, and is not looked at.
        let columns: BTreeSet<String> = group.guard.iter().chain(&group.set).cloned().collect();
        let select: Vec<String> = columns.iter().map(|column| group.engine.read("t", column)).collect();
        let scope = (group.action != Action::Insert).then_some(tenant);
        let rows = stored(connection, group, &group.rows, scope, &select).await?;
        Ok(Self { columns: columns.into_iter().collect(), rows })
    }
}

fn fate(action: Action, guard: &[String], write: &RowWrite, now: Option<(&[String], &RawRow)>) -> Fate {
    let conflict = |why: &str| Fate::Conflict(why.to_owned());
    match (action, now) {
        (Action::Insert, None) => Fate::Restore,
        (Action::Insert, Some(_)) => conflict("its key is taken again"),
        (Action::Update | Action::Delete, None) => conflict("it is gone, or no longer the tenant's"),
        (Action::Update | Action::Delete, Some((columns, now))) => {
            let same = guard.iter().zip(&write.guard).all(|(column, raw)| cell(columns, now, column) == Some(raw));
            if same { Fate::Restore } else { conflict("changed since; stays unless you say otherwise") }
        }
    }
}

fn cell<'r>(columns: &[String], row: &'r [Raw], column: &str) -> Option<&'r Raw> {
    row.get(columns.iter().position(|own| own == column)?)
}

fn cells(
    engine: Engine,
    head: &Head,
    entry: &Entry,
    now: &Now,
    found: Option<&RawRow>,
    table: &Resolved,
) -> Vec<UndoCell> {
    let value = |column: &ResolvedColumn, columns: &[String], row: &[Raw]| -> Option<Value> {
        to_value(engine, column.kind, cell(columns, row, &column.column)?)
    };
    let names = &head.columns;
    let shown = match head.action {
        Action::Insert | Action::Update => &names.after,
        Action::Delete => &names.before,
    };
    table
        .columns
        .iter()
        .filter(|(name, column)| !column.sensitive && !table.key.contains(name) && shown.contains(&column.column))
        .map(|(name, column)| UndoCell {
            column: name.clone(),
            before: value(column, &names.before, &entry.before),
            wrote: value(column, &names.after, &entry.after),
            now: found.and_then(|row| value(column, &now.columns, row)),
        })
        .collect()
}

/// Over the exact bytes that are written and those that they replace. Its first leaf is nobody's but the host's: it
/// is told to everybody, and must not let them try out what a sensitive column holds.
fn writes(of: Of<'_>, groups: &[Group]) -> Digest {
    let mut root = Tree::default();
    root.push(journal::sign(of.key, &("undo", of.run, of.generation)).as_bytes());
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
    Digest(root.root())
}
