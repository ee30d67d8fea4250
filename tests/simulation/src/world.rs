//! Everything that hosts share, and what people and the application do to it.

use mendwright_core::change::Action;
use mendwright_core::commitment::Bound;
use mendwright_core::plan::bound::root;
use mendwright_core::plan::{BoundChange, Digest};
use mendwright_core::run::{Event, State};
use mendwright_core::task::Task;
use mendwright_core::value::Value;

use crate::Mutation;
use crate::choices::Choices;
use crate::control::{Control, Job, Lease, Plan, Step};
use crate::monitor::Monitor;
use crate::target::{Target, Write};

/// 2025-11-20, in microseconds.
pub const START_US: i64 = 1_763_608_329_000_000;

/// How long a plan waits.
pub const PLAN_US: i64 = 8 * 3_600 * 1_000_000;

/// Rows of the tenant.
const ROWS: i64 = 5;

/// Runs that are begun, at most.
const RUNS_MAX: usize = 3;

/// A host, as far as others see it.
#[derive(Clone, Debug, Default)]
pub struct HostState {
    /// How wrong its clock is.
    pub offset_us: i64,
    /// When it asked for the switches last, and whether one was thrown.
    pub heard: Option<(i64, bool)>,
    /// The run that it works on.
    pub lease: Option<Lease>,
    /// When it renewed that.
    pub renewed_us: i64,
    /// Until when it stands still.
    pub stopped: bool,
}

/// Everything.
#[derive(Debug)]
pub struct World {
    /// Now, truly: the databases' clock.
    pub now_us: i64,
    /// Where everything is decided.
    pub choices: Choices,
    /// The control store.
    pub control: Control,
    /// The target.
    pub target: Target,
    /// Hosts.
    pub hosts: Vec<HostState>,
    /// Whether the control store answers.
    pub control_is_up: bool,
    /// Whether the target answers.
    pub target_is_up: bool,
    /// Whether nothing breaks any more.
    pub is_quiet: bool,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
    /// Who watches.
    pub monitor: Monitor,
    /// What happened, where somebody wants to read it.
    pub trace: Option<Vec<String>>,
}

impl World {
    /// A new one.
    #[must_use]
    pub fn new(choices: Choices, mutation: Option<Mutation>, n_hosts: usize, is_traced: bool) -> Self {
        let mut target = Target::default();
        target.kept.rows = (1..=ROWS).map(|key| (key, 2 * key + 1)).collect();
        target.ignores_the_fence = mutation == Some(Mutation::IgnoresTheFence);
        target.forgives_losses = mutation == Some(Mutation::ForgivesLosses);
        target.applies_again = mutation == Some(Mutation::AppliesAgain);
        let mut control = Control::default();
        control.leases_are_for_ever = mutation == Some(Mutation::LeasesAreForEver);
        Self {
            now_us: START_US,
            choices,
            control,
            target,
            hosts: vec![HostState::default(); n_hosts],
            control_is_up: true,
            target_is_up: true,
            is_quiet: false,
            mutation,
            monitor: Monitor::default(),
            trace: is_traced.then(Vec::new),
        }
    }

