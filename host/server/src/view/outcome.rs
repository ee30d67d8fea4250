//! How an apply, a verification and a rollback ended.

use mendwright_core::code::Code;
use mendwright_core::port::Check;
use mendwright_core::run::State;

use crate::view::cell::ColumnKind;
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, LABEL_WIDTH, Look, pad, safe};
use crate::view::next::{Next, next};
use crate::view::number::{When, count, counted, millis};
use crate::view::run::{ink, state_words};
use mendwright_core::plan::document::Cell;

/// How an apply ended. A drift has a view of its own ([`crate::view::drift`]).
#[derive(Clone, Debug)]
pub struct ApplyResult {
    /// The run's number.
    pub number: u64,
    /// Where it ended.
    pub state: State,
    /// Why, where it did not end well.
    pub code: Option<Code>,
    /// The sentence that goes with the code.
    pub message: String,
    /// How long it took.
    pub elapsed_ms: u64,
    /// What was written, by resource: rows inserted, updated, deleted.
    pub written: Vec<(String, u64, u64, u64)>,
    /// Changes that appeared since and were left for the next plan: `invoices 301`.
    pub left_for_next: Vec<String>,
    /// RFC 3339: until when it can be undone; empty where there is nothing to undo.
    pub undo_until: String,
    /// RFC 3339: now.
    pub now: String,
    /// What to type next.
    pub next: Vec<Next>,
}

/// Changes that are named one by one; the rest is counted.
const NAMED_MAX: usize = 3;

/// The result of `run apply`.
#[must_use]
pub fn apply(look: Look, result: &ApplyResult) -> String {
    let (number, took) = (result.number, millis(result.elapsed_ms));
    let words = state_words(result.state);
    let title = if result.state.is_a_persons() {
        format!("✗ #{number} is {words} after {took}. Only a person can go on.")
    } else if result.state == State::Succeeded {
        format!("✓ #{number} applied in {took}: exactly as planned, and read back.")
    } else if result.state == State::RolledBack {
        format!("↩ #{number} was applied, did not verify, and is undone, after {took}.")
    } else if result.state == State::Verifying {
        format!("● #{number} applied after {took}; not read back yet.")
    } else if result.state == State::Applying {
        format!("● #{number} is being applied; it is not known yet whether the target took it.")
    } else if result.state == State::RollingBack {
        format!("● #{number} was applied, did not verify, and is being undone.")
    } else {
        format!("✗ #{number} {words} after {took}. Nothing was applied.")
    };
    let mut out = look.apart((ink(result.state), &title), (Ink::Dim, result.code.map_or("", Code::text)));
    out.push('\n');
    if !result.message.is_empty() {
        out.push_str(&format!("  {}\n", safe(&result.message)));
    }
    let mut grid = Grid::default().column("", Align::Left, 2).column("", Align::Left, 2);
    for (resource, inserts, updates, deletes) in &result.written {
        let amounts = [(inserts, "inserted"), (updates, "updated"), (deletes, "deleted")];
        let said: Vec<String> =
            amounts.iter().filter(|(n, _)| **n > 0).map(|(n, verb)| format!("{} {verb}", count(**n))).collect();
        let words = if said.is_empty() { "unchanged".to_owned() } else { said.join(", ") };
        grid.row(vec![Item::new(pad(&safe(resource), LABEL_WIDTH - 2)), Item::new(words)]);
    }
    if !grid.is_empty() {
        out.push_str(&grid.render(look, false));
    }
    if !result.left_for_next.is_empty() {
        out.push_str(&look.parts("left", &[left(&result.left_for_next)], ""));
    }
    if !result.undo_until.is_empty() {
        let until = When { at: &result.undo_until, now: &result.now }.to_day();
        out.push_str(&look.parts("undo until", &[until], ""));
    }
    ended(look, out, &result.next)
}

/// `2 changes that appeared since, for the next plan: invoices 301, invoices 302`.
fn left(names: &[String]) -> String {
    let n = u64::try_from(names.len()).unwrap_or(u64::MAX);
    let named: Vec<String> = names.iter().take(NAMED_MAX).map(|name| safe(name)).collect();
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    format!("{} that appeared since, for the next plan: {}{more}", counted(n, "change"), named.join(", "))
}

