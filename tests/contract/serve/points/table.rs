//! Which points each verb passes, and how often a host dies there. Reviewed by people; held against what
//! hosts really pass.

use mendwright_crash::Point;

/// What is asked of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    DryRun,
    Apply,
    Rollback,
}

pub(super) const VERBS: [Verb; 3] = [Verb::DryRun, Verb::Apply, Verb::Rollback];

/// What it takes to get to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Everybody who does it gets there.
    Plain,
    /// Somebody else holds the rows for longer than a lease goes without being renewed.
    Held,
    /// A host died at that point, and the next one gets there when it looks after what was left.
    After(Point),
}

/// One point.
pub(super) struct Line {
    pub(super) point: Point,
    pub(super) way: Way,
    /// Of a dry run, an apply and a rollback: at how many passes, the first ones, a host dies. None where
    /// the verb does not get there.
    pub(super) deaths: [u32; 3],
}

const fn plain(point: Point, deaths: [u32; 3]) -> Line {
    Line { point, way: Way::Plain, deaths }
}

const fn held(point: Point) -> Line {
    Line { point, way: Way::Held, deaths: [1, 1, 1] }
}

/// A dry run leaves nothing in the target: the next host plans it again, by the way of every dry run.
const fn after(dead: Point, point: Point) -> Line {
    Line { point, way: Way::After(dead), deaths: [0, 1, 1] }
}

/// Every point, by verb: dry run, apply, rollback.
#[rustfmt::skip]
pub(super) const TABLE: &[Line] = &[
    plain(Point::RequestRead,            [1, 0, 0]),
    plain(Point::RunInserted,            [1, 0, 0]),
    plain(Point::KeyInserted,            [1, 0, 0]),
    plain(Point::RunAccepted,            [1, 0, 0]),
    plain(Point::BeforeAsk,              [0, 1, 1]),
    plain(Point::Asked,                  [0, 1, 1]),
    plain(Point::BeforeClaim,            [1, 1, 1]),
    plain(Point::ClaimUncommitted,       [1, 1, 1]),
    plain(Point::Claimed,                [1, 1, 1]),
    held(Point::BeforeRenewal),
    held(Point::Renewed),
    plain(Point::DecisionUncommitted,    [1, 1, 1]),
    plain(Point::Decided,                [1, 1, 1]),
    plain(Point::SnapshotTaken,          [1, 1, 0]),
    plain(Point::Computed,               [1, 1, 0]),
    plain(Point::BeforeRehearsal,        [1, 0, 0]),
    plain(Point::InRehearsal,            [1, 0, 0]),
    plain(Point::AfterRehearsal,         [1, 0, 0]),
    plain(Point::PlanInserted,           [1, 0, 0]),
    plain(Point::PlanUncommitted,        [1, 0, 0]),
    plain(Point::PlanSaved,              [1, 0, 0]),
    plain(Point::BeforeConnect,          [0, 1, 1]),
    plain(Point::BeforeFence,            [0, 1, 1]),
    plain(Point::BeforeBegin,            [0, 1, 1]),
    plain(Point::BeforeLocks,            [0, 1, 1]),
    plain(Point::BeforeWrites,           [0, 1, 1]),
    plain(Point::BetweenWriteAndJournal, [0, 1, 1]),
    plain(Point::BetweenBatches,         [0, 1, 1]),
    plain(Point::BeforeConsumption,      [0, 1, 1]),
    plain(Point::BeforeCommit,           [0, 1, 1]),
    plain(Point::AfterCommit,            [0, 1, 1]),
    plain(Point::BeforeReadBack,         [0, 1, 0]),
    plain(Point::AfterReadBack,          [0, 1, 0]),
    plain(Point::BeforeFinish,           [0, 1, 0]),
    plain(Point::Finished,               [0, 1, 0]),
    // Shown to the client, again before the task is kept, and once more by the worker.
    plain(Point::BeforePreview,          [0, 0, 3]),
    plain(Point::BeforeRollback,         [0, 0, 1]),
    plain(Point::RollbackStarted,        [0, 0, 1]),
    plain(Point::BeforeRolledBack,       [0, 0, 1]),
    plain(Point::RolledBack,             [0, 0, 1]),
    // Verifying and succeeded; rolled back. That it rolls back is committed with the answer of policy.
    plain(Point::StepUncommitted,        [0, 2, 1]),
    plain(Point::StepCommitted,          [0, 2, 1]),
    plain(Point::BeforeRelease,          [1, 1, 1]),
    plain(Point::Released,               [1, 1, 1]),
    plain(Point::BeforeTold,             [1, 1, 1]),
    plain(Point::Told,                   [1, 1, 1]),
    after(Point::BeforeCommit, Point::BeforeRecovery),
    after(Point::BeforeCommit, Point::BeforeTakeover),
    after(Point::BeforeCommit, Point::TakeoverUncommitted),
    after(Point::BeforeCommit, Point::TakenOver),
    after(Point::BeforeCommit, Point::RecoveryDecided),
    after(Point::BeforeCommit, Point::Recovered),
    after(Point::AfterCommit,  Point::TakenOver),
    after(Point::AfterCommit,  Point::RecoveryDecided),
    after(Point::AfterCommit,  Point::Recovered),
    // A run that begins, what policy said of it, each step, what the target holds.
    plain(Point::EntryWritten,           [2, 3, 3]),
    plain(Point::LeavesWritten,          [1, 1, 1]),
    plain(Point::SequenceUncommitted,    [1, 1, 1]),
    plain(Point::Sequenced,              [1, 1, 1]),
    plain(Point::CheckpointUncommitted,  [1, 1, 1]),
    plain(Point::CheckpointSigned,       [1, 1, 1]),
    plain(Point::CheckpointSent,         [1, 1, 1]),
    plain(Point::Anchored,               [1, 1, 1]),
];

/// One death.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) verb: Verb,
    pub(super) point: Point,
    /// At which pass.
    pub(super) nth: u32,
    pub(super) way: Way,
}

/// Every death of the table.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for Line { point, way, deaths } in TABLE {
        for (verb, times) in VERBS.into_iter().zip(deaths) {
            cases.extend((1..=*times).map(|nth| Case { verb, point: *point, nth, way: *way }));
        }
    }
    cases
}
