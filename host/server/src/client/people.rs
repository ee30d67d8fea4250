//! The word of people, and who they are.

use ::http::Method;
use mendwright_core::approval::{Ballot, Paper, Subject};
use mendwright_core::dsse::Envelope;
use mendwright_core::key::KeyId;
use mendwright_core::plan::Digest;
use mendwright_store::RunNumber;

use super::http::Request;
use super::{Client, number};
use crate::api::people::{DiscardBody, PeopleBody, ProposalBody, ProposalsBody, ProposeBody};
use crate::api::vote::{PaperBody, SessionVoteBody, VotedBody};
use crate::engine::Voted;
use crate::view::problem::Problem;

impl Client {
    /// What the owner of a key signs about the plan of a run, or about its undo.
    pub(crate) async fn paper(&self, run: RunNumber, key: KeyId, about: Subject) -> Result<Paper, Problem> {
        let (run, key) = (number(run), key.to_string());
        let undo = (about == Subject::Undo).then_some("true");
        let request = Request::get(&["runs", &run, "paper"]).query("key", Some(&key)).query("undo", undo);
        self.ask::<PaperBody>(request).await?.paper()
    }

    /// Hands in what somebody signed.
    pub(crate) async fn vote(&self, run: RunNumber, envelope: &Envelope) -> Result<Voted, Problem> {
        let request = Request::new(Method::POST, &["runs", &number(run), "votes"]).body(envelope);
        self.ask::<VotedBody>(request).await?.voted()
    }

    /// Has one's word countersigned by the host.
    pub(crate) async fn vote_in_session(
        &self,
        run: RunNumber,
        ballot: &Ballot,
        undo: Option<Digest>,
    ) -> Result<Voted, Problem> {
        let body = SessionVoteBody { verb: ballot.verb, reason: ballot.reason.clone(), undo };
        let request = Request::new(Method::POST, &["runs", &number(run), "session-votes"]).body(&body);
        self.ask::<VotedBody>(request).await?.voted()
    }

    /// Every version of the registry.
    pub(crate) async fn people(&self) -> Result<PeopleBody, Problem> {
        self.ask(Request::get(&["people"])).await
    }

    /// What is proposed.
    pub(crate) async fn proposals(&self) -> Result<Vec<ProposalBody>, Problem> {
        Ok(self.ask::<ProposalsBody>(Request::get(&["people", "proposals"])).await?.proposals)
    }

    /// A proposal.
    pub(crate) async fn proposal(&self, number: u64) -> Result<ProposalBody, Problem> {
        self.ask(Request::get(&["people", "proposals", &number.to_string()])).await
    }

    /// Proposes the registry's next version.
    pub(crate) async fn propose(&self, envelope: Envelope, reason: &str) -> Result<ProposalBody, Problem> {
        let body = ProposeBody { envelope, reason: reason.to_owned() };
        self.ask(Request::new(Method::POST, &["people", "proposals"]).body(&body)).await
    }

    /// Adds a signature to a proposal.
    pub(crate) async fn sign_proposal(&self, number: u64, envelope: &Envelope) -> Result<ProposalBody, Problem> {
        let path = ["people", "proposals", &number.to_string(), "signatures"];
        self.ask(Request::new(Method::POST, &path).body(envelope)).await
    }

    /// Takes a proposal back.
    pub(crate) async fn discard_proposal(&self, number: u64, reason: &str) -> Result<ProposalBody, Problem> {
        let path = ["people", "proposals", &number.to_string(), "discard"];
        self.ask(Request::new(Method::POST, &path).body(&DiscardBody { reason: reason.to_owned() })).await
    }
}
