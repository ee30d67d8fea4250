//! `mendwright rollout show`.

use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::rollout::rollout_show;

/// Where one stands, tenant by tenant, and what it waits for.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rollout's number.
    rollout: u64,
    /// Every tenant.
    #[arg(long)]
    full: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let found = context.shelf(&config).await?.books().rollout(args.rollout).await?;
    if context.out.is_json() {
        context.out.json(&found);
    } else {
        context.out.result(&rollout_show(context.out.look, &found, args.full, &rfc3339(now_us())));
    }
    Ok(Exit::Done)
}
