//! `mendwright job …`.

mod build;
mod explain;
mod inspect;
mod list;
mod place;
mod replay;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// The jobs.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// The jobs of the jobs directory.
    List(list::Args),
    /// What a job does, asks for, takes and leaves for people.
    Explain(explain::Args),
    /// What is in a job's component: size, digest, imports, exports.
    Inspect(inspect::Args),
    /// Compile a job to its component: <name>.wasm beside its job.toml.
    Build(build::Args),
    /// Play a recorded dry run again, offline, and tell in what it differs.
    Replay(replay::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::List(args) => list::run(context, &args),
        Verb::Explain(args) => explain::run(context, &args),
        Verb::Inspect(args) => block_on(context, inspect::run(context, args)),
        Verb::Build(args) => build::run(context, &args),
        Verb::Replay(args) => block_on(context, replay::run(context, args)),
    }
}
