//! The statements that write one batch, and what their answers mean.
//!
//! SQLite's say `OR ABORT`: that overrides `ON CONFLICT REPLACE` of a constraint, which would delete
//! whatever row is in the way.

use mendwright_core::change::Action;

use super::super::connection::{Arg, Connection, RawRow};
use super::super::engine::{Engine, bare, ident};
use super::super::raw::Raw;
use super::super::scope::Scope;
use super::super::session::{declared, stored_columns};
use super::group::{Group, RowWrite};
use crate::error::{Error, Result};
use mendwright_core::code::Code;

/// Parameters of one SQLite statement; the library's limit is 32,766.
const SQLITE_PARAMS_MAX: usize = 30_000;

/// Rows of one SQLite statement. Measured: from 500 on a larger batch gains nothing.
const SQLITE_ROWS_MAX: usize = 1_000;

/// A SQLite delete looks each row up among the batch without an index.
const SQLITE_DELETES_MAX: usize = 100;

/// Rows of one PostgreSQL statement: a few arrays of some hundred kilobytes.
const POSTGRES_ROWS_MAX: usize = 5_000;

/// How many rows of this group one statement takes.
pub(super) fn batch_rows(engine: Engine, group: &Group) -> usize {
    match engine {
        Engine::Postgres => POSTGRES_ROWS_MAX,
        Engine::Sqlite => {
            let width = 1 + group.key.len() + group.guard.len() + group.set.len();
            let most = if group.action == Action::Delete { SQLITE_DELETES_MAX } else { SQLITE_ROWS_MAX };
            (SQLITE_PARAMS_MAX / width).clamp(1, most)
        }
    }
}

