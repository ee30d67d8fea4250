//! What went wrong, with what to type next, and the exit code that scripts see.
//!
//! An exit code follows from the [`Code`] or from the run's [`State`], never from the words of a message.

use std::fmt;

use mendwright_core::code::Code;
use mendwright_core::port::Refusal;
use mendwright_core::run::State;
use serde::Serialize;

use crate::view::json::harmless;
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};

/// The version of the JSON form of a problem.
const FORMAT_VERSION: &str = "1.0";

/// How a command ends, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// Done, or nothing to do.
    Done,
    /// It did not work, and nothing half done is left.
    Failed,
    /// There are changes; only with `--detailed-exitcode`.
    Changes,
    /// Policy denied it, or the gateway refused it.
    Denied,
    /// Log in first.
    LogIn,
    /// It waits for people.
    WaitsForPeople,
    /// The world no longer matches the plan.
    Drifted,
    /// What was applied is undone.
    RolledBack,
    /// Only a person can go on.
    Stuck,
    /// The command line makes no sense.
    Usage,
    /// Control-C.
    Interrupted,
}

impl Exit {
    /// The number that the process ends with.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::Denied => 3,
            Self::LogIn => 4,
            Self::WaitsForPeople => 5,
            Self::Drifted => 6,
            Self::RolledBack => 7,
            Self::Stuck => 8,
            Self::Usage => 64,
            Self::Interrupted => 130,
        }
    }

    /// How a command ends that left its run in `state`. A rollback that was asked for and is done is
    /// [`Exit::Done`]; that is the caller's to say.
    #[must_use]
    pub const fn of_state(state: State) -> Self {
        match state {
            State::Planning
            | State::Planned
            | State::Approved
            | State::NothingToDo
            | State::Applying
            | State::Verifying
            | State::Succeeded
            | State::RollingBack => Self::Done,
            // A plan that is too old is refused like one that was used.
            State::AwaitingApproval => Self::WaitsForPeople,
            State::Denied | State::Refused | State::Expired | State::Rejected => Self::Denied,
            State::Failed | State::Violated | State::Cancelled => Self::Failed,
            State::Drifted => Self::Drifted,
            State::RolledBack => Self::RolledBack,
            State::Stuck | State::Diverged => Self::Stuck,
        }
    }

    /// How a command ends that met this error.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one table of every code; a new code must say here how it ends")]
    pub const fn of_code(code: Code) -> Self {
        use Code as C;
        match code {
            // No authority, or work beyond what was allowed: the answer is no, and trying again is no use.
            C::ComponentImport
            | C::GrantMissing
            | C::TenantExcluded
            | C::TableDenied
            | C::ColumnDenied
            | C::OperationDenied
            | C::ColumnFixed
            | C::ReferenceForeign
            | C::ResourceShared
            | C::PlanUsed
            | C::PlanExpired
            | C::ConfirmMismatch
            | C::BudgetFuel
            | C::BudgetMemory
            | C::BudgetStack
            | C::BudgetHostMemory
            | C::BudgetWallTime
            | C::BudgetDatabaseTime
            | C::BudgetRowsRead
            | C::BudgetRowsChanged
            | C::BudgetBytesChanged
            | C::BudgetShareChanged
            | C::BudgetLog
            | C::BudgetFindings
            | C::BudgetCursors
            | C::BudgetHostCalls
            | C::BudgetHostcallBytes
            | C::CompensationRows
            | C::CompensationMasked
            | C::ApprovalNotCounted
            | C::PolicyDenied
            | C::SafeMode
            | C::KillSwitch
            | C::Cooldown
            | C::Halted => Self::Denied,
            C::ConfirmMissing | C::RollbackConflict | C::ApprovalsMissing => Self::WaitsForPeople,
            C::PlanDrifted | C::ReadsDrifted | C::ReplayDiverged => Self::Drifted,
            // The host undid by itself what it could not verify.
            C::VerifyFailed => Self::RolledBack,
            C::JournalTampered | C::TargetDiverged => Self::Stuck,
            C::ConfigUnreadable
            | C::ConfigSyntax
            | C::ConfigKey
            | C::ConfigValue
            | C::ConfigReference
            | C::ConfigColumn
            | C::ConfigEnvironment
            | C::RunUnknown
            | C::RolloutUnknown
            | C::RolloutState
            | C::ProposalUnknown
            | C::ProposalState
            | C::ReasonMissing
            | C::KeyReused
            | C::HostRunning
            | C::HostUnavailable
            | C::HostStopping
            | C::RequestInvalid
            | C::RequestTooLarge
            | C::RequestTimeout
            | C::EndpointUnknown
            | C::MethodUnknown
            | C::KeyInvalid
            | C::RegistryInvalid
            | C::ApprovalInvalid
            | C::AuditTampered
            | C::PolicyInvalid
            | C::BreakGlass
            | C::AuditForked
            | C::AnchorUnavailable
            | C::WitnessUntrue
            | C::BundleInvalid
            | C::BackupInvalid
            | C::SwitchInvalid
            | C::RunState
            | C::JobUnknown
            | C::JobBuild
            | C::ResourceUnknown
            | C::TenantsUnknown
            | C::DatabaseUnknown
            | C::CodeUnknown
            | C::ParamInvalid
            | C::OnlyUnknown
            | C::OnlyTogether
            | C::PatchInput
            | C::ManifestInvalid
            | C::ManifestWit
            | C::ComponentInvalid
            | C::ComponentCache
            | C::JobFailed
            | C::JobTrapped
            | C::RowUnknown
            | C::RowExists
            | C::CallInvalid
            | C::ValueKind
            | C::ValueUnreadable
            | C::ValueRoundTrip
            | C::InsertIncomplete
            | C::InsertKey
            | C::FindingUnknown
            | C::TargetUnavailable
            | C::TargetUninitialized
            | C::TargetUnsafe
            | C::TargetWritable
            | C::TargetLocked
            | C::TargetChanged
            | C::TargetFailed
            | C::SnapshotBusy
            | C::LockWait
            | C::TableUnknown
            | C::ColumnUnknown
            | C::KeyUnusable
            | C::KeyInexact
            | C::TenantInexact
            | C::TenantPath
            | C::SideEffect
            | C::Referenced
            | C::PlanTampered
            | C::PlanBinding
            | C::PlanRefused
            | C::WriteDiffers
            | C::ConstraintViolated
            | C::RehearsalFailed
            | C::JournalExpired
            | C::FenceLost
            | C::StoreUnavailable
            | C::StoreCorrupt
            | C::StoreVersion
            | C::KeyFile
            | C::Io
            | C::Internal
            | C::RecordingExists
            | C::RecordingInvalid
            | C::RecordingTooLarge => Self::Failed,
        }
    }
}

