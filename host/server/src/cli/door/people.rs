//! The word of people, and who they are.

use mendwright_core::approval::{Ballot, Paper, Subject};
use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::key::KeyId;
use mendwright_core::plan::Digest;
use mendwright_store::RunNumber;

use super::Door;
use crate::api::people::{PeopleBody, ProposalBody};
use crate::engine::Voted;
use crate::view::problem::Problem;

impl Door {
    /// What the owner of a key signs about the plan of a run, or about its undo.
    pub(in crate::cli) async fn paper(&self, run: RunNumber, key: KeyId, about: Subject) -> Result<Paper, Problem> {
        match self {
            Self::Local(host) => host.paper(run, key, about).await,
            Self::Remote(client, _) => client.paper(run, key, about).await,
        }
    }

    /// Hands in what somebody signed.
    pub(in crate::cli) async fn vote(&self, run: RunNumber, envelope: &Envelope) -> Result<Voted, Problem> {
        match self {
            Self::Local(host) => host.vote(run, envelope.to_json().as_bytes()).await,
            Self::Remote(client, _) => client.vote(run, envelope).await,
        }
    }

    /// Has one's word countersigned by the running host, which alone can vouch for somebody.
    pub(in crate::cli) async fn vote_in_session(
        &self,
        run: RunNumber,
        ballot: &Ballot,
        undo: Option<Digest>,
    ) -> Result<Voted, Problem> {
        match self {
            Self::Local(_) => {
                let message = "a session is countersigned by the running host, and none runs";
                Err(Problem::new(Code::HostUnavailable, message)
                    .next("mendwright serve", "starts it")
                    .next(format!("mendwright run {} {} --key FILE", ballot.verb, run.get()), "takes none"))
            }
            Self::Remote(client, _) => client.vote_in_session(run, ballot, undo).await,
        }
    }

    /// Every version of the registry.
    pub(in crate::cli) async fn people(&self) -> Result<PeopleBody, Problem> {
        match self {
            Self::Local(host) => host.people().await,
            Self::Remote(client, _) => client.people().await,
        }
    }

    /// What is proposed.
    pub(in crate::cli) async fn proposals(&self) -> Result<Vec<ProposalBody>, Problem> {
        match self {
            Self::Local(host) => host.proposals().await,
            Self::Remote(client, _) => client.proposals().await,
        }
    }

    /// A proposal.
    pub(in crate::cli) async fn proposal(&self, number: u64) -> Result<ProposalBody, Problem> {
        match self {
            Self::Local(host) => host.proposal(number).await,
            Self::Remote(client, _) => client.proposal(number).await,
        }
    }

    /// Proposes the registry's next version.
    pub(in crate::cli) async fn propose(&self, envelope: Envelope, reason: &str) -> Result<ProposalBody, Problem> {
        match self {
            Self::Local(host) => host.propose(&envelope, reason).await,
            Self::Remote(client, _) => client.propose(envelope, reason).await,
        }
    }

    /// Adds a signature to a proposal.
    pub(in crate::cli) async fn sign_proposal(
        &self,
        number: u64,
        envelope: &Envelope,
    ) -> Result<ProposalBody, Problem> {
        match self {
            Self::Local(host) => host.sign_proposal(number, envelope).await,
            Self::Remote(client, _) => client.sign_proposal(number, envelope).await,
        }
    }

    /// Takes a proposal back.
    pub(in crate::cli) async fn discard_proposal(
        &self,
        number: u64,
        reason: &str,
        by: &str,
    ) -> Result<ProposalBody, Problem> {
        match self {
            Self::Local(host) => host.discard_proposal(number, by, reason).await,
            Self::Remote(client, _) => client.discard_proposal(number, reason).await,
        }
    }
}
