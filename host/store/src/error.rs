//! What can go wrong, split by what the caller will do about it.

use std::path::{Path, PathBuf};

use mendwright_core::code::Code;
use mendwright_core::rollout;
use mendwright_core::run::{Event, IllegalTransition, State};

use crate::db::Place;
use crate::rollout::RolloutNumber;
use crate::run::RunNumber;

/// A result of the store.
pub type Result<T> = std::result::Result<T, Error>;

/// Anything that went wrong underneath.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file, its directory or its disk does not do its part. Repair that and try again.
    #[error("the control store `{place}` cannot be used: {action} failed")]
    Unavailable {
        /// Where.
        place: Place,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: Cause,
    },
    /// The file is something else. Nothing in it was touched.
    #[error("`{}` is not a control store: {detail}", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        detail: String,
    },
    /// A process has the control file open, which nobody may replace then.
    #[error("a mendwright process has the control store `{}` open ({owner})", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// The name of the process: its number, and a word of chance.
        owner: String,
    },
    /// The file or the engine is of a version that this host does not work with.
    #[error("the control store `{place}` has {what} version {found}, and this host needs {needs}")]
    Version {
        /// Where.
        place: Place,
        /// `schema`, `SQLite` or `PostgreSQL`.
        what: &'static str,
        /// What is there.
        found: String,
        /// What must be.
        needs: String,
    },
    /// The store holds something that cannot be. A person must look.
    #[error("the control store holds nonsense in `{table}.{column}`, row {row}: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column, or `*`.
        column: String,
        /// Which row.
        row: String,
        /// Why it cannot be.
        detail: String,
    },
    /// The database says that it is damaged, or our schema in it is. A person must restore it.
    #[error("the control store `{place}` is damaged: {action} failed")]
    Damaged {
        /// Where.
        place: Place,
        /// What was tried.
        action: &'static str,
        /// What the database said.
        source: Cause,
    },
    /// Nothing goes by this name.
    #[error("there is no run `{reference}`")]
    RunUnknown {
        /// What was typed.
        reference: String,
        /// The newest run, if there is any.
        last: Option<RunNumber>,
    },
    /// Several runs go by this name.
    #[error("`{reference}` could be any of {}", candidates.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Ambiguous {
        /// What was typed.
        reference: String,
        /// Some of those it could be, the newest first.
        candidates: Vec<RunNumber>,
    },
    /// Somebody else moved the run first.
    #[error("run {run} is {found}, not {expected}: {event:?} was not recorded")]
    Overtaken {
        /// The run.
        run: RunNumber,
        /// Where the caller believed it to be.
        expected: State,
        /// Where it is.
        found: State,
        /// What should have been recorded.
        event: Event,
    },
    /// The run moved on before anything could be asked of it.
    #[error("run {run} is {found}, not {expected}")]
    Moved {
        /// The run.
        run: RunNumber,
        /// Where the caller believed it to be.
        expected: State,
        /// Where it is.
        found: State,
    },
    /// The run is in the right state and in a later attempt: another process took it over.
    #[error("run {run} is in attempt {found}, not {expected}")]
    Fenced {
        /// The run.
        run: RunNumber,
        /// The caller's attempt.
        expected: u64,
        /// The run's.
        found: u64,
    },
    /// The event cannot happen in the state.
    #[error("run {run} cannot go on so")]
    Illegal {
        /// The run.
        run: RunNumber,
        /// Which event in which state.
        source: IllegalTransition,
    },
    /// The run has no plan.
    #[error("run {run} has no plan")]
    NoPlan {
        /// The run.
        run: RunNumber,
    },
    /// The stored plan is not the one that was made. It must never be applied.
    #[error("the stored plan of run {run} is not the one that was made: {what}")]
    PlanTampered {
        /// The run.
        run: RunNumber,
        /// What differs.
        what: String,
    },
    /// There is no such rollout.
    #[error("there is no {number}")]
    RolloutUnknown {
        /// What was asked for.
        number: RolloutNumber,
    },
    /// Somebody else moved the rollout first.
    #[error("{number} is {found}, or in another wave, and not {expected} as it was known")]
    RolloutMoved {
        /// The rollout.
        number: RolloutNumber,
        /// Where the caller believed it to be.
        expected: rollout::State,
        /// Where it is.
        found: rollout::State,
    },
    /// The event cannot happen to the rollout.
    #[error("{number} cannot go on so: {source}")]
    RolloutIllegal {
        /// The rollout.
        number: RolloutNumber,
        /// Which event in which state.
        source: rollout::IllegalTransition,
    },
    /// Another process works on the run. Wait for it.
    #[error("another process works on run {run}")]
    Leased {
        /// The run.
        run: RunNumber,
    },
    /// An idempotency key was used for another request.
    #[error("the idempotency key `{key}` was used for run {run} with other content")]
    KeyReused {
        /// The key.
        key: String,
        /// The run that it began.
        run: RunNumber,
    },
    /// The registry of people has such a version already.
    #[error("there is a version {version} of the registry of people already, or none before it")]
    Superseded {
        /// The version.
        version: u64,
    },
    /// Nobody proposed this.
    #[error("there is no proposal {number} about the registry of people")]
    ProposalUnknown {
        /// As it was named.
        number: u64,
    },
    /// Enough is proposed.
    #[error("too many proposals about the registry of people wait for signatures")]
    ProposalsFull,
    /// The plan has as many votes as are kept.
    #[error("run {run} has too many votes")]
    VotesFull {
        /// The run.
        run: RunNumber,
    },
    /// The audit log is not what was written. Nothing is added to it.
    #[error("the audit log is not what was written: {what}")]
    AuditTampered {
        /// What differs.
        what: String,
    },
    /// The audit log does not go on from what was signed. Nothing is signed.
    #[error("the audit log does not go on from what was signed: {what}")]
    AuditForked {
        /// From what, and why not.
        what: String,
    },
    /// The host's key file cannot be used.
    #[error("the host's key file `{}` cannot be used: {detail}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
        /// What to do about it.
        hint: String,
        /// What the system said, if it said something.
        source: Option<std::io::Error>,
    },
    /// The host contradicted itself; nothing was written.
    #[error("{0}")]
    Bug(String),
}

