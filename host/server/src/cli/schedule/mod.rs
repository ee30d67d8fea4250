//! `mendwright schedule …`: what is planned by the clock.

mod list;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// What is planned by the clock.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// The schedules of the configuration, with the next and the last firing and its runs.
    List(list::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::List(args) => block_on(context, list::run(context, args)),
    }
}
