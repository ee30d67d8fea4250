//! The statements that write one batch, and what their answers mean.

use std::collections::BTreeMap;

use mendwright_core::change::Action;

use super::super::connection::{Arg, Connection, RawRow};
use super::super::engine::{Engine, bare, ident};
use super::super::raw::Raw;
use super::super::scope::Scope;
use super::super::session::{declared, stored_columns};
use super::group::{Group, RowWrite};
use super::rowwise;
use crate::error::{Error, Result};
use mendwright_core::code::Code;

/// Rows of one batch on SQLite: about a millisecond in which nothing else of this thread goes on.
const SQLITE_ROWS_MAX: usize = 1_000;

/// Rows of one PostgreSQL statement: a few arrays of some hundred kilobytes.
const POSTGRES_ROWS_MAX: usize = 5_000;

/// Bytes of one batch's values, unless a single row has more: what a statement, a page of the journal
/// and this host's memory hold of it at once.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The rows of a group as they are written: a batch is a statement, and a page of the journal.
pub(super) fn batches(group: &Group) -> impl Iterator<Item = &[RowWrite]> {
    let most = match group.engine {
        Engine::Postgres => POSTGRES_ROWS_MAX,
        Engine::Sqlite => SQLITE_ROWS_MAX,
    };
    let mut rest = group.rows.as_slice();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = rest.iter().take(most).take_while(|row| {
            bytes += row.size();
            bytes <= BYTES_MAX
        });
        let (batch, left) = rest.split_at(fits.count().max(1));
        rest = left;
        Some(batch)
    })
}

/// Writes one batch. The answer says whether exactly the planned rows were there, in the tenant, as
/// planned, and hold what was planned; for inserts it is the rows as they are stored.
pub(super) async fn write(
    connection: &mut Connection,
    group: &Group,
    rows: &[RowWrite],
    tenant: &str,
) -> Result<Written> {
    match (connection.engine(), group.action) {
        (Engine::Sqlite, _) => connection.file()?.with(rows.len(), |db| rowwise::write(db, group, rows, tenant)),
        (Engine::Postgres, Action::Update | Action::Delete) => {
            let statement = Statement::new(group, rows, tenant);
            change(connection, group, rows, statement).await
        }
        (Engine::Postgres, Action::Insert) => insert(connection, group, rows).await,
    }
}

/// What a batch came to.
pub(super) enum Written {
    /// As planned; inserted rows as stored.
    AsPlanned(Vec<RawRow>),
    /// Some rows were not there or not as planned.
    Drifted,
    /// The rows were there and now hold something else than planned.
    Differs,
}

/// What PostgreSQL's statements of a batch share.
struct Statement {
    /// The rows wanted: `mw(s, k0…, g0…, x0…)`.
    source: String,
    /// Key, guard and tenancy.
    condition: String,
    args: Vec<Arg>,
}

impl Statement {
    fn new(group: &Group, rows: &[RowWrite], tenant: &str) -> Self {
        let names = names(group);
        let mut args = Vec::with_capacity(names.len() + 2);
        args.push(Arg::Ints((0..).take(rows.len()).collect()));
        let mut columns = vec!["$1::bigint[]".to_owned()];
        let mut column = |cells: &dyn Fn(&RowWrite) -> Option<&Raw>| {
            args.push(Arg::Texts(rows.iter().map(|row| cells(row).and_then(text)).collect()));
            columns.push(format!("${}::text[]", args.len()));
        };
        (0..group.key.len()).for_each(|n| column(&|row| row.key.get(n)));
        (0..group.guard.len()).for_each(|n| column(&|row| row.guard.get(n)));
        (0..group.set.len()).for_each(|n| column(&|row| row.set.get(n)));
        let source = format!("mw AS (SELECT * FROM unnest({}) AS u({}))", columns.join(", "), names.join(", "));
        let scope = Scope::new(Engine::Postgres, &group.resolved, tenant, args.len() + 1);
        args.extend(scope.args());
        let key =
            group.key.iter().enumerate().map(|(n, column)| {
                format!("t.{} = mw.k{n}::{}", ident(column), bare(&declared(&group.resolved, column)))
            });
        let guard = group.guard.iter().enumerate().map(|(n, column)| same(column, &format!("mw.g{n}")));
        let all: Vec<String> = key.chain(guard).chain([scope.as_condition()]).collect();
        Self { source, condition: all.join(" AND "), args }
    }
}

fn names(group: &Group) -> Vec<String> {
    let numbered = |letter: char, n: usize| (0..n).map(move |i| format!("{letter}{i}"));
    std::iter::once("s".to_owned())
        .chain(numbered('k', group.key.len()))
        .chain(numbered('g', group.guard.len()))
        .chain(numbered('x', group.set.len()))
        .collect()
}

/// `(?,?),(?,?)`: `rows` rows of `width` parameters, which must be the statement's first. They have no
/// numbers: the driver looks each number up among all of them, and thousands then take seconds.
pub(crate) fn placeholders(rows: usize, width: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(","));
    vec![row; rows].join(",")
}

fn text(raw: &Raw) -> Option<String> {
    raw.text().map(ToOwned::to_owned)
}

