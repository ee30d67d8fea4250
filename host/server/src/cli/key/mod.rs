//! `mendwright key …`: keys of people.

mod new;
pub(super) mod own;
mod session;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// Keys with which people approve.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Make a key of your own, in a file that only you can read.
    New(new::Args),
    /// The public key with which this installation's hosts countersign sessions, for whoever checks exported runs.
    Session,
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::New(args) => new::run(context, &args),
        Verb::Session => block_on(context, session::run(context)),
    }
}
