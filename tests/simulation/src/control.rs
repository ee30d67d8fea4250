//! The control store as a small model: what its statements do to a run's row. `tests/differential.rs` holds
//! it against the real store on SQLite.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::code::Code;
use mendwright_core::plan::{BoundChange, Digest};
use mendwright_core::run::{Event, State};
use mendwright_core::task::Task;

/// As the store has it.
pub const LEASE_US: i64 = 15_000_000;

/// As the store has it.
pub const RENEW_US: i64 = 5_000_000;

/// Why the control store did not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fail {
    /// It does not answer; it may have done it.
    Lost,
    /// Somebody took the run over.
    Fenced,
    /// The run is in another state.
    Overtaken,
    /// The event cannot happen in that state.
    Illegal,
    /// Somebody works on it.
    Leased,
    /// Somebody asked for another state.
    Moved,
    /// There is no such run.
    Unknown,
    /// Policy says no.
    Denied,
    /// A rule of the schema forbids it: what is in flight keeps its task.
    Rule,
}

/// A plan as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What people saw.
    pub changes: Vec<BoundChange>,
    /// What they approve.
    pub digest: Digest,
}

/// What a job is, for one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// People who have to approve its plans.
    pub needed: u32,
    /// Rows of a transaction; none where a plan is one.
    pub batch: Option<usize>,
    /// Whether its changes stand alone.
    pub independent: bool,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number.
    pub run: u64,
    /// Its job.
    pub job: Job,
    /// Where it stands.
    pub state: State,
    /// The fencing token.
    pub attempt: u64,
    /// What is to be done with it.
    pub task: Option<Task>,
    /// The digest that somebody confirmed.
    pub confirm: Option<Digest>,
    /// Not before this time.
    pub due_us: Option<i64>,
    /// How often it was put off.
    pub tries: u64,
    /// Who works on it, and until when.
    pub lease: Option<(usize, i64)>,
    /// Undos that the target holds.
    pub generation: u64,
    /// Why it is where it is.
    pub outcome: Option<Code>,
    /// Whether the target committed it.
    pub was_applied: bool,
    /// Until when it may be applied.
    pub expires_us: i64,
    /// The plan.
    pub plan: Option<Plan>,
    /// Who approves it.
    pub votes: BTreeSet<u32>,
}

/// The right to work on a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The run.
    pub run: u64,
    /// The fencing token.
    pub attempt: u64,
    /// Who has it.
    pub owner: usize,
}

/// One step of a run.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What the caller believes.
    pub expected: State,
    /// What happened.
    pub event: Event,
    /// The caller's attempt.
    pub attempt: Option<u64>,
    /// Why.
    pub outcome: Option<Code>,
    /// Again, not before so much time has passed.
    pub again_in_us: Option<i64>,
}

impl Step {
    /// A step and nothing more.
    #[must_use]
    pub const fn new(expected: State, event: Event) -> Self {
        Self { expected, event, attempt: None, outcome: None, again_in_us: None }
    }

    /// In this attempt only.
    #[must_use]
    pub const fn attempt(mut self, attempt: u64) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Why.
    #[must_use]
    pub const fn outcome(mut self, code: Code) -> Self {
        self.outcome = Some(code);
        self
    }
}

/// The control store.
#[derive(Clone, Debug, Default)]
pub struct Control {
    rows: BTreeMap<u64, Row>,
    /// Since when the kill switch is thrown.
    pub kill_since_us: Option<i64>,
    /// Broken on purpose: leases never run out.
    pub leases_are_for_ever: bool,
}

impl Control {
    /// Every run.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// One run.
    ///
    /// # Errors
    /// [`Fail::Unknown`].
    pub fn run(&self, run: u64) -> Result<&Row, Fail> {
        self.rows.get(&run).ok_or(Fail::Unknown)
    }

    fn row(&mut self, run: u64) -> Result<&mut Row, Fail> {
        self.rows.get_mut(&run).ok_or(Fail::Unknown)
    }

    fn is_free(&self, row: &Row, now_us: i64) -> bool {
        row.lease.is_none_or(|(_, until_us)| until_us <= now_us && !self.leases_are_for_ever)
    }

