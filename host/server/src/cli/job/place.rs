//! Where a job is: a directory that was named, or a name in the jobs directory.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mendwright_catalog::manifest::{FILE, Manifest, PARAMS_FILE};
use mendwright_core::code::Code;

use crate::cli::context::Context;
use crate::cli::problem;
use crate::config::Config;
use crate::view::problem::Problem;

/// Files of one job that are looked at; more is somebody's home directory given by mistake.
const FILES_MAX: usize = 10_000;

/// The jobs directory of the configuration.
pub(super) fn directory(config: &Config) -> Result<&Path, Problem> {
    config.jobs.as_ref().map(|jobs| jobs.path.as_path()).ok_or_else(|| {
        Problem::new(Code::JobUnknown, "the configuration names no jobs directory")
            .detail(format!("add [jobs] path = \"jobs\" to {}", config.path.display()))
            .next("mendwright config check", "after the correction")
    })
}

/// The job that a person names: a directory with a job.toml, or a name.
pub(super) fn find(context: &Context, typed: &str) -> Result<Manifest, Problem> {
    let path = PathBuf::from(typed);
    if path.join(FILE).is_file() {
        return Manifest::read(&path).map_err(problem::diagnostics);
    }
    let config = context.config()?;
    mendwright_catalog::jobs::find(directory(&config)?, typed).map_err(problem::diagnostics)
}

/// Whether the component is there and newer than everything that it is made of.
pub(super) fn is_built(manifest: &Manifest) -> bool {
    let built = modified(&manifest.component());
    built.is_some_and(|built| newest_source(&manifest.dir).is_none_or(|source| source <= built))
}

/// Whether the schema of the parameters is older than the sources; `None` where there is no schema.
pub(super) fn schema_is_stale(manifest: &Manifest) -> Option<bool> {
    let schema = modified(&manifest.dir.join(PARAMS_FILE))?;
    Some(newest(&manifest.dir.join("src")).is_some_and(|source| source > schema))
}

fn newest_source(dir: &Path) -> Option<SystemTime> {
    [newest(&dir.join("src")), modified(&dir.join(FILE)), modified(&dir.join("Cargo.toml"))].into_iter().flatten().max()
}

/// When the youngest file under `dir` was changed.
fn newest(dir: &Path) -> Option<SystemTime> {
    let mut waiting = vec![dir.to_owned()];
    let mut found = None;
    for _ in 0..FILES_MAX {
        let Some(path) = waiting.pop() else { break };
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(entries.map(|entry| entry.path()));
        } else {
            found = found.max(modified(&path));
        }
    }
    found
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
