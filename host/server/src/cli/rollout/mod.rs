//! `mendwright rollout …`: one job for many tenants, in waves.

mod list;
mod moves;
mod show;
mod start;
mod undo;
mod watch;

pub(super) use moves::Move;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

/// One job for many tenants, from a few to all.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Begin one. A running host drives it; each tenant's plan is approved and applied as any other.
    Start(start::Args),
    /// The rollouts, the newest first.
    List(list::Args),
    /// Where one stands, tenant by tenant, and what it waits for.
    Show(show::Args),
    /// What happens to one, until it runs no more.
    Watch(watch::Args),
    /// Begin nothing more; runs that were begun end by themselves.
    Pause(moves::Args),
    /// Go on; what went wrong before is seen and stops it no more.
    Resume(moves::Args),
    /// Call one off. What it applied stays.
    Cancel(moves::Args),
    /// Undo what one applied, the newest first.
    Undo(undo::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::Start(args) => block_on(context, start::run(context, args)),
        Verb::List(args) => block_on(context, list::run(context, args)),
        Verb::Show(args) => block_on(context, show::run(context, args)),
        Verb::Watch(args) => block_on(context, watch::run(context, args)),
        Verb::Pause(args) => block_on(context, moves::run(context, args, moves::Move::Pause)),
        Verb::Resume(args) => block_on(context, moves::run(context, args, moves::Move::Resume)),
        Verb::Cancel(args) => block_on(context, moves::run(context, args, moves::Move::Cancel)),
        Verb::Undo(args) => block_on(context, undo::run(context, args)),
    }
}
