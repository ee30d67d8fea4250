//! Named points at which a test kills the process, or stops it. Compiled only with the feature `crash-points`,
//! and never into a release.

/// Dies here with SIGKILL if `CRASH_AT` is `name` or `name:n` and this is the `n`th time; with `STOP_AT`
/// stands still with SIGSTOP, until the test lets it go on.
#[cfg(all(feature = "crash-points", debug_assertions))]
pub(crate) fn reached(name: &str) {
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::Mutex;
    static PASSED: Mutex<std::collections::BTreeMap<String, u32>> = Mutex::new(std::collections::BTreeMap::new());

    for (wish, signal) in [("CRASH_AT", Signal::KILL), ("STOP_AT", Signal::STOP)] {
        #[expect(clippy::disallowed_methods, reason = "the test's wish comes through the environment")]
        let Ok(wanted) = std::env::var(wish) else { continue };
        let (point, nth) = match wanted.split_once(':') {
            Some((point, n)) => (point, n.parse().unwrap_or(1)),
            None => (wanted.as_str(), 1),
        };
        if point != name {
            continue;
        }
        let Ok(mut passed) = PASSED.lock() else { return };
        let count = passed.entry(format!("{wish} {name}")).or_insert(0);
        *count += 1;
        if *count == nth {
            let _ = kill_process(getpid(), signal);
            // The signal needs a moment to arrive, and nothing may happen until then. A process that stands
            // still has slept long enough when it goes on.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

/// A point at which a test may kill the process.
#[cfg(all(feature = "crash-points", debug_assertions))]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::crash::reached($name)
    };
}

/// A point at which a test may kill the process: nothing, in this build.
#[cfg(not(all(feature = "crash-points", debug_assertions)))]
macro_rules! crash_point {
    ($name:literal) => {};
}

pub(crate) use crash_point;

/// Every crash point of a flush, in the order in which one passes them.
pub const FLUSH: [&str; 10] = [
    "before_connect",
    "before_fence",
    "before_begin",
    "before_locks",
    "before_writes",
    "between_write_and_journal",
    "between_batches",
    "before_consumption",
    "before_commit",
    "after_commit",
];

/// Every crash point of the gateway, for the tests that visit each of them.
pub const POINTS: [&str; 14] = [
    "in_rehearsal",
    "before_connect",
    "before_fence",
    "before_begin",
    "before_locks",
    "before_writes",
    "between_write_and_journal",
    "between_batches",
    "before_consumption",
    "before_commit",
    "after_commit",
    "before_read_back",
    "after_read_back",
    "before_preview",
];
