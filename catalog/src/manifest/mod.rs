//! The manifest of a job: `job.toml`, the schema of its parameters, and where its component lies.
//!
//! A job is a directory. Beside `job.toml` stand `params.schema.json`, which `mendwright job build`
//! generates from the job's `Params` (absent where it takes none), and `<name>.wasm`, the component,
//! which the same command makes and which is not kept under version control.

mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mendwright_core::authority::{ANY, Request};
use mendwright_core::budget::Budget;
use mendwright_core::change::Action;
use mendwright_core::code::{Area, Code};
use mendwright_core::level::Level;
use mendwright_core::plan::header::Digest;
use mendwright_core::port::Severity;
use serde_json::Value;

use crate::diagnostic::{Diagnostic, Diagnostics, Report, Source};
use crate::document::{Document, Step};
use crate::params::{self, Schema};
use crate::{file, shape};

/// The contract of this host.
pub const CONTRACT: &str = "mendwright:repair@0.1.0";

/// The manifest's file in a job's directory.
pub const FILE: &str = "job.toml";

/// The parameters' schema in a job's directory.
pub const PARAMS_FILE: &str = "params.schema.json";

/// Keeps a manifest's digest apart from every other hash that we make.
const DOMAIN: &[u8] = b"mendwright manifest v1\n";

/// How many transactions the changes are applied in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// One: all or nothing.
    Atomic,
    /// Many, of this many changes each.
    Batched(u64),
}

/// Whether one change means anything without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Each row's change stands alone.
    Independent,
    /// They belong together.
    Together,
}

/// How changes are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apply {
    /// In how many transactions.
    pub transaction: Transaction,
    /// Whether they stand alone.
    pub changes: Changes,
}

/// Something the job may leave for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What the person can do.
    pub help: String,
}

/// What a job says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: semver::Version,
    /// One sentence on what it repairs.
    pub summary: String,
    /// The contract it was written for; [`CONTRACT`].
    pub wit: String,
    /// What it is about.
    pub category: Area,
    /// At least this level; what is touched can only raise it.
    pub level: Level,
    /// Kinds of anomalies that it remedies.
    pub remedies: Vec<String>,
    /// Where a person reads what to do when it does not help.
    pub runbook: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What holds after it, in sentences.
    pub invariants: Vec<String>,
    /// What it asks of each table, by its own names.
    pub requests: BTreeMap<String, Request>,
    /// How its changes are applied.
    pub apply: Apply,
    /// How much work it says it needs.
    pub budget: Budget,
    /// What it may leave for a person, by code.
    pub findings: BTreeMap<String, Finding>,
    /// The JSON Schema of its parameters.
    pub params: Schema,
    /// The job's directory.
    pub dir: PathBuf,
    digest: Digest,
}

impl Manifest {
    /// Reads the job in `dir`. Whether its component exists is not looked at.
    ///
    /// # Errors
    /// Everything that is wrong with it, with file, line and column.
    pub fn read(dir: &Path) -> Result<Self, Diagnostics> {
        let path = dir.join(FILE);
        if !path.is_file() {
            let message = format!("{} is not a job: it has no {FILE}", dir.display());
            let found = Diagnostic::new(Code::JobUnknown, message).help("mendwright job list");
            return Err(found.into());
        }
        let text = file::read(&path, Code::ManifestInvalid)?;
        let schema = dir.join(PARAMS_FILE);
        let schema = if schema.exists() { Some(file::read(&schema, Code::ManifestInvalid)?) } else { None };
        Self::parse(dir, &text, schema.as_deref())
    }

    /// Reads a manifest from its text and the text of its parameters' schema, if it has one.
    ///
    /// # Errors
    /// Everything that is wrong with it, with file, line and column.
    pub fn parse(dir: &Path, text: &str, params_schema: Option<&str>) -> Result<Self, Diagnostics> {
        let mut report = Report::default();
        let shown = dir.join(FILE).display().to_string();
        let document = Document::parse(Source::new(shown, text), Code::ManifestInvalid, &mut report);
        let params = match params_schema {
            Some(text) => params::schema(&dir.join(PARAMS_FILE), text, &mut report),
            None => params::none(),
        };
        let codes = shape::Codes { key: Code::ManifestInvalid, value: Code::ManifestInvalid };
        let read = shape::read(&document, &schema(), codes, &mut report);
        let file = match serde_json::from_value::<wire::File>(read) {
            Ok(file) => file,
            Err(error) => {
                // The shape was reported above; this is what it overlooked, if anything.
                if report.is_empty() {
                    report.push(Diagnostic::new(Code::ManifestInvalid, error.to_string()).at(document.value(&[])));
                }
                return Err(failed(report));
            }
        };
        let level = Level::try_from(file.level).unwrap_or(Level::Assisted);
        check(&document, &file, level, &mut report);
        let budget = file.budget.budget().unwrap_or_else(|why| {
            let at = document.value(&["budget".into(), "share_changed".into()]);
            report.push(Diagnostic::new(Code::ManifestInvalid, "`share_changed` takes a share").at(at).label(why));
            Budget::default()
        });
        report.finish(Self {
            name: file.name,
            version: file.version,
            summary: file.summary,
            wit: file.wit,
            category: file.category,
            level,
            remedies: file.remedies,
            runbook: file.runbook,
            owner: file.owner,
            invariants: file.invariants,
            requests: file.request.into_iter().map(|(table, wanted)| (table, wanted.into())).collect(),
            apply: file.apply.into(),
            budget,
            findings: file.finding.into_iter().map(|(code, f)| (code, f.into())).collect(),
            params,
            dir: dir.to_owned(),
            digest: digest(text, params_schema),
        })
    }

