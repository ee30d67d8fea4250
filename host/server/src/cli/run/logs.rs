//! `mendwright run logs RUN`: what its job logged.

use super::show;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::view::problem::Exit;

/// What the job logged; the same as `run show --log`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    #[arg(default_value = "@last")]
    run: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let shelf = context.shelf(&config).await?;
    let run = shelf.books().find(&args.run).await?;
    show::log(context, shelf.books(), &run).await?;
    Ok(Exit::Done)
}
