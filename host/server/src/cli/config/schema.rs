//! `mendwright config schema`: the JSON Schemas that editors use.

use crate::cli::Done;
use crate::cli::context::Context;
use crate::view::problem::Exit;

/// The JSON Schema of mendwright.toml: `mendwright config schema > mendwright.schema.json`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of job.toml instead: `mendwright config schema --job > jobs/NAME/job.schema.json`.
    #[arg(long)]
    job: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let schema = if args.job { mendwright_catalog::manifest::schema() } else { crate::config::schema() };
    context.out.result(&format!("{schema:#}\n"));
    Ok(Exit::Done)
}
