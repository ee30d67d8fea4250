//! Whether the log is what was written and signed, and where it is not. Everything is computed again from
//! the entries' bytes; nothing that is stored beside them is believed.

use std::collections::BTreeMap;
use std::fmt;

use mendwright_core::merkle::{self, Hash, Tree};
use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::tile::WIDTH;
use mendwright_core::tlog::{Checkpoint, Damage, Located, Tile, TilePath, locate};

use super::checkpoint::{self, CheckpointRow};
use super::entry::EntryRow;
use super::{edge, log};
use crate::db::{Conn, Row, dialect, query};
use crate::error::Result;
use crate::store::Store;

/// Entries that are read at once.
const PAGE: u64 = 2_000;

/// The most damages that are listed: a person reads them.
pub const DAMAGES_MAX: usize = 100;

/// One thing that is not as it was written. Entries count from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditDamage {
    /// The bytes of an entry do not give the hash that stands beside them.
    Leaf(u64),
    /// The row that an entry was made of says something else since, or is gone.
    Entry(u64),
    /// A row says to be an entry that there is not.
    Stray(u64),
    /// There are no entries from this one up to that one, and there were.
    Gap(u64, u64),
    /// A stored hash is not the one over the tile below it, is missing, or is one too many.
    Node(u8, u64),
    /// A stored checkpoint is not one that the log's key signed: its number.
    Checkpoint(u64),
    /// What counts entries or checkpoints does not say how many there are.
    Counter(&'static str),
    /// Compared with a signed checkpoint of this size.
    Signed(u64, Damage),
}

impl AuditDamage {
    /// How little it says: one that is inserted makes every row behind it another's.
    const fn rank(&self) -> u8 {
        match self {
            Self::Signed(..) => 0,
            Self::Counter(_) | Self::Checkpoint(_) => 1,
            Self::Gap(..) | Self::Leaf(_) | Self::Stray(_) => 2,
            Self::Node(..) => 3,
            Self::Entry(_) => 4,
        }
    }
}

impl fmt::Display for AuditDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaf(n) => write!(f, "entry {n} was changed: its bytes do not give the hash beside them"),
            Self::Entry(n) => write!(f, "entry {n} and its row in audit_entries do not say the same"),
            Self::Stray(n) => write!(f, "entry {n}: a row in audit_entries says so, and there is no such entry"),
            Self::Gap(from, to) if from + 1 == *to => write!(f, "entry {from} is gone"),
            Self::Gap(from, to) => write!(f, "entries {from} to {} are gone", to - 1),
            Self::Node(level, node) => write!(f, "hash {node} of level {level} is not the one over what is below it"),
            Self::Checkpoint(seq) => write!(f, "checkpoint {seq} is gone, or is not what the log's key signed"),
            Self::Counter(name) => write!(f, "the counter of {name} does not say how many there are"),
            Self::Signed(size, damage) => {
                match damage {
                    Damage::Changed { index } => write!(f, "entry {index} was changed"),
                    Damage::Missing { index } => write!(f, "entry {index} is gone"),
                    Damage::Inserted { index } => write!(f, "entry {index} was inserted"),
                    Damage::Somewhere { from, to } => write!(f, "entries between {from} and {} differ", to - 1),
                    Damage::Tile(path) => write!(f, "the hashes of {path} were changed"),
                }?;
                write!(f, " since the checkpoint of {size} entries was signed")
            }
        }
    }
}

/// What verifying came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Entries that are there.
    pub size: u64,
    /// Entries that have no place yet: nothing vouches for them.
    pub waiting: u64,
    /// Stored checkpoints that are signed and fit.
    pub checkpoints: u64,
    /// Up to where the entries are what was signed, here or elsewhere.
    pub signed: u64,
    /// Up to where they are what a checkpoint from elsewhere says; `None` where none was given.
    pub trusted: Option<u64>,
    /// The first damages.
    pub damages: Vec<AuditDamage>,
    /// How many there are beyond [`DAMAGES_MAX`].
    pub n_more: u64,
}

