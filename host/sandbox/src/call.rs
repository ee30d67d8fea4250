//! One call of one export: what goes in, and what comes out.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mendwright_core::budget::{Meter, Metric};
use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::port::{Check, Finding, Refusal, RefusalKind, Severity, Tables};
use mendwright_core::text::escape_short;
use serde::{Deserialize, Serialize};
use wasmtime::component::{ResourceTable, ResourceTableError};
use wasmtime::{Engine, Store, StoreContextMut, Trap, UpdateDeadline};
use wasmtime_wasi::I32Exit;

use crate::bindings::{self, RepairJob, RepairJobPre};
use crate::convert;
use crate::ending::Ending;
use crate::host::State;
use crate::limiter::Limiter;
use crate::log::{Log, LogLine, LogSource};
use crate::wasi::{self, Sequence};

/// Bytes that one call may bring from the guest to the host. A batch of 1,000 changes of a few
/// columns takes half a MiB; what is larger is either a mistake or an attack on the host's memory.
pub const HOST_CALL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Handles of resources that a component may hold: its open scans, and a few of WASI's.
const HANDLES_MAX: usize = 1_000;

/// A job's sentence for the operator. What is longer is cut.
const SUMMARY_CHARS_MAX: usize = 2_000;

/// A job's own failure code. What is longer is cut.
const FAILURE_CODE_CHARS_MAX: usize = 100;

/// A trap's message.
const TRAP_CHARS_MAX: usize = 300;

/// Lines of the standard error that a trap's message repeats: a panic prints where, and then why.
const TRAP_LINES_MAX: usize = 2;

/// Receives `done` and `total` while the job runs. It must return at once.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Who and what a run is, as the job is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The run's id.
    pub run: String,
    /// Whose data it is.
    pub tenant: String,
    /// The job's name.
    pub job: String,
    /// The job's version.
    pub version: String,
    /// The frozen time, in microseconds since 1970-01-01 UTC.
    pub now_us: i64,
}

/// A row that the plan changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The table, as the job calls it.
    pub table: String,
    /// The row's key.
    pub key: Key,
}

/// Which export is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Export {
    /// Computes the changes.
    DryRun,
    /// Computes the changes again.
    Apply,
    /// Looks at the rows that the run changed; the contract says at most 10,000.
    Verify(Vec<Planned>),
    /// Says how to undo them; at most 10,000.
    Rollback(Vec<Planned>),
}

/// One call.
pub struct Call<T> {
    /// Which export.
    pub export: Export,
    /// What `run.who` says.
    pub identity: Identity,
    /// Where all randomness comes from.
    pub seed: u64,
    /// What `run.params` says: a JSON object.
    pub params: String,
    /// Counts the work and holds it to its budget.
    pub meter: Arc<Meter>,
    /// The findings that the manifest lists, and how bad each is at least.
    pub findings: Arc<BTreeMap<String, Severity>>,
    /// Answers `tables` and `table-writes`.
    pub tables: T,
    /// Gets the job's progress.
    pub progress: Option<Progress>,
}

/// What the job returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One sentence for the operator, cut if it is long; not escaped.
    Summary(String),
    /// How the job wants its work undone.
    Compensation(Compensation),
}

/// How a job wants its work undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compensation {
    /// The host restores the journal.
    Restore,
    /// The changes that the job asked for in this call.
    Proposed,
}

/// Why a call gave no answer: three things that are never one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The component died ([`Code::JobTrapped`]).
    Trap {
        /// Why: short, and escaped.
        message: String,
    },
    /// The host said no, and the run ends with that.
    Refused(Refusal),
    /// The job returned an error of its own ([`Code::JobFailed`]).
    Failure {
        /// The job's code.
        code: String,
        /// The job's sentence; not escaped.
        message: String,
    },
}

impl Ended {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Trap { .. } => Code::JobTrapped,
            Self::Refused(refusal) => refusal.code,
            Self::Failure { .. } => Code::JobFailed,
        }
    }
}

/// What the call took. Beside the plan, never in its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Fuel, instantiation included. The same inputs always use the same.
    pub fuel: u64,
    /// The most bytes of memories and tables that the component held.
    pub memory_peak: u64,
    /// Calls of the contract's functions.
    pub host_calls: u64,
    /// From instantiation to the end.
    pub wall: Duration,
}

