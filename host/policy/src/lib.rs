//! What may happen: Cedar policies over facts, and the forbids that no configuration removes.
//!
//! Facts and settings come in (`mendwright_core::policy`), a decision goes out, with the ids of the
//! policies that made it and what would have to be different. No clock, no store, and no file but the
//! operator's policies when they are loaded.
//!
//! Invariants:
//! - the built-in forbids are in every set that decides; an operator's file can neither replace one
//!   nor take an id that looks like theirs;
//! - what was not permitted is denied, and what cannot be evaluated forbids;
//! - the policies alone decide; what is missing is explained afterwards and changes nothing.
//!
//! In reading order: [`engine`] (a set of policies, and one decision), [`files`] (reading and checking
//! them), [`reload`] (the last good set), [`cases`] (tables of cases for `policy test`); inside,
//! `request` (facts as Cedar sees them) and `why` (what is missing).

pub mod cases;
pub mod engine;
pub mod files;
pub mod reload;
mod request;
mod why;

pub use engine::{About, Engine};
pub use files::{Invalid, Problem};
pub use reload::{Reloading, Set};
