//! Reading back what was applied, and undoing it.

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::port::{Check, Finding};
use mendwright_core::run::{Event, State};
use mendwright_core::work;
use mendwright_crash::{Point, reached};
use mendwright_gateway::Error as GatewayError;
use mendwright_gateway::Target;
use mendwright_gateway::repair::{self, Fate, Flushed, Undo, Verified};
use mendwright_sandbox::Export;
use mendwright_store::{ChangeFilter, Lease, RunNumber, RunRecord, Step, StoredPlan};

use super::apply::{confirm, flush_end, unknown};
use super::compensate::{PLANNED_MAX, row};
use super::{Host, audit, problem, time};
use crate::view::problem::Problem;

/// What reading a run back came to.
pub struct VerifiedRun {
    /// The run.
    pub run: RunRecord,
    /// The host's own comparison.
    pub verified: Verified,
    /// What the job checked.
    pub checks: Vec<Check>,
    /// What the job left for people.
    pub findings: Vec<Finding>,
    /// What the job said, or why it could not be asked.
    pub summary: String,
}

/// What undoing a run came to.
#[derive(Debug)]
pub struct Undone {
    /// The run as it is now.
    pub run: RunRecord,
    /// Rows that were restored.
    pub restored: u64,
    /// `resource/key: why` of rows that stayed.
    pub left: Vec<String>,
    /// From the start to the end.
    pub elapsed_ms: u64,
}

impl Host {
    /// Reads the rows of an applied run back, and asks the job to look at them too.
    ///
    /// # Errors
    /// The run was not applied, or its journal cannot be read or trusted.
    pub async fn verify(&self, number: RunNumber) -> Result<VerifiedRun, Problem> {
        let run = self.store.run(number).await.map_err(problem::store)?;
        self.must_be(&run, &[State::Succeeded, State::Verifying, State::Stuck])?;
        let (plan, target) = self.written_target(&run).await?;
        let id = run.id.to_string();
        let verified = repair::read_back(self.context(&target, &run, &id), generation(&run))
            .await
            .map_err(|error| problem::gateway(&error))?;
        let (mut checks, mut findings) = (Vec::new(), Vec::new());
        let summary = match self.ask_job(&run, &plan).await {
            Ok(execution) => {
                checks = execution.checks;
                findings = execution.findings;
                execution.summary
            }
            Err(problem) => format!("the job could not be asked: {problem}"),
        };
        Ok(VerifiedRun { run, verified, checks, findings, summary })
    }

    async fn ask_job(&self, run: &RunRecord, plan: &StoredPlan) -> Result<super::execute::Execution, Problem> {
        let ready = self.ready(self.manifest(&run.job_name)?, &run.tenant).await?;
        if ready.component_digest != plan.header.job.component {
            return Err(Problem::new(Code::PlanBinding, "its component is not the one that made the plan"));
        }
        let changes = self.store.changes(run.number, &ChangeFilter::default(), 0, PLANNED_MAX).await;
        let changes = changes.map_err(problem::store)?;
        // A report on the others is better than none.
        let planned = changes.iter().filter_map(|stored| row(&ready.authority, &stored.change).ok()).collect();
        let execution = self.execute(&ready, run, Export::Verify(planned), None).await;
        execution.map_err(|stopped| stopped.problem)
    }

    /// Compares the rows with the journal right after a commit; what does not hold is undone by itself.
    pub(super) async fn verify_and_settle(&self, run: &RunRecord) -> Result<Option<Problem>, Problem> {
        let (_, target) = self.written_target(run).await?;
        let id = run.id.to_string();
        let read = repair::read_back(self.context(&target, run, &id), 0).await;
        let step = |event| Step::new(State::Verifying, event, time::now_us()).attempt(run.attempt);
        let keep = |step: Step| match run.undo_until_us {
            Some(at) => step.undo_until(at),
            None => step,
        };
        let verified = match read {
            Ok(verified) => verified,
            // The run stays *verifying*; the next command of a host reads it back.
            Err(error) => return Ok(Some(problem::gateway(&error))),
        };
        if verified.differ.is_empty() {
            reached(Point::BeforeFinish);
            self.store.step(run.number, keep(step(Event::VerificationPassed))).await.map_err(problem::store)?;
            reached(Point::Finished);
            return Ok(None);
        }
        let message = format!("after the commit {} did not hold what was written", verified.differ.join(", "));
        let failed = keep(step(Event::VerificationFailed)).outcome(Code::VerifyFailed, message.clone());
        self.store.step(run.number, failed).await.map_err(problem::store)?;
        let run = self.again(run).await?;
        let undone = self.roll_back(&run, &target, None).await;
        Ok(Some(match undone {
            Ok(_) => Problem::new(Code::VerifyFailed, message).detail("what still was as written was restored"),
            Err(problem) => problem.detail(message),
        }))
    }

