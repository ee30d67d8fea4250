//! Names of those who act.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name: an address of an ordinary mailbox fits.
pub const NAME_BYTES_MAX: usize = 64;
/// What a machine's name begins with. No person's name can hold a colon.
const MACHINE: &str = "machine:";

/// The text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name: 1 to {NAME_BYTES_MAX} of a-z, 0-9, `.`, `_`, `-` and `@`, a letter or digit first and last")]
pub struct NameError(String);

/// A person's name in the registry: one spelling, so that nobody is counted twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonName(String);

impl PersonName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PersonName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = text.as_bytes();
        let fits = bytes.len() <= NAME_BYTES_MAX
            && bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|c| plain(c) || b"._-@".contains(c));
        if fits { Ok(Self(text)) } else { Err(NameError(crate::text::escape_short(&text, NAME_BYTES_MAX))) }
    }
}

impl FromStr for PersonName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<PersonName> for String {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

/// Who asks for something: a person, or a machine (the detector, a pipeline's token), which can ask and
/// never approve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    /// A person of the registry.
    Person(PersonName),
    /// Anything else; prints as `machine:NAME`.
    Machine(PersonName),
}

impl Actor {
    /// The person, if it is one.
    #[must_use]
    pub const fn person(&self) -> Option<&PersonName> {
        match self {
            Self::Person(name) => Some(name),
            Self::Machine(_) => None,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => write!(f, "{name}"),
            Self::Machine(name) => write!(f, "{MACHINE}{name}"),
        }
    }
}

impl FromStr for Actor {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(MACHINE) {
            Some(name) => Ok(Self::Machine(name.parse()?)),
            None => Ok(Self::Person(text.parse()?)),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        actor.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        for name in ["a", "ana.lima", "ana@example.com", "7-of-9", &"x".repeat(64)] {
            assert_eq!(name.parse::<PersonName>().unwrap().as_str(), name);
        }
        for text in ["", "Ana", "ana ", " ana", ".ana", "ana.", "аna", "a\u{200b}b", "machine:x", &"x".repeat(65)] {
            assert!(text.parse::<PersonName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_machine_is_no_person() {
        let detector: Actor = "machine:detector".parse().unwrap();
        assert_eq!(detector.person(), None);
        assert_eq!(detector.to_string().parse(), Ok(detector));
        assert!("machine:machine:x".parse::<Actor>().is_err());
        assert_eq!("ana".parse::<Actor>().unwrap().person(), Some(&"ana".parse().unwrap()));
    }
}
