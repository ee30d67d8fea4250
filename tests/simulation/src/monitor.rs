//! Who watches: what has to hold whatever happens. It sees what people and the target see, and asks no host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use mendwright_core::gate::{FRESH, Kind};
use mendwright_core::plan::Digest;
use mendwright_core::run::State;

use crate::control::{Control, Fail, Row};
use crate::target::{FlushId, Kept, Target, Tx, Write};
use crate::world::unbound;

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// The target commits only what policy and people let apply, and exactly that.
    NoWriteWithoutGrant,
    /// The target holds the row as it was before for each row that it commits.
    NoWriteWithoutBeforeImage,
    /// Of an attempt that was taken over the target commits nothing, and nobody writes as another's attempt.
    NoWriteAfterFence,
    /// Each transaction of a run is committed once at most.
    AppliedAtMostOnce,
    /// When nothing breaks any more every run comes to an end, or waits for a person who has to look.
    EveryRunEnds,
    /// After an undo each row is as it was before, unless somebody changed it since: then it stays.
    RollbackRestores,
    /// No COMMIT of an apply is sent later than 100 ms after the kill switch was thrown.
    NoCommitSentAfterSwitch,
    /// A run whose commit the target lost before it was read back is never one that succeeded.
    DivergenceIsNoticed,
    /// Where a run is over, the control store says of it what the target holds.
    ControlFollowsTarget,
    /// A run whose rows were found not to be as planned is never one that succeeded.
    SucceededMeansVerified,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: Property,
    /// In which way.
    pub what: String,
}

/// The watcher.
#[derive(Debug, Default)]
pub struct Monitor {
    /// The first property that did not hold.
    pub violation: Option<Violation>,
    granted: BTreeMap<u64, (Digest, Vec<Write>)>,
    undo_asked: BTreeSet<u64>,
    found_wrong: BTreeSet<u64>,
    claimed: BTreeMap<(u64, u64), usize>,
    taken_over: BTreeMap<u64, u64>,
    committed: BTreeMap<FlushId, u32>,
    backups: Vec<(FlushId, Kept)>,
    read_back: BTreeSet<u64>,
    /// Runs of which the target lost something, and the state that would deny it.
    lost: BTreeMap<u64, Option<State>>,
    /// When the application wrote each row last, counted in commits and writes.
    wrote: BTreeMap<i64, u64>,
    since: BTreeMap<FlushId, u64>,
    events: u64,
}

impl Monitor {
    /// A property did not hold.
    pub fn violated(&mut self, property: Property, what: String) {
        self.violation.get_or_insert(Violation { property, what });
    }

    /// The control store commits *applying*. Seen with the watcher's own eyes: the votes, the switch.
    pub fn apply_began(&mut self, before: &Row, is_halted: bool) {
        if before.votes.len() < usize::try_from(before.job.needed).unwrap_or(usize::MAX) || is_halted {
            self.violated(Property::NoWriteWithoutGrant, format!("#{} began with {:?}", before.run, before.votes));
        }
        if let Some(plan) = &before.plan {
            let writes = plan.changes.iter().filter_map(unbound).collect();
            self.granted.insert(before.run, (plan.digest, writes));
        }
    }

    /// A person asks for an undo.
    pub fn asked_to_undo(&mut self, run: u64) {
        self.undo_asked.insert(run);
        // Whatever it is afterwards, a person wanted it.
        self.found_wrong.remove(&run);
    }

    /// A host found rows that are not as planned.
    pub fn found_wrong(&mut self, run: u64) {
        self.found_wrong.insert(run);
    }

    /// A host claims a run.
    pub fn claimed(&mut self, run: u64, attempt: u64, host: usize) {
        self.claimed.insert((run, attempt), host);
    }

    /// A host writes as this attempt of a run.
    pub fn wrote_as(&mut self, run: u64, attempt: u64, host: usize) {
        let claimed = self.claimed.get(&(run, attempt)).copied();
        if claimed != Some(host) {
            let what = format!("host {host} writes #{run} as attempt {attempt}, which is of host {claimed:?}");
            self.violated(Property::NoWriteAfterFence, what);
        }
    }

    /// A host reads a run's rows back.
    pub fn read_back(&mut self, run: u64) {
        self.read_back.insert(run);
    }

    /// A host took a run over, and the target said yes.
    pub fn took_over(&mut self, run: u64, attempt: u64) {
        let highest = self.taken_over.entry(run).or_default();
        *highest = attempt.max(*highest);
    }

    /// The application wrote a row.
    pub fn application_wrote(&mut self, key: i64) {
        self.events += 1;
        self.wrote.insert(key, self.events);
    }

    /// A host sends COMMIT.
    pub fn sent(&mut self, kind: Kind, kill_since_us: Option<i64>, now_us: i64) {
        let Some(since_us) = kill_since_us.filter(|_| kind == Kind::Apply) else { return };
        let late_us = now_us - since_us;
        if late_us > i64::try_from(FRESH.as_micros()).unwrap_or(i64::MAX) {
            self.violated(Property::NoCommitSentAfterSwitch, format!("{late_us} µs after the throw"));
        }
    }

