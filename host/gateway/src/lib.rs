//! The one way to act.
//!
//! A component reads a snapshot and asks for changes; they land in an overlay ([`Session`]). What is
//! left there is the plan ([`Computed`]). To apply, the same is computed again and compared, and the
//! changes are then made here, with no guest code running, in one short transaction that also writes
//! the journal ([`repair`]).
//!
//! **Invariant**: only this crate changes a target, and only `adapters::sql::flush` does.

pub mod adapters;
pub mod batched;
pub mod error;
pub mod gate;
pub mod repair;
pub mod target;

pub use adapters::sql::computed::{Computed, ResourceUse, Touched};
pub use adapters::sql::engine::Engine;
pub use adapters::sql::import::import;
pub use adapters::sql::install::{BoundTable, Init, Initialized, bound_tables, init};
pub use adapters::sql::own_tables::init_sql;
pub use adapters::sql::probe::{Probe, probe};
pub use adapters::sql::report::{ResourceReport, TENANTS_MAX, check_resource, tenants};
pub use adapters::sql::session::Session;
pub use error::{Error, Result};
pub use gate::{Gate, Halt};
pub use target::Target;
