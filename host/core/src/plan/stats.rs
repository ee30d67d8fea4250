//! What a plan amounts to, for people and for policy.

use std::collections::BTreeMap;

use crate::budget::SHARE_WHOLE;
use crate::change::{Action, Change};
use crate::decimal::Decimal;
use crate::value::Value;

/// The sum of a money column over the changed rows, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Net {
    /// Sum over the changed rows as they were.
    pub before: Decimal,
    /// Sum over the same rows as they shall be.
    pub after: Decimal,
}

impl Net {
    /// What the plan adds.
    #[must_use]
    pub fn delta(&self) -> Decimal {
        &self.after - &self.before
    }
}

/// The share that `changed` rows are of `rows_of_tenant`, in ten thousandths, rounded up; inserts into
/// an empty table are the whole of it.
#[must_use]
pub fn share(changed: u64, rows_of_tenant: u64) -> u32 {
    match (changed, rows_of_tenant) {
        (0, _) => 0,
        (_, 0) => SHARE_WHOLE,
        (n, rows) => u32::try_from(n.saturating_mul(u64::from(SHARE_WHOLE)).div_ceil(rows)).unwrap_or(u32::MAX),
    }
}

/// What a plan does to one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceStats {
    /// Rows that appear.
    pub inserts: u64,
    /// Rows that change.
    pub updates: u64,
    /// Rows that disappear.
    pub deletes: u64,
    /// Column → net effect, for decimal columns that the plan writes and people may see.
    pub net: BTreeMap<String, Net>,
}

impl ResourceStats {
    /// All changes together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.inserts + self.updates + self.deletes
    }

    /// The share of `rows_of_tenant` that changes; see [`share`].
    #[must_use]
    pub fn share(&self, rows_of_tenant: u64) -> u32 {
        share(self.total(), rows_of_tenant)
    }

    /// Counts one change. `masked` says which columns must not show.
    pub fn count(&mut self, change: &Change, masked: impl Fn(&str) -> bool) {
        match change.action {
            Action::Insert => self.inserts += 1,
            Action::Update => self.updates += 1,
            Action::Delete => self.deletes += 1,
        }
        let decimal = |value: Option<&Value>| match value {
            Some(Value::Decimal(d)) => Some(d.clone()),
            _ => None,
        };
        let written: Vec<&String> = match change.action {
            Action::Insert | Action::Update => change.after.keys().collect(),
            Action::Delete => change.before.keys().collect(),
        };
        for column in written.into_iter().filter(|column| !masked(column)) {
            let (before, after) = (decimal(change.before.get(column)), decimal(change.after.get(column)));
            if before.is_none() && after.is_none() {
                continue;
            }
            let zero = Decimal::zero;
            let net = self.net.entry(column.clone()).or_insert_with(|| Net { before: zero(), after: zero() });
            net.before = &net.before + &before.unwrap_or_else(zero);
            net.after = &net.after + &after.unwrap_or_else(zero);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Key;

    #[test]
    fn the_net_effect_is_exact_and_masked_columns_have_none() {
        let mut stats = ResourceStats::default();
        for (before, after) in [("9.9", "0.99"), ("13.859999999999998", "13.86")] {
            let cell = |text: &str| -> crate::change::Cells {
                [("total".to_owned(), Value::Decimal(text.parse().unwrap()))].into()
            };
            let change = Change {
                resource: "invoices".into(),
                key: Key(vec![]),
                action: Action::Update,
                before: cell(before),
                after: cell(after),
                reason: String::new(),
            };
            stats.count(&change, |_| false);
            let mut masked = ResourceStats::default();
            masked.count(&change, |_| true);
            assert!(masked.net.is_empty());
        }
        assert_eq!(stats.net["total"].delta().to_string(), "-8.909999999999998");
        assert_eq!((stats.updates, stats.share(28)), (2, 715));
        assert_eq!(stats.share(0), SHARE_WHOLE);
    }
}
