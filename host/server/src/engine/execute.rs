//! One execution of a job: the component in the sandbox, its calls answered by the gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mendwright_core::budget::{Meter, Metric};
use mendwright_core::commitment::Salt;
use mendwright_core::plan::Masking;
use mendwright_core::plan::header::Compensates;
use mendwright_core::port::{Check, Finding};
use mendwright_crash::{Point, reached};
use mendwright_gateway::{Computed, Session};
use mendwright_sandbox::{Answer, Call, Compensation, Export, Identity};
use mendwright_store::{LogLine, RunRecord};

use super::job::Ready;
use super::record::Slot;
use super::words;
use super::{Host, Progress, problem};
use crate::view::problem::Problem;

/// What an execution came to.
pub(super) struct Execution {
    pub(super) computed: Computed,
    pub(super) summary: String,
    /// What the job answered where it was asked for a compensation.
    pub(super) compensation: Option<Compensation>,
    /// What that would take back.
    pub(super) compensates: Option<Compensates>,
    pub(super) findings: Vec<Finding>,
    pub(super) checks: Vec<Check>,
    pub(super) log: Vec<LogLine>,
    /// Resource → columns that are masked.
    pub(super) sensitive: BTreeMap<String, BTreeSet<String>>,
    /// Whether a sensitive column was used, so that the job's own words must not be shown.
    pub(super) words_masked: bool,
    pub(super) meter: Arc<Meter>,
}

/// What is expected of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Any,
    Few,
}

/// An execution that came to nothing, with what the job said until then.
pub(super) struct Stopped {
    pub(super) problem: Problem,
    pub(super) log: Vec<LogLine>,
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self { problem, log: Vec::new() }
    }
}

impl Host {
    pub(super) async fn execute(
        &self,
        ready: &Ready,
        run: &RunRecord,
        export: Export,
        progress: Option<Progress>,
    ) -> Result<Execution, Stopped> {
        self.execute_into(ready, run, export, progress, None).await
    }

    /// The same, written down into `slot` where there is one.
    pub(super) async fn execute_into(
        &self,
        ready: &Ready,
        run: &RunRecord,
        export: Export,
        progress: Option<Progress>,
        slot: Option<&Slot>,
    ) -> Result<Execution, Stopped> {
        let meter = Arc::new(Meter::new(ready.budget.clone()));
        let session = self.session(ready, &run.tenant, &meter, Reads::Any).await?;
        self.execute_on(session, meter, ready, run, (export, progress, slot)).await
    }

    /// The dry run of a repair that is expected to be small.
    pub(super) async fn execute_small(&self, ready: &Ready, run: &RunRecord) -> Result<Execution, Stopped> {
        let meter = Arc::new(Meter::new(ready.budget.clone()));
        let session = self.session(ready, &run.tenant, &meter, Reads::Few).await?;
        self.execute_on(session, meter, ready, run, (Export::DryRun, None, None)).await
    }

