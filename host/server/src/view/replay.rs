//! A dry run that was played again: in what it is the same, and in what not.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::change::Action;
use mendwright_core::code::Code;
use mendwright_core::plan::document::Cell;
use mendwright_core::value::Value;
use mendwright_sandbox::recording::{Ending, Found, Recorded, Replayed, Wish};
use serde::Serialize;

use crate::view::look::{Ink, Look, safe};
use crate::view::number::{count, counted};

/// Differences that are shown for each part; a script gets all of them.
const SHOWN_MAX: usize = 20;

/// What stands for a sensitive value.
const MASKED: &str = "••••";

/// A replay against its recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Whether it is the same: for the component that was recorded everything, to the last bit; for
    /// another one the ending, the changes, the findings and the checks.
    pub same: bool,
    /// The job's name and version as recorded.
    pub job: String,
    /// Whose data.
    pub tenant: String,
    /// RFC 3339: the run's frozen time.
    pub recorded_at: String,
    /// The component that was recorded: its SHA-256.
    pub component_then: String,
    /// The component that was played.
    pub component_now: String,
    /// The first call that was not the recorded one.
    pub diverged: Option<String>,
    /// Part by part.
    pub parts: Vec<Part>,
    /// Rows that the job now wants to be otherwise.
    pub changes: Vec<ChangeDifference>,
    /// Findings that there were and are not, and the other way round.
    pub findings: Vec<FindingDifference>,
}

/// One part of what a dry run comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// Whether it is the same.
    pub same: bool,
    /// Whether a difference makes the whole replay another one.
    pub counts: bool,
    /// As recorded: a number or a word.
    pub then: String,
    /// As played.
    pub now: String,
}

/// A row that was or is to be changed otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeDifference {
    /// The table, by the job's name.
    pub table: String,
    /// The key.
    pub key: Vec<Cell>,
    /// As recorded.
    pub then: Option<Wanted>,
    /// As played.
    pub now: Option<Wanted>,
}

/// What a job wants of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// What shall happen to it.
    pub action: Action,
    /// Columns and what they shall be.
    pub cells: BTreeMap<String, Cell>,
}

/// A finding that only one of both has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FindingDifference {
    /// Whether it is only in the recording; else only in what was played.
    pub only_then: bool,
    /// Its code.
    pub code: String,
    /// The table, by the job's name.
    pub table: String,
    /// The row.
    pub key: Vec<Cell>,
    /// Its sentence; empty where words are masked.
    pub message: String,
}

/// Compares. `component_now` is the SHA-256 of what was played, `recorded_at` the run's time.
#[must_use]
pub fn compare(recorded: &Recorded, replayed: &Replayed, component_now: &str, recorded_at: String) -> Replay {
    let mask = Mask(recorded);
    let (then, now) = (&recorded.run.outcome, &replayed.outcome);
    let exact = replayed.same_component;
    let changes = mask.changes(&then.changes, &now.changes, exact);
    let findings = mask.findings(&then.findings, &now.findings, exact);
    let part = |name, counts: bool, same: bool, a: String, b: String| Part { name, same, counts, then: a, now: b };
    let n = |n: usize| n.to_string();
    let same_end = if exact { then.ended == now.ended } else { word(&then.ended) == word(&now.ended) };
    let parts = vec![
        part("ending", true, same_end, word(&then.ended), word(&now.ended)),
        part("changes", true, changes.is_empty(), n(then.changes.len()), n(now.changes.len())),
        part("findings", true, findings.is_empty(), n(then.findings.len()), n(now.findings.len())),
        part("checks", true, then.checks == now.checks, n(then.checks.len()), n(now.checks.len())),
        part("log", exact, then.log == now.log, n(then.log.len()), n(now.log.len())),
        part(
            "calls",
            exact,
            then.host_calls == now.host_calls,
            then.host_calls.to_string(),
            now.host_calls.to_string(),
        ),
        part("fuel", exact, then.fuel == now.fuel, then.fuel.to_string(), now.fuel.to_string()),
        part(
            "memory",
            exact,
            then.memory_peak == now.memory_peak,
            then.memory_peak.to_string(),
            now.memory_peak.to_string(),
        ),
    ];
    let identity = &recorded.header.identity;
    Replay {
        same: parts.iter().all(|part| part.same || !part.counts) && (!exact || replayed.diverged.is_none()),
        job: format!("{} {}", identity.job, identity.version),
        tenant: identity.tenant.clone(),
        recorded_at,
        component_then: recorded.header.component.clone(),
        component_now: component_now.to_owned(),
        diverged: diverged(recorded, replayed),
        parts,
        changes,
        findings,
    }
}