impl AuditReport {
    /// Whether everything is as it was written.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.damages.is_empty()
    }

    fn report(&mut self, damage: AuditDamage) {
        self.damages.push(damage);
    }

    /// What says most first; the rest is counted.
    fn finish(mut self) -> Self {
        self.damages.sort_by_key(AuditDamage::rank);
        self.damages.dedup();
        let rest = self.damages.len().saturating_sub(DAMAGES_MAX);
        self.n_more += u64::try_from(rest).unwrap_or(u64::MAX);
        self.damages.truncate(DAMAGES_MAX);
        self
    }
}

impl Store {
    /// Computes the whole log again and compares it with its hashes, with the checkpoints that the store
    /// holds, and with `trusted` ones: from elsewhere, their signature verified. Takes a second or two for each
    /// hundred thousand entries, and little memory unless something differs.
    ///
    /// # Errors
    /// As any read: what differs is in the report.
    pub async fn verify_audit(&self, key: &VerifierKey, trusted: &[Checkpoint]) -> Result<AuditReport> {
        let failed = self.failed("verifying the audit log");
        let mut reader = self.reader().await?;
        let mut tx = reader.begin_read().await.map_err(failed)?;
        let mut report = AuditReport { waiting: log::waiting(tx.conn(), failed).await?, ..AuditReport::default() };
        let rows = checkpoint::rows(tx.conn(), failed).await?;
        let count = log::counter(tx.conn(), "audit_checkpoint", "", failed).await?;
        let stored = stored_checkpoints(&rows, count, key, &mut report);
        let mut signed: Vec<(&Checkpoint, bool)> = stored.iter().map(|checkpoint| (checkpoint, false)).collect();
        signed.extend(trusted.iter().map(|checkpoint| (checkpoint, true)));
        signed.sort_by_key(|(checkpoint, _)| checkpoint.size);

        let mut pass = Pass::new(&signed);
        let mut next = 0;
        loop {
            let page = read_page(tx.conn(), next, failed).await?;
            let Some(last) = page.last().map(|leaf| leaf.at) else { break };
            page.iter().for_each(|leaf| pass.leaf(leaf, &mut report));
            next = last + 1;
        }
        pass.end();
        report.size = pass.next;
        if log::counter(tx.conn(), "audit_leaf", "", failed).await? != Some(pass.next) {
            report.report(AuditDamage::Counter("entries"));
        }
        for stray in strays(tx.conn(), failed).await? {
            report.report(AuditDamage::Stray(stray));
        }
        let nodes = read_nodes(tx.conn(), failed).await?;
        compare_nodes(&nodes, &pass.tiles, pass.next, &mut report);
        report.checkpoints = pass.fit.iter().filter(|(_, elsewhere)| !elsewhere).map(|_| 1).sum();
        report.signed = pass.fit.iter().map(|(size, _)| *size).max().unwrap_or(0);
        let elsewhere = pass.fit.iter().filter(|(_, elsewhere)| *elsewhere).map(|(size, _)| *size).max();
        report.trusted = (!trusted.is_empty()).then(|| elsewhere.unwrap_or(0));
        // The largest says most; what fits a smaller one is not where it differs.
        if let Some(differs) = pass.differ.last() {
            let leaves = read_leaves(tx.conn(), failed).await?;
            let fits = pass.fits_below(differs.size, !trusted.is_empty());
            locate_in((differs, fits), &leaves, &nodes, &mut report);
        }
        Ok(report.finish())
    }
}

/// A stored leaf, and the row that it was made of.
struct LeafRow {
    at: u64,
    entry: Vec<u8>,
    hash: Vec<u8>,
    /// `None` where it is gone, or nonsense.
    row: Option<Vec<u8>>,
}

/// The bytes that a row gives; `None` where it is gone, or nonsense.
fn made_of(row: &Row) -> Option<Vec<u8>> {
    EntryRow::read(row).ok()?.into_entry().ok()?.bytes().ok()
}

