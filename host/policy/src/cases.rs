//! Tables of cases: what an operator expects of the policies, in TOML, for `policy test FILE`.
//!
//! A file has people with their roles, bases (facts that are whole), and cases: a base, what is
//! different, and what is expected. `docs/POLICY.md` shows one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mendwright_core::policy::{Action, Decision, Effect, Facts, Settings, Stage, Who};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::engine::Engine;

/// A table of cases as it was read; every case in it can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cases {
    cases: Vec<Case>,
}

/// A case that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The facts.
    pub facts: Facts,
    /// The settings.
    pub settings: Settings,
    /// The answer that is expected.
    pub expect: Effect,
    /// The policies that are expected to make it; `None` where any may.
    pub by: Option<BTreeSet<String>>,
    /// What is expected to be missing, as its sentence or a part of it.
    pub missing: Vec<String>,
    /// What is expected to be broken with the glass.
    pub broke: BTreeSet<String>,
}

/// The file cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCases(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    people: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    settings: Table,
    base: BTreeMap<String, Table>,
    case: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    base: String,
    stage: Option<Stage>,
    action: Option<Action>,
    actor: Option<Who>,
    /// Who approved, each in the roles that the file gives them; in place of `facts.approvals.held`.
    approved: Option<Vec<Who>>,
    #[serde(default)]
    facts: Table,
    #[serde(default)]
    settings: Table,
    expect: Effect,
    by: Option<BTreeSet<String>>,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    broke: BTreeSet<String>,
}

impl Cases {
    /// Reads a table; `settings` are those in force, and the file's own go over them.
    ///
    /// # Errors
    /// What is no TOML, names a base that the file does not have, or makes no facts; with the case.
    pub fn parse(text: &str, settings: &Settings) -> Result<Self, BadCases> {
        let file: File = toml::from_str(text).map_err(|error| BadCases(error.to_string()))?;
        let mut names = BTreeSet::new();
        let mut cases = Vec::with_capacity(file.case.len());
        for row in &file.case {
            let named = |error: String| BadCases(format!("case `{}`: {error}", row.name));
            if !names.insert(&row.name) {
                return Err(named("there are two of this name".to_owned()));
            }
            cases.push(file.case(row, settings).map_err(named)?);
        }
        Ok(Self { cases })
    }

    /// The cases, in the order of the file.
    #[must_use]
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Asks `engine` each of them.
    #[must_use]
    pub fn run(&self, engine: &Engine) -> Report {
        let outcome = |case: &Case| {
            let decision = engine.decide(&case.facts, &case.settings);
            Outcome { name: case.name.clone(), differences: case.differences(&decision), decision }
        };
        Report { outcomes: self.cases.iter().map(outcome).collect() }
    }
}

impl File {
    fn case(&self, row: &Row, settings: &Settings) -> Result<Case, String> {
        let base = self.base.get(&row.base).ok_or_else(|| format!("there is no base `{}`", row.base))?;
        let mut facts = base.clone();
        if let Some(Value::String(actor)) = facts.get("actor") {
            let actor = self.actor(&actor.parse()?);
            facts.insert("actor".to_owned(), actor);
        }
        merge(&mut facts, &row.facts);
        let text = |word: &str| Value::String(word.to_owned());
        facts.extend(row.stage.map(|stage| ("stage".to_owned(), text(stage.word()))));
        facts.extend(row.action.map(|action| ("action".to_owned(), text(action.word()))));
        facts.extend(row.actor.as_ref().map(|actor| ("actor".to_owned(), self.actor(actor))));
        if let Some(approved) = &row.approved {
            let held = approved.iter().map(|who| {
                let roles = self.roles(who);
                Value::Table(
                    [("by".to_owned(), text(&who.to_string())), ("roles".to_owned(), roles)].into_iter().collect(),
                )
            });
            let held = Table::from_iter([("held".to_owned(), Value::Array(held.collect()))]);
            merge(&mut facts, &Table::from_iter([("approvals".to_owned(), Value::Table(held))]));
        }
        let mut over = Table::try_from(settings).map_err(|error| error.to_string())?;
        merge(&mut over, &self.settings);
        merge(&mut over, &row.settings);
        Ok(Case {
            name: row.name.clone(),
            facts: facts.try_into().map_err(|error: toml::de::Error| format!("facts: {}", error.message()))?,
            settings: over.try_into().map_err(|error: toml::de::Error| format!("settings: {}", error.message()))?,
            expect: row.expect,
            by: row.by.clone(),
            missing: row.missing.clone(),
            broke: row.broke.clone(),
        })
    }

    fn roles(&self, who: &Who) -> Value {
        let roles = match who {
            Who::Person(name) => self.people.get(name).cloned().unwrap_or_default(),
            Who::Machine(_) | Who::Host => BTreeSet::new(),
        };
        Value::Array(roles.into_iter().map(Value::String).collect())
    }

    fn actor(&self, who: &Who) -> Value {
        let text = |word: &str| Value::String(word.to_owned());
        let pairs = match who {
            Who::Person(name) => vec![("kind", text("person")), ("name", text(name)), ("roles", self.roles(who))],
            Who::Machine(name) => vec![("kind", text("machine")), ("name", text(name))],
            Who::Host => vec![("kind", text("host"))],
        };
        Value::Table(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

/// Puts `over` into `table`: tables are merged, everything else is replaced.
fn merge(table: &mut Table, over: &Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

impl Case {
    /// Each way in which the answer is not the expected one.
    fn differences(&self, decision: &Decision) -> Vec<String> {
        let mut differences = Vec::new();
        if decision.effect != self.expect {
            differences.push(format!("expected {}, got {}", self.expect, decision.effect));
        }
        let by: BTreeSet<String> = decision.by.iter().cloned().collect();
        if let Some(expected) = self.by.as_ref().filter(|expected| **expected != by) {
            differences.push(format!("expected it by {}, got {}", list(expected), list(&by)));
        }
        let sentences: Vec<String> = decision.missing.iter().map(ToString::to_string).collect();
        for expected in self.missing.iter().filter(|part| !sentences.iter().any(|one| one.contains(*part))) {
            differences.push(format!("expected `{expected}` to be missing, got `{}`", sentences.join("`, `")));
        }
        let broke: BTreeSet<String> = decision.broke.iter().cloned().collect();
        if broke != self.broke {
            differences.push(format!("expected to break {}, got {}", list(&self.broke), list(&broke)));
        }
        differences
    }
}

fn list(ids: &BTreeSet<String>) -> String {
    if ids.is_empty() { "nothing".to_owned() } else { ids.iter().cloned().collect::<Vec<_>>().join(", ") }
}

/// How a table of cases went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One for each case, in the order of the file.
    pub outcomes: Vec<Outcome>,
}

/// How one case went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The case.
    pub name: String,
    /// What was answered.
    pub decision: Decision,
    /// How that differs from what was expected; empty if it does not.
    pub differences: Vec<String>,
}

impl Report {
    /// Whether every answer was the expected one.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.n_failed() == 0
    }

    /// How many were not.
    #[must_use]
    pub fn n_failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| !outcome.differences.is_empty()).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.outcomes {
            let word = if outcome.differences.is_empty() { "ok  " } else { "FAIL" };
            writeln!(f, "{word} {}: {} by {}", outcome.name, outcome.decision.effect, outcome.decision.by.join(", "))?;
            for difference in &outcome.differences {
                writeln!(f, "       {difference}")?;
            }
        }
        write!(f, "{} cases, {} failed", self.outcomes.len(), self.n_failed())
    }
}