/// What made it another run: what the component missed in the recording, or its first other call.
fn diverged(recorded: &Recorded, replayed: &Replayed) -> Option<String> {
    let missed = match &replayed.outcome.ended {
        Ending::Refused(refusal) if refusal.code == Code::ReplayDiverged && !recorded.run.words_masked => Some(refusal),
        Ending::Refused(_) | Ending::Summary(_) | Ending::Trap(_) | Ending::Failure { .. } => None,
    };
    missed.or(replayed.diverged.as_ref()).map(|refusal| refusal.message.clone())
}

/// How it ended, without the job's words.
fn word(ending: &Ending) -> String {
    match ending {
        Ending::Summary(_) => "returned".to_owned(),
        Ending::Trap(_) => "died".to_owned(),
        Ending::Refused(refusal) => refusal.code.to_string(),
        Ending::Failure { .. } => "failed".to_owned(),
    }
}

/// What of a recording may be shown.
struct Mask<'a>(&'a Recorded);

impl Mask<'_> {
    fn cell(&self, table: &str, column: &str, tagged: &str) -> Cell {
        if self.0.run.sensitive.get(table).is_some_and(|columns| columns.contains(column)) {
            hidden()
        } else {
            cell(tagged)
        }
    }

    /// A table's name. In a run whose words are masked, what is no table is one more word.
    fn table(&self, table: &str) -> String {
        let is_word = self.0.run.words_masked && !self.0.run.tables.contains(table);
        if is_word { MASKED.to_owned() } else { table.to_owned() }
    }

    /// A key. In a run whose words are masked only numbers are surely no words.
    fn key(&self, table: &str, key: &[String]) -> Vec<Cell> {
        let run = &self.0.run;
        let is_hidden = run.sensitive_keys.contains(table) || (run.words_masked && !run.tables.contains(table));
        let is_word = |tagged: &str| run.words_masked && !tagged.starts_with("i:");
        key.iter().map(|tagged| if is_hidden || is_word(tagged) { hidden() } else { cell(tagged) }).collect()
    }

    fn changes(&self, then: &[Wish], now: &[Wish], exact: bool) -> Vec<ChangeDifference> {
        let by_row = |wishes: &[Wish]| -> BTreeMap<(String, Vec<String>), Wish> {
            wishes.iter().map(|wish| ((wish.table.clone(), wish.key.clone()), wish.clone())).collect()
        };
        let (then, now) = (by_row(then), by_row(now));
        let rows: BTreeSet<_> = then.keys().chain(now.keys()).collect();
        let same = |a: &Wish, b: &Wish| a.action == b.action && a.cells == b.cells && (!exact || a.reason == b.reason);
        let differs = rows.into_iter().filter(|row| match (then.get(*row), now.get(*row)) {
            (Some(then), Some(now)) => !same(then, now),
            _ => true,
        });
        let wanted = |wish: &Wish| Wanted {
            action: wish.action,
            cells: wish.cells.iter().map(|(c, v)| (c.clone(), self.cell(&wish.table, c, v))).collect(),
        };
        differs
            .map(|row| ChangeDifference {
                table: self.table(&row.0),
                key: self.key(&row.0, &row.1),
                then: then.get(row).map(wanted),
                now: now.get(row).map(wanted),
            })
            .collect()
    }

    fn findings(&self, then: &[Found], now: &[Found], exact: bool) -> Vec<FindingDifference> {
        let same = |a: &Found, b: &Found| {
            let place = (&a.code, a.severity, &a.table, &a.key) == (&b.code, b.severity, &b.table, &b.key);
            place && (!exact || a.message == b.message)
        };
        let only = |of: &[Found], other: &[Found], only_then: bool| -> Vec<FindingDifference> {
            let missing = of.iter().filter(|found| !other.iter().any(|other| same(found, other)));
            let told = missing.map(|found| FindingDifference {
                only_then,
                code: found.code.clone(),
                table: self.table(&found.table),
                key: self.key(&found.table, &found.key),
                message: if self.0.run.words_masked { String::new() } else { found.message.clone() },
            });
            told.collect()
        };
        [only(then, now, true), only(now, then, false)].concat()
    }
}

