//! `mendwright job replay FILE`: plays a recorded dry run again, offline.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use mendwright_core::port::Severity;
use mendwright_sandbox::recording::Recorded;
use mendwright_sandbox::{COMPONENT_BYTES_MAX, Capability, Config, Sandbox};
use serde::Serialize;

use super::place;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::{Done, problem};
use crate::engine::{capabilities, rfc3339};
use crate::view::problem::{Exit, Problem};
use crate::view::replay::{Replay, compare, replay};
use mendwright_core::code::Code;

/// Play a recorded dry run again, with the job as it is now. No database and no control store is opened.
#[derive(Debug, clap::Args)]
#[command(after_help = "The component that was recorded must do the same to the last bit. Of another one the ending, \
changes, findings and checks count; what it logs and how much fuel it takes is only told. Ends with 0 if it is the \
same and with 6 if not.\n\nA recording is production data: whoever may read it may read what the job read.")]
pub struct Args {
    /// What `mendwright run plan … --record FILE` wrote.
    file: PathBuf,
    /// The job, or its directory; else the one that was recorded.
    #[arg(long, value_name = "JOB", conflicts_with = "component")]
    job: Option<String>,
    /// A component that is in no jobs directory.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    #[serde(flatten)]
    replay: &'a Replay,
}

/// What is played.
struct Played {
    wasm: Vec<u8>,
    allowed: BTreeSet<Capability>,
    findings: BTreeMap<String, Severity>,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let recorded = read(&args.file)?;
    let played = match &args.component {
        // Its calls are answered from the file: there is no power to withhold.
        Some(path) => Played { wasm: component(path)?, allowed: Capability::ALL.into(), findings: BTreeMap::new() },
        None => of_job(context, args.job.as_deref().unwrap_or(&recorded.header.identity.job))?,
    };
    let progress = Progress::begin(&context.out, "compiling the component for this machine");
    let config = Config { cache: None, pooling: false, ..Config::default() };
    let sandbox = Sandbox::new(config).map_err(problem::sandbox)?;
    let job = sandbox.load(&played.wasm, &played.allowed).await.map_err(problem::sandbox)?;
    let replayed = sandbox.replay(&job, &recorded, &played.findings).await;
    drop(progress);
    let found = compare(&recorded, &replayed, job.sha256(), rfc3339(recorded.header.identity.now_us));
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, replay: &found });
    } else {
        context.out.result(&replay(context.out.look, &found));
    }
    Ok(if found.same { Exit::Done } else { Exit::Drifted })
}

fn read(path: &Path) -> Result<Recorded, Problem> {
    let file = File::open(path).map_err(|error| problem::io("read", path, &error))?;
    Recorded::read(BufReader::new(file)).map_err(|error| {
        Problem::new(error.code(), format!("{}: {error}", path.display()))
            .next("mendwright run plan JOB --tenant TENANT --record FILE", "makes a recording")
    })
}

fn of_job(context: &Context, typed: &str) -> Result<Played, Problem> {
    let manifest = place::find(context, typed)?;
    let wasm = component(&manifest.component()).map_err(|problem| {
        problem.next(format!("mendwright job build {}", manifest.name), "compiles the job to its component")
    })?;
    let findings = manifest.findings.iter().map(|(code, finding)| (code.clone(), finding.severity)).collect();
    Ok(Played { wasm, allowed: capabilities(&manifest), findings })
}

fn component(path: &Path) -> Result<Vec<u8>, Problem> {
    let bytes = std::fs::metadata(path).map_err(|error| problem::io("read", path, &error))?.len();
    if usize::try_from(bytes).is_ok_and(|bytes| bytes <= COMPONENT_BYTES_MAX) {
        return std::fs::read(path).map_err(|error| problem::io("read", path, &error));
    }
    Err(Problem::new(Code::ComponentInvalid, format!("{}: {bytes} bytes are too many", path.display())))
}
