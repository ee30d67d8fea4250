//! The plan of then against the changes of now: promise P2.

use std::iter::Peekable;

use crate::commitment::Bound;
use crate::plan::BoundChange;

/// Differences that are kept for people; the rest is counted.
pub const DIFFERENCES_MAX: usize = 100;

/// One place where now is not as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The resource.
    pub resource: String,
    /// The key, for people.
    pub key: String,
    /// The column; empty where the whole change appeared or disappeared.
    pub column: String,
    /// What the plan says; `None` where it says nothing.
    pub planned: Option<Bound>,
    /// What is so now; `None` where there is nothing.
    pub now: Option<Bound>,
    /// In which way.
    pub what: What,
}

/// In which way now differs from the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The row holds another value than when it was planned.
    Before,
    /// The job wants another value than it planned.
    After,
    /// The job does something else to the row.
    Action,
    /// The job no longer wants this change.
    Missing,
    /// The job wants a change that nobody approved.
    New,
}

/// How now compares with the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Planned changes that hold exactly.
    pub held: u64,
    /// Planned changes that do not.
    pub broken: u64,
    /// Changes that nobody planned.
    pub new: u64,
    /// The first [`DIFFERENCES_MAX`] differences.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Whether the plan may be applied. Where each change stands alone, new ones do not stand in the
    /// way: they are left for the next plan.
    #[must_use]
    pub const fn holds(&self, independent: bool) -> bool {
        self.broken == 0 && (self.new == 0 || independent)
    }

    fn note(&mut self, change: &BoundChange, column: &str, planned: Option<&Bound>, now: Option<&Bound>, what: What) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(Difference {
                resource: change.resource.clone(),
                key: change.key_text(),
                column: column.to_owned(),
                planned: planned.cloned(),
                now: now.cloned(),
                what,
            });
        }
    }

    fn compare_one(&mut self, planned: &BoundChange, now: &BoundChange) {
        let same = planned.action == now.action && planned.before == now.before && planned.after == now.after;
        if same {
            self.held += 1;
            return;
        }
        self.broken += 1;
        if planned.action != now.action {
            self.note(now, "", None, None, What::Action);
        }
        for (what, then, today) in
            [(What::Before, &planned.before, &now.before), (What::After, &planned.after, &now.after)]
        {
            let columns: std::collections::BTreeSet<_> = then.keys().chain(today.keys()).collect();
            for column in columns {
                let (a, b) = (then.get(column), today.get(column));
                if a != b {
                    self.note(now, column, a, b, what);
                }
            }
        }
    }
}

/// A comparison under way: the planned changes are handed in one by one, the changes of now are taken
/// as they are needed. Both come in the plan's order, and neither is held.
pub struct Comparing<I: Iterator<Item = BoundChange>> {
    now: Peekable<I>,
    /// Changes of now that were taken.
    taken: usize,
    new: Vec<usize>,
    result: Comparison,
}

impl<I: Iterator<Item = BoundChange>> Comparing<I> {
    /// Begins.
    pub fn new(now: impl IntoIterator<IntoIter = I>) -> Self {
        Self { now: now.into_iter().peekable(), taken: 0, new: Vec::new(), result: Comparison::default() }
    }

    /// The next planned change.
    pub fn planned(&mut self, planned: &BoundChange) {
        while let Some(now) = self.now.next_if(|now| now.order(planned).is_lt()) {
            self.is_new(&now);
        }
        match self.now.next_if(|now| now.order(planned).is_eq()) {
            Some(now) => {
                self.taken += 1;
                self.result.compare_one(planned, &now);
            }
            None => {
                self.result.broken += 1;
                self.result.note(planned, "", None, None, What::Missing);
            }
        }
    }

    /// There are no more planned changes. Gives the comparison, and the places (from 0) of the changes
    /// of now that nobody planned.
    #[must_use]
    pub fn finish(mut self) -> (Comparison, Vec<usize>) {
        while let Some(now) = self.now.next() {
            self.is_new(&now);
        }
        (self.result, self.new)
    }

    fn is_new(&mut self, now: &BoundChange) {
        self.new.push(self.taken);
        self.taken += 1;
        self.result.new += 1;
        self.result.note(now, "", None, None, What::New);
    }
}

/// Compares two lists of changes, each in the plan's order, in one pass over both.
pub fn compare(
    planned: impl IntoIterator<Item = BoundChange>,
    now: impl IntoIterator<Item = BoundChange>,
) -> Comparison {
    let mut comparing = Comparing::new(now);
    for change in planned {
        comparing.planned(&change);
    }
    comparing.finish().0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Action;
    use crate::value::Value;

    fn update(id: i64, before: i64, after: i64) -> BoundChange {
        let cell = |n| [("total".to_owned(), Bound::Shown(Value::Integer(n)))].into();
        BoundChange {
            resource: "invoices".into(),
            key: vec![Bound::Shown(Value::Integer(id))],
            action: Action::Update,
            before: cell(before),
            after: cell(after),
            reason: String::new(),
        }
    }

    fn check(planned: &[BoundChange], now: &[BoundChange], (held, broken, new): (u64, u64, u64)) -> Comparison {
        let result = compare(planned.to_vec(), now.to_vec());
        assert_eq!((result.held, result.broken, result.new), (held, broken, new));
        result
    }

    #[test]
    fn equal_lists_hold_and_a_reason_is_not_compared() {
        let mut other_reason = update(1, 0, 5);
        other_reason.reason = "sum of 2 lines".into();
        assert!(check(&[update(1, 0, 5)], &[other_reason], (1, 0, 0)).holds(false));
        assert!(check(&[], &[], (0, 0, 0)).holds(false));
    }

    #[test]
    fn a_changed_before_a_changed_after_and_a_missing_change_each_break_the_plan() {
        let plan = [update(1, 0, 5), update(2, 0, 6)];
        let result = check(&plan, &[update(1, 4, 5), update(2, 0, 6)], (1, 1, 0));
        assert_eq!(result.differences[0].what, What::Before);
        assert!(!result.holds(true));
        assert!(!check(&plan, &[update(1, 0, 5), update(2, 0, 7)], (1, 1, 0)).holds(true));
        assert!(!check(&plan, &[update(2, 0, 6)], (1, 1, 0)).holds(true));
    }

    #[test]
    fn a_new_change_holds_only_where_each_stands_alone() {
        let result = check(&[update(2, 0, 6)], &[update(1, 0, 5), update(2, 0, 6), update(3, 0, 1)], (1, 0, 2));
        assert!(result.holds(true) && !result.holds(false));
        let mut comparing = Comparing::new([update(1, 0, 5), update(2, 0, 6), update(3, 0, 1)]);
        comparing.planned(&update(2, 0, 6));
        assert_eq!(comparing.finish().1, [0, 2]);
    }

    #[test]
    fn kept_differences_are_bounded_and_counted_on() {
        let plan: Vec<_> = (0..1_000).map(|id| update(id, 0, 1)).collect();
        let now: Vec<_> = (0..1_000).map(|id| update(id, 1, 1)).collect();
        assert_eq!(check(&plan, &now, (0, 1_000, 0)).differences.len(), DIFFERENCES_MAX);
    }
}
