//! What must not change while a flush lasts, and what must not have changed before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use mendwright_core::binding::Resolved;
use mendwright_core::change::Action;
use mendwright_core::code::Code;
use mendwright_core::plan::header::Digest;
use mendwright_sqlite::{bind, rusqlite};

use super::super::computed::StableRead;
use super::super::connection::{Arg, Connection};
use super::super::engine::{Engine, ident};
use super::super::install;
use super::super::lite::raw_row;
use super::super::raw::Raw;
use super::super::scope::Scope;
use super::super::session::{count_statement, hash_row, seen};
use super::Flush;
use super::group::{Group, RowWrite};
use super::look::{ROWS_MAX, key_names, key_source};
use crate::error::{Error, Result};
use crate::target::Target;

/// PostgreSQL: nobody alters the tables; nobody writes what must stay as it was read.
pub(super) async fn tables(
    connection: &mut Connection,
    target: &Target,
    groups: &[Group],
    reads: &[StableRead],
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<()> {
    if connection.engine() == Engine::Sqlite {
        return Ok(());
    }
    let mut modes: BTreeMap<String, &str> = BTreeMap::new();
    let name = |r: &Resolved| Engine::Postgres.table(r.schema.as_deref(), &r.table);
    for group in groups {
        modes.insert(name(&group.resolved), "ROW EXCLUSIVE");
    }
    for resource in reads.iter().map(|read| &read.resource).collect::<BTreeSet<_>>() {
        let Some(resolved) = resolved.get(resource) else { continue };
        let tables = std::iter::once(name(resolved))
            .chain(resolved.tenant.steps.iter().map(|s| Engine::Postgres.table(s.schema.as_deref(), &s.table)));
        for table in tables {
            let mode = if modes.contains_key(&table) { "SHARE ROW EXCLUSIVE" } else { "SHARE" };
            modes.insert(table, mode);
        }
    }
    // `LOCK TABLE` wants a right to the whole table, which the role of repairs does not have.
    let sql = format!(
        "SELECT {}($1::text::regclass, $2::text)::text",
        Engine::Postgres.table(Some(&target.schema), "lock_table")
    );
    for (table, mode) in modes {
        connection.rows(&sql, vec![Arg::text(table), Arg::text(mode)]).await?;
    }
    Ok(())
}

/// The target is the database that the plan was made for.
pub(super) async fn same_target(connection: &mut Connection, flush: &Flush<'_>) -> Result<()> {
    let found = install::identity(connection, flush.target).await?;
    if found.identity == flush.identity {
        return Ok(());
    }
    Err(Error::refused(
        Code::TargetChanged,
        format!("database `{}` is not the one that the plan was made for", flush.target.name),
    ))
}

/// The tables are still what the plan bound: no trigger, column or constraint came in between.
pub(super) async fn same_bindings(connection: &mut Connection, flush: &Flush<'_>) -> Result<()> {
    let written: BTreeSet<&str> = flush.groups.iter().map(|group| group.resolved.name.as_str()).collect();
    for name in written {
        let (Some(planned), Some(resource)) = (flush.resolved.get(name), flush.bindings.get(name)) else {
            return Err(Error::refused(Code::PlanBinding, format!("resource `{name}` is no longer bound")));
        };
        let now = seen::resolve(connection, flush.target, resource, flush.bindings, flush.tenant).await?;
        if !Arc::ptr_eq(&now, planned) && Digest::of_json(now.as_ref()) != Digest::of_json(planned.as_ref()) {
            return Err(Error::refused(
                Code::PlanBinding,
                format!("table `{}` of resource `{name}` changed since the plan was made", planned.table),
            ));
        }
    }
    Ok(())
}

/// Every row that the job read of such a resource is still as it was read.
pub(super) async fn same_reads(connection: &mut Connection, reads: &[StableRead]) -> Result<()> {
    for (n, read) in reads.iter().enumerate() {
        let sql = match read.complete {
            true => read.sql.clone(),
            false => format!("{} LIMIT {}", read.sql, read.rows),
        };
        let hash = match connection.engine() {
            Engine::Sqlite => connection.file()?.with(read.rows, |db| hash_rows(db, &sql, &read.args))?,
            Engine::Postgres => {
                hash_by_cursor(connection, &format!("mendwright_reads_{n}"), &sql, read.args.clone()).await?
            }
        };
        if <[u8; 32]>::from(hash.finalize()) != read.hash {
            return Err(Error::refused(
                Code::ReadsDrifted,
                format!("rows of `{}` that the job read have changed since; plan again", read.resource),
            ));
        }
    }
    Ok(())
}

fn hash_rows(db: &rusqlite::Connection, sql: &str, args: &[Arg]) -> Result<Sha256> {
    let mut hash = Sha256::new();
    let mut statement = db.prepare_cached(sql)?;
    bind(&mut statement, 1, args)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        hash_row(&mut hash, &raw_row(row)?);
    }
    drop(rows);
    Ok(hash)
}

/// A large result is never streamed inside a flush: a host that stops in the middle of one cannot be
/// ended by its fence.
/// Each cursor has a name of its own: the driver remembers a statement's columns by its text.
async fn hash_by_cursor(connection: &mut Connection, name: &str, sql: &str, args: Vec<Arg>) -> Result<Sha256> {
    let mut hash = Sha256::new();
    connection.execute(&format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}"), args).await?;
    loop {
        let page = connection.rows(&format!("FETCH FORWARD 1000 FROM {name}"), vec![]).await?;
        if page.is_empty() {
            break;
        }
        page.iter().for_each(|row| hash_row(&mut hash, row));
    }
    connection.batch(&format!("CLOSE {name}")).await?;
    Ok(hash)
}