    /// Whether this is broken on purpose.
    #[must_use]
    pub fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// Something for people to read.
    pub fn say(&mut self, what: impl FnOnce() -> String) {
        let at_ms = (self.now_us - START_US) / 1_000;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{at_ms:>8} ms  {}", what()));
        }
    }

    /// A fault that comes about once in `n` times.
    pub fn breaks(&mut self, n: u32) -> bool {
        !self.is_quiet && self.choices.one_in(n)
    }

    /// COMMITs that are on their way arrive.
    pub fn deliver(&mut self) {
        let before = self.target.kept.clone();
        if let Some(tx) = self.target.deliver() {
            let Self { monitor, target, .. } = self;
            monitor.committed(&tx, &before, &target.kept);
            self.say(|| format!("the target commits {:?} of attempt {}", tx.id, tx.attempt));
        }
    }

    /// The application writes a row: as it was before somebody changed it, or anew.
    pub fn application_writes(&mut self) {
        let key = i64::from(self.choices.below(u32::try_from(ROWS).unwrap_or(1))) + 1;
        let value = match self.choices.below(3) {
            0 => 2 * key + 1,
            n => 100 + i64::from(n) + 2 * i64::from(self.choices.below(50)),
        };
        if self.target_is_up && !self.target.is_locked(key, None) {
            self.target.kept.rows.insert(key, value);
            self.monitor.application_wrote(key);
            self.say(|| format!("the application sets row {key} to {value}"));
        }
    }

    /// The target is set back to a backup of before its last commit.
    pub fn restore_backup(&mut self) {
        self.target.end(|_| true);
        let Some((id, kept)) = self.monitor.backup() else { return };
        self.target.kept = kept;
        let is_worked_on = self.hosts.iter().any(|host| host.lease.is_some_and(|lease| lease.run == id.run));
        self.monitor.lost(id, self.control.run(id.run).ok(), is_worked_on);
        self.say(|| format!("the target is set back to before {id:?}"));
    }

    /// A person does something.
    pub fn person_acts(&mut self) {
        if !self.control_is_up {
            return;
        }
        let now_us = self.now_us;
        if self.control.rows().count() < RUNS_MAX && self.choices.below(3) == 0 || self.control.rows().count() == 0 {
            let job = match self.choices.below(4) {
                0 => Job::default(),
                1 => Job { needed: 2, ..Job::default() },
                2 => Job { needed: 1, independent: true, ..Job::default() },
                _ => Job { batch: Some(2), ..Job::default() },
            };
            let run = self.control.enqueue(job, now_us);
            self.say(|| format!("somebody begins #{run}: {job:?}"));
            return;
        }
        let rows: Vec<u64> = self.control.rows().map(|row| row.run).collect();
        let Some(Ok(row)) = self.choices.pick(&rows).map(|run| self.control.run(run).cloned()) else { return };
        let digest = row.plan.as_ref().map(|plan| plan.digest);
        let act = match row.state {
            // What a person would do who wants it to go on, more often than not.
            State::Planned | State::Approved if self.choices.below(3) < 2 => 0,
            State::AwaitingApproval if self.choices.below(3) < 2 => 3,
            State::Succeeded | State::RolledBack if self.choices.below(3) == 0 => 7,
            _ => self.choices.below(10),
        };
        match act {
            0..=2 if matches!(row.state, State::Planned | State::Approved) => {
                let asked = self.control.ask(row.run, row.state, Task::Apply, digest, now_us);
                self.say(|| format!("somebody asks to apply #{}: {asked:?}", row.run));
            }
            3..=5 if row.plan.is_some() => {
                let person = self.choices.below(3);
                let _ = self.control.vote(row.run, person, true, now_us);
                self.say(|| format!("person {person} approves #{}", row.run));
            }
            6 => {
                let _ = self.control.vote(row.run, self.choices.below(3), false, now_us);
                self.say(|| format!("an approval of #{} is withdrawn", row.run));
            }
            7 | 8 if matches!(row.state, State::Succeeded | State::RolledBack | State::Stuck) => {
                let asked = self.control.ask(row.run, row.state, Task::Undo, digest, now_us);
                self.monitor.asked_to_undo(row.run);
                self.say(|| format!("somebody asks to undo #{}: {asked:?}", row.run));
            }
            9 if row.state.apply(Event::PersonCancelled).is_ok() => {
                let _ = self.control.step(row.run, Step::new(row.state, Event::PersonCancelled), now_us);
                self.say(|| format!("somebody cancels #{}", row.run));
            }
            _ => {}
        }
    }

    /// Somebody throws the kill switch, or puts it back.
    pub fn switch(&mut self) {
        if self.control.kill_since_us.take().is_none() {
            self.control.kill_since_us = Some(self.now_us);
            self.control.cancel_pending(self.now_us);
        }
        let since = self.control.kill_since_us;
        self.say(|| format!("the kill switch: {}", if since.is_some() { "thrown" } else { "put back" }));
    }
}

/// What the job wants of these rows: an odd value is one too low.
#[must_use]
pub fn wanted(rows: &std::collections::BTreeMap<i64, i64>) -> Vec<Write> {
    let odd = rows.iter().filter(|(_, value)| **value % 2 != 0);
    odd.map(|(key, value)| Write { key: *key, before: *value, after: value + 1 }).collect()
}

/// A change as a plan binds it.
#[must_use]
pub fn bound(write: &Write) -> BoundChange {
    let cell = |value| [("total".to_owned(), Bound::Shown(Value::Integer(value)))].into();
    BoundChange {
        resource: "invoices".to_owned(),
        key: vec![Bound::Shown(Value::Integer(write.key))],
        action: Action::Update,
        before: cell(write.before),
        after: cell(write.after),
        reason: String::new(),
    }
}

/// The write that a bound change is.
#[must_use]
pub fn unbound(change: &BoundChange) -> Option<Write> {
    let integer = |bound: Option<&Bound>| match bound.and_then(Bound::shown) {
        Some(Value::Integer(value)) => Some(*value),
        _ => None,
    };
    let (before, after) = (integer(change.before.get("total"))?, integer(change.after.get("total"))?);
    Some(Write { key: integer(change.key.first())?, before, after })
}

/// A plan of these changes for a run.
#[must_use]
pub fn plan(run: u64, writes: &[Write]) -> Plan {
    let mut changes: Vec<BoundChange> = writes.iter().map(bound).collect();
    changes.sort_by(BoundChange::order);
    let mut bytes = run.to_be_bytes().to_vec();
    bytes.extend(root(&changes));
    Plan { digest: Digest::of(&bytes), changes }
}
