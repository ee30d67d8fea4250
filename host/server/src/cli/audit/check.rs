//! `mendwright audit check FILE`: a run's proof, verified with nothing but the log's key.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_core::note::VerifierKey;
use mendwright_core::proof::{PROOF_BYTES_MAX, RunProof};
use mendwright_store::Entry;
use serde::Serialize;

use super::tail::line;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::{Done, problem};
use crate::view::audit::{Held, proven};
use crate::view::problem::{Exit, Problem};

/// Verify a run's proof. Opens nothing but the file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The proof, as `audit prove` wrote it.
    file: PathBuf,
    /// The log's key, from somebody you trust.
    #[arg(long, value_name = "VKEY", value_parser = super::vkey)]
    key: VerifierKey,
    /// Checkpoints from elsewhere: what the proof leads to must be one of these.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

#[derive(Serialize)]
struct Checked<'a> {
    format_version: &'static str,
    run: &'a str,
    origin: &'a str,
    size: u64,
    entries: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    index: u64,
    entry: &'a Entry,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let length = std::fs::metadata(&args.file).map_err(|error| problem::io("read", &args.file, &error))?.len();
    if usize::try_from(length).is_ok_and(|length| length > PROOF_BYTES_MAX) {
        return Err(Problem::new(Code::AuditTampered, "the proof is larger than it may be"));
    }
    let json = std::fs::read(&args.file).map_err(|error| problem::io("read", &args.file, &error))?;
    let invalid = |error: mendwright_core::proof::InvalidProof| Problem::new(error.code(), error.to_string());
    let proof = RunProof::parse(&json).map_err(invalid)?;
    let verified = proof.verify(&args.key).map_err(invalid)?;
    let entry = |(index, bytes): &(u64, Vec<u8>)| match Entry::parse(bytes) {
        Ok(entry) => Ok((*index, entry)),
        Err(why) => Err(tampered(format!("entry {index} is in the log and is none that this version knows: {why}"))),
    };
    let entries: Vec<(u64, Entry)> = verified.entries.iter().map(entry).collect::<Result<_, _>>()?;
    same_run(&proof.run, &entries)?;
    let held = match &args.checkpoint {
        Some(path) if super::from_file(path, &args.key)?.contains(&verified.checkpoint) => Held::Anchored,
        Some(path) => {
            let size = verified.checkpoint.size;
            return Err(tampered(format!("{} does not have this checkpoint of {size} entries", path.display())));
        }
        None => Held::Signed,
    };
    if context.out.is_json() {
        context.out.json(&Checked {
            format_version: FORMAT_VERSION,
            run: &proof.run,
            origin: &verified.checkpoint.origin,
            size: verified.checkpoint.size,
            entries: entries.iter().map(|(index, entry)| Line { index: *index, entry }).collect(),
        });
        return Ok(Exit::Done);
    }
    let lines: Vec<_> = entries.into_iter().map(|(index, entry)| line(index, held, entry)).collect();
    let checkpoint = &verified.checkpoint;
    context.out.result(&proven(context.out.look, &proof.run, &checkpoint.origin, checkpoint.size, &lines));
    Ok(Exit::Done)
}

/// Entries about something else would prove nothing about the run; the one that began it ties its number
/// to its id.
fn same_run(id: &str, entries: &[(u64, Entry)]) -> Result<(), Problem> {
    let begun =
        |(_, entry): &&(u64, Entry)| entry.kind == "run.begun" && entry.body.get("id").is_some_and(|begun| begun == id);
    let Some((_, first)) = entries.iter().find(begun) else {
        return Err(tampered(format!("no entry of the proof says that {id} began")));
    };
    match entries.iter().find(|(_, entry)| entry.run != first.run) {
        Some((index, _)) => Err(tampered(format!("entry {index} is not about {id}"))),
        None => Ok(()),
    }
}

fn tampered(message: String) -> Problem {
    Problem::new(Code::AuditTampered, message)
}