/// A call that is over, however it ended.
pub struct Finished<T> {
    /// The job's answer, or why there is none.
    pub result: Result<Answer, Ended>,
    /// Given back, with everything that the job asked for in it.
    pub tables: T,
    /// What was logged.
    pub log: Vec<LogLine>,
    /// What the job left for people.
    pub findings: Vec<Finding>,
    /// What the job checked.
    pub checks: Vec<Check>,
    /// What it took.
    pub measured: Measured,
}

/// Runs one call in a store of its own, which is dropped whatever happens.
pub(crate) async fn run<T: Tables>(engine: &Engine, job: &RepairJobPre<State>, call: Call<T>) -> Finished<T> {
    let Call { export, identity, seed, params, meter, findings, tables, progress } = call;
    let ending = Ending::default();
    let log = Log::new(Arc::clone(&meter), ending.clone());
    let state = State {
        wasi: wasi::context(seed, identity.now_us, &log),
        resources: resource_table(),
        limiter: Limiter::new(Arc::clone(&meter), ending.clone()),
        random: wasi::sequence(seed, Sequence::Run),
        meter: Arc::clone(&meter),
        ending: ending.clone(),
        log: log.clone(),
        identity,
        params: params.into(),
        progress,
        findings_known: findings,
        findings: Vec::new(),
        checks: Vec::new(),
        tables: Box::new(tables),
        cursors_open: 0,
        host_calls: 0,
    };
    #[expect(clippy::disallowed_methods, reason = "wall time is measured here")]
    let started = Instant::now();
    let wall_max = Duration::from_millis(meter.budget().limit(Metric::WallTime));
    let mut store = store(engine, state, started, wall_max);
    let fuel_max = meter.budget().limit(Metric::Fuel);
    let outcome = match store.set_fuel(fuel_max) {
        // The epoch stops a guest that computes; this stops one that waits for the host.
        Ok(()) => tokio::time::timeout(wall_max, invoke(&mut store, job, export)).await,
        Err(error) => Ok(Err(error)),
    };
    let wall = started.elapsed();
    let fuel = fuel_max.saturating_sub(store.get_fuel().unwrap_or(0));
    let state = store.into_data();
    let log = log.take();
    let result = match outcome {
        Ok(Ok(result)) => settle(&ending, result),
        Ok(Err(error)) => Err(classify(&meter, &ending, &error, &log)),
        Err(_elapsed) => Err(Ended::Refused(ending.get().cloned().unwrap_or_else(|| meter.spent(Metric::WallTime)))),
    };
    let measured = Measured { fuel, memory_peak: state.limiter.peak(), host_calls: state.host_calls, wall };
    meter.record(Metric::Fuel, fuel);
    meter.record(Metric::Memory, measured.memory_peak);
    meter.record(Metric::WallTime, u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
    let State { findings, checks, tables, .. } = state;
    let tables: Box<dyn Any> = tables;
    #[expect(clippy::expect_used, reason = "they were put in as `T` above and nothing replaces them")]
    let tables = *tables.downcast::<T>().expect("the tables that were put in");
    Finished { result, tables, log, findings, checks, measured }
}

fn resource_table() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES_MAX);
    table
}

fn store(engine: &Engine, state: State, started: Instant, wall_max: Duration) -> Store<State> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(HOST_CALL_BYTES_MAX);
    store.set_max_component_handles(HANDLES_MAX);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut caller: StoreContextMut<'_, State>| {
        if started.elapsed() < wall_max {
            return Ok(UpdateDeadline::Yield(1));
        }
        let state = caller.data_mut();
        let refusal = state.meter.spent(Metric::WallTime);
        state.ending.set(&refusal);
        Err(wasmtime::Error::msg(refusal.message))
    });
    store
}

type Returned = Result<Answer, bindings::Failure>;

async fn invoke(store: &mut Store<State>, job: &RepairJobPre<State>, export: Export) -> wasmtime::Result<Returned> {
    let job: RepairJob = job.instantiate_async(&mut *store).await?;
    Ok(match export {
        Export::DryRun => job.call_dry_run(store).await?.map(Answer::Summary),
        Export::Apply => job.call_apply(store).await?.map(Answer::Summary),
        Export::Verify(changes) => job.call_verify(store, &planned(changes)).await?.map(Answer::Summary),
        Export::Rollback(changes) => job.call_rollback(store, &planned(changes)).await?.map(|how| {
            Answer::Compensation(match how {
                bindings::Compensation::Restore => Compensation::Restore,
                bindings::Compensation::Proposed => Compensation::Proposed,
            })
        }),
    })
}

