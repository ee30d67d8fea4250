//! The audit log as a transparency log: RFC 6962 trees, C2SP checkpoints and tiles.
//!
//! - [`checkpoint`]: what the log signs;
//! - [`tree`]: proofs that an entry is in it, and that it only grew;
//! - [`tile`]: the form in which witnesses and mirrors read it;
//! - [`mod@locate`]: where a log that no longer fits its checkpoint was changed.
//!
//! **Invariant**: nothing here is believed that does not lead to a root that was signed.

pub mod checkpoint;
pub mod locate;
pub mod tile;
pub mod tree;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use locate::{Damage, Located, locate};
pub use tile::{Tile, TilePath, Tiles};
pub use tree::{Nodes, ProofError};

#[cfg(test)]
mod tests;
