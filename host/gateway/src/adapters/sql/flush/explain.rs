//! Which rows of a batch are no longer as planned, and how: what people see of a drift in the flush.

use mendwright_core::commitment::Bound;
use mendwright_core::compare::{Comparison, Difference, What};

use super::super::connection::Connection;
use super::super::raw::{Raw, shown_key, to_value};
use super::group::{Group, RowWrite};
use super::look::{stored, tags};
use crate::error::Error;

/// Which rows of a batch are no longer as planned, and how.
pub(super) async fn explain(connection: &mut Connection, group: &Group, batch: &[RowWrite], tenant: &str) -> Error {
    let engine = connection.engine();
    let select: Vec<String> = group.guard.iter().map(|column| engine.read("t", column)).collect();
    let now = match stored(connection, group, batch, Some(tenant), &select).await {
        Ok(now) => now,
        Err(error) => return error,
    };
    let mut comparison = Comparison::default();
    for row in batch {
        match now.get(&tags(&row.key)) {
            None => {
                comparison.broken += 1;
                note(&mut comparison, group, row, None, None);
            }
            Some(cells) if **cells != *row.guard => {
                comparison.broken += 1;
                for ((column, planned), now) in group.guard.iter().zip(&row.guard).zip(cells) {
                    if planned != now {
                        note(&mut comparison, group, row, Some((column, planned)), Some(now));
                    }
                }
            }
            Some(_) => comparison.held += 1,
        }
    }
    Error::Drifted(Box::new(comparison))
}

fn note(
    comparison: &mut Comparison,
    group: &Group,
    row: &RowWrite,
    planned: Option<(&String, &Raw)>,
    now: Option<&Raw>,
) {
    if comparison.differences.len() >= mendwright_core::compare::DIFFERENCES_MAX {
        return;
    }
    let physical = planned.map(|(column, _)| column.as_str()).unwrap_or_default();
    let bound = group.resolved.columns.iter().find(|(_, c)| c.column == physical);
    // What no person may see is not shown, not even as what it was.
    let shown = |raw: &Raw| -> Option<Bound> {
        let (_, column) = bound?;
        if column.sensitive {
            return None;
        }
        to_value(group.engine, column.kind, raw).map(Bound::Shown)
    };
    let name = bound.map_or(physical, |(name, _)| name.as_str());
    comparison.differences.push(Difference {
        resource: group.resolved.name.clone(),
        key: shown_key(&group.resolved, &row.key),
        column: name.to_owned(),
        planned: planned.and_then(|(_, raw)| shown(raw)),
        now: now.and_then(shown),
        what: if now.is_some() { What::Before } else { What::Missing },
    });
}
