//! SQLite: the one writing connection that a process has to a target, and the transactions that its
//! flushes share. What a small repair costs there is the disk's answer to COMMIT; it is waited for once
//! for all that are ready.
//!
//! A flush takes its turn in the order of arrival. The first one begins the transaction, whoever follows makes its
//! changes inside a savepoint of its own; each is guarded and journaled as if it were alone, and then stands in
//! line again. Whoever of them gets there first commits for all: that is when everybody had a turn who
//! waited meanwhile. One that is refused rolls back its savepoint and nothing else; it says so when the
//! others are committed, because it may have met their rows.
//!
//! A crash loses a shared transaction whole or keeps it whole. A COMMIT that is refused for what one of
//! them did is found out by doing each again alone.

use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as Slot, PoisonError};

use mendwright_crash::{Point, reached};
use tokio::sync::{Mutex, MutexGuard, watch};

use super::super::connection::{Connection, Role, sqlite_path};
use super::fence::Fence;
use super::{ATTEMPTS_MAX, Flush, Flushed, after_commit_failed, begin, inside, prune_a_little, relations};
use crate::error::{Classified, Error, Result};
use crate::gate::{Gate, Kind};
use crate::target::Target;

/// The writing connection of a SQLite target; its clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Writer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    open: Option<Open>,
    group: Option<Group>,
    /// Transactions so far.
    n_groups: u64,
}

struct Open {
    connection: Connection,
    /// A file that was put in the target's place is another one.
    file: Option<FileId>,
    /// What a statement in flight asks: the gate of the flush whose turn it is.
    asks: Arc<Slot<Option<(Gate, Kind)>>>,
}

/// Device and inode.
pub(crate) type FileId = (u64, u64);

/// A transaction that is open, and in which some have made their changes.
struct Group {
    id: u64,
    outcome: watch::Sender<Option<Outcome>>,
    /// Flushes that wait for its end.
    n_waiting: Arc<AtomicUsize>,
    /// What has to be passed before COMMIT: one for each flush whose changes are in it.
    gates: Vec<(Gate, Kind)>,
}

/// How a shared transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Committed,
    /// Rolled back for the fault of one that knows.
    Again,
    /// COMMIT was refused for what somebody did.
    Alone,
    /// The answer to COMMIT was lost.
    Unknown,
}

/// Makes the changes and commits, alone or with others, or changes nothing.
pub(super) async fn flush(flush: &Flush<'_>) -> Result<Flushed> {
    let mut alone = false;
    for _ in 0..ATTEMPTS_MAX {
        flush.gate.pass(flush.kind).await?;
        reached(Point::BeforeFence);
        let mut turn = Turn::wait(flush).await?;
        if alone {
            let _ = turn.commit(flush).await;
        }
        reached(Point::BeforeBegin);
        turn.begin(flush).await?;
        let made = turn.make(flush).await;
        if !turn.is_shared() {
            return made;
        }
        if alone && made.is_ok() {
            turn.commit(flush).await?;
            reached(Point::AfterCommit);
            return made;
        }
        let waits = turn.end(&flush.target.writer);
        match waits.outcome(flush).await {
            Outcome::Committed => {
                reached(Point::AfterCommit);
                return made;
            }
            Outcome::Unknown => return made.and(Err(Error::CommitUnknown)),
            Outcome::Again => {}
            Outcome::Alone => alone = true,
        }
    }
    Err(Classified::Locked.into())
}

/// The connection in the hands of one flush. Dropped in the middle, it takes the transaction with it.
struct Turn<'w> {
    state: MutexGuard<'w, State>,
    is_whole: bool,
}

impl<'w> Turn<'w> {
    const fn of(state: MutexGuard<'w, State>) -> Self {
        Self { state, is_whole: true }
    }

    async fn wait(flush: &Flush<'w>) -> Result<Self> {
        tokio::select! {
            biased;
            halted = flush.gate.thrown(flush.kind) => Err(halted),
            state = tokio::time::timeout(flush.target.lock_timeout, flush.target.writer.0.lock()) => match state {
                Ok(state) => Ok(Self::of(state)),
                Err(_elapsed) => Err(Classified::Locked.into()),
            },
        }
    }

