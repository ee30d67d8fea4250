//! When a place that took nothing is tried again: at once would keep everything else from its turn, and somebody who
//! comes back to thousands of hosts is glad of the pause.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mendwright_core::code::Code;

/// The first pause, and the longest: each is twice as long as the one before.
const FIRST_US: i64 = 2_000_000;
const LONGEST_US: i64 = 300_000_000;

/// Places that took nothing the last time. A process's own: another one tries for itself.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<BTreeMap<String, Pause>>);

#[derive(Clone, Copy, Debug)]
struct Pause {
    length_us: i64,
    until_us: i64,
    why: Code,
}

impl Pauses {
    pub(in crate::engine::audit) fn is_due(&self, place: &str, now_us: i64) -> bool {
        self.lock().get(place).is_none_or(|pause| pause.until_us <= now_us)
    }

    /// Why a place took nothing the last time.
    pub(in crate::engine::audit) fn why(&self, place: &str) -> Option<Code> {
        self.lock().get(place).map(|pause| pause.why)
    }

    /// The place took it, or why not.
    pub(in crate::engine::audit) fn note(&self, place: &str, took: Result<(), Code>, now_us: i64) {
        let mut pauses = self.lock();
        let Err(why) = took else {
            pauses.remove(place);
            return;
        };
        let before = pauses.get(place).map_or(FIRST_US / 2, |pause| pause.length_us);
        let length_us = before.saturating_mul(2).min(LONGEST_US);
        pauses.insert(place.to_owned(), Pause { length_us, until_us: now_us.saturating_add(length_us), why });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Pause>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_end_with_success() {
        let (pauses, mut now) = (Pauses::default(), 0);
        let mut lengths = Vec::new();
        for _ in 0..9 {
            assert!(pauses.is_due("a", now));
            pauses.note("a", Err(Code::AnchorUnavailable), now);
            let before = now;
            while !pauses.is_due("a", now) {
                now += 1_000_000;
            }
            lengths.push((now - before) / 1_000_000);
        }
        assert_eq!(lengths, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
        pauses.note("a", Err(Code::AnchorUnavailable), now);
        assert!(!pauses.is_due("a", now) && pauses.is_due("b", now));
        assert_eq!((pauses.why("a"), pauses.why("b")), (Some(Code::AnchorUnavailable), None));
        pauses.note("a", Ok(()), now);
        assert!(pauses.is_due("a", now));
    }
}
