//! `mendwright bundle …`: an exported run.

mod verify;

use crate::cli::Done;
use crate::cli::context::Context;

/// An exported run: check it where nothing of Mendwright runs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Check component, plan, approvals, apply and audit proof. Opens nothing but the file.
    Verify(verify::Args),
}

pub(super) fn dispatch(context: &Context, verb: &Verb) -> Done {
    match verb {
        Verb::Verify(args) => verify::run(context, args),
    }
}
