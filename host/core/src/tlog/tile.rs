//! Tiles (<https://c2sp.org/tlog-tiles>): the tree and its entries as files that never change.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::tree::{self, Nodes};
use crate::merkle::{Hash, Tree};

/// Hashes in a full tile.
pub const WIDTH: u16 = 256;
/// Levels of the tree that one level of tiles spans: 2^8 is 256.
const HEIGHT: u8 = 8;
/// The highest level of tiles of a tree whose size fits 64 bits.
const LEVEL_MAX: u8 = 7;
/// The longest entry: its length is written in 16 bits.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tile {
    /// Hashes; each of level `n` is over a full tile of level `n - 1`, those of level 0 are of entries.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

impl Tile {
    /// Each hash or entry of such a tile stands for 2 to the power of this many entries.
    const fn shift(self) -> u8 {
        match self {
            Self::Hashes(level) => level * HEIGHT,
            Self::Entries => 0,
        }
    }
}

/// Where a tile is found; prints as `tile/0/x001/x234/067.p/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    tile: Tile,
    index: u64,
    width: u16,
}

/// The text is no tile's path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path of a tile")]
pub struct ParseTilePathError(String);

impl TilePath {
    /// What it holds.
    #[must_use]
    pub const fn tile(&self) -> Tile {
        self.tile
    }

    /// Which of its level, from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes or entries it has: 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// The tile with this index as a tree of `size` has it; `None` if it has none.
    #[must_use]
    pub fn of_size(tile: Tile, index: u64, size: u64) -> Option<Self> {
        if matches!(tile, Tile::Hashes(level) if level > LEVEL_MAX) {
            return None;
        }
        let count = size >> tile.shift();
        let width = count.checked_sub(index.checked_mul(u64::from(WIDTH))?)?.min(u64::from(WIDTH));
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { tile, index, width })
    }

    /// Every tile that a tree of `new` has and one of `old` had not: what to publish after a checkpoint.
    #[must_use]
    pub fn added(old: u64, new: u64) -> Vec<Self> {
        let mut paths = Vec::new();
        for tile in (0..=LEVEL_MAX).map(Tile::Hashes).chain([Tile::Entries]) {
            let (before, after) = (old >> tile.shift(), new >> tile.shift());
            // What was full before stays as it is, and a partial one stays if nothing came to it.
            let mut index = before / u64::from(WIDTH);
            while before < after && index * u64::from(WIDTH) < after {
                paths.extend(Self::of_size(tile, index, new));
                index += 1;
            }
        }
        paths
    }

    /// The bytes of a tile of hashes.
    ///
    /// # Errors
    /// Those of `nodes`.
    pub fn content<N: Nodes + ?Sized>(&self, nodes: &N) -> Result<Vec<u8>, N::Error> {
        let first = self.index * u64::from(WIDTH);
        let hashes: Result<Vec<Hash>, _> =
            (first..first + u64::from(self.width)).map(|at| nodes.node(self.tile.shift(), at)).collect();
        Ok(hashes?.concat())
    }
}

/// The hashes in a tile's bytes; `None` if they are not whole.
#[must_use]
pub fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tile {
            Tile::Hashes(level) => write!(f, "tile/{level}/")?,
            Tile::Entries => f.write_str("tile/entries/")?,
        }
        let mut rest = self.index / 1000;
        let mut parts = vec![format!("{:03}", self.index % 1000)];
        while rest > 0 {
            parts.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        parts.reverse();
        f.write_str(&parts.join("/"))?;
        if self.width < WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = ParseTilePathError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Whatever is read must print the same again: no leading zeroes, no signs, no second spelling.
        let path = parse(text).filter(|path| path.to_string() == text);
        path.ok_or_else(|| ParseTilePathError(crate::text::escape_short(text, 80)))
    }
}

