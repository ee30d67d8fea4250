//! `mendwright policy test FILE`.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_policy::cases::{Cases, Report};
use serde::Serialize;

use super::check::engine;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::problem::{Exit, Problem};

/// Run a table of cases against the policies.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The table, as docs/POLICY.md describes it.
    file: PathBuf,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    failed: usize,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let config = context.config()?;
    let engine = engine(&config)?;
    let file = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Problem::new(Code::Io, format!("`{file}` cannot be read: {error}")))?;
    let cases = Cases::parse(&text, &config.policy.settings)
        .map_err(|error| Problem::new(Code::PolicyInvalid, format!("`{file}`: {error}")))?;
    let report = cases.run(&engine);
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, failed: report.n_failed(), report: &report });
    } else {
        context.out.result(&format!("{report}\n"));
    }
    Ok(if report.passed() { Exit::Done } else { Exit::Failed })
}
