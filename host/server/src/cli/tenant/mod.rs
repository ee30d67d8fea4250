//! `mendwright tenant …`: whose data there is.

mod list;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// Whose data there is.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// The tenants, and which jobs may touch their data.
    List(list::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::List(args) => block_on(context, list::run(context, args)),
    }
}