    /// Where the job's component lies: `<name>.wasm` beside `job.toml`, made by `mendwright job build`.
    #[must_use]
    pub fn component(&self) -> PathBuf {
        self.dir.join(format!("{}.wasm", self.name))
    }

    /// SHA-256 of a domain line, the number of bytes of `job.toml` (8 bytes, big-endian), those bytes,
    /// and then the bytes of `params.schema.json`: none where there is no such file.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The value of a parameter that was typed as text (`--param name=text`): itself where the schema
    /// takes a string there, else what it is as JSON. Whether it fits is for
    /// [`Manifest::check_params`] to say.
    #[must_use]
    pub fn param_from_text(&self, name: &str, text: &str) -> Value {
        params::from_text(&self.params, name, text)
    }

    /// Whether these parameters satisfy the job's schema.
    ///
    /// # Errors
    /// Every parameter that does not, by name ([`Code::ParamInvalid`]).
    pub fn check_params(&self, params: &Value) -> Result<(), Diagnostics> {
        params::check(&self.name, &self.params, params)
    }
}

/// The JSON Schema of `job.toml`, for editors: `job.schema.json`.
#[must_use]
pub fn schema() -> Value {
    shape::schema_of::<wire::File>("A Mendwright repair job (job.toml)")
}

/// The errors of a report that has some.
fn failed(report: Report) -> Diagnostics {
    match report.finish(()) {
        Err(all) => all,
        Ok(()) => Diagnostic::new(Code::Internal, "a manifest failed without an error").into(),
    }
}

fn digest(text: &str, params_schema: Option<&str>) -> Digest {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes();
    let schema = params_schema.unwrap_or_default();
    Digest::of(&[DOMAIN, &length, text.as_bytes(), schema.as_bytes()].concat())
}

fn check(document: &Document, file: &wire::File, level: Level, report: &mut Report) {
    let invalid = |message: String| Diagnostic::new(Code::ManifestInvalid, message);
    if file.wit != CONTRACT {
        let message = format!("the job was written for `{}`, which this host does not have", file.wit);
        let found = Diagnostic::new(Code::ManifestWit, message).at(document.value(&["wit".into()]));
        report.push(found.label(format!("this host has `{CONTRACT}`")));
    }
    let batched = matches!(file.apply.transaction, wire::Transaction::Batched { .. });
    if batched && level == Level::Assisted {
        let at = document.value(&["apply".into(), "transaction".into()]);
        let found = invalid("a level 3 job cannot be applied in batches".to_owned()).at(at);
        report.push(found.label("what people approve is applied whole: \"atomic\""));
    }
    if batched && matches!(file.apply.changes, wire::Changes::Together) {
        let at = document.value(&["apply".into(), "transaction".into()]);
        let found = invalid("changes that belong together cannot be applied in batches".to_owned()).at(at);
        report.push(found.label("\"atomic\", or changes = \"independent\" where each row's change stands alone"));
    }
    for (table, wanted) in &file.request {
        check_request(document, table, wanted, report);
    }
}

fn check_request(document: &Document, table: &str, wanted: &wire::Request, report: &mut Report) {
    let path = |key: &'static str| [Step::Key("request"), table.into(), key.into()];
    let invalid = |message: String| Diagnostic::new(Code::ManifestInvalid, message);
    let reads = !wanted.read.is_empty() || !wanted.optional_read.is_empty();
    let writes = !wanted.write.is_empty() || !wanted.optional_write.is_empty();
    let changes = wanted.operations.contains(&Action::Insert) || wanted.operations.contains(&Action::Update);
    if !reads && !writes && wanted.operations.is_empty() {
        let found = invalid(format!("the request of `{table}` asks for nothing"));
        report.push(found.at(document.key(&path("read")[..2])).label("say what it reads, or leave it out"));
    }
    if writes && !changes {
        let key = if wanted.write.is_empty() { "optional_write" } else { "write" };
        let found = invalid(format!("`{table}` is written by no operation")).at(document.key(&path(key)));
        report.push(found.label("add operations = [\"update\"], or \"insert\""));
    }
    if !writes && wanted.operations.contains(&Action::Update) {
        let found = invalid(format!("`{table}` is updated, but no column is written"));
        report.push(found.at(document.key(&path("operations"))).label("name the columns: write = […]"));
    }
    let all = [
        ("read", &wanted.read),
        ("write", &wanted.write),
        ("optional_read", &wanted.optional_read),
        ("optional_write", &wanted.optional_write),
    ];
    for (key, columns) in all.iter().filter(|(_, columns)| table == ANY && !columns.is_empty()) {
        if columns.iter().any(|column| column != ANY) {
            let found = invalid("nobody knows the columns of every table".to_owned()).at(document.value(&path(key)));
            report.push(found.label("only [\"*\"], what the operator grants, makes sense here"));
        }
    }
}

impl From<wire::Request> for Request {
    fn from(wanted: wire::Request) -> Self {
        let wire::Request { optional, read, write, optional_read, optional_write, operations } = wanted;
        Self { optional, read, write, optional_read, optional_write, operations }
    }
}

impl From<wire::Apply> for Apply {
    fn from(apply: wire::Apply) -> Self {
        let transaction = match apply.transaction {
            wire::Transaction::Atomic(wire::Atomic::Atomic) => Transaction::Atomic,
            wire::Transaction::Batched { batched } => Transaction::Batched(batched),
        };
        let changes = match apply.changes {
            wire::Changes::Independent => Changes::Independent,
            wire::Changes::Together => Changes::Together,
        };
        Self { transaction, changes }
    }
}

impl From<wire::Finding> for Finding {
    fn from(finding: wire::Finding) -> Self {
        let wire::Finding { severity, help } = finding;
        Self { severity, help }
    }
}

#[cfg(test)]
mod tests;
