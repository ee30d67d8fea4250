//! Rows of other tables that hang on what a flush takes away: they would refer to nothing, or the
//! database would change or delete them without a word.

use std::collections::BTreeSet;

use mendwright_core::binding::Reference;
use mendwright_core::change::Action;
use mendwright_core::code::Code;

use super::super::connection::{Arg, Connection};
use super::super::engine::{Engine, ident};
use super::super::raw::Raw;
use super::group::{Group, RowWrite};
use super::look::{ROWS_MAX, key_names, key_source, tags};
use super::statement::placeholders;
use crate::error::{Error, Result};

/// SQLite looks at foreign keys when it commits, which a rehearsal never does: whether rows still refer
/// to what the groups took away. What they refer to themselves was looked at with each batch.
pub(super) async fn none(connection: &mut Connection, groups: &[Group]) -> Result<()> {
    if connection.engine() == Engine::Postgres {
        return Ok(());
    }
    for group in groups.iter().filter(|group| group.action != Action::Insert) {
        let names: Vec<&String> = group.key.iter().chain(&group.guard).collect();
        for reference in &group.resolved.referenced_by {
            let places: Vec<usize> = reference
                .references
                .iter()
                .filter_map(|column| names.iter().position(|name| name.eq_ignore_ascii_case(column)))
                .collect();
            let stays = group.action == Action::Update && !reference.references.iter().any(|r| group.set.contains(r));
            if stays || places.len() < reference.references.len() {
                continue;
            }
            let own = (0..places.len()).map(|n| format!("k{n}")).collect::<Vec<_>>().join(",");
            let on = |alias: &str, columns: &[String]| {
                let pairs =
                    columns.iter().enumerate().map(|(n, column)| format!("{alias}.{} = mw.k{n}", ident(column)));
                pairs.collect::<Vec<_>>().join(" AND ")
            };
            for chunk in group.rows.chunks(ROWS_MAX) {
                let values = chunk
                    .iter()
                    .flat_map(|row| places.iter().filter_map(|at| row.key.iter().chain(&row.guard).nth(*at)).cloned());
                let args = values.map(Arg::Raw).collect();
                let sql = format!(
                    "WITH mw({own}) AS (VALUES {}) SELECT count(*) FROM mw JOIN {} AS c ON {}
                     WHERE NOT EXISTS (SELECT 1 FROM {} AS p WHERE {})",
                    placeholders(chunk.len(), places.len()),
                    ident(&reference.table),
                    on("c", &reference.columns),
                    ident(&group.resolved.table),
                    on("p", &reference.references),
                );
                if connection.count(&sql, args).await? > 0 {
                    return Err(Error::Violated {
                        message: "a foreign key of the database forbids a change of the plan".to_owned(),
                    });
                }
            }
        }
    }
    Ok(())
}

/// Before a delete: whether the database would change rows by itself that the plan does not show.
/// Planned children are gone by now; whose the others are does not matter.
pub(super) async fn no_cascade(connection: &mut Connection, group: &Group, batch: &[RowWrite]) -> Result<()> {
    let acts = |reference: &&Reference| matches!(reference.on_delete.as_str(), "CASCADE" | "SET NULL" | "SET DEFAULT");
    let references: Vec<&Reference> = group.resolved.referenced_by.iter().filter(acts).collect();
    if group.action != Action::Delete || references.is_empty() {
        return Ok(());
    }
    let engine = connection.engine();
    let table = engine.table(group.resolved.schema.as_deref(), &group.resolved.table);
    let planned: BTreeSet<Vec<String>> = group.rows.iter().map(|row| tags(&row.key)).collect();
    for chunk in batch.chunks(ROWS_MAX) {
        let (keys, args, on) = key_source(engine, group, chunk);
        let wanted = format!("WITH mw{} AS ({keys})", key_names(engine, group));
        if engine == Engine::Postgres {
            // A new child locks its parent: none can come between the look and the delete.
            let sql = format!(
                "{wanted}, held AS (SELECT 1 FROM mw JOIN {table} AS t ON {on} FOR UPDATE OF t) SELECT count(*)::text FROM held"
            );
            connection.count(&sql, args.clone()).await?;
        }
        for reference in &references {
            let itself = reference.table == group.resolved.table && reference.schema == group.resolved.schema;
            let select = if itself {
                group.key.iter().map(|key| engine.read("c", key)).collect::<Vec<_>>().join(", ")
            } else {
                if engine == Engine::Postgres { "1::text" } else { "1" }.to_owned()
            };
            let pairs = reference.columns.iter().zip(&reference.references);
            let hangs: Vec<String> =
                pairs.map(|(own, parents)| format!("c.{} = t.{}", ident(own), ident(parents))).collect();
            let sql = format!(
                "{wanted} SELECT {select} FROM mw JOIN {table} AS t ON {on} JOIN {} AS c ON {}{}",
                engine.table(reference.schema.as_deref(), &reference.table),
                hangs.join(" AND "),
                if itself { "" } else { " LIMIT 1" },
            );
            let found = connection.rows(&sql, args.clone()).await?;
            let unplanned = |row: &Vec<Raw>| !itself || !planned.contains(&tags(row));
            if found.iter().any(unplanned) {
                return Err(Error::refused(
                    Code::Referenced,
                    format!(
                        "the database would take rows of `{}` along that the plan does not show",
                        super::super::introspect::show(&reference.table)
                    ),
                ));
            }
        }
    }
    Ok(())
}
