//! The dry run: what would change, kept for people to approve.

use std::collections::BTreeMap;

use mendwright_catalog::manifest::{Changes, Manifest};
use mendwright_core::budget::SHARE_WHOLE;
use mendwright_core::code::{Area, Code};
use mendwright_core::commitment::Salt;
use mendwright_core::id::RunId;
use mendwright_core::level::{self, Because, Level, Touch};
use mendwright_core::plan::bound;
use mendwright_core::plan::header::{Digest, Frozen, Header, JobRef, Outcome};
use mendwright_core::plan::params;
use mendwright_core::plan::stats::share;
use mendwright_core::run::{Event, State};
use mendwright_gateway::Computed;
use mendwright_gateway::repair::Rehearsed;
use mendwright_sandbox::Export;
use mendwright_store::{Known, NewPlan, NewRun, RunNumber, RunRecord, Step, StoredPlan};

use super::batched::may_batch;
use super::bind::Binder;
use super::document::{self, Parts};
use super::execute::{Execution, Stopped};
use super::job::Ready;
use super::record::Slot;
use super::work::Patience;
use super::{Host, Progress, only, problem, random, time};
use crate::view::problem::Problem;

/// How long a plan may wait to be applied: a working day's length, so that what was looked at in the
/// morning is not applied the next one.
pub(super) const PLAN_VALID_US: i64 = 8 * 3_600 * 1_000_000;

/// What is to be planned.
#[derive(Clone)]
pub struct PlanRequest {
    /// The job's name.
    pub job: String,
    /// Whose data.
    pub tenant: String,
    /// The job's parameters: an object.
    pub params: serde_json::Value,
    /// `resource/key` of the only changes to keep; empty for all.
    pub only: Vec<String>,
    /// `person:alice`.
    pub requested_by: String,
    /// The run that this one repeats.
    pub parent: Option<RunNumber>,
    /// The applied run that the job is asked to take back in its own way.
    pub compensates: Option<RunNumber>,
    /// Told how far the job is.
    pub progress: Option<Progress>,
}

/// What binds a plan's changes, and why its level is what it is.
pub(super) struct BoundPlan {
    pub(super) header: Header,
    pub(super) digest: Digest,
    pub(super) because: Vec<Because>,
}

impl Host {
    /// Runs the job against a snapshot and keeps what it would change. The run is in the control store
    /// whatever comes of it.
    ///
    /// # Errors
    /// The run was denied, refused or failed; the message says so.
    pub async fn plan(&self, request: PlanRequest) -> Result<RunRecord, Problem> {
        self.plan_into(request, None).await
    }

    /// The same; the dry run is written down into `slot` where there is one.
    pub(super) async fn plan_into(&self, request: PlanRequest, slot: Option<&Slot>) -> Result<RunRecord, Problem> {
        let manifest = self.checked(&request).await?;
        let now_us = time::now_us();
        let new = self.new_run(&manifest, &request, now_us)?;
        let (run, lease) = self.store.create_run(new, now_us).await.map_err(problem::store)?;
        let planning = async {
            match Box::pin(self.plan_run(&run, manifest, &request, slot, Patience::Once)).await {
                Ok(()) => self.store.run(run.number).await.map_err(problem::store),
                Err(stopped) => Err(self.end_planning(&run, stopped).await),
            }
        };
        self.holding(lease, planning).await
    }

    /// The manifest of a request that can be planned.
    pub(super) async fn checked(&self, request: &PlanRequest) -> Result<Manifest, Problem> {
        let manifest = self.manifest(&request.job)?;
        manifest.check_params(&request.params).map_err(problem::diagnostics)?;
        if !request.only.is_empty() && manifest.apply.changes == Changes::Together {
            return Err(Problem::new(Code::OnlyTogether, format!("the changes of {} belong together", manifest.name)));
        }
        if let Some(of) = request.compensates {
            self.origin(of, None).await?;
        }
        Ok(manifest)
    }

