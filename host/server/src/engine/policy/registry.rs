//! The registry of people: what it is verified from, and how it changes. A change is a document that people of
//! the version before sign, one after the other, each where their key is; with enough of them it counts.

use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::people::{Actor, Chain, PAYLOAD_TYPE, Registry, RegistryError, Standing, differences};
use mendwright_core::plan::header::Digest;
use mendwright_store::{KnownPeople, Motion, Proposal, ProposalState, StoredPeople};

use super::super::{Host, problem, rfc3339};
use super::{DEMO, actor, checked_reason};
use crate::api::FORMAT_VERSION;
use crate::api::people::{PeopleBody, ProposalBody};
use crate::config::Config;
use crate::view::problem::Problem;

/// Proposals that are shown at once: every pending one, and the latest others.
const SHOWN_MAX: u32 = 100;

/// What the registry is verified from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root {
    /// The digest of its first version; where it is absent in a demo, the first that is there.
    digest: Option<Digest>,
    pub(super) is_demo: bool,
}

impl Root {
    /// As the operator wrote it.
    pub(crate) fn of(config: &Config) -> Self {
        Self { digest: config.people.root, is_demo: config.environment == DEMO }
    }

    /// Every version, each verified by the one before it.
    pub(crate) fn chain(&self, envelopes: &[&str]) -> Result<Chain, Problem> {
        let parsed: Vec<Envelope> = envelopes
            .iter()
            .map(|text| Envelope::parse(text.as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(|error| Problem::new(Code::RegistryInvalid, error.to_string()))?;
        let first = parsed.first().map(|envelope| Digest::of(envelope.payload())).ok_or_else(no_registry)?;
        let root = match self.digest {
            Some(root) => root,
            None if self.is_demo => first,
            None => {
                let why = "the registry of people has no trust root: `root` under [people] is not set";
                return Err(Problem::new(Code::RegistryInvalid, why)
                    .detail(format!("the first version that is stored is {first}"))
                    .next("mendwright person root", "prints the digest to compare and to write there"));
            }
        };
        Chain::verify(&root, &parsed).map_err(|error| invalid(&error))
    }
}

fn invalid(error: &RegistryError) -> Problem {
    Problem::new(error.code(), format!("the registry of people: {error}"))
        .next("mendwright person list", "who is in it, and how many sign the next version")
}

/// Nobody can approve or sign anything.
pub(super) fn no_registry() -> Problem {
    Problem::new(Code::RegistryInvalid, "there is no registry of people yet: nobody can approve anything")
        .next("mendwright person init", "makes one, with you as its first admin")
}

impl Host {
    /// Every version of the registry as it was signed, and the clock that it is measured by.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn people(&self) -> Result<PeopleBody, Problem> {
        let versions = self.store.people().await.map_err(problem::store)?;
        let now_us = self.store.clock_us().await.map_err(problem::store)?;
        let envelope = |version: StoredPeople| parse(version.envelope.as_bytes());
        Ok(PeopleBody {
            format_version: FORMAT_VERSION.to_owned(),
            now: rfc3339(now_us),
            versions: versions.into_iter().map(envelope).collect::<Result<_, _>>()?,
        })
    }

    /// What is proposed, pending ones first.
    ///
    /// # Errors
    /// The store cannot be read, or the registry does not follow from its trust root.
    pub async fn proposals(&self) -> Result<Vec<ProposalBody>, Problem> {
        let chain = self.chain_now().await?;
        let proposals = self.store.proposals(SHOWN_MAX).await.map_err(problem::store)?;
        proposals.iter().map(|proposal| seen(&chain, proposal)).collect()
    }

    /// A proposal.
    ///
    /// # Errors
    /// There is none, and as [`Host::proposals`].
    pub async fn proposal(&self, number: u64) -> Result<ProposalBody, Problem> {
        let proposal = self.store.proposal(number).await.map_err(problem::store)?;
        let chain = self.chain_now().await?;
        seen(&chain, &proposal)
    }

    /// Proposes the next version of the registry: the document, signed by who proposes it. Where that is enough,
    /// it counts at once.
    ///
    /// # Errors
    /// It is no next version, nobody who may has signed it, or too many wait.
    pub async fn propose(&self, envelope: &Envelope, reason: &str) -> Result<ProposalBody, Problem> {
        let reason = checked_reason(reason)?;
        let judge = |known: &KnownPeople| {
            let chain = self.authority.chain(&known.versions)?.ok_or_else(no_registry)?;
            let before = chain.last();
            let (next, _) = before.proposed(envelope).map_err(|error| invalid(&error))?;
            let mut kept = Envelope::unsigned(PAYLOAD_TYPE, envelope.payload().to_vec())
                .map_err(|error| invalid(&error.into()))?;
            let (standing, by) = gather(before, &mut kept, envelope)?;
            let (version, is_enough) = (next.document().version, standing.is_enough());
            Ok::<_, Problem>((Motion::Propose { version, envelope: kept.to_json(), reason, is_enough }, by))
        };
        let proposal = self.store.move_people(None, judge).await.map_err(problem::store)??;
        let chain = self.chain_now().await?;
        seen(&chain, &proposal)
    }

    /// Adds somebody's signature to a proposal. With enough of them it becomes the registry's next version.
    ///
    /// # Errors
    /// It is another document, the key is no administrator's, who signs has signed already, or it is pending no
    /// more.
    pub async fn sign_proposal(&self, number: u64, envelope: &Envelope) -> Result<ProposalBody, Problem> {
        let judge = |known: &KnownPeople| {
            let chain = self.authority.chain(&known.versions)?.ok_or_else(no_registry)?;
            let proposal = pending(known)?;
            let mut kept = parse(proposal.envelope.as_bytes())?;
            let (standing, by) = gather(chain.last(), &mut kept, envelope)?;
            Ok::<_, Problem>((Motion::Sign { envelope: kept.to_json(), is_enough: standing.is_enough() }, by))
        };
        let proposal = self.store.move_people(Some(number), judge).await.map_err(problem::store)??;
        let chain = self.chain_now().await?;
        seen(&chain, &proposal)
    }

    /// Takes a proposal back.
    ///
    /// # Errors
    /// It is pending no more, or `by` neither proposed it nor is an administrator.
    pub async fn discard_proposal(&self, number: u64, by: &str, reason: &str) -> Result<ProposalBody, Problem> {
        let reason = checked_reason(reason)?;
        let judge = |known: &KnownPeople| {
            let chain = self.authority.chain(&known.versions)?.ok_or_else(no_registry)?;
            let proposal = pending(known)?;
            let person = match actor(by) {
                Some(Actor::Person(name)) => chain.last().person(&name),
                Some(Actor::Machine(_)) | None => None,
            };
            if proposal.proposed_by != by && !person.is_some_and(|person| person.is_admin()) {
                let message = format!("{by} neither proposed {number} nor is an administrator of the registry");
                return Err(Problem::new(Code::PolicyDenied, message).next("mendwright person list", "who is"));
            }
            Ok((Motion::Discard { reason }, by.to_owned()))
        };
        let proposal = self.store.move_people(Some(number), judge).await.map_err(problem::store)??;
        let chain = self.chain_now().await?;
        seen(&chain, &proposal)
    }

    async fn chain_now(&self) -> Result<std::sync::Arc<Chain>, Problem> {
        let versions = self.store.people().await.map_err(problem::store)?;
        self.authority.chain(&versions)?.ok_or_else(no_registry)
    }
}

fn parse(text: &[u8]) -> Result<Envelope, Problem> {
    Envelope::parse(text).map_err(|error| Problem::new(Code::RegistryInvalid, error.to_string()))
}

fn pending(known: &KnownPeople) -> Result<&Proposal, Problem> {
    let nothing = || Problem::new(Code::Internal, "a proposal was not read");
    let proposal = known.proposal.as_ref().ok_or_else(nothing)?;
    if proposal.state == ProposalState::Pending {
        return Ok(proposal);
    }
    let message = format!("proposal {} is {} and waits for nobody", proposal.number, proposal.state.word());
    Err(Problem::new(Code::ProposalState, message).next("mendwright person proposals", "what waits for signatures"))
}

/// Takes over what administrators signed in `given`: how it stands then, and whose word is new.
fn gather(before: &Registry, kept: &mut Envelope, given: &Envelope) -> Result<(Standing, String), Problem> {
    let signed = |envelope: &Envelope| match before.proposed(envelope) {
        Ok((_, standing)) => Ok(standing.signed_by),
        // Nobody has signed it yet.
        Err(RegistryError::Envelope(_)) => Ok(std::collections::BTreeSet::new()),
        Err(error) => Err(invalid(&error)),
    };
    let earlier = signed(kept)?;
    kept.gather(given, PAYLOAD_TYPE, before.signing_keys()).map_err(|error| invalid(&error.into()))?;
    let (_, standing) = before.proposed(kept).map_err(|error| invalid(&error))?;
    let Some(new) = standing.signed_by.difference(&earlier).next() else {
        let names: Vec<String> = earlier.iter().map(ToString::to_string).collect();
        let message = format!("it is signed by {} already: persons are counted, not keys", names.join(" and "));
        return Err(Problem::new(Code::ProposalState, message)
            .next("mendwright person proposals", "whose signatures are missing"));
    };
    let by = format!("person:{new}");
    Ok((standing, by))
}

/// A proposal beside the version that it was made from.
fn seen(chain: &Chain, proposal: &Proposal) -> Result<ProposalBody, Problem> {
    let envelope = parse(proposal.envelope.as_bytes())?;
    let before = chain.versions().find(|version| version.document().version + 1 == proposal.version);
    let before = before.ok_or_else(|| {
        Problem::new(Code::StoreCorrupt, format!("proposal {} follows no version of the registry", proposal.number))
            .next("mendwright audit verify", "what the log says of it")
    })?;
    let (next, standing) = before.proposed(&envelope).map_err(|error| invalid(&error))?;
    let differences = differences(before.document(), next.document());
    Ok(ProposalBody {
        format_version: FORMAT_VERSION.to_owned(),
        number: proposal.number,
        version: proposal.version,
        state: proposal.state.word().to_owned(),
        reason: proposal.reason.clone(),
        proposed_by: proposal.proposed_by.clone(),
        at: rfc3339(proposal.at_us),
        ended_at: proposal.ended_at_us.map(rfc3339),
        differences: differences.iter().map(ToString::to_string).collect(),
        signed_by: standing.signed_by.into_iter().collect(),
        needed: standing.needed,
        envelope,
    })
}
