//! `mendwright schedule list`.

use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::rfc3339;
use crate::engine::schedule;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::schedule::schedule_list;

/// The schedules of the configuration, with the next and the last firing and its runs.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let config = context.config()?;
    let found = match context.running(&config).await? {
        Some(client) => client.schedules().await?,
        None => schedule::list(&config, &context.store(&config).await?).await?,
    };
    if context.out.is_json() {
        context.out.json(&found);
    } else {
        context.out.result(&schedule_list(context.out.look, &found.schedules, &rfc3339(now_us())));
    }
    Ok(Exit::Done)
}
