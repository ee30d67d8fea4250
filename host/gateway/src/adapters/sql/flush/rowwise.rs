//! How SQLite's rows are written: one prepared statement for a batch, executed for each row.
//!
//! The statements say `OR ABORT`: that overrides `ON CONFLICT REPLACE` of a constraint, which would
//! delete whatever row is in the way.

use mendwright_core::change::Action;
use mendwright_sqlite::bind;
use mendwright_sqlite::rusqlite::{self, Statement};

use super::super::connection::{Arg, RawRow};
use super::super::engine::{Engine, ident};
use super::super::lite::raw_row;
use super::super::scope::Scope;
use super::super::session::stored_columns;
use super::group::{Group, RowWrite};
use super::statement::{Written, as_planned};
use crate::error::Result;

/// Writes one batch.
pub(super) fn write(db: &rusqlite::Connection, group: &Group, rows: &[RowWrite], tenant: &str) -> Result<Written> {
    match group.action {
        Action::Update => update(db, group, rows, tenant),
        Action::Delete => delete(db, group, rows, tenant),
        Action::Insert => insert(db, group, rows),
    }
}

/// Key, guard and tenancy of one row as a condition on `t`, from the parameter `first` on.
struct Guard {
    condition: String,
    /// The tenancy's own parameter, and its number.
    scope: Option<(usize, Arg)>,
}

impl Guard {
    fn new(group: &Group, tenant: &str, first: usize) -> Self {
        let mut all = Vec::with_capacity(2 * group.key.len() + group.guard.len() + 1);
        let mut n = first;
        for column in &group.key {
            // The comparison that an index answers, and beside it the exact one.
            all.push(format!("t.{} = ?{n}", ident(column)));
            all.push(same(column, n));
            n += 1;
        }
        for column in &group.guard {
            all.push(same(column, n));
            n += 1;
        }
        let scope = Scope::new(Engine::Sqlite, &group.resolved, tenant, n);
        all.push(scope.as_condition());
        Self { condition: all.join(" AND "), scope: scope.arg.map(|arg| (n, arg)) }
    }

    /// Binds what all rows share.
    fn prepare(&self, statement: &mut Statement<'_>) -> Result<()> {
        if let Some((n, arg)) = &self.scope {
            statement.raw_bind_parameter(*n, arg)?;
        }
        Ok(())
    }
}

/// Whether a column holds exactly this stored value: IS compares numbers across storage classes, and
/// text by the column's collation.
fn same(column: &str, n: usize) -> String {
    let name = ident(column);
    format!("t.{name} IS ?{n} COLLATE BINARY AND typeof(t.{name}) = typeof(?{n})")
}

fn update(db: &rusqlite::Connection, group: &Group, rows: &[RowWrite], tenant: &str) -> Result<Written> {
    let table = ident(&group.resolved.table);
    let set: Vec<String> =
        group.set.iter().enumerate().map(|(n, column)| format!("{} = ?{}", ident(column), n + 1)).collect();
    let guard = Guard::new(group, tenant, group.set.len() + 1);
    let mut write =
        db.prepare_cached(&format!("UPDATE OR ABORT {table} AS t SET {} WHERE {}", set.join(", "), guard.condition))?;
    guard.prepare(&mut write)?;
    // What the column made of the value. RETURNING would say it too, and costs more than a second look.
    let key = group.key.iter().enumerate().map(|(n, column)| format!("t.{} = ?{}", ident(column), n + 1));
    let held = group.set.iter().enumerate().map(|(n, column)| same(column, group.key.len() + n + 1));
    let conditions: Vec<String> = key.chain(held).collect();
    let mut look = db.prepare_cached(&format!("SELECT 1 FROM {table} AS t WHERE {}", conditions.join(" AND ")))?;
    for row in rows {
        bind(&mut write, 1, row.set.iter().chain(&row.key).chain(&row.guard))?;
        if write.raw_execute()? != 1 {
            return Ok(Written::Drifted);
        }
        bind(&mut look, 1, row.key.iter().chain(&row.set))?;
        if look.raw_query().next()?.is_none() {
            return Ok(Written::Differs);
        }
    }
    Ok(Written::AsPlanned(Vec::new()))
}

fn delete(db: &rusqlite::Connection, group: &Group, rows: &[RowWrite], tenant: &str) -> Result<Written> {
    let guard = Guard::new(group, tenant, 1);
    let sql = format!("DELETE FROM {} AS t WHERE {}", ident(&group.resolved.table), guard.condition);
    let mut write = db.prepare_cached(&sql)?;
    guard.prepare(&mut write)?;
    for row in rows {
        bind(&mut write, 1, row.key.iter().chain(&row.guard))?;
        if write.raw_execute()? != 1 {
            return Ok(Written::Drifted);
        }
    }
    Ok(Written::AsPlanned(Vec::new()))
}

fn insert(db: &rusqlite::Connection, group: &Group, rows: &[RowWrite]) -> Result<Written> {
    let columns: Vec<String> = group.key.iter().chain(&group.set).map(|column| ident(column)).collect();
    let whole = stored_columns(&group.resolved);
    let values: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
    let returning: Vec<String> = whole.iter().map(|column| ident(column)).collect();
    let mut write = db.prepare_cached(&format!(
        "INSERT OR ABORT INTO {} ({}) VALUES ({}) RETURNING {}",
        ident(&group.resolved.table),
        columns.join(", "),
        values.join(", "),
        returning.join(", ")
    ))?;
    let mut stored: Vec<RawRow> = Vec::with_capacity(rows.len());
    for row in rows {
        bind(&mut write, 1, row.key.iter().chain(&row.set))?;
        let mut answer = write.raw_query();
        let Some(found) = answer.next()?.map(|found| raw_row(found)).transpose()? else {
            return Ok(Written::Differs);
        };
        // To the end: only then it is inserted.
        while answer.next()?.is_some() {}
        if !as_planned(group, &whole, row, &found)? {
            return Ok(Written::Differs);
        }
        stored.push(found);
    }
    Ok(Written::AsPlanned(stored))
}
