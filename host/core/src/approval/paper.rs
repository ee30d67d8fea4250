//! What somebody is handed who wants to have their word about a plan: everything of a statement but the word.

use std::collections::BTreeSet;

use super::statement::{CheckpointRef, Nonce, Statement, Verb};
use crate::id::RunId;
use crate::key::KeyId;
use crate::people::{Actor, PersonName, Role};
use crate::plan::{Digest, Header};

/// What somebody wants to say about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ballot {
    /// Yes, no, or no longer.
    pub verb: Verb,
    /// Why; a rejection needs it.
    pub reason: Option<String>,
    /// How long it counts, in microseconds; never longer than what it is about.
    pub lasts_us: i64,
}

/// The host's part of a statement. Whoever signs holds it against what they were shown: see [`Paper::is_of`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paper {
    /// The plan's digest.
    pub plan: Digest,
    /// The undo's digest, where it is for a word about undoing.
    pub undo: Option<Digest>,
    /// The run.
    pub run: RunId,
    /// The run's nonce.
    pub nonce: Nonce,
    /// Whose data.
    pub tenant: String,
    /// The identities of the databases that the plan reads or changes.
    pub targets: BTreeSet<String>,
    /// Whose key it is.
    pub person: PersonName,
    /// In which role they have their word.
    pub role: Role,
    /// The key that is to sign.
    pub key: KeyId,
    /// The audit log as it was last signed.
    pub checkpoint: CheckpointRef,
    /// Now, by the control database's clock, in microseconds since 1970.
    pub now_us: i64,
    /// When the plan becomes too old, or can no longer be undone, on the same clock.
    pub last_us: i64,
}

impl Paper {
    /// Whether it is about the plan with this header and no other: a host could show one plan and hand out the
    /// paper of another.
    #[must_use]
    pub fn is_of(&self, header: &Header, run: &str) -> bool {
        self.plan == header.digest()
            && self.run.to_string() == run
            && self.tenant == header.tenant
            && self.targets == header.targets.iter().map(|target| target.identity.clone()).collect()
    }

    /// The same, said in a session: it is the host's key that signs, in the name of whom it vouches for. At level 3
    /// that is worth nothing.
    #[must_use]
    pub fn say_in(self, session: &str, ballot: &Ballot) -> Statement {
        Statement { session: Some(session.to_owned()), ..self.say(ballot) }
    }

    /// The statement that says so, ready to be signed by [`Paper::key`].
    #[must_use]
    pub fn say(self, ballot: &Ballot) -> Statement {
        Statement {
            verb: ballot.verb,
            plan: self.plan,
            undo: self.undo,
            run: self.run.to_string(),
            nonce: self.nonce,
            tenant: self.tenant,
            targets: self.targets,
            person: Actor::Person(self.person),
            role: self.role,
            key: self.key,
            expires_at_us: self.now_us.saturating_add(ballot.lasts_us).min(self.last_us),
            checkpoint: self.checkpoint,
            session: None,
            reason: ballot.reason.clone(),
        }
    }
}
