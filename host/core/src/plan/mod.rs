//! The net changes that a dry run found, in the form that people approve.
//!
//! - [`bound`]: one change with sensitive values masked and still bound; its leaf in the tree;
//! - [`params`]: the job's parameters, where they could hold a sensitive value;
//! - [`header`]: everything else that an approval covers, and the digest over both;
//! - [`stats`]: counts, shares and net effects of a plan, for people;
//! - [`document`]: the frozen JSON format.

pub mod bound;
pub mod document;
pub mod header;
pub mod params;
pub mod stats;

pub use bound::{BoundChange, Masking};
pub use header::{Digest, Header};
