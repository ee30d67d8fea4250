//! What a dry run came to, in a form that can be kept and compared.

use mendwright_core::port::{Check, Refusal, Severity};
use mendwright_core::value::Value;
use serde::{Deserialize, Serialize};

use super::wishes::Wish;
use crate::call::{Answer, Ended, Finished};
use crate::log::LogLine;

/// How a dry run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ending {
    /// The job's sentence.
    Summary(String),
    /// Why the component died.
    Trap(String),
    /// The host's no.
    Refused(Refusal),
    /// The job's own error.
    Failure {
        /// Its code.
        code: String,
        /// Its sentence.
        message: String,
    },
}

/// A finding as it is kept; the key's values are tagged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// One of the manifest's.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// The table, by the job's name.
    pub table: String,
    /// The row.
    pub key: Vec<String>,
    /// One sentence.
    pub message: String,
}

/// What a dry run came to. Wall time is not in it: nothing else of a run depends on the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ending,
    /// The changes that the job asked for.
    pub changes: Vec<Wish>,
    /// What it left for people.
    pub findings: Vec<Found>,
    /// What it checked.
    pub checks: Vec<Check>,
    /// What it said.
    pub log: Vec<LogLine>,
    /// Fuel, instantiation included.
    pub fuel: u64,
    /// The most bytes of memories and tables that it held.
    pub memory_peak: u64,
    /// Calls of the contract's functions.
    pub host_calls: u64,
}

impl Outcome {
    pub(super) fn of<T>(finished: &Finished<T>, changes: Vec<Wish>) -> Self {
        let ended = match &finished.result {
            Ok(Answer::Summary(summary)) => Ending::Summary(summary.clone()),
            Ok(Answer::Compensation(_)) => Ending::Summary(String::new()),
            Err(Ended::Trap { message }) => Ending::Trap(message.clone()),
            Err(Ended::Refused(refusal)) => Ending::Refused(refusal.clone()),
            Err(Ended::Failure { code, message }) => Ending::Failure { code: code.clone(), message: message.clone() },
        };
        let found = finished.findings.iter().map(|finding| Found {
            code: finding.code.clone(),
            severity: finding.severity,
            table: finding.table.clone(),
            key: finding.key.0.iter().map(Value::tagged).collect(),
            message: finding.message.clone(),
        });
        Self {
            ended,
            changes,
            findings: found.collect(),
            checks: finished.checks.clone(),
            log: finished.log.clone(),
            fuel: finished.measured.fuel,
            memory_peak: finished.measured.memory_peak,
            host_calls: finished.measured.host_calls,
        }
    }
}
