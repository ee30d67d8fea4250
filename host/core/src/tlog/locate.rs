//! Where a log that no longer fits its checkpoint was changed.
//!
//! The signed root vouches for the rightmost tiles, those for the hashes of the tiles below, and so on
//! down to the hash of each entry. Wherever a stored tile leads to what is vouched for above it, what it
//! says of the entries is the truth of when it was signed; what the entries say now is compared with it.

use super::checkpoint::Checkpoint;
use super::tile::{Tile, TilePath, WIDTH};
use crate::merkle::{Hash, Tree};

/// The most damages that are listed: a person reads them.
pub const DAMAGES_MAX: usize = 100;

/// One thing that is not as it was signed. Numbers count entries from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The entry is another than was signed.
    Changed {
        /// Its number.
        index: u64,
    },
    /// The entry is gone.
    Missing {
        /// Its number when it was signed.
        index: u64,
    },
    /// An entry stands where none was signed.
    Inserted {
        /// Where it stands now.
        index: u64,
    },
    /// Somewhere in here entries differ; the tiles that could tell which are damaged too.
    Somewhere {
        /// The first entry of the range.
        from: u64,
        /// The first after it.
        to: u64,
    },
    /// A stored tile is not what was signed. It can be made anew from entries that are.
    Tile(TilePath),
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Located {
    /// The first damages, in the order of the entries.
    pub damages: Vec<Damage>,
    /// How many there are beyond [`DAMAGES_MAX`].
    pub n_more: u64,
}

impl Located {
    /// Whether the log is as it was signed.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.damages.is_empty()
    }
}

/// Compares the entries of a log with a checkpoint whose signature was verified. `tile` reads a stored
/// tile of hashes, `leaf` the hash of a stored entry, made from its bytes: each `None` where nothing is
/// stored. Entries after the checkpoint's are not looked at.
pub fn locate(
    checkpoint: &Checkpoint,
    tile: impl FnMut(&TilePath) -> Option<Vec<Hash>>,
    leaf: impl FnMut(u64) -> Option<Hash>,
) -> Located {
    let mut search = Search { size: checkpoint.size, tile, leaf, found: Located::default(), shift: 0, held: None };
    let edge = search.edge(&checkpoint.root);
    match edge {
        Some(edge) => {
            for (level, first, hashes) in edge {
                search.descend(level, first, &hashes);
            }
        }
        None => search.report(Damage::Somewhere { from: 0, to: checkpoint.size }),
    }
    search.settle(None);
    search.found
}

/// Hashes of one level of tiles that are vouched for, and the number of the first.
type Vouched = (u8, u64, Vec<Hash>);

/// A partial tile.
struct Edge {
    level: u8,
    path: TilePath,
    stored: Option<Vec<Hash>>,
    made: Option<Vec<Hash>>,
}

struct Search<T, L> {
    size: u64,
    tile: T,
    leaf: L,
    found: Located,
    /// How far entries have moved: down by one for each that is missing, up for each inserted.
    shift: i64,
    /// The last entry, which cannot be told before the hash after it is known.
    held: Option<(u64, Hash)>,
}

impl<T: FnMut(&TilePath) -> Option<Vec<Hash>>, L: FnMut(u64) -> Option<Hash>> Search<T, L> {
    fn report(&mut self, damage: Damage) {
        if self.found.damages.len() < DAMAGES_MAX {
            self.found.damages.push(damage);
        } else {
            self.found.n_more += 1;
        }
    }

    fn stored(&self, index: u64) -> Option<u64> {
        index.checked_add_signed(self.shift)
    }

    /// The hash over entries as they are stored now.
    fn over(&mut self, from: u64, to: u64) -> Option<Hash> {
        let mut tree = Tree::default();
        for index in from..to {
            let stored = self.stored(index)?;
            tree.push_hash((self.leaf)(stored)?);
        }
        Some(tree.root())
    }