    /// The target commits.
    pub fn committed(&mut self, tx: &Tx, before: &Kept, after: &Kept) {
        self.events += 1;
        self.backups.push((tx.id, before.clone()));
        if self.taken_over.get(&tx.id.run).is_some_and(|highest| *highest > tx.attempt) {
            self.violated(Property::NoWriteAfterFence, format!("{:?} of attempt {}", tx.id, tx.attempt));
        }
        let n = self.committed.entry(tx.id).or_default();
        *n += 1;
        if *n > 1 {
            self.violated(Property::AppliedAtMostOnce, format!("{:?} was committed again", tx.id));
        }
        match tx.kind {
            Kind::Apply => self.apply_committed(tx),
            Kind::Rollback => self.undo_committed(tx, before, after),
        }
        let journal = after.commits.get(&tx.id).and_then(|commit| commit.journal.clone()).unwrap_or_default();
        for write in &tx.writes {
            let image = journal.iter().find(|entry| entry.key == write.key).map(|entry| entry.before);
            if image.is_none() || image != before.rows.get(&write.key).copied() {
                let what = format!("row {} of {:?}: {image:?}", write.key, tx.id);
                let overwritten = tx.kind == Kind::Rollback && image.is_some();
                if !overwritten {
                    self.violated(Property::NoWriteWithoutBeforeImage, what);
                }
            }
        }
        self.since.insert(tx.id, self.events);
    }

    fn apply_committed(&mut self, tx: &Tx) {
        let granted = self.granted.get(&tx.id.run);
        let is_granted = granted
            .is_some_and(|(digest, writes)| *digest == tx.digest && tx.writes.iter().all(|w| writes.contains(w)));
        if !is_granted {
            self.violated(Property::NoWriteWithoutGrant, format!("{:?} wrote {:?}", tx.id, tx.writes));
        }
    }

    fn undo_committed(&mut self, tx: &Tx, before: &Kept, after: &Kept) {
        let FlushId { run, generation, .. } = tx.id;
        let asked = self.undo_asked.contains(&run) || self.found_wrong.contains(&run);
        if !asked && generation > 1 {
            self.violated(Property::NoWriteWithoutGrant, format!("nobody asked for {:?}", tx.id));
        }
        let undone = before.commits.iter().filter(|(id, _)| id.run == run && id.generation + 1 == generation);
        let undone: Vec<(FlushId, Write)> =
            undone.flat_map(|(id, commit)| commit.journal.iter().flatten().map(|write| (*id, *write))).collect();
        for (id, write) in undone {
            let wrote = self.wrote.get(&write.key).copied().unwrap_or(0);
            let is_touched = wrote > self.since.get(&id).copied().unwrap_or(0);
            let (was, is) = (before.rows.get(&write.key), after.rows.get(&write.key));
            let is_others = is_touched && was != Some(&write.after);
            if is_others && is != was {
                let what = format!("row {} of somebody else was overwritten", write.key);
                self.violated(Property::RollbackRestores, what);
            }
            let was_written = tx.writes.iter().any(|undo| undo.key == write.key);
            if was_written && !is_others && is != Some(&write.before) {
                self.violated(Property::RollbackRestores, format!("row {} is not as before", write.key));
            }
        }
    }

    /// What the target held before its last commit.
    pub fn backup(&mut self) -> Option<(FlushId, Kept)> {
        self.backups.pop()
    }

    /// The target lost a commit.
    pub fn lost(&mut self, id: FlushId, row: Option<&Row>, is_worked_on: bool) {
        self.committed.remove(&id);
        self.taken_over.remove(&id.run);
        let is_first = !self.lost.contains_key(&id.run);
        let unread = |row: &Row| id.generation == 0 && !self.read_back.contains(&row.run);
        // Whoever is at it may give up just now, as if the loss had come right afterwards.
        let undone = |row: &Row| is_first && !is_worked_on && id.generation == row.generation && row.was_applied;
        let must_be_noticed = |row: &&Row| {
            (row.state == State::Verifying && unread(row)) || (row.state == State::RollingBack && undone(row))
        };
        // What remains of a plan may be restored, and then is; what remains of an undo is no undo.
        let denies = if id.generation.is_multiple_of(2) { State::Succeeded } else { State::RolledBack };
        let denied_by = row.filter(must_be_noticed).map(|_| denies);
        let known = self.lost.entry(id.run).or_default();
        *known = known.or(denied_by);
    }

    /// Everything is over.
    pub fn over(&mut self, control: &Control, target: &Target) {
        for row in control.rows() {
            let at = format!("#{} is {}", row.run, row.state);
            if row.state.waits_for().is_some() && !row.state.is_a_persons() {
                self.violated(Property::EveryRunEnds, at.clone());
            }
            let lost = self.lost.get(&row.run).copied();
            if lost.flatten() == Some(row.state) {
                self.violated(Property::DivergenceIsNoticed, format!("{at}, and the target lost it"));
            }
            if row.state == State::Succeeded && self.found_wrong.contains(&row.run) {
                self.violated(Property::SucceededMeansVerified, at.clone());
            }
            if lost.is_none() && !row.state.is_a_persons() {
                self.follows(row, target, &at);
            }
        }
    }

    fn follows(&mut self, row: &Row, target: &Target, at: &str) {
        let n = row.plan.as_ref().map_or(0, |plan| plan.changes.len());
        let (batches, changes) = target.prefix(row.run, 0);
        let is_whole = usize::try_from(changes) == Ok(n);
        let mut generations = 0;
        while target.prefix(row.run, generations + 1).0 > 0 {
            generations += 1;
        }
        let follows = match row.state {
            State::Succeeded => is_whole && batches > 0 && generations.is_multiple_of(2),
            State::RolledBack => batches > 0 && !generations.is_multiple_of(2),
            _ => batches == 0,
        };
        if !follows {
            let what = format!("{at}; the target holds {changes} of {n} rows and {generations} undos");
            self.violated(Property::ControlFollowsTarget, what);
        }
    }
}

/// How an answer of the control store is told.
#[must_use]
pub fn told<T>(answer: &Result<T, Fail>) -> String {
    answer.as_ref().err().map_or_else(|| "done".to_owned(), |fail| format!("{fail:?}"))
}