    /// What undoing the run would do, row by row.
    ///
    /// # Errors
    /// The run was not applied, can no longer be undone, or its journal cannot be trusted.
    pub async fn undo_preview(&self, number: RunNumber) -> Result<(RunRecord, Undo), Problem> {
        let run = self.store.run(number).await.map_err(problem::store)?;
        self.may_undo(&run)?;
        let (_, target) = self.written_target(&run).await?;
        let id = run.id.to_string();
        let undo = repair::undo_preview(self.context(&target, &run, &id), generation(&run))
            .await
            .map_err(|error| problem::gateway(&error))?;
        Ok((run, undo))
    }

    /// Restores what can be restored, if `digest_prefix` is the beginning of the preview's digest.
    ///
    /// # Errors
    /// As [`Host::undo_preview`]; a digest that is not the preview's; everything a flush can end with.
    pub async fn undo(&self, number: RunNumber, digest_prefix: &str, by: &str) -> Result<Undone, Problem> {
        let lease = self.claim(number).await?;
        self.holding(lease, self.undo_held(lease, digest_prefix, by)).await
    }

    pub(super) async fn undo_held(&self, lease: Lease, digest_prefix: &str, by: &str) -> Result<Undone, Problem> {
        let start = time::now_us();
        let number = lease.run;
        self.held(lease).await?;
        let (run, preview) = match self.undo_preview(number).await {
            Ok(found) => found,
            Err(problem) => return Err(self.noticed(lease, problem).await),
        };
        if preview.restores() == 0 {
            return Err(Problem::new(
                Code::RollbackConflict,
                format!("nothing of #{} can be restored: every row changed since", number.get()),
            ));
        }
        confirm(&preview.digest, digest_prefix)?;
        reached(Point::BeforeRollback);
        self.begin_undo(&run, &preview, by).await?;
        reached(Point::RollbackStarted);
        let run = self.held(lease).await?;
        let (_, target) = self.written_target(&run).await?;
        let restored = self.roll_back(&run, &target, Some(&preview)).await?;
        let left = preview.rows.iter().filter_map(|row| match &row.fate {
            Fate::Conflict(why) => Some(format!("{}/{}: {why}", row.resource, row.key)),
            Fate::Restore => None,
        });
        let run = self.store.run(number).await.map_err(problem::store)?;
        Ok(Undone { run, restored, left: left.collect(), elapsed_ms: time::since_ms(start) })
    }

    /// Writes down that the target lost what is to be undone, if that is why it cannot be.
    async fn noticed(&self, lease: Lease, problem: Problem) -> Problem {
        if problem.code != Code::TargetDiverged {
            return problem;
        }
        let written = async {
            let run = self.held(lease).await?;
            let step = Step::new(run.state, Event::DivergenceFound, time::now_us())
                .attempt(lease.attempt)
                .outcome(problem.code, problem.message.clone());
            self.store.step(run.number, step).await.map(drop).map_err(problem::store)
        };
        if let Err(error) = written.await {
            tracing::error!(run = lease.run.get(), %error, "that the target lost a write could not be written down");
        }
        problem
    }

    /// Restores a run that is *rolling back*, and writes down how it ended.
    pub(super) async fn roll_back(
        &self,
        run: &RunRecord,
        target: &Target,
        preview: Option<&Undo>,
    ) -> Result<u64, Problem> {
        let id = run.id.to_string();
        let context = self.context(target, run, &id);
        let own;
        let preview = match preview {
            Some(preview) => preview,
            None => {
                own = match repair::undo_preview(context, generation(run)).await {
                    Ok(undo) => undo,
                    Err(error) => return Err(self.rollback_ended(run, &error).await),
                };
                &own
            }
        };
        let identity = self.identity(run, target).await?;
        let outcome = match repair::undo_apply(context, preview, &identity).await {
            Err(GatewayError::CommitUnknown) => match repair::committed(context, generation(run) + 1).await {
                Ok(Some(committed)) => {
                    let root = self.journal_root(run, target, generation(run) + 1).await;
                    Ok(Flushed { changes: committed.changes, root })
                }
                Ok(None) => Err(GatewayError::unavailable(
                    Code::TargetUnavailable,
                    "the connection was lost before the target committed",
                )),
                Err(error) => {
                    tracing::warn!(run = run.number.get(), %error, "what became of a commit is not known yet");
                    Err(GatewayError::CommitUnknown)
                }
            },
            flushed => flushed,
        };
        match outcome {
            Ok(restored) => {
                self.rolled_back_step(run, preview.digest, restored.root).await?;
                Ok(restored.changes)
            }
            Err(error) => Err(self.rollback_ended(run, &error).await),
        }
    }

