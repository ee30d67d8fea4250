//! `mendwright rollout undo`: what one applied, the newest first; the preview first.

use mendwright_core::code::Code;
use mendwright_core::rollout::State;
use mendwright_core::run;

use super::moves::Move;
use crate::api::rollout::RolloutBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::prompt::confirm_digits;
use crate::cli::run::undo_since::{self, Ended, Runs, Which};
use crate::view::problem::{Exit, Problem};

/// Undo what one applied, the newest first; rows that somebody changed since stay as they are.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rollout's number.
    rollout: u64,
    /// At least 16 hex digits of the preview's digest, from the person who read it.
    #[arg(long, value_name = "DIGEST", value_parser = confirm_digits)]
    confirm: Option<String>,
    /// Show what would be restored, and restore nothing.
    #[arg(long, conflicts_with = "confirm")]
    preview: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let door = context.door().await?;
    let number = args.rollout;
    let found = door.books().rollout(number).await?;
    if !args.preview && found.state == State::Running.word() {
        let message = format!("rollout {number} runs; what it begins next would not be undone");
        return Err(Problem::new(Code::RolloutState, message)
            .next(format!("mendwright rollout pause {number} --reason …"), "begins nothing more"));
    }
    let runs = found.tenants.iter().filter_map(|seat| seat.run).collect();
    let which = Which {
        title: format!("Applied by rollout {number}"),
        command: format!("mendwright rollout undo {number}"),
        runs: Runs::These(runs),
    };
    let is_left_unsaid = !args.preview && is_undone_and_not_said(&found);
    match undo_since::run(context, &door, which, args.confirm, args.preview).await? {
        Ended::Nothing if !is_left_unsaid => Ok(Exit::Done),
        Ended::Undone | Ended::Nothing => {
            let reason = "what it applied is undone";
            door.books().move_rollout(number, Move::Undone, reason, &context.person()).await?;
            Ok(Exit::Done)
        }
        Ended::Looked => Ok(Exit::Done),
        Ended::Stopped(exit) => Ok(exit),
    }
}

/// Whether an undo of it came to its last run, and died before it said so: there is nothing left to undo then.
fn is_undone_and_not_said(found: &RolloutBody) -> bool {
    let states = || found.tenants.iter().filter_map(|seat| seat.state.as_deref()?.parse::<run::State>().ok());
    found.state != State::Undone.word()
        && states().any(|state| state == run::State::RolledBack)
        && !states().any(run::State::is_in_flight)
}
