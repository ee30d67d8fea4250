//! A target: rows, transactions with locks, the highest attempts, the keys of used plans, the journal. What
//! the gateway's SQL does there, as far as the properties go.

use std::collections::BTreeMap;

use mendwright_core::code::Code;
use mendwright_core::gate::Kind;
use mendwright_core::plan::Digest;
use mendwright_core::work::FlushEnd;

/// A row that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Its key.
    pub key: i64,
    /// As it has to be.
    pub before: i64,
    /// As it becomes.
    pub after: i64,
}

/// Which flush of which run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlushId {
    /// The run.
    pub run: u64,
    /// 0 the apply, 1 its undo, …
    pub generation: u64,
    /// Which transaction of it.
    pub batch: u32,
}

impl FlushId {
    /// What was committed before it: the batch before, or the flush that it undoes.
    const fn stands_on(self) -> Option<Self> {
        match self {
            Self { batch: 1.., .. } => Some(Self { batch: self.batch - 1, ..self }),
            Self { generation: 1.., .. } => Some(Self { batch: 0, generation: self.generation - 1, ..self }),
            Self { .. } => None,
        }
    }
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Tx {
    /// What for.
    pub id: FlushId,
    /// In which attempt.
    pub attempt: u64,
    /// What was approved.
    pub digest: Digest,
    /// An apply or a way back.
    pub kind: Kind,
    /// What it wrote so far.
    pub writes: Vec<Write>,
    /// Whether its journal is written too.
    pub is_journaled: bool,
    /// Whether COMMIT was sent.
    pub is_sent: bool,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Open,
    /// It is committed.
    Committed,
    /// It is gone.
    Aborted,
}

/// A committed flush.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The key that is used up.
    pub digest: Digest,
    /// Its journal; none where it was never written.
    pub journal: Option<Vec<Write>>,
    /// Rows that were written.
    pub n_rows: usize,
}

/// What survives a crash of the target, and what a backup holds.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The tenant's rows.
    pub rows: BTreeMap<i64, i64>,
    /// The highest attempt of each run that was announced.
    pub attempts: BTreeMap<u64, u64>,
    /// What was committed.
    pub commits: BTreeMap<FlushId, Commit>,
}

/// The target.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// What survives.
    pub kept: Kept,
    open: BTreeMap<u64, Tx>,
    fates: BTreeMap<u64, Fate>,
    next: u64,
    /// Broken on purpose: nobody looks at attempts, nobody is ended.
    pub ignores_the_fence: bool,
    /// Broken on purpose: keys and guards are not looked at.
    pub applies_again: bool,
    /// Broken on purpose: what a flush stands on is not looked for.
    pub forgives_losses: bool,
}

impl Target {
    /// Begins a flush: the fence is held, the plan is not used.
    ///
    /// # Errors
    /// A later attempt was announced, another transaction is in the way, or the plan is used.
    pub fn begin(&mut self, tx: Tx) -> Result<u64, FlushEnd> {
        let announced = self.kept.attempts.get(&tx.id.run).copied().unwrap_or(0);
        if !self.ignores_the_fence {
            if announced > tx.attempt {
                return Err(FlushEnd::Refused(Code::FenceLost));
            }
            // One table and one tenant: its fence is held by one flush at a time.
            if !self.open.is_empty() {
                return Err(FlushEnd::Unavailable);
            }
        }
        let uses =
            |(id, commit): (&FlushId, &Commit)| id.batch == tx.id.batch && (commit.digest == tx.digest || *id == tx.id);
        if !self.applies_again && self.kept.commits.iter().any(uses) {
            return Err(FlushEnd::Refused(Code::PlanUsed));
        }
        if !self.forgives_losses && tx.id.stands_on().is_some_and(|before| !self.kept.commits.contains_key(&before)) {
            return Err(FlushEnd::Diverged);
        }
        self.next += 1;
        self.open.insert(self.next, tx);
        self.fates.insert(self.next, Fate::Open);
        Ok(self.next)
    }

    /// Writes a row that still is as it was.
    ///
    /// # Errors
    /// It is not, it is locked, or the transaction is gone.
    pub fn write(&mut self, tx: u64, write: Write, overwrites: bool) -> Result<(), FlushEnd> {
        if self.is_locked(write.key, Some(tx)) {
            self.abort(tx);
            return Err(FlushEnd::Unavailable);
        }
        let is_as_was = self.kept.rows.get(&write.key) == Some(&write.before) || overwrites || self.applies_again;
        let open = self.open.get_mut(&tx).ok_or(FlushEnd::Unavailable)?;
        if !is_as_was {
            self.abort(tx);
            return Err(FlushEnd::Drifted);
        }
        open.writes.push(write);
        Ok(())
    }

