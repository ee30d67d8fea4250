//! `mendwright database …`.

mod import;
mod init;
mod prune;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// The databases that may be repaired.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create Mendwright's own tables, the target's identity and the least-privilege roles. Twice is once.
    Init(init::Args),
    /// Write a first binding of tables as TOML, read from the database itself.
    Import(import::Args),
    /// Remove the journal of runs that can no longer be undone.
    Prune(prune::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::Init(args) => block_on(context, init::run(context, args)),
        Verb::Import(args) => block_on(context, import::run(context, args)),
        Verb::Prune(args) => block_on(context, prune::run(context, args)),
    }
}
