//! The promises, each attacked. One binary: another one with wasmtime in it would cost 100 MB and a
//! minute of linking.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends where it meets the unexpected")]

mod concurrency;
mod direct;
mod properties;
mod story;
mod world;