    /// Begins a transaction if none is open.
    async fn begin(&mut self, flush: &Flush<'_>) -> Result<()> {
        if self.state.group.is_some() {
            return Ok(());
        }
        self.is_whole = false;
        let file = file_id(flush.target);
        let mut open = match self.state.open.take().filter(|open| open.file == file) {
            Some(open) => open,
            None => Open::new(flush.target, file).await?,
        };
        let begun = begin(&mut open.connection).await;
        self.state.open = Some(open);
        begun?;
        self.state.n_groups += 1;
        self.state.group = Some(Group {
            id: self.state.n_groups,
            outcome: watch::Sender::new(None),
            n_waiting: Arc::default(),
            gates: Vec::new(),
        });
        Ok(())
    }

    /// Makes the changes in a savepoint. Whoever is refused where nobody's changes are in the transaction
    /// ends it; so does one whose error took the transaction with it.
    async fn make(&mut self, flush: &Flush<'_>) -> Result<Flushed> {
        self.is_whole = false;
        let State { open: Some(open), group: Some(group), .. } = &mut *self.state else {
            return Err(Error::Internal("a flush had a turn without a transaction".to_owned()));
        };
        open.asks(Some((flush.gate.clone(), flush.kind)));
        // Of the first one the transaction itself is the savepoint: SQLite keeps no second copy of what is written
        // in it.
        let is_first = group.gates.is_empty();
        let made = in_savepoint(&mut open.connection, flush, is_first).await;
        open.asks(None);
        open.connection.lift_limit();
        let goes_on = match &made {
            Ok(_) => {
                group.gates.push((flush.gate.clone(), flush.kind));
                true
            }
            Err(_) => {
                open.connection.tell_no_changed_rows()?;
                !is_first
                    && open.connection.batch("ROLLBACK TO mendwright_flush; RELEASE mendwright_flush").await.is_ok()
            }
        };
        if !goes_on {
            // Refused: the others begin again, if there are any.
            group.outcome.send_replace(Some(Outcome::Again));
            self.state.group = None;
            if let Some(open) = &mut self.state.open {
                // It may be gone by itself.
                let _ = open.connection.batch("ROLLBACK").await;
            }
        }
        self.is_whole = true;
        // A statement that the gate ended says only that it was ended.
        made.map_err(|error| match flush.gate.is_not_thrown(flush.kind) {
            Err(halted) if matches!(error, Error::Unavailable { .. }) => halted,
            _ => error,
        })
    }

    fn is_shared(&self) -> bool {
        self.state.group.is_some()
    }

    /// Lets the next one in; what comes of the transaction is waited for.
    fn end(self, writer: &Writer) -> Waits {
        let group = self.state.group.as_ref();
        let (id, outcome, n_waiting) = match group {
            Some(group) => (group.id, group.outcome.subscribe(), Arc::clone(&group.n_waiting)),
            // Nothing is said of it, and so it begins again.
            None => (0, watch::Sender::new(None).subscribe(), Arc::default()),
        };
        n_waiting.fetch_add(1, Ordering::Relaxed);
        Waits { writer: writer.clone(), id, outcome, n_waiting }
    }

    /// Commits for everybody whose changes are in the transaction, and tells them.
    async fn commit(&mut self, flush: &Flush<'_>) -> Result<()> {
        let Some(group) = self.state.group.take() else { return Ok(()) };
        self.is_whole = false;
        let Some(open) = &mut self.state.open else { return Ok(()) };
        if let Err(halted) = pass(&group.gates).await {
            open.connection.batch("ROLLBACK").await?;
            group.outcome.send_replace(Some(Outcome::Again));
            self.is_whole = true;
            return Err(halted);
        }
        let told = Told(group.outcome);
        let committed = match open.connection.commit().await {
            Ok(()) => Ok(()),
            Err(error) => Err(after_commit_failed(&mut open.connection, flush, error).await),
        };
        let outcome = match &committed {
            Ok(()) => Outcome::Committed,
            Err(Error::CommitUnknown) => Outcome::Unknown,
            Err(_) => Outcome::Alone,
        };
        told.0.send_replace(Some(outcome));
        match outcome {
            Outcome::Committed => prune_a_little(&mut open.connection, flush).await,
            // Nobody knows what became of it.
            Outcome::Unknown => self.state.open = None,
            Outcome::Again | Outcome::Alone => {}
        }
        self.is_whole = true;
        committed
    }
}

