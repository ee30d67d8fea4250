//! The right edge of the tree: the tiles that are not full yet, one for each level, and what fills up.

use mendwright_core::merkle::{Hash, Tree};
use mendwright_core::tlog::tile::WIDTH;

/// The hash over a full tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The level of tiles that it stands in: 1 for a hash over entries.
    pub(super) level: u8,
    /// Its number there.
    pub(super) index: u64,
    pub(super) hash: Hash,
}

/// The tiles on the right.
#[derive(Clone, Debug, Default)]
pub(super) struct Edge {
    /// By level; each has fewer hashes than a full tile.
    tiles: Vec<Vec<Hash>>,
    size: u64,
}

/// Where the tile on the right of a level begins and ends, in hashes of that level.
pub(super) const fn range(level: u8, size: u64) -> (u64, u64) {
    let count = size >> (8 * level);
    (count - count % WIDTH as u64, count)
}

impl Edge {
    /// The edge of a tree of `size`, whose partial tiles are `tiles`. `None` if they are not as many and as
    /// wide as such a tree has.
    pub(super) fn resume(size: u64, tiles: Vec<Vec<Hash>>) -> Option<Self> {
        let fits = |(level, tile): (u8, &Vec<Hash>)| {
            let (from, to) = range(level, size);
            u64::try_from(tile.len()) == Ok(to - from)
        };
        let all = (0..levels(size)).zip(&tiles).all(fits) && usize::from(levels(size)) == tiles.len();
        all.then_some(Self { tiles, size })
    }

    /// Adds a leaf; gives the nodes that are complete with it, the lowest first.
    pub(super) fn push(&mut self, leaf: Hash) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut hash = leaf;
        self.size += 1;
        for level in 0_u8.. {
            if usize::from(level) == self.tiles.len() {
                self.tiles.push(Vec::new());
            }
            let Some(tile) = self.tiles.get_mut(usize::from(level)) else { break };
            tile.push(hash);
            if tile.len() < usize::from(WIDTH) {
                break;
            }
            hash = Tree::of_hashes(tile).root();
            tile.clear();
            nodes.push(Node { level: level + 1, index: (self.size >> (8 * (level + 1))) - 1, hash });
        }
        nodes
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }
}

/// How many levels of tiles a tree of this size has.
pub(super) const fn levels(size: u64) -> u8 {
    let mut levels = 0;
    while levels < 8 && size >> (8 * levels) > 0 {
        levels += 1;
    }
    levels
}

#[cfg(test)]
mod tests {
    use mendwright_core::merkle;

    use super::*;

    #[test]
    fn nodes_are_the_roots_of_full_tiles_wherever_one_goes_on() {
        let leaves: Vec<Hash> = (0..66_000_u32).map(|n| merkle::leaf(&n.to_be_bytes())).collect();
        let (mut edge, mut nodes) = (Edge::default(), Vec::new());
        for leaf in &leaves {
            nodes.extend(edge.push(*leaf));
            let tiles: Vec<Vec<Hash>> = edge.tiles.iter().take(usize::from(levels(edge.size))).cloned().collect();
            edge = Edge::resume(edge.size(), tiles).unwrap();
        }
        assert_eq!(nodes.iter().filter(|node| node.level == 1).count(), 257);
        let top = nodes.iter().find(|node| node.level == 2).unwrap();
        assert_eq!((top.index, top.hash), (0, Tree::of_hashes(&leaves[..65_536]).root()));
        for node in nodes.iter().filter(|node| node.level == 1) {
            let from = usize::try_from(node.index).unwrap() * 256;
            assert_eq!(node.hash, Tree::of_hashes(&leaves[from..from + 256]).root());
        }
        assert_eq!((levels(0), levels(1), levels(255), levels(256), levels(65_536)), (0, 1, 1, 2, 3));
        assert!(Edge::resume(256, vec![vec![]]).is_none() && Edge::resume(1, vec![vec![]]).is_none());
    }
}
