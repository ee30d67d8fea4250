//! What is asked of both stores.

use mendwright_core::rollout::{self, Tally};
use mendwright_core::switch::Switch;
use mendwright_core::task::Task;
use mendwright_store::{
    ChangeFilter, Concurrency, Decision, Fact, Idempotency, Lease, LogLine, Motion, NewRollout, NewRun, RolloutLease,
    RolloutNumber, RunFilter, RunNumber, Step, TrustMotion, Trusted,
};

/// One command: a method of the store that writes, with everything that it is given; or a look.
#[derive(Clone, Debug)]
pub(super) enum Command {
    // A run begins and moves.
    Create(NewRun),
    Enqueue(NewRun, Option<Idempotency>),
    AtOnce(Box<AtOnce>),
    Save(RunNumber, i64, Vec<LogLine>),
    Step(RunNumber, Step),
    /// From wherever the run is, by one of the events that can happen there.
    Advance(RunNumber, usize, i64),
    Move(Vec<(RunNumber, Vec<Step>)>),
    Decide(RunNumber, Verdict),
    Log(RunNumber, Vec<LogLine>),
    // Who works on it.
    Claim(RunNumber),
    ClaimDue(u32, Concurrency),
    Renew(Lease),
    Release(Lease),
    PutOff(Lease),
    GiveUp(Lease),
    Ask(RunNumber, Task, Option<String>),
    PassTime,
    // What decisions stand on.
    Throw(Switch),
    CancelPending(String),
    AddPeople(u64, String),
    MovePeople(Option<u64>, Option<(Motion, String)>),
    Trust(Trusted),
    MoveTrust((String, String), Option<(TrustMotion, String)>),
    // Many tenants, and the clock.
    BeginRollout(NewRollout),
    StepRollout(RolloutNumber, RolloutMove),
    Drive(u32),
    ReleaseRollout(RolloutLease),
    SeatRun(RolloutNumber, usize, RunNumber),
    SeatAsked(RolloutNumber, usize, i64),
    KnowSchedule(String, i64),
    Fire(String, i64),
    FiredRun((String, i64), String, RunNumber),
    EndFiring((String, i64), String),
    FiredAsked(RunNumber, i64),
    // The audit log.
    Deliver(RunNumber, Vec<Fact>),
    Sequence(u32),
    Checkpoint,
    Anchor(String, u64, Option<String>),
    // Looks.
    Find(String),
    BegunBy(Idempotency),
    List(RunFilter),
    Changes(RunNumber, ChangeFilter, u64, u32),
    Look(RunNumber),
    LookAround,
}

/// A run that begins with its apply.
#[derive(Clone, Debug)]
pub(super) struct AtOnce {
    pub(super) new: NewRun,
    pub(super) key: Option<Idempotency>,
    pub(super) changes: i64,
    pub(super) decisions: Vec<Decision>,
    /// `None`: policy says no.
    pub(super) started: Option<Step>,
}

/// What somebody says of a run.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// What a person signed.
    pub(super) vote: Option<String>,
    pub(super) decision: Option<Decision>,
    /// From the state in which the run is.
    pub(super) event: Option<mendwright_core::run::Event>,
    pub(super) facts: Vec<Fact>,
    pub(super) refuses: bool,
}

/// How a rollout is moved.
#[derive(Clone, Debug)]
pub(super) struct RolloutMove {
    pub(super) event: rollout::Event,
    pub(super) because: String,
    pub(super) seen: Option<Tally>,
    /// By somebody who knows it as it was one wave later.
    pub(super) is_stale: bool,
}
