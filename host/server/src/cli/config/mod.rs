//! `mendwright config …`.

mod check;
mod schema;

use crate::cli::Done;
use crate::cli::context::Context;

/// The configuration.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Is the file right in itself? (`resource check` asks the databases.)
    Check(check::Args),
    /// The JSON Schema of mendwright.toml, for your editor.
    Schema(schema::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::Check(args) => check::run(context, &args),
        Verb::Schema(args) => schema::run(context, &args),
    }
}
