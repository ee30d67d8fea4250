//! `mendwright person …`: the registry of people and their keys.

mod discard;
mod init;
mod known;
mod list;
mod proposals;
mod propose;
mod root;
mod sign;

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
    /// Propose a change: people, roles, keys. Other administrators sign it.
    Propose(propose::Args),
    /// What is proposed, and whose signatures are missing.
    Proposals(proposals::Args),
    /// Sign a change that somebody proposed, with your own key.
    Sign(sign::Args),
    /// Take a proposal back.
    Discard(discard::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::List => block_on(context, list::run(context)),
        Verb::Init(args) => block_on(context, init::run(context, args)),
        Verb::Root => block_on(context, root::run(context)),
        Verb::Propose(args) => block_on(context, propose::run(context, args)),
        Verb::Proposals(args) => block_on(context, proposals::run(context, args)),
        Verb::Sign(args) => block_on(context, sign::run(context, args)),
        Verb::Discard(args) => block_on(context, discard::run(context, args)),
    }
}