    /// The run that a request begins.
    pub(super) fn new_run(&self, manifest: &Manifest, request: &PlanRequest, now_us: i64) -> Result<NewRun, Problem> {
        let bytes = random::<34>().map_err(|error| Problem::new(Code::Io, error.to_string()))?;
        let (seed, rest) = bytes.split_at(8);
        let (id, nonce) = rest.split_at(10);
        Ok(NewRun {
            id: RunId::from_time(u64::try_from(now_us / 1_000).unwrap_or(0), id.try_into().unwrap_or_default()),
            tenant: request.tenant.clone(),
            job_name: manifest.name.clone(),
            job_version: manifest.version.to_string(),
            requested_by: request.requested_by.clone(),
            environment: self.config.environment.clone(),
            params: request.params.clone(),
            frozen_now_us: now_us,
            frozen_seed: hex::encode(seed),
            parent: request.parent,
            compensates: request.compensates,
            nonce: hex::encode(nonce),
            only: request.only.clone(),
        })
    }

    /// Writes down how a dry run ended that made no plan.
    pub(super) async fn end_planning(&self, run: &RunRecord, stopped: Stopped) -> Problem {
        let Stopped { problem, log } = stopped;
        let code = problem.code;
        let event = if is_denied(code) {
            Event::PolicyDenied
        } else if matches!(code, Code::JobFailed | Code::JobTrapped) {
            Event::ExecutionFailed
        } else {
            match code.area() {
                Area::Integration | Area::Ux => Event::ExecutionFailed,
                Area::Security | Area::Data | Area::Perf => Event::GatewayRefused,
            }
        };
        let step = Step::new(State::Planning, event, time::now_us())
            .attempt(run.attempt)
            .outcome(problem.code, problem.message.clone());
        let written = async {
            self.store.save_log(run.number, &log).await?;
            self.store.step(run.number, step).await
        };
        if let Err(error) = written.await {
            tracing::error!(run = run.number.get(), %error, "the end of a dry run could not be written");
        }
        let number = run.number.get();
        problem.next(format!("mendwright run show {number}"), "the run, with what the job logged")
    }

    pub(super) async fn plan_run(
        &self,
        run: &RunRecord,
        manifest: Manifest,
        request: &PlanRequest,
        slot: Option<&Slot>,
        patience: Patience,
    ) -> Result<(), Stopped> {
        self.may_plan(run, &manifest).await?;
        let ready = self.ready(manifest, &run.tenant).await?;
        let mut execution = self.compute(&ready, run, Export::DryRun, request.progress.clone(), slot).await?;
        let log = execution.log.clone();
        let with_log = |problem: Problem| Stopped { problem, log: log.clone() };
        let salt = Salt::new(random().map_err(|error| Problem::new(Code::Io, error.to_string()))?);
        let masking = execution.masking(&salt);
        let only = only::keep(&mut execution.computed, &request.only, &masking).map_err(with_log)?;
        check_shares(&ready, &execution.computed).map_err(with_log)?;
        let binder = Binder::new(&execution, &salt);
        let plan = self.bind(&ready, run, &execution, &binder, only);
        may_batch(&ready.manifest, plan.header.outcome.level, &execution.computed).map_err(with_log)?;
        let rehearsal = self.rehearse(&execution.computed).await.map_err(with_log)?;
        if let (Rehearsed::Busy(why), Patience::Again) = (&rehearsal, patience) {
            return Err(with_log(Problem::new(Code::LockWait, format!("the plan could not be rehearsed: {why}"))));
        }
        let now_us = time::now_us();
        let expires_at_us = now_us.saturating_add(PLAN_VALID_US);
        let parts = Parts {
            run,
            ready: &ready,
            execution: &execution,
            plan: &plan,
            masking: &masking,
            rehearsal,
            expires_at_us,
            keep_us: self.keep_us(&execution.computed)?,
        };
        let document = document::build(&parts);
        let new = NewPlan {
            header: &plan.header,
            document: &document,
            salt: &salt,
            log: &execution.log,
            expires_at_us,
            now_us,
        };
        let stored = StoredPlan { header: plan.header.clone(), document: document.clone(), digest: plan.digest };
        let judge = |known: &Known| self.judge_plan(known, &ready.manifest, &stored);
        self.store.save_plan(run.number, new, binder.changes(), judge).await.map_err(problem::store)??;
        Ok(())
    }

