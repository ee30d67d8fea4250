//! `mendwright person discard NUMBER`: takes a proposal back.

use super::proposals::show;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::view::problem::Exit;

/// Take a proposal back: your own, or as an administrator anybody's.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The proposal.
    number: u64,
    /// Why.
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let door = context.door().await?;
    show(context, &door.discard_proposal(args.number, &args.reason, &context.person()).await?);
    Ok(Exit::Done)
}