fn parse(text: &str) -> Option<TilePath> {
    let (level, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let tile = match level {
        "entries" => Tile::Entries,
        number => Tile::Hashes(number.parse().ok().filter(|level| *level <= LEVEL_MAX)?),
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
        None => (rest, WIDTH),
    };
    let mut number: u64 = 0;
    for part in index.split('/') {
        let digits = part.strip_prefix('x').unwrap_or(part);
        let value: u64 = digits.parse().ok().filter(|_| digits.len() == 3)?;
        number = number.checked_mul(1000)?.checked_add(value)?;
    }
    // The last entry of the tile must have a number.
    number.checked_add(1)?.checked_mul(u64::from(WIDTH))?.checked_shl(u32::from(tile.shift()))?;
    Some(TilePath { tile, index: number, width })
}

/// Why entries and a bundle of them do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry does not fit.
    #[error("an entry of {0} bytes is longer than {ENTRY_BYTES_MAX}")]
    TooLong(usize),
    /// The bundle ends inside an entry.
    #[error("a bundle of entries ends inside an entry")]
    Cut,
}

/// The bytes of a bundle of entries.
///
/// # Errors
/// [`BundleError::TooLong`].
pub fn bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, BundleError> {
    let mut out = Vec::new();
    for entry in entries.iter().map(AsRef::as_ref) {
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong(entry.len()))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Ok(out)
}

/// The entries of a bundle.
///
/// # Errors
/// [`BundleError::Cut`].
pub fn unbundle(mut bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>().ok_or(BundleError::Cut)?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(BundleError::Cut)?;
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

/// Tiles that were read, as a source of hashes.
#[derive(Clone, Debug, Default)]
pub struct Tiles {
    size: u64,
    tiles: BTreeMap<TilePath, Vec<Hash>>,
}

/// A tile is missing, or has not as many hashes as it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tile of level {level} that holds hash {index} is missing or cut")]
pub struct TileMissing {
    /// The level of tiles.
    pub level: u8,
    /// The hash wanted, counted within the level.
    pub index: u64,
}

impl Tiles {
    /// No tiles yet, of a tree of this size.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, tiles: BTreeMap::new() }
    }

    /// Adds a tile.
    pub fn insert(&mut self, path: TilePath, hashes: Vec<Hash>) {
        self.tiles.insert(path, hashes);
    }

    /// Which tiles hold the hashes that `proof` asks for: to be read before it is made.
    pub fn needed<P>(size: u64, proof: impl FnOnce(&dyn Nodes<Error = Infallible>) -> P) -> BTreeSet<TilePath> {
        let asked = Asked { size, paths: std::cell::RefCell::default() };
        proof(&asked);
        asked.paths.into_inner()
    }
}

/// The tile that holds the subtree, and where in it.
fn place(level: u8, index: u64, size: u64) -> Option<(TilePath, usize, usize)> {
    let (tile, within) = (level / HEIGHT, u32::from(level % HEIGHT));
    let first = index.checked_shl(within)?;
    let path = TilePath::of_size(Tile::Hashes(tile), first / u64::from(WIDTH), size)?;
    let from = usize::try_from(first % u64::from(WIDTH)).ok()?;
    Some((path, from, from + (1 << within)))
}

impl Nodes for Tiles {
    type Error = TileMissing;
    fn node(&self, level: u8, index: u64) -> Result<Hash, TileMissing> {
        let hashes = place(level, index, self.size).and_then(|(path, from, to)| self.tiles.get(&path)?.get(from..to));
        let missing = TileMissing { level: level / HEIGHT, index: index << (level % HEIGHT) };
        hashes.map(|hashes| Tree::of_hashes(hashes).root()).ok_or(missing)
    }
}

/// Remembers which tiles it was asked for.
struct Asked {
    size: u64,
    paths: std::cell::RefCell<BTreeSet<TilePath>>,
}

impl Nodes for Asked {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        self.paths.borrow_mut().extend(place(level, index, self.size).map(|(path, ..)| path));
        Ok([0; 32])
    }
}

/// The tiles that an inclusion proof is made from.
#[must_use]
pub fn needed_for_inclusion(index: u64, size: u64) -> BTreeSet<TilePath> {
    Tiles::needed(size, |nodes| tree::inclusion(nodes, index, size))
}

/// The tiles that a consistency proof is made from, as the tree of `new` has them.
#[must_use]
pub fn needed_for_consistency(old: u64, new: u64) -> BTreeSet<TilePath> {
    Tiles::needed(new, |nodes| tree::consistency(nodes, old, new))
}
