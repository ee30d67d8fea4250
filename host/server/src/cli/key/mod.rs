//! `mendwright key …`: keys of people.

mod new;
pub(super) mod own;

use crate::cli::Done;
use crate::cli::context::Context;

/// Keys with which people approve.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make a key of your own, in a file that only you can read.
    New(new::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::New(args) => new::run(context, &args),
    }
}
