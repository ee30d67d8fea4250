//! `mendwright resource …`.

mod check;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// The tables that jobs may know of.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Is a binding right about its database? Columns, tenant path, side effects, orphans.
    Check(check::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::Check(args) => block_on(context, check::run(context, args)),
    }
}
