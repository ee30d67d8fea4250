//! What the tests, the demo and the benches stand on: databases to break, ways to break them, and an
//! exact account of what is in them.
//!
//! **Invariant**: nothing here needs a running service, and nothing stays behind when the process that
//! used it ends, however it ends.
//!
//! In reading order:
//! - [`chinook`]: the invoice database that everything is tried on, for SQLite and PostgreSQL;
//! - [`postgres`]: a private PostgreSQL cluster for one process;
//! - [`books`]: its invoices, and what is right about them;
//! - [`damage`]: ten realistic faults, chosen by a seed, the same on both engines;
//! - [`dump`]: what "the target did not change" means;
//! - [`proxy`]: a way to the server that can be cut at a chosen message;
//! - [`guests`]: the components that tests run, built from source;
//! - [`mod@bench`]: what the benches stand on.

#![cfg(unix)]

pub mod bench;
pub mod books;
pub mod chinook;
pub mod damage;
pub mod dump;
pub mod guests;
pub mod postgres;
pub mod proxy;

use std::path::PathBuf;

/// The root of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map(PathBuf::from).unwrap_or(tests)
}
