//! What a flush must leave alone, where a trigger could change more than is written.

use std::collections::BTreeMap;

use mendwright_core::change::Action;
use mendwright_core::code::Code;
use sha2::{Digest as _, Sha256};

use super::super::connection::Connection;
use super::super::engine::{Engine, ident};
use super::super::session::{hash_row, stored_columns};
use super::group::{Group, RowWrite};
use super::look::{stored, tags};
use super::marks::Marks;
use crate::error::{Error, Result};

/// What the rows of a flush hold in the columns that it must leave alone: a declared trigger may
/// change what the binding calls derived, and nothing else.
pub(super) struct Fingerprints {
    before: Vec<BTreeMap<Vec<String>, [u8; 32]>>,
    marks: Option<Marks>,
}

impl Fingerprints {
    /// Remembers the rows before the write, where anything in the database could change more than is
    /// written.
    pub(super) async fn take(connection: &mut Connection, groups: &[Group]) -> Result<Self> {
        let needed =
            groups.iter().any(|g| g.resolved.side_effects.iter().any(|e| e.what == "trigger" || e.what == "rule"));
        if !needed {
            return Ok(Self { before: Vec::new(), marks: None });
        }
        let mut before = Vec::with_capacity(groups.len());
        for group in groups {
            before.push(match group.action {
                Action::Update => prints(connection, group, &group.rows, &group.set).await?,
                Action::Insert | Action::Delete => BTreeMap::new(),
            });
        }
        Ok(Self { before, marks: Some(Marks::begin(connection, groups).await?) })
    }

    /// Compares with the rows after the write, when every trigger has fired.
    pub(super) async fn check(self, connection: &mut Connection, groups: &[Group]) -> Result<()> {
        let engine = connection.engine();
        for (group, before) in groups.iter().zip(&self.before) {
            let select: Vec<String> = group.set.iter().map(|column| engine.read("t", column)).collect();
            let set = stored(connection, group, &group.rows, None, &select).await?;
            let untouched = match group.action {
                Action::Update => prints(connection, group, &group.rows, &group.set).await? == *before,
                Action::Insert | Action::Delete => true,
            };
            let as_planned = group.rows.iter().all(|row| match (group.action, set.get(&tags(&row.key))) {
                (Action::Delete, found) => found.is_none(),
                (Action::Insert | Action::Update, found) => found.is_some_and(|found| **found == *row.set),
            });
            if !untouched || !as_planned {
                return Err(Error::refused(
                    Code::WriteDiffers,
                    format!("a trigger changed more of `{}` than its binding declares", group.resolved.name),
                ));
            }
        }
        match self.marks {
            Some(marks) => marks.check(connection, groups).await,
            None => Ok(()),
        }
    }
}

/// Key → a hash over the row's stored columns, except these and the derived ones.
pub(super) async fn prints(
    connection: &mut Connection,
    group: &Group,
    rows: &[RowWrite],
    except: &[String],
) -> Result<BTreeMap<Vec<String>, [u8; 32]>> {
    let engine = connection.engine();
    let derived = |physical: &str| group.resolved.columns.values().any(|c| c.column == physical && c.derived.is_some());
    let select: Vec<String> = stored_columns(&group.resolved)
        .iter()
        .filter(|column| !except.contains(column) && !derived(column))
        .map(|column| match engine {
            // Text that is not UTF-8 may lie beside what is written.
            Engine::Sqlite => {
                let name = ident(column);
                format!("iif(typeof(t.{name}) = 'text', CAST(t.{name} AS BLOB), t.{name}), typeof(t.{name})")
            }
            Engine::Postgres => engine.read("t", column),
        })
        .collect();
    let found = stored(connection, group, rows, None, &select).await?;
    Ok(found
        .into_iter()
        .map(|(key, row)| {
            let mut hash = Sha256::new();
            hash_row(&mut hash, &row);
            (key, hash.finalize().into())
        })
        .collect())
}
