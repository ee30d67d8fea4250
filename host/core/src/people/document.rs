//! One version of the registry as it is written, and the rules that it keeps by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::name::PersonName;
use super::role::{Assignment, Role, Tenants};
use crate::code::Code;
use crate::dsse::{Envelope, EnvelopeError};
use crate::key::{KeyId, PublicKey};
use crate::plan::Digest;

/// The most persons. A thousand approvers are a directory, not a registry.
pub const PERSONS_MAX: usize = 1000;
/// The most keys that one person ever had: one a year, and some lost.
pub const KEYS_MAX: usize = 64;
/// The latest instant: integers of RFC 8785 end here. It is in the year 2255.
pub const TIME_US_MAX: i64 = 1 << 53;

/// Why a version of the registry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It is no signed document of this sort.
    #[error("registry: {0}")]
    Envelope(#[from] EnvelopeError),
    /// The payload is not the JSON that we write.
    #[error("registry: {0}")]
    Json(String),
    /// The payload says the right things in another form: it would have a second digest.
    #[error("the registry is not in its canonical form (RFC 8785)")]
    NotCanonical,
    /// A rule that a version keeps by itself is broken.
    #[error("registry: {0}")]
    Rule(String),
    /// The first version is another one than was trusted.
    #[error("the registry begins with {found}, and {trusted} is trusted")]
    Root {
        /// What was handed in.
        found: Digest,
        /// What the operator trusts.
        trusted: Digest,
    },
    /// There is no version at all.
    #[error("the registry is empty")]
    Empty,
    /// It is not the next version.
    #[error("version {found} of the registry stands where version {wanted} belongs")]
    Version {
        /// Its number.
        found: u64,
        /// The next number.
        wanted: u64,
    },
    /// It continues another version than the one before it.
    #[error("version {version} of the registry does not continue the version before it")]
    Previous {
        /// Its number.
        version: u64,
    },
    /// Not enough administrators signed it.
    #[error("version {version} of the registry is signed by {}, and needs {needed} administrators", names(signed))]
    Threshold {
        /// Its number.
        version: u64,
        /// Distinct persons.
        signed: Vec<PersonName>,
        /// What the version before asks for.
        needed: usize,
    },
}

/// `ana alone`: a change that only serves whoever signed it is refused by name.
fn names(signed: &[PersonName]) -> String {
    match signed {
        [] => "nobody who may".to_owned(),
        [one] => format!("{one} alone"),
        more => more.iter().map(PersonName::as_str).collect::<Vec<_>>().join(" and "),
    }
}

impl RegistryError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::RegistryInvalid
    }
}

/// A key of a person. It is never taken out again, only revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name: follows from `public`, and is there for readers.
    pub id: KeyId,
    /// The key.
    pub public: PublicKey,
    /// Microseconds since 1970 from which it counts.
    pub added_at_us: i64,
    /// Microseconds since 1970 from which it counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_us: Option<i64>,
}

impl Key {
    /// A key that counts from `added_at_us` on.
    #[must_use]
    pub fn new(public: PublicKey, added_at_us: i64) -> Self {
        Self { id: public.id(), public, added_at_us, revoked_at_us: None }
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The name.
    pub name: PersonName,
    /// Every key that the person has or had.
    pub keys: Vec<Key>,
    /// What the person may do; nothing, for somebody who left.
    pub roles: Vec<Assignment>,
}

impl Person {
    /// Whether the person holds the role for the tenant.
    #[must_use]
    pub fn holds(&self, role: Role, tenant: &str) -> bool {
        self.roles.iter().any(|held| held.role == role && held.tenants.cover(tenant))
    }

    /// Whether the person may sign the registry: an administrator for everybody.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|held| held.role == Role::Admin && held.tenants == Tenants::All)
    }

    /// Keys that sign the next version. There is no clock here: a key with any date of revocation does not.
    pub fn signing_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(|key| key.revoked_at_us.is_none()).map(|key| &key.public)
    }
}

/// One version of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// 1, 2, 3, …
    pub version: u64,
    /// The digest of the version before; none in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// Microseconds since 1970 before which the version before stays in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_us: Option<i64>,
    /// How many administrators must sign the next version, at least: see [`Document::signatures_needed`].
    pub change_threshold: u32,
    /// Everybody, sorted by name.
    pub persons: Vec<Person>,
}

impl Document {
    /// How many administrators must sign the next version. A change of who may do what is of level 3: where
    /// there is a second administrator, nobody makes it alone, whatever the threshold says.
    #[must_use]
    pub fn signatures_needed(&self) -> usize {
        usize::try_from(self.change_threshold).unwrap_or(usize::MAX).max(self.signing_admins().count().min(2))
    }

    /// Administrators with a key that signs.
    fn signing_admins(&self) -> impl Iterator<Item = &Person> {
        self.persons.iter().filter(|person| person.is_admin() && person.signing_keys().next().is_some())
    }

