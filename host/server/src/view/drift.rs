//! Where the world, or the job, is no longer as the plan says.

use std::collections::BTreeMap;

use mendwright_core::code::Code;
use mendwright_core::compare::{Comparison, Difference, What};
use mendwright_core::plan::document::ResourceSummary;

use crate::view::cell::ColumnKind;
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::{When, count, counted, millis};

/// A run that drifted.
#[derive(Clone, Copy, Debug)]
pub struct Drift<'a> {
    /// The run's number.
    pub number: u64,
    /// RFC 3339: when it was planned.
    pub planned_at: &'a str,
    /// RFC 3339: now; empty for the day of the plan.
    pub now: &'a str,
    /// How long the host looked.
    pub elapsed_ms: u64,
    /// How now compares with the plan.
    pub comparison: &'a Comparison,
    /// The plan's resources: key columns and kinds.
    pub resources: &'a [ResourceSummary],
    /// What to type next; a new plan where empty.
    pub next: &'a [Next],
}

/// The three-value table: column, when planned, now.
#[must_use]
pub fn drift(look: Look, drift: &Drift<'_>) -> String {
    let title = format!("✗ #{} drifted after {}. Nothing was applied.", drift.number, millis(drift.elapsed_ms));
    let mut out = look.apart((Ink::Red, &title), (Ink::Dim, Code::PlanDrifted.text()));
    out.push('\n');
    let comparison = drift.comparison;
    let since = When { at: drift.planned_at, now: if drift.now.is_empty() { drift.planned_at } else { drift.now } };
    let since = since.to_second().trim_end_matches(" UTC").to_owned();
    let words = Words { planned: "when planned", now: "now", changed: format!("somebody changed it since {since}") };
    out.push_str(&differences(look, &comparison.differences, drift.resources, &words));
    let planned = comparison.held + comparison.broken;
    out.push_str(&unlisted(comparison));
    let held = match comparison.held {
        0 => "  None".to_owned(),
        n => format!("  {}", count(n)),
    };
    let verb = if comparison.held == 1 { "holds" } else { "hold" };
    out.push_str(&format!("{held} of {} still {verb}.\n", counted(planned, "change")));
    if comparison.new > 0 {
        let was = if comparison.new == 1 { "was" } else { "were" };
        out.push_str(&format!("  {} {was} not in the plan.\n", counted(comparison.new, "change")));
    }
    out.push('\n');
    let again = format!("mendwright run plan --again {}", drift.number);
    let usual = [Next::new(again, "a new plan, shown as the difference to this one")];
    out.push_str(&next(look, if drift.next.is_empty() { &usual } else { drift.next }));
    out
}

/// The headers and the sentence that two plans are compared with.
pub(super) struct Words<'a> {
    pub(super) planned: &'a str,
    pub(super) now: &'a str,
    pub(super) changed: String,
}

/// One line for each difference.
pub(super) fn differences(
    look: Look,
    differences: &[Difference],
    resources: &[ResourceSummary],
    words: &Words<'_>,
) -> String {
    let by_name: BTreeMap<&str, &ResourceSummary> = resources.iter().map(|r| (r.name.as_str(), r)).collect();
    let several = differences.iter().any(|d| differences.first().is_some_and(|first| first.resource != d.resource));
    let first = differences.first().and_then(|d| by_name.get(d.resource.as_str()));
    let key = match first {
        Some(resource) if !several => resource.key.iter().map(|k| safe(k)).collect::<Vec<_>>().join("/"),
        _ => "key".to_owned(),
    };
    let numeric = !several
        && first.is_some_and(|r| match r.key.as_slice() {
            [one] => ColumnKind::of(&r.columns, one).is_number(),
            _ => false,
        });
    let mut grid = Grid::default().column("", Align::Left, 2);
    if several {
        grid = grid.column("resource", Align::Left, 2);
    }
    grid = grid
        .column(key, if numeric { Align::Right } else { Align::Left }, 2)
        .column("column", Align::Left, 5)
        .column(words.planned, Align::Left, 3)
        .column(words.now, Align::Left, 3)
        .column("", Align::Left, 5);
    for difference in differences {
        let kind = by_name
            .get(difference.resource.as_str())
            .map(|r| ColumnKind::of(&r.columns, &difference.column))
            .unwrap_or_default();
        let (sign, ink, why) = said(difference.what, words);
        let mut items = vec![Item::inked(sign, ink)];
        if several {
            items.push(Item::new(safe(&difference.resource)));
        }
        items.extend([
            Item::new(safe(&difference.key)),
            Item::new(safe(&difference.column)),
            kind.show_bound(difference.planned.as_ref()),
            kind.show_bound(difference.now.as_ref()),
            Item::new(why),
        ]);
        grid.row(items);
    }
    if grid.is_empty() { String::new() } else { grid.render(look, false) }
}

