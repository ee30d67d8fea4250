//! Whether a statement is genuine, and about this run.

use std::collections::BTreeSet;

use super::statement::{Means, Nonce, Statement, StatementError, Subject, Verb};
use crate::code::Code;
use crate::dsse::Envelope;
use crate::id::RunId;
use crate::key::{KeyId, PublicKey};
use crate::level::Level;
use crate::people::{Actor, Key, Person, PersonName, Registry, Role};
use crate::plan::Digest;

/// The run that is decided on, from the host's own store.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// The plan that is there now.
    pub plan: Digest,
    /// The undo that would be done now; `None` where it is about applying.
    pub undo: Option<Digest>,
    /// The run.
    pub run: RunId,
    /// Its nonce.
    pub nonce: Nonce,
    /// Whose data.
    pub tenant: &'a str,
    /// The identities of the databases that the plan reads or changes.
    pub targets: &'a BTreeSet<String>,
    /// The plan's level.
    pub level: Level,
    /// Keys under which hosts countersign sessions; for an old run also those of then.
    pub host_keys: &'a [PublicKey],
    /// Now, by the control database's clock.
    pub now_us: i64,
}

/// A statement that is genuine and about this run. Whether it counts is [`super::tally()`]'s to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    person: PersonName,
    statement: Statement,
    digest: Digest,
}

impl Vote {
    /// Who says it.
    #[must_use]
    pub const fn person(&self) -> &PersonName {
        &self.person
    }

    /// What is said.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// SHA-256 of the statement: the same statement handed in again has the same.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// Why a statement does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCounted {
    /// It is no signed statement.
    #[error("{0}")]
    Invalid(#[from] StatementError),
    /// Machines ask; people approve.
    #[error("{0} is no person")]
    Machine(Actor),
    /// The registry does not know the key.
    #[error("key {0} is not in the registry")]
    KeyUnknown(KeyId),
    /// The session was not countersigned by a key of the host.
    #[error("key {0} is not one under which a host countersigns sessions")]
    HostKeyUnknown(KeyId),
    /// The registry does not know the person.
    #[error("{0} is not in the registry")]
    PersonUnknown(PersonName),
    /// The key belongs to somebody else.
    #[error("key {key} belongs to {owner}, not to {person}")]
    KeyOfAnother {
        /// The key.
        key: KeyId,
        /// Whose it is.
        owner: PersonName,
        /// Who is named.
        person: PersonName,
    },
    /// The key does not count yet.
    #[error("key {0} does not count yet")]
    KeyTooNew(KeyId),
    /// The key is revoked.
    #[error("key {0} is revoked")]
    KeyRevoked(KeyId),
    /// The person may not.
    #[error("{person} does not hold the role {role} for this tenant")]
    RoleMissing {
        /// Who.
        person: PersonName,
        /// The role that the statement claims.
        role: Role,
    },
    /// The plan was made again since, or a parameter changed: this is about what was there before.
    #[error("it is about an older plan ({0})")]
    OtherPlan(Digest),
    /// It is about another run.
    #[error("it is about another run ({0})")]
    OtherRun(String),
    /// It is about this run as it was planned at another time.
    #[error("its nonce is not the run's")]
    OtherNonce,
    /// It is about applying the plan, or undoing it, and the other one is decided on.
    #[error("it is about {}", match .0 { Subject::Plan => "applying the plan", Subject::Undo => "undoing the plan" })]
    OtherSubject(Subject),
    /// A row changed since, or the run was undone or redone: this is about the undo that was previewed before.
    #[error("it is about another undo than today's ({0})")]
    OtherUndo(Digest),
    /// It is about another tenant.
    #[error("it is about another tenant")]
    OtherTenant,
    /// It is about other databases.
    #[error("it is about another target")]
    OtherTarget,
    /// Its time is over.
    #[error("it expired")]
    Expired,
    /// Said in a session, about a plan of level 3.
    #[error("at level 3 a person approves with a key of their own, not in a session")]
    SessionAtLevel3,
}

impl NotCounted {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::ApprovalInvalid,
            Self::Machine(_)
            | Self::KeyUnknown(_)
            | Self::HostKeyUnknown(_)
            | Self::PersonUnknown(_)
            | Self::KeyOfAnother { .. }
            | Self::KeyTooNew(_)
            | Self::KeyRevoked(_)
            | Self::RoleMissing { .. }
            | Self::OtherPlan(_)
            | Self::OtherRun(_)
            | Self::OtherNonce
            | Self::OtherSubject(_)
            | Self::OtherUndo(_)
            | Self::OtherTenant
            | Self::OtherTarget
            | Self::Expired
            | Self::SessionAtLevel3 => Code::ApprovalNotCounted,
        }
    }
}

