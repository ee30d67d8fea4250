//! Small registries for tests.

use super::{Assignment, Document, Key, Person, Registry, Role, Tenants};
use crate::dsse::Envelope;
use crate::key::SecretKey;
use crate::plan::Digest;

/// The private key number `n`.
pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_random([n; 32])
}

/// A role for these tenants; `*` for all.
pub(crate) fn role(role: Role, tenants: &[&str]) -> Assignment {
    let tenants = match tenants {
        ["*"] => Tenants::All,
        list => Tenants::Listed(list.iter().map(|&tenant| tenant.to_owned()).collect()),
    };
    Assignment { role, tenants }
}

/// A person with the keys of these numbers.
pub(crate) fn person(name: &str, keys: &[u8], roles: &[Assignment]) -> Person {
    let keys = keys.iter().map(|&n| Key::new(secret(n).public(), 1_000)).collect();
    Person { name: name.parse().unwrap(), keys, roles: roles.to_vec() }
}

/// A first version.
pub(crate) fn document(persons: Vec<Person>, change_threshold: u32) -> Document {
    Document { version: 1, previous: None, not_before_us: None, change_threshold, persons }
}

/// Signed by the keys of these numbers, without the rules being asked.
pub(crate) fn signed(document: &Document, keys: &[u8]) -> Envelope {
    let mut envelope = Envelope::unsigned(super::PAYLOAD_TYPE, document.payload()).unwrap();
    keys.iter().for_each(|&n| envelope.sign(&secret(n)));
    envelope
}

/// A verified first version of these persons, signed by `key`, which must be an administrator's.
pub(crate) fn registry(persons: Vec<Person>, key: u8) -> Registry {
    let document = document(persons, 1);
    Registry::root(&Digest::of(&document.payload()), &signed(&document, &[key])).unwrap()
}