/// The one error type of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// One sentence.
    pub message: String,
    /// More lines: where, what else, a piece of the file. Written as they are but for harmful characters.
    pub detail: Vec<String>,
    /// What to type next; `mendwright explain CODE` where empty.
    pub next: Vec<Next>,
}

impl Problem {
    /// A problem with a code and one sentence.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: Vec::new(), next: Vec::new() }
    }

    /// Adds a line of detail.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.detail.push(line.into());
        self
    }

    /// Adds something to type next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>, why: impl Into<String>) -> Self {
        self.next.push(Next::new(command, why));
        self
    }

    /// The exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        Exit::of_code(self.code)
    }

    fn hints(&self) -> Vec<Next> {
        if self.next.is_empty() {
            vec![Next::new(format!("mendwright explain {}", self.code), "what happened and what to do")]
        } else {
            self.next.clone()
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, safe(&self.message))
    }
}

impl std::error::Error for Problem {}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.message)
    }
}

/// `error[ERR_…]: message`, details, and the next thing to type.
#[must_use]
pub fn problem(look: Look, problem: &Problem) -> String {
    let word = format!("error[{}]", problem.code);
    let mut out = format!("{}: {}\n", look.paint(Ink::Red, &word), look.paint(Ink::Bold, &safe(&problem.message)));
    for line in problem.detail.iter().flat_map(|detail| detail.lines()) {
        out.push_str(&format!("  {}\n", safe(line)));
    }
    out.push_str(&next(look, &problem.hints()));
    out
}

/// The JSON form of a problem.
#[derive(Serialize)]
struct ProblemRecord<'a> {
    format_version: &'static str,
    code: Code,
    area: mendwright_core::code::Area,
    message: &'a str,
    detail: &'a [String],
    next: Vec<Next>,
    exit: u8,
}

/// The problem as one line of JSON.
#[must_use]
pub fn problem_json(problem: &Problem) -> String {
    harmless(&ProblemRecord {
        format_version: FORMAT_VERSION,
        code: problem.code,
        area: problem.code.area(),
        message: &problem.message,
        detail: &problem.detail,
        next: problem.hints(),
        exit: problem.exit().number(),
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn sample() -> Problem {
        Problem::new(Code::ConfigColumn, "resource `invoices` has no column `totl`")
            .detail("--> mendwright.toml:67:51\n67 | allow.invoices = { read = [\"id\", \"totl\"] }\n   |                                   ^^^^^^ did you mean `total`?")
            .next("mendwright config check", "after the correction")
    }

    #[test]
    fn an_error_ends_in_the_next_thing_to_type() {
        assert_snapshot!("sample", problem(Look::PLAIN, &sample()));
        let bare = Problem::new(Code::StoreCorrupt, "row 7 of `runs` holds \u{202e}state");
        assert_snapshot!("bare", problem(Look::PLAIN, &bare));
    }

    #[test]
    fn the_json_form_is_one_harmless_line() {
        assert_snapshot!(problem_json(&sample().detail("\u{202e}")));
    }

    #[test]
    fn every_code_and_every_state_has_its_exit_code() {
        let codes: Vec<String> = Code::ALL.iter().map(|c| format!("{:>3} {c}", Exit::of_code(*c).number())).collect();
        assert_snapshot!("codes", codes.join("\n"));
        let states: Vec<String> =
            State::ALL.iter().map(|s| format!("{:>3} {s}", Exit::of_state(*s).number())).collect();
        assert_snapshot!("states", states.join("\n"));
    }
}
