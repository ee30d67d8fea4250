//! The clock of the binary, and how its times are written.

use jiff::Timestamp;

/// Now, in microseconds since 1970-01-01 UTC.
pub(crate) fn now_us() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the binary's clock: everything else gets its time")]
    Timestamp::now().as_microsecond()
}

/// Whole milliseconds from `start_us` until now.
pub(super) fn since_ms(start_us: i64) -> u64 {
    u64::try_from(now_us().saturating_sub(start_us)).unwrap_or(0) / 1_000
}

/// RFC 3339 with microseconds, UTC; empty for a time that is none.
#[must_use]
pub fn rfc3339(us: i64) -> String {
    Timestamp::from_microsecond(us).map(|t| format!("{t:.6}")).unwrap_or_default()
}

/// The time that [`rfc3339`] wrote; `None` where it is none.
#[must_use]
pub(crate) fn from_rfc3339(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}
