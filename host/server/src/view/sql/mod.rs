//! A plan or an undo as plain SQL, for somebody who would rather run it by hand: nobody is locked in.
//!
//! Each statement names the row by its key *and* by what stood there, so that a row which changed since
//! is not overwritten: the statement then reports no row. Masked values cannot be printed; a change
//! that needs one is left out, and a comment says so.

mod literal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use mendwright_core::binding::Resolved;
use mendwright_core::change::Action;
use mendwright_core::kind::Kind;
use mendwright_core::plan::document::{Cell, ChangeRecord};

use crate::view::cell::key_text;
use crate::view::look::safe;
use literal::{assign, equals, name};

/// Which database the statements are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// What the database calls a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhysicalTable {
    /// The schema, where the engine has them.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// Logical names of the key columns, in key order.
    pub key: Vec<String>,
    /// Logical name → column.
    pub columns: BTreeMap<String, PhysicalColumn>,
}

/// What the database calls a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhysicalColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// The database's own name of its type.
    pub declared: String,
}

impl From<&Resolved> for PhysicalTable {
    fn from(resolved: &Resolved) -> Self {
        let column = |(logical, column): (&String, &mendwright_core::binding::ResolvedColumn)| {
            let physical =
                PhysicalColumn { name: column.column.clone(), kind: column.kind, declared: column.declared.clone() };
            (logical.clone(), physical)
        };
        Self {
            schema: resolved.schema.clone(),
            table: resolved.table.clone(),
            key: resolved.key.clone(),
            columns: resolved.columns.iter().map(column).collect(),
        }
    }
}

/// What to print.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// For which database.
    pub engine: Engine,
    /// What stands at the top: `run #1042, plan sha256:…`. One comment line each.
    pub title: &'a [String],
    /// The changes, in the plan's order.
    pub changes: &'a [ChangeRecord],
    /// Resource → physical names.
    pub tables: &'a BTreeMap<String, PhysicalTable>,
    /// Resources, parents before children: rows are deleted in the opposite order and inserted in this
    /// one. Resources that are not listed come last, by name.
    pub parents_first: &'a [String],
}

/// The changes that undo these: what was after is before, and the other way round.
#[must_use]
pub fn inverse(changes: &[ChangeRecord]) -> Vec<ChangeRecord> {
    let undo = |change: &ChangeRecord| {
        let (action, after) = match change.action {
            Action::Insert => (Action::Delete, BTreeMap::new()),
            Action::Delete => (Action::Insert, change.before.clone()),
            Action::Update => {
                let written = |(column, _): &(&String, &Cell)| change.after.contains_key(*column);
                let before = change.before.iter().filter(written).map(|(c, v)| (c.clone(), v.clone())).collect();
                (Action::Update, before)
            }
        };
        ChangeRecord {
            resource: change.resource.clone(),
            action,
            key: change.key.clone(),
            before: change.after.clone(),
            after,
            reason: String::new(),
        }
    };
    changes.iter().map(undo).collect()
}

/// The script: one transaction, deletes first, then updates, then inserts.
#[must_use]
pub fn sql(script: &Script<'_>) -> String {
    let mut out = String::new();
    for line in script.title {
        out.push_str(&comment(line));
    }
    out.push_str(&comment("Every statement must report 1 row. If one reports 0, its row has changed: ROLLBACK."));
    out.push_str(match script.engine {
        Engine::Sqlite => "BEGIN IMMEDIATE;\n",
        Engine::Postgres => "BEGIN;\n",
    });
    let mut left_out = 0_u64;
    for change in ordered(script) {
        out.push('\n');
        if !change.reason.is_empty() {
            out.push_str(&comment(&change.reason));
        }
        match statement(script, change) {
            Ok(statement) => out.push_str(&format!("{statement};\n")),
            Err(why) => {
                left_out += 1;
                out.push_str(&comment(&format!("LEFT OUT: {why}")));
            }
        }
    }
    out.push('\n');
    if left_out > 0 {
        let n = crate::view::number::counted(left_out, "change");
        out.push_str(&comment(&format!("{n} left out above: this script alone is not the whole plan.")));
    }
    out.push_str("COMMIT;\n");
    out
}

/// A comment of one line, whatever is in it.
fn comment(text: &str) -> String {
    format!("-- {}\n", safe(text))
}

fn ordered<'a>(script: &Script<'a>) -> Vec<&'a ChangeRecord> {
    let place =
        |change: &ChangeRecord| script.parents_first.iter().position(|r| *r == change.resource).unwrap_or(usize::MAX);
    let of = |action: Action| script.changes.iter().filter(move |c| c.action == action);
    let mut deletes: Vec<_> = of(Action::Delete).collect();
    deletes.sort_by_key(|c| std::cmp::Reverse(place(c)));
    let mut inserts: Vec<_> = of(Action::Insert).collect();
    inserts.sort_by_key(|c| place(c));
    deletes.into_iter().chain(of(Action::Update)).chain(inserts).collect()
}

/// One statement, or why it cannot be written.
fn statement(script: &Script<'_>, change: &ChangeRecord) -> Result<String, String> {
    let table = script.tables.get(&change.resource);
    let table = table.ok_or_else(|| format!("{}: its table is not bound any more", change.resource))?;
    let place = || format!("{} {}", change.resource, key_text(&change.key, &table.key));
    let engine = script.engine;
    let column = |logical: &str| {
        table.columns.get(logical).ok_or_else(|| format!("{}: column `{logical}` is not bound any more", place()))
    };
    let shown = |logical: &str, cell: &'_ Cell| match cell {
        Cell::Plain(text) => Ok(text.clone()),
        Cell::Masked { .. } => Err(format!("{}: `{logical}` is sensitive, and its value cannot be printed", place())),
    };
    let mut target = String::new();
    if let Some(schema) = &table.schema {
        target.push_str(&name(schema)?);
        target.push('.');
    }
    target.push_str(&name(&table.table)?);

    let conditions = || -> Result<String, String> {
        let mut all = Vec::new();
        for logical in &table.key {
            let cell = change.key.get(logical).ok_or_else(|| format!("{}: its key lacks `{logical}`", place()))?;
            all.push(equals(engine, column(logical)?, shown(logical, cell)?.as_deref(), true)?);
        }
        for (logical, cell) in change.before.iter().filter(|(c, _)| !change.key.contains_key(*c)) {
            all.push(equals(engine, column(logical)?, shown(logical, cell)?.as_deref(), false)?);
        }
        Ok(all.join("\n   AND "))
    };
    let assignments = |cells: &BTreeMap<String, Cell>| -> Result<Vec<(String, String)>, String> {
        cells
            .iter()
            .map(|(logical, cell)| {
                let column = column(logical)?;
                Ok((name(&column.name)?, assign(engine, column, shown(logical, cell)?.as_deref())?))
            })
            .collect()
    };
    match change.action {
        Action::Update => {
            let set: Vec<String> = assignments(&change.after)?.into_iter().map(|(c, v)| format!("{c} = {v}")).collect();
            Ok(format!("UPDATE {target}\n   SET {}\n WHERE {}", set.join(",\n       "), conditions()?))
        }
        Action::Delete => Ok(format!("DELETE FROM {target}\n WHERE {}", conditions()?)),
        Action::Insert => {
            let mut cells = change.key.clone();
            cells.extend(change.after.iter().map(|(c, v)| (c.clone(), v.clone())));
            let (columns, values): (Vec<_>, Vec<_>) = assignments(&cells)?.into_iter().unzip();
            Ok(format!("INSERT INTO {target} ({})\nVALUES ({})", columns.join(", "), values.join(", ")))
        }
    }
}
