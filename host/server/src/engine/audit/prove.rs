//! What proves a run to somebody who has only the log's key and the root of the people's registry.

use mendwright_core::approval::{CheckpointRef, Nonce, Statement};
use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::level::Level;
use mendwright_core::people::{Actor, Role};
use mendwright_core::plan::Digest;
use mendwright_core::policy::{Effect, Stage};
use mendwright_core::proof::{Decision as Decided, FORMAT, Kept, ProvenEntry, Received, RunProof};
use mendwright_core::tlog::Checkpoint;
use mendwright_store::{Entry, RunRecord, StoredPeople, StoredPlan, StoredVote};

use super::super::{problem, time};
use super::Opened;
use crate::view::problem::Problem;

impl Opened {
    /// A proof of everything that the log has about a run. The log is sequenced, signed and anchored for it.
    ///
    /// # Errors
    /// The log has nothing about the run, or is not what was signed.
    pub(crate) async fn prove(&self, run: &RunRecord) -> Result<RunProof, Problem> {
        let log = self.log();
        log.catch_up().await?;
        let nothing = || Problem::new(Code::RunState, format!("the audit log has nothing about #{}", run.number.get()));
        let signed = log.sign().await?.ok_or_else(nothing)?;
        log.anchor(&signed, time::now_us()).await?;
        let checkpoint = Checkpoint::open(&signed.note, &self.key.verifier()?)
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        let entries = self.store.prove_run(run.number, &checkpoint).await.map_err(problem::store)?;
        if entries.is_empty() {
            return Err(nothing());
        }
        Ok(RunProof {
            format: FORMAT.to_owned(),
            run: run.id.to_string(),
            checkpoint: signed.note,
            entries,
            decision: None,
            undos: Vec::new(),
            kept: Vec::new(),
        })
    }

    /// The same, and what people decided about the run's plan and its undos, with the registry that made it count.
    ///
    /// # Errors
    /// As [`Opened::prove`].
    pub(crate) async fn prove_decided(&self, run: &RunRecord) -> Result<RunProof, Problem> {
        let mut proof = self.prove(run).await?;
        let checkpoint = Checkpoint::open(&proof.checkpoint, &self.key.verifier()?)
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        (proof.decision, proof.undos) = self.decisions(run, &proof.entries).await?;
        let mut known: Vec<CheckpointRef> = Vec::new();
        for received in proof.decision.iter().chain(&proof.undos).flat_map(|decision| &decision.statements) {
            // What cannot be read counts for nothing, wherever it says that the log stood.
            let Ok(Statement { checkpoint, .. }) = Statement::read(&received.envelope) else { continue };
            if !known.contains(&checkpoint) {
                known.push(checkpoint);
            }
        }
        for earlier in known.into_iter().filter(|earlier| earlier.size <= checkpoint.size) {
            let path = self.store.prove_kept(earlier.size, &checkpoint).await.map_err(problem::store)?;
            proof.kept.push(Kept::new(earlier, &path));
        }
        Ok(proof)
    }

    /// What people were asked about the run and said: about the plan, where anybody was, and about each undo that
    /// took others' word.
    async fn decisions(
        &self,
        run: &RunRecord,
        proven: &[ProvenEntry],
    ) -> Result<(Option<Decided>, Vec<Decided>), Problem> {
        if run.plan_digest.is_none() {
            return Ok((None, Vec::new()));
        }
        let plan = self.store.verify_plan(run.number).await.map_err(problem::store)?;
        let outcome = &plan.header.outcome;
        let said = Said { run, plan: &plan, votes: self.store.votes(run.number).await.map_err(problem::store)? };
        let registry = self.store.people().await.map_err(problem::store)?;
        let mut decision = None;
        if said.votes.iter().any(|vote| about(vote).is_none()) || outcome.approvals_needed > 0 {
            let at_us = self.decided_at_us(run).await?;
            let asked = Asked {
                undo: None,
                by: &run.requested_by,
                needed: outcome.approvals_needed,
                level: outcome.level,
                at_us,
            };
            decision = Some(said.of(&asked, &registry)?);
        }
        let mut undos = Vec::new();
        for entry in proven.iter().filter_map(ProvenEntry::bytes).filter_map(|bytes| Entry::parse(&bytes).ok()) {
            if let Some(asked) = Asked::of_undo(&entry) {
                undos.push(said.of(&asked, &registry)?);
            }
        }
        Ok((decision, undos))
    }

