//! What `job.toml` says, as `#[job]` reads it when the job is compiled.

use crate::contract::Severity;

/// The parts of `job.toml` that a job needs at hand. Made by `#[job]`.
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    /// The job's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// `[finding.CODE]`: code and severity.
    pub findings: &'static [(&'static str, Severity)],
    /// `[request.TABLE]`.
    pub requests: &'static [Request],
}

/// One `[request.TABLE]`; a table or column of `*` stands for every one that is granted.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The job's name for the table.
    pub table: &'static str,
    /// Whether the job does without it.
    pub optional: bool,
    /// `read` and `optional_read`.
    pub read: &'static [&'static str],
    /// `write` and `optional_write`.
    pub write: &'static [&'static str],
    /// `operations`.
    pub operations: &'static [&'static str],
}

impl Manifest {
    /// How bad a finding with this code is. The host refuses codes that are not in the manifest, so it
    /// does not matter what is said of those.
    #[must_use]
    pub fn severity(&self, code: &str) -> Severity {
        self.findings.iter().find(|(name, _)| *name == code).map_or(Severity::Error, |(_, severity)| *severity)
    }
}
