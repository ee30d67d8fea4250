//! What follows behind a repair that its target holds: the rows are read back, and the control store is told.
//! Nobody waits for it. What is lost of it with this process, the next one finds in the target's journal.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use mendwright_core::run::{Event, State};
use mendwright_gateway::repair::{self, Verified};
use mendwright_gateway::{Error as GatewayError, Target};
use mendwright_store::{Lease, RunRecord, Step};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::claims::{Claim, Claims};
use super::{Host, problem, time};
use crate::view::problem::Problem;

/// Repairs that are finished in one transaction of the control store.
const ROUND_MAX: usize = 64;

/// How many are read back at a time: more would take the databases from those that somebody waits for.
const READS_MAX: usize = 4;

/// Repairs that were begun at once and are not finished; with more, new ones wait. Each is a few kilobytes, and
/// is leased to this process for as long as it waits.
const WAITING_MAX: usize = 1_024;

/// A repair that the target holds, and the control store does not know of yet.
pub(super) struct Committed {
    /// As it was when it began to be applied.
    pub(super) run: RunRecord,
    /// That the target holds it.
    pub(super) step: Step,
    pub(super) undo_until_us: i64,
    pub(super) target: Target,
    /// Until it is finished.
    #[expect(dead_code, reason = "it is given back when this is dropped")]
    pub(super) held: Held,
}

/// What an unfinished repair holds: its place among those, and its rows.
pub(super) type Held = (Room, Claim);

/// One repair's place among those that are not finished.
pub(super) type Room = OwnedSemaphorePermit;

/// Those that wait, in the order in which they were committed.
pub(super) struct Finishing {
    waiting: Mutex<VecDeque<Committed>>,
    rung: Notify,
    room: Arc<Semaphore>,
    pub(super) claims: Claims,
}

impl Default for Finishing {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            rung: Notify::new(),
            room: Arc::new(Semaphore::new(WAITING_MAX)),
            claims: Claims::default(),
        }
    }
}

impl Finishing {
    pub(super) fn push(&self, committed: Committed) {
        self.lock().push_back(committed);
        self.rung.notify_one();
    }

    /// Room for one more; whoever asks waits for it where finishing is behind.
    pub(super) async fn room(&self) -> Option<Room> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    fn take(&self) -> Vec<Committed> {
        let mut waiting = self.lock();
        let n = waiting.len().min(ROUND_MAX);
        waiting.drain(..n).collect()
    }

    fn put_back(&self, taken: Vec<Committed>) {
        let mut waiting = self.lock();
        for committed in taken.into_iter().rev() {
            waiting.push_front(committed);
        }
        self.rung.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Committed>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    /// Returns when there may be something to finish.
    pub(crate) async fn committed_waits(&self) {
        self.finishing.rung.notified().await;
    }

    /// Finishes repairs that their targets hold; says how many. For whoever calls it again and again.
    ///
    /// # Errors
    /// The control store does not answer; they wait on.
    pub async fn finish_committed(&self) -> Result<usize, Problem> {
        let taken = self.finishing.take();
        if taken.is_empty() {
            return Ok(0);
        }
        let n = taken.len();
        let read = |committed: Committed| async move {
            let found = self.read_back(&committed).await;
            (committed, found)
        };
        let read: Vec<_> = futures::stream::iter(taken).map(read).buffered(READS_MAX).collect().await;
        let moves: Vec<_> =
            read.iter().map(|(committed, found)| (committed.run.number, steps(committed, found))).collect();
        let moved = match self.store.move_many(&moves).await {
            Ok(moved) => moved,
            Err(error) => {
                self.finishing.put_back(read.into_iter().map(|(committed, _)| committed).collect());
                return Err(problem::store(error));
            }
        };
        for ((committed, found), moved) in read.into_iter().zip(moved) {
            match moved {
                // It is not as planned, or was not read: whoever takes it next reads it again, and restores it.
                Ok(State::Verifying) => self.leave(&committed.run, found.err()).await,
                Ok(_) => {}
                // Whoever took it over finds in the target what this host found.
                Err(error) => {
                    tracing::info!(run = committed.run.number.get(), %error, "a repair is finished elsewhere")
                }
            }
        }
        if !self.finishing.lock().is_empty() {
            self.finishing.rung.notify_one();
        }
        Ok(n)
    }

    async fn read_back(&self, committed: &Committed) -> Result<Verified, GatewayError> {
        let id = committed.run.id.to_string();
        repair::read_back(self.context(&committed.target, &committed.run, &id), 0).await
    }

    /// Lets a worker have a run at once that it has to recover.
    async fn leave(&self, run: &RunRecord, why: Option<GatewayError>) {
        if let Some(error) = why {
            tracing::warn!(run = run.number.get(), %error, "a repair could not be read back yet");
        }
        self.let_go(run).await;
    }

    /// Lets others have a run.
    pub(super) async fn let_go(&self, run: &RunRecord) {
        let lease = Lease { run: run.number, attempt: run.attempt };
        if let Err(error) = self.store.release(lease).await {
            tracing::warn!(run = run.number.get(), %error, "a run was not let go; its lease runs out");
        }
    }
}

/// What is written down: that the target holds it and, where every row was found as planned, that it succeeded.
fn steps(committed: &Committed, found: &Result<Verified, GatewayError>) -> Vec<Step> {
    let mut steps = vec![committed.step.clone()];
    if found.as_ref().is_ok_and(|verified| verified.differ.is_empty()) {
        let passed = Step::new(State::Verifying, Event::VerificationPassed, time::now_us());
        steps.push(passed.attempt(committed.run.attempt).undo_until(committed.undo_until_us));
    }
    steps
}
