//! How much work a run may be, and a meter that counts it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::port::{Refusal, RefusalKind};

/// One thing that is metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Instructions of the guest, in wasmtime's fuel.
    Fuel,
    /// Bytes of linear memory and tables of the guest.
    Memory,
    /// Bytes that the host keeps for the run: overlay, plan, log, findings, as one sum.
    HostMemory,
    /// Milliseconds from the start of the export to its end.
    WallTime,
    /// Milliseconds that databases worked for the run.
    DatabaseTime,
    /// Rows that databases returned; each query counts as one at least.
    RowsRead,
    /// Rows that the plan changes.
    RowsChanged,
    /// Bytes of the changes' values.
    BytesChanged,
    /// Bytes of the log.
    Log,
    /// Findings and checks.
    Findings,
    /// Scans open at once.
    Cursors,
    /// Calls from the guest to the host.
    HostCalls,
}

impl Metric {
    /// Every metric, in order.
    pub const ALL: [Self; 12] = [
        Self::Fuel,
        Self::Memory,
        Self::HostMemory,
        Self::WallTime,
        Self::DatabaseTime,
        Self::RowsRead,
        Self::RowsChanged,
        Self::BytesChanged,
        Self::Log,
        Self::Findings,
        Self::Cursors,
        Self::HostCalls,
    ];

    /// The key of `[budget]` and `[limits]`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::HostMemory => "host_memory",
            Self::WallTime => "wall_time",
            Self::DatabaseTime => "database_time",
            Self::RowsRead => "rows_read",
            Self::RowsChanged => "rows_changed",
            Self::BytesChanged => "bytes_changed",
            Self::Log => "log",
            Self::Findings => "findings",
            Self::Cursors => "cursors",
            Self::HostCalls => "host_calls",
        }
    }

    /// The error code of a spent budget.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Fuel => Code::BudgetFuel,
            Self::Memory => Code::BudgetMemory,
            Self::HostMemory => Code::BudgetHostMemory,
            Self::WallTime => Code::BudgetWallTime,
            Self::DatabaseTime => Code::BudgetDatabaseTime,
            Self::RowsRead => Code::BudgetRowsRead,
            Self::RowsChanged => Code::BudgetRowsChanged,
            Self::BytesChanged => Code::BudgetBytesChanged,
            Self::Log => Code::BudgetLog,
            Self::Findings => Code::BudgetFindings,
            Self::Cursors => Code::BudgetCursors,
            Self::HostCalls => Code::BudgetHostCalls,
        }
    }

    /// What a run gets where neither manifest nor operator says anything.
    #[must_use]
    pub const fn default_limit(self) -> u64 {
        const MIB: u64 = 1024 * 1024;
        match self {
            Self::Fuel => 5_000_000_000,
            Self::Memory => 64 * MIB,
            // 100,000 changes of a few columns take about 60 MiB.
            Self::HostMemory => 256 * MIB,
            Self::WallTime => 300_000,
            Self::DatabaseTime => 60_000,
            Self::RowsRead => 5_000_000,
            Self::RowsChanged => 100_000,
            Self::BytesChanged => 64 * MIB,
            Self::Log => 256 * 1024,
            Self::Findings => 10_000,
            // As the contract says of `cursor`.
            Self::Cursors => 16,
            Self::HostCalls => 10_000_000,
        }
    }

    /// The unit, for people.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Fuel => "instructions",
            Self::Memory | Self::HostMemory | Self::BytesChanged | Self::Log => "bytes",
            Self::WallTime | Self::DatabaseTime => "ms",
            Self::RowsRead | Self::RowsChanged => "rows",
            Self::Findings => "findings",
            Self::Cursors => "open scans",
            Self::HostCalls => "calls",
        }
    }
}

/// Ten thousandths: shares are exact and digests do not depend on how a float prints.
pub const SHARE_WHOLE: u32 = 10_000;

/// How much work a run may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// What is set; [`Metric::default_limit`] where absent.
    pub limits: BTreeMap<Metric, u64>,
    /// At most this share of the tenant's rows of each resource may change, in ten thousandths.
    pub share_changed: Option<u32>,
}

impl Budget {
    /// The limit on `metric`.
    #[must_use]
    pub fn limit(&self, metric: Metric) -> u64 {
        self.limits.get(&metric).copied().unwrap_or_else(|| metric.default_limit())
    }