fn said(what: What, words: &Words<'_>) -> (&'static str, Ink, String) {
    match what {
        What::Before => ("~", Ink::Yellow, words.changed.clone()),
        What::After => ("~", Ink::Yellow, "the job wants another value".to_owned()),
        What::Action => ("~", Ink::Yellow, "the job does something else to the row".to_owned()),
        What::Missing => ("-", Ink::Red, "the job no longer wants this change".to_owned()),
        What::New => ("+", Ink::Green, "the job wants this change too".to_owned()),
    }
}

/// Differences beyond those that were kept.
pub(super) fn unlisted(comparison: &Comparison) -> String {
    let listed = u64::try_from(comparison.differences.len()).unwrap_or(u64::MAX);
    if listed >= u64::try_from(mendwright_core::compare::DIFFERENCES_MAX).unwrap_or(u64::MAX) {
        format!("  … the first {} differences\n", count(listed))
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use mendwright_core::commitment::{Bound, Commitment};
    use mendwright_core::value::Value;

    use super::*;
    use crate::view::sample::document;

    fn decimal(text: &str) -> Option<Bound> {
        Some(Bound::Shown(Value::Decimal(text.parse().unwrap())))
    }

    fn difference(
        resource: &str,
        key: &str,
        column: &str,
        planned: Option<Bound>,
        now: Option<Bound>,
        what: What,
    ) -> Difference {
        Difference { resource: resource.into(), key: key.into(), column: column.into(), planned, now, what }
    }

    fn show(comparison: &Comparison, now: &str) -> String {
        let resources = document().resources;
        let shown = Drift {
            number: 1042,
            planned_at: "2026-11-20T03:12:09.000000Z",
            now,
            elapsed_ms: 4,
            comparison,
            resources: &resources,
            next: &[],
        };
        drift(Look::PLAIN, &shown)
    }

    #[test]
    fn the_drift_of_the_examples_looks_as_it_does_there() {
        let one = difference("invoices", "52", "total", decimal("5.94"), decimal("6.93"), What::Before);
        let comparison = Comparison { held: 5, broken: 1, new: 0, differences: vec![one] };
        assert_snapshot!(show(&comparison, ""));
    }

    #[test]
    fn every_way_to_drift_is_told_apart() {
        let masked = |byte| Some(Bound::Masked(Commitment([byte; 32])));
        let text = |t: &str| Some(Bound::Shown(Value::Text(t.into())));
        let differences = vec![
            difference("invoice_lines", "7", "note", text("a\u{202e}b"), Some(Bound::Shown(Value::Null)), What::Before),
            difference("invoices", "6", "", None, None, What::Missing),
            difference("invoices", "12", "total", decimal("13.86"), decimal("15"), What::After),
            difference("invoices", "127", "iban", masked(0xab), masked(0x77), What::Before),
            difference("invoices", "200", "", None, None, What::New),
            difference("invoices", "300", "", None, None, What::Action),
        ];
        let comparison = Comparison { held: 1, broken: 5, new: 1, differences };
        assert_snapshot!(show(&comparison, "2026-11-21T08:00:00Z"));
    }
}
