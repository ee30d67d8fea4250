//! Policies in files: read, parsed, and checked against the schema before any of them decides.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use mendwright_core::code::Code;

/// The schema that every policy is checked against.
pub const SCHEMA: &str = include_str!("../schema.cedarschema");

/// The id of a built-in policy begins so, and no other's does.
pub const BUILTIN: &str = "builtin:";

/// How many files an operator's directory holds at most; more is a directory that was not meant.
const FILES_MAX: usize = 256;

/// How large one of them is at most; the default policies together are a fiftieth of that.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The policies that are compiled in: name and text.
pub const COMPILED_IN: [(&str, &str); 4] = [
    ("builtin.cedar", include_str!("../policies/builtin.cedar")),
    ("people.cedar", include_str!("../policies/people.cedar")),
    ("automatic.cedar", include_str!("../policies/automatic.cedar")),
    ("break_glass.cedar", include_str!("../policies/break_glass.cedar")),
];

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// Line and column, both from 1; `None` where the file as a whole is meant.
    pub at: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// The operator's policies cannot be used, and why: never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Invalid(pub Vec<Problem>);

impl Invalid {
    /// The code of this error.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::PolicyInvalid
    }
}

/// A file's name and text.
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) text: String,
}

/// A policy that was checked.
pub(crate) struct Checked {
    pub(crate) id: String,
    pub(crate) says: String,
    pub(crate) file: String,
    pub(crate) policy: Policy,
}

/// The `.cedar` files directly in `dir`, by name.
pub(crate) fn read(dir: &Path) -> Result<Vec<Source>, Invalid> {
    let problem =
        |path: &Path, message: String| Invalid(vec![Problem { file: path.display().to_string(), at: None, message }]);
    let entries = std::fs::read_dir(dir).map_err(|error| problem(dir, error.to_string()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| problem(dir, error.to_string()))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            paths.push(path);
        }
    }
    if paths.len() > FILES_MAX {
        return Err(problem(dir, format!("{} policy files; {FILES_MAX} are the most", paths.len())));
    }
    paths.sort();
    let read_one = |path: &Path| -> std::io::Result<String> {
        let bytes = std::fs::metadata(path)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(std::io::Error::other(format!("{bytes} bytes; {FILE_BYTES_MAX} are the most")));
        }
        std::fs::read_to_string(path)
    };
    paths
        .iter()
        .map(|path| match read_one(path) {
            Ok(text) => Ok(Source { file: path.display().to_string(), text }),
            Err(error) => Err(problem(path, error.to_string())),
        })
        .collect()
}

/// Parses and checks one file. `ours` may use the ids of built-in policies.
pub(crate) fn check(source: &Source, schema: &Schema, ours: bool) -> Result<Vec<Checked>, Vec<Problem>> {
    let parsed = PolicySet::from_str(&source.text).map_err(|errors| source.problems(&DetailedError::from(&errors)))?;
    let mut problems = Vec::new();
    for template in parsed.templates() {
        let message = "a template decides nothing by itself; write the policy out".to_owned();
        problems.push(source.problem_at(&template.to_string(), message));
    }
    let mut checked = Vec::new();
    for policy in parsed.policies() {
        match named(policy, ours) {
            Ok((id, says)) => {
                let policy = policy.new_id(PolicyId::new(&id));
                checked.push(Checked { id, says, file: source.file.clone(), policy });
            }
            Err(message) => problems.push(source.problem_at(&policy.to_string(), message)),
        }
    }
    if problems.is_empty() {
        problems = validate(source, schema, &checked);
    }
    checked.sort_by(|one, other| one.id.cmp(&other.id));
    problems.sort_by_key(|problem| problem.at);
    if problems.is_empty() { Ok(checked) } else { Err(problems) }
}

/// The id and the sentence of a policy.
fn named(policy: &Policy, ours: bool) -> Result<(String, String), String> {
    let id = policy.annotation("id").ok_or("the policy has no @id(\"…\"), and so no decision could name it")?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":-_.".contains(&byte);
    if id.is_empty() || !id.bytes().all(fits) {
        return Err(format!("the id `{}` is not made of a-z, 0-9, `:`, `-`, `_` and `.`", id.escape_debug()));
    }
    if id.starts_with(BUILTIN) && !ours {
        return Err(format!("the id `{id}` is a built-in policy's, and those cannot be replaced"));
    }
    let says = policy.annotation("says").map(str::trim).filter(|says| !says.is_empty());
    let says = says.ok_or_else(|| format!("the policy `{id}` has no @says(\"…\"), and so nobody could be told why"))?;
    Ok((id.to_owned(), says.to_owned()))
}

/// Strict validation. A warning counts as an error: a policy that can never apply is a mistake, and
/// most of all in a forbid.
fn validate(source: &Source, schema: &Schema, checked: &[Checked]) -> Vec<Problem> {
    let mut set = PolicySet::new();
    let mut problems = Vec::new();
    for one in checked {
        if set.add(one.policy.clone()).is_err() {
            let message = format!("the id `{}` is used twice", one.id);
            problems.push(source.problem_at(&one.policy.to_string(), message));
        }
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    problems.extend(result.validation_errors().flat_map(|error| source.problems(&DetailedError::from(error))));
    problems.extend(result.validation_warnings().flat_map(|warning| source.problems(&DetailedError::from(warning))));
    problems
}

/// Puts an operator's policies over ours: the same id takes the place of a default one, and of
/// nothing else.
pub(crate) fn merge(ours: Vec<Checked>, theirs: Vec<Checked>) -> Result<Vec<Checked>, Vec<Problem>> {
    let mut by_id: BTreeMap<String, Checked> = ours.into_iter().map(|one| (one.id.clone(), one)).collect();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut problems = Vec::new();
    for one in theirs {
        if let Some(other) = files.insert(one.id.clone(), one.file.clone()) {
            let message = format!("the id `{}` is used in {other} already", one.id);
            problems.push(Problem { file: one.file.clone(), at: None, message });
        }
        by_id.insert(one.id.clone(), one);
    }
    if problems.is_empty() { Ok(by_id.into_values().collect()) } else { Err(problems) }
}

impl Source {
    /// What Cedar found, each with its place in this file.
    fn problems(&self, error: &DetailedError) -> Vec<Problem> {
        let at = error.source_locations.first().map(|label| self.line_and_column(label.loc.start));
        let mut message = error.message.clone();
        if let Some(label) = error.source_locations.first().and_then(|label| label.label.as_ref()) {
            message = format!("{message} ({label})");
        }
        if let Some(help) = &error.help {
            message = format!("{message}; {help}");
        }
        let mut problems = vec![Problem { file: self.file.clone(), at, message }];
        problems.extend(error.related.iter().flat_map(|related| self.problems(related)));
        problems
    }

    /// A problem of the policy whose text this is.
    fn problem_at(&self, policy: &str, message: String) -> Problem {
        let at = self.text.find(policy).map(|offset| self.line_and_column(offset));
        Problem { file: self.file.clone(), at, message }
    }

    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }
}