    async fn execute_on(
        &self,
        session: Session,
        meter: Arc<Meter>,
        ready: &Ready,
        run: &RunRecord,
        (export, progress, slot): (Export, Option<Progress>, Option<&Slot>),
    ) -> Result<Execution, Stopped> {
        let used = session.sensitive_used();
        // A job that stops half-way may say a parameter before it has used it for anything.
        let stopped = words::Heard { used: Arc::clone(&used), params: self.params_masked(ready, run) };
        let progress = progress.map(|progress| silent_once(Arc::clone(&used), progress));
        let call = Call {
            export,
            identity: Identity {
                run: run.id.to_string(),
                tenant: run.tenant.clone(),
                job: ready.manifest.name.clone(),
                version: ready.manifest.version.to_string(),
                now_us: run.frozen_now_us,
            },
            seed: u64::from_str_radix(&run.frozen_seed, 16).unwrap_or(0),
            params: run.params.to_string(),
            meter: Arc::clone(&meter),
            findings: Arc::clone(&ready.findings),
            tables: session,
            progress,
        };
        let finished = match slot {
            None => self.sandbox.call(&ready.component, call).await,
            Some(slot) => {
                let (finished, recorded) = self.sandbox.record(&ready.component, call).await;
                slot.put(recorded.map(|recorded| self.marked(recorded, ready, stopped.is_masked())));
                finished
            }
        };
        reached(Point::Computed);
        let log = finished.log.into_iter().map(|line| LogLine { level: line.level, text: line.message });
        let log: Vec<LogLine> = log.collect();
        let (summary, compensation) = match finished.result {
            Ok(Answer::Summary(summary)) => (summary, None),
            Ok(Answer::Compensation(said)) => (String::new(), Some(said)),
            Err(ended) => {
                let why = finished.tables.ended();
                finished.tables.close().await;
                let problem = why.map_or_else(|| stopped.ended(ended), |error| problem::gateway(&error));
                return Err(Stopped { problem, log: stopped.log(log) });
            }
        };
        let computed = finished.tables.finish().await;
        let computed =
            computed.map_err(|error| Stopped { problem: problem::gateway(&error), log: stopped.log(log.clone()) })?;
        meter.record(Metric::WallTime, u64::try_from(finished.measured.wall.as_millis()).unwrap_or(u64::MAX));
        meter.record(Metric::Fuel, finished.measured.fuel);
        meter.record(Metric::Memory, finished.measured.memory_peak);
        let mut execution = Execution {
            sensitive: sensitive(&computed),
            words_masked: used.load(Ordering::Relaxed),
            computed,
            summary,
            compensation,
            compensates: None,
            findings: finished.findings,
            checks: finished.checks,
            log,
            meter,
        };
        execution.mask_words(ready);
        Ok(execution)
    }

    /// A snapshot of everything that the run may read.
    async fn session(&self, ready: &Ready, tenant: &str, meter: &Arc<Meter>, reads: Reads) -> Result<Session, Problem> {
        let databases: BTreeSet<&str> = ready
            .authority
            .tables()
            .filter_map(|(_, access)| self.config.resources.get(access.resource()))
            .map(|resource| resource.database.as_str())
            .collect();
        let target = |name: &str| {
            let target = self.target(name)?;
            let target = if reads == Reads::Few { target.small() } else { target };
            Ok::<_, Problem>((name.to_owned(), target))
        };
        let targets = databases.into_iter().map(target).collect::<Result<BTreeMap<_, _>, _>>()?;
        Session::open(&targets, &self.config.resources, &ready.authority, tenant, Arc::clone(meter))
            .await
            .map_err(|error| problem::gateway(&error))
    }
}

impl Execution {
    /// A job that used a sensitive column could say its values in any of its words.
    fn mask_words(&mut self, ready: &Ready) {
        if !self.words_masked {
            return;
        }
        words::mask(&mut self.summary);
        for finding in &mut self.findings {
            words::mask(&mut finding.message);
            if ready.authority.table(&finding.table).is_none() {
                // Whatever it is, it is no name of a table.
                words::mask(&mut finding.table);
            }
        }
        self.log.iter_mut().for_each(|line| words::mask(&mut line.text));
        for check in &mut self.checks {
            words::mask(&mut check.name);
            words::mask(&mut check.expected);
            words::mask(&mut check.actual);
        }
    }

    /// What stands for a change's reason.
    pub(super) fn reason(&self, mut reason: String) -> String {
        if self.words_masked {
            words::mask(&mut reason);
        }
        reason
    }

    /// How this execution's values are bound with a plan's salt.
    pub(super) fn masking(&self, salt: &Salt) -> Masking {
        Masking { salt: salt.clone(), sensitive: self.sensitive.clone() }
    }
}

/// Progress is only a sign of life once a sensitive column is used: its numbers are the job's words.
fn silent_once(used: Arc<AtomicBool>, progress: Progress) -> Progress {
    Arc::new(move |done, total| if used.load(Ordering::Relaxed) { progress(0, 0) } else { progress(done, total) })
}

fn sensitive(computed: &Computed) -> BTreeMap<String, BTreeSet<String>> {
    computed
        .bindings
        .iter()
        .map(|(name, resolved)| {
            let columns = resolved.columns.iter().filter(|(_, c)| c.sensitive).map(|(name, _)| name.clone());
            (name.clone(), columns.collect())
        })
        .collect()
}
