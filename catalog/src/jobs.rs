//! The jobs of a directory: each subdirectory that has a `job.toml`.

use std::path::Path;

use mendwright_core::code::Code;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::manifest::{FILE, Manifest};

/// Jobs in one directory. More is somebody's home directory given by mistake.
const JOBS_MAX: usize = 10_000;

/// One job of a directory, whether its manifest is valid or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The name of its directory, which is the job's.
    pub name: String,
    /// What it says of itself, or what is wrong with that.
    pub manifest: Result<Manifest, Diagnostics>,
}

/// Every job in `dir`, by name. One that is broken is listed with its errors.
///
/// # Errors
/// Only where `dir` itself cannot be read.
pub fn list(dir: &Path) -> Result<Vec<Listed>, Diagnostic> {
    let wrong = |error: std::io::Error| {
        let message = format!("the jobs directory {} cannot be read: {error}", dir.display());
        Diagnostic::new(Code::Io, message).help("set `path` under [jobs] in mendwright.toml")
    };
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(wrong)?.take(JOBS_MAX) {
        let path = entry.map_err(wrong)?.path();
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if path.join(FILE).is_file() {
            listed.push(Listed { manifest: read(&path, &name), name });
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

/// The job called `name` in `dir`.
///
/// # Errors
/// [`Code::JobUnknown`] with the nearest name, or everything that is wrong with its manifest.
pub fn find(dir: &Path, name: &str) -> Result<Manifest, Diagnostics> {
    let listed = list(dir)?;
    match listed.iter().find(|job| job.name == name) {
        Some(job) => job.manifest.clone(),
        None => {
            let found = Diagnostic::new(Code::JobUnknown, format!("there is no job `{name}` in {}", dir.display()));
            let names = listed.iter().map(|job| job.name.as_str());
            Err(found.near(name, names, "").help("mendwright job list").into())
        }
    }
}

/// Reads a job and holds it to its directory's name: otherwise two directories could claim one name,
/// and grants are given by name.
fn read(path: &Path, name: &str) -> Result<Manifest, Diagnostics> {
    let manifest = Manifest::read(path)?;
    if manifest.name == name {
        return Ok(manifest);
    }
    let message = format!("the directory {} holds a job that calls itself `{}`", path.display(), manifest.name);
    let found = Diagnostic::new(Code::ManifestInvalid, message);
    Err(found.help(format!("rename the directory to `{}`, or the job", manifest.name)).into())
}