fn ended(look: Look, mut out: String, hints: &[Next]) -> String {
    if !hints.is_empty() {
        out.push('\n');
        out.push_str(&next(look, hints));
    }
    out
}

/// How a verification ended.
#[derive(Clone, Debug)]
pub struct VerifyResult {
    /// The run's number.
    pub number: u64,
    /// Rows that hold what was written.
    pub rows_held: u64,
    /// Rows that were read back.
    pub rows_read: u64,
    /// Cells that hold something else, the first of them.
    pub differing: Vec<VerifyRow>,
    /// What the component's own `verify` checked.
    pub checks: Vec<Check>,
    /// What to type next.
    pub next: Vec<Next>,
}

/// A cell that does not hold what was written.
#[derive(Clone, Debug)]
pub struct VerifyRow {
    /// The resource.
    pub resource: String,
    /// The key, for people.
    pub key: String,
    /// The column; empty where the whole row is meant.
    pub column: String,
    /// Its kind as documents write it.
    pub kind: String,
    /// What the run wrote; `None` for no row.
    pub wrote: Option<Cell>,
    /// What stands there now; `None` for no row.
    pub now: Option<Cell>,
}

/// The result of `run verify`.
#[must_use]
pub fn verify(look: Look, result: &VerifyResult) -> String {
    let good = result.rows_held == result.rows_read && result.checks.iter().all(|c| c.passed);
    let (mark, ink) = if good { ("✓", Ink::Green) } else { ("✗", Ink::Red) };
    let rows = counted(result.rows_read, "row");
    let title = if result.rows_held == result.rows_read {
        let verb = if result.rows_read == 1 { "it holds" } else { "all hold" };
        format!("{mark} #{}: {rows} read back, {verb} what was written.", result.number)
    } else {
        format!(
            "{mark} #{}: {rows} read back, {} of them hold what was written.",
            result.number,
            count(result.rows_held)
        )
    };
    let mut out = format!("{}\n", look.paint(ink, &title));
    let mut grid = Grid::default()
        .column("row", Align::Left, 2)
        .column("column", Align::Left, 3)
        .column("written", Align::Left, 3)
        .column("now", Align::Left, 3);
    for row in &result.differing {
        let (kind, _) = row.kind.split_once(' ').unwrap_or((&row.kind, ""));
        let kind = ColumnKind { kind: kind.parse().ok(), currency: String::new() };
        let show = |cell: Option<&Cell>| cell.map_or_else(|| Item::inked("no row", Ink::Dim), |c| kind.show(Some(c)));
        grid.row(vec![
            Item::new(format!("{} {}", safe(&row.resource), safe(&row.key))),
            Item::new(safe(&row.column)),
            show(row.wrote.as_ref()),
            show(row.now.as_ref()),
        ]);
    }
    if !grid.is_empty() {
        out.push_str(&grid.render(look, false));
    }
    for check in &result.checks {
        if check.passed {
            out.push_str(&format!("  ✓ {}\n", safe(&check.name)));
        } else {
            let line =
                format!("✗ {}: expected {}, found {}", safe(&check.name), safe(&check.expected), safe(&check.actual));
            out.push_str(&format!("  {}\n", look.paint(Ink::Red, &line)));
        }
    }
    ended(look, out, &result.next)
}

/// How a rollback ended.
#[derive(Clone, Debug)]
pub struct RollbackResult {
    /// The run's number.
    pub number: u64,
    /// Where it ended.
    pub state: State,
    /// Why, where it did not end well.
    pub code: Option<Code>,
    /// The sentence that goes with the code.
    pub message: String,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Rows that are as they were before the run.
    pub restored: u64,
    /// Rows left as they are, because somebody changed them since: `invoices 12`.
    pub left: Vec<String>,
    /// What to type next.
    pub next: Vec<Next>,
}

