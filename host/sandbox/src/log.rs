//! The run's log: what the job says, and what its runtime prints.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mendwright_core::budget::{Meter, Metric};
use mendwright_core::port::{LogLevel, Refusal};
use serde::{Deserialize, Serialize};

use crate::ending::Ending;

/// A printed line longer than this is cut into several, so that a guest which never ends its line is
/// still shown.
const PRINTED_LINE_BYTES_MAX: usize = 8 * 1024;

/// Where a line of the log comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSource {
    /// The job called `run.log`.
    Job,
    /// The component printed it to its standard output.
    Stdout,
    /// The component printed it to its standard error, as a panic does.
    Stderr,
}

/// One line of the run's log. The text is a stranger's: escape it where it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// Where it comes from.
    pub source: LogSource,
    /// What it says.
    pub message: String,
}

/// The log of one call, shared by the host's functions and the component's standard streams.
#[derive(Clone)]
pub(crate) struct Log {
    meter: Arc<Meter>,
    ending: Ending,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    lines: Vec<LogLine>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Log {
    pub(crate) fn new(meter: Arc<Meter>, ending: Ending) -> Self {
        Self { meter, ending, inner: Arc::default() }
    }

    /// Adds a line.
    pub(crate) fn add(&self, level: LogLevel, message: String) -> Result<(), Refusal> {
        self.charge(message.len())?;
        self.charge_line()?;
        self.lock().lines.push(LogLine { level, source: LogSource::Job, message });
        Ok(())
    }

    /// Adds what the component printed; whole lines become lines of the log.
    pub(crate) fn print(&self, source: LogSource, bytes: &[u8]) -> Result<(), Refusal> {
        self.charge(bytes.len())?;
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line(source)?;
                continue;
            }
            let full = {
                let mut inner = self.lock();
                let buffer = inner.buffer(source);
                buffer.push(*byte);
                buffer.len() >= PRINTED_LINE_BYTES_MAX
            };
            if full {
                self.end_line(source)?;
            }
        }
        Ok(())
    }

    fn end_line(&self, source: LogSource) -> Result<(), Refusal> {
        self.charge_line()?;
        self.lock().end_line(source);
        Ok(())
    }

    /// Everything that was logged; unfinished printed lines included.
    pub(crate) fn take(&self) -> Vec<LogLine> {
        let mut inner = self.lock();
        for source in [LogSource::Stdout, LogSource::Stderr] {
            if !inner.buffer(source).is_empty() {
                inner.end_line(source);
            }
        }
        std::mem::take(&mut inner.lines)
    }

    fn charge(&self, bytes: usize) -> Result<(), Refusal> {
        self.charge_metrics(bytes, bytes)
    }

    /// Even an empty line is a byte of the log and something in the host's memory.
    fn charge_line(&self) -> Result<(), Refusal> {
        self.charge_metrics(1, size_of::<LogLine>())
    }

    fn charge_metrics(&self, log: usize, host: usize) -> Result<(), Refusal> {
        let count = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        self.meter
            .charge(Metric::Log, count(log))
            .and_then(|()| self.meter.charge(Metric::HostMemory, count(host)))
            .inspect_err(|refusal| self.ending.set(refusal))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it is held; a poisoned log would still be a log.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn buffer(&mut self, source: LogSource) -> &mut Vec<u8> {
        match source {
            LogSource::Job | LogSource::Stdout => &mut self.stdout,
            LogSource::Stderr => &mut self.stderr,
        }
    }

    fn end_line(&mut self, source: LogSource) {
        let bytes = std::mem::take(self.buffer(source));
        let level = if source == LogSource::Stderr { LogLevel::Warn } else { LogLevel::Info };
        self.lines.push(LogLine { level, source, message: String::from_utf8_lossy(&bytes).into_owned() });
    }
}