    /// When the apply was allowed; now, where it was not yet.
    async fn decided_at_us(&self, run: &RunRecord) -> Result<i64, Problem> {
        let decisions = self.store.decisions(run.number).await.map_err(problem::store)?;
        let allowed = decisions.iter().rfind(|kept| {
            kept.decision.stage == Stage::AtApply.word()
                && kept.decision.effect == Effect::Allow.word()
                && kept.decision.facts.contains("\"action\":\"apply\"")
        });
        match allowed {
            Some(kept) => Ok(kept.at_us),
            None => self.store.clock_us().await.map_err(problem::store),
        }
    }
}

/// What people were asked.
struct Asked<'a> {
    undo: Option<Digest>,
    /// By whom: `person:alice`.
    by: &'a str,
    needed: u32,
    level: Level,
    /// When it was decided.
    at_us: i64,
}

impl<'a> Asked<'a> {
    /// About an undo that took others' word, from the entry that says that it was begun.
    fn of_undo(entry: &'a Entry) -> Option<Self> {
        let word = |name: &str| entry.body.get(name).filter(|_| entry.kind == "undo.begun");
        let needed = word("needed")?.parse().ok().filter(|needed| *needed > 0)?;
        let level = word("level")?.parse::<u8>().ok()?.try_into().ok()?;
        Some(Self { undo: Some(word("undo")?.parse().ok()?), by: &entry.actor, needed, level, at_us: entry.at_us })
    }
}

/// What people said about a run.
struct Said<'a> {
    run: &'a RunRecord,
    plan: &'a StoredPlan,
    votes: Vec<StoredVote>,
}

impl Said<'_> {
    fn of(&self, asked: &Asked<'_>, registry: &[StoredPeople]) -> Result<Decided, Problem> {
        let Self { run, plan, votes } = self;
        let Asked { undo, by, needed, level, at_us } = *asked;
        let corrupt = |what: &dyn std::fmt::Display| Problem::new(Code::StoreCorrupt, what.to_string());
        let parse = |text: &String| Envelope::parse(text.as_bytes()).map_err(|error| corrupt(&error));
        // What came to count later changes nothing of what was decided.
        let registry = registry.iter().filter(|version| version.at_us <= at_us);
        let votes = votes.iter().filter(|vote| about(vote) == undo && (undo.is_none() || vote.at_us <= at_us));
        let received =
            |vote: &StoredVote| parse(&vote.envelope).map(|envelope| Received { envelope, at_us: vote.at_us });
        let requester = by.strip_prefix("person:").unwrap_or(by);
        Ok(Decided {
            registry: registry.map(|version| parse(&version.envelope)).collect::<Result<_, _>>()?,
            statements: votes.map(received).collect::<Result<_, _>>()?,
            plan: plan.digest,
            undo,
            nonce: Nonce::try_from(run.nonce.clone()).map_err(|error| corrupt(&error))?,
            tenant: run.tenant.clone(),
            targets: plan.header.targets.iter().map(|target| target.identity.clone()).collect(),
            level,
            requester: requester.parse::<Actor>().map_err(|error| corrupt(&error))?,
            needed,
            role: Role::Approver,
            decided_at_us: at_us,
        })
    }
}

/// The undo that somebody had their word about; `None` where it was about the plan, or cannot be read.
fn about(vote: &StoredVote) -> Option<Digest> {
    let envelope = Envelope::parse(vote.envelope.as_bytes()).ok()?;
    Statement::read(&envelope).ok()?.undo
}
