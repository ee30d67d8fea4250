//! Changes of the registry: from one version to the next, and what differs between two.

use std::collections::BTreeMap;
use std::fmt;

use super::document::{Document, Key, Person, RegistryError};
use super::name::PersonName;
use super::registry::Registry;
use super::role::{Assignment, Role, Tenants};
use crate::key::{KeyId, PublicKey};

/// One thing that somebody wants to be different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A person without keys and roles.
    Add(PersonName),
    /// The person leaves: every key is revoked, every role is gone. The name stays, so that nobody takes it.
    Remove(PersonName),
    /// One more key for a person.
    AddKey(PersonName, PublicKey),
    /// A key counts no more.
    RevokeKey(KeyId),
    /// A person holds a role for these tenants, whatever it was for before.
    Grant(PersonName, Assignment),
    /// A person holds a role no more.
    Drop(PersonName, Role),
    /// How many administrators must sign the next version, at least.
    Threshold(u32),
}

impl Registry {
    /// The next version, with these edits made one after the other. Nobody has signed it yet.
    ///
    /// # Errors
    /// [`RegistryError::Rule`]: an edit cannot be made, or nothing would be different.
    pub fn next(&self, edits: &[Edit], now_us: i64) -> Result<Document, RegistryError> {
        let before = self.document();
        let mut next = before.clone();
        for edit in edits {
            make(&mut next, edit, now_us)?;
        }
        if next == *before {
            return Err(RegistryError::Rule("nothing would be different".to_owned()));
        }
        next.version = before.version.saturating_add(1);
        next.previous = Some(*self.digest());
        next.check()?;
        next.check_after(before)?;
        Ok(next)
    }
}

fn make(next: &mut Document, edit: &Edit, now_us: i64) -> Result<(), RegistryError> {
    match edit {
        Edit::Add(name) => {
            let place = match next.persons.binary_search_by(|person| person.name.cmp(name)) {
                Ok(_) => return Err(RegistryError::Rule(format!("{name} is in it already"))),
                Err(place) => place,
            };
            next.persons.insert(place, Person { name: name.clone(), keys: Vec::new(), roles: Vec::new() });
        }
        Edit::Remove(name) => {
            let person = person(next, name)?;
            person.roles.clear();
            person.keys.iter_mut().for_each(|key| revoke(key, now_us));
        }
        Edit::AddKey(name, public) => person(next, name)?.keys.push(Key::new(*public, now_us)),
        Edit::RevokeKey(id) => {
            let key = next.persons.iter_mut().flat_map(|person| &mut person.keys).find(|key| key.id == *id);
            let unknown = || RegistryError::Rule(format!("key {id} is nobody's"));
            revoke(key.ok_or_else(unknown)?, now_us);
        }
        Edit::Grant(name, assignment) => {
            let roles = &mut person(next, name)?.roles;
            match roles.iter_mut().find(|held| held.role == assignment.role) {
                Some(held) => held.tenants = assignment.tenants.clone(),
                None => roles.push(assignment.clone()),
            }
        }
        Edit::Drop(name, role) => {
            let roles = &mut person(next, name)?.roles;
            let n = roles.len();
            roles.retain(|held| held.role != *role);
            if roles.len() == n {
                return Err(RegistryError::Rule(format!("{name} does not hold the role {role}")));
            }
        }
        Edit::Threshold(n) => next.change_threshold = *n,
    }
    Ok(())
}

/// A key that is revoked already stays revoked since then.
fn revoke(key: &mut Key, now_us: i64) {
    key.revoked_at_us.get_or_insert(now_us);
}

fn person<'d>(next: &'d mut Document, name: &PersonName) -> Result<&'d mut Person, RegistryError> {
    let unknown = || RegistryError::Rule(format!("there is no {name} in it"));
    next.persons.iter_mut().find(|person| person.name == *name).ok_or_else(unknown)
}

/// One thing that differs between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A person is new.
    Person(PersonName),
    /// A person without keys is gone.
    Gone(PersonName),
    /// A role is held otherwise; `None` where it is not held.
    Role {
        /// Whose.
        person: PersonName,
        /// Which.
        role: Role,
        /// For whom before.
        before: Option<Tenants>,
        /// For whom now.
        after: Option<Tenants>,
    },
    /// A key is new.
    Key(PersonName, KeyId, PublicKey),
    /// A key is revoked.
    Revoked(PersonName, KeyId),
    /// How many administrators must sign the next version, at least.
    Threshold(u32, u32),
    /// It comes into force later.
    Begins(i64),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => write!(f, "+ {name}"),
            Self::Gone(name) => write!(f, "- {name}"),
            Self::Role { person, role, before, after } => match (before, after) {
                (None, Some(after)) => write!(f, "+ {person} is {role} for {after}"),
                (Some(before), None) => write!(f, "- {person} is {role} no more (was for {before})"),
                (Some(before), Some(after)) => write!(f, "~ {person} is {role} for {after} (was for {before})"),
                (None, None) => Ok(()),
            },
            Self::Key(person, id, public) => write!(f, "+ {person} has key {id}  {public}"),
            Self::Revoked(person, id) => write!(f, "- {person} has key {id} no more"),
            Self::Threshold(before, after) => {
                write!(f, "~ at least {after} administrators sign the next version (was {before})")
            }
            Self::Begins(at_us) => write!(f, "~ it comes into force at {}", crate::policy::instant::in_words(*at_us)),
        }
    }
}