impl LeafRow {
    fn read(row: &Row) -> sqlx::Result<Self> {
        let made = made_of(row);
        let at = row.try_get::<i64>("at")?.unsigned_abs();
        Ok(Self { at, entry: row.try_get("leaf_entry")?, hash: row.try_get("leaf_hash")?, row: made })
    }
}

async fn read_page(
    mut conn: Conn<'_>,
    from: u64,
    failed: impl Fn(sqlx::Error) -> crate::Error + Copy,
) -> Result<Vec<LeafRow>> {
    let engine = conn.engine();
    let sql = format!(
        "SELECT l.leaf AS at, {} AS leaf_entry, {} AS leaf_hash, {} \
         FROM audit_leaves l LEFT JOIN audit_entries e ON e.leaf = l.leaf WHERE l.leaf >= $1 ORDER BY l.leaf LIMIT $2",
        dialect::bytes(engine, "l.entry"),
        dialect::bytes(engine, "l.hash"),
        EntryRow::columns(engine, "e")
    );
    let rows = query(sql).bind(log::column(from)).bind(log::column(PAGE)).all(conn.reborrow()).await.map_err(failed)?;
    rows.iter().map(|row| LeafRow::read(row).map_err(failed)).collect()
}

/// Rows that say to be entries which there are not.
async fn strays(conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> crate::Error + Copy) -> Result<Vec<u64>> {
    let sql = "SELECT e.leaf FROM audit_entries e WHERE e.leaf IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM audit_leaves l WHERE l.leaf = e.leaf) ORDER BY e.leaf";
    let rows = query(sql).all(conn).await.map_err(failed)?;
    rows.iter().map(|row| row.first::<i64>().map(i64::unsigned_abs).map_err(failed)).collect()
}

/// Stored hashes by level and number; `None` where one is no hash.
type Nodes = BTreeMap<(u8, u64), Option<Hash>>;

async fn read_nodes(mut conn: Conn<'_>, failed: impl Fn(sqlx::Error) -> crate::Error + Copy) -> Result<Nodes> {
    let hash = dialect::bytes(conn.engine(), "hash");
    let sql = format!("SELECT level, node, {hash} AS hash FROM audit_nodes");
    let rows = query(sql).all(conn.reborrow()).await.map_err(failed)?;
    let read = |row: &Row| -> sqlx::Result<((u8, u64), Option<Hash>)> {
        let (level, node): (i64, i64) = (row.try_get("level")?, row.try_get("node")?);
        let text: Vec<u8> = row.try_get("hash")?;
        Ok(((u8::try_from(level).unwrap_or(u8::MAX), node.unsigned_abs()), log::hash_of(&text)))
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// What stands in a place: the hash that is stored there, the one of the bytes, and the one of the row that
/// they were made of.
#[derive(Clone, Copy, Default)]
struct Found {
    stored: Option<Hash>,
    made: Option<Hash>,
    of_row: Option<Hash>,
}

/// What stands in each place.
async fn read_leaves(
    mut conn: Conn<'_>,
    failed: impl Fn(sqlx::Error) -> crate::Error + Copy,
) -> Result<BTreeMap<u64, Found>> {
    let sql = format!(
        "SELECT e.leaf AS at, {} FROM audit_entries e WHERE e.leaf IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM audit_leaves l WHERE l.leaf = e.leaf)",
        EntryRow::columns(conn.engine(), "e")
    );
    let hash = |bytes: &Vec<u8>| merkle::leaf(bytes);
    let mut leaves = BTreeMap::new();
    for row in query(sql).all(conn.reborrow()).await.map_err(failed)? {
        let at = row.try_get::<i64>("at").map_err(failed)?.unsigned_abs();
        leaves.insert(at, Found { of_row: made_of(&row).as_ref().map(hash), ..Found::default() });
    }
    let mut next = 0;
    loop {
        let page = read_page(conn.reborrow(), next, failed).await?;
        let Some(last) = page.last() else { return Ok(leaves) };
        next = last.at + 1;
        let found = |leaf: &LeafRow| Found {
            stored: log::hash_of(&leaf.hash),
            made: Some(hash(&leaf.entry)),
            of_row: leaf.row.as_ref().map(hash),
        };
        leaves.extend(page.iter().map(|leaf| (leaf.at, found(leaf))));
    }
}

/// The checkpoints that the log's key signed; what else stands in their place is reported.
fn stored_checkpoints(
    rows: &[CheckpointRow],
    count: Option<u64>,
    key: &VerifierKey,
    report: &mut AuditReport,
) -> Vec<Checkpoint> {
    let mut opened = Vec::new();
    let mut expected = 1;
    for CheckpointRow { seq, size, note } in rows {
        let seq = seq.unsigned_abs();
        if seq > expected {
            report.report(AuditDamage::Checkpoint(expected));
            report.n_more += seq - expected - 1;
        }
        expected = seq + 1;
        let note = std::str::from_utf8(note).ok();
        let checkpoint = note.and_then(|note| Checkpoint::open(note, key).ok().filter(|_| is_as_written(note)));
        match checkpoint.filter(|checkpoint| log::column(checkpoint.size) == *size) {
            Some(checkpoint) => opened.push(checkpoint),
            None => report.report(AuditDamage::Checkpoint(seq)),
        }
    }
    if count != Some(expected - 1) {
        report.report(AuditDamage::Counter("checkpoints"));
    }
    opened
}

/// Base64 can be written in ways that mean the same: only one of them was.
fn is_as_written(note: &str) -> bool {
    mendwright_core::note::Note::parse(note).is_ok_and(|parsed| parsed.to_string() == note)
}

/// One pass over all entries.
struct Pass<'c> {
    /// Signed checkpoints by size, and whether they are from elsewhere.
    signed: &'c [(&'c Checkpoint, bool)],
    /// How many of them were compared.
    compared: usize,
    /// Sizes of those that fit.
    fit: Vec<(u64, bool)>,
    differ: Vec<&'c Checkpoint>,
    /// The tree so far; `None` after a gap.
    tree: Option<Tree>,
    next: u64,
    /// The tile that is being filled: its number and hashes.
    tile: (u64, Vec<Hash>),
    /// Hashes over full tiles of stored hashes.
    tiles: BTreeMap<u64, Hash>,
}

