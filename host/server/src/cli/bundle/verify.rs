//! `mendwright bundle verify FILE`: an exported run, checked with nothing but the trust roots.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_core::key::PublicKey;
use mendwright_core::note::VerifierKey;
use mendwright_core::plan::Digest;
use serde::Serialize;

use crate::bundle::{self, Bundle, Report, Roots};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::bundle as view;
use crate::view::problem::{Exit, Problem};

/// Check an exported run. Opens nothing but the file.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, as `run export` wrote it.
    file: PathBuf,
    /// The audit log's key, from somebody you trust: `mendwright audit key`.
    #[arg(long, value_name = "VKEY", value_parser = crate::cli::audit::vkey)]
    key: VerifierKey,
    /// The root of the people's registry, from somebody you trust: `mendwright person root`.
    #[arg(long, value_name = "DIGEST")]
    root: Option<Digest>,
    /// The key under which hosts countersigned sessions: `mendwright key session`. Without it only what people
    /// signed themselves counts.
    #[arg(long, value_name = "ed25519:KEY")]
    session_key: Vec<PublicKey>,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    holds: bool,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let bundle = Bundle::read(&args.file)?;
    let roots = Roots { log: args.key.clone(), people: args.root, sessions: args.session_key.clone() };
    let report = bundle::verify(&bundle, &roots);
    let holds = report.holds();
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, holds, report: &report });
    } else {
        context.out.result(&view::checks(context.out.look, &report));
    }
    if holds {
        return Ok(Exit::Done);
    }
    let failed = report.checks.iter().filter(|check| check.verdict == bundle::Verdict::Fails);
    let failed: Vec<&str> = failed.map(|check| check.what).collect();
    Err(Problem::new(Code::BundleInvalid, format!("the exported run does not hold: {}", failed.join(", ")))
        .detail("a key or root of another installation looks the same: compare them first"))
}
