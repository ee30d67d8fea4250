//! What a test wishes to happen at the points, said in the environment of the process:
//!
//! - `CRASH_AT=name` or `name:n`: dies with SIGKILL when it gets there, the `n`th time;
//! - `STOP_AT=name` or `name:n`: stands still with SIGSTOP, until the test lets it go on;
//! - `CRASH_ONCE=file`: what is passed before that file exists does not count;
//! - `CRASH_SEEN=file`: the name of each point that is passed is added to that file, a line each.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::Point;

/// A signal needs a moment to arrive, and nothing may happen until then. A process that stands still has
/// slept long enough when it goes on.
const ARRIVES_WITHIN: Duration = Duration::from_millis(100);

/// All that the test wishes.
struct Wishes {
    signals: Vec<(String, u32, Signal)>,
    once: Option<PathBuf>,
    seen: Option<PathBuf>,
    passed: Mutex<BTreeMap<&'static str, u32>>,
}

static WISHES: LazyLock<Wishes> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "the test's wishes come through the environment")]
    let said = |name: &str| std::env::var(name).ok();
    let signal = |name, signal| {
        let wanted = said(name)?;
        let (point, n) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        Some((point.to_owned(), n.parse().unwrap_or(1), signal))
    };
    Wishes {
        signals: [("CRASH_AT", Signal::KILL), ("STOP_AT", Signal::STOP)]
            .into_iter()
            .filter_map(|(name, of)| signal(name, of))
            .collect(),
        once: said("CRASH_ONCE").map(PathBuf::from),
        seen: said("CRASH_SEEN").map(PathBuf::from),
        passed: Mutex::default(),
    }
});

/// The host got to a point: dies or stands still here if a test wishes it.
pub fn reached(point: Point) {
    let Wishes { signals, once, seen, passed } = &*WISHES;
    if (signals.is_empty() && seen.is_none()) || once.as_ref().is_some_and(|file| !file.exists()) {
        return;
    }
    if let Some(seen) = seen {
        // One write of one line: several threads, and processes, do not mix theirs up.
        let file = std::fs::OpenOptions::new().append(true).create(true).open(seen);
        let _ = file.and_then(|mut file| file.write_all(format!("{}\n", point.name()).as_bytes()));
    }
    let count = {
        let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(point.name()).or_insert(0);
        *count += 1;
        *count
    };
    for (name, nth, signal) in signals {
        if name == point.name() && *nth == count {
            let _ = kill_process(getpid(), *signal);
            std::thread::sleep(ARRIVES_WITHIN);
        }
    }
}
