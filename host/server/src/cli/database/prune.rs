//! `mendwright database prune NAME`: the journal's pages that are older than `journal.keep`.

use mendwright_gateway::repair::prune;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::{Done, problem};
use crate::engine;
use crate::engine::time::now_us;
use crate::view::problem::Exit;

/// Remove the journal of runs that can no longer be undone (older than `journal.keep`). Each apply removes a
/// little by itself; this removes all of it. That their plans were used stays known for ever.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which [database.NAME].
    name: String,
}

#[derive(Serialize)]
struct Pruned<'a> {
    format_version: &'static str,
    database: &'a str,
    flushes: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let target = engine::target(&config, &context.env, &args.name)?;
    let progress = Progress::begin(&context.out, format!("pruning the journal of {}", args.name));
    let flushes = prune(&target, now_us()).await.map_err(|error| problem::gateway(&error))?;
    drop(progress);
    let days = target.keep.as_secs() / (24 * 3_600);
    if context.out.is_json() {
        context.out.json(&Pruned {
            format_version: FORMAT_VERSION,
            database: &args.name,
            flushes: flushes.to_string(),
        });
    } else {
        context.out.result(&match flushes {
            0 => format!("Nothing in the journal of {} is older than {days} days.\n", args.name),
            1 => format!("Removed the journal of 1 flush that was older than {days} days.\n"),
            n => format!("Removed the journal of {n} flushes that were older than {days} days.\n"),
        });
    }
    Ok(Exit::Done)
}
