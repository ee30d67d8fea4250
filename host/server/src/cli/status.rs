//! `mendwright status`: what the host does, what stands still, and who waits for what.

use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::status::status;

/// The host, the switches, and every run that somebody works on or waits for.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let config = context.config()?;
    let found = context.shelf(&config).await?.books().status(&config.audit).await?;
    if context.out.is_json() {
        context.out.json(&found);
    } else {
        context.out.result(&status(context.out.look, &found, &rfc3339(now_us())));
    }
    Ok(Exit::Done)
}
