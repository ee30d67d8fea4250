//! The snapshot's rows by their keys, some hundred in one statement.

use std::collections::BTreeMap;

use mendwright_core::change::Key;
use mendwright_core::port::Refusal;

use super::super::connection::Arg;
use super::super::engine::{Engine, bare, ident, is_indexed_as_text};
use super::super::flush::placeholders;
use super::super::overlay::Base;
use super::super::raw::Raw;
use super::super::scope::Scope;
use super::Session;
use super::table::Table;

/// Keys of one statement: SQLite takes 32,766 parameters, and a composite key uses several.
pub(super) const KEYS_MAX: usize = 1_000;

impl Session {
    /// The snapshot's rows with these keys, as the overlay keeps them.
    pub(super) async fn fetch(
        &mut self,
        table: &Table,
        keys: &[Key],
        stable: bool,
    ) -> Result<BTreeMap<Key, Base>, Refusal> {
        let mut found = BTreeMap::new();
        let width = table.columns.len();
        let select = format!("{}{}", table.select(&table.columns), table.select_path());
        for chunk in keys.chunks(KEYS_MAX) {
            let keys = chunk.iter().map(|key| table.sought_key(key)).collect::<Result<Vec<_>, _>>()?;
            // A key that the column cannot hold is no row's.
            let raws: Vec<Vec<Raw>> = keys.into_iter().flatten().collect();
            if raws.is_empty() {
                continue;
            }
            let (join, mut args) = join_keys(table, &raws);
            let scope = Scope::new(table.engine, &table.resolved, &self.tenant, args.len() + 1);
            args.extend(scope.args());
            let sql = format!(
                "SELECT {select} FROM {}{join}{} WHERE {} ORDER BY {}",
                table.from(),
                scope.joins,
                scope.condition,
                table.key_list().join(", ")
            );
            let sql = with_keys(table, &raws, &sql);
            let rows = self.rows(table, &sql, args, stable).await?;
            for mut row in rows {
                let path = row.split_off(width.min(row.len()));
                let base = Base { cells: row.into(), path: path.into() };
                let key = key_of(table, &table.columns, &base.cells)?;
                found.insert(key, base);
            }
        }
        Ok(found)
    }
}

fn key_of(table: &Table, columns: &[String], cells: &[Raw]) -> Result<Key, Refusal> {
    let mut key = Vec::with_capacity(table.resolved.key.len());
    for (name, column) in table.resolved.key_columns() {
        if let Some(raw) = columns.binary_search_by(|c| c.as_str().cmp(name)).ok().and_then(|at| cells.get(at)) {
            key.push(table.value(name, column, raw)?);
        }
    }
    Ok(Key(key))
}

/// `JOIN` with the keys wanted, and their parameters: the statement's first.
pub(super) fn join_keys(table: &Table, keys: &[Vec<Raw>]) -> (String, Vec<Arg>) {
    let columns: Vec<_> = table.resolved.key_columns().map(|(_, column)| column).collect();
    match table.engine {
        Engine::Sqlite => {
            let on: Vec<String> =
                table.key_list().iter().enumerate().map(|(n, key)| format!("{key} = mw.k{n}")).collect();
            let args = keys.iter().flatten().cloned().map(Arg::Raw).collect();
            (format!(" JOIN mw ON {}", on.join(" AND ")), args)
        }
        Engine::Postgres => {
            let arrays: Vec<String> = (0..columns.len()).map(|n| format!("${}::text[]", n + 1)).collect();
            let names: Vec<String> = (0..columns.len()).map(|n| format!("k{n}")).collect();
            let on: Vec<String> = (columns.iter().enumerate())
                .map(|(n, column)| {
                    // A row is found by the key that it has, so `=` of the type itself is exact enough.
                    if is_indexed_as_text(column, keys.iter().filter_map(|key| key.get(n))) {
                        format!("t.{} = mw.k{n}::{}", ident(&column.column), bare(&column.declared))
                    } else {
                        let (side, cast) = table.engine.side("t", column);
                        format!("{side} = mw.k{n}::{cast}")
                    }
                })
                .collect();
            let args = (0..columns.len())
                .map(|n| Arg::Texts(keys.iter().map(|k| k.get(n).and_then(Raw::text).map(ToOwned::to_owned)).collect()))
                .collect();
            (format!(" JOIN unnest({}) AS mw({}) ON {}", arrays.join(", "), names.join(", "), on.join(" AND ")), args)
        }
    }
}

/// SQLite has no arrays: the keys stand before the statement as a table of their own.
pub(super) fn with_keys(table: &Table, keys: &[Vec<Raw>], sql: &str) -> String {
    match table.engine {
        Engine::Postgres => sql.to_owned(),
        Engine::Sqlite => {
            let width = table.resolved.key.len();
            let names: Vec<String> = (0..width).map(|n| format!("k{n}")).collect();
            let rows = placeholders(keys.len(), width);
            format!("WITH mw({}) AS (VALUES {}) {sql}", names.join(","), rows)
        }
    }
}
