//! When statements have to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long one reads, and how long a commit may take, where other tasks wait for the thread.
pub(crate) const SHORT: Duration = Duration::from_millis(1);

/// When a statement has to stop, in microseconds since `start`; 0 is never.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    at_us: Arc<AtomicU64>,
    /// A read that has not ended by then is begun again elsewhere.
    short_until_us: Arc<AtomicU64>,
}

impl Deadline {
    pub(crate) fn new() -> Self {
        Self { start: clock(), at_us: Arc::default(), short_until_us: Arc::default() }
    }

    fn after(&self, within: Duration) -> u64 {
        let at = self.start.elapsed().saturating_add(within);
        u64::try_from(at.as_micros()).unwrap_or(u64::MAX).max(1)
    }

    pub(crate) fn set(&self, within: Duration) {
        self.at_us.store(self.after(within), Ordering::Relaxed);
    }

    pub(crate) fn clear(&self) {
        self.at_us.store(0, Ordering::Relaxed);
    }

    fn has_passed(&self) -> bool {
        self.is_over(&self.at_us)
    }

    fn is_over(&self, end_us: &AtomicU64) -> bool {
        let end = end_us.load(Ordering::Relaxed);
        end != 0 && self.after(Duration::ZERO) >= end
    }

    /// Lets `read` go on for a short time only; says whether it was stopped for that.
    pub(crate) fn shortly<T>(&self, read: impl FnOnce() -> T) -> (T, bool) {
        self.short_until_us.store(self.after(SHORT), Ordering::Relaxed);
        let found = read();
        let was_stopped = self.is_over(&self.short_until_us);
        self.short_until_us.store(0, Ordering::Relaxed);
        (found, was_stopped)
    }

    pub(crate) fn stops(&self) -> bool {
        self.has_passed() || self.is_over(&self.short_until_us)
    }
}

pub(crate) fn clock() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "measures how long a statement takes")]
    Instant::now()
}
