//! `mendwright.toml`: what there is, what jobs call it, and who may do what.
//!
//! It is read in three steps. The shape is checked against the JSON Schema that editors use
//! (`shape`); then that every name stands for something and that tenancy holds (`check`, `grants`);
//! then the types of [`model`] are made (`build`). All errors of all steps are told at once.
//!
//! **Invariants**: a password never stands in the file and is never printed; an environment variable
//! is looked up only by the command that needs it; a tenant, key or derived column is never granted
//! for writing.

mod authority;
mod build;
mod check;
pub mod env;
mod grants;
pub mod model;
mod schedule;
pub mod url;
mod wire;

use std::path::Path;

use mendwright_catalog::diagnostic::{Diagnostic, Diagnostics, Report, Source};
use mendwright_catalog::document::Document;
use mendwright_catalog::{file, shape};
use mendwright_core::code::Code;
use serde_json::Value;

use self::check::Checker;
pub use self::env::{Env, locate};
pub use self::model::{Anchor, Config, Connection, Database, GrantConfig, TenantExcluded, TenantSet, Witness};
pub use self::schedule::{Schedule, Until};
pub use self::url::{Engine, Location, Secret, Url};

impl Config {
    /// Reads the configuration at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, with line and column.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        let text = file::read(path, Code::ConfigUnreadable)
            .map_err(|found| found.help("give --config PATH, or set MENDWRIGHT_CONFIG"))?;
        Self::parse(path, &text)
    }

    /// Reads a configuration that would lie at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, with line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Diagnostics> {
        let mut report = Report::default();
        let source = Source::new(path.display().to_string(), text);
        let document = Document::parse(source, Code::ConfigSyntax, &mut report);
        if !report.is_empty() {
            // Half a file would only lead to errors about what the other half says.
            return Err(failed(report));
        }
        let codes = shape::Codes { key: Code::ConfigKey, value: Code::ConfigValue };
        let read = shape::read(&document, &schema(), codes, &mut report);
        let file: wire::File = match serde_json::from_value(read) {
            Ok(file) => file,
            Err(error) => {
                if report.is_empty() {
                    report.push(Diagnostic::new(Code::ConfigValue, error.to_string()).at(document.value(&[])));
                }
                return Err(failed(report));
            }
        };
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        // The checker borrows the file, the builder takes it.
        Checker::new(&document, &file, &base, &mut report).check(&file);
        let empty = wire::File::default();
        let config = build::config(&mut Checker::new(&document, &empty, &base, &mut report), file, path, &base);
        match config {
            Some(config) => report.finish(config),
            None => Err(failed(report)),
        }
    }
}

/// The JSON Schema of `mendwright.toml`: `mendwright config schema` prints it.
#[must_use]
pub fn schema() -> Value {
    shape::schema_of::<wire::File>("Mendwright's configuration (mendwright.toml)")
}

/// The errors of a report that has some.
fn failed(report: Report) -> Diagnostics {
    match report.finish(()) {
        Err(all) => all,
        Ok(()) => Diagnostic::new(Code::Internal, "the configuration failed without an error").into(),
    }
}

#[cfg(test)]
mod tests;
