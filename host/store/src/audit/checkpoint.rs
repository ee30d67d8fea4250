//! What the log signs, and where copies of it are that no host can rewrite.

use std::collections::BTreeSet;

use mendwright_core::key::SecretKey;
use mendwright_core::merkle::Hash;
use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::tree::{self, Head};
use mendwright_core::tlog::{Checkpoint, Tiles, tile};
use mendwright_crash::{Point, reached};

use super::log;
use crate::db::{Conn, Row, query};
use crate::error::{Error, Result};
use crate::store::Store;

/// A checkpoint as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// How many entries it covers.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// How far a place elsewhere has the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// The place, as the configuration names it.
    pub place: String,
    /// The size of the last checkpoint that went there.
    pub size: u64,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// What a witness said about it: its signature line.
    pub cosignature: Option<String>,
}

impl Store {
    /// Signs the log as it is now, if it grew since it was last signed, and gives what is signed; `None`
    /// for a log without entries.
    ///
    /// # Errors
    /// [`Error::AuditForked`] where what was signed before is not the beginning of what is there now, or
    /// another key signed it: nothing is signed then.
    pub async fn checkpoint(&self, origin: &str, key: &SecretKey) -> Result<Option<StoredCheckpoint>> {
        let failed = self.failed("signing the audit log");
        let verifier = verifier(origin, key)?;
        let mut writer = self.writer().await?;
        let mut tx = writer.begin().await.map_err(failed)?;
        let size = log::hold(tx.conn(), failed).await?;
        let before = latest(tx.conn(), failed).await?;
        let opened = before.as_ref().map(|stored| open(stored, &verifier)).transpose()?;
        match opened {
            Some(opened) if opened.size == size => return Ok(before),
            None if size == 0 => return Ok(None),
            Some(_) | None => {}
        }
        let root = continued(tx.conn(), opened.as_ref(), size, failed).await?;
        let note = Checkpoint::new(origin, size, root).sign(key);
        let note = note.map_err(|error| Error::Bug(error.to_string()))?.to_string();
        let seq = query("UPDATE counters SET value = value + 1 WHERE name = 'audit_checkpoint' RETURNING value")
            .scalar::<i64>(tx.conn())
            .await
            .map_err(failed)?;
        query("INSERT INTO audit_checkpoints (seq, size, note) VALUES ($1, $2, $3)")
            .bind(seq)
            .bind(log::column(size))
            .bind(note.as_str())
            .execute(tx.conn())
            .await
            .map_err(failed)?;
        reached(Point::CheckpointUncommitted);
        tx.commit().await.map_err(failed)?;
        reached(Point::CheckpointSigned);
        Ok(Some(StoredCheckpoint { size, note }))
    }

    /// Whether the log goes on from a checkpoint that was signed earlier, or ends with it.
    ///
    /// # Errors
    /// [`Error::AuditForked`] where it does not.
    pub async fn continues(&self, earlier: &Checkpoint) -> Result<()> {
        let failed = self.failed("comparing the audit log with a checkpoint");
        let mut reader = self.reader().await?;
        let mut tx = reader.begin_read().await.map_err(failed)?;
        let size = log::size(tx.conn(), "", failed).await?;
        continued(tx.conn(), Some(earlier), size, failed).await.map(drop)
    }

    /// Writes down that a place elsewhere has the checkpoint of this size, and what a witness said about it.
    ///
    /// # Errors
    /// As any write; there is no such checkpoint.
    pub async fn anchored(&self, place: &str, size: u64, cosignature: Option<&str>, now_us: i64) -> Result<()> {
        let mut writer = self.writer().await?;
        query(
            "INSERT INTO audit_anchors (place, size, at_us, cosignature) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (place) DO UPDATE SET size = excluded.size, at_us = excluded.at_us, \
             cosignature = excluded.cosignature WHERE excluded.size > audit_anchors.size",
        )
        .bind(place)
        .bind(log::column(size))
        .bind(now_us)
        .bind(cosignature)
        .execute(writer.conn())
        .await
        .map_err(self.failed("writing down where a checkpoint went"))?;
        Ok(())
    }

    /// The checkpoint of this size.
    ///
    /// # Errors
    /// As any read.
    pub async fn checkpoint_of(&self, size: u64) -> Result<Option<StoredCheckpoint>> {
        let failed = self.failed("reading a checkpoint");
        let mut reader = self.reader().await?;
        let note = query("SELECT note FROM audit_checkpoints WHERE size = $1").bind(log::column(size));
        let note = note.scalar::<String>(reader.conn()).await.map_err(failed)?;
        Ok(note.map(|note| StoredCheckpoint { size, note }))
    }

