//! What a run on in-memory tables came to.

use super::Tables;
use super::backend::Backend;
use super::table::{Key, Table};
use crate::contract::{Check, Failure, Finding, Level, Planned, Value};

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It appears.
    Insert,
    /// Some of its columns change.
    Update,
    /// It disappears.
    Delete,
}

/// The net change of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The table.
    pub table: String,
    /// What happens to it.
    pub action: Action,
    /// Its key.
    pub key: Vec<Value>,
    /// The columns that differ, as they were; all of them for a removal.
    pub before: Vec<(String, Value)>,
    /// The columns that differ, as they shall be; all of them but the key's for an insertion.
    pub after: Vec<(String, Value)>,
    /// Why.
    pub reason: String,
}

/// What a run came to. A run that failed has no changes: the host would make no plan of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The job's sentence for the operator.
    pub summary: String,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// `invoices 6 total=0.99`, by table and key.
    pub updates: Vec<String>,
    /// `lines 9 price=1 quantity=2`, by table and key.
    pub inserts: Vec<String>,
    /// `lines 9`, by table and key.
    pub deletes: Vec<String>,
    /// `invoices 6: sum of 1 line`, for changes with a reason.
    pub reasons: Vec<String>,
    /// `invoice_without_lines invoices 321`, as reported.
    pub findings: Vec<String>,
    /// `ok …` or `FAILED …`, as reported.
    pub checks: Vec<String>,
    /// `info …`, as logged.
    pub log: Vec<String>,
    /// The changes as values.
    pub changes: Vec<Changed>,
    /// The findings as values.
    pub reported: Vec<Finding>,
    /// The last `progress`.
    pub progress: Option<(u64, u64)>,
    /// The tables with the changes made, for another run.
    pub tables: Tables,
}

impl Outcome {
    pub(super) fn new(result: Result<String, Failure>, backend: Backend, start: &Tables) -> Self {
        let (summary, failure) = match result {
            Ok(summary) => (summary, None),
            Err(failure) => (String::new(), Some(failure)),
        };
        let changes: Vec<_> = match failure {
            None => backend.tables.values().flat_map(changes).collect(),
            Some(_) => Vec::new(),
        };
        let tables = match failure {
            None => backend.tables.iter().map(|(name, table)| (name.clone(), table.applied())).collect(),
            Some(_) => start.tables.clone(),
        };
        let of = |action| changes.iter().filter(move |c: &&Changed| c.action == action).map(line).collect();
        Self {
            updates: of(Action::Update),
            inserts: of(Action::Insert),
            deletes: of(Action::Delete),
            reasons: changes
                .iter()
                .filter(|change| !change.reason.is_empty())
                .map(|change| format!("{} {}: {}", change.table, key(&change.key), change.reason))
                .collect(),
            findings: backend.findings.iter().map(finding).collect(),
            checks: backend.checks.iter().map(check).collect(),
            log: backend.lines.iter().map(|(level, text)| format!("{} {text}", word(*level))).collect(),
            reported: backend.findings,
            progress: backend.progress,
            tables: Tables { tables, ..start.clone() },
            summary,
            failure,
            changes,
        }
    }

    /// The rows that changed, as `verify` and `rollback` get them.
    #[must_use]
    pub fn planned(&self) -> Vec<Planned> {
        self.changes.iter().map(|c| Planned { table: c.table.clone(), key: c.key.clone() }).collect()
    }
}

fn changes(table: &Table) -> impl Iterator<Item = Changed> {
    table.overlay.iter().filter_map(|(key, changed)| {
        let before = table.before(key);
        let (action, before, after) = match (before, &changed.values) {
            (None, None) => return None,
            (None, Some(now)) => (Action::Insert, Vec::new(), named(table, now, |place| !table.key.contains(&place))),
            (Some(was), None) => (Action::Delete, named(table, was, |_| true), Vec::new()),
            (Some(was), Some(now)) => {
                let differs = |place: usize| match (was.get(place), now.get(place)) {
                    (Some(was), Some(now)) => !was.same(now),
                    (_, _) => false,
                };
                (Action::Update, named(table, was, differs), named(table, now, differs))
            }
        };
        // Written back to what it was: no net change.
        if action == Action::Update && after.is_empty() {
            return None;
        }
        Some(Changed {
            table: table.name.clone(),
            action,
            key: plain(key),
            before,
            after,
            reason: changed.reason.clone(),
        })
    })
}

fn named(table: &Table, values: &[Value], wanted: impl Fn(usize) -> bool) -> Vec<(String, Value)> {
    let cells = table.columns.iter().zip(values).enumerate().filter(|(place, _)| wanted(*place));
    cells.map(|(_, (column, value))| (column.name.clone(), value.clone())).collect()
}

fn plain(key: &Key) -> Vec<Value> {
    key.iter().map(|part| part.0.clone()).collect()
}

fn key(key: &[Value]) -> String {
    key.iter().map(Value::to_string).collect::<Vec<_>>().join("/")
}

fn line(change: &Changed) -> String {
    let cells = change.after.iter().map(|(column, value)| format!(" {column}={value}"));
    format!("{} {}{}", change.table, key(&change.key), cells.collect::<String>())
}

fn finding(finding: &Finding) -> String {
    format!("{} {} {}", finding.code, finding.table, key(&finding.key)).trim_end().to_owned()
}

fn check(check: &Check) -> String {
    if check.passed {
        format!("ok {}", check.name)
    } else {
        format!("FAILED {}: expected {}, was {}", check.name, check.expected, check.actual)
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
