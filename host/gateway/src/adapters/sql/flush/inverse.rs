//! What writes before-images back, and only if the rows are as a flush left them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::binding::Resolved;
use mendwright_core::change::Action;
use mendwright_core::code::Code;

use super::super::engine::Engine;
use super::super::raw::Raw;
use super::super::session::stored_columns;
use super::group::{Group, RowWrite, Shape};
use super::journal::{Entry, Head};
use crate::error::{Error, Result};

/// Where a value of the way back comes from.
#[derive(Clone, Copy, Debug)]
enum From {
    Before(usize),
    After(usize),
}

/// The way back of one page: the shape of its writes, and where their values come from.
pub(crate) struct Inverse {
    shape: Shape,
    guard: Vec<From>,
    set: Vec<From>,
}

impl Inverse {
    /// The way back of rows with this head.
    ///
    /// # Errors
    /// `ERR_RESOURCE_UNKNOWN` and `ERR_ROLLBACK_CONFLICT`: there is none any more.
    pub(crate) fn new(head: &Head, engine: Engine, resolved: &BTreeMap<String, Arc<Resolved>>) -> Result<Self> {
        let table = resolved.get(&head.resource).ok_or_else(|| {
            Error::refused(Code::ResourceUnknown, format!("resource `{}` is no longer bound", head.resource))
        })?;
        let names = &head.columns;
        let there = stored_columns(table);
        let gone = names.key.iter().chain(&names.before).chain(&names.after).find(|column| !there.contains(column));
        if let Some(column) = gone {
            return Err(Error::refused(
                Code::RollbackConflict,
                format!("column `{column}` of `{}` was dropped since the run", head.resource),
            ));
        }
        let before = || names.before.iter().zip((0..).map(From::Before));
        let after = || names.after.iter().zip((0..).map(From::After));
        let written = |column: &String| names.after.contains(column);
        let (action, guard, set): (_, Vec<_>, Vec<_>) = match head.action {
            Action::Insert => (Action::Delete, after().collect(), Vec::new()),
            Action::Delete => {
                (Action::Insert, Vec::new(), before().filter(|(column, _)| !names.key.contains(column)).collect())
            }
            Action::Update => {
                let mut path = path_columns(table);
                // The rest of a reference that was written in part.
                let keys = table.foreign_keys.iter().filter(|key| key.columns.iter().any(written));
                path.extend(keys.flat_map(|key| key.columns.iter().cloned()));
                let stays = before().filter(|(column, _)| !written(column) && path.contains(column));
                let set = before().filter(|(column, _)| written(column)).collect();
                (Action::Update, after().chain(stays).collect(), set)
            }
        };
        let split = |cells: Vec<(&String, From)>| -> (Vec<String>, Vec<From>) {
            cells.into_iter().map(|(column, from)| (column.clone(), from)).unzip()
        };
        let ((guard_names, guard), (set_names, set)) = (split(guard), split(set));
        let shape = Shape::new(Arc::clone(table), engine, action, [names.key.clone(), guard_names, set_names]);
        Ok(Self { shape, guard, set })
    }

    /// The writes of the way back.
    pub(crate) fn group<'e>(&self, entries: impl IntoIterator<Item = &'e Entry>) -> Group {
        Group { shape: self.shape.clone(), rows: entries.into_iter().map(|entry| self.write(entry)).collect() }
    }

    fn write(&self, entry: &Entry) -> RowWrite {
        let pick = |from: &From| -> Option<Raw> {
            match from {
                From::Before(at) => entry.before.get(*at),
                From::After(at) => entry.after.get(*at),
            }
            .cloned()
        };
        RowWrite {
            key: entry.key.clone(),
            guard: self.guard.iter().filter_map(pick).collect(),
            set: self.set.iter().filter_map(pick).collect(),
            reason: Box::default(),
        }
    }
}

fn path_columns(table: &Resolved) -> Vec<String> {
    match table.tenant.steps.first() {
        Some(step) => step.on.iter().map(|(own, _)| own.clone()).collect(),
        None => table.tenant.column.iter().cloned().collect(),
    }
}
