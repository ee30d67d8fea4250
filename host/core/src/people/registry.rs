//! Versions that were verified, from the trust root on.

use super::document::{Document, Key, Person, RegistryError};
use super::name::PersonName;
use crate::dsse::Envelope;
use crate::key::KeyId;
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
        signed_by(envelope, &first.document, 1)?;
        Ok(first)
    }

    /// The version after this one.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn succeed(&self, envelope: &Envelope) -> Result<Self, RegistryError> {
        let next = Self::read(envelope)?;
        let (version, wanted) = (next.document.version, self.document.version.saturating_add(1));
        if version != wanted {
            return Err(RegistryError::Version { found: version, wanted });
        }
        if next.document.previous != Some(self.digest) {
            return Err(RegistryError::Previous { version });
        }
        // Signed by those whom *this* version entitles; the new one gives nobody power over itself.
        signed_by(envelope, &self.document, version)?;
        next.document.check_after(&self.document)?;
        Ok(next)
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

/// Whether as many administrators of `entitled` signed the envelope as it asks for: persons, not keys.
fn signed_by(envelope: &Envelope, entitled: &Document, version: u64) -> Result<(), RegistryError> {
    let admins: Vec<&Person> = entitled.persons.iter().filter(|person| person.is_admin()).collect();
    let keys = admins.iter().flat_map(|person| person.signing_keys());
    let signers = envelope.verify(PAYLOAD_TYPE, keys)?;
    let signed = admins.iter().filter(|person| person.signing_keys().any(|key| signers.contains(&key.id()))).count();
    let needed = usize::try_from(entitled.change_threshold).unwrap_or(usize::MAX);
    if signed < needed {
        return Err(RegistryError::Threshold { version, signed, needed });
    }
    Ok(())
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
