//! Reading the log: entries, tiles, proofs.

use std::collections::BTreeSet;

use mendwright_core::merkle::Hash;
use mendwright_core::proof::ProvenEntry;
use mendwright_core::tlog::tile::{self, WIDTH};
use mendwright_core::tlog::{Checkpoint, Tile, TilePath, Tiles, tree};

use super::checkpoint::{self, Anchored, StoredCheckpoint};
use super::entry::Entry;
use crate::db::{Conn, dialect, query};
use crate::error::{Error, Result};
use crate::run::RunNumber;
use crate::store::Store;

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its place, from 0.
    pub leaf: u64,
    /// Its bytes, as they are hashed.
    pub bytes: Vec<u8>,
}

impl Logged {
    /// What it says.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it is no entry.
    pub fn entry(&self) -> Result<Entry> {
        Entry::parse(&self.bytes).map_err(|detail| Error::corrupt("audit_leaves", "entry", self.leaf, detail))
    }
}

/// Which entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFilter {
    /// About this run.
    pub run: Option<RunNumber>,
    /// From this place on.
    pub from: u64,
    /// At most so many.
    pub limit: u32,
}

/// Where the log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditStatus {
    /// Entries that have their places.
    pub size: u64,
    /// Entries that have none yet.
    pub waiting: u64,
    /// What was signed last.
    pub checkpoint: Option<StoredCheckpoint>,
    /// What went elsewhere, by place.
    pub anchors: Vec<Anchored>,
}

impl Store {
    /// Where the log stands.
    ///
    /// # Errors
    /// As any read.
    pub async fn audit_status(&self) -> Result<AuditStatus> {
        let failed = self.failed("reading the audit log");
        let mut reader = self.reader().await?;
        let mut tx = reader.begin_read().await.map_err(failed)?;
        Ok(AuditStatus {
            size: size(tx.conn(), "", failed).await?,
            waiting: waiting(tx.conn(), failed).await?,
            checkpoint: checkpoint::latest(tx.conn(), failed).await?,
            anchors: checkpoint::anchors(tx.conn(), failed).await?,
        })
    }

    /// Entries in their order.
    ///
    /// # Errors
    /// As any read.
    pub async fn logged(&self, filter: LogFilter) -> Result<Vec<Logged>> {
        let mut reader = self.reader().await?;
        logged(reader.conn(), filter, self.failed("reading the audit log")).await
    }

    /// The last `limit` entries, about one run or about anything, in their order.
    ///
    /// # Errors
    /// As any read.
    pub async fn logged_last(&self, run: Option<RunNumber>, limit: u32) -> Result<Vec<Logged>> {
        let failed = self.failed("reading the audit log");
        let mut reader = self.reader().await?;
        let nth = "SELECT leaf FROM audit_entries WHERE leaf IS NOT NULL AND ($1 IS NULL OR run = $1) \
             ORDER BY leaf DESC LIMIT 1 OFFSET $2";
        let from = query(nth)
            .bind(run.map(RunNumber::column))
            .bind(i64::from(limit.saturating_sub(1)))
            .scalar::<i64>(reader.conn())
            .await
            .map_err(failed)?;
        let from = from.map_or(0, i64::unsigned_abs);
        logged(reader.conn(), LogFilter { run, from, limit }, failed).await
    }

    /// A tile's bytes: hashes, or the entries themselves. `None` where the log has not got so far.
    ///
    /// # Errors
    /// As any read.
    pub async fn audit_tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>> {
        let failed = self.failed("reading a tile of the audit log");
        let mut reader = self.reader().await?;
        let (from, width) = (path.index() * u64::from(WIDTH), path.width());
        match path.tile() {
            Tile::Hashes(level) => {
                let hashes = hashes(reader.conn(), level, from, Some(width), failed).await?;
                Ok((hashes.len() == usize::from(width)).then(|| hashes.concat()))
            }
            Tile::Entries => {
                let filter = LogFilter { run: None, from, limit: u32::from(width) };
                let entries = logged(reader.conn(), filter, failed).await?;
                let whole = entries.len() == usize::from(width);
                let bytes: Vec<Vec<u8>> = entries.into_iter().map(|logged| logged.bytes).collect();
                let bundle = tile::bundle(&bytes);
                let bundle = bundle.map_err(|error| Error::AuditTampered { what: error.to_string() })?;
                Ok(whole.then_some(bundle))
            }
        }
    }

    /// The entries about a run that `checkpoint` covers, each with its way to the signed root.
    ///
    /// # Errors
    /// [`Error::AuditTampered`] where the log has not what the proof takes.
    pub async fn prove_run(&self, run: RunNumber, checkpoint: &Checkpoint) -> Result<Vec<ProvenEntry>> {
        let failed = self.failed("proving a run");
        let mut reader = self.reader().await?;
        let mut tx = reader.begin_read().await.map_err(failed)?;
        let filter = LogFilter { run: Some(run), from: 0, limit: u32::MAX };
        let mut entries = logged(tx.conn(), filter, failed).await?;
        entries.retain(|entry| entry.leaf < checkpoint.size);
        let needed = entries.iter().flat_map(|entry| tile::needed_for_inclusion(entry.leaf, checkpoint.size)).collect();
        let tiles = tiles(tx.conn(), checkpoint.size, &needed, failed).await?;
        let proven = |Logged { leaf, bytes }: &Logged| {
            let path = tree::inclusion(&tiles, *leaf, checkpoint.size);
            let path = path.map_err(|error| Error::AuditTampered { what: error.to_string() })?;
            Ok(ProvenEntry::new(*leaf, bytes, &path))
        };
        entries.iter().map(proven).collect()
    }
}

