//! `mendwright audit prove RUN`: what proves a run's entries to somebody who has only the log's key.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_core::proof::{FORMAT, RunProof};
use mendwright_core::tlog::Checkpoint;

use crate::cli::context::Context;
use crate::cli::{Done, problem};
use crate::engine::time::now_us;
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
    let log = opened.log();
    log.catch_up().await?;
    let signed = log.sign().await?;
    let nothing = || Problem::new(Code::RunState, format!("the audit log has nothing about #{}", run.number.get()));
    let signed = signed.ok_or_else(nothing)?;
    log.anchor(&signed, now_us()).await?;
    let checkpoint = Checkpoint::open(&signed.note, &opened.key.verifier()?)
        .map_err(|error| Problem::new(error.code(), error.to_string()))?;
    let entries = opened.store.prove_run(run.number, &checkpoint).await.map_err(problem::store)?;
    if entries.is_empty() {
        return Err(nothing());
    }
    let n = entries.len();
    let proof = RunProof {
        format: FORMAT.to_owned(),
        run: run.id.to_string(),
        checkpoint: signed.note,
        entries,
        decision: None,
    };
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