fn planned(changes: Vec<Planned>) -> Vec<bindings::Planned> {
    changes
        .into_iter()
        .map(|Planned { table, key }| bindings::Planned {
            table,
            key: key.0.into_iter().map(convert::to_guest).collect(),
        })
        .collect()
}

/// A job that came back: a refusal that ends the run is stronger than whatever it says.
fn settle(ending: &Ending, returned: Returned) -> Result<Answer, Ended> {
    if let Some(refusal) = ending.get() {
        return Err(Ended::Refused(refusal.clone()));
    }
    match returned {
        Ok(Answer::Summary(text)) => Ok(Answer::Summary(cut(text, SUMMARY_CHARS_MAX))),
        Ok(Answer::Compensation(how)) => Ok(Answer::Compensation(how)),
        Err(failure) => Err(Ended::Failure {
            code: cut(failure.code, FAILURE_CODE_CHARS_MAX),
            message: cut(failure.message, SUMMARY_CHARS_MAX),
        }),
    }
}

fn cut(text: String, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => text.chars().take(chars_max).collect::<String>() + if end < text.len() { "…" } else { "" },
        None => text,
    }
}

/// What a trap was: a spent budget, or the component's death.
fn classify(meter: &Meter, ending: &Ending, error: &wasmtime::Error, log: &[LogLine]) -> Ended {
    if let Some(refusal) = ending.get() {
        return Ended::Refused(refusal.clone());
    }
    let spent = |metric| Ended::Refused(meter.spent(metric));
    let budget =
        |code, message: &str| Ended::Refused(Refusal::new(RefusalKind::BudgetExceeded, code, message.to_owned()));
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return spent(Metric::Fuel),
        Some(Trap::Interrupt) => return spent(Metric::WallTime),
        Some(Trap::StackOverflow) => {
            return budget(Code::BudgetStack, "the component's calls are nested too deeply for its stack");
        }
        Some(_) | None => {}
    }
    let cause = error.root_cause().to_string();
    if matches!(error.downcast_ref::<ResourceTableError>(), Some(ResourceTableError::Full))
        || is_full_of_handles(&cause)
    {
        return budget(Code::BudgetCursors, "the component holds more handles than it may");
    }
    if is_too_many_bytes(&cause) {
        return budget(
            Code::BudgetHostcallBytes,
            "one call carried more than 16 MiB to the host; send rows in smaller batches",
        );
    }
    Ended::Trap { message: trap_message(error, &cause, log) }
}

/// wasmtime keeps the types of these two errors to itself; a test fails when their words change.
fn is_full_of_handles(cause: &str) -> bool {
    cause.contains("store handle limit exceeded") || cause.contains("resource table has no free keys")
}

fn is_too_many_bytes(cause: &str) -> bool {
    cause.contains("fuel allocated for hostcalls has been exhausted")
}

fn trap_message(error: &wasmtime::Error, cause: &str, log: &[LogLine]) -> String {
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return format!("the component exited with status {status} instead of returning");
    }
    let mut cause = error.downcast_ref::<Trap>().map_or_else(|| cause.to_owned(), ToString::to_string);
    // Compilers keep large frames in the component's own memory, where the end of the stack is no
    // trap of its own.
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::MemoryOutOfBounds)) {
        cause.push_str(" (perhaps calls nested too deeply)");
    }
    // A panic prints why to stderr before it traps. The last lines, without the note on backtraces.
    let printed: Vec<&str> = log
        .iter()
        .filter(|line| line.source == LogSource::Stderr && !line.message.starts_with("note: run with"))
        .map(|line| line.message.trim())
        .filter(|line| !line.is_empty())
        .collect();
    let last = printed.get(printed.len().saturating_sub(TRAP_LINES_MAX)..).unwrap_or_default().join(" ");
    let message = if last.is_empty() { cause } else { format!("{cause}; it printed: {last}") };
    escape_short(&message, TRAP_CHARS_MAX)
}