    /// A run that the first free worker plans.
    pub fn enqueue(&mut self, job: Job, now_us: i64) -> u64 {
        let run = u64::try_from(self.rows.len()).unwrap_or(0) + 1;
        let row = Row {
            run,
            job,
            state: State::Planning,
            attempt: 0,
            task: Some(Task::Plan),
            confirm: None,
            due_us: Some(now_us),
            tries: 0,
            lease: None,
            generation: 0,
            outcome: None,
            was_applied: false,
            expires_us: i64::MAX,
            plan: None,
            votes: BTreeSet::new(),
        };
        self.rows.insert(run, row);
        run
    }

    /// Takes a run, whatever its state.
    ///
    /// # Errors
    /// [`Fail::Leased`], [`Fail::Unknown`].
    pub fn claim(&mut self, run: u64, owner: usize, now_us: i64) -> Result<Lease, Fail> {
        if !self.is_free(self.run(run)?, now_us) {
            return Err(Fail::Leased);
        }
        let row = self.row(run)?;
        row.attempt += 1;
        row.lease = Some((owner, now_us + LEASE_US));
        Ok(Lease { run, attempt: row.attempt, owner })
    }

    /// Takes the run that is due and waits longest.
    pub fn claim_due(&mut self, owner: usize, now_us: i64) -> Option<(Row, Lease)> {
        let due = self.rows.values().filter(|row| row.task.is_some() && self.is_free(row, now_us));
        let due = due.filter_map(|row| row.due_us.filter(|at| *at <= now_us).map(|at| (at, row.run)));
        let run = due.min()?.1;
        let lease = self.claim(run, owner, now_us).ok()?;
        Some((self.rows.get(&run)?.clone(), lease))
    }

    /// The row of a lease, while it is held.
    fn held(&mut self, lease: Lease) -> Result<&mut Row, Fail> {
        let row = self.row(lease.run)?;
        let is_held = row.attempt == lease.attempt && row.lease.is_some_and(|(owner, _)| owner == lease.owner);
        if is_held { Ok(row) } else { Err(Fail::Fenced) }
    }

    /// Says that somebody still works on a run.
    ///
    /// # Errors
    /// [`Fail::Fenced`].
    pub fn renew(&mut self, lease: Lease, now_us: i64) -> Result<(), Fail> {
        self.held(lease)?.lease = Some((lease.owner, now_us + LEASE_US));
        Ok(())
    }

    /// Lets the next host have it.
    pub fn release(&mut self, lease: Lease) {
        if let Ok(row) = self.held(lease) {
            row.lease = None;
        }
    }

    /// It is due again later.
    ///
    /// # Errors
    /// [`Fail::Fenced`].
    pub fn put_off(&mut self, lease: Lease, after_us: i64, now_us: i64) -> Result<(), Fail> {
        let row = self.held(lease)?;
        if row.task.is_none() {
            return Err(Fail::Fenced);
        }
        row.lease = None;
        row.tries += 1;
        row.due_us = Some(now_us + after_us);
        Ok(())
    }

    /// Takes a task back that cannot be done.
    ///
    /// # Errors
    /// [`Fail::Fenced`], [`Fail::Rule`].
    pub fn give_up(&mut self, lease: Lease, code: Code) -> Result<(), Fail> {
        let row = self.held(lease)?;
        if row.state.is_in_flight() {
            return Err(Fail::Rule);
        }
        (row.task, row.confirm, row.due_us, row.tries, row.lease) = (None, None, None, 0, None);
        row.outcome = Some(code);
        Ok(())
    }

    /// Asks for something to be done with a run that stands still.
    ///
    /// # Errors
    /// [`Fail::Leased`], [`Fail::Moved`], [`Fail::Unknown`].
    pub fn ask(&mut self, run: u64, seen: State, task: Task, by: Option<Digest>, now_us: i64) -> Result<(), Fail> {
        let row = self.run(run)?;
        if row.state != seen {
            return Err(Fail::Moved);
        }
        if row.task.is_some() || !self.is_free(row, now_us) {
            return Err(Fail::Leased);
        }
        let row = self.row(run)?;
        (row.task, row.confirm, row.due_us, row.tries) = (Some(task), by, Some(now_us), 0);
        Ok(())
    }

