//! A whole dry run in one file: its inputs, what it came to, and the answers that it rested on.
//!
//! The file is JSON lines: a [`DryRun`], then a recording. Both are frozen formats.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Cursor, Read as _, Write};
use std::sync::Arc;

use mendwright_core::budget::{Budget, Meter};
use mendwright_core::port::{Refusal, Severity, Tables};
use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::trial::Trial;
use super::{FORMAT, Header, ReadError, Recorder, Replayer, write_line};
use crate::call::{Call, Export, Finished};
use crate::sandbox::{Job, Sandbox};

/// The format's name, first in every file.
pub const DRY_RUN_FORMAT: &str = "mendwright-dry-run/1";

/// Bytes of a file. It is held in memory while the run goes on, and production data that nobody can
/// look through does not belong in files.
pub const RECORDING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The first line of the file: what the answers do not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DryRun {
    /// [`DRY_RUN_FORMAT`].
    pub format: String,
    /// What the run was held to.
    pub budget: Budget,
    /// The findings that the manifest listed, and how bad each is at least.
    pub findings: BTreeMap<String, Severity>,
    /// The job's names of the tables that it could use.
    pub tables: BTreeSet<String>,
    /// The job's table → columns whose values must not be shown.
    pub sensitive: BTreeMap<String, BTreeSet<String>>,
    /// Tables of the job whose keys must not be shown.
    pub sensitive_keys: BTreeSet<String>,
    /// Whether the job's words must not be shown either.
    pub words_masked: bool,
    /// What it came to.
    pub outcome: Outcome,
}

/// A dry run that was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The first line.
    pub run: DryRun,
    /// Identity, seed and parameters.
    pub header: Header,
    calls: Vec<u8>,
}

/// What playing a recording came to.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What the component came to now.
    pub outcome: Outcome,
    /// The first call that was not the recorded one, if there was one.
    pub diverged: Option<Refusal>,
    /// Whether it is the component that was recorded.
    pub same_component: bool,
}

/// Keeps what is written, up to the limit.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > RECORDING_BYTES_MAX {
            return Err(too_large());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("a recording has at most {RECORDING_BYTES_MAX} bytes"))
}

impl Recorded {
    /// The file.
    ///
    /// # Errors
    /// It is larger than [`RECORDING_BYTES_MAX`].
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut file = Bounded::default();
        write_line(&mut file, &self.run)?;
        file.write_all(&self.calls)?;
        Ok(file.0)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is larger than [`RECORDING_BYTES_MAX`], or holds no recorded dry run.
    pub fn read(file: impl BufRead) -> Result<Self, ReadError> {
        let limit = u64::try_from(RECORDING_BYTES_MAX).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() > RECORDING_BYTES_MAX {
            return Err(ReadError::TooLarge);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(ReadError::Format)?;
        let calls = bytes.split_off(end + 1);
        let run: DryRun = serde_json::from_slice(&bytes).map_err(|_| ReadError::Format)?;
        if run.format != DRY_RUN_FORMAT {
            return Err(ReadError::Format);
        }
        let (header, _) = Replayer::new(calls.as_slice())?;
        Ok(Self { run, header, calls })
    }
}

impl Sandbox {
    /// Runs the export over its tables, and writes down what they answer. The run is worth more than
    /// its recording: one that becomes too large is given up, and the run goes on.
    pub async fn record<T: Tables>(&self, job: &Job, call: Call<T>) -> (Finished<T>, io::Result<Recorded>) {
        let Call { export, identity, seed, params, meter, findings, tables, progress } = call;
        let header = Header {
            format: FORMAT.to_owned(),
            component: job.sha256().to_owned(),
            identity: identity.clone(),
            seed,
            params: params.clone(),
        };
        let (budget, known) = (meter.budget().clone(), findings.as_ref().clone());
        let recorder = Recorder::over(tables, Bounded::default(), &header);
        let call = Call { export, identity, seed, params, meter, findings, tables: recorder, progress };
        let finished = self.call(job, call).await;
        let outcome = Outcome::of(&finished, finished.tables.wishes.clone().into_list());
        let Finished { result, tables: recorder, log, findings, checks, measured } = finished;
        let (tables, calls) = recorder.into_parts();
        let recorded = calls.map(|calls| Recorded {
            run: DryRun {
                format: DRY_RUN_FORMAT.to_owned(),
                budget,
                findings: known,
                tables: BTreeSet::new(),
                sensitive: BTreeMap::new(),
                sensitive_keys: BTreeSet::new(),
                words_masked: false,
                outcome,
            },
            header,
            calls: calls.0,
        });
        (Finished { result, tables, log, findings, checks, measured }, recorded)
    }

    /// Plays a recording with a component, offline: first as it was recorded, call by call; where that
    /// cannot be, with the recorded answers in whatever order the component asks for them. `more` are
    /// findings that only the new version's manifest lists.
    pub async fn replay(&self, job: &Job, recorded: &Recorded, more: &BTreeMap<String, Severity>) -> Replayed {
        let same_component = job.sha256() == recorded.header.component;
        let calls = Cursor::new(recorded.calls.clone());
        let Ok((_, replayer)) = Replayer::new(calls.clone()) else {
            // It was read as one before.
            return Replayed { outcome: recorded.run.outcome.clone(), diverged: None, same_component };
        };
        let finished = self.call(job, call(recorded, more, replayer)).await;
        let outcome = Outcome::of(&finished, finished.tables.wishes.clone().into_list());
        match finished.tables.finish() {
            Ok(()) => Replayed { outcome, diverged: None, same_component },
            Err(refusal) => {
                let tables = Trial::of(calls);
                let finished = self.call(job, call(recorded, more, tables)).await;
                let outcome = Outcome::of(&finished, finished.tables.wishes.clone().into_list());
                Replayed { outcome, diverged: Some(refusal), same_component }
            }
        }
    }
}

fn call<T>(recorded: &Recorded, more: &BTreeMap<String, Severity>, tables: T) -> Call<T> {
    let mut findings = recorded.run.findings.clone();
    findings.extend(more.iter().map(|(code, severity)| (code.clone(), *severity)));
    Call {
        export: Export::DryRun,
        identity: recorded.header.identity.clone(),
        seed: recorded.header.seed,
        params: recorded.header.params.clone(),
        meter: Arc::new(Meter::new(recorded.run.budget.clone())),
        findings: Arc::new(findings),
        tables,
        progress: None,
    }
}
