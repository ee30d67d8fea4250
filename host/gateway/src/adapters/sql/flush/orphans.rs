//! Rows that would refer to nothing.

use mendwright_core::change::Action;

use super::super::connection::{Arg, Connection};
use super::super::engine::{Engine, ident};
use super::group::Group;
use super::statement::placeholders;
use crate::error::{Error, Result};

/// Rows that one look asks for.
const ROWS_MAX: usize = 1_000;

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
                let pairs = columns.iter().enumerate().map(|(n, column)| format!("{alias}.{} = mw.k{n}", ident(column)));
                pairs.collect::<Vec<_>>().join(" AND ")
            };
            for chunk in group.rows.chunks(ROWS_MAX) {
                let values = chunk.iter().flat_map(|row| {
                    places.iter().filter_map(|at| row.key.iter().chain(&row.guard).nth(*at)).cloned()
                });
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
