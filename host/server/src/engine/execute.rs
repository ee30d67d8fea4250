//! One execution of a job: the component in the sandbox, its calls answered by the gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mendwright_core::budget::{Meter, Metric};
use mendwright_core::code::Code;
use mendwright_core::port::{Check, Finding};
use mendwright_gateway::{Computed, Session};
use mendwright_sandbox::{Answer, Call, Ended, Export, Identity};
use mendwright_store::{LogLine, RunRecord};

use super::job::Ready;
use super::{Host, Progress, problem};
use crate::view::problem::Problem;

/// What stands for the words of a run that read a sensitive column.
const MASKED: &str = "(masked: the run read a sensitive column)";

/// What an execution came to.
pub(super) struct Execution {
    pub(super) computed: Computed,
    pub(super) summary: String,
    pub(super) findings: Vec<Finding>,
    pub(super) checks: Vec<Check>,
    pub(super) log: Vec<LogLine>,
    /// Resource → columns that are masked.
    pub(super) sensitive: BTreeMap<String, BTreeSet<String>>,
    /// Whether the job's own words must not be shown.
    pub(super) words_masked: bool,
    pub(super) meter: Arc<Meter>,
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
        let meter = Arc::new(Meter::new(ready.budget.clone()));
        let databases: BTreeSet<&str> = ready
            .authority
            .tables()
            .filter_map(|(_, access)| self.config.resources.get(access.resource()))
            .map(|resource| resource.database.as_str())
            .collect();
        let targets = super::targets(&self.config, &self.env, databases)?;
        let session =
            Session::open(&targets, &self.config.resources, &ready.authority, &run.tenant, Arc::clone(&meter))
                .await
                .map_err(|error| problem::gateway(&error))?;
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
        let finished = self.sandbox.call(&ready.component, call).await;
        let log = finished.log.into_iter().map(|line| LogLine { level: line.level, text: line.message });
        let log: Vec<LogLine> = log.collect();
        let summary = match finished.result {
            Ok(Answer::Summary(summary)) => summary,
            Ok(Answer::Compensation(_)) => String::new(),
            Err(ended) => {
                let why = finished.tables.ended();
                finished.tables.close().await;
                let problem = why.map_or_else(|| ended_problem(&ended), |error| problem::gateway(&error));
                return Err(Stopped { problem, log });
            }
        };
        let computed = finished.tables.finish().await;
        let computed = computed.map_err(|error| Stopped { problem: problem::gateway(&error), log: log.clone() })?;
        meter.record(Metric::WallTime, u64::try_from(finished.measured.wall.as_millis()).unwrap_or(u64::MAX));
        meter.record(Metric::Fuel, finished.measured.fuel);
        meter.record(Metric::Memory, finished.measured.memory_peak);
        let mut execution = Execution {
            sensitive: sensitive(&computed),
            words_masked: reads_sensitive(&computed),
            computed,
            summary,
            findings: finished.findings,
            checks: finished.checks,
            log,
            meter,
        };
        execution.mask_words();
        Ok(execution)
    }
}

impl Execution {
    /// A job that read a sensitive column could say it in any of its words.
    fn mask_words(&mut self) {
        if !self.words_masked {
            return;
        }
        let mask = |text: &mut String| {
            if !text.is_empty() {
                MASKED.clone_into(text);
            }
        };
        mask(&mut self.summary);
        self.findings.iter_mut().for_each(|finding| mask(&mut finding.message));
        self.log.iter_mut().for_each(|line| mask(&mut line.text));
        for check in &mut self.checks {
            mask(&mut check.name);
            mask(&mut check.expected);
            mask(&mut check.actual);
        }
    }

    /// What stands for a change's reason.
    pub(super) fn reason(&self, reason: String) -> String {
        if self.words_masked && !reason.is_empty() { MASKED.to_owned() } else { reason }
    }
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

fn reads_sensitive(computed: &Computed) -> bool {
    let masked = sensitive(computed);
    computed
        .columns_read
        .iter()
        .any(|(resource, columns)| masked.get(resource).is_some_and(|masked| !masked.is_disjoint(columns)))
}

fn ended_problem(ended: &Ended) -> Problem {
    match ended {
        Ended::Refused(refusal) => Problem::from(refusal.clone()),
        Ended::Trap { message } => Problem::new(Code::JobTrapped, format!("the component died: {message}")),
        Ended::Failure { code, message } => Problem::new(Code::JobFailed, format!("the job says {code}: {message}")),
    }
}
