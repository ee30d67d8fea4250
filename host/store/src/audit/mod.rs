//! The audit log: what happened, in an order that nobody can change afterwards without being found out.
//!
//! - [`fact`]: a fact is written down unsequenced, in the transaction of what it tells of;
//! - [`entry`]: the frozen form that it gets when it is sequenced;
//! - [`sequencer`]: one at a time moves committed facts into leaves of an RFC 6962 tree;
//! - [`checkpoint`]: the log's own signature over size and root, and where copies of it went;
//! - [`log`]: reading entries, tiles and proofs; [`mod@verify`]: believing nothing of it.
//!
//! **Invariants**: a leaf is never changed; a checkpoint is signed only if the one before it is the
//! beginning of it.

pub mod checkpoint;
mod edge;
pub mod entry;
pub mod fact;
pub mod log;
pub mod sequencer;
pub mod verify;

pub use checkpoint::{Anchored, StoredCheckpoint};
pub use entry::Entry;
pub use fact::Fact;
pub(crate) use fact::{beside, record};
pub use log::{AuditStatus, LogFilter, Logged};
pub use verify::{AuditDamage, AuditReport};

#[cfg(test)]
mod tests;