impl<'c> Pass<'c> {
    fn new(signed: &'c [(&'c Checkpoint, bool)]) -> Self {
        let (tree, tile) = (Some(Tree::default()), (0, Vec::new()));
        let mut pass =
            Self { signed, compared: 0, fit: vec![], differ: vec![], tree, next: 0, tile, tiles: BTreeMap::new() };
        pass.compare();
        pass
    }

    fn leaf(&mut self, leaf: &LeafRow, report: &mut AuditReport) {
        let LeafRow { at, entry, hash, row } = leaf;
        if *at != self.next {
            report.report(AuditDamage::Gap(self.next, *at));
            self.tree = None;
        }
        let made = merkle::leaf(entry);
        if hex::encode(made).as_bytes() != hash.as_slice() {
            report.report(AuditDamage::Leaf(*at));
        }
        if row.as_ref() != Some(entry) {
            report.report(AuditDamage::Entry(*at));
        }
        self.next = at + 1;
        let width = u64::from(WIDTH);
        if self.tile.0 != at / width {
            self.tile = (at / width, Vec::new());
        }
        self.tile.1.extend(log::hash_of(hash));
        if self.tile.1.len() == usize::from(WIDTH) {
            self.tiles.insert(self.tile.0, Tree::of_hashes(&self.tile.1).root());
        }
        if let Some(tree) = &mut self.tree {
            tree.push_hash(made);
        }
        self.compare();
    }

    /// Compares the checkpoints of the size that the tree has now.
    fn compare(&mut self) {
        while let Some((checkpoint, elsewhere)) = self.signed.get(self.compared) {
            if checkpoint.size > self.next {
                return;
            }
            self.compared += 1;
            match &self.tree {
                Some(tree) if tree.size() == checkpoint.size && tree.root() == checkpoint.root => {
                    self.fit.push((checkpoint.size, *elsewhere));
                }
                Some(_) | None => self.differ.push(checkpoint),
            }
        }
    }

    /// Up to where the entries are what was signed, below a size; by checkpoints from elsewhere only, where
    /// there are any: who holds the key can sign what stands here anew.
    fn fits_below(&self, size: u64, elsewhere: bool) -> u64 {
        let fits = self.fit.iter().filter(|(fit, is_elsewhere)| *fit < size && (*is_elsewhere || !elsewhere));
        fits.map(|(fit, _)| *fit).max().unwrap_or(0)
    }

    /// Nothing comes any more: what is larger than the log does not fit it.
    fn end(&mut self) {
        self.differ.extend(self.signed.iter().skip(self.compared).map(|(checkpoint, _)| *checkpoint));
    }
}

