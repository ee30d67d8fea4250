//! The control store: runs and plans, kept across crashes.
//!
//! **Invariants**
//! - A run's state changes in one place, [`Store::step`]: `core`'s transition function decides, a
//!   compare-and-set writes, and the event stands beside it in the same transaction.
//! - A plan is written once, together with the transition that its run makes for it, and
//!   [`Store::verify_plan`] believes nothing that it did not compute again.
//! - What proves a sensitive value (the salt) is kept apart from every plan.
//! - Nothing here reads a clock or a random source: times, ids and keys are parameters.
//!
//! In reading order:
//! - [`store`]: opening the file, one writer, several readers; `dialect`: what SQLite does in its own
//!   way; `migrations`: the schema;
//! - [`run`]: a run as the store knows it; [`transition`]: how it moves; [`find`]: how people name it;
//! - [`plan`]: saving a plan; [`changes`]: reading its changes; [`verify`]: believing it;
//! - [`log`]: what the job said; [`lock`]: whether a run's process is alive; [`keys`]: the host's key;
//! - `words`: enums as the words that rows hold; [`error`]: what can go wrong, by what to do about it.

pub mod changes;
mod dialect;
pub mod error;
pub mod find;
pub mod keys;
pub mod lock;
pub mod log;
mod migrations;
pub mod plan;
pub mod run;
pub mod store;
pub mod transition;
pub mod verify;
mod words;

pub use changes::{ChangeFilter, StoredChange};
pub use error::{Error, Result};
pub use find::RunFilter;
pub use keys::{HostKey, KeyUse, SubKey};
pub use lock::RunLock;
pub use log::LogLine;
pub use plan::{NewPlan, StoredPlan};
pub use run::{NewRun, Outcome, RunNumber, RunRecord};
pub use store::Store;
pub use transition::{RunEvent, Step};

#[cfg(test)]
mod processes;
#[cfg(test)]
mod testing;
