//! Identifiers that cannot be mixed: `run_018f…` is a run and nothing else.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use uuid::Uuid;

/// What an identifier is of.
pub trait Kind {
    /// The readable prefix.
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {
        $($(#[$doc])* #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)] pub enum $name {}
        impl Kind for $name { const PREFIX: &'static str = $prefix; })*
    };
}

kinds! {
    /// One repair of one tenant.
    Run = "run";
    /// A target database's identity, written into it by `database init`.
    Target = "tgt";
}

/// An identifier of `K`: a UUID behind a prefix.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

/// The identifier of a run.
pub type RunId = Id<Run>;

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K: Kind> Id<K> {
    /// A version 7 UUID of this time and these random bytes: sorts by time.
    #[must_use]
    pub fn from_time(unix_ms: u64, random: [u8; 10]) -> Self {
        Self { uuid: uuid::Builder::from_unix_timestamp_millis(unix_ms, &random).into_uuid(), kind: PhantomData }
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.uuid.simple())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not such an identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// It is an identifier of something else, or of nothing.
    #[error("`{text}` does not begin with `{expected}_`")]
    WrongKind {
        /// What was given.
        text: String,
        /// The prefix wanted.
        expected: &'static str,
    },
    /// What follows the prefix is not a UUID.
    #[error("`{0}` does not hold a UUID")]
    NotAUuid(String),
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or_else(|| ParseIdError::WrongKind { text: text.to_owned(), expected: K::PREFIX })?;
        let uuid = Uuid::try_parse(rest).map_err(|_| ParseIdError::NotAUuid(text.to_owned()))?;
        Ok(Self { uuid, kind: PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_parses_and_refuses_another_kind() {
        let run = RunId::from_time(1_763_600_000_000, [7; 10]);
        assert_eq!(run.to_string().parse::<RunId>(), Ok(run));
        assert!(matches!(run.to_string().parse::<Id<Target>>(), Err(ParseIdError::WrongKind { expected: "tgt", .. })));
        assert!(RunId::from_time(1, [255; 10]) < RunId::from_time(2, [0; 10]));
    }
}
