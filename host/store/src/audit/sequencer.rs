//! The audit log's second step: one at a time, committed entries get their places.

use mendwright_core::merkle;
use mendwright_crash::{Point, reached};

use super::edge::{self, Edge, Node};
use super::entry::EntryRow;
use super::log;
use crate::db::{Conn, dialect, query};
use crate::error::{Error, Result};
use crate::store::Store;

/// Rows of one statement. Both engines take ten thousand parameters and more; beyond this nothing is won.
const ROWS_OF_STATEMENT: usize = 128;

/// A leaf that is about to be written.
struct NewLeaf {
    id: i64,
    leaf: i64,
    entry: String,
    hash: String,
}

impl Store {
    /// Gives committed entries their places in the log, at most `limit`, in the order in which they were
    /// written down; says how many. A transaction that commits later than one that began after it is taken
    /// in a later round: it is never passed over. However many hosts do this at once, they do it one after
    /// the other.
    ///
    /// # Errors
    /// [`Error::AuditTampered`] where what is there is not what was appended: nothing is added to it.
    pub async fn sequence(&self, limit: u32) -> Result<u64> {
        let failed = self.failed("sequencing the audit log");
        let mut reader = self.reader().await?;
        // Most of the time there is nothing, and nobody has to wait for that.
        let waits = query("SELECT id FROM audit_entries WHERE leaf IS NULL LIMIT 1").optional(reader.conn()).await;
        if waits.map_err(failed)?.is_none() {
            return Ok(0);
        }
        drop(reader);
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let size = log::hold(tx.conn(), failed).await?;
        let mut edge = read_edge(tx.conn(), size, failed).await?;
        // Whoever counts an entry up at this moment has it locked: it is taken when it stands still.
        let engine = self.engine();
        let sql = format!(
            "SELECT {} FROM audit_entries e WHERE e.leaf IS NULL ORDER BY e.id LIMIT $1{}",
            EntryRow::columns(engine, "e"),
            dialect::for_update_skip_locked(engine)
        );
        let rows = query(sql).bind(i64::from(limit)).all(tx.conn()).await.map_err(failed)?;
        let (mut leaves, mut nodes) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            let row = EntryRow::read(row).map_err(failed)?;
            let id = row.id;
            let bytes = row.into_entry()?.bytes()?;
            let hash = merkle::leaf(&bytes);
            let leaf = log::column(edge.size());
            nodes.extend(edge.push(hash));
            let entry = String::from_utf8(bytes).map_err(|error| Error::Bug(error.to_string()))?;
            leaves.push(NewLeaf { id, leaf, entry, hash: hex::encode(hash) });
        }
        for chunk in leaves.chunks(ROWS_OF_STATEMENT) {
            write_leaves(tx.conn(), chunk, failed).await?;
        }
        reached(Point::LeavesWritten);
        write_nodes(tx.conn(), &nodes, failed).await?;
        query("UPDATE counters SET value = $1 WHERE name = 'audit_leaf'")
            .bind(log::column(edge.size()))
            .execute(tx.conn())
            .await
            .map_err(failed)?;
        reached(Point::SequenceUncommitted);
        tx.commit().await.map_err(failed)?;
        reached(Point::Sequenced);
        Ok(edge.size() - size)
    }
}

/// What is needed to go on; refuses to go on from something that cannot be.
async fn read_edge(mut conn: Conn<'_>, size: u64, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<Edge> {
    let mut tiles = Vec::new();
    for level in 0..edge::levels(size) {
        let (from, _) = edge::range(level, size);
        tiles.push(log::hashes(conn.reborrow(), level, from, None, failed).await?);
    }
    let what = || format!("what stands at its end is not what a log of {size} entries ends in");
    Edge::resume(size, tiles).ok_or_else(|| Error::AuditTampered { what: what() })
}

/// `($1, $2), ($3, $4)` …
fn places(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let columns: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", columns.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

async fn write_leaves(
    mut conn: Conn<'_>,
    leaves: &[NewLeaf],
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<()> {
    let sql = format!("INSERT INTO audit_leaves (leaf, entry, hash) VALUES {}", places(leaves.len(), 3));
    let insert = leaves.iter().fold(query(sql), |sql, NewLeaf { leaf, entry, hash, .. }| {
        sql.bind(*leaf).bind(entry.as_str()).bind(hash.as_str())
    });
    insert.execute(conn.reborrow()).await.map_err(failed)?;
    let sql = format!(
        "UPDATE audit_entries SET leaf = given.column2, once = NULL FROM (VALUES {}) AS given \
         WHERE audit_entries.id = given.column1",
        places(leaves.len(), 2)
    );
    let update = leaves.iter().fold(query(sql), |sql, NewLeaf { id, leaf, .. }| sql.bind(*id).bind(*leaf));
    update.execute(conn).await.map_err(failed)?;
    Ok(())
}

async fn write_nodes(mut conn: Conn<'_>, nodes: &[Node], failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<()> {
    for chunk in nodes.chunks(ROWS_OF_STATEMENT) {
        let sql = format!("INSERT INTO audit_nodes (level, node, hash) VALUES {}", places(chunk.len(), 3));
        let insert = chunk.iter().fold(query(sql), |sql, Node { level, index, hash }| {
            sql.bind(i64::from(*level)).bind(log::column(*index)).bind(hex::encode(hash))
        });
        insert.execute(conn.reborrow()).await.map_err(failed)?;
    }
    Ok(())
}
