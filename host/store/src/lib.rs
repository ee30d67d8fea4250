//! The control store: runs and plans, kept across crashes.
//!
//! **Invariants**
//! - A run's state changes in one place, [`Store::step`]: `core`'s transition function decides, a
//!   compare-and-set writes, and the event stands beside it in the same transaction.
//! - A plan is written once, together with the transition that its run makes for it, and
//!   [`Store::verify_plan`] believes nothing that it did not compute again.
//! - What proves a sensitive value (the salt) is kept apart from every plan.
//! - Nothing here reads a clock or a random source: times, ids and keys are parameters.
//!
//! In reading order:
//! - [`store`]: opening it; [`db`]: both engines behind one small driver; `schema`, `migrations`;
//! - [`run`]: a run as the store knows it; [`create`]: how it begins; [`transition`]: how it moves,
//!   [`events`]: what was written of that;
//!   [`find`]: how people name it; [`rollout`]: one job for many tenants; [`schedule`]: by the clock;
//! - [`ask`]: what is to be done with it; [`lease`]: who works on it; `owner`: whether that process is alive;
//!   [`wake`]: telling others of work; [`standing`]: what is not settled;
//! - [`decide`]: a decision and what follows from it, in one transaction; [`around`]: what it stands on, of
//!   [`switches`], [`people`], [`trust`]; [`proposals`]: what people are to be next;
//!   [`at_once`]: the whole beginning of a run that nobody has to wait for;
//! - [`plan`]: saving a plan; [`changes`]: reading its changes; [`verify`]: believing it;
//! - [`backup`]: a copy of a control file; [`log`]: what the job said; [`audit`]: what happened; [`keys`]: the host's key;
//! - `words`: enums as the words that rows hold; [`error`]: what can go wrong, by what to do about it.

pub mod around;
pub mod ask;
pub mod at_once;
pub mod audit;
pub mod backup;
pub mod changes;
pub mod create;
pub mod db;
pub mod decide;
pub mod error;
pub mod events;
pub mod find;
#[cfg(any(test, feature = "testing"))]
pub mod fixtures;
pub mod keys;
pub mod lease;
pub mod log;
mod migrations;
pub mod number;
mod owner;
pub mod people;
pub mod plan;
pub mod proposals;
pub mod rollout;
pub mod run;
pub mod schedule;
mod schema;
pub mod standing;
pub mod store;
pub mod switches;
pub mod transition;
pub mod trust;
pub mod verify;
pub mod wake;
mod words;

pub use around::Surroundings;
pub use at_once::{AtOnce, Begins, Written};
pub use audit::{Anchored, AuditDamage, AuditReport, AuditStatus, Entry, Fact, LogFilter, Logged, StoredCheckpoint};
pub use changes::{ChangeFilter, StoredChange};
pub use create::{Begun, Idempotency, NewRun};
pub use db::{Engine, Place};
pub use decide::{Decision, Known, StoredDecision, StoredVote, Verdict};
pub use error::{Error, Result};
pub use events::RunEvent;
pub use find::RunFilter;
pub use keys::{HostKey, KeyUse, SubKey};
pub use lease::{Claimed, Concurrency, Lease};
pub use log::LogLine;
pub use people::StoredPeople;
pub use plan::{NewPlan, StoredPlan};
pub use proposals::{KnownPeople, Motion, Proposal, ProposalState};
pub use rollout::{NewRollout, RolloutEvent, RolloutLease, RolloutNumber, RolloutRecord, RolloutStep, RolloutTenant};
pub use run::{Asked, Leased, Outcome, RunNumber, RunRecord};
pub use schedule::{FiredRun, Firing};
pub use standing::AuditEntry;
pub use store::Store;
pub use switches::Switches;
pub use transition::Step;
pub use trust::{KnownTrust, Setback, StoredPromotion, TrackRecord, TrustMotion, Trusted};
pub use wake::Listener;

#[cfg(test)]
mod processes;
#[cfg(test)]
mod testing;