    /// Writes down that the target holds this undo.
    pub(super) async fn rolled_back_step(
        &self,
        run: &RunRecord,
        undo: Digest,
        root: Option<Digest>,
    ) -> Result<(), Problem> {
        let event = work::undo_committed(run.undo_generation);
        let now_us = time::now_us();
        let mut step = Step::new(State::RollingBack, event, now_us).attempt(run.attempt);
        step = step.fact(audit::rolled_back(run, undo, root, now_us));
        if let Some(at) = run.undo_until_us {
            step = step.undo_until(at);
        }
        reached(Point::BeforeRolledBack);
        self.store.step(run.number, step).await.map_err(problem::store)?;
        reached(Point::RolledBack);
        Ok(())
    }

    /// Writes down that an undo wrote nothing, and what the run is since. Where that is not known, or where
    /// the restore has to come about, the run stays as it is, and the next command tries again.
    pub(super) async fn rollback_ended(&self, run: &RunRecord, error: &GatewayError) -> Problem {
        let problem = problem::gateway(error);
        let must_end = run.applied_at_us.is_none() || verification_failed(run);
        let Some(event) = work::undo_ended(flush_end(error), run.undo_generation, must_end) else {
            let problem = if matches!(error, GatewayError::CommitUnknown) { unknown(problem) } else { problem };
            return problem.next(format!("mendwright run show {}", run.number.get()), "where the run stands");
        };
        let mut step = Step::new(State::RollingBack, event, time::now_us())
            .attempt(run.attempt)
            .outcome(problem.code, problem.message.clone());
        if let Some(at) = run.undo_until_us {
            step = step.undo_until(at);
        }
        if let Err(error) = self.store.step(run.number, step).await {
            tracing::error!(run = run.number.get(), %error, "the end of an undo could not be written");
        }
        problem.next(format!("mendwright run show {}", run.number.get()), "where the run stands")
    }

    /// The plan of a run and the one target that it wrote.
    pub(super) async fn written_target(&self, run: &RunRecord) -> Result<(StoredPlan, Target), Problem> {
        let plan = self.store.load_plan(run.number).await.map_err(problem::store)?;
        let written = plan
            .document
            .resources
            .iter()
            .find(|r| [&r.inserts, &r.updates, &r.deletes].iter().any(|n| n.as_str() != "0"))
            .map(|r| r.database.clone())
            .ok_or_else(|| Problem::new(Code::RunState, format!("#{} changes nothing", run.number.get())))?;
        let target = self.target(&written)?;
        Ok((plan, target))
    }

    async fn identity(&self, run: &RunRecord, target: &Target) -> Result<String, Problem> {
        let plan = self.store.load_plan(run.number).await.map_err(problem::store)?;
        Ok(plan
            .header
            .targets
            .iter()
            .find(|t| t.database == target.name)
            .map(|t| t.identity.clone())
            .unwrap_or_default())
    }

    fn may_undo(&self, run: &RunRecord) -> Result<(), Problem> {
        self.must_be(run, &[State::Succeeded, State::RolledBack, State::Stuck])?;
        if !work::may_undo(run.state, run.applied_at_us.is_some()) {
            let number = run.number.get();
            let message = format!("of #{number} only a part was ever applied, and that is restored");
            return Err(Problem::new(Code::RunState, message)
                .next(format!("mendwright run plan --again {number}"), "a new plan on today's data"));
        }
        if run.undo_until_us.is_some_and(|at| at < time::now_us()) {
            return Err(Problem::new(
                Code::JournalExpired,
                format!(
                    "#{} could be undone until {}",
                    run.number.get(),
                    super::rfc3339(run.undo_until_us.unwrap_or(0))
                ),
            ));
        }
        Ok(())
    }

    fn must_be(&self, run: &RunRecord, states: &[State]) -> Result<(), Problem> {
        if states.contains(&run.state) {
            return Ok(());
        }
        let number = run.number.get();
        Err(Problem::new(Code::RunState, format!("#{number} is {} and was not applied", run.state))
            .next(format!("mendwright run show {number}"), "how it came to that"))
    }
}

/// Which flush of the run the target holds last.
pub(super) fn generation(run: &RunRecord) -> u32 {
    u32::try_from(run.undo_generation).unwrap_or(u32::MAX)
}

/// Whether the host itself found that the rows are not as planned: then the run's restore is its own.
pub(super) fn verification_failed(run: &RunRecord) -> bool {
    run.outcome.as_ref().is_some_and(|outcome| outcome.code == Code::VerifyFailed)
}
