//! Errors as the command line says them; those of the crates below are told by the engine.

use std::path::Path;

use mendwright_core::code::Code;

pub(super) use crate::engine::problem::{diagnostic, diagnostics, gateway, sandbox, store};
use crate::view::problem::Problem;

/// A file that could not be read or written.
pub(super) fn io(what: &str, path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Code::Io, format!("{} cannot be {what}: {error}", path.display()))
}
