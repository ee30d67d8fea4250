//! The Merkle tree of RFC 6962, section 2.1, built in one pass with a logarithmic stack.
//!
//! Plans use it (one leaf for each change) and so does the audit log ([`crate::tlog`] has its proofs and
//! tiles): one hash, one proof format.

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
    /// A tree that goes on where another stood: its size and [`Tree::roots`]. `None` if there are not as
    /// many roots as a tree of this size has.
    #[must_use]
    pub fn resume(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (usize::try_from(size.count_ones()) == Ok(roots.len())).then_some(Self { size, roots })
    }

    /// The tree over leaves, or over complete subtrees of one height, of which there are only the hashes.
    #[must_use]
    pub fn of_hashes(hashes: &[Hash]) -> Self {
        let mut tree = Self::default();
        hashes.iter().for_each(|hash| tree.push_hash(*hash));
        tree
    }

    /// Adds a leaf.
    pub fn push(&mut self, data: &[u8]) {
        self.push_hash(leaf(data));
    }

    /// Adds a leaf of which there is only the hash.
    pub fn push_hash(&mut self, mut hash: Hash) {
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

    /// The roots of the complete subtrees, the largest first: with the size, all that is needed to go on.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
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

    /// The eight leaves that every implementation of RFC 6962 is tried with, and the root after each.
    #[test]
    fn the_known_vectors_of_certificate_transparency_hold() {
        let vectors = [
            ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
            ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ];
        let mut tree = Tree::default();
        assert_eq!(hex::encode(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (leaf, root) in vectors {
            tree.push(&hex::decode(leaf).unwrap());
            assert_eq!(hex::encode(tree.root()), root);
            let again = Tree::resume(tree.size(), tree.roots().to_vec()).unwrap();
            assert_eq!(again.root(), tree.root());
        }
        assert!(Tree::resume(3, tree.roots().to_vec()).is_none());
    }
}
