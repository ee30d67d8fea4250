//! `mendwright audit prove RUN`: what proves a run's entries to somebody who has only the log's key.

use std::path::PathBuf;

use mendwright_core::code::Code;

use crate::cli::context::Context;
use crate::cli::{Done, problem};
use crate::view::Next;
use crate::view::problem::{Exit, Problem};

/// Write what proves a run's entries to somebody who has only the log's key. It names the tenant and people.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    run: String,
    /// Into this file; else to the terminal.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let opened = context.audit(&config).await?;
    let run = context.find(&opened.store, &args.run).await?;
    let proof = opened.prove(&run).await?;
    let n = proof.entries.len();
    let json = serde_json::to_string(&proof).map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    let Some(path) = &args.output else {
        context.out.result(&format!("{json}\n"));
        return Ok(Exit::Done);
    };
    std::fs::write(path, format!("{json}\n")).map_err(|error| problem::io("written", path, &error))?;
    context.out.note(&format!("{} proves {n} entries about #{}.", path.display(), run.number.get()));
    if !context.out.is_json() {
        let check = format!("mendwright audit check {} --key VKEY", path.display());
        context.out.next(&[Next::new(check, "verifies it, with the key of `mendwright audit key`")]);
    }
    Ok(Exit::Done)
}
