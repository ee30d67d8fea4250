//! `mendwright policy …`: what may happen, and why not.

mod check;
mod test;
mod why;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// What may happen, what is missing, and which policies say so.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Every answer about a run; or what would be answered to a job for a tenant.
    Why(why::Args),
    /// Run a table of cases against the policies.
    Test(test::Args),
    /// Read the policies and say what is wrong with them.
    Check,
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::Why(args) => block_on(context, why::run(context, args)),
        Verb::Test(args) => test::run(context, &args),
        Verb::Check => check::run(context),
    }
}
