//! `mendwright lock …`: who holds what, and who waits for it.

mod list;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// Who holds a database's locks, and who waits for them.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// The locks of every database, and the runs that wait.
    List(list::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::List(args) => block_on(context, list::run(context, args)),
    }
}
