//! `mendwright run …`: one noun, the run.

pub(super) mod apply;
mod cancel;
mod compensate;
mod export;
mod history;
mod list;
mod loaded;
mod logs;
pub(super) mod plan;
mod plan_all;
mod record;
mod report;
pub(super) mod rollback;
mod show;
mod shown;
mod sql;
pub(super) mod undo_since;
mod verify;
mod vote;
mod vote_undo;
mod watch;

use mendwright_core::approval::Verb as Ballot;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;

pub(super) use loaded::rfc3339_or_empty;

/// Plan a repair, look at it, apply it, undo it.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Find out what a job would change. Nothing is changed.
    Plan(plan::Args),
    /// A run: where it stands, and its plan.
    Show(show::Args),
    /// Say yes to a plan, or to an undo, with your own key.
    Approve(vote::Args),
    /// Say no to a plan, and why: it will not be applied. Or to an undo: it takes new approvals.
    Reject(vote::Args),
    /// Take your word about a plan, or about an undo, back.
    Withdraw(vote::Args),
    /// Apply exactly what a plan shows, or nothing.
    Apply(apply::Args),
    /// Read back what a run wrote.
    Verify(verify::Args),
    /// Undo what a run did; rows that somebody changed since stay as they are.
    Rollback(rollback::Args),
    /// The runs, the newest first.
    List(list::Args),
    /// What happens to a run, until nobody works on it any more.
    Watch(watch::Args),
    /// What the job logged.
    Logs(logs::Args),
    /// Write a run into one file that anybody can check offline.
    Export(export::Args),
    /// A run as a document, for a ticket.
    Report(report::Args),
    /// Call a run off that is not being applied.
    Cancel(cancel::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::Plan(args) => block_on(context, plan::run(context, args)),
        Verb::Show(args) => block_on(context, show::run(context, args)),
        Verb::Approve(args) => block_on(context, vote::run(context, args, Ballot::Approve)),
        Verb::Reject(args) => block_on(context, vote::run(context, args, Ballot::Reject)),
        Verb::Withdraw(args) => block_on(context, vote::run(context, args, Ballot::Withdraw)),
        Verb::Apply(args) => block_on(context, apply::run(context, args)),
        Verb::Verify(args) => block_on(context, verify::run(context, args)),
        Verb::Rollback(args) => block_on(context, rollback::run(context, args)),
        Verb::List(args) => block_on(context, list::run(context, args)),
        Verb::Watch(args) => block_on(context, watch::run(context, args)),
        Verb::Logs(args) => block_on(context, logs::run(context, args)),
        Verb::Export(args) => block_on(context, export::run(context, args)),
        Verb::Report(args) => block_on(context, report::run(context, args)),
        Verb::Cancel(args) => block_on(context, cancel::run(context, args)),
    }
}
