//! `mendwright rollout pause|resume|cancel`.

use mendwright_core::rollout::Event;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::rollout::rollout_show;

/// Which rollout, and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rollout's number.
    rollout: u64,
    /// Why. Everybody who looks at it reads this.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What a person does to a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Move {
    Pause,
    Resume,
    Cancel,
    Undone,
}

impl Move {
    /// As the API's path has it.
    pub(in crate::cli) const fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Undone => "undone",
        }
    }

    pub(in crate::cli) const fn event(self) -> Event {
        match self {
            Self::Pause => Event::PersonPaused,
            Self::Resume => Event::PersonResumed,
            Self::Cancel => Event::PersonCancelled,
            Self::Undone => Event::PersonUndid,
        }
    }
}

pub(super) async fn run(context: &Context, args: Args, what: Move) -> Done {
    let config = context.config()?;
    let shelf = context.shelf(&config).await?;
    let moved = shelf.books().move_rollout(args.rollout, what, &args.reason, &context.person()).await?;
    if context.out.is_json() {
        context.out.json(&moved);
    } else {
        context.out.result(&rollout_show(context.out.look, &moved, false, &rfc3339(now_us())));
    }
    Ok(Exit::Done)
}
