//! The clock of commands that open no host.

/// Now, in microseconds since 1970-01-01 UTC.
pub(super) fn now_us() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the binary: everything below gets its time from here")]
    jiff::Timestamp::now().as_microsecond()
}