    /// When the first entry that no checkpoint covers happened; `None` where all are covered.
    ///
    /// # Errors
    /// As any read.
    pub async fn unsigned_since_us(&self) -> Result<Option<i64>> {
        let first = "SELECT e.at_us FROM audit_entries e WHERE e.leaf = \
             (SELECT coalesce(max(size), 0) FROM audit_checkpoints)";
        let mut reader = self.reader().await?;
        query(first).scalar::<i64>(reader.conn()).await.map_err(self.failed("reading the audit log"))
    }
}

fn verifier(origin: &str, key: &SecretKey) -> Result<VerifierKey> {
    VerifierKey::new(origin, key.public()).map_err(|error| Error::Bug(error.to_string()))
}

/// A checkpoint that our own key signed.
fn open(stored: &StoredCheckpoint, key: &VerifierKey) -> Result<Checkpoint> {
    let opened = Checkpoint::open(&stored.note, key).map_err(|error| error.to_string());
    let opened = opened.and_then(|checkpoint| match checkpoint.size == stored.size {
        true => Ok(checkpoint),
        false => Err(format!("it is of {} entries", checkpoint.size)),
    });
    opened.map_err(|why| Error::AuditForked { what: format!("the checkpoint at {} is not ours: {why}", stored.size) })
}

/// The root at `size`, if the tree of `earlier` is the beginning of it.
async fn continued(
    conn: Conn<'_>,
    earlier: Option<&Checkpoint>,
    size: u64,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Hash> {
    let old = earlier.map_or(0, |earlier| earlier.size);
    let forked = |why: String| Error::AuditForked { what: format!("a checkpoint of {old} entries was signed: {why}") };
    if old > size {
        return Err(forked(format!("the log has only {size}")));
    }
    let mut needed: BTreeSet<_> = tile::needed_for_consistency(old, size);
    needed.extend(Tiles::needed(size, |nodes| tree::root(nodes, size)));
    let tiles = log::tiles(conn, size, &needed, failed).await?;
    let missing = |error: tile::TileMissing| Error::AuditTampered { what: error.to_string() };
    let root = tree::root(&tiles, size).map_err(missing)?;
    if let Some(earlier) = earlier {
        let path = tree::consistency(&tiles, old, size).map_err(missing)?;
        let (old, new) = (Head { size: old, root: &earlier.root }, Head { size, root: &root });
        tree::verify_consistency(old, new, &path).map_err(|error| forked(error.to_string()))?;
    }
    Ok(root)
}

/// A row of `audit_checkpoints`, as it is.
pub(super) struct CheckpointRow {
    pub(super) seq: i64,
    pub(super) size: i64,
    pub(super) note: Vec<u8>,
}

/// Every checkpoint, the oldest first.
pub(super) async fn rows(
    mut conn: Conn<'_>,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Vec<CheckpointRow>> {
    let note = crate::db::dialect::bytes(conn.engine(), "note");
    let sql = format!("SELECT seq, size, {note} AS note FROM audit_checkpoints ORDER BY seq");
    let rows = query(sql).all(conn.reborrow()).await.map_err(failed)?;
    let read = |row: &Row| -> sqlx::Result<CheckpointRow> {
        Ok(CheckpointRow { seq: row.try_get("seq")?, size: row.try_get("size")?, note: row.try_get("note")? })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

pub(super) async fn latest(
    conn: Conn<'_>,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Option<StoredCheckpoint>> {
    let row = query("SELECT size, note FROM audit_checkpoints ORDER BY size DESC LIMIT 1").optional(conn).await;
    let read = |row: Row| -> sqlx::Result<StoredCheckpoint> {
        Ok(StoredCheckpoint { size: row.try_get::<i64>("size")?.unsigned_abs(), note: row.try_get("note")? })
    };
    row.map_err(failed)?.map(|row| read(row).map_err(failed)).transpose()
}

pub(super) async fn anchors(conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<Vec<Anchored>> {
    let sql = "SELECT place, size, at_us, cosignature FROM audit_anchors ORDER BY place";
    let rows = query(sql).all(conn).await.map_err(failed)?;
    let read = |row: &Row| -> sqlx::Result<Anchored> {
        let (place, size) = (row.try_get("place")?, row.try_get::<i64>("size")?.unsigned_abs());
        Ok(Anchored { place, size, at_us: row.try_get("at_us")?, cosignature: row.try_get("cosignature")? })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}
