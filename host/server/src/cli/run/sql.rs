//! A plan, or its undo, as plain SQL.

use std::collections::BTreeMap;

use mendwright_core::binding::Resolved;
use mendwright_gateway::Engine;
use mendwright_gateway::adapters::sql::report::check_resource;
use mendwright_store::RunRecord;

use super::loaded::{Loaded, Wanted, load, total};
use crate::cli::context::Context;
use crate::cli::door::Books;
use crate::cli::problem;
use crate::config::Config;
use crate::engine;
use crate::view::problem::Problem;
use crate::view::sql::{self, PhysicalTable, Script, inverse};

/// Which way the script goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// What the plan changes.
    There,
    /// What undoes it.
    Back,
}

/// The script. The target is asked for its own names and types; nothing of it is changed.
pub(super) async fn script(
    context: &Context,
    config: &Config,
    books: Books<'_>,
    run: &RunRecord,
    direction: Direction,
) -> Result<String, Problem> {
    let Loaded { document, changes } = load(books, run.number, Wanted::All).await?;
    let mut engine = Engine::Sqlite;
    let mut resolved = Vec::new();
    for changed in document.resources.iter().filter(|resource| total(resource) > 0) {
        let Some(resource) = config.resources.get(&changed.name) else { continue };
        let target = engine::target(config, &context.env, &resource.database)?;
        engine = target.engine;
        let report = check_resource(&target, resource, &config.resources, Some(&run.tenant)).await;
        resolved.push(report.map_err(|error| problem::gateway(&error))?.resolved);
    }
    let changes = match direction {
        Direction::There => changes,
        Direction::Back => inverse(&changes),
    };
    let what = match direction {
        Direction::There => format!("run {}, plan {}", run.number, document.digest),
        Direction::Back => format!("undo of run {}, plan {}", run.number, document.digest),
    };
    let title = [
        what,
        format!("{} {} for tenant {} · {}", run.job_name, run.job_version, run.tenant, run.environment),
        "Run by hand it is in no journal: Mendwright cannot undo it.".to_owned(),
    ];
    let tables: BTreeMap<String, PhysicalTable> =
        resolved.iter().map(|table| (table.name.clone(), PhysicalTable::from(table))).collect();
    Ok(sql::sql(&Script {
        engine: match engine {
            Engine::Sqlite => sql::Engine::Sqlite,
            Engine::Postgres => sql::Engine::Postgres,
        },
        title: &title,
        changes: &changes,
        tables: &tables,
        parents_first: &parents_first(&resolved),
    }))
}

/// The resources, each behind those that its foreign keys point at. A circle ends where it began.
fn parents_first(resolved: &[Resolved]) -> Vec<String> {
    let mut ordered: Vec<String> = Vec::new();
    let mut waiting: Vec<&Resolved> = resolved.iter().collect();
    while !waiting.is_empty() {
        let depends = |child: &Resolved| {
            let parent = |other: &&Resolved| {
                other.name != child.name
                    && child.foreign_keys.iter().any(|key| key.table == other.table && key.schema == other.schema)
            };
            waiting.iter().any(parent)
        };
        let free = waiting.iter().position(|table| !depends(table)).unwrap_or(0);
        ordered.push(waiting.remove(free).name.clone());
    }
    ordered
}