    /// The bytes that are signed: RFC 8785.
    ///
    /// # Panics
    /// Never: the types hold no floats and no maps.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "types of strings and integers always serialize")]
        serde_json_canonicalizer::to_vec(self).expect("plain types serialize")
    }

    /// The document, ready to be signed.
    ///
    /// # Errors
    /// [`RegistryError`] where it breaks a rule that a version keeps by itself.
    pub fn envelope(&self) -> Result<Envelope, RegistryError> {
        let payload = self.payload();
        Self::parse(&payload)?;
        Ok(Envelope::unsigned(super::PAYLOAD_TYPE, payload)?)
    }

    /// Reads a payload. Its signatures are not looked at.
    ///
    /// # Errors
    /// [`RegistryError`] where it is not canonical or breaks a rule.
    pub fn parse(payload: &[u8]) -> Result<Self, RegistryError> {
        let document: Self = serde_json::from_slice(payload).map_err(|error| RegistryError::Json(error.to_string()))?;
        document.check()?;
        if document.payload() != payload {
            return Err(RegistryError::NotCanonical);
        }
        Ok(document)
    }

    /// The rules that a version keeps by itself.
    ///
    /// # Errors
    /// [`RegistryError::Rule`] names the first that is broken.
    pub fn check(&self) -> Result<(), RegistryError> {
        let rule = |holds: bool, text: &str| {
            if holds { Ok(()) } else { Err(RegistryError::Rule(text.to_owned())) }
        };
        rule((self.version == 1) == self.previous.is_none(), "every version but the first names the one before")?;
        rule(self.version >= 1, "versions begin with 1")?;
        rule(self.version <= TIME_US_MAX.unsigned_abs(), "the version is too large")?;
        rule(self.not_before_us.is_none_or(is_time), "`not_before_us` is no time")?;
        rule(self.persons.len() <= PERSONS_MAX, "there are too many persons")?;
        rule(self.persons.is_sorted_by(|a, b| a.name < b.name), "persons are sorted by name, each once")?;
        let mut owners: BTreeMap<KeyId, &PersonName> = BTreeMap::new();
        for person in &self.persons {
            person.check()?;
            for key in &person.keys {
                if let Some(owner) = owners.insert(key.id, &person.name) {
                    let owners = format!("key {} is listed under {owner} and {}", key.id, person.name);
                    return Err(RegistryError::Rule(owners));
                }
            }
        }
        // More than the administrators there are: nobody could ever change the registry again.
        let admins = self.signing_admins().count();
        let threshold = usize::try_from(self.change_threshold).unwrap_or(usize::MAX);
        rule(threshold >= 1, "`change_threshold` is at least 1")?;
        rule(threshold <= admins, "`change_threshold` is larger than the number of administrators who can sign")
    }

    /// What must not happen from one version to the next: a key that is forgotten could come back under
    /// another name, and one person would be counted as two.
    ///
    /// # Errors
    /// [`RegistryError::Rule`].
    pub(super) fn check_after(&self, before: &Self) -> Result<(), RegistryError> {
        let rule = |holds: bool, key: &Key, text: &str| {
            if holds { Ok(()) } else { Err(RegistryError::Rule(format!("key {} {text}", key.id))) }
        };
        let owners: BTreeMap<KeyId, (&PersonName, &Key)> =
            self.persons.iter().flat_map(|p| p.keys.iter().map(move |key| (key.id, (&p.name, key)))).collect();
        for person in &before.persons {
            for key in &person.keys {
                let now = owners.get(&key.id).filter(|(owner, now)| {
                    **owner == person.name && now.public == key.public && now.added_at_us == key.added_at_us
                });
                rule(now.is_some(), key, "was taken from its person: keys are revoked, never removed or moved")?;
                let stays = match (key.revoked_at_us, now.and_then(|(_, now)| now.revoked_at_us)) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(then), Some(now)) => now <= then,
                };
                rule(stays, key, "is revoked and cannot come back")?;
            }
        }
        if self.not_before_us < before.not_before_us {
            return Err(RegistryError::Rule("`not_before_us` lies before that of the version before".to_owned()));
        }
        Ok(())
    }
}

impl Person {
    fn check(&self) -> Result<(), RegistryError> {
        let rule = |holds: bool, text: &str| {
            if holds { Ok(()) } else { Err(RegistryError::Rule(format!("{}: {text}", self.name))) }
        };
        rule(self.keys.len() <= KEYS_MAX, "too many keys")?;
        for key in &self.keys {
            rule(key.id == key.public.id(), "a key's `id` is not that of its `public`")?;
            rule(is_time(key.added_at_us), "`added_at_us` is no time")?;
            rule(key.revoked_at_us.is_none_or(is_time), "`revoked_at_us` is no time")?;
        }
        let roles: BTreeSet<Role> = self.roles.iter().map(|held| held.role).collect();
        rule(roles.len() == self.roles.len(), "each role is listed once")
    }
}

const fn is_time(us: i64) -> bool {
    0 <= us && us <= TIME_US_MAX
}
