//! Binding a value without showing it.
//!
//! A sensitive value enters a plan as HMAC-SHA-256(salt, place ‖ value). The salt is kept apart from
//! the plan: whoever reads a plan or its digest cannot try values out, and whoever holds the salt can
//! check that today's value is the planned one.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::value::Value;

/// The secret of one plan; from the host's random source, kept beside the plan, never in it.
#[derive(Clone)]
pub struct Salt([u8; 32]);

impl Salt {
    /// A salt of these random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept in the control store and nowhere else.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Commits to `value` standing at `place` (resource, key and column), so that equal values in two
    /// places do not look equal.
    #[must_use]
    pub fn commit(&self, place: &str, value: &Value) -> Commitment {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any key length");
        let len = u64::try_from(place.len()).unwrap_or(u64::MAX);
        mac.update(&len.to_be_bytes());
        mac.update(place.as_bytes());
        mac.update(value.tagged().as_bytes());
        Commitment(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// Stands for a value that is bound and not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Commitment(pub [u8; 32]);

/// A value of a plan: the value itself, or a commitment to it where its column is sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// The value, for everybody to see.
    Shown(Value),
    /// A commitment to the value.
    Masked(Commitment),
}

impl Bound {
    /// [`Value::tagged`], or `c:` and the commitment in hex.
    #[must_use]
    pub fn tagged(&self) -> String {
        match self {
            Self::Shown(value) => value.tagged(),
            Self::Masked(Commitment(hash)) => format!("c:{}", hex::encode(hash)),
        }
    }

    /// Reads what [`Bound::tagged`] wrote.
    #[must_use]
    pub fn from_tagged(text: &str) -> Option<Self> {
        match text.strip_prefix("c:") {
            Some(digits) => Some(Self::Masked(Commitment(hex::decode(digits).ok()?.try_into().ok()?))),
            None => Value::from_tagged(text).map(Self::Shown),
        }
    }

    /// The value where it is shown.
    #[must_use]
    pub const fn shown(&self) -> Option<&Value> {
        match self {
            Self::Shown(value) => Some(value),
            Self::Masked(_) => None,
        }
    }
}

/// For people: the value, or `••••` and four hex digits that tell two masked values apart.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown(value) => write!(f, "{value}"),
            Self::Masked(Commitment([a, b, ..])) => write!(f, "••••{a:02x}{b:02x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_depends_on_salt_place_and_value_and_reads_back() {
        let salt = Salt::new([1; 32]);
        let value = Value::Text("Theodor-Heuss-Straße 34".into());
        let one = salt.commit("invoices/1/address", &value);
        assert_eq!(one, salt.commit("invoices/1/address", &value));
        assert_ne!(one, salt.commit("invoices/2/address", &value));
        assert_ne!(one, Salt::new([2; 32]).commit("invoices/1/address", &value));
        assert_ne!(one, salt.commit("invoices/1/address", &Value::Null));
        let bound = Bound::Masked(one);
        assert_eq!(Bound::from_tagged(&bound.tagged()), Some(bound));
        assert_eq!(format!("{salt:?}"), "Salt(…)");
    }
}
