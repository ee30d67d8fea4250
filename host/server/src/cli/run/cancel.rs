//! `mendwright run cancel RUN`: calls a run off that is not being applied.

use mendwright_core::text::escape;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::Next;
use crate::view::problem::Exit;

/// Call a run off that is not being applied; its plan can then never be.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    run: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Serialize)]
struct Record {
    format_version: &'static str,
    number: u64,
    run: String,
    state: &'static str,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let shelf = context.shelf(&config).await?;
    let run = shelf.books().find(&args.run).await?;
    let run = shelf.books().cancel(run.number, &args.reason, &context.person()).await?;
    let number = run.number.get();
    if context.out.is_json() {
        let state = run.state.word();
        context.out.json(&Record { format_version: FORMAT_VERSION, number, run: run.id.to_string(), state });
    } else {
        context.out.result(&format!("{} is {}: {}\n", run.number, run.state, escape(&args.reason)));
        context.out.next(&[Next::new(format!("mendwright run plan --again {number}"), "a new plan on today's data")]);
    }
    Ok(Exit::Done)
}