fn hidden() -> Cell {
    Cell::Masked { masked: String::new() }
}

fn cell(tagged: &str) -> Cell {
    Value::from_tagged(tagged).map_or_else(hidden, |value| Cell::from(&value))
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Plain(Some(text)) => safe(text),
        Cell::Plain(None) => "NULL".to_owned(),
        Cell::Masked { .. } => MASKED.to_owned(),
    }
}

/// The replay for a person.
#[must_use]
pub fn replay(look: Look, replay: &Replay) -> String {
    let head = format!("{} · tenant {} · recorded {}", safe(&replay.job), safe(&replay.tenant), replay.recorded_at);
    let short = |sha256: &str| sha256.get(..12).unwrap_or(sha256).to_owned();
    let (then, now) = (short(&replay.component_then), short(&replay.component_now));
    let with = if then == now {
        format!("Played offline with the component that was recorded, {then}.")
    } else {
        format!("Played offline with component {now}; recorded was {then}.")
    };
    let mut out = format!("{}\n{with}\n\n", look.paint(Ink::Bold, &head));
    for part in &replay.parts {
        let (mark, ink) = match (part.same, part.counts) {
            (true, _) => ("✓", Ink::Green),
            (false, true) => ("✗", Ink::Red),
            (false, false) => ("·", Ink::Dim),
        };
        let shown = |text: &str| text.parse::<u64>().map_or_else(|_| text.to_owned(), count);
        let said = if part.same {
            format!("{}, the same", shown(&part.then))
        } else if part.then == part.now {
            format!("{}, not the same", shown(&part.then))
        } else {
            format!("{} then, {} now", shown(&part.then), shown(&part.now))
        };
        out.push_str(&format!("  {} {:<9} {said}\n", look.paint(ink, mark), part.name));
    }
    out.push_str(&differences(replay));
    if let Some(diverged) = &replay.diverged {
        out.push_str(&format!("\n  {}\n", safe(diverged)));
    }
    let verdict = match (replay.same, then == now) {
        (true, true) => "The same, to the last bit.",
        (true, false) => "The same changes, findings and checks.",
        (false, _) => "Not the same.",
    };
    out.push_str(&format!("\n{}\n", look.paint(Ink::Bold, verdict)));
    out
}

fn differences(replay: &Replay) -> String {
    let mut out = String::new();
    let key = |key: &[Cell]| key.iter().map(text).collect::<Vec<_>>().join("/");
    let wanted = |wanted: &Option<Wanted>| match wanted {
        None => "nothing".to_owned(),
        Some(Wanted { action, cells }) => {
            let cells: Vec<String> = cells.iter().map(|(column, cell)| format!("{column} = {}", text(cell))).collect();
            format!("{action} {}", cells.join(", ")).trim_end().to_owned()
        }
    };
    for change in replay.changes.iter().take(SHOWN_MAX) {
        let place = format!("{} {}", safe(&change.table), key(&change.key));
        out.push_str(&format!("  ~ {place}   then {} · now {}\n", wanted(&change.then), wanted(&change.now)));
    }
    for finding in replay.findings.iter().take(SHOWN_MAX) {
        let when = if finding.only_then { "then" } else { "now" };
        let place = format!("{} {}", safe(&finding.table), key(&finding.key));
        out.push_str(&format!("  ! {place}   {} only {when}   {}\n", safe(&finding.code), safe(&finding.message)));
    }
    let left = [replay.changes.len(), replay.findings.len()].map(|n| n.saturating_sub(SHOWN_MAX)).iter().sum::<usize>();
    if left > 0 {
        let n = counted(u64::try_from(left).unwrap_or(u64::MAX), "difference");
        out.push_str(&format!("  … {n} more: --json\n"));
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}
