//! What a plan left for people, what it amounts to, and what an approval means.

use std::collections::BTreeMap;

use mendwright_core::budget::Metric;
use mendwright_core::level::Level;
use mendwright_core::plan::document::{Document, FindingRecord, Rehearsal};
use mendwright_core::port::Severity;

use crate::view::cell::key_text;
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, LABEL_WIDTH, Look, pad, safe};
use crate::view::next::Next;
use crate::view::number::{When, count, counted, fuel, millis, parse};
use crate::view::plan::{Plan, Policy, ROWS_MAX};

/// Hex digits of a digest that a person types to confirm.
const CONFIRM_DIGITS: usize = 16;

/// What the job left for a person.
pub(super) fn findings(look: Look, document: &Document, full: bool) -> String {
    if document.findings.is_empty() {
        return String::new();
    }
    let n = u64::try_from(document.findings.len()).unwrap_or(u64::MAX);
    let title = format!("{}, left for a person", counted(n, "finding"));
    let explain = format!("mendwright job explain {}", safe(&document.header.job.name));
    let mut out = look.apart((Ink::Bold, &title), (Ink::Cyan, &explain));
    out.push('\n');
    let mut grid = Grid::default()
        .column("", Align::Left, 2)
        .column("", Align::Left, 1)
        .column("", Align::Left, 2)
        .column("", Align::Left, 3);
    let shown = if full { usize::MAX } else { ROWS_MAX };
    for finding in document.findings.iter().take(shown) {
        let (sign, ink) = match finding.severity {
            Severity::Error => ("!", Ink::Red),
            Severity::Warning => ("▲", Ink::Yellow),
            Severity::Info => ("i", Ink::Dim),
        };
        grid.row(vec![
            Item::inked(sign, ink),
            Item::new(place(finding, document)),
            Item::new(safe(&finding.code)),
            Item::new(safe(&finding.message)),
        ]);
    }
    out.push_str(&grid.render(look, false));
    if document.findings.len() > shown {
        let more = n.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
        out.push_str(&format!("  … {} more: --full\n", count(more)));
    }
    out
}

/// `invoices 321`.
fn place(finding: &FindingRecord, document: &Document) -> String {
    let order = document.resources.iter().find(|r| r.name == finding.resource).map(|r| r.key.as_slice());
    let key = key_text(&finding.key, order.unwrap_or_default());
    let resource = safe(&finding.resource);
    if key.is_empty() { resource } else { format!("{resource} {key}") }
}

/// Invariants that did not hold.
pub(super) fn failed_checks(look: Look, document: &Document) -> String {
    let mut out = String::new();
    for check in document.checks.iter().filter(|c| !c.passed) {
        let title = format!("✗ {}", safe(&check.name));
        out.push_str(&format!("{}\n", look.paint(Ink::Red, &title)));
        out.push_str(&format!("    expected {}, found {}\n", safe(&check.expected), safe(&check.actual)));
    }
    out
}

/// `Plan: 0 to insert, 6 to update, 0 to delete.` and what stands below it.
pub(super) fn amounts(look: Look, plan: &Plan<'_>) -> String {
    let document = plan.document;
    let sum = |of: fn(&mendwright_core::plan::document::ResourceSummary) -> &String| {
        count(document.resources.iter().map(|r| parse(of(r))).sum())
    };
    let line = format!(
        "Plan: {} to insert, {} to update, {} to delete.",
        sum(|r| &r.inserts),
        sum(|r| &r.updates),
        sum(|r| &r.deletes)
    );
    let mut out = format!("{}\n", look.paint(Ink::Bold, &line));
    if !document.summary.trim().is_empty() {
        out.push_str(&look.parts("the job says", &[safe(document.summary.trim())], " · "));
    }
    out.push_str(&level(look, document));
    out.push_str(&look.parts("rehearsed", &rehearsed(look, &document.rehearsal, plan.now()), " · "));
    let cost = cost(document);
    if !cost.is_empty() {
        out.push_str(&look.parts("cost", &cost, " · "));
    }
    if !document.checks.is_empty() {
        let held = document.checks.iter().filter(|c| c.passed).count();
        out.push_str(&look.parts("checks", &[format!("{held} of {} hold", document.checks.len())], " · "));
    }
    out.push_str(&policy(look, plan));
    out.push_str(&valid(look, plan));
    out.push_str(&look.parts("digest", &[digest(&document.digest.hex())], " · "));
    out
}

fn level(look: Look, document: &Document) -> String {
    let because: Vec<String> = document.because.iter().map(|b| safe(&b.to_string())).collect();
    let level = document.header.outcome.level;
    let mut parts = vec![format!("{level}: {}", because.first().map_or("", String::as_str))];
    parts.extend(because.into_iter().skip(1));
    look.parts("level", &parts, "; ")
}

