//! A foreign key that a job writes must lead to a row of the tenant, or to reference data.
//!
//! The answer is the same for a row that is not there and a row of somebody else.

use mendwright_core::binding::{ForeignKey, Resolved};
use mendwright_core::budget::Metric;
use mendwright_core::code::Code;
use mendwright_core::port::{Refusal, RefusalKind};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::connection::Arg;
use super::super::engine::{Engine, bare, ident, is_indexed_as_text};
use super::super::overlay::{Place, Wanted, Written};
use super::super::raw::Raw;
use super::super::scope::Scope;
use super::table::{Table, refuse};
use super::{Session, clock};

/// Referenced rows that one statement looks for.
const ROWS_MAX: usize = 1_000;

impl Session {
    /// Checks every foreign key that these cells set.
    pub(super) async fn check_references<'a>(
        &mut self,
        table: &Table,
        rows: impl Iterator<Item = &'a Written> + Clone,
    ) -> Result<(), Refusal> {
        for key in &table.resolved.foreign_keys {
            let own: Vec<Place> = key
                .columns
                .iter()
                .filter_map(|physical| table.resolved.columns.iter().find(|(_, c)| c.column == *physical))
                .filter_map(|(name, _)| table.place(name))
                .collect();
            let mut wanted: Vec<Vec<Raw>> = Vec::new();
            let mut seen = BTreeSet::new();
            for cells in rows.clone() {
                if !own.iter().any(|place| cells.contains(*place)) {
                    continue;
                }
                let values: Vec<Raw> = own.iter().filter_map(|place| cells.get(*place).cloned()).collect();
                if values.len() < key.columns.len() {
                    return Err(refuse(
                        RefusalKind::Invalid,
                        Code::CallInvalid,
                        format!("`{}`: the columns of a foreign key are written together", table.resolved.name),
                    ));
                }
                let points = values.iter().all(|raw| *raw != Raw::Null);
                if points && seen.insert(values.iter().map(Raw::tagged).collect::<Vec<_>>()) {
                    wanted.push(values);
                }
            }
            if !wanted.is_empty() {
                self.resolves(table, key, &wanted).await?;
            }
        }
        Ok(())
    }

    async fn resolves(&mut self, table: &Table, key: &ForeignKey, wanted: &[Vec<Raw>]) -> Result<(), Refusal> {
        let Some(parent) = self.referenced(&table.resolved, key) else {
            return Err(refuse(
                RefusalKind::Denied,
                Code::ReferenceForeign,
                format!(
                    "`{}` points to table `{}`, which is not bound: whose row it would be cannot be told",
                    table.resolved.name, key.table
                ),
            ));
        };
        let mut found = 0;
        for chunk in wanted.chunks(ROWS_MAX) {
            self.meter.charge(Metric::RowsRead, u64::try_from(chunk.len()).unwrap_or(u64::MAX))?;
            let (sql, args) = count_statement(table.engine, &parent, key, chunk, &self.tenant);
            let started = clock();
            let counted = self.source(table)?.snapshot.connection().count(&sql, args).await;
            let spent = self.spend(started);
            found += counted.map_err(|error| error.to_refusal())?;
            spent?;
        }
        let inserted = wanted.iter().filter(|values| self.is_inserted(&parent, key, values)).count();
        let all = u64::try_from(wanted.len() - inserted).unwrap_or(u64::MAX);
        if found >= all {
            return Ok(());
        }
        Err(refuse(
            RefusalKind::NotFound,
            Code::ReferenceForeign,
            format!(
                "a row of `{}` would point to a row of `{}` that the tenant does not have",
                table.resolved.name, parent.name
            ),
        ))
    }

    /// The bound resource that a foreign key leads to.
    pub(super) fn referenced(&self, from: &Resolved, key: &ForeignKey) -> Option<Arc<Resolved>> {
        self.resources
            .values()
            .find(|r| r.database == from.database && r.table == key.table && r.schema == key.schema)
            .cloned()
    }

    /// Whether the run itself inserts the row that is pointed to.
    fn is_inserted(&self, parent: &Resolved, key: &ForeignKey, values: &[Raw]) -> bool {
        let physical: Vec<&str> = parent.key_columns().map(|(_, c)| c.column.as_str()).collect();
        if physical != key.references.iter().map(String::as_str).collect::<Vec<_>>() {
            return false;
        }
        let Some(rows) = self.overlay.resources.get(&parent.name) else { return false };
        rows.inserts > 0
            && rows.rows.values().any(|row| matches!(row.wanted, Wanted::Insert { .. }) && *row.raw == *values)
    }
}

/// Counts the wanted rows of the tenant.
pub(crate) fn count_statement(
    engine: Engine,
    parent: &Resolved,
    key: &ForeignKey,
    wanted: &[Vec<Raw>],
    tenant: &str,
) -> (String, Vec<Arg>) {
    let scope = Scope::new(engine, parent, tenant, 1);
    let mut args = scope.args();
    // A reference is looked for as a key is: what the parent's type cannot hold leads nowhere.
    let of = |n: usize| wanted.iter().filter_map(move |values| values.get(n));
    let sides: Vec<(String, String)> = (key.references.iter().enumerate())
        .map(|(n, physical)| match parent.columns.values().find(|column| column.column == *physical) {
            Some(column) if engine == Engine::Postgres && !is_indexed_as_text(column, of(n)) => {
                engine.side("t", column)
            }
            Some(column) => (format!("t.{}", ident(physical)), bare(&column.declared)),
            None => (format!("t.{}", ident(physical)), "text".to_owned()),
        })
        .collect();
    let mut any = Vec::with_capacity(wanted.len());
    for values in wanted {
        let row = sides.iter().zip(values).map(|((_, cast), raw)| {
            args.push(Arg::Raw(raw.clone()));
            engine.param(args.len(), cast)
        });
        any.push(format!("({})", row.collect::<Vec<_>>().join(", ")));
    }
    let own: Vec<&str> = sides.iter().map(|(own, _)| own.as_str()).collect();
    let count = match engine {
        Engine::Sqlite => "count(*)",
        Engine::Postgres => "count(*)::text",
    };
    let from = engine.table(parent.schema.as_deref(), &parent.table);
    let sql = format!(
        "SELECT {count} FROM {from} AS t{} WHERE {} AND ({}) IN (VALUES {})",
        scope.joins,
        scope.condition,
        own.join(", "),
        any.join(", ")
    );
    (sql, args)
}
