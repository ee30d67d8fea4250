//! A new plan, shown as the difference to the one that drifted or expired.

use mendwright_core::compare::Comparison;
use mendwright_core::plan::document::ResourceSummary;

use crate::view::drift::{Words, differences, unlisted};
use crate::view::look::{Ink, Look};
use crate::view::next::{Next, next};
use crate::view::number::count;

/// A plan against the one before it.
#[derive(Clone, Copy, Debug)]
pub struct PlanDifference<'a> {
    /// The number of the old run.
    pub old: u64,
    /// The number of the new one.
    pub new: u64,
    /// The old plan as planned, the new one as now.
    pub comparison: &'a Comparison,
    /// The new plan's resources: key columns and kinds.
    pub resources: &'a [ResourceSummary],
    /// What to type next.
    pub next: &'a [Next],
}

/// `#1043 is #1042 again: 5 changes are the same, 1 is not, 2 are new.` and the differences.
#[must_use]
pub fn plan_difference(look: Look, difference: &PlanDifference<'_>) -> String {
    let PlanDifference { old, new, comparison, .. } = difference;
    let title = if comparison.holds(false) {
        let same = match comparison.held {
            1 => "its change is the same".to_owned(),
            n => format!("all {} changes are the same", count(n)),
        };
        format!("#{new} is #{old} again: {same}.")
    } else {
        let parts = [
            (comparison.held, "is the same", "are the same"),
            (comparison.broken, "is not", "are not"),
            (comparison.new, "is new", "are new"),
        ];
        let said: Vec<String> = parts
            .into_iter()
            .enumerate()
            .filter(|(_, (n, _, _))| *n > 0)
            .map(|(i, (n, one, many))| {
                let noun = match (i, n) {
                    (0, 1) => " change",
                    (0, _) => " changes",
                    _ => "",
                };
                format!("{}{noun} {}", count(n), if n == 1 { one } else { many })
            })
            .collect();
        format!("#{new} is #{old} again: {}.", said.join(", "))
    };
    let mut out = format!("{}\n", look.paint(Ink::Bold, &title));
    let (planned, now) = (format!("in #{old}"), format!("in #{new}"));
    let words = Words { planned: &planned, now: &now, changed: "the row holds another value now".to_owned() };
    out.push_str(&differences(look, &comparison.differences, difference.resources, &words));
    out.push_str(&unlisted(comparison));
    if !difference.next.is_empty() {
        out.push('\n');
        out.push_str(&next(look, difference.next));
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use mendwright_core::commitment::Bound;
    use mendwright_core::compare::{Difference, What};
    use mendwright_core::value::Value;

    use super::*;
    use crate::view::sample::document;

    fn show(comparison: &Comparison) -> String {
        let resources = document().resources;
        let next = [Next::new("mendwright run show 1043", "the whole new plan")];
        plan_difference(
            Look::PLAIN,
            &PlanDifference { old: 1042, new: 1043, comparison, resources: &resources, next: &next },
        )
    }

    #[test]
    fn a_new_plan_is_shown_as_the_difference_to_the_old_one() {
        let decimal = |text: &str| Some(Bound::Shown(Value::Decimal(text.parse().unwrap())));
        let one = |key: &str, column: &str, planned, now, what| Difference {
            resource: "invoices".into(),
            key: key.into(),
            column: column.into(),
            planned,
            now,
            what,
        };
        let differences = vec![
            one("52", "total", decimal("5.94"), decimal("6.9"), What::Before),
            one("67", "", None, None, What::Missing),
            one("301", "", None, None, What::New),
        ];
        assert_snapshot!(show(&Comparison { held: 4, broken: 2, new: 1, differences }));
    }

    #[test]
    fn an_equal_plan_says_so() {
        assert_snapshot!(show(&Comparison { held: 6, ..Comparison::default() }));
    }
}