/// `flushed and restored in one transaction, back at the start · no trigger, no cascade · undo until 20 Dec`.
fn rehearsed(look: Look, rehearsal: &Rehearsal, now: &str) -> Vec<String> {
    let detail = safe(&rehearsal.detail);
    let mut parts = Vec::new();
    match rehearsal.passed {
        Some(true) => {
            parts.push("flushed and restored in one transaction, back at the start".to_owned());
            if !detail.is_empty() {
                parts.push(detail);
            }
        }
        Some(false) => {
            let why = if detail.is_empty() { "it did not arrive where it began".to_owned() } else { detail };
            parts.push(format!("{} {why}", look.paint(Ink::Red, "✗ failed:")));
        }
        None => {
            let why = if detail.is_empty() { String::new() } else { format!(": {detail}") };
            parts.push(format!("{}{why}", look.paint(Ink::Yellow, "not rehearsed")));
        }
    }
    let listed = |what: &str, names: &[String]| match names {
        [] => format!("no {what}"),
        [one] => format!("{what} {}", safe(one)),
        several => format!("{what}s {}", several.iter().map(|n| safe(n)).collect::<Vec<_>>().join(", ")),
    };
    if rehearsal.passed.is_some() || !rehearsal.triggers.is_empty() || !rehearsal.cascades.is_empty() {
        parts.push(format!("{}, {}", listed("trigger", &rehearsal.triggers), listed("cascade", &rehearsal.cascades)));
    }
    if !rehearsal.undo_until.is_empty() {
        parts.push(format!("undo until {}", When { at: &rehearsal.undo_until, now }.to_day()));
    }
    parts
}

/// `0.6 M of 2,000 M fuel · 180 of 2,000,000 rows · 3 ms`.
fn cost(document: &Document) -> Vec<String> {
    let measured: &BTreeMap<String, String> = &document.measured;
    let used = |metric: Metric| measured.get(metric.word()).map(|text| parse(text));
    let budget = &document.header.budget;
    let mut parts = Vec::new();
    if let Some(n) = used(Metric::Fuel) {
        parts.push(format!("{} of {} fuel", fuel(n), fuel(budget.limit(Metric::Fuel))));
    }
    if let Some(n) = used(Metric::RowsRead) {
        parts.push(format!("{} of {} rows", count(n), count(budget.limit(Metric::RowsRead))));
    }
    if let Some(n) = used(Metric::WallTime).or_else(|| measured.get("wall_ms").map(|text| parse(text))) {
        parts.push(millis(n));
    }
    parts
}

fn policy(look: Look, plan: &Plan<'_>) -> String {
    let usual;
    let policy = match plan.policy {
        Some(policy) => policy,
        None => {
            usual = usual_policy(plan.document);
            &usual
        }
    };
    let left = format!("  {}{}", pad("policy", LABEL_WIDTH), safe(&policy.text));
    let by = if policy.by.is_empty() { String::new() } else { format!("[{}]", safe(&policy.by.join(", "))) };
    format!("{}\n", look.apart((Ink::Plain, &left), (Ink::Dim, &by)))
}

fn usual_policy(document: &Document) -> Policy {
    let (text, by) = match document.header.outcome.level {
        Level::Assisted => ("a person applies it, and types its digest to confirm", "builtin:level-3-needs-people"),
        Level::Governed => ("applied after its rehearsal", "builtin:level-2-is-rehearsed"),
        Level::Auto => ("may be applied by itself", "builtin:level-1"),
    };
    Policy { text: text.to_owned(), by: vec![by.to_owned()] }
}

fn valid(look: Look, plan: &Plan<'_>) -> String {
    let until = When { at: &plan.document.expires_at, now: plan.now() }.to_minute();
    let header = &plan.document.header;
    let all = match (header.independent, header.stable_reads.is_empty()) {
        (true, true) => "or until one of these values changes",
        (false, true) => "or until one of these values changes or the job wants another change",
        (_, false) => "or until one of these values or a row that it read changes",
    };
    look.parts("valid until", &[format!("{until}, {all}")], " · ")
}

/// `b8e96a74 49776ac9 b2801655 …`: groups that can be read aloud.
fn digest(hex: &str) -> String {
    let groups: Vec<&str> = (0..3).filter_map(|i| hex.get(i * 8..i * 8 + 8)).collect();
    format!("{} …", groups.join(" "))
}

/// What to type next where the caller knows nothing better.
pub(super) fn usual_next(plan: &Plan<'_>) -> Vec<Next> {
    let number = plan.document.number;
    let hex = plan.document.digest.hex();
    let confirm = hex.get(..CONFIRM_DIGITS).unwrap_or(&hex);
    let apply = format!("mendwright run apply {number} --confirm {confirm}");
    let only = plan.changes.first().and_then(|change| {
        let order = plan.document.resources.iter().find(|r| r.name == change.resource).map(|r| r.key.as_slice());
        let key = key_text(&change.key, order.unwrap_or_default());
        is_plain_word(&key).then(|| format!(" | --only {}/{key}", change.resource))
    });
    vec![
        Next::new(apply, "applies exactly this"),
        Next::new(format!("mendwright run show {number} --full | --sql | --json{}", only.unwrap_or_default()), ""),
    ]
}

/// Whether a shell takes this as one word and nothing else. A key is data: it must not become a command
/// when somebody copies the hint.
fn is_plain_word(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | ':' | '@' | '-'))
}
