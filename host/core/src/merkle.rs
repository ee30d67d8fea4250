//! The Merkle tree of RFC 6962, section 2.1, built in one pass with a logarithmic stack.
//!
//! Plans use it (one leaf for each change) and so will the audit log: one hash, one proof format.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The hash of a leaf: SHA-256(0x00 ‖ data).
#[must_use]
pub fn leaf(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(data).finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// A tree that grows leaf by leaf and remembers only the roots of its complete subtrees.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// Roots of complete subtrees, the largest first; one for each bit set in `size`.
    roots: Vec<Hash>,
}

impl Tree {
    /// Adds a leaf.
    pub fn push(&mut self, data: &[u8]) {
        let mut hash = leaf(data);
        // Each trailing one bit of the old size is a complete subtree of the same height as `hash`.
        let mut rest = self.size;
        while rest & 1 == 1 {
            if let Some(left) = self.roots.pop() {
                hash = node(&left, &hash);
            }
            rest >>= 1;
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves; SHA-256 of nothing for an empty tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.roots
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node(&left, &right))
            .unwrap_or_else(|| Sha256::digest([]).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962's definition, word for word, to compare with.
    fn recursive(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => leaf(one),
            many => {
                let k = many.len().next_power_of_two() / 2;
                node(&recursive(&many[..k]), &recursive(&many[k..]))
            }
        }
    }

    #[test]
    fn one_pass_gives_the_root_that_the_rfc_defines() {
        for n in 0_u8..70 {
            let leaves: Vec<Vec<u8>> = (0..n).map(|i| vec![i; usize::from(i) % 5]).collect();
            let mut tree = Tree::default();
            leaves.iter().for_each(|leaf| tree.push(leaf));
            assert_eq!(tree.root(), recursive(&leaves), "{n} leaves");
        }
    }

    #[test]
    fn the_known_vectors_of_certificate_transparency_hold() {
        let mut tree = Tree::default();
        assert_eq!(hex::encode(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        tree.push(b"");
        assert_eq!(hex::encode(tree.root()), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }
}
