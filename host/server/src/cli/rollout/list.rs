//! `mendwright rollout list`.

use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::rollout::rollout_list;

/// The rollouts, the newest first.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let config = context.config()?;
    let found = context.shelf(&config).await?.books().rollouts().await?;
    if context.out.is_json() {
        context.out.json(&found);
    } else {
        context.out.result(&rollout_list(context.out.look, &found.rollouts, &rfc3339(now_us())));
    }
    Ok(Exit::Done)
}