/// Those who wait while COMMIT is on its way: given up there, it may arrive.
struct Told(watch::Sender<Option<Outcome>>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.send_if_modified(|told| told.is_none() && told.replace(Outcome::Unknown).is_none());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            self.state.end();
        }
    }
}

impl State {
    /// Gives the connection up, and with it what is not committed: whoever waits begins again.
    fn end(&mut self) {
        self.open = None;
        self.group = None;
    }
}

/// A flush whose turn is over and whose transaction is not. Given up by everybody, it is rolled back.
struct Waits {
    writer: Writer,
    id: u64,
    outcome: watch::Receiver<Option<Outcome>>,
    n_waiting: Arc<AtomicUsize>,
}

impl Waits {
    async fn outcome(mut self, flush: &Flush<'_>) -> Outcome {
        loop {
            tokio::select! {
                biased;
                told = told(&mut self.outcome) => return told,
                state = self.writer.0.lock() => {
                    let mut turn = Turn::of(state);
                    if turn.state.group.as_ref().is_some_and(|group| group.id == self.id) {
                        // What comes of it is told to all, to this one too.
                        let _ = turn.commit(flush).await;
                    }
                }
            }
        }
    }
}

/// The end of a transaction; one that was given up is begun again.
async fn told(outcome: &mut watch::Receiver<Option<Outcome>>) -> Outcome {
    outcome.wait_for(Option::is_some).await.ok().and_then(|told| *told).unwrap_or(Outcome::Again)
}

impl Drop for Waits {
    fn drop(&mut self) {
        if self.n_waiting.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        // Somebody who has it in hand commits it.
        let Ok(mut state) = self.writer.0.try_lock() else { return };
        if state.group.as_ref().is_some_and(|group| group.id == self.id) {
            state.end();
        }
    }
}

impl Open {
    async fn new(target: &Target, file: Option<FileId>) -> Result<Self> {
        let mut connection = Connection::open(target, Role::Write).await?;
        let asks: Arc<Slot<Option<(Gate, Kind)>>> = Arc::default();
        let asked = Arc::clone(&asks);
        let is_thrown = move || {
            let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.as_ref().is_some_and(|(gate, kind)| gate.is_not_thrown(*kind).is_err())
        };
        connection.file()?.end_when(is_thrown)?;
        Ok(Self { connection, file, asks })
    }

    fn asks(&self, gate: Option<(Gate, Kind)>) {
        *self.asks.lock().unwrap_or_else(PoisonError::into_inner) = gate;
    }
}

async fn in_savepoint(connection: &mut Connection, flush: &Flush<'_>, is_first: bool) -> Result<Flushed> {
    connection.limit_statements(flush.target.statement_timeout).await?;
    if !is_first {
        connection.batch("SAVEPOINT mendwright_flush").await?;
    }
    let fence = Fence::new(flush.tenant, flush.id.run, flush.attempt, relations(flush.groups));
    let flushed = inside(connection, flush, &fence).await?;
    reached(Point::BeforeCommit);
    flush.gate.pass(flush.kind).await?;
    if !is_first {
        connection.batch("RELEASE mendwright_flush").await?;
    }
    Ok(flushed)
}

/// Right before COMMIT: every gate, each once.
async fn pass(gates: &[(Gate, Kind)]) -> Result<()> {
    for (n, (gate, kind)) in gates.iter().enumerate() {
        let is_same = |(other, its): &(Gate, Kind)| its == kind && other.is(gate);
        if !gates.iter().take(n).any(is_same) {
            gate.pass(*kind).await?;
        }
    }
    Ok(())
}

pub(crate) fn file_id(target: &Target) -> Option<FileId> {
    let found = std::fs::metadata(sqlite_path(&target.url)).ok()?;
    Some((found.dev(), found.ino()))
}
