//! Signed documents: DSSE version 1 (<https://github.com/secure-systems-lab/dsse>), with ed25519.
//!
//! The type of the payload is signed with it: what was signed as one thing never verifies as another.
//! Fields that the specification does not know are refused, so that nothing unsigned rides along.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

use crate::key::{KeyId, PublicKey, SecretKey};

/// The largest payload: a registry of a thousand people fits.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// The most signatures on one payload: more people never had to sign one thing.
pub const SIGNATURES_MAX: usize = 32;
/// The longest payload type.
pub const TYPE_BYTES_MAX: usize = 128;
/// The longest JSON: the payload in base64, and the signatures.
pub const ENVELOPE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX / 3 * 4 + 16 * 1024;

/// Why something is no envelope, or not one that these keys signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Larger than anything that we sign.
    #[error("the envelope's {what} is larger than {max}")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Bytes, or signatures.
        max: usize,
    },
    /// Not the JSON of an envelope.
    #[error("not the JSON of a DSSE envelope: {0}")]
    Json(String),
    /// A part is not base64.
    #[error("the envelope's {0} is not base64")]
    Base64(&'static str),
    /// It is a signed document of another sort.
    #[error("the envelope holds `{found}` where `{wanted}` belongs")]
    Type {
        /// What it says it holds.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// It is over another payload than the one that it is to sign.
    #[error("the signature is over another payload")]
    Payload,
    /// None of the keys signed it.
    #[error("none of the signatures is by a known key over exactly these bytes")]
    Unsigned,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// A hint at the key: it narrows the search and proves nothing.
    pub keyid: Option<String>,
    /// The signature over [`pae`].
    pub sig: Vec<u8>,
}

/// A payload, what it is, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// What is signed: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body.
#[must_use]
pub fn pae(payload_type: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

impl Envelope {
    /// A payload that nobody has signed yet.
    ///
    /// # Errors
    /// [`EnvelopeError::TooLarge`].
    pub fn unsigned(payload_type: &str, payload: Vec<u8>) -> Result<Self, EnvelopeError> {
        let envelope = Self { payload_type: payload_type.to_owned(), payload, signatures: Vec::new() };
        envelope.check_sizes()?;
        Ok(envelope)
    }

    /// Adds a signature, in the place of an earlier one by the same key.
    pub fn sign(&mut self, key: &SecretKey) {
        let keyid = Some(key.id().to_string());
        self.signatures.retain(|signature| signature.keyid != keyid);
        self.signatures.push(Signature { keyid, sig: key.sign(&pae(&self.payload_type, &self.payload)).to_vec() });
    }

    /// Reads the standard JSON form.
    ///
    /// # Errors
    /// [`EnvelopeError`] says what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, EnvelopeError> {
        if json.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { what: "JSON", max: ENVELOPE_BYTES_MAX });
        }
        let wire: Wire = serde_json::from_slice(json).map_err(|error| EnvelopeError::Json(error.to_string()))?;
        wire.try_into()
    }

    /// The standard JSON form.
    ///
    /// # Panics
    /// Never: strings always serialize.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[expect(clippy::expect_used, reason = "strings always serialize")]
        serde_json::to_string(self).expect("strings serialize")
    }

    /// What the payload is said to be.
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The payload. Not to be believed before [`Envelope::verify`].
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signatures, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Which of `keys` signed this payload as a `payload_type`. Signatures of other keys are passed over.
    ///
    /// # Errors
    /// [`EnvelopeError::Type`] and [`EnvelopeError::Unsigned`].
    pub fn verify<'k>(
        &self,
        payload_type: &str,
        keys: impl IntoIterator<Item = &'k PublicKey>,
    ) -> Result<BTreeSet<KeyId>, EnvelopeError> {
        // DSSE: "Reject if PAYLOAD_TYPE is not a supported type."
        if self.payload_type != payload_type {
            return Err(EnvelopeError::Type {
                found: crate::text::escape_short(&self.payload_type, TYPE_BYTES_MAX),
                wanted: payload_type.to_owned(),
            });
        }
        // DSSE: "Verify SIGNATURE against PAE(UTF8(PAYLOAD_TYPE), SERIALIZED_BODY)." Against the type
        // that was asked for, never against the envelope's own word.
        let message = pae(payload_type, &self.payload);
        let mut accepted = BTreeSet::new();
        for key in keys {
            let id = key.id().to_string();
            let hinted = |signature: &&Signature| signature.keyid.as_ref().is_none_or(|hint| *hint == id);
            if self.signatures.iter().filter(hinted).any(|signature| key.has_signed(&message, &signature.sig)) {
                accepted.insert(key.id());
            }
        }
        if accepted.is_empty() { Err(EnvelopeError::Unsigned) } else { Ok(accepted) }
    }

    /// Takes over the signatures that `keys` made in another envelope of the same payload: several people sign
    /// one thing at different times. Others are left behind.
    ///
    /// # Errors
    /// [`EnvelopeError`]: another payload, none of the keys, or too many signatures.
    pub fn gather<'k>(
        &mut self,
        other: &Self,
        payload_type: &str,
        keys: impl IntoIterator<Item = &'k PublicKey>,
    ) -> Result<BTreeSet<KeyId>, EnvelopeError> {
        if other.payload != self.payload {
            return Err(EnvelopeError::Payload);
        }
        let keys: Vec<&PublicKey> = keys.into_iter().collect();
        let accepted = other.verify(payload_type, keys.iter().copied())?;
        let message = pae(payload_type, &self.payload);
        for key in keys.into_iter().filter(|key| accepted.contains(&key.id())) {
            let good = other.signatures.iter().find(|signature| key.has_signed(&message, &signature.sig));
            let keyid = Some(key.id().to_string());
            self.signatures.retain(|signature| signature.keyid != keyid);
            self.signatures.extend(good.map(|good| Signature { keyid, sig: good.sig.clone() }));
        }
        self.check_sizes()?;
        Ok(accepted)
    }

    fn check_sizes(&self) -> Result<(), EnvelopeError> {
        let sizes = [
            ("payload", self.payload.len(), PAYLOAD_BYTES_MAX),
            ("payload type", self.payload_type.len(), TYPE_BYTES_MAX),
            ("list of signatures", self.signatures.len(), SIGNATURES_MAX),
        ];
        match sizes.into_iter().find(|(_, size, max)| size > max) {
            Some((what, _, max)) => Err(EnvelopeError::TooLarge { what, max }),
            None => Ok(()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    payload: String,
    payload_type: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    /// "Empty fields may be omitted."
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
    sig: String,
}

/// "Either standard or URL-safe encoding is allowed."
fn decode(what: &'static str, text: &str) -> Result<Vec<u8>, EnvelopeError> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).map_err(|_| EnvelopeError::Base64(what))
}

impl TryFrom<Wire> for Envelope {
    type Error = EnvelopeError;
    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let mut signatures = Vec::new();
        for WireSignature { keyid, sig } in wire.signatures {
            let keyid = Some(keyid).filter(|keyid| !keyid.is_empty());
            signatures.push(Signature { keyid, sig: decode("signature", &sig)? });
        }
        let payload = decode("payload", &wire.payload)?;
        let envelope = Self { payload_type: wire.payload_type, payload, signatures };
        envelope.check_sizes()?;
        Ok(envelope)
    }
}

impl From<Envelope> for Wire {
    fn from(envelope: Envelope) -> Self {
        let signature =
            |Signature { keyid, sig }| WireSignature { keyid: keyid.unwrap_or_default(), sig: STANDARD.encode(sig) };
        Self {
            payload: STANDARD.encode(envelope.payload),
            payload_type: envelope.payload_type,
            signatures: envelope.signatures.into_iter().map(signature).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "application/vnd.example+json";

    fn key(n: u8) -> SecretKey {
        SecretKey::from_random([n; 32])
    }

    fn signed() -> Envelope {
        let mut envelope = Envelope::unsigned(TYPE, b"{\"a\":1}".to_vec()).unwrap();
        envelope.sign(&key(1));
        envelope
    }

    #[test]
    fn the_encoding_that_is_signed_is_the_specifications() {
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(pae("http://example.com/HelloWorld", b"hello world"), expected);
        assert_eq!(pae("é", b""), "DSSEv1 2 é 0 ".as_bytes());
    }

    #[test]
    fn the_envelope_is_frozen() {
        insta::assert_snapshot!(signed().to_json());
        assert_eq!(Envelope::parse(signed().to_json().as_bytes()), Ok(signed()));
    }

    #[test]
    fn only_signatures_of_given_keys_over_these_bytes_count() {
        let (one, two) = (key(1).public(), key(2).public());
        let mut envelope = signed();
        assert_eq!(envelope.verify(TYPE, [&one, &two]), Ok(BTreeSet::from([one.id()])));
        assert_eq!(envelope.verify(TYPE, [&two]), Err(EnvelopeError::Unsigned));
        envelope.sign(&key(2));
        envelope.sign(&key(2));
        assert_eq!(envelope.signatures().len(), 2);
        assert_eq!(envelope.verify(TYPE, [&one, &two]), Ok(BTreeSet::from([one.id(), two.id()])));
        // No hint: the keys are tried. A wrong hint: the signature belongs to nobody.
        envelope.signatures.iter_mut().for_each(|signature| signature.keyid = None);
        assert_eq!(envelope.verify(TYPE, [&one]), Ok(BTreeSet::from([one.id()])));
        envelope.signatures.iter_mut().for_each(|signature| signature.keyid = Some(two.id().to_string()));
        assert_eq!(envelope.verify(TYPE, [&one]), Err(EnvelopeError::Unsigned));
    }

    #[test]
    fn several_people_sign_one_payload_at_different_times() {
        let keys = [key(1).public(), key(2).public()];
        let (mut gathered, mut other) = (signed(), Envelope::unsigned(TYPE, b"{\"a\":1}".to_vec()).unwrap());
        assert_eq!(gathered.gather(&other, TYPE, &keys), Err(EnvelopeError::Unsigned));
        other.sign(&key(3));
        other.sign(&key(2));
        other.signatures.insert(0, Signature { keyid: Some(keys[1].id().to_string()), sig: vec![7; 64] });
        assert_eq!(gathered.gather(&other, TYPE, &keys), Ok(BTreeSet::from([keys[1].id()])));
        assert_eq!(gathered.verify(TYPE, &keys).unwrap().len(), 2);
        assert_eq!(gathered.signatures().len(), 2, "what nobody knows is left behind");
        let mut another = Envelope::unsigned(TYPE, b"{\"a\":2}".to_vec()).unwrap();
        another.sign(&key(2));
        assert_eq!(gathered.gather(&another, TYPE, &keys), Err(EnvelopeError::Payload));
    }

    #[test]
    fn another_type_is_another_document() {
        let key = key(1).public();
        let mut envelope = signed();
        assert!(matches!(envelope.verify("other", [&key]), Err(EnvelopeError::Type { .. })));
        envelope.payload_type = "other".into();
        assert!(matches!(envelope.verify(TYPE, [&key]), Err(EnvelopeError::Type { .. })));
        assert_eq!(envelope.verify("other", [&key]), Err(EnvelopeError::Unsigned));
    }

    #[test]
    fn what_is_no_envelope_is_refused_by_name() {
        let check = |json: &str, wanted: &str| {
            let error = Envelope::parse(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error} for {json}");
        };
        check("", "EOF");
        check(r#"{"payload":"","payloadType":"t"}"#, "missing field `signatures`");
        check(r#"{"payload":"","payloadType":"t","signatures":[],"x":1}"#, "unknown field `x`");
        check(r#"{"payload":"","payload":"","payloadType":"t","signatures":[]}"#, "duplicate field");
        check(r#"{"payload":"!","payloadType":"t","signatures":[]}"#, "payload is not base64");
        check(r#"{"payload":"","payloadType":"t","signatures":[{"sig":"a"}]}"#, "signature is not base64");
        let many =
            format!(r#"{{"payload":"","payloadType":"t","signatures":[{}]}}"#, vec![r#"{"sig":""}"#; 33].join(","));
        check(&many, "list of signatures is larger than 32");
        check(&" ".repeat(ENVELOPE_BYTES_MAX + 1), "JSON is larger");
    }

    #[test]
    fn both_base64_alphabets_are_read() {
        let json = r#"{"payload":"_-8=","payloadType":"t","signatures":[]}"#;
        let other = json.replace('_', "/").replace('-', "+");
        assert_eq!(Envelope::parse(json.as_bytes()), Envelope::parse(other.as_bytes()));
    }
}
