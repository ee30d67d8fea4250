//! How far jobs are trusted.

use mendwright_core::dsse::Envelope;
use mendwright_core::policy::Trust;
use serde::{Deserialize, Serialize};

/// How far a job is trusted with a tenant, and what its record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustBody {
    /// [`super::FORMAT_VERSION`].
    pub format_version: String,
    /// The job.
    pub job: String,
    /// Whose data.
    pub tenant: String,
    /// `suggest`, `approve`, `auto`: what holds.
    pub trust: Trust,
    /// What the configuration says, and what holds where nobody said otherwise.
    pub configured: Trust,
    /// Who said it last.
    pub by: Option<String>,
    /// When.
    pub at: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What went wrong since: until somebody says again, the job does not apply by itself.
    pub setback: Option<SetbackBody>,
    /// Successes in a row, without an undo or a refusal.
    pub succeeded: u64,
    /// Runs that were undone, ever.
    pub undone: u64,
    /// Runs that were refused, ever.
    pub refused: u64,
    /// How far the record suggests to trust it next.
    pub suggests: Option<Trust>,
    /// What waits for another person's signature.
    pub pending: Option<PendingBody>,
    /// How often somebody said how far it is trusted: part of what is signed.
    pub changes: u64,
    /// By the control database's clock.
    pub now: String,
}

/// A run that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetbackBody {
    /// Its number.
    pub run: u64,
    /// What happened to it.
    pub event: String,
}

/// What waits for another person's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingBody {
    /// How far.
    pub to: Trust,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub asked_by: String,
    /// When.
    pub at: String,
    /// Until when it can be signed.
    pub expires_at: String,
    /// The promotion, with the signatures so far.
    pub envelope: Envelope,
}

/// Every job and tenant of which there is something to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustsBody {
    /// [`super::FORMAT_VERSION`].
    pub format_version: String,
    /// At most 10,000.
    pub trust: Vec<TrustBody>,
}

/// `POST /trust/{job}/{tenant}/demote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoteBody {
    /// How far it is still trusted.
    pub to: Trust,
    /// Why.
    pub reason: String,
}