/// Whether a column holds exactly this stored value.
fn same(column: &str, value: &str) -> String {
    format!("t.{}::text IS NOT DISTINCT FROM {value}", ident(column))
}

async fn change(
    connection: &mut Connection,
    group: &Group,
    rows: &[RowWrite],
    statement: Statement,
) -> Result<Written> {
    let table = Engine::Postgres.table(group.resolved.schema.as_deref(), &group.resolved.table);
    let (verb, stored) = match group.action {
        Action::Update | Action::Insert => {
            let set: Vec<String> = group
                .set
                .iter()
                .enumerate()
                .map(|(n, column)| format!("{} = mw.x{n}::{}", ident(column), declared(&group.resolved, column)))
                .collect();
            let stored: Vec<String> =
                group.set.iter().enumerate().map(|(n, column)| same(column, &format!("mw.x{n}"))).collect();
            (format!("UPDATE {table} AS t SET {} FROM mw", set.join(", ")), stored.join(" AND "))
        }
        Action::Delete => (format!("DELETE FROM {table} AS t USING mw"), "true".to_owned()),
    };
    // Each wanted row meets one stored row at most (the key is unique), so that as many distinct
    // numbers as wanted rows is the same set of keys.
    let sql = format!(
        "WITH {}, done AS ({verb} WHERE {} RETURNING mw.s, ({stored}) AS same)
         SELECT count(DISTINCT s)::text, coalesce(bool_and(same), true)::text FROM done",
        statement.source, statement.condition
    );
    let answer = connection.rows_by_key(&sql, statement.args).await?;
    let [n, same] = answer.first().map(Vec::as_slice).unwrap_or_default() else {
        return Err(Error::Internal("a write answered nothing".to_owned()));
    };
    Ok(if n.integer() != i64::try_from(rows.len()).ok() {
        Written::Drifted
    } else if same.truth() {
        Written::AsPlanned(Vec::new())
    } else {
        Written::Differs
    })
}

async fn insert(connection: &mut Connection, group: &Group, rows: &[RowWrite]) -> Result<Written> {
    let columns: Vec<&String> = group.key.iter().chain(&group.set).collect();
    let list: Vec<String> = columns.iter().map(|column| ident(column)).collect();
    let whole = stored_columns(&group.resolved);
    let table = Engine::Postgres.table(group.resolved.schema.as_deref(), &group.resolved.table);
    let arrays: Vec<String> = (1..=columns.len()).map(|n| format!("${n}::text[]")).collect();
    let names: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
    let cast: Vec<String> =
        columns.iter().enumerate().map(|(n, column)| format!("c{n}::{}", declared(&group.resolved, column))).collect();
    let args = (0..columns.len())
        .map(|n| Arg::Texts(rows.iter().map(|row| row.key.iter().chain(&row.set).nth(n).and_then(text)).collect()))
        .collect();
    let returning: Vec<String> = whole.iter().map(|column| format!("{}::text", ident(column))).collect();
    // An identity column takes the planned key and not the sequence's next.
    let sql = format!(
        "INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM unnest({}) AS u({}) RETURNING {}",
        list.join(", "),
        cast.join(", "),
        arrays.join(", "),
        names.join(", "),
        returning.join(", ")
    );
    let stored = connection.rows(&sql, args).await?;
    check_inserted(group, rows, &whole, stored)
}

/// Puts the stored rows into the order of the planned ones and compares what the plan sets.
fn check_inserted(group: &Group, rows: &[RowWrite], whole: &[String], stored: Vec<RawRow>) -> Result<Written> {
    let key = places(&group.key, whole)?;
    let pick = |row: &RawRow| -> Vec<String> { key.iter().filter_map(|at| row.get(*at)).map(Raw::tagged).collect() };
    let mut by_key: BTreeMap<Vec<String>, RawRow> = stored.into_iter().map(|row| (pick(&row), row)).collect();
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let stored = by_key.remove(&row.key.iter().map(Raw::tagged).collect::<Vec<_>>());
        let Some(stored) = stored else { return Ok(Written::Differs) };
        if !as_planned(group, whole, row, &stored)? {
            return Ok(Written::Differs);
        }
        found.push(stored);
    }
    Ok(Written::AsPlanned(found))
}

/// Whether an inserted row, as it is stored, holds its planned key and values.
pub(super) fn as_planned(group: &Group, whole: &[String], row: &RowWrite, stored: &RawRow) -> Result<bool> {
    let held = |names: &[String], wanted: &[Raw]| -> Result<bool> {
        let places = places(names, whole)?;
        Ok(places.iter().zip(wanted).all(|(at, raw)| stored.get(*at) == Some(raw)))
    };
    Ok(held(&group.key, &row.key)? && held(&group.set, &row.set)?)
}

fn places(names: &[String], whole: &[String]) -> Result<Vec<usize>> {
    let at = |name: &String| whole.iter().position(|column| column == name);
    names
        .iter()
        .map(at)
        .collect::<Option<_>>()
        .ok_or_else(|| Error::refused(Code::ColumnUnknown, "a column of an inserted row is no longer in its table"))
}
