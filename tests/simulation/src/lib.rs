//! A deterministic simulation: several hosts, one control store, one target, people and an application, every
//! fault that [`schedule`] knows, in an order that a seed decides. `docs/SIMULATION.md` says what is real.
//!
//! **Invariant**: nothing here reads a clock, a file or a random source; a seed gives one schedule, on every
//! machine.
//!
//! In reading order:
//! - [`choices`]: where the order comes from, and how a failing one is shortened;
//! - [`control`]: the control store as a small model, held against the real one by `tests/differential.rs`;
//! - [`target`]: a database with transactions, locks, a journal and the fence;
//! - `host`: what a host does, one message at a time; every decision is asked of `mendwright-core`;
//! - [`world`]: all of that, and what people and the application do; [`monitor`]: the properties;
//! - [`schedule`]: who is next, what breaks, and how it ends.

#![expect(clippy::wildcard_enum_match_arm, reason = "what people and the watcher do in `any other state` is nothing")]

pub mod choices;
pub mod control;
mod host;
pub mod monitor;
pub mod schedule;
pub mod target;
pub mod world;

/// What is broken on purpose, so that a property has something to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A host begins to apply without asking whether it may.
    AsksNobody,
    /// Rows are committed before their journal is written.
    JournalsAfterwards,
    /// A flush does not look at the highest attempt, and a takeover ends nobody.
    IgnoresTheFence,
    /// Without an answer to COMMIT the flush is made again; a digest may be used again, and rows need not be as
    /// they were.
    AppliesAgain,
    /// A lease never runs out.
    LeasesAreForEver,
    /// An undo overwrites rows that somebody changed since.
    OverwritesOthers,
    /// COMMIT is sent without a look at the gate.
    IgnoresTheGate,
    /// A run that was committed is believed to be so for ever.
    TrustsItself,
    /// An undo does not ask whether the target still holds what it undoes.
    ForgivesLosses,
    /// A lost answer to COMMIT means that nothing was committed.
    TakesSilenceForNo,
    /// A host that is late reads the run again, and goes on with the attempt of the one who took it over.
    TakesTheNextNumber,
    /// A restore that the host began is given up when its process dies.
    ForgetsWhatWasWrong,
}