/// The result of `undo` and `run rollback`.
#[must_use]
pub fn rollback(look: Look, result: &RollbackResult) -> String {
    let took = millis(result.elapsed_ms);
    let (title, ink) = if result.state == State::RolledBack {
        let rows = counted(result.restored, "row");
        let (are, they) = if result.restored == 1 { ("is", "it was") } else { ("are", "they were") };
        (format!("✓ #{} undone in {took}: {rows} {are} as {they} before.", result.number), Ink::Green)
    } else if result.state == State::Succeeded {
        // The undo of an undo.
        (format!("✓ #{} is applied again, after {took}.", result.number), Ink::Green)
    } else {
        (format!("✗ #{} is not undone: it is {} after {took}.", result.number, state_words(result.state)), Ink::Red)
    };
    let mut out = look.apart((ink, &title), (Ink::Dim, result.code.map_or("", Code::text)));
    out.push('\n');
    if !result.message.is_empty() {
        out.push_str(&format!("  {}\n", safe(&result.message)));
    }
    if !result.left.is_empty() {
        let n = u64::try_from(result.left.len()).unwrap_or(u64::MAX);
        let named: Vec<String> = result.left.iter().take(NAMED_MAX).map(|name| safe(name)).collect();
        let more = if result.left.len() > NAMED_MAX { ", …" } else { "" };
        let line = format!("{} left as now, changed since: {}{more}", counted(n, "row"), named.join(", "));
        out.push_str(&format!("  {} {line}\n", look.paint(Ink::Yellow, "⚡")));
    }
    ended(look, out, &result.next)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::view::sample::plain;

    fn applied(state: State) -> ApplyResult {
        ApplyResult {
            number: 1042,
            state,
            code: None,
            message: String::new(),
            elapsed_ms: 14,
            written: vec![("invoices".into(), 0, 6, 0), ("invoice_lines".into(), 2, 0, 1_200)],
            left_for_next: (301..308).map(|n| format!("invoices {n}")).collect(),
            undo_until: "2026-12-20T03:12:09Z".into(),
            now: "2026-11-20T03:20:00Z".into(),
            next: vec![Next::new("mendwright undo 1042", "shows what an undo would restore")],
        }
    }

    #[test]
    fn an_apply_says_what_it_wrote_and_until_when_it_can_be_undone() {
        assert_snapshot!("applied", apply(Look::PLAIN, &applied(State::Succeeded)));
        let violated = ApplyResult {
            code: Some(Code::ConstraintViolated),
            message: "constraint `invoice_total_check` forbids the change of invoices 6".into(),
            written: Vec::new(),
            left_for_next: Vec::new(),
            undo_until: String::new(),
            next: vec![Next::new("mendwright explain ERR_CONSTRAINT_VIOLATED", "")],
            ..applied(State::Violated)
        };
        assert_snapshot!("violated", apply(Look::PLAIN, &violated));
    }

    #[test]
    fn no_state_promises_what_did_not_happen() {
        let titles: Vec<String> =
            State::ALL.iter().map(|s| apply(Look::PLAIN, &applied(*s)).lines().next().unwrap().to_owned()).collect();
        assert_snapshot!(titles.join("\n"));
    }

    #[test]
    fn a_verification_shows_what_differs() {
        let good = VerifyResult {
            number: 1042,
            rows_held: 6,
            rows_read: 6,
            differing: Vec::new(),
            checks: vec![Check { name: "totals agree".into(), passed: true, expected: "0".into(), actual: "0".into() }],
            next: Vec::new(),
        };
        assert_snapshot!("good", verify(Look::PLAIN, &good));
        let row = |key: &str, now| VerifyRow {
            resource: "invoices".into(),
            key: key.into(),
            column: "total".into(),
            kind: "decimal(10,2) USD".into(),
            wrote: Some(plain("13.86")),
            now,
        };
        let bad = VerifyResult {
            rows_held: 4,
            differing: vec![row("12", Some(plain("15"))), row("127", None)],
            checks: vec![Check {
                name: "totals agree".into(),
                passed: false,
                expected: "0".into(),
                actual: "1".into(),
            }],
            ..good
        };
        assert_snapshot!("bad", verify(Look::PLAIN, &bad));
    }

    #[test]
    fn a_rollback_names_what_it_left() {
        let result = RollbackResult {
            number: 1043,
            state: State::RolledBack,
            code: None,
            message: String::new(),
            elapsed_ms: 5,
            restored: 5,
            left: vec!["invoices 12".into()],
            next: vec![Next::new("mendwright run show 1043", "")],
        };
        assert_snapshot!("undone", rollback(Look::PLAIN, &result));
        let stuck = RollbackResult {
            state: State::Stuck,
            code: Some(Code::ConstraintViolated),
            message: "a constraint forbids the restore of invoices 6".into(),
            left: Vec::new(),
            ..result
        };
        assert_snapshot!("stuck", rollback(Look::PLAIN, &stuck));
    }
}