/// Whether `envelope`, which came in at `received_at_us`, is genuine and about this run.
///
/// What gives power is judged by the registry and the clock of now. What takes power away is judged by
/// the time at which it came: a key that was revoked since must not bring back what was withdrawn with it.
/// Only the role of who rejects a plan is asked of the registry given: the rejection that was in force ended the
/// run, whose state says so for good.
///
/// # Errors
/// [`NotCounted`] says why it does not count.
pub fn verify(
    envelope: &Envelope,
    received_at_us: i64,
    registry: &Registry,
    expected: &Expected<'_>,
) -> Result<Vote, NotCounted> {
    let statement = Statement::read(envelope)?;
    let at_us = if statement.verb.gives() { expected.now_us } else { received_at_us };
    let person = match statement.means() {
        Means::OwnKey => signed_by_person(envelope, &statement, registry, at_us)?,
        Means::Session => signed_by_host(envelope, &statement, registry, expected)?,
    };
    // Whoever may not approve has nothing to withdraw; and a role that was taken away since must not
    // bring back what was withdrawn in it. Nor what a no took from an undo, of which no state says so: who may
    // say that is asked of policy when it comes.
    let asks_role = match (statement.verb, statement.about()) {
        (Verb::Approve, _) | (Verb::Reject, Subject::Plan) => true,
        (Verb::Withdraw, _) | (Verb::Reject, Subject::Undo) => false,
    };
    if asks_role && !person.holds(statement.role, expected.tenant) {
        return Err(NotCounted::RoleMissing { person: person.name.clone(), role: statement.role });
    }
    is_about(&statement, expected)?;
    if statement.expires_at_us <= at_us {
        return Err(NotCounted::Expired);
    }
    if !statement.means().suffices(statement.verb, expected.level) {
        return Err(NotCounted::SessionAtLevel3);
    }
    Ok(Vote { person: person.name.clone(), digest: Digest::of(envelope.payload()), statement })
}

/// The one signature, by this key, over these bytes, as what the statement says it is.
fn signed(envelope: &Envelope, statement: &Statement, key: &PublicKey) -> Result<(), StatementError> {
    if envelope.signatures().len() != 1 {
        return Err(StatementError::Signatures(envelope.signatures().len()));
    }
    envelope.verify(statement.payload_type(), [key])?;
    Ok(())
}

fn person_of(statement: &Statement) -> Result<&PersonName, NotCounted> {
    statement.person.person().ok_or_else(|| NotCounted::Machine(statement.person.clone()))
}

fn signed_by_person<'r>(
    envelope: &Envelope,
    statement: &Statement,
    registry: &'r Registry,
    at_us: i64,
) -> Result<&'r Person, NotCounted> {
    let person = person_of(statement)?;
    let (owner, key) = registry.key(&statement.key).ok_or(NotCounted::KeyUnknown(statement.key))?;
    signed(envelope, statement, &key.public)?;
    if owner.name != *person {
        return Err(NotCounted::KeyOfAnother { key: statement.key, owner: owner.name.clone(), person: person.clone() });
    }
    counts_at(key, at_us)?;
    Ok(owner)
}

fn counts_at(key: &Key, at_us: i64) -> Result<(), NotCounted> {
    if key.revoked_at_us.is_some_and(|revoked| revoked <= at_us) {
        return Err(NotCounted::KeyRevoked(key.id));
    }
    if key.added_at_us > at_us {
        return Err(NotCounted::KeyTooNew(key.id));
    }
    Ok(())
}

fn signed_by_host<'r>(
    envelope: &Envelope,
    statement: &Statement,
    registry: &'r Registry,
    expected: &Expected<'_>,
) -> Result<&'r Person, NotCounted> {
    let person = person_of(statement)?;
    let key = expected.host_keys.iter().find(|key| key.id() == statement.key);
    signed(envelope, statement, key.ok_or(NotCounted::HostKeyUnknown(statement.key))?)?;
    registry.person(person).ok_or_else(|| NotCounted::PersonUnknown(person.clone()))
}

/// Every field that ties a statement to one run, so that it fits no other.
fn is_about(statement: &Statement, expected: &Expected<'_>) -> Result<(), NotCounted> {
    if statement.run != expected.run.to_string() {
        return Err(NotCounted::OtherRun(statement.run.clone()));
    }
    if statement.tenant != expected.tenant {
        return Err(NotCounted::OtherTenant);
    }
    if statement.targets != *expected.targets {
        return Err(NotCounted::OtherTarget);
    }
    if statement.plan != expected.plan {
        return Err(NotCounted::OtherPlan(statement.plan));
    }
    if statement.nonce != expected.nonce {
        return Err(NotCounted::OtherNonce);
    }
    match (statement.undo, expected.undo) {
        (None, None) => Ok(()),
        (Some(said), Some(now)) if said == now => Ok(()),
        (Some(said), Some(_)) => Err(NotCounted::OtherUndo(said)),
        (Some(_), None) | (None, Some(_)) => Err(NotCounted::OtherSubject(statement.about())),
    }
}