/// Writes one batch. The answer says whether exactly the planned rows were there, in the tenant, as
/// planned, and hold what was planned; for inserts it is the rows as they are stored.
pub(super) async fn write(
    connection: &mut Connection,
    group: &Group,
    rows: &[RowWrite],
    tenant: &str,
) -> Result<Written> {
    let statement = Statement::new(connection.engine(), group, rows, tenant);
    match (connection.engine(), group.action) {
        (Engine::Sqlite, Action::Update) => sqlite_update(connection, group, rows, statement).await,
        (Engine::Sqlite, Action::Delete) => sqlite_delete(connection, group, rows, statement).await,
        (Engine::Postgres, Action::Update | Action::Delete) => {
            postgres_change(connection, group, rows, statement).await
        }
        (_, Action::Insert) => insert(connection, group, rows).await,
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

/// What the statements of a batch share.
struct Statement {
    /// The rows wanted: `mw(s, k0…, g0…, x0…)`.
    source: String,
    /// Key, guard and tenancy.
    condition: String,
    args: Vec<Arg>,
}

impl Statement {
    fn new(engine: Engine, group: &Group, rows: &[RowWrite], tenant: &str) -> Self {
        let mut args = Vec::new();
        let names = names(group);
        let source = match engine {
            Engine::Sqlite => {
                args.reserve(rows.len() * names.len());
                for row in rows {
                    args.push(Arg::Int(row.seq));
                    args.extend(row.key.iter().chain(&row.guard).chain(&row.set).cloned().map(Arg::Raw));
                }
                format!("mw({}) AS (VALUES {})", names.join(","), placeholders(rows.len(), names.len()))
            }
            Engine::Postgres => {
                args.push(Arg::Ints(rows.iter().map(|row| row.seq).collect()));
                let mut columns = vec!["$1::bigint[]".to_owned()];
                for n in 0..names.len() - 1 {
                    args.push(Arg::Texts(rows.iter().map(|row| text_at(row, n)).collect()));
                    columns.push(format!("${}::text[]", n + 2));
                }
                format!("mw AS (SELECT * FROM unnest({}) AS u({}))", columns.join(", "), names.join(", "))
            }
        };
        let scope = Scope::new(engine, &group.resolved, tenant, args.len() + 1);
        args.extend(scope.args());
        let mut all = Vec::new();
        for (n, column) in group.key.iter().enumerate() {
            all.push(equal_key(engine, group, column, n));
        }
        for (n, column) in group.guard.iter().enumerate() {
            all.push(same(engine, column, &format!("mw.g{n}")));
        }
        all.push(scope.as_condition());
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

fn text_at(row: &RowWrite, n: usize) -> Option<String> {
    row.key.iter().chain(&row.guard).chain(&row.set).nth(n).and_then(Raw::text).map(ToOwned::to_owned)
}

fn equal_key(engine: Engine, group: &Group, column: &str, n: usize) -> String {
    match engine {
        Engine::Sqlite => format!("t.{} = mw.k{n}", ident(column)),
        Engine::Postgres => format!("t.{} = mw.k{n}::{}", ident(column), bare(&declared(&group.resolved, column))),
    }
}

/// Whether a column holds exactly this stored value.
fn same(engine: Engine, column: &str, value: &str) -> String {
    let name = ident(column);
    match engine {
        // IS compares numbers across storage classes and text by the column's collation.
        Engine::Sqlite => {
            format!("t.{name} IS {value} COLLATE BINARY AND typeof(t.{name}) = typeof({value})")
        }
        Engine::Postgres => format!("t.{name}::text IS NOT DISTINCT FROM {value}"),
    }
}

async fn sqlite_update(
    connection: &mut Connection,
    group: &Group,
    rows: &[RowWrite],
    statement: Statement,
) -> Result<Written> {
    let set: Vec<String> =
        group.set.iter().enumerate().map(|(n, column)| format!("{} = mw.x{n}", ident(column))).collect();
    let returning: Vec<String> = group.key.iter().chain(&group.set).map(|column| ident(column)).collect();
    let sql = format!(
        "WITH {} UPDATE OR ABORT {} AS t SET {} FROM mw WHERE {} RETURNING {}",
        statement.source,
        ident(&group.resolved.table),
        set.join(", "),
        statement.condition,
        returning.join(", ")
    );
    let stored = connection.rows(&sql, statement.args).await?;
    Ok(compare(group, rows, stored))
}

async fn sqlite_delete(
    connection: &mut Connection,
    group: &Group,
    rows: &[RowWrite],
    statement: Statement,
) -> Result<Written> {
    let own: Vec<String> = group.key.iter().map(|column| format!("t.{}", ident(column))).collect();
    let keys: Vec<String> = (0..group.key.len()).map(|n| format!("k{n}")).collect();
    let returning: Vec<String> = group.key.iter().map(|column| ident(column)).collect();
    let sql = format!(
        "WITH {} DELETE FROM {} AS t WHERE ({}) IN (SELECT {} FROM mw) AND EXISTS (SELECT 1 FROM mw WHERE {}) RETURNING {}",
        statement.source,
        ident(&group.resolved.table),
        own.join(", "),
        keys.join(", "),
        statement.condition,
        returning.join(", ")
    );
    let stored = connection.rows(&sql, statement.args).await?;
    Ok(compare(group, rows, stored))
}

/// Compares the set of returned keys with the planned one, and each row's stored values.
fn compare(group: &Group, rows: &[RowWrite], mut stored: Vec<RawRow>) -> Written {
    let width = group.key.len();
    let tags = |row: &[Raw]| row.iter().take(width).map(Raw::tagged).collect::<Vec<_>>();
    if stored.len() != rows.len() {
        return Written::Drifted;
    }
    let mut planned: Vec<&RowWrite> = rows.iter().collect();
    planned.sort_by_cached_key(|row| tags(&row.key));
    stored.sort_by_cached_key(|row| tags(row));
    for (row, stored) in planned.into_iter().zip(stored) {
        if stored.get(..width) != Some(row.key.as_slice()) {
            return Written::Drifted;
        }
        let after = stored.get(width..).unwrap_or_default();
        if !after.is_empty() && after != row.set.as_slice() {
            return Written::Differs;
        }
    }
    Written::AsPlanned(Vec::new())
}

async fn postgres_change(
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
                group.set.iter().enumerate().map(|(n, c)| same(Engine::Postgres, c, &format!("mw.x{n}"))).collect();
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
    let answer = connection.rows(&sql, statement.args).await?;
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
    let engine = connection.engine();
    let columns: Vec<&String> = group.key.iter().chain(&group.set).collect();
    let list: Vec<String> = columns.iter().map(|column| ident(column)).collect();
    let whole = stored_columns(&group.resolved);
    let table = engine.table(group.resolved.schema.as_deref(), &group.resolved.table);
    let (source, args) = match engine {
        Engine::Sqlite => {
            let args: Vec<Arg> =
                rows.iter().flat_map(|row| row.key.iter().chain(&row.set)).cloned().map(Arg::Raw).collect();
            (format!("VALUES {}", placeholders(rows.len(), columns.len())), args)
        }
        Engine::Postgres => {
            let arrays: Vec<String> = (1..=columns.len()).map(|n| format!("${n}::text[]")).collect();
            let names: Vec<String> = (0..columns.len()).map(|n| format!("c{n}")).collect();
            let cast: Vec<String> = columns
                .iter()
                .enumerate()
                .map(|(n, column)| format!("c{n}::{}", declared(&group.resolved, column)))
                .collect();
            let args = (0..columns.len())
                .map(|n| {
                    let cells = rows
                        .iter()
                        .map(|row| row.key.iter().chain(&row.set).nth(n).and_then(Raw::text).map(ToOwned::to_owned));
                    Arg::Texts(cells.collect())
                })
                .collect();
            // An identity column takes the planned key and not the sequence's next.
            (
                format!(
                    "OVERRIDING SYSTEM VALUE SELECT {} FROM unnest({}) AS u({})",
                    cast.join(", "),
                    arrays.join(", "),
                    names.join(", ")
                ),
                args,
            )
        }
    };
    let returning: Vec<String> = whole
        .iter()
        .map(|column| match engine {
            Engine::Sqlite => ident(column),
            Engine::Postgres => format!("{}::text", ident(column)),
        })
        .collect();
    let verb = if engine == Engine::Sqlite { "INSERT OR ABORT" } else { "INSERT" };
    let sql = format!("{verb} INTO {table} ({}) {source} RETURNING {}", list.join(", "), returning.join(", "));
    let stored = connection.rows(&sql, args).await?;
    check_inserted(group, rows, &whole, stored)
}

/// Puts the stored rows into the order of the planned ones and compares what the plan sets.
fn check_inserted(group: &Group, rows: &[RowWrite], whole: &[String], stored: Vec<RawRow>) -> Result<Written> {
    let at = |column: &String| whole.iter().position(|c| c == column);
    let key: Vec<usize> = group.key.iter().filter_map(at).collect();
    let set: Vec<usize> = group.set.iter().filter_map(at).collect();
    let pick =
        |row: &RawRow, places: &[usize]| -> Vec<Raw> { places.iter().filter_map(|at| row.get(*at).cloned()).collect() };
    if key.len() != group.key.len() || set.len() != group.set.len() {
        return Err(Error::refused(Code::ColumnUnknown, "a column of an inserted row is no longer in its table"));
    }
    let mut by_key: std::collections::BTreeMap<Vec<String>, RawRow> =
        stored.into_iter().map(|row| (pick(&row, &key).iter().map(Raw::tagged).collect(), row)).collect();
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(stored) = by_key.remove(&row.key.iter().map(Raw::tagged).collect::<Vec<_>>()) else {
            return Ok(Written::Differs);
        };
        if pick(&stored, &set) != row.set {
            return Ok(Written::Differs);
        }
        found.push(stored);
    }
    Ok(Written::AsPlanned(found))
}
