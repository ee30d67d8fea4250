//! `mendwright person …`: the registry of people and their keys.

mod init;
mod list;
mod root;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// Who is who: people, their keys, their roles.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Everybody, with their keys and roles.
    List,
    /// Make the registry's first version, with its first admin.
    Init(init::Args),
    /// The digest of the first version: the root of all trust in people.
    Root,
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::List => block_on(context, list::run(context)),
        Verb::Init(args) => block_on(context, init::run(context, args)),
        Verb::Root => block_on(context, root::run(context)),
    }
}