    /// Writes the journal of what was written.
    ///
    /// # Errors
    /// The transaction is gone.
    pub fn journal(&mut self, tx: u64) -> Result<(), FlushEnd> {
        self.open.get_mut(&tx).ok_or(FlushEnd::Unavailable)?.is_journaled = true;
        Ok(())
    }

    /// Sends COMMIT; [`Target::deliver`] is when it arrives.
    ///
    /// # Errors
    /// The transaction is gone.
    pub fn send_commit(&mut self, tx: u64) -> Result<(), FlushEnd> {
        self.open.get_mut(&tx).ok_or(FlushEnd::Unavailable)?.is_sent = true;
        Ok(())
    }

    /// The first COMMIT that is on its way arrives. Gives what it was about.
    pub fn deliver(&mut self) -> Option<Tx> {
        let id = *self.open.iter().find(|(_, tx)| tx.is_sent)?.0;
        let tx = self.open.remove(&id)?;
        for write in &tx.writes {
            self.kept.rows.insert(write.key, write.after);
        }
        let highest = self.kept.attempts.entry(tx.id.run).or_default();
        *highest = tx.attempt.max(*highest);
        let journal = tx.is_journaled.then(|| tx.writes.clone());
        let commit = Commit { digest: tx.digest, journal, n_rows: tx.writes.len() };
        self.kept.commits.insert(tx.id, commit);
        self.fates.insert(id, Fate::Committed);
        Some(tx)
    }

    /// What became of it.
    #[must_use]
    pub fn fate(&self, tx: u64) -> Fate {
        self.fates.get(&tx).copied().unwrap_or(Fate::Aborted)
    }

    /// It never was.
    pub fn abort(&mut self, tx: u64) {
        if self.open.remove(&tx).is_some() {
            self.fates.insert(tx, Fate::Aborted);
        }
    }

    /// Ends the former attempts of a run, and announces this one.
    ///
    /// # Errors
    /// A later attempt was announced.
    pub fn take_over(&mut self, run: u64, attempt: u64) -> Result<(), FlushEnd> {
        let announced = self.kept.attempts.entry(run).or_default();
        if *announced > attempt {
            return Err(FlushEnd::Refused(Code::FenceLost));
        }
        *announced = attempt;
        if !self.ignores_the_fence {
            self.end(|tx| tx.id.run == run && tx.attempt <= attempt);
        }
        Ok(())
    }

    /// Ends transactions: a restarted server's, or those whose connection is gone.
    pub fn end(&mut self, which: impl Fn(&Tx) -> bool) {
        let ended: Vec<u64> = self.open.iter().filter(|(_, tx)| which(tx)).map(|(id, _)| *id).collect();
        ended.into_iter().for_each(|id| self.abort(id));
    }

    /// Whether a transaction other than `own` wrote the row.
    #[must_use]
    pub fn is_locked(&self, key: i64, own: Option<u64>) -> bool {
        self.open.iter().any(|(id, tx)| Some(*id) != own && tx.writes.iter().any(|write| write.key == key))
    }

    /// Batches and rows that are committed of a generation.
    #[must_use]
    pub fn prefix(&self, run: u64, generation: u64) -> (u32, u64) {
        let mut prefix = (0, 0);
        while let Some(commit) = self.kept.commits.get(&FlushId { run, generation, batch: prefix.0 }) {
            prefix = (prefix.0 + 1, prefix.1 + u64::try_from(commit.n_rows).unwrap_or(0));
        }
        prefix
    }

    /// The journal of a generation.
    ///
    /// # Errors
    /// The target does not hold it.
    pub fn journal_of(&self, run: u64, generation: u64) -> Result<Vec<Write>, FlushEnd> {
        let (batches, _) = self.prefix(run, generation);
        if batches == 0 {
            return Err(FlushEnd::Diverged);
        }
        let ids = (0..batches).map(|batch| FlushId { run, generation, batch });
        let commits = ids.filter_map(|id| self.kept.commits.get(&id));
        Ok(commits.filter_map(|commit| commit.journal.clone()).flatten().collect())
    }
}
