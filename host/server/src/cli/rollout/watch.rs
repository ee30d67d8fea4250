//! `mendwright rollout watch`: what happens to one, until it runs no more.

use std::time::Duration;

use mendwright_core::rollout::State;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::rollout::{event_line, rollout_show};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What happens to one, until it runs no more. Ends with 1 where it was stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rollout's number.
    rollout: u64,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let shelf = context.shelf(&config).await?;
    let mut seen = 0;
    loop {
        let found = shelf.books().rollout(args.rollout).await?;
        let now = rfc3339(now_us());
        for event in found.events.iter().filter(|event| event.seq > seen) {
            if context.out.is_json() {
                context.out.json(event);
            } else {
                context.out.result(&event_line(context.out.look, event, &now));
            }
        }
        seen = found.events.last().map_or(seen, |last| last.seq);
        let state = found.state.parse::<State>();
        if state != Ok(State::Running) {
            if context.out.is_json() {
                context.out.json(&found);
            } else {
                context.out.result(&format!("\n{}", rollout_show(context.out.look, &found, false, &now)));
            }
            return Ok(if state == Ok(State::Done) { Exit::Done } else { Exit::Failed });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