impl Error {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } => Code::StoreUnavailable,
            Self::NotOurs { .. } | Self::Corrupt { .. } | Self::Damaged { .. } => Code::StoreCorrupt,
            Self::Version { .. } => Code::StoreVersion,
            Self::InUse { .. } => Code::HostRunning,
            Self::RunUnknown { .. } | Self::Ambiguous { .. } => Code::RunUnknown,
            Self::Overtaken { .. }
            | Self::Moved { .. }
            | Self::NoPlan { .. }
            | Self::Leased { .. }
            | Self::Superseded { .. }
            | Self::VotesFull { .. } => Code::RunState,
            Self::ProposalUnknown { .. } => Code::ProposalUnknown,
            Self::ProposalsFull => Code::ProposalState,
            Self::RolloutUnknown { .. } => Code::RolloutUnknown,
            Self::RolloutMoved { .. } | Self::RolloutIllegal { .. } => Code::RolloutState,
            Self::KeyReused { .. } => Code::KeyReused,
            Self::Fenced { .. } => Code::FenceLost,
            Self::Illegal { source, .. } => source.code(),
            Self::PlanTampered { .. } => Code::PlanTampered,
            Self::AuditTampered { .. } => Code::AuditTampered,
            Self::AuditForked { .. } => Code::AuditForked,
            Self::KeyFile { .. } => Code::KeyFile,
            Self::Bug(_) => Code::Internal,
        }
    }

    /// The next thing to type or do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Unavailable { place: Place::File(path), .. } => {
                format!("check that `{}` is on a disk with space and that you may write there", path.display())
            }
            Self::Unavailable { place: Place::Server(server), .. } => {
                format!("check that {server} answers, and that the role of `[control] url` may write there")
            }
            Self::NotOurs { .. } => "point `[control] url` at a file that does not exist yet".to_owned(),
            Self::InUse { .. } => "stop it first: the number before the dash is the process's".to_owned(),
            Self::Version { .. } => "use the version of mendwright that wrote it, or a newer one".to_owned(),
            Self::Corrupt { .. } | Self::Damaged { .. } => {
                "stop every mendwright and restore the control store from a backup".to_owned()
            }
            Self::RunUnknown { last: Some(last), .. } => {
                format!("the newest run is {last}; `mendwright run list` shows them all")
            }
            Self::RunUnknown { last: None, .. } => {
                "there are no runs yet: `mendwright run plan JOB --tenant T`".to_owned()
            }
            Self::Ambiguous { .. } => "type the number, or more of the id".to_owned(),
            Self::Overtaken { run, .. }
            | Self::Moved { run, .. }
            | Self::Fenced { run, .. }
            | Self::Illegal { run, .. } => {
                format!("mendwright run show {}", run.get())
            }
            Self::RolloutUnknown { .. } => "mendwright rollout list".to_owned(),
            Self::RolloutMoved { number, .. } | Self::RolloutIllegal { number, .. } => {
                format!("mendwright rollout show {}", number.get())
            }
            Self::NoPlan { run } | Self::PlanTampered { run, .. } => {
                format!("mendwright run plan --again {}", run.get())
            }
            Self::Leased { run } => format!("wait for it, then `mendwright run show {}`", run.get()),
            Self::KeyReused { run, .. } => {
                format!("use a new key for a new request; `mendwright run show {}` shows the first one's", run.get())
            }
            Self::Superseded { .. } => "sign a change of the newest version: `mendwright person list`".to_owned(),
            Self::ProposalUnknown { .. } | Self::ProposalsFull => "mendwright person proposals".to_owned(),
            Self::VotesFull { run } => format!("mendwright run plan --again {}", run.get()),
            Self::AuditTampered { .. } | Self::AuditForked { .. } => "mendwright audit verify".to_owned(),
            Self::KeyFile { hint, .. } => hint.clone(),
            Self::Bug(_) => "please report this with the run's log".to_owned(),
        }
    }

    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        Self::Unavailable { place: path.into(), action, source: source.into() }
    }

    pub(crate) fn corrupt(
        table: &'static str,
        column: impl Into<String>,
        row: impl ToString,
        detail: impl ToString,
    ) -> Self {
        Self::Corrupt { table, column: column.into(), row: row.to_string(), detail: detail.to_string() }
    }
}
