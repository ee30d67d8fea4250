//! How far jobs are trusted.

use ::http::Method;
use mendwright_core::dsse::Envelope;
use mendwright_core::policy::Trust;

use super::Client;
use super::http::Request;
use crate::api::trust::{DemoteBody, TrustBody, TrustsBody};
use crate::view::problem::Problem;

impl Client {
    /// Every job and tenant of which there is something to say.
    pub(crate) async fn trust_list(&self) -> Result<Vec<TrustBody>, Problem> {
        Ok(self.ask::<TrustsBody>(Request::get(&["trust"])).await?.trust)
    }

    /// How far a job is trusted with a tenant.
    pub(crate) async fn trust_of(&self, job: &str, tenant: &str) -> Result<TrustBody, Problem> {
        self.ask(Request::get(&["trust", job, tenant])).await
    }

    /// Hands in what somebody signed to trust a job further.
    pub(crate) async fn promote(&self, envelope: &Envelope) -> Result<TrustBody, Problem> {
        self.ask(Request::new(Method::POST, &["trust", "promotions"]).body(envelope)).await
    }

    /// Trusts a job less.
    pub(crate) async fn demote(
        &self,
        (job, tenant): (&str, &str),
        to: Trust,
        reason: &str,
    ) -> Result<TrustBody, Problem> {
        let body = DemoteBody { to, reason: reason.to_owned() };
        self.ask(Request::new(Method::POST, &["trust", job, tenant, "demote"]).body(&body)).await
    }
}