/// PostgreSQL: locks the rows that say whose the batch's rows are, parents first. What holds after
/// this is looked at by later statements.
pub(super) async fn path(connection: &mut Connection, group: &Group, batch: &[RowWrite], tenant: &str) -> Result<()> {
    let scope = Scope::new(connection.engine(), &group.resolved, tenant, 1);
    if connection.engine() == Engine::Sqlite || group.action == Action::Insert || scope.parents.is_empty() {
        return Ok(());
    }
    let (keys, key_args, on) = key_source(connection.engine(), group, batch);
    let aliases: Vec<String> = (1..=scope.parents.len()).rev().map(|n| format!("p{n}")).collect();
    let sql = format!(
        "WITH mw AS ({keys}), locked AS (SELECT 1 FROM mw JOIN {} AS t ON {on}{} ORDER BY {} FOR SHARE OF {})
         SELECT count(*)::text FROM locked",
        Engine::Postgres.table(group.resolved.schema.as_deref(), &group.resolved.table),
        scope.joins,
        group.key.iter().map(|k| format!("t.{}", ident(k))).collect::<Vec<_>>().join(", "),
        aliases.join(", ")
    );
    connection.rows(&sql, key_args).await.map(drop)
}

/// After the write: inserted rows are the tenant's, and every foreign key that was written leads to a
/// row of the tenant or to reference data.
pub(super) async fn in_tenant(
    connection: &mut Connection,
    group: &Group,
    batch: &[RowWrite],
    tenant: &str,
) -> Result<()> {
    if group.action == Action::Insert {
        let found = count_in_tenant(connection, group, batch, tenant).await?;
        if found != batch.len() {
            return Err(foreign(&group.resolved.name));
        }
    }
    Ok(())
}

async fn count_in_tenant(
    connection: &mut Connection,
    group: &Group,
    batch: &[RowWrite],
    tenant: &str,
) -> Result<usize> {
    let engine = connection.engine();
    let mut found = 0;
    for chunk in batch.chunks(ROWS_MAX) {
        let (keys, mut args, on) = key_source(engine, group, chunk);
        let scope = Scope::new(engine, &group.resolved, tenant, args.len() + 1);
        args.extend(scope.args());
        let (count, held) = match engine {
            Engine::Sqlite => ("count(*)", String::new()),
            // Without a foreign key nothing else keeps a parent from changing hands before the commit.
            Engine::Postgres if scope.parents.is_empty() => ("count(*)::text", String::new()),
            Engine::Postgres => {
                let aliases: Vec<String> = (1..=scope.parents.len()).rev().map(|n| format!("p{n}")).collect();
                ("count(*)::text", format!(" FOR SHARE OF {}", aliases.join(", ")))
            }
        };
        let sql = format!(
            "WITH mw{} AS ({keys}), found AS (SELECT 1 FROM mw JOIN {} AS t ON {on}{} WHERE {}{held})
             SELECT {count} FROM found",
            key_names(engine, group),
            engine.table(group.resolved.schema.as_deref(), &group.resolved.table),
            scope.joins,
            scope.condition
        );
        found += usize::try_from(connection.count(&sql, args).await?).unwrap_or(0);
    }
    Ok(found)
}

/// Whether foreign keys that a batch writes lead to rows of the tenant; holds those rows.
pub(super) async fn references(
    connection: &mut Connection,
    group: &Group,
    batch: &[RowWrite],
    tenant: &str,
    resolved: &BTreeMap<String, Arc<Resolved>>,
) -> Result<()> {
    for key in &group.resolved.foreign_keys {
        // What stays of a key of several columns is guarded, and part of where it leads.
        let written = |column: &String| group.set.contains(column);
        let names: Vec<&String> = group.set.iter().chain(&group.guard).chain(&group.key).collect();
        let places: Vec<usize> =
            key.columns.iter().filter_map(|column| names.iter().position(|name| *name == column)).collect();
        if !key.columns.iter().any(written) || group.action == Action::Delete {
            continue;
        }
        if places.len() < key.columns.len() {
            return Err(foreign(&group.resolved.name));
        }
        let parent = resolved
            .values()
            .find(|r| r.database == group.resolved.database && r.table == key.table && r.schema == key.schema);
        let Some(parent) = parent else { return Err(foreign(&group.resolved.name)) };
        let mut wanted: BTreeMap<Vec<String>, Vec<Raw>> = BTreeMap::new();
        for row in batch {
            let values: Vec<Raw> = places
                .iter()
                .filter_map(|at| row.set.iter().chain(&row.guard).chain(&row.key).nth(*at).cloned())
                .collect();
            if values.iter().all(|raw| *raw != Raw::Null) {
                wanted.insert(values.iter().map(Raw::tagged).collect(), values);
            }
        }
        let wanted: Vec<Vec<Raw>> = wanted.into_values().collect();
        for chunk in wanted.chunks(ROWS_MAX) {
            let (sql, args) = count_statement(connection.engine(), parent, key, chunk, tenant);
            let sql = match connection.engine() {
                Engine::Sqlite => sql,
                // Held until the end, so that a parent cannot change hands behind the check.
                Engine::Postgres => {
                    let rows = sql.replacen("SELECT count(*)::text", "SELECT 1", 1);
                    format!("WITH held AS ({rows} FOR SHARE) SELECT count(*)::text FROM held")
                }
            };
            let found = usize::try_from(connection.count(&sql, args).await?).unwrap_or(0);
            if found != chunk.len() {
                return Err(foreign(&group.resolved.name));
            }
        }
    }
    Ok(())
}

fn foreign(resource: &str) -> Error {
    Error::refused(
        Code::ReferenceForeign,
        format!("a row of `{resource}` would hang on a row that is not the tenant's"),
    )
}