    /// The header over everything that an approval covers.
    pub(super) fn bind(
        &self,
        ready: &Ready,
        run: &RunRecord,
        execution: &Execution,
        binder: &Binder<'_>,
        only: Vec<String>,
    ) -> BoundPlan {
        let computed = &execution.computed;
        let params_masked = self.params_masked(ready, run);
        let (level, because) = level_of(ready.manifest.level, computed);
        let bindings: BTreeMap<String, Digest> = computed
            .bindings
            .iter()
            .map(|(name, resolved)| (name.clone(), Digest::of_json(resolved.as_ref())))
            .collect();
        let stable_reads = computed
            .bindings
            .values()
            .filter(|resolved| resolved.stable_reads)
            .map(|resolved| resolved.name.clone())
            .collect();
        let header = Header {
            job: JobRef {
                name: ready.manifest.name.clone(),
                version: ready.manifest.version.to_string(),
                wit: ready.manifest.wit.clone(),
                component: ready.component_digest,
                manifest: ready.manifest.digest(),
            },
            params: if params_masked { params::mask(binder.salt(), &run.params) } else { run.params.clone() },
            params_masked,
            tenant: run.tenant.clone(),
            grants: ready.grants.clone(),
            grants_digest: Digest::of_json(&ready.authority),
            budget: ready.budget.clone(),
            frozen: Frozen { now_us: run.frozen_now_us.to_string(), seed: run.frozen_seed.clone() },
            bindings,
            targets: computed.targets.clone(),
            outcome: Outcome { level, approvals_needed: self.approvals_needed(level) },
            independent: ready.manifest.apply.changes == Changes::Independent,
            only,
            compensates: execution.compensates.clone(),
            stable_reads,
            changes_count: binder.len().to_string(),
            changes_root: Digest(bound::root(binder.changes())),
        };
        BoundPlan { digest: header.digest(), header, because }
    }

    pub(super) async fn rehearse(&self, computed: &Computed) -> Result<Rehearsed, Problem> {
        let database = computed.database().map_err(|error| problem::gateway(&error))?;
        let Some(database) = database else { return Ok(Rehearsed::NotHeld("nothing changes".to_owned())) };
        let target = self.target(&database)?;
        computed.rehearse(&target).await.map_err(|error| problem::gateway(&error))
    }

    pub(super) fn keep_us(&self, computed: &Computed) -> Result<i64, Problem> {
        let database = computed.database().map_err(|error| problem::gateway(&error))?;
        let keep = database.and_then(|name| self.config.databases.get(&name)).map(|db| db.journal.keep);
        Ok(keep.map_or(0, |keep| i64::try_from(keep.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// Policy, or the lack of a grant, said no before anything ran.
const fn is_denied(code: Code) -> bool {
    matches!(
        code,
        Code::GrantMissing
            | Code::TenantExcluded
            | Code::PolicyDenied
            | Code::SafeMode
            | Code::KillSwitch
            | Code::Cooldown
            | Code::ApprovalsMissing
    )
}

pub(super) fn check_shares(ready: &Ready, computed: &Computed) -> Result<(), Problem> {
    let Some(limit) = ready.budget.share_changed else { return Ok(()) };
    let mut changed: BTreeMap<&str, usize> = BTreeMap::new();
    for touched in computed.touched() {
        *changed.entry(touched.resource).or_default() += touched.rows;
    }
    for (resource, n) in changed {
        let rows = computed.usage.get(resource).map_or(0, |usage| usage.rows_of_tenant);
        let share = share(u64::try_from(n).unwrap_or(u64::MAX), rows);
        if share > limit {
            let percent =
                |share: u32| format!("{}.{:02} %", share * 100 / SHARE_WHOLE, share * 100 % SHARE_WHOLE / 100);
            return Err(Problem::new(
                Code::BudgetShareChanged,
                format!(
                    "the plan changes {n} of {rows} rows of `{resource}` ({}); at most {} may change at once",
                    percent(share),
                    percent(limit)
                ),
            )
            .detail("share_changed in the grant's `limits`, in [limits] or in the job's [budget] says so"));
        }
    }
    Ok(())
}

fn level_of(manifest: Level, computed: &Computed) -> (Level, Vec<Because>) {
    let mut touches: Vec<Touch> = Vec::new();
    for touched in computed.touched() {
        let Some(resolved) = computed.bindings.get(touched.resource) else { continue };
        let mut note = |column: Option<String>, class| {
            let touch = Touch { resource: touched.resource.to_owned(), column, class, action: touched.action };
            if !touches.contains(&touch) {
                touches.push(touch);
            }
        };
        if touched.columns.is_empty() {
            note(None, resolved.class);
        }
        for column in &touched.columns {
            match resolved.columns.get(*column).map(|c| c.class) {
                Some(class) if class != resolved.class => note(Some((*column).to_owned()), class),
                _ => note(None, resolved.class),
            }
        }
    }
    level::of_plan(manifest, &touches)
}
