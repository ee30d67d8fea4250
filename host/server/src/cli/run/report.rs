//! `mendwright run report RUN`: a run as a document, for a ticket or a review afterwards.

use clap::ValueEnum;
use mendwright_store::RunRecord;

use super::history;
use super::loaded::{Loaded, Wanted, load};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::report::markdown;

/// What a run changed, who said what about it, and what happened, as a document.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    #[arg(default_value = "@last")]
    run: String,
    /// In which form.
    #[arg(long, value_name = "FORMAT", default_value = "markdown")]
    format: Format,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, in a ticket.
    Markdown,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let Format::Markdown = args.format;
    let config = context.config()?;
    let shelf = context.shelf(&config).await?;
    let books = shelf.books();
    let run: RunRecord = books.find(&args.run).await?;
    let loaded = match run.plan_digest {
        Some(_) => Some(load(books, run.number, Wanted::All).await?),
        None => None,
    };
    let plan = loaded.as_ref().map(|Loaded { document, changes }| (document, changes.as_slice()));
    let events = books.events(run.number).await?;
    let compensation = books.compensation_of(run.number).await?;
    let level = plan.map(|(document, _)| document.header.outcome.level);
    let head = history::head(&run, &events, compensation.as_ref(), level, now_us());
    let answers = books.decisions(run.number).await?.decisions;
    context.out.result(&markdown(&head, plan, &answers));
    Ok(Exit::Done)
}
