//! Which rows a transaction changed, by the marks that it leaves in the database itself: a trigger may
//! change other rows of a planned table, of this tenant or of another one.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::change::Action;
use mendwright_core::code::Code;
use mendwright_sqlite::Touched;

use super::super::connection::{Arg, Connection};
use super::super::engine::Engine;
use super::super::introspect::show;
use super::group::Group;
use crate::error::{Error, Result};

/// The marks of one transaction, from a moment on.
pub(super) enum Marks {
    /// Every row that SQLite changes is told to us as it happens.
    Sqlite(Touched),
    /// PostgreSQL writes into each row who wrote it, and counts what is deleted. What this transaction
    /// had deleted of each table before.
    Postgres(BTreeMap<String, u64>),
}

impl Marks {
    pub(super) async fn begin(connection: &mut Connection, groups: &[Group]) -> Result<Self> {
        match connection.engine() {
            Engine::Sqlite => {
                for table in tables(groups) {
                    let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE";
                    if connection.one(sql, vec![Arg::text(table.name)]).await?.integer() == Some(1) {
                        return Err(Error::refused(
                            Code::SideEffect,
                            format!(
                                "`{}` is a table WITHOUT ROWID and has triggers: SQLite does not tell which rows they change",
                                show(table.name)
                            ),
                        ));
                    }
                }
                connection.tell_changed_rows().map(Self::Sqlite)
            }
            Engine::Postgres => {
                let mut deleted = BTreeMap::new();
                for table in tables(groups) {
                    deleted.insert(table.quoted(), deletes(connection, &table.quoted()).await?);
                }
                Ok(Self::Postgres(deleted))
            }
        }
    }

    /// Whether no other row of a planned table was changed than planned.
    pub(super) async fn check(self, connection: &mut Connection, groups: &[Group]) -> Result<()> {
        match self {
            Self::Sqlite(touched) => {
                connection.tell_no_changed_rows()?;
                for table in tables(groups) {
                    // Each planned row was changed; were there as many, there was no other.
                    let rows = touched.rows(table.name);
                    if rows > table.written + table.deleted {
                        return Err(more(table.name));
                    }
                }
            }
            Self::Postgres(before) => {
                for table in tables(groups) {
                    let name = table.quoted();
                    let sql = format!("SELECT count(*)::text FROM {name} WHERE xmin = pg_current_xact_id()::xid");
                    let written = connection.count(&sql, vec![]).await?;
                    let deleted = deletes(connection, &name).await?;
                    let deleted = deleted.saturating_sub(before.get(&name).copied().unwrap_or(0));
                    if written > table.written || deleted > table.deleted {
                        return Err(more(table.name));
                    }
                }
            }
        }
        Ok(())
    }
}

fn more(table: &str) -> Error {
    Error::refused(Code::WriteDiffers, format!("a trigger changed rows of `{}` that the plan does not", show(table)))
}

/// A planned table, and how many of its rows are planned to be there or gone.
struct Planned<'a> {
    schema: Option<&'a str>,
    name: &'a str,
    written: u64,
    deleted: u64,
}

impl Planned<'_> {
    fn quoted(&self) -> String {
        Engine::Postgres.table(self.schema, self.name)
    }
}

fn tables(groups: &[Group]) -> Vec<Planned<'_>> {
    let place = |group: &Group| (group.resolved.schema.clone(), group.resolved.table.clone());
    let named: BTreeSet<_> = groups.iter().map(place).collect();
    let rows = |of: &dyn Fn(&&Group) -> bool, place_of: &(Option<String>, String)| -> u64 {
        let own = groups.iter().filter(|group| place(group) == *place_of).filter(of);
        own.map(|group| u64::try_from(group.rows.len()).unwrap_or(u64::MAX)).sum()
    };
    named
        .iter()
        .filter_map(|at| {
            let group = groups.iter().find(|group| place(group) == *at)?;
            Some(Planned {
                schema: group.resolved.schema.as_deref(),
                name: &group.resolved.table,
                written: rows(&|group| group.action != Action::Delete, at),
                deleted: rows(&|group| group.action == Action::Delete, at),
            })
        })
        .collect()
}

/// PostgreSQL: rows of a table that this transaction deleted so far, by whomever; 0 where the server
/// counts nothing (`track_counts`).
async fn deletes(connection: &mut Connection, table: &str) -> Result<u64> {
    let sql = "SELECT pg_catalog.pg_stat_get_xact_tuples_deleted($1::text::regclass)::text";
    connection.count(sql, vec![Arg::text(table)]).await
}
