//! For tests and benches, of this crate and of others (feature `testing`): tables in memory, and
//! components compiled from source.

mod guests;
mod tables;

pub use guests::{component, guest};
pub use tables::{MemoryTable, MemoryTables, column};