    /// The compare-and-set.
    ///
    /// # Errors
    /// [`Fail::Illegal`], [`Fail::Fenced`], [`Fail::Overtaken`], [`Fail::Unknown`].
    pub fn step(&mut self, run: u64, step: Step, now_us: i64) -> Result<State, Fail> {
        let to = step.expected.apply(step.event).map_err(|_illegal| Fail::Illegal)?;
        let row = self.row(run)?;
        if row.state != step.expected {
            return Err(Fail::Overtaken);
        }
        if step.attempt.is_some_and(|attempt| attempt != row.attempt) {
            return Err(Fail::Fenced);
        }
        let task = Task::of(to);
        row.state = to;
        row.outcome = step.outcome;
        row.was_applied |= step.event == Event::FlushCommitted;
        row.generation += u64::from(matches!(step.event, Event::RollbackCommitted | Event::RedoCommitted));
        if task.is_none() && step.again_in_us.is_none() {
            (row.task, row.confirm, row.due_us, row.tries) = (None, None, None, 0);
        } else {
            row.task = task.or(row.task);
            row.due_us = step.again_in_us.map(|after_us| now_us + after_us).or(row.due_us).or(Some(now_us));
            row.tries += u64::from(step.again_in_us.is_some());
        }
        if task.is_none() {
            row.lease = None;
        }
        Ok(to)
    }

    /// Saves a plan, and moves its run.
    ///
    /// # Errors
    /// [`Fail::Overtaken`] where the run is not planning.
    pub fn save_plan(&mut self, run: u64, plan: Plan, expires_us: i64, now_us: i64) -> Result<State, Fail> {
        if self.run(run)?.state != State::Planning {
            return Err(Fail::Overtaken);
        }
        let event = if plan.changes.is_empty() { Event::NoChangesFound } else { Event::ChangesFound };
        let row = self.row(run)?;
        (row.plan, row.expires_us) = (Some(plan), expires_us);
        self.step(run, Step::new(State::Planning, event), now_us)
    }

    /// A person approves or takes it back, and what follows.
    ///
    /// # Errors
    /// [`Fail::Unknown`].
    pub fn vote(&mut self, run: u64, person: u32, is_yes: bool, now_us: i64) -> Result<(), Fail> {
        let row = self.row(run)?;
        if is_yes {
            row.votes.insert(person);
        } else {
            row.votes.remove(&person);
        }
        let event = match row.state {
            State::AwaitingApproval if row.has_enough() => Event::ApprovalsGiven,
            State::Approved if !row.has_enough() => Event::ApprovalsLost,
            _ => return Ok(()),
        };
        let step = Step::new(row.state, event);
        self.step(run, step, now_us).map(drop)
    }

    /// Commits *applying*, where votes and switches say yes in that very transaction.
    ///
    /// # Errors
    /// [`Fail::Denied`], and as a step.
    pub fn begin_apply(&mut self, run: u64, attempt: u64, asks_nobody: bool, now_us: i64) -> Result<(), Fail> {
        let (row, halted) = (self.run(run)?, self.kill_since_us.is_some());
        let (state, enough) = (row.state, row.has_enough());
        if asks_nobody {
            // As if somebody had approved it.
            let row = self.row(run)?;
            row.state = if row.state == State::AwaitingApproval { State::Approved } else { row.state };
            let state = row.state;
            return self.step(run, Step::new(state, Event::ApplyStarted).attempt(attempt), now_us).map(drop);
        }
        if enough && !halted {
            return self.step(run, Step::new(state, Event::ApplyStarted).attempt(attempt), now_us).map(drop);
        }
        match state {
            State::Approved if !enough => drop(self.step(run, Step::new(state, Event::ApprovalsLost), now_us)?),
            State::Planned if !enough => drop(self.step(run, Step::new(state, Event::ApprovalsAsked), now_us)?),
            _ => {}
        }
        Err(Fail::Denied)
    }

    /// Takes back every apply that was asked for and that nobody has begun.
    pub fn cancel_pending(&mut self, now_us: i64) {
        let pending = |row: &&Row| {
            row.task == Some(Task::Apply)
                && matches!(row.state, State::Planned | State::Approved)
                && self.is_free(row, now_us)
        };
        let pending: Vec<u64> = self.rows.values().filter(pending).map(|row| row.run).collect();
        for run in pending {
            if let Ok(row) = self.row(run) {
                (row.task, row.confirm, row.due_us, row.tries, row.lease) = (None, None, None, 0, None);
                row.outcome = Some(Code::Halted);
            }
        }
    }
}

impl Row {
    /// Whether enough people approve it.
    #[must_use]
    pub fn has_enough(&self) -> bool {
        u32::try_from(self.votes.len()).unwrap_or(u32::MAX) >= self.job.needed
    }
}
