//! `mendwright job list`.

use serde::Serialize;

use super::place;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::{Done, problem};
use crate::view::job::{JobRow, job_list};
use crate::view::problem::Exit;
use mendwright_core::level::Level;

/// The jobs of the jobs directory.
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Jobs {
    format_version: &'static str,
    jobs: Vec<Record>,
}

#[derive(Serialize)]
struct Record {
    name: String,
    version: String,
    category: String,
    level: Level,
    summary: String,
    built: bool,
}

pub(super) fn run(context: &Context, _: &Args) -> Done {
    let config = context.config()?;
    let listed = mendwright_catalog::jobs::list(place::directory(&config)?).map_err(problem::diagnostic)?;
    let mut rows = Vec::new();
    let mut last = None;
    for job in listed {
        let manifest = match job.manifest {
            Ok(manifest) => manifest,
            Err(found) => {
                // The sound ones are listed all the same.
                if let Some(before) = last.replace(problem::diagnostics(found)) {
                    context.out.problem(&before);
                }
                continue;
            }
        };
        rows.push(Record {
            built: place::is_built(&manifest),
            category: word(&manifest.category),
            name: manifest.name,
            version: manifest.version.to_string(),
            level: manifest.level,
            summary: manifest.summary,
        });
    }
    if context.out.is_json() {
        context.out.json(&Jobs { format_version: FORMAT_VERSION, jobs: rows });
    } else {
        let rows: Vec<JobRow> = rows.into_iter().map(JobRow::from).collect();
        context.out.result(&job_list(context.out.look, &rows));
    }
    last.map_or(Ok(Exit::Done), Err)
}

impl From<Record> for JobRow {
    fn from(record: Record) -> Self {
        let Record { name, version, category, level, summary, built } = record;
        Self { name, version, category, level: level.into(), summary, built }
    }
}

/// The word that manifests and JSON use: `DATA`.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}