    /// The stricter of both in everything. What one leaves open, the other decides.
    #[must_use]
    pub fn capped_by(&self, cap: &Self) -> Self {
        let mut limits = self.limits.clone();
        for (metric, limit) in &cap.limits {
            let own = limits.entry(*metric).or_insert(*limit);
            *own = (*own).min(*limit);
        }
        let share_changed = match (self.share_changed, cap.share_changed) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { limits, share_changed }
    }
}

/// Counts a run's work and refuses what goes past its budget. Shared by everything that works for one
/// execution; counting is exact, because each execution is one sequence of calls.
#[derive(Debug)]
pub struct Meter {
    budget: Budget,
    used: [AtomicU64; Metric::ALL.len()],
}

impl Meter {
    /// A meter at zero.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        Self { budget, used: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    /// The limits that this meter holds to.
    #[must_use]
    pub const fn budget(&self) -> &Budget {
        &self.budget
    }

    fn cell(&self, metric: Metric) -> &AtomicU64 {
        #[expect(clippy::indexing_slicing, reason = "the array has a place for each metric")]
        &self.used[metric as usize]
    }

    /// How much of `metric` is used.
    #[must_use]
    pub fn used(&self, metric: Metric) -> u64 {
        self.cell(metric).load(Ordering::Relaxed)
    }

    /// Counts `amount` more.
    ///
    /// # Errors
    /// A `budget-exceeded` refusal, with the metric's code, once the sum passes the limit. What was
    /// counted stays counted.
    pub fn charge(&self, metric: Metric, amount: u64) -> Result<(), Refusal> {
        let before = self.cell(metric).fetch_add(amount, Ordering::Relaxed);
        let used = before.saturating_add(amount);
        if used <= self.budget.limit(metric) { Ok(()) } else { Err(self.spent(metric)) }
    }

    /// Gives back what is no longer held (memory, open scans).
    pub fn release(&self, metric: Metric, amount: u64) {
        let cell = self.cell(metric);
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(amount)));
    }

    /// Sets a value that somebody else counts (fuel, memory, time).
    pub fn record(&self, metric: Metric, value: u64) {
        self.cell(metric).store(value, Ordering::Relaxed);
    }

    /// The refusal that says `metric` is spent.
    #[must_use]
    pub fn spent(&self, metric: Metric) -> Refusal {
        Refusal {
            kind: RefusalKind::BudgetExceeded,
            code: metric.code(),
            message: format!(
                "the run used up its budget: `{}` is {} {}",
                metric.word(),
                grouped(self.budget.limit(metric)),
                metric.unit()
            ),
        }
    }

    /// Everything that was used, by metric.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<Metric, u64> {
        Metric::ALL.into_iter().map(|metric| (metric, self.used(metric))).collect()
    }
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_only_ever_lowers() {
        let own = Budget { limits: [(Metric::Fuel, 10), (Metric::Log, 5)].into(), share_changed: Some(5_000) };
        let cap = Budget { limits: [(Metric::Fuel, 7), (Metric::RowsRead, 3)].into(), share_changed: None };
        let both = own.capped_by(&cap);
        assert_eq!((both.limit(Metric::Fuel), both.limit(Metric::Log), both.limit(Metric::RowsRead)), (7, 5, 3));
        assert_eq!(both.share_changed, Some(5_000));
        assert_eq!(both, both.capped_by(&both));
    }

    #[test]
    fn a_spent_budget_is_refused_by_name_and_stays_spent() {
        let meter = Meter::new(Budget { limits: [(Metric::Log, 10)].into(), share_changed: None });
        assert_eq!(meter.charge(Metric::Log, 10), Ok(()));
        let refusal = meter.charge(Metric::Log, 1).unwrap_err();
        assert_eq!((refusal.kind, refusal.code), (RefusalKind::BudgetExceeded, Code::BudgetLog));
        assert_eq!(
            meter.spent(Metric::Fuel).message,
            "the run used up its budget: `fuel` is 5,000,000,000 instructions"
        );
        assert!(meter.charge(Metric::Log, 0).is_err());
        meter.release(Metric::Log, 11);
        assert_eq!(meter.used(Metric::Log), 0);
    }
}
