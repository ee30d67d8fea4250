//! The calls to the host, as plain functions: on wasm32 the component's imports, natively the tables of
//! the test that runs on this thread. There is no object that has them all, so a component imports
//! exactly the calls its job can reach.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
pub(crate) mod wasm;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::*;
