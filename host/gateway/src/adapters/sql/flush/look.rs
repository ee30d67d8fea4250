//! Rows of a batch as they are now, by their keys.

use std::collections::BTreeMap;

use super::super::connection::{Arg, Connection, RawRow};
use super::super::engine::{Engine, bare, ident};
use super::super::raw::Raw;
use super::super::scope::Scope;
use super::super::session::declared;
use super::group::{Group, RowWrite};
use crate::error::Result;

/// Rows that one look asks for.
pub(super) const ROWS_MAX: usize = 1_000;

pub(super) fn key_names(engine: Engine, group: &Group) -> String {
    match engine {
        Engine::Postgres => String::new(),
        Engine::Sqlite => {
            let names: Vec<String> = (0..group.key.len()).map(|n| format!("k{n}")).collect();
            format!("({})", names.join(","))
        }
    }
}

/// The keys of a batch as a table `mw(k0…)`, their parameters (the statement's first), and the join
/// with `t`.
pub(super) fn key_source(engine: Engine, group: &Group, batch: &[RowWrite]) -> (String, Vec<Arg>, String) {
    let width = group.key.len();
    let on = |n: usize, column: &String| match engine {
        Engine::Sqlite => format!("t.{} = mw.k{n}", ident(column)),
        Engine::Postgres => format!("t.{} = mw.k{n}::{}", ident(column), bare(&declared(&group.resolved, column))),
    };
    let joined: Vec<String> = group.key.iter().enumerate().map(|(n, column)| on(n, column)).collect();
    let (source, args) = match engine {
        Engine::Sqlite => (
            format!("VALUES {}", super::statement::placeholders(batch.len(), width)),
            batch.iter().flat_map(|row| row.key.iter().cloned()).map(Arg::Raw).collect::<Vec<_>>(),
        ),
        Engine::Postgres => {
            let arrays: Vec<String> = (0..width).map(|n| format!("${}::text[]", n + 1)).collect();
            let names: Vec<String> = (0..width).map(|n| format!("k{n}")).collect();
            let column =
                |n: usize| batch.iter().map(|row| row.key.get(n).and_then(Raw::text).map(str::to_owned)).collect();
            (
                format!("SELECT * FROM unnest({}) AS u({})", arrays.join(", "), names.join(", ")),
                (0..width).map(|n| Arg::Texts(column(n))).collect(),
            )
        }
    };
    (source, args, joined.join(" AND "))
}

/// Reads columns of the batch's rows as they are now, by key; rows that are gone or not the tenant's
/// are absent.
pub(super) async fn stored(
    connection: &mut Connection,
    group: &Group,
    batch: &[RowWrite],
    tenant: Option<&str>,
    select: &[String],
) -> Result<BTreeMap<Vec<String>, RawRow>> {
    let engine = connection.engine();
    let width = group.key.len();
    let mut found = BTreeMap::new();
    for chunk in batch.chunks(ROWS_MAX) {
        let (keys, mut args, on) = key_source(engine, group, chunk);
        let scope = tenant.map(|tenant| Scope::new(engine, &group.resolved, tenant, args.len() + 1));
        args.extend(scope.iter().flat_map(Scope::args));
        let columns: Vec<String> =
            group.key.iter().map(|k| engine.read("t", k)).chain(select.iter().cloned()).collect();
        let (joins, condition) = match &scope {
            Some(scope) => (scope.joins.as_str(), scope.condition.as_str()),
            None => ("", "1 = 1"),
        };
        let sql = format!(
            "WITH mw{} AS ({keys}) SELECT {} FROM mw JOIN {} AS t ON {on}{joins} WHERE {condition}",
            key_names(engine, group),
            columns.join(", "),
            engine.table(group.resolved.schema.as_deref(), &group.resolved.table),
        );
        for mut row in connection.rows_by_key(&sql, args).await? {
            let rest = row.split_off(width.min(row.len()));
            found.insert(row.iter().map(Raw::tagged).collect(), rest);
        }
    }
    Ok(found)
}

pub(super) fn tags(key: &[Raw]) -> Vec<String> {
    key.iter().map(Raw::tagged).collect()
}
