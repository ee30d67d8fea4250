//! The binary's own parts: what a person configures, types and sees.
//!
//! **Invariant**: the environment and the clock are read here and handed down; no crate below asks
//! for them.

pub mod api;
pub mod backup;
pub mod bundle;
pub mod cli;
pub mod client;
pub mod config;
pub mod engine;
pub mod serve;
pub mod view;

/// Of every program that the host is part of: a small repair asks for memory some thousand times.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