impl Store {
    /// The way from the log's first `size` entries to `checkpoint`: that they are its beginning.
    ///
    /// # Errors
    /// [`Error::AuditTampered`] where the log has not what the proof takes.
    pub async fn prove_kept(&self, size: u64, checkpoint: &Checkpoint) -> Result<Vec<Hash>> {
        let failed = self.failed("proving that the audit log was kept");
        let mut reader = self.reader().await?;
        let mut tx = reader.begin_read().await.map_err(failed)?;
        let needed = tile::needed_for_consistency(size, checkpoint.size);
        let tiles = tiles(tx.conn(), checkpoint.size, &needed, failed).await?;
        tree::consistency(&tiles, size, checkpoint.size)
            .map_err(|error| Error::AuditTampered { what: error.to_string() })
    }
}

/// A place as its column holds it.
pub(super) fn column(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// How many leaves there are; nobody adds one before the transaction ends.
pub(super) async fn hold(mut conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<u64> {
    let lock = dialect::for_update(conn.engine());
    size(conn.reborrow(), lock, failed).await
}

pub(super) async fn size(conn: Conn<'_>, lock: &str, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<u64> {
    let size = counter(conn, "audit_leaf", lock, failed).await?;
    size.ok_or_else(|| Error::AuditTampered { what: "nothing says how many entries it has".to_owned() })
}

/// A counter of the log's, if there is one that counts.
pub(super) async fn counter(
    conn: Conn<'_>,
    name: &str,
    lock: &str,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Option<u64>> {
    let sql = format!("SELECT value FROM counters WHERE name = $1{lock}");
    let found = query(sql).bind(name).scalar::<i64>(conn).await.map_err(failed)?;
    Ok(found.and_then(|value| u64::try_from(value).ok()))
}

pub(super) async fn waiting(conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> Error + Copy) -> Result<u64> {
    let n = query("SELECT count(*) FROM audit_entries WHERE leaf IS NULL").scalar::<i64>(conn).await.map_err(failed)?;
    Ok(n.unwrap_or(0).unsigned_abs())
}

async fn logged(
    mut conn: Conn<'_>,
    filter: LogFilter,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Vec<Logged>> {
    let LogFilter { run, from, limit } = filter;
    let bytes = dialect::bytes(conn.engine(), "l.entry");
    // Only the run's own index finds its entries fast; without a run the rows beside are not looked at.
    let (join, only) = match run {
        Some(_) => ("JOIN audit_entries e ON e.leaf = l.leaf", "AND e.run = $3"),
        None => ("", "AND $3 IS NULL"),
    };
    let sql = format!(
        "SELECT l.leaf, {bytes} AS entry FROM audit_leaves l {join} WHERE l.leaf >= $1 {only} \
         ORDER BY l.leaf LIMIT $2"
    );
    let rows = query(sql)
        .bind(column(from))
        .bind(i64::from(limit))
        .bind(run.map(RunNumber::column))
        .all(conn.reborrow())
        .await
        .map_err(failed)?;
    let read = |row: &crate::db::Row| -> sqlx::Result<Logged> {
        Ok(Logged { leaf: row.try_get::<i64>("leaf")?.unsigned_abs(), bytes: row.try_get("entry")? })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// Stored hashes of one level of tiles, from number `from` on: as many, or all there are. What follows a
/// gap, or a hash that is none, is left out.
pub(super) async fn hashes(
    conn: Conn<'_>,
    level: u8,
    from: u64,
    at_most: Option<u16>,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Vec<Hash>> {
    let engine = conn.engine();
    let hash = dialect::bytes(engine, "hash");
    // One more than can be: a log that goes on beyond its end must not look whole.
    let limit = at_most.map_or(i64::from(WIDTH) + 1, i64::from);
    let sql = match level {
        0 => format!(
            "SELECT leaf AS at, {hash} AS hash FROM audit_leaves WHERE leaf >= $1 AND $3 = 0 ORDER BY leaf LIMIT $2"
        ),
        _ => format!(
            "SELECT node AS at, {hash} AS hash FROM audit_nodes WHERE node >= $1 AND level = $3 ORDER BY node LIMIT $2"
        ),
    };
    let rows = query(sql).bind(column(from)).bind(limit).bind(i64::from(level)).all(conn).await.map_err(failed)?;
    let mut hashes = Vec::with_capacity(rows.len());
    for (expected, row) in (from..).zip(&rows) {
        let at = row.try_get::<i64>("at").map_err(failed)?;
        let text: Vec<u8> = row.try_get("hash").map_err(failed)?;
        match hash_of(&text) {
            Some(hash) if at == column(expected) => hashes.push(hash),
            _ => break,
        }
    }
    Ok(hashes)
}

/// The hash that is stored so; one hash, one text.
pub(super) fn hash_of(text: &[u8]) -> Option<Hash> {
    let hash: Hash = hex::decode(text).ok()?.try_into().ok()?;
    (hex::encode(hash).as_bytes() == text).then_some(hash)
}

/// Tiles that are stored, as a source of hashes.
pub(super) async fn tiles(
    mut conn: Conn<'_>,
    size: u64,
    needed: &BTreeSet<TilePath>,
    failed: impl Fn(sqlx::Error) -> Error + Copy,
) -> Result<Tiles> {
    let mut tiles = Tiles::new(size);
    for path in needed {
        let Tile::Hashes(level) = path.tile() else { continue };
        let from = path.index() * u64::from(WIDTH);
        tiles.insert(*path, hashes(conn.reborrow(), level, from, Some(path.width()), failed).await?);
    }
    Ok(tiles)
}
