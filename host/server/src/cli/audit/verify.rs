//! `mendwright audit verify`: the whole log computed again, and compared with everything that was signed.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_core::note::VerifierKey;
use mendwright_store::AuditReport;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::{Done, problem};
use crate::engine::audit::{Elsewhere, Opened};
use crate::view::audit::{Anchor, Standing, verified};
use crate::view::problem::{Exit, Problem};

/// Damages that are told to a person; the rest is counted.
const TOLD_MAX: usize = 12;

/// Compute the whole log again from the bytes of its entries, and compare it with its hashes, with the
/// checkpoints in the control store, and with those at the places that the configuration names.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also with the checkpoints in this file, which came from elsewhere.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The log's key, from elsewhere too; this host's own where absent.
    #[arg(long, value_name = "VKEY", value_parser = super::vkey)]
    key: Option<VerifierKey>,
}

#[derive(Serialize)]
struct Verified<'a> {
    format_version: &'static str,
    key: String,
    entries: u64,
    waiting: u64,
    checkpoints: u64,
    signed: u64,
    anchored: u64,
    trusted: Option<u64>,
    intact: bool,
    damages: &'a [String],
    more_damages: u64,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let opened = context.audit(&config).await?;
    let key = match args.key {
        Some(key) => key,
        None => opened.key.verifier()?,
    };
    let mut trusted = match &args.checkpoint {
        Some(path) => super::from_file(path, &key)?,
        None => Vec::new(),
    };
    let elsewhere = opened.log().elsewhere(&key).await?;
    trusted.extend(elsewhere.iter().flat_map(|place| place.received.iter().cloned()));
    let progress = Progress::begin(&context.out, "computing the audit log again".to_owned());
    let report = opened.store.verify_audit(&key, &trusted).await.map_err(problem::store)?;
    drop(progress);
    let mut damages: Vec<String> = report.damages.iter().map(ToString::to_string).collect();
    damages.extend(lost(&opened, &elsewhere).await?);
    let standing = Standing {
        size: report.size,
        waiting: report.waiting,
        signed: report.signed,
        anchors: elsewhere.iter().map(|known| Anchor { place: known.place.clone(), size: known.size }).collect(),
    };
    if context.out.is_json() {
        context.out.json(&Verified {
            format_version: FORMAT_VERSION,
            key: key.to_string(),
            entries: report.size,
            waiting: report.waiting,
            checkpoints: report.checkpoints,
            signed: report.signed,
            anchored: standing.anchored(),
            trusted: report.trusted,
            intact: damages.is_empty(),
            damages: &damages,
            more_damages: report.n_more,
        });
    }
    if !damages.is_empty() {
        return Err(tampered(&report, &damages));
    }
    if !context.out.is_json() {
        context.out.result(&verified(context.out.look, &standing, report.checkpoints, &key.to_string()));
    }
    Ok(Exit::Done)
}

/// Checkpoints that a place had, as the control store knows, and has no longer.
async fn lost(opened: &Opened, elsewhere: &[Elsewhere]) -> Result<Vec<String>, Problem> {
    let status = opened.store.audit_status().await.map_err(problem::store)?;
    let is_lost = |place: &str, size: u64| {
        let readable = elsewhere.iter().filter(|known| known.is_readable && known.place == place);
        readable.into_iter().any(|known| !known.received.iter().any(|c| c.size == size))
    };
    let lost = status.anchors.iter().filter(|anchor| is_lost(&anchor.place, anchor.size));
    Ok(lost.map(|anchor| format!("{} no longer has the checkpoint of {} entries", anchor.place, anchor.size)).collect())
}

fn tampered(report: &AuditReport, damages: &[String]) -> Problem {
    let mut problem = Problem::new(Code::AuditTampered, "the audit log is not what was written");
    for damage in damages.iter().take(TOLD_MAX) {
        problem = problem.detail(damage.clone());
    }
    let more = u64::try_from(damages.len().saturating_sub(TOLD_MAX)).unwrap_or(u64::MAX).saturating_add(report.n_more);
    if more > 0 {
        problem = problem.detail(format!("and {more} more"));
    }
    problem.detail("copy the control store before anything else: what is there now is evidence")
}
