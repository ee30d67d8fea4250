//! What became of a task, for whoever waits for it. The control store knows what is true of a run; here is
//! what the engine said beside it, for a while.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mendwright_store::{RunNumber, RunRecord, Store};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::act::{AppliedBody, UndoneBody};
use crate::engine::problem;
use crate::view::problem::Problem;

/// Outcomes that are kept: whoever waits takes theirs within milliseconds.
const KEPT_MAX: usize = 512;

/// How often the store is asked whether another host did it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a task came to.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// The run says it all.
    Done,
    Applied(Box<AppliedBody>),
    Undone(Box<UndoneBody>),
}

/// What waiting for a task came to.
#[derive(Debug)]
pub(super) enum Waited {
    /// A worker of this host did it.
    Here(Result<Said, Problem>),
    /// It is done; another host did it, or it was taken back.
    Elsewhere(Box<RunRecord>),
    /// It is not done yet.
    NotYet,
}

#[derive(Debug)]
pub(super) struct Desk {
    kept: Mutex<VecDeque<(RunNumber, Result<Said, Problem>)>>,
    changed: watch::Sender<()>,
}

impl Default for Desk {
    fn default() -> Self {
        Self { kept: Mutex::default(), changed: watch::channel(()).0 }
    }
}

impl Desk {
    /// A worker has done something with a run.
    pub(super) fn put(&self, run: RunNumber, said: Result<Said, Problem>) {
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.retain(|(of, _)| *of != run);
            kept.push_back((run, said));
            if kept.len() > KEPT_MAX {
                kept.pop_front();
            }
        }
        self.changed.send_replace(());
    }

    /// Something new is about to be asked of a run: what was before does not count for it.
    pub(super) fn forget(&self, run: RunNumber) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _)| *of != run);
    }

    /// What was done last with a run, here.
    pub(super) fn said(&self, run: RunNumber) -> Option<Result<Said, Problem>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| *of == run).map(|(_, said)| said.clone())
    }

    /// Told whenever something was done.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Waits until what was asked of a run is done, at most `wait`.
    pub(super) async fn wait(&self, store: &Store, run: RunNumber, wait: Duration) -> Result<Waited, Problem> {
        let until = Instant::now() + wait;
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if let Some(said) = self.said(run) {
                return Ok(Waited::Here(said));
            }
            let found = store.run(run).await.map_err(problem::store)?;
            if found.asked.is_none() && !found.state.is_in_flight() {
                // A worker of this host may have written it down and not told yet.
                return Ok(match self.said(run) {
                    Some(said) => Waited::Here(said),
                    None if changes.has_changed().unwrap_or(false) => continue,
                    None => self.told_soon(run, &mut changes).await.unwrap_or(Waited::Elsewhere(Box::new(found))),
                });
            }
            if Instant::now() >= until {
                return Ok(Waited::NotYet);
            }
            let look = Instant::now() + LOOK_EVERY;
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(look.min(until)) => {}
            }
        }
    }

    /// Between the step that settles a run and the word about it lie a few statements.
    async fn told_soon(&self, run: RunNumber, changes: &mut watch::Receiver<()>) -> Option<Waited> {
        let until = Instant::now() + LOOK_EVERY;
        while tokio::time::timeout_at(until, changes.changed()).await.is_ok() {
            if let Some(said) = self.said(run) {
                return Some(Waited::Here(said));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use mendwright_core::code::Code;

    use super::*;

    #[test]
    fn the_last_word_about_a_run_counts_and_old_ones_are_forgotten() {
        let desk = Desk::default();
        let run = RunNumber::new(1);
        desk.put(run, Err(Problem::new(Code::JobFailed, "no")));
        desk.put(run, Ok(Said::Done));
        assert!(matches!(desk.said(run), Some(Ok(Said::Done))));
        desk.forget(run);
        assert!(desk.said(run).is_none());
        for n in 0..=KEPT_MAX as u64 {
            desk.put(RunNumber::new(n), Ok(Said::Done));
        }
        assert!(desk.said(RunNumber::new(0)).is_none() && desk.said(run).is_some());
    }
}
