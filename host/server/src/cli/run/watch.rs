//! `mendwright run watch RUN`: what happens to a run, until nobody works on it.

use mendwright_store::RunEvent;
use serde::Serialize;

use super::history;
use crate::api::look::EventBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::status::{watch_end, watch_line};

/// What happened to a run and happens, until nobody works on it any more. Ends as the run did.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    #[arg(default_value = "@last")]
    run: String,
}

#[derive(Serialize)]
struct Settled<'a> {
    format_version: &'static str,
    number: u64,
    state: &'static str,
    code: Option<mendwright_core::code::Code>,
    message: Option<&'a str>,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let shelf = context.shelf(&config).await?;
    let run = shelf.books().find(&args.run).await?;
    let told = |event: &RunEvent| {
        if context.out.is_json() {
            context.out.json(&EventBody::from(event));
        } else {
            let happened = history::happened(event);
            context.out.result(&watch_line(context.out.look, &happened, &rfc3339(now_us())));
        }
    };
    let run = shelf.books().watch(run.number, told).await?;
    let outcome = run.outcome.as_ref();
    if context.out.is_json() {
        context.out.json(&Settled {
            format_version: FORMAT_VERSION,
            number: run.number.get(),
            state: run.state.word(),
            code: outcome.map(|outcome| outcome.code),
            message: outcome.map(|outcome| outcome.message.as_str()),
        });
    } else {
        let message = outcome.map(|outcome| outcome.message.as_str()).unwrap_or_default();
        context.out.result(&watch_end(context.out.look, run.number.get(), run.state, message));
        context.out.next(&history::next(&run, now_us()));
    }
    Ok(Exit::of_state(run.state))
}
