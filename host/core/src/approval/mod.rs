//! People's word on a plan, or on its undo: approve, reject, withdraw.
//!
//! - [`statement`]: what somebody signs, and how it is read back; [`paper`]: what they are handed for it;
//! - [`mod@verify`]: whether a statement is genuine and is about this run;
//! - [`mod@tally`]: whose word counts, and whether it is enough.
//!
//! **Invariant**: a [`Vote`] exists only for a statement whose signature and whose every field was
//! checked; what takes power away (a rejection, a withdrawal) outlives the key that said it.

pub mod paper;
pub mod statement;
pub mod tally;
pub mod verify;

pub use paper::{Ballot, Paper};
pub use statement::{CheckpointRef, Means, Nonce, Statement, StatementError, Subject, Verb};
pub use tally::{Counted, SetAside, Tally, Terms, tally};
pub use verify::{Expected, NotCounted, Vote, verify};

#[cfg(test)]
mod tests;
