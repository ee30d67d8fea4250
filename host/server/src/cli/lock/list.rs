//! `mendwright lock list`.

use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::locks::locks;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::lock::lock_list;
use crate::view::problem::Exit;

/// The locks of every database, and the runs that wait.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let config = context.config()?;
    let found = match context.running(&config).await? {
        Some(client) => client.locks().await?,
        None => locks(&config, &context.env, &context.store(&config).await?).await?,
    };
    if context.out.is_json() {
        context.out.json(&found);
    } else {
        context.out.result(&lock_list(context.out.look, &found, &rfc3339(now_us())));
    }
    Ok(Exit::Done)
}
