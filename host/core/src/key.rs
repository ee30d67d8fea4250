//! ed25519 keys as people handle them: texts that can be copied, an id that can be said aloud.
//!
//! A key is never made here: whoever has randomness hands in 32 bytes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::code::Code;

/// What a public key's text begins with.
const PUBLIC: &str = "ed25519:";
/// What a private key's text begins with; secret scanners find it.
const SECRET: &str = "ed25519-secret:";
/// Bytes of a private key's file: one comment and one line, with room for remarks.
pub const SECRET_TEXT_BYTES_MAX: usize = 4096;

/// Why something is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It does not begin as it must.
    #[error("a key's text begins with `{0}`")]
    Prefix(&'static str),
    /// What follows is not base64 of 32 bytes.
    #[error("what follows `{0}` is not the base64 of 32 bytes")]
    Encoding(&'static str),
    /// The bytes are no point that may be a key: off the curve, not in its one encoding, or of small order.
    #[error("the 32 bytes are no ed25519 public key")]
    Point,
    /// No line of the file, or more than one, is a private key.
    #[error("the text must hold exactly one line that begins with `{SECRET}`")]
    Lines,
    /// The id beside the private key is another key's.
    #[error("the private key does not belong to the id beside it: the text was damaged")]
    Damaged,
    /// An id is sixteen lower-case hex digits.
    #[error("`{0}` is no key id: sixteen lower-case hex digits")]
    Id(String),
}

impl KeyError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::KeyInvalid
    }
}

/// The first eight bytes of SHA-256 over the public key, in hex. A name, not a proof: two keys can be
/// made to share one, which is why every signature is checked with the whole key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok()).map(Self);
        // One text for each id: hex::decode also takes upper case.
        bytes.filter(|id| id.to_string() == text).ok_or_else(|| KeyError::Id(crate::text::escape_short(text, 40)))
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// A public key; prints as `ed25519:` and base64.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key of these bytes.
    ///
    /// # Errors
    /// [`KeyError::Point`]. A key has one encoding here and lies in the prime-order group, so that no
    /// private key has two public ones, and no signature fits every message.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Point)?;
        let point = key.to_edwards();
        if key.is_weak() || !point.is_torsion_free() || point.compress().to_bytes() != *bytes {
            return Err(KeyError::Point);
        }
        Ok(Self(key))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(self.as_bytes()).into();
        KeyId([a, b, c, d, e, f, g, h])
    }

    /// Whether this key signed exactly this message: strictly, so that nobody can make a second
    /// signature out of a first.
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", STANDARD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix(PUBLIC).ok_or(KeyError::Prefix(PUBLIC))?;
        let bytes = STANDARD.decode(encoded).ok().and_then(|bytes| bytes.try_into().ok());
        Self::from_bytes(&bytes.ok_or(KeyError::Encoding(PUBLIC))?)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// A private key. Never shown, wiped when dropped.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of these random bytes.
    #[must_use]
    pub fn from_random(mut bytes: [u8; 32]) -> Self {
        let key = Self(SigningKey::from_bytes(&bytes));
        bytes.zeroize();
        key
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The public half's name.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public().id()
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The file's text, for its owner's file and nowhere else.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(STANDARD.encode(Zeroizing::new(self.0.to_bytes())));
        Zeroizing::new(format!(
            "# A private key of Mendwright. Whoever has this file can approve in its owner's name.\n{SECRET}{}:{}\n",
            self.id(),
            *seed
        ))
    }

    /// Reads what [`SecretKey::expose`] wrote; lines that begin with `#` and empty ones are remarks.
    ///
    /// # Errors
    /// [`KeyError`], which never holds the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > SECRET_TEXT_BYTES_MAX {
            return Err(KeyError::Lines);
        }
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(KeyError::Lines) };
        let rest = line.strip_prefix(SECRET).ok_or(KeyError::Lines)?;
        let (id, seed) = rest.split_once(':').ok_or(KeyError::Encoding(SECRET))?;
        let seed = Zeroizing::new(STANDARD.decode(seed).map_err(|_| KeyError::Encoding(SECRET))?);
        let key = Self::from_random(seed.as_slice().try_into().map_err(|_| KeyError::Encoding(SECRET))?);
        if key.id().to_string() != id {
            return Err(KeyError::Damaged);
        }
        Ok(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}, …)", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC_HEX: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    fn key() -> SecretKey {
        SecretKey::from_random(hex::decode(SEED).unwrap().try_into().unwrap())
    }

    #[test]
    fn the_vector_of_rfc_8032_holds() {
        assert_eq!(hex::encode(key().public().as_bytes()), PUBLIC_HEX);
        let signature = key().sign(b"");
        assert!(hex::encode(signature).starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974"));
        assert!(key().public().has_signed(b"", &signature));
        assert!(!key().public().has_signed(b"x", &signature));
        assert!(!key().public().has_signed(b"", &signature[1..]));
    }

    #[test]
    fn keys_print_and_parse_back_and_the_private_one_is_never_shown() {
        let public = key().public();
        assert_eq!(public.to_string(), "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert_eq!(public.to_string().parse(), Ok(public));
        assert_eq!(public.id().to_string().parse(), Ok(public.id()));
        assert!(public.id().to_string().to_uppercase().parse::<KeyId>().is_err());
        let text = key().expose();
        assert_eq!(SecretKey::parse(&text).unwrap().public(), public);
        let shown = format!("{:?}", key());
        assert!(!shown.contains(text.lines().last().unwrap().rsplit(':').next().unwrap()), "{shown}");
    }

    #[test]
    fn a_damaged_private_key_is_not_used() {
        let text = key().expose().clone();
        assert_eq!(SecretKey::parse(&text.replace("nWGx", "nWGy")).unwrap_err(), KeyError::Damaged);
        assert_eq!(SecretKey::parse(&text.repeat(2)).unwrap_err(), KeyError::Lines);
        assert_eq!(SecretKey::parse("").unwrap_err(), KeyError::Lines);
        assert_eq!(SecretKey::parse("ed25519-secret:abc").unwrap_err(), KeyError::Encoding(SECRET));
    }

    #[test]
    fn a_key_has_one_encoding_and_is_not_weak() {
        let refused = [
            [0; 32],                                   // order 4
            std::array::from_fn(|i| u8::from(i == 0)), // the identity
            std::array::from_fn(|i| {
                if i == 0 {
                    0xee
                } else if i == 31 {
                    0x7f
                } else {
                    0xff
                }
            }), // 1 + p
        ];
        for bytes in refused {
            assert_eq!(PublicKey::from_bytes(&bytes), Err(KeyError::Point), "{bytes:?}");
        }
        // The same key with its base64's unused bits set.
        assert!("ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURp=".parse::<PublicKey>().is_err());
        assert!("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".parse::<PublicKey>().is_err());
    }
}
