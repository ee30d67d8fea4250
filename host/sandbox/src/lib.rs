//! Runs a job's component: powerless, deterministic, metered. The only crate that knows wasmtime.
//!
//! **Invariant**: a component can do nothing but call what its manifest requests and a grant allows.
//! The same component with the same inputs makes the same calls, uses the same fuel and returns the
//! same, wherever and whenever it runs.
//!
//! A *refusal* is an answer that the guest can handle; the first one that ends the run also ends the
//! call, whatever the guest makes of it. A *trap* is the component's death. A *failure* is what the
//! job itself returns. [`Ended`] keeps the three apart.
//!
//! In reading order: [`Sandbox`] (engine, loading), `component` (what a component imports and may),
//! `call` (one call, and how it ended), `host` (the contract's functions, one module for each
//! interface), `page` (rows in its types), `wasi` (what a language runtime gets), `engine` (all settings), `limiter` and `log`
//! (memory, output), `cache` (compiled code), [`recording`] (the calls of a run, to replay offline).

mod bindings;
mod cache;
mod call;
mod component;
mod convert;
mod ending;
mod engine;
mod error;
mod host;
mod limiter;
mod log;
mod page;
pub mod recording;
mod sandbox;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod wasi;

pub use call::{
    Answer, Call, Compensation, Ended, Export, Finished, HOST_CALL_BYTES_MAX, Identity, Measured, Planned, Progress,
};
pub use component::{COMPONENT_BYTES_MAX, CONTRACT, Capability, Inspection};
pub use error::Error;
pub use host::HOST_CALL_FUEL;
pub use log::{LogLine, LogSource};
pub use sandbox::{CacheConfig, Config, Job, Sandbox};
