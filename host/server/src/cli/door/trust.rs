//! How far jobs are trusted.

use mendwright_core::dsse::Envelope;
use mendwright_core::policy::Trust;

use super::Door;
use crate::api::trust::TrustBody;
use crate::view::problem::Problem;

impl Door {
    /// Every job and tenant of which there is something to say.
    pub(in crate::cli) async fn trust_list(&self) -> Result<Vec<TrustBody>, Problem> {
        match self {
            Self::Local(host) => host.trust_list().await,
            Self::Remote(client, _) => client.trust_list().await,
        }
    }

    /// How far a job is trusted with a tenant.
    pub(in crate::cli) async fn trust_of(&self, job: &str, tenant: &str) -> Result<TrustBody, Problem> {
        match self {
            Self::Local(host) => host.trust_of(job, tenant).await,
            Self::Remote(client, _) => client.trust_of(job, tenant).await,
        }
    }

    /// Hands in what somebody signed to trust a job further.
    pub(in crate::cli) async fn promote(&self, envelope: &Envelope) -> Result<TrustBody, Problem> {
        match self {
            Self::Local(host) => host.promote(envelope).await,
            Self::Remote(client, _) => client.promote(envelope).await,
        }
    }

    /// Trusts a job less.
    pub(in crate::cli) async fn demote(
        &self,
        pair: (&str, &str),
        to: Trust,
        (by, reason): (&str, &str),
    ) -> Result<TrustBody, Problem> {
        match self {
            Self::Local(host) => host.demote(pair, to, by, reason).await,
            Self::Remote(client, _) => client.demote(pair, to, reason).await,
        }
    }
}
