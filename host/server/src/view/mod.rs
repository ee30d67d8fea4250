//! What a person sees: pure functions from the core's types to text.
//!
//! Nothing here reads a file, a clock or the environment; the caller says whether there are colours and
//! how wide the terminal is ([`Look`]). **Invariant**: whatever comes from data is escaped before it is
//! shown, and two different values never look the same.

mod cell;
mod grid;
mod look;
mod next;
mod number;
mod pages;

pub mod audit;
pub mod bundle;
pub mod difference;
pub mod doctor;
pub mod drift;
pub mod explain;
pub mod job;
pub mod json;
pub mod lock;
pub mod outcome;
pub mod plan;
pub mod problem;
pub mod replay;
pub mod report;
pub mod resource;
pub mod rollout;
pub mod run;
pub mod schedule;
pub mod sql;
pub mod status;
pub mod switch;
pub mod tenant;
pub mod undo;
pub mod undo_all;

#[cfg(test)]
mod sample;

pub use look::Look;
pub use next::{Next, next};
