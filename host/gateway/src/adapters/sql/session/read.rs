//! `get` and `describe`, and the small reads of the snapshot that must stay true.

use mendwright_core::budget::Metric;
use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::port::{ColumnInfo, Refusal, RefusalKind, Row};
use sha2::{Digest as _, Sha256};

use super::super::computed::StableRead;
use super::super::connection::{Arg, RawRow};
use super::super::raw::Raw;
use super::merge::{merged, row_of};
use super::table::{Table, refuse};
use super::{Session, clock};

impl Session {
    pub(super) async fn get_rows(
        &mut self,
        table: &str,
        keys: Vec<Key>,
        columns: Vec<String>,
    ) -> Result<Vec<Option<Row>>, Refusal> {
        let table = self.table(table)?;
        for column in &columns {
            table.readable(column)?;
        }
        self.note_columns(&table, &columns);
        self.meter.charge(Metric::RowsRead, u64::try_from(keys.len().max(1)).unwrap_or(u64::MAX))?;
        let unknown: Vec<Key> =
            keys.iter().filter(|key| self.overlay.get(&table.resolved.name, key).is_none()).cloned().collect();
        let bases = self.fetch(&table, &unknown, true).await?;
        self.usage.entry(table.resolved.name.clone()).or_default().rows_read +=
            u64::try_from(bases.len()).unwrap_or(u64::MAX);
        keys.iter()
            .map(|key| match self.overlay.get(&table.resolved.name, key) {
                Some(wanted) => merged(&table, key, wanted, &columns),
                None => bases.get(key).map(|base| row_of(&table, key, base, None, &columns)).transpose(),
            })
            .collect()
    }

    pub(super) fn describe_table(&mut self, table: &str) -> Result<Vec<ColumnInfo>, Refusal> {
        if self.absent.contains(table) {
            return Err(refuse(
                RefusalKind::NotFound,
                Code::TableDenied,
                format!("`{table}` is optional, and the operator did not grant it"),
            ));
        }
        self.table(table).map(|table| table.describe())
    }

    pub(super) fn note_columns(&mut self, table: &Table, columns: &[String]) {
        let noted = self.columns_read.entry(table.resolved.name.clone()).or_default();
        for column in columns {
            if !noted.contains(column) {
                noted.insert(column.clone());
            }
        }
    }

    /// The snapshot's rows of some keys; remembered where the resource's reads must stay true.
    pub(super) async fn rows(
        &mut self,
        table: &Table,
        sql: &str,
        args: Vec<Arg>,
        stable: bool,
    ) -> Result<Vec<RawRow>, Refusal> {
        let started = clock();
        let left = self.time_left();
        let source = self.source(table)?;
        let left = left.min(source.target.statement_timeout);
        let connection = source.snapshot.connection();
        let limited = connection.limit_statements(left).await;
        let rows = match limited {
            Ok(()) => connection.rows_by_key(sql, args.clone()).await,
            Err(error) => Err(error),
        };
        connection.lift_limit();
        let spent = self.spend(started);
        let rows = rows.map_err(|error| error.to_refusal())?;
        spent?;
        if stable && table.resolved.stable_reads {
            let mut hash = Sha256::new();
            rows.iter().for_each(|row| hash_row(&mut hash, row));
            let read = StableRead::new(&table.resolved.name, sql, args, rows.len(), hash);
            self.remember(read)?;
        }
        Ok(rows)
    }

    pub(super) fn remember(&mut self, read: StableRead) -> Result<(), Refusal> {
        self.meter.charge(Metric::HostMemory, u64::try_from(read.size()).unwrap_or(u64::MAX))?;
        self.stable_reads.push(read);
        Ok(())
    }
}

/// Counts a row into a hash; lengths keep neighbours apart.
pub(crate) fn hash_row(hash: &mut Sha256, row: &[Raw]) {
    for raw in row {
        let tagged = raw.tagged();
        hash.update(u64::try_from(tagged.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(tagged.as_bytes());
    }
    hash.update([0xff]);
}
