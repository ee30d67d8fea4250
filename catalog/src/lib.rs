//! What a job says of itself, and how files that people write are read.
//!
//! **Invariant**: nothing of a job is run or trusted here; a manifest only ever asks. What it gets is
//! decided by `mendwright_core::authority` from the operator's grants.
//!
//! In reading order:
//! - [`manifest`]: `job.toml` and the schema of the parameters; [`params`]: whether parameters fit it;
//! - [`jobs`]: the jobs of a directory;
//! - [`diagnostic`]: an error with its file, line and caret, and how it is shown;
//! - [`document`]: TOML in which everything knows its place; [`shape`]: whether it has the shape of
//!   our types; [`words`], [`units`], [`budget`]: the texts that such files take;
//! - [`file`](mod@file): reading one, bounded.

pub mod budget;
pub mod diagnostic;
pub mod document;
pub mod file;
pub mod jobs;
pub mod manifest;
pub mod params;
pub mod shape;
pub mod units;
pub mod words;