    /// The partial tiles on the right, highest first, whose hashes together give the signed root. Where
    /// a stored one is damaged, the entries below it may still be whole: each level is taken from its
    /// tile or from the entries, whichever leads to the root.
    fn edge(&mut self, root: &Hash) -> Option<Vec<Vouched>> {
        let mut levels: Vec<Edge> = (0..8).rev().filter_map(|level| self.partial(level)).collect();
        if !leads_to(root, &levels, 0) {
            levels.iter_mut().for_each(|level| level.made = self.made(level));
        }
        // At most eight levels, so at most 256 ways; the first is all of them from their tiles.
        let choice = (0_u32..1 << levels.len()).find(|choice| leads_to(root, &levels, *choice))?;
        let mut edge = Vec::new();
        for (at, Edge { level, path, stored, made }) in levels.into_iter().enumerate() {
            let from_tile = choice >> at & 1 == 0;
            if !from_tile {
                self.report(Damage::Tile(path));
            }
            edge.push((level, path.index() * u64::from(WIDTH), if from_tile { stored? } else { made? }));
        }
        Some(edge)
    }

    /// The partial tile of a level, if there is one.
    fn partial(&mut self, level: u8) -> Option<Edge> {
        let full = (self.size >> (8 * u32::from(level))) / u64::from(WIDTH);
        let path = TilePath::of_size(Tile::Hashes(level), full, self.size)?;
        let stored = (self.tile)(&path).filter(|hashes| hashes.len() == usize::from(path.width()));
        Some(Edge { level, path, stored, made: None })
    }

    /// What the tile would hold if the entries are to be believed.
    fn made(&mut self, edge: &Edge) -> Option<Vec<Hash>> {
        let first = edge.path.index() * u64::from(WIDTH);
        let bits = 8 * u32::from(edge.level);
        (first..first + u64::from(edge.path.width())).map(|at| self.over(at << bits, (at + 1) << bits)).collect()
    }

    /// Goes from hashes that are vouched for down to the entries below them.
    fn descend(&mut self, level: u8, first: u64, hashes: &[Hash]) {
        for (index, hash) in (first..).zip(hashes) {
            let Some(below) = level.checked_sub(1) else {
                self.settle(Some(hash));
                self.held = Some((index, *hash));
                continue;
            };
            let Some(path) = TilePath::of_size(Tile::Hashes(below), index, self.size) else { continue };
            match (self.tile)(&path) {
                Some(stored) if stored.len() == usize::from(WIDTH) && Tree::of_hashes(&stored).root() == *hash => {
                    self.descend(below, index * u64::from(WIDTH), &stored);
                }
                Some(_) | None => {
                    self.settle(None);
                    self.report(Damage::Tile(path));
                    let bits = 8 * u32::from(level);
                    let (from, to) = (index << bits, (index + 1) << bits);
                    if self.over(from, to) != Some(*hash) {
                        self.report(Damage::Somewhere { from, to });
                    }
                }
            }
        }
    }

    /// Compares the entry that is held, now that the hash signed after it may be known.
    fn settle(&mut self, next: Option<&Hash>) {
        let Some((index, hash)) = self.held.take() else { return };
        let Some(at) = self.stored(index) else { return };
        let here = (self.leaf)(at);
        if here == Some(hash) {
            return;
        }
        if here.is_some() && here.as_ref() == next {
            self.shift -= 1;
            return self.report(Damage::Missing { index });
        }
        if (self.leaf)(at + 1) == Some(hash) {
            self.shift += 1;
            return self.report(Damage::Inserted { index: at });
        }
        self.report(if here.is_some() { Damage::Changed { index } } else { Damage::Missing { index } });
    }
}

/// Whether partial tiles, the highest first, lead to the root: each as it is stored, or as it is made from
/// the entries where its bit in `choice` is set.
fn leads_to(root: &Hash, levels: &[Edge], choice: u32) -> bool {
    let mut roots: Vec<Hash> = Vec::new();
    for (at, edge) in levels.iter().enumerate() {
        let picked = if choice >> at & 1 == 0 { &edge.stored } else { &edge.made };
        let Some(hashes) = picked else { return false };
        roots.extend_from_slice(Tree::of_hashes(hashes).roots());
    }
    // What is further to the right hangs below what is further to the left.
    let joined = roots.into_iter().rev().reduce(|right, left| crate::merkle::node(&left, &right));
    joined.unwrap_or_else(|| Tree::default().root()) == *root
}
