//! `mendwright trust …`: how far jobs are trusted with tenants.

mod list;
mod moves;
mod show;

use mendwright_core::policy::Trust;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// How far jobs are trusted: `suggest` plans only, `approve` applies what people approved, `auto` by itself.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Every job and tenant, with the record and what it suggests.
    List,
    /// One of them.
    Show(show::Args),
    /// Trust a job further, or as far as you say, signed with your own key.
    Promote(moves::Promote),
    /// Sign what somebody else asked for: `auto` takes two people.
    Sign(moves::Sign),
    /// Trust a job less, at once.
    Demote(moves::Demote),
    /// Trust a job so far: a promotion or a demotion, whichever it is.
    Set(moves::Set),
}

/// Which job, with whose data.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Pair {
    /// The job.
    job: String,
    /// Whose data.
    #[arg(long, short)]
    tenant: String,
}

fn level(text: &str) -> Result<Trust, String> {
    text.parse()
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::List => block_on(context, list::run(context)),
        Verb::Show(args) => block_on(context, show::run(context, args)),
        Verb::Promote(args) => block_on(context, moves::promote(context, args)),
        Verb::Sign(args) => block_on(context, moves::sign(context, args)),
        Verb::Demote(args) => block_on(context, moves::demote(context, args)),
        Verb::Set(args) => block_on(context, moves::set(context, args)),
    }
}
