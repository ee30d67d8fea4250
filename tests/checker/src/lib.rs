//! Looks at what a workload of counters left behind, and says what is wrong with it.
//!
//! **Invariant**: it knows the tables, the words and the formats that are documented, and none of the
//! host's code: what both got wrong in the same way it would not see.
//!
//! In reading order: [`Scene`], what there is to look at; [`check`], all of it; `books`: each row of the
//! application against the journal and against what the application's own trigger saw; `runs`: states,
//! events, leases, keys, and what was promised to clients; `log`: the audit log, hashed again from its
//! entries, and its checkpoints' signatures; `locks`: what is still held; `sql`: both engines alike.

mod books;
mod locks;
mod log;
mod runs;
mod sql;

use std::collections::BTreeMap;

pub use log::LogKey;
pub use sql::{Db, Engine};

/// What a client was told, and what must therefore be true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// Idempotency key → the run that the host gave for it.
    pub begun: BTreeMap<String, i64>,
    /// Runs that were said to be applied.
    pub applied: Vec<i64>,
    /// Runs that were said to be undone.
    pub undone: Vec<i64>,
}

/// Everything that is looked at.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What the audit log is signed with.
    pub key: LogKey,
    /// The application's tables of counters.
    pub tables: Vec<String>,
    /// What each counter had at first.
    pub first: i64,
    /// What clients were told.
    pub promises: Promises,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Runs.
    pub runs: usize,
    /// Runs that a target holds a flush of.
    pub applied: usize,
    /// Flushes, undos among them.
    pub commits: usize,
    /// Rows that were changed, as often as they were.
    pub changes: usize,
    /// Entries of the audit log.
    pub entries: usize,
}

/// Looks at everything, and gives what is wrong; nothing is what it should give. No host may run
/// meanwhile.
///
/// # Errors
/// A database does not answer, or has other tables than this knows.
pub async fn check(scene: &Scene, control: &mut Db, target: &mut Db) -> anyhow::Result<(Seen, Vec<String>)> {
    let mut wrong = Vec::new();
    let commits = books::commits(target).await?;
    let changes = books::check(scene, target, &commits, &mut wrong).await?;
    let (runs, applied) = runs::check(scene, control, target, &commits, &mut wrong).await?;
    let entries = log::check(scene, control, &commits, &mut wrong).await?;
    wrong.sort();
    wrong.dedup();
    Ok((Seen { runs, applied, commits: commits.len(), changes, entries }, wrong))
}

/// What is still held, of both databases: anything would hinder the next host or the application.
///
/// # Errors
/// A database does not answer.
pub async fn held(scene: &Scene, control: &mut Db, target: &mut Db) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    locks::control(control, &mut wrong).await?;
    locks::target(scene, target, &mut wrong).await?;
    Ok(wrong)
}
