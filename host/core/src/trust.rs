//! How far a job is trusted with a tenant: what people sign to trust it further, and what its record suggests.
//! Trusting it less takes nobody's signature.

use serde::{Deserialize, Serialize};

use crate::approval::statement::REASON_BYTES_MAX;
use crate::code::Code;
use crate::dsse::{Envelope, EnvelopeError};
use crate::people::{PersonName, Registry};
use crate::policy::Trust;

/// What a signed promotion says it is.
pub const PAYLOAD_TYPE: &str = "application/vnd.mendwright.trust.v1+json";

/// The largest promotion: two names and a paragraph.
pub const PROMOTION_BYTES_MAX: usize = 16 * 1024;

/// That a job is to be trusted further. A frozen format: RFC 8785 JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// The job's name.
    pub job: String,
    /// Whose data.
    pub tenant: String,
    /// How far it is trusted now.
    pub from: Trust,
    /// How far it is to be.
    pub to: Trust,
    /// How often that was changed before: what was signed fits one occasion, and never comes back.
    pub after: u64,
    /// Microseconds since 1970, by the control database's clock, from which it counts no more.
    pub expires_at_us: i64,
    /// Why.
    pub reason: String,
}

/// Why something is no promotion.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromotionError {
    /// The envelope is not one, or nobody of the registry signed it.
    #[error("{0}")]
    Envelope(#[from] EnvelopeError),
    /// The payload is not the JSON of a promotion.
    #[error("not the JSON of a promotion: {0}")]
    Json(String),
    /// The payload says the right things in another form.
    #[error("the promotion is not in its canonical form (RFC 8785)")]
    NotCanonical,
    /// A field holds what it cannot.
    #[error("promotion: {0}")]
    Field(&'static str),
}

impl PromotionError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Envelope(EnvelopeError::Unsigned) => Code::ApprovalNotCounted,
            Self::Envelope(_) | Self::Json(_) | Self::NotCanonical | Self::Field(_) => Code::ApprovalInvalid,
        }
    }
}

impl Promotion {
    /// The promotion, ready to be signed.
    ///
    /// # Errors
    /// [`PromotionError`] where it could not be read back.
    pub fn envelope(&self) -> Result<Envelope, PromotionError> {
        let envelope = Envelope::unsigned(PAYLOAD_TYPE, self.payload())?;
        Self::read(&envelope)?;
        Ok(envelope)
    }

    /// Reads an envelope's payload, strictly. **Its signatures are not looked at**: [`signers`] does.
    ///
    /// # Errors
    /// [`PromotionError`].
    pub fn read(envelope: &Envelope) -> Result<Self, PromotionError> {
        let payload = envelope.payload();
        if payload.len() > PROMOTION_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { what: "payload", max: PROMOTION_BYTES_MAX }.into());
        }
        let read: Self = serde_json::from_slice(payload).map_err(|error| PromotionError::Json(error.to_string()))?;
        if read.payload() != payload {
            return Err(PromotionError::NotCanonical);
        }
        let field = |holds: bool, text| if holds { Ok(()) } else { Err(PromotionError::Field(text)) };
        field(read.to > read.from, "`to` is no further than `from`")?;
        field(read.expires_at_us > 0, "`expires_at_us` is no time")?;
        field(
            !read.reason.trim().is_empty() && read.reason.len() <= REASON_BYTES_MAX,
            "`reason` is empty or too long",
        )?;
        Ok(read)
    }

    fn payload(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "types of strings and integers always serialize")]
        serde_json_canonicalizer::to_vec(self).expect("plain types serialize")
    }
}

/// The people of the registry who signed it with a key that counts now: each once, whatever they may do. What
/// nobody knows is left out of the envelope that comes back.
///
/// # Errors
/// [`PromotionError`]: nobody did.
pub fn signers(
    envelope: &Envelope,
    registry: &Registry,
    now_us: i64,
) -> Result<(Vec<PersonName>, Envelope), PromotionError> {
    let counts = |key: &&crate::people::Key| {
        key.added_at_us <= now_us && key.revoked_at_us.is_none_or(|revoked| revoked > now_us)
    };
    let persons = &registry.document().persons;
    let keys: Vec<_> = persons.iter().flat_map(|person| person.keys.iter().filter(counts)).collect();
    let mut kept = Envelope::unsigned(PAYLOAD_TYPE, envelope.payload().to_vec())?;
    let signed = kept.gather(envelope, PAYLOAD_TYPE, keys.into_iter().map(|key| &key.public))?;
    let has_signed = |person: &&crate::people::Person| person.keys.iter().any(|key| signed.contains(&key.id));
    Ok((persons.iter().filter(has_signed).map(|person| person.name.clone()).collect(), kept))
}

