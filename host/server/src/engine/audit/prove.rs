//! What proves a run to somebody who has only the log's key and the root of the people's registry.

use mendwright_core::approval::{CheckpointRef, Nonce, Statement};
use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::people::{Actor, Role};
use mendwright_core::policy::{Effect, Stage};
use mendwright_core::proof::{Decision, FORMAT, Kept, Received, RunProof};
use mendwright_core::tlog::Checkpoint;
use mendwright_store::{RunRecord, StoredPlan};

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
            kept: Vec::new(),
        })
    }

    /// The same, and what people decided about the run's plan, with the registry that made it count.
    ///
    /// # Errors
    /// As [`Opened::prove`].
    pub(crate) async fn prove_decided(&self, run: &RunRecord) -> Result<RunProof, Problem> {
        let mut proof = self.prove(run).await?;
        let checkpoint = Checkpoint::open(&proof.checkpoint, &self.key.verifier()?)
            .map_err(|error| Problem::new(error.code(), error.to_string()))?;
        proof.decision = self.decision(run).await?;
        let mut known: Vec<CheckpointRef> = Vec::new();
        for received in proof.decision.iter().flat_map(|decision| &decision.statements) {
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

    /// What people were asked and said; `None` where nobody was.
    async fn decision(&self, run: &RunRecord) -> Result<Option<Decision>, Problem> {
        if run.plan_digest.is_none() {
            return Ok(None);
        }
        let StoredPlan { header, digest, .. } = self.store.verify_plan(run.number).await.map_err(problem::store)?;
        let votes = self.store.votes(run.number).await.map_err(problem::store)?;
        if votes.is_empty() && header.outcome.approvals_needed == 0 {
            return Ok(None);
        }
        let corrupt = |what: &dyn std::fmt::Display| Problem::new(Code::StoreCorrupt, what.to_string());
        let parse = |text: &String| Envelope::parse(text.as_bytes()).map_err(|error| corrupt(&error));
        let decided_at_us = self.decided_at_us(run).await?;
        // What came to count later changes nothing of what was decided.
        let mut registry = self.store.people().await.map_err(problem::store)?;
        registry.retain(|version| version.at_us <= decided_at_us);
        let received = |vote: mendwright_store::StoredVote| {
            parse(&vote.envelope).map(|envelope| Received { envelope, at_us: vote.at_us })
        };
        let requester = run.requested_by.strip_prefix("person:").unwrap_or(&run.requested_by);
        Ok(Some(Decision {
            registry: registry.iter().map(|version| parse(&version.envelope)).collect::<Result<_, _>>()?,
            statements: votes.into_iter().map(received).collect::<Result<_, _>>()?,
            plan: digest,
            nonce: Nonce::try_from(run.nonce.clone()).map_err(|error| corrupt(&error))?,
            tenant: run.tenant.clone(),
            targets: header.targets.iter().map(|target| target.identity.clone()).collect(),
            level: header.outcome.level,
            requester: requester.parse::<Actor>().map_err(|error| corrupt(&error))?,
            needed: header.outcome.approvals_needed,
            role: Role::Approver,
            decided_at_us,
        }))
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
