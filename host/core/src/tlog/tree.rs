//! Proofs over an RFC 6962 tree: made from stored hashes, checked without any.

use crate::code::Code;
use crate::merkle::{self, Hash};

/// Where the hashes of complete subtrees are stored.
pub trait Nodes {
    /// Why one cannot be read.
    type Error;

    /// The hash over the 2^level leaves from `index * 2^level` on. Asked only for subtrees that are
    /// complete at the tree's size.
    ///
    /// # Errors
    /// If it cannot be read.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no such entry in a tree of this size, or the older tree is the larger one.
    #[error("the proof is about an entry or a tree that cannot be")]
    OutOfRange,
    /// It has too few or too many hashes.
    #[error("the proof has not the length that it must")]
    Length,
    /// It leads to another root.
    #[error("the proof leads to another root than was signed")]
    Root,
}

impl ProofError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::AuditTampered
    }
}

/// The largest power of two below `n`, for `n` of at least 2.
const fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// The root over the leaves from `from` up to `to`, a range that RFC 6962 arrives at by splitting.
fn range<N: Nodes + ?Sized>(nodes: &N, mut from: u64, to: u64) -> Result<Hash, N::Error> {
    let mut parts = Vec::new();
    while from < to {
        let level = 63 - (to - from).leading_zeros();
        parts.push(nodes.node(u8::try_from(level).unwrap_or(u8::MAX), from >> level)?);
        from += 1 << level;
    }
    let root = parts.into_iter().rev().reduce(|right, left| merkle::node(&left, &right));
    Ok(root.unwrap_or_else(|| merkle::Tree::default().root()))
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// Those of `nodes`.
pub fn root<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    range(nodes, 0, size)
}

/// The hashes that lead from the leaf at `index` to the root at `size`: RFC 6962, section 2.1.1. Empty
/// where there is no such leaf.
///
/// # Errors
/// Those of `nodes`.
pub fn inclusion<N: Nodes + ?Sized>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let mut path = Vec::new();
    let (mut from, mut to) = (0, if index < size { size } else { 0 });
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range(nodes, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show the tree of `old` leaves to be the beginning of that of `new`: RFC 6962,
/// section 2.1.2. Empty where there is nothing to show.
///
/// # Errors
/// Those of `nodes`.
pub fn consistency<N: Nodes + ?Sized>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return Ok(path);
    }
    let (mut from, mut to) = (0, new);
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range(nodes, from, middle)?);
            from = middle;
        }
    }
    // A subtree that begins at the first leaf is the old tree itself, whose root is known.
    if from != 0 {
        path.push(range(nodes, from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `path` leads from this leaf to this root: RFC 9162, section 2.1.3.2.
///
/// # Errors
/// [`ProofError`].
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, root: &Hash, path: &[Hash]) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for step in path {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            hash = merkle::node(step, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = merkle::node(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// A tree that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: &'a Hash,
}

/// Whether `path` shows `old` to be the beginning of `new`: RFC 9162, section 2.1.4.2.
///
/// # Errors
/// [`ProofError`].
pub fn verify_consistency(old: Head<'_>, new: Head<'_>, path: &[Hash]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::OutOfRange);
    }
    if old.size == 0 || old.size == new.size {
        let known = if old.size == 0 { &merkle::Tree::default().root() } else { new.root };
        let same = if old.root == known { Ok(()) } else { Err(ProofError::Root) };
        return if path.is_empty() { same } else { Err(ProofError::Length) };
    }
    let shift = (old.size - 1).trailing_ones();
    let (mut node, mut last) = ((old.size - 1) >> shift, (new.size - 1) >> shift);
    let mut steps = path.iter();
    let first = if old.size.is_power_of_two() { Some(old.root) } else { steps.next() };
    let first = first.ok_or(ProofError::Length)?;
    let (mut old_hash, mut new_hash) = (*first, *first);
    for step in steps {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if node & 1 == 1 || node == last {
            old_hash = merkle::node(step, &old_hash);
            new_hash = merkle::node(step, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = merkle::node(&new_hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if old_hash == *old.root && new_hash == *new.root { Ok(()) } else { Err(ProofError::Root) }
}