/// Compares each stored hash over a tile with the tile that is stored below it.
fn compare_nodes(nodes: &Nodes, tiles: &BTreeMap<u64, Hash>, size: u64, report: &mut AuditReport) {
    let width = u64::from(WIDTH);
    let mut over = tiles.clone();
    for level in 1..edge::levels(size) {
        for (node, hash) in &over {
            if nodes.get(&(level, *node)) != Some(&Some(*hash)) {
                report.report(AuditDamage::Node(level, *node));
            }
        }
        // A tile with a hash missing is reported where it is missing.
        let mut full: BTreeMap<u64, Vec<Hash>> = BTreeMap::new();
        for ((_, node), hash) in nodes.range((level, 0)..=(level, u64::MAX)) {
            full.entry(node / width).or_default().extend(hash);
        }
        full.retain(|_, hashes| hashes.len() == usize::from(WIDTH));
        over = full.into_iter().map(|(node, hashes)| (node, Tree::of_hashes(&hashes).root())).collect();
    }
    for (level, node) in nodes.keys() {
        if *level >= edge::levels(size) || *node >= size >> (8 * *level) {
            report.report(AuditDamage::Node(*level, *node));
        }
    }
}

/// What differs from a signed checkpoint. The hashes of entries as they were signed stand beside their
/// bytes, and can be made from their rows: whichever leads to what was signed says which differ.
fn locate_in(
    (checkpoint, fits): (&Checkpoint, u64),
    leaves: &BTreeMap<u64, Found>,
    nodes: &Nodes,
    report: &mut AuditReport,
) {
    let found = |at: u64| leaves.get(&at).copied().unwrap_or_default();
    let by = |source: fn(Found) -> Option<Hash>| {
        let tile = |path: &TilePath| {
            let first = path.index() * u64::from(WIDTH);
            let hash = |at: u64| match path.tile() {
                Tile::Hashes(0) | Tile::Entries => source(found(at)),
                Tile::Hashes(level) => nodes.get(&(level, at)).copied().flatten(),
            };
            (first..first + u64::from(path.width())).map(hash).collect()
        };
        locate(checkpoint, tile, |at| found(at).made)
    };
    let ways = [by(|found| found.stored), by(|found| found.of_row), by(|found| found.stored.or(found.of_row))];
    let vague = |located: &Located| located.damages.iter().filter(|d| matches!(d, Damage::Somewhere { .. })).count();
    let best = ways.into_iter().min_by_key(|way| (vague(way), way.n_more, way.damages.len()));
    let located = best.unwrap_or_default();
    report.n_more += located.n_more;
    for damage in located.damages {
        let damage = if let Damage::Somewhere { from, to } = damage {
            Damage::Somewhere { from: from.max(fits), to }
        } else {
            damage
        };
        // What is known from a signature need not be said once more without.
        let index = match &damage {
            Damage::Changed { index } | Damage::Missing { index } => Some(*index),
            Damage::Inserted { .. } | Damage::Somewhere { .. } | Damage::Tile(_) => None,
        };
        if let Some(index) = index {
            let same = [AuditDamage::Leaf(index), AuditDamage::Gap(index, index + 1), AuditDamage::Stray(index)];
            report.damages.retain(|damage| !same.contains(damage));
        }
        report.report(AuditDamage::Signed(checkpoint.size, damage));
    }
}
