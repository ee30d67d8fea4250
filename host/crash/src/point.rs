//! Every point, in the order in which the life of a run passes them.

macro_rules! points {
    ($(#[doc = $says:literal] $point:ident = $name:literal,)*) => {
        /// Where a test may kill the host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point {
            $(#[doc = $says] $point,)*
        }

        impl Point {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$point),*];

            /// As a test names it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }

            /// What is true when a host gets there.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self {
                    $(Self::$point => $says.trim_ascii(),)*
                }
            }
        }
    };
}

points! {
    // A request to begin a run.
    /// A request to begin a run was read; nothing of it is kept.
    RequestRead = "request_read",
    /// The new run is in the transaction; the request's idempotency key is not.
    RunInserted = "run_inserted",
    /// The run and the key of its request are in the transaction.
    KeyInserted = "key_inserted",
    /// The run is accepted for good, and nobody was told.
    RunAccepted = "run_accepted",

    // Something is asked of a run.
    /// A request to apply or to undo was found good; nothing of it is kept.
    BeforeAsk = "before_ask",
    /// The task is kept for whichever worker comes first, and nobody was told.
    Asked = "asked",

    // A worker takes it.
    /// A run that is due was found, and is not taken.
    BeforeClaim = "before_claim",
    /// The claim, with its higher attempt, is in the transaction.
    ClaimUncommitted = "claim_uncommitted",
    /// The run is leased to this host, and nothing was done with it.
    Claimed = "claimed",
    /// The lease is to be renewed, in the middle of the work.
    BeforeRenewal = "before_renewal",
    /// The lease was renewed, in the middle of the work.
    Renewed = "renewed",

    // Policy.
    /// What policy answered, and the step that follows from it, are in the transaction.
    DecisionUncommitted = "decision_uncommitted",
    /// What policy answered is kept: where it was asked to apply, the run is applying.
    Decided = "decided",

    // The job computes.
    /// The target is read in one snapshot; the job has not begun.
    SnapshotTaken = "snapshot_taken",
    /// The job has said what it wants.
    Computed = "computed",

    // A dry run.
    /// The changes are to be rehearsed; no transaction is open.
    BeforeRehearsal = "before_rehearsal",
    /// The changes are made in the transaction of the rehearsal, and not taken back.
    InRehearsal = "in_rehearsal",
    /// The rehearsal was rolled back.
    AfterRehearsal = "after_rehearsal",
    /// The plan and its changes are in the transaction; the run is still planning.
    PlanInserted = "plan_inserted",
    /// The plan was judged, and the run moved, in the same transaction.
    PlanUncommitted = "plan_uncommitted",
    /// The plan is saved.
    PlanSaved = "plan_saved",

    // A flush: an apply's or an undo's.
    /// A flush begins; the target was not asked for anything.
    BeforeConnect = "before_connect",
    /// The flush has its connection, and no fence.
    BeforeFence = "before_fence",
    /// The fence is held; no transaction is open.
    BeforeBegin = "before_begin",
    /// In the transaction; the attempt is announced, and no row is locked.
    BeforeLocks = "before_locks",
    /// Everything is locked and as it was planned; nothing is written.
    BeforeWrites = "before_writes",
    /// A batch of rows is written, and not in the journal.
    BetweenWriteAndJournal = "between_write_and_journal",
    /// A batch of rows is written and in the journal.
    BetweenBatches = "between_batches",
    /// Every row is written; the plan's digest is not used.
    BeforeConsumption = "before_consumption",
    /// Everything is in the target's transaction.
    BeforeCommit = "before_commit",
    /// The target has committed; the control store does not know.
    AfterCommit = "after_commit",

    // What follows an apply.
    /// The rows are to be read back.
    BeforeReadBack = "before_read_back",
    /// The rows were read back; what was found is not written down.
    AfterReadBack = "after_read_back",
    /// What was read back is as planned; the run is still verifying.
    BeforeFinish = "before_finish",
    /// The run has succeeded, and nobody was told.
    Finished = "finished",

    // An undo.
    /// What an undo would restore is to be found out.
    BeforePreview = "before_preview",
    /// The undo may be, and the run is not rolling back.
    BeforeRollback = "before_rollback",
    /// The run is rolling back; nothing is restored.
    RollbackStarted = "rollback_started",
    /// The target holds the undo; the run is still rolling back.
    BeforeRolledBack = "before_rolled_back",
    /// The run is rolled back, and nobody was told.
    RolledBack = "rolled_back",

    // Every step of a run.
    /// A step of the run, and what the audit log says of it, are in the transaction.
    StepUncommitted = "step_uncommitted",
    /// A step of the run is written down.
    StepCommitted = "step_committed",

    // The end of the work.
    /// The work is done; the lease is not let go.
    BeforeRelease = "before_release",
    /// The lease is let go.
    Released = "released",
    /// The worker knows what came of it; whoever waits does not.
    BeforeTold = "before_told",
    /// Whoever waits is being told.
    Told = "told",

    // What a dead host left.
    /// A run was found that a dead host left in flight; the target was not asked.
    BeforeRecovery = "before_recovery",
    /// The former attempt is to be shut out of the target.
    BeforeTakeover = "before_takeover",
    /// The higher attempt is in the target's transaction.
    TakeoverUncommitted = "takeover_uncommitted",
    /// No former attempt writes any more; the journal was not asked.
    TakenOver = "taken_over",
    /// The target's journal was asked; what follows from it is not written down.
    RecoveryDecided = "recovery_decided",
    /// What the dead host left is brought to its end.
    Recovered = "recovered",

    // A rollout.
    /// A tenant's run is begun for its rollout, which does not know yet which run that is.
    RolloutRunBegun = "rollout_run_begun",
    /// It is kept that a rollout asks for an apply; nothing is asked.
    RolloutAskKept = "rollout_ask_kept",
    /// A move of a rollout, such as to its next wave, is in the transaction.
    RolloutMoveUncommitted = "rollout_move_uncommitted",
    /// A rollout moved, and nobody was told.
    RolloutMoved = "rollout_moved",

    // The audit log.
    /// An entry is in the transaction of what it tells of; it has no place in the log.
    EntryWritten = "entry_written",
    /// Leaves of the log are in the transaction; the tree above them is not.
    LeavesWritten = "leaves_written",
    /// Leaves, the tree above them and the log's size are in the transaction.
    SequenceUncommitted = "sequence_uncommitted",
    /// Entries have their places in the log; no checkpoint covers them.
    Sequenced = "sequenced",
    /// A signed checkpoint is in the transaction.
    CheckpointUncommitted = "checkpoint_uncommitted",
    /// The log is signed; the checkpoint was not sent anywhere.
    CheckpointSigned = "checkpoint_signed",
    /// The checkpoint is where no host can rewrite it; the store does not know.
    CheckpointSent = "checkpoint_sent",
    /// The store knows where the checkpoint is.
    Anchored = "anchored",
}

/// The points of a flush, in its order.
pub const FLUSH: [Point; 10] = [
    Point::BeforeConnect,
    Point::BeforeFence,
    Point::BeforeBegin,
    Point::BeforeLocks,
    Point::BeforeWrites,
    Point::BetweenWriteAndJournal,
    Point::BetweenBatches,
    Point::BeforeConsumption,
    Point::BeforeCommit,
    Point::AfterCommit,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_point_says_what_it_is() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        assert!(names.len() >= 30);
        for point in Point::ALL {
            assert!(point.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{point:?}");
            assert!(point.says().ends_with('.') && point.says().len() > 15, "{point:?}");
        }
    }
}