/// How far a job is to be trusted next, if its record speaks for it: `in_a_row` successes without an undo or a
/// refusal, of the `wanted` that it takes.
#[must_use]
pub fn suggestion(trust: Trust, in_a_row: u64, wanted: u32) -> Option<Trust> {
    if in_a_row < u64::from(wanted) {
        return None;
    }
    match trust {
        Trust::Suggest => Some(Trust::Approve),
        Trust::Approve => Some(Trust::Auto),
        Trust::Auto => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Role;
    use crate::people::testing::{person, registry, role, secret};

    fn promotion() -> Promotion {
        Promotion {
            job: "totals".into(),
            tenant: "Germany".into(),
            from: Trust::Approve,
            to: Trust::Auto,
            after: 1,
            expires_at_us: 9_000,
            reason: "ten good ones".into(),
        }
    }

    fn people() -> Registry {
        let mut bo = person("bo", &[2], &[role(Role::Approver, &["*"])]);
        bo.keys[0].added_at_us = 5_000;
        registry(vec![person("ana", &[1, 3], &[role(Role::Admin, &["*"])]), bo], 1)
    }

    #[test]
    fn a_promotion_is_frozen_and_read_strictly() {
        let envelope = promotion().envelope().unwrap();
        insta::assert_snapshot!(String::from_utf8(envelope.payload().to_vec()).unwrap());
        assert_eq!(Promotion::read(&envelope), Ok(promotion()));
        let check = |change: fn(&mut Promotion), wanted: &str| {
            let mut other = promotion();
            change(&mut other);
            assert!(other.envelope().unwrap_err().to_string().contains(wanted), "{wanted}");
        };
        check(|p| p.to = Trust::Approve, "no further");
        check(|p| p.reason = " ".into(), "`reason`");
        check(|p| p.expires_at_us = 0, "no time");
        let text = String::from_utf8(envelope.payload().to_vec()).unwrap();
        let spaced = Envelope::unsigned(PAYLOAD_TYPE, format!("{text} ").into_bytes()).unwrap();
        assert_eq!(Promotion::read(&spaced), Err(PromotionError::NotCanonical));
    }

    #[test]
    fn people_sign_and_not_keys_and_only_those_of_the_registry_whose_key_counts() {
        let names = |keys: &[u8], now_us: i64| {
            let mut envelope = promotion().envelope().unwrap();
            keys.iter().for_each(|&n| envelope.sign(&secret(n)));
            signers(&envelope, &people(), now_us).map(|(names, kept)| {
                (names.iter().map(ToString::to_string).collect::<Vec<_>>(), kept.signatures().len())
            })
        };
        assert_eq!(names(&[1, 3], 6_000), Ok((vec!["ana".to_owned()], 2)));
        assert_eq!(names(&[1, 2, 9], 6_000), Ok((vec!["ana".to_owned(), "bo".to_owned()], 2)));
        assert_eq!(names(&[1, 2], 4_000), Ok((vec!["ana".to_owned()], 1)), "bo's key does not count yet");
        let nobody = names(&[9], 6_000).unwrap_err();
        assert_eq!((nobody.code(), &nobody), (Code::ApprovalNotCounted, &EnvelopeError::Unsigned.into()));
    }

    #[test]
    fn a_good_record_suggests_the_next_step_and_never_two() {
        for (trust, in_a_row, next) in [
            (Trust::Suggest, 9, None),
            (Trust::Suggest, 10, Some(Trust::Approve)),
            (Trust::Approve, 500, Some(Trust::Auto)),
            (Trust::Auto, 500, None),
        ] {
            assert_eq!(suggestion(trust, in_a_row, 10), next);
        }
    }
}
