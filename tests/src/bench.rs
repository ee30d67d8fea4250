//! What the benches stand on: databases bound as an operator would bind them, tables in memory, and
//! ratios printed against a named rival of the same run.

mod accounts;
mod database;
pub mod driver;
mod ledger;
pub mod repairs;
mod rows;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mendwright_core::budget::{Budget, Meter, Metric};
use mendwright_core::port::Tables;
use mendwright_sandbox::{Call, Export, Identity};

pub use accounts::Accounts;
pub use database::Database;
pub use ledger::{BINDINGS, Ledger, authority, resources};
pub use rows::RowTables;

/// A meter that stops nothing that a bench does.
#[must_use]
pub fn unlimited() -> Meter {
    let limits = [
        (Metric::Fuel, 1 << 50),
        (Metric::RowsRead, 1 << 50),
        (Metric::RowsChanged, 1 << 50),
        (Metric::HostMemory, 1 << 50),
        (Metric::BytesChanged, 1 << 50),
        (Metric::DatabaseTime, 1 << 30),
        (Metric::WallTime, 1 << 30),
        (Metric::HostCalls, 1 << 50),
    ];
    Meter::new(Budget { limits: limits.into(), share_changed: None })
}

/// A call of a component's `dry-run`.
#[must_use]
pub fn dry_run<T: Tables>(job: &str, params: &str, tables: T) -> Call<T> {
    let text = |text: &str| text.to_owned();
    Call {
        export: Export::DryRun,
        identity: Identity {
            run: text("run_1"),
            tenant: text("acme"),
            job: text(job),
            version: text("1.0.0"),
            now_us: 1_795_150_800_123_456,
        },
        seed: 42,
        params: text(params),
        meter: Arc::new(unlimited()),
        findings: Arc::default(),
        tables,
        progress: None,
    }
}

/// How long one thing took, each time it was done.
#[derive(Debug, Default)]
pub struct Times(Mutex<Vec<Duration>>);

impl Times {
    /// Does it and notes how long that took.
    pub fn note<T>(&self, act: impl FnOnce() -> T) -> T {
        #[expect(clippy::disallowed_methods, reason = "a bench measures")]
        let start = Instant::now();
        let done = act();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(start.elapsed());
        done
    }

    /// The median; zero where nothing was noted.
    #[must_use]
    pub fn median(&self) -> Duration {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort();
        all.get(all.len() / 2).copied().unwrap_or_default()
    }
}

/// `name  12.3 ms  vs rival  4.5 ms  ratio 2.7  (aim ≤ 3)`.
#[must_use]
pub fn ratio(name: &str, own: Duration, rival: &str, other: Duration, aim: &str) -> String {
    let times = own.as_secs_f64() / other.as_secs_f64().max(1e-9);
    format!("{name:<42} {:>11}   {rival:<38} {:>11}   ratio {times:>5.2}   {aim}", text(own), text(other))
}

/// `name  123,456 a second`.
#[must_use]
pub fn rate(name: &str, things: u32, within: Duration) -> String {
    let rate = f64::from(things) / within.as_secs_f64().max(1e-9);
    format!("{name:<42} {rate:>11.0} a second")
}

fn text(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1_000.0;
    if ms < 1.0 { format!("{:.1} µs", ms * 1_000.0) } else { format!("{ms:.1} ms") }
}