/// What differs from one version to the next.
#[must_use]
pub fn differences(before: &Document, after: &Document) -> Vec<Difference> {
    let mut found = Vec::new();
    let of = |document: &'_ Document| -> BTreeMap<PersonName, Person> {
        document.persons.iter().map(|person| (person.name.clone(), person.clone())).collect()
    };
    let (were, are) = (of(before), of(after));
    for (name, was) in &were {
        match are.get(name) {
            Some(is) => of_person(Some(was), is, &mut found),
            None => found.push(Difference::Gone(name.clone())),
        }
    }
    for (name, is) in are.iter().filter(|(name, _)| !were.contains_key(*name)) {
        found.push(Difference::Person(name.clone()));
        of_person(None, is, &mut found);
    }
    if before.change_threshold != after.change_threshold {
        found.push(Difference::Threshold(before.change_threshold, after.change_threshold));
    }
    if let Some(at_us) = after.not_before_us.filter(|_| before.not_before_us != after.not_before_us) {
        found.push(Difference::Begins(at_us));
    }
    found
}

fn of_person(was: Option<&Person>, is: &Person, found: &mut Vec<Difference>) {
    let held = |person: Option<&Person>, role: Role| {
        let roles = person.map_or(&[][..], |person| &person.roles);
        roles.iter().find(|held| held.role == role).map(|held| held.tenants.clone())
    };
    for role in Role::ALL {
        let (before, after) = (held(was, role), held(Some(is), role));
        if before != after {
            found.push(Difference::Role { person: is.name.clone(), role, before, after });
        }
    }
    for key in &is.keys {
        let before = was.and_then(|was| was.keys.iter().find(|other| other.id == key.id));
        if before.is_none() {
            found.push(Difference::Key(is.name.clone(), key.id, key.public));
        }
        if key.revoked_at_us.is_some() && before.is_none_or(|before| before.revoked_at_us != key.revoked_at_us) {
            found.push(Difference::Revoked(is.name.clone(), key.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::testing::{person, registry, role, secret};

    fn before() -> Registry {
        let persons = vec![
            person("ana", &[1], &[role(Role::Admin, &["*"])]),
            person("bo", &[2], &[role(Role::Operator, &["acme"]), role(Role::Approver, &["*"])]),
        ];
        registry(persons, 1)
    }

    fn name(text: &str) -> PersonName {
        text.parse().unwrap()
    }

    #[test]
    fn a_next_version_says_what_is_different_line_by_line() {
        let edits = [
            Edit::Add(name("cleo")),
            Edit::AddKey(name("cleo"), secret(3).public()),
            Edit::Grant(name("cleo"), role(Role::Admin, &["*"])),
            Edit::Grant(name("bo"), role(Role::Operator, &["acme", "globex"])),
            Edit::Drop(name("bo"), Role::Approver),
            Edit::RevokeKey(secret(2).id()),
            Edit::Threshold(2),
        ];
        let next = before().next(&edits, 5_000).unwrap();
        assert_eq!((next.version, next.previous), (2, Some(*before().digest())));
        let lines: Vec<String> = differences(before().document(), &next).iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"));
        assert!(differences(&next, &next).is_empty());
    }

    #[test]
    fn who_leaves_keeps_the_name_and_loses_everything_else() {
        let next = before().next(&[Edit::Remove(name("bo"))], 5_000).unwrap();
        let bo = next.persons.iter().find(|person| person.name.as_str() == "bo").unwrap();
        assert!(bo.roles.is_empty() && bo.keys[0].revoked_at_us == Some(5_000));
    }

    #[test]
    fn what_cannot_be_made_is_refused_by_name() {
        let check = |edit: Edit, wanted: &str| {
            let error = before().next(&[edit], 5_000).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{error}");
        };
        check(Edit::Add(name("bo")), "bo is in it already");
        check(Edit::Remove(name("cleo")), "there is no cleo in it");
        check(Edit::Remove(name("ana")), "larger than the number of administrators");
        check(Edit::AddKey(name("bo"), secret(1).public()), "is listed under ana and bo");
        check(Edit::RevokeKey(secret(9).id()), "is nobody's");
        check(Edit::Drop(name("ana"), Role::Viewer), "does not hold the role viewer");
        check(Edit::Grant(name("ana"), role(Role::Admin, &["*"])), "nothing would be different");
        check(Edit::Threshold(2), "larger than the number of administrators");
    }
}
