//! `mendwright run export RUN`: a run in one file, for somebody who was not there.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_gateway::repair::{Journaled, journaled};
use mendwright_store::{ChangeFilter, RunRecord, Store};

use crate::bundle::{Bundle, FORMAT, JobFiles, JournalFlush};
use crate::cli::context::Context;
use crate::cli::{Done, problem};
use crate::config::Config;
use crate::view::Next;
use crate::view::problem::{Exit, Problem};

/// Changes that are read at once.
const PAGE: u32 = 5_000;

/// Write a run into one file: plan, component, people's word, audit proof. It names the tenant and people.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    run: String,
    /// Into this file.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let opened = context.audit(&config).await?;
    let run = context.find(&opened.store, &args.run).await?;
    let number = run.number.get();
    let plan = opened.store.verify_plan(run.number).await.map_err(problem::store)?;
    let bundle = Bundle {
        format: FORMAT.to_owned(),
        changes: leaves(&opened.store, &run).await?,
        job: job(&config, &run, plan.header.job.component),
        journal: journal(context, &config, &run).await,
        header: plan.header,
        proof: opened.prove_decided(&run).await?,
    };
    let json = serde_json::to_string(&bundle).map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    let path = &args.output;
    std::fs::write(path, format!("{json}\n")).map_err(|error| problem::io("written", path, &error))?;
    context.out.note(&format!("{} holds #{number}: {} changes.", path.display(), bundle.changes.len()));
    if !context.out.is_json() {
        let check = format!("mendwright bundle verify {} --key VKEY --root DIGEST", path.display());
        context.out.next(&[Next::new(check, "checks it anywhere, with `audit key` and `person root`")]);
    }
    Ok(Exit::Done)
}

/// What the target has of the run, if it answers.
async fn journal(context: &Context, config: &Config, run: &RunRecord) -> Option<Vec<JournalFlush>> {
    let target = crate::engine::target(config, &context.env, run.target.as_ref()?);
    let journaled = match target {
        Ok(target) => journaled(&target, &run.id.to_string()).await.map_err(|error| problem::gateway(&error)),
        Err(problem) => Err(problem),
    };
    let flush = |Journaled { generation, batch, digest, changes, macs }| JournalFlush {
        generation,
        batch,
        digest,
        changes,
        macs,
    };
    match journaled {
        Ok(all) => Some(all.into_iter().map(flush).collect()),
        Err(problem) => {
            context.out.note(&format!("The target's journal is not in it: {}", problem.message));
            None
        }
    }
}

async fn leaves(store: &Store, run: &RunRecord) -> Result<Vec<String>, Problem> {
    let (mut leaves, mut after) = (Vec::new(), 0);
    loop {
        let page = store.changes(run.number, &ChangeFilter::default(), after, PAGE).await.map_err(problem::store)?;
        let Some(last) = page.last() else { return Ok(leaves) };
        after = last.seq;
        leaves.extend(page.iter().map(|stored| stored.change.leaf()));
    }
}

/// The job's files, if they are still those that the plan was computed with.
fn job(config: &Config, run: &RunRecord, digest: mendwright_core::plan::Digest) -> Option<JobFiles> {
    let manifest = mendwright_catalog::jobs::find(&config.jobs.as_ref()?.path, &run.job_name).ok()?;
    let wasm = std::fs::read(manifest.component()).ok()?;
    if mendwright_core::plan::Digest::of(&wasm) != digest {
        return None;
    }
    let text = std::fs::read_to_string(manifest.dir.join(mendwright_catalog::manifest::FILE)).ok()?;
    let schema = std::fs::read_to_string(manifest.dir.join(mendwright_catalog::manifest::PARAMS_FILE)).ok();
    Some(JobFiles::new(text, schema, &wasm))
}
