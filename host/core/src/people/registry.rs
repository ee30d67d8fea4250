//! Versions that were verified, from the trust root on.

use std::collections::BTreeSet;

use super::document::{Document, Key, Person, RegistryError};
use super::name::PersonName;
use crate::dsse::Envelope;
use crate::key::{KeyId, PublicKey};
use crate::plan::Digest;

/// What a signed registry says it is.
pub const PAYLOAD_TYPE: &str = "application/vnd.mendwright.registry.v1+json";

/// One verified version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    document: Document,
    digest: Digest,
}

impl Registry {
    /// The first version, which signs itself: trusted because the operator named its digest.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn root(trusted: &Digest, envelope: &Envelope) -> Result<Self, RegistryError> {
        let first = Self::read(envelope)?;
        if first.digest != *trusted {
            return Err(RegistryError::Root { found: first.digest, trusted: *trusted });
        }
        if first.document.version != 1 {
            return Err(RegistryError::Version { found: first.document.version, wanted: 1 });
        }
        // The digest is what is trusted. The signatures only show that the keys are there.
        let needed = usize::try_from(first.document.change_threshold).unwrap_or(usize::MAX);
        let signed_by = signers(envelope, &first.document)?;
        Standing { signed_by, needed }.enough(1)?;
        Ok(first)
    }

    /// The version after this one.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn succeed(&self, envelope: &Envelope) -> Result<Self, RegistryError> {
        let (next, standing) = self.proposed(envelope)?;
        standing.enough(next.document.version)?;
        Ok(next)
    }

    /// What somebody wants to be the version after this one, and who signed it so far: whether or not they are
    /// enough, everything else holds.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn proposed(&self, envelope: &Envelope) -> Result<(Self, Standing), RegistryError> {
        let next = Self::read(envelope)?;
        let (version, wanted) = (next.document.version, self.document.version.saturating_add(1));
        if version != wanted {
            return Err(RegistryError::Version { found: version, wanted });
        }
        if next.document.previous != Some(self.digest) {
            return Err(RegistryError::Previous { version });
        }
        next.document.check_after(&self.document)?;
        // Signed by those whom *this* version entitles; the new one gives nobody power over itself.
        let signed_by = signers(envelope, &self.document)?;
        Ok((next, Standing { signed_by, needed: self.document.signatures_needed() }))
    }

    /// The keys that sign the version after this one.
    pub fn signing_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.document.persons.iter().filter(|person| person.is_admin()).flat_map(Person::signing_keys)
    }

    /// What it says.
    #[must_use]
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// SHA-256 of its payload: what the next version names, and, of the first, the trust root.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The person of this name.
    #[must_use]
    pub fn person(&self, name: &PersonName) -> Option<&Person> {
        self.document.persons.iter().find(|person| person.name == *name)
    }

    /// The key of this id, and whose it is.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<(&Person, &Key)> {
        self.document.persons.iter().find_map(|person| Some((person, person.keys.iter().find(|key| key.id == *id)?)))
    }

    fn read(envelope: &Envelope) -> Result<Self, RegistryError> {
        let document = Document::parse(envelope.payload())?;
        Ok(Self { document, digest: Digest::of(envelope.payload()) })
    }
}

/// Who signed what is to be a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Distinct administrators of the version before.
    pub signed_by: BTreeSet<PersonName>,
    /// How many it takes.
    pub needed: usize,
}

impl Standing {
    /// Whether they are enough.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.signed_by.len() >= self.needed
    }

    fn enough(self, version: u64) -> Result<(), RegistryError> {
        if self.is_enough() {
            return Ok(());
        }
        let Self { signed_by, needed } = self;
        Err(RegistryError::Threshold { version, signed: signed_by.into_iter().collect(), needed })
    }
}

/// The administrators of `entitled` who signed the envelope: persons, not keys.
fn signers(envelope: &Envelope, entitled: &Document) -> Result<BTreeSet<PersonName>, RegistryError> {
    let admins: Vec<&Person> = entitled.persons.iter().filter(|person| person.is_admin()).collect();
    let signed = envelope.verify(PAYLOAD_TYPE, admins.iter().flat_map(|person| person.signing_keys()))?;
    let signers = admins.into_iter().filter(|person| person.signing_keys().any(|key| signed.contains(&key.id())));
    Ok(signers.map(|person| person.name.clone()).collect())
}

/// Every version from the trust root to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    root: Registry,
    later: Vec<Registry>,
}

impl Chain {
    /// Verifies every version by the one before it, and the first by its digest.
    ///
    /// # Errors
    /// [`RegistryError`] of the first version that is refused.
    pub fn verify(root: &Digest, envelopes: &[Envelope]) -> Result<Self, RegistryError> {
        let (first, rest) = envelopes.split_first().ok_or(RegistryError::Empty)?;
        let mut chain = Self { root: Registry::root(root, first)?, later: Vec::new() };
        for envelope in rest {
            chain.push(envelope)?;
        }
        Ok(chain)
    }

    /// Adds the next version.
    ///
    /// # Errors
    /// [`RegistryError`]; the chain stays as it is.
    pub fn push(&mut self, envelope: &Envelope) -> Result<&Registry, RegistryError> {
        self.later.push(self.last().succeed(envelope)?);
        Ok(self.last())
    }

    /// The last version, whether or not it is in force.
    #[must_use]
    pub fn last(&self) -> &Registry {
        self.later.last().unwrap_or(&self.root)
    }

    /// The version in force at `now_us`: the last whose time has come. The first always is.
    #[must_use]
    pub fn in_force(&self, now_us: i64) -> &Registry {
        let has_begun = |registry: &&Registry| registry.document.not_before_us.is_none_or(|begin| begin <= now_us);
        self.later.iter().rev().find(has_begun).unwrap_or(&self.root)
    }

    /// Every version, the first first.
    pub fn versions(&self) -> impl Iterator<Item = &Registry> {
        std::iter::once(&self.root).chain(&self.later)
    }
}
