//! Who is who, and what is to be different.

use mendwright_core::dsse::Envelope;
use mendwright_core::people::PersonName;
use serde::{Deserialize, Serialize};

/// The registry of people: whoever asks verifies it themselves, from their own trust root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleBody {
    /// [`super::FORMAT_VERSION`].
    pub format_version: String,
    /// By the control database's clock.
    pub now: String,
    /// Every version as it was signed, from the first.
    pub versions: Vec<Envelope>,
}

/// `POST /people/proposals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposeBody {
    /// The next version, signed by who proposes it.
    pub envelope: Envelope,
    /// Why.
    pub reason: String,
}

/// `POST /people/proposals/{proposal}/discard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscardBody {
    /// Why.
    pub reason: String,
}

/// What somebody wants to be the registry's next version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalBody {
    /// [`super::FORMAT_VERSION`].
    pub format_version: String,
    /// 1, 2, 3 …
    pub number: u64,
    /// The version that it is to be.
    pub version: u64,
    /// `pending`, `adopted`, `discarded`, `overtaken`.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Who proposed it: `person:alice`.
    pub proposed_by: String,
    /// When.
    pub at: String,
    /// When it was pending no more.
    pub ended_at: Option<String>,
    /// What it would change, a line each.
    pub differences: Vec<String>,
    /// Who signed it so far.
    pub signed_by: Vec<PersonName>,
    /// How many have to.
    pub needed: usize,
    /// The document with the signatures so far.
    pub envelope: Envelope,
}

/// What is proposed, pending ones first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalsBody {
    /// [`super::FORMAT_VERSION`].
    pub format_version: String,
    /// At most 100.
    pub proposals: Vec<ProposalBody>,
}
