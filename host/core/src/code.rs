//! Every code that a person or a script may meet. `docs/errors/CODE.md` says what happened, what the
//! system already did, and what to do; `mendwright explain CODE` prints it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an error is about; the taxonomy of logs and dashboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Area {
    /// A promise was defended.
    Security,
    /// Data is not as it should be.
    Data,
    /// Something took too much.
    Perf,
    /// A person typed or wrote something that cannot be.
    Ux,
    /// Another system did not do its part.
    Integration,
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $area:ident, $summary:literal;)*) => {
        /// A stable error code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $summary] #[serde(rename = $text)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of this file.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// `ERR_…` or `WARN_…`.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What it is about.
            #[must_use]
            pub const fn area(self) -> Area {
                match self { $(Self::$variant => Area::$area,)* }
            }

            /// One line on what it means.
            #[must_use]
            pub const fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }
        }
    };
}

codes! {
    // configuration
    ConfigUnreadable = "ERR_CONFIG_UNREADABLE", Ux, "The configuration file cannot be read.";
    ConfigSyntax = "ERR_CONFIG_SYNTAX", Ux, "The configuration is not TOML.";
    ConfigKey = "ERR_CONFIG_KEY", Ux, "The configuration has a key that does not exist, or lacks one that must.";
    ConfigValue = "ERR_CONFIG_VALUE", Ux, "A value in the configuration is not what its key takes.";
    ConfigReference = "ERR_CONFIG_REFERENCE", Ux, "The configuration names a database or resource that it does not define.";
    ConfigColumn = "ERR_CONFIG_COLUMN", Ux, "The configuration names a column that its resource does not bind.";
    ConfigEnvironment = "ERR_CONFIG_ENVIRONMENT", Ux, "An environment variable that the configuration names is not set.";
    // what a person typed
    RunUnknown = "ERR_RUN_UNKNOWN", Ux, "There is no such run.";
    RunState = "ERR_RUN_STATE", Ux, "The run is in a state in which this cannot be done.";
    RolloutUnknown = "ERR_ROLLOUT_UNKNOWN", Ux, "There is no such rollout.";
    RolloutState = "ERR_ROLLOUT_STATE", Ux, "The rollout is in a state in which this cannot be done.";
    ProposalUnknown = "ERR_PROPOSAL_UNKNOWN", Ux, "There is no such proposal about the registry of people.";
    ProposalState = "ERR_PROPOSAL_STATE", Ux, "The proposal waits for nobody's signature any more, or too many wait.";
    KeyReused = "ERR_KEY_REUSED", Ux, "An idempotency key was used before for another request.";
    SwitchInvalid = "ERR_SWITCH_INVALID", Ux, "There is no such switch, or it needs a reason, or it does not take that scope.";
    JobUnknown = "ERR_JOB_UNKNOWN", Ux, "There is no such job in the jobs directory.";
    JobBuild = "ERR_JOB_BUILD", Ux, "The job's component could not be built.";
    ResourceUnknown = "ERR_RESOURCE_UNKNOWN", Ux, "There is no such resource in the configuration.";
    TenantsUnknown = "ERR_TENANTS_UNKNOWN", Ux, "It is not known which tenants there are, or they are too many.";
    DatabaseUnknown = "ERR_DATABASE_UNKNOWN", Ux, "There is no such database in the configuration.";
    CodeUnknown = "ERR_CODE_UNKNOWN", Ux, "There is no such error code.";
    ParamInvalid = "ERR_PARAM_INVALID", Ux, "A parameter does not satisfy the job's schema.";
    OnlyUnknown = "ERR_ONLY_UNKNOWN", Ux, "`--only` names a row that the plan does not change.";
    OnlyTogether = "ERR_ONLY_TOGETHER", Ux, "The job's changes belong together and cannot be applied in part.";
    ReasonMissing = "ERR_REASON_MISSING", Ux, "This is done only with a reason, and none was given that can be kept.";
    ConfirmMissing = "ERR_CONFIRM_MISSING", Security, "Nobody confirmed the plan's digest.";
    ConfirmMismatch = "ERR_CONFIRM_MISMATCH", Security, "The digest typed is not the plan's.";
    PatchInput = "ERR_PATCH_INPUT", Ux, "The file or the words that say what to patch cannot be used.";
    // jobs
    ManifestInvalid = "ERR_MANIFEST_INVALID", Ux, "The job's manifest is not valid.";
    ManifestWit = "ERR_MANIFEST_WIT", Integration, "The job was written for a contract that this host does not have.";
    ComponentInvalid = "ERR_COMPONENT_INVALID", Ux, "The job's file is not a WebAssembly component of this contract.";
    ComponentImport = "ERR_COMPONENT_IMPORT", Security, "The component imports something that its manifest does not request.";
    ComponentCache = "ERR_COMPONENT_CACHE", Security, "Compiled code in the cache is not what this host wrote.";
    JobFailed = "ERR_JOB_FAILED", Data, "The job returned an error of its own.";
    JobTrapped = "ERR_JOB_TRAPPED", Data, "The component died.";
    RecordingExists = "ERR_RECORDING_EXISTS", Ux, "The file that a recording would be written to is there already.";
    RecordingInvalid = "ERR_RECORDING_INVALID", Ux, "The file is no recording of a dry run that this host can play.";
    RecordingTooLarge = "ERR_RECORDING_TOO_LARGE", Perf, "The recording of a dry run became too large and was given up.";
    ReplayDiverged = "ERR_REPLAY_DIVERGED", Data, "The component does not make the calls of the recording that is played back.";
    // authority
    GrantMissing = "ERR_GRANT_MISSING", Security, "No grant covers what the job requests for this tenant.";
    TenantExcluded = "ERR_TENANT_EXCLUDED", Security, "The configuration excludes this tenant.";
    TableDenied = "ERR_TABLE_DENIED", Security, "The job asked for a table that it did not request or was not granted.";
    ColumnDenied = "ERR_COLUMN_DENIED", Security, "The job asked for a column that it did not request or was not granted.";
    OperationDenied = "ERR_OPERATION_DENIED", Security, "The job asked for an operation that it did not request or was not granted.";
    ColumnFixed = "ERR_COLUMN_FIXED", Security, "Key, tenant, path, generated and derived columns are not writable.";
    // policy
    PolicyInvalid = "ERR_POLICY_INVALID", Ux, "A policy file cannot be used.";
    PolicyDenied = "ERR_POLICY_DENIED", Security, "Policy does not let this happen.";
    ApprovalsMissing = "ERR_APPROVALS_MISSING", Security, "The plan needs the word of more people before it is applied.";
    SafeMode = "ERR_SAFE_MODE", Security, "SAFE_MODE is on, and nothing happens by itself.";
    KillSwitch = "ERR_KILL_SWITCH", Security, "The kill switch is thrown.";
    Cooldown = "ERR_COOLDOWN", Security, "The target is left alone for a while after an apply.";
    BreakGlass = "WARN_BREAK_GLASS", Security, "Somebody broke the glass: what would have been forbidden was done.";
    // calls of a job
    RowUnknown = "ERR_ROW_UNKNOWN", Data, "The tenant has no such row.";
    RowExists = "ERR_ROW_EXISTS", Data, "The tenant already has such a row.";
    CallInvalid = "ERR_CALL_INVALID", Ux, "A call of the job makes no sense.";
    ValueKind = "ERR_VALUE_KIND", Data, "A value does not have its column's kind.";
    ValueUnreadable = "ERR_VALUE_UNREADABLE", Data, "The database holds a value that its column's kind cannot be.";
    ValueRoundTrip = "ERR_VALUE_ROUND_TRIP", Data, "A value would not come back from the database as it was written.";
    InsertIncomplete = "ERR_INSERT_INCOMPLETE", Data, "An inserted row leaves out a column that has no constant default.";
    InsertKey = "ERR_INSERT_KEY", Data, "The table's key comes from a sequence and the binding does not allow jobs to choose it.";
    ReferenceForeign = "ERR_REFERENCE_FOREIGN", Security, "A foreign key would point outside the tenant.";
    FindingUnknown = "ERR_FINDING_UNKNOWN", Ux, "The job reported a finding that its manifest does not list.";
    // budgets
    BudgetFuel = "ERR_BUDGET_FUEL", Perf, "The component used up its fuel.";
    BudgetMemory = "ERR_BUDGET_MEMORY", Perf, "The component asked for more memory than it may have.";
    BudgetStack = "ERR_BUDGET_STACK", Perf, "The component's calls are nested too deeply.";
    BudgetHostMemory = "ERR_BUDGET_HOST_MEMORY", Perf, "What the host keeps for the run is larger than it may be.";
    BudgetWallTime = "ERR_BUDGET_WALL_TIME", Perf, "The run took longer than it may.";
    BudgetDatabaseTime = "ERR_BUDGET_DATABASE_TIME", Perf, "Databases worked longer for the run than they may.";
    BudgetRowsRead = "ERR_BUDGET_ROWS_READ", Perf, "The run read more rows than it may.";
    BudgetRowsChanged = "ERR_BUDGET_ROWS_CHANGED", Perf, "The plan changes more rows than it may.";
    BudgetBytesChanged = "ERR_BUDGET_BYTES_CHANGED", Perf, "The plan changes more bytes than it may.";
    BudgetShareChanged = "ERR_BUDGET_SHARE_CHANGED", Perf, "The plan changes a larger share of the tenant's rows than it may.";
    BudgetLog = "ERR_BUDGET_LOG", Perf, "The component logged more than it may.";
    BudgetFindings = "ERR_BUDGET_FINDINGS", Perf, "The component reported more findings than it may.";
    BudgetCursors = "ERR_BUDGET_CURSORS", Perf, "The component holds more scans or handles open than it may.";
    BudgetHostCalls = "ERR_BUDGET_HOST_CALLS", Perf, "The component called the host more often than it may.";
    BudgetHostcallBytes = "ERR_BUDGET_HOSTCALL_BYTES", Perf, "One call of the component carried more bytes than it may.";
    // targets
    TargetUnavailable = "ERR_TARGET_UNAVAILABLE", Integration, "The target database does not answer.";
    TargetUninitialized = "ERR_TARGET_UNINITIALIZED", Ux, "The target database has not been prepared for Mendwright.";
    TargetUnsafe = "ERR_TARGET_UNSAFE", Integration, "The target database is set up so that a committed write could be lost or a promise broken.";
    TargetWritable = "ERR_TARGET_WRITABLE", Security, "`read_url` connects as a role that can write.";
    TargetLocked = "ERR_TARGET_LOCKED", Integration, "Somebody else holds a lock that the run needs.";
    TargetChanged = "ERR_TARGET_CHANGED", Security, "The target is not the database that the plan was made for.";
    TargetFailed = "ERR_TARGET_FAILED", Integration, "The target database refused a statement that should have worked.";
    SnapshotBusy = "ERR_SNAPSHOT_BUSY", Integration, "No consistent snapshot could be taken while the application writes.";
    LockWait = "ERR_LOCK_WAIT", Integration, "The application waited for the run's snapshot longer than it may.";
    // bindings
    TableUnknown = "ERR_TABLE_UNKNOWN", Ux, "The database has no such table.";
    ColumnUnknown = "ERR_COLUMN_UNKNOWN", Ux, "The table has no such column.";
    KeyUnusable = "ERR_KEY_UNUSABLE", Data, "The bound key is not unique and NOT NULL.";
    KeyInexact = "ERR_KEY_INEXACT", Data, "The key does not compare byte for byte.";
    TenantInexact = "ERR_TENANT_INEXACT", Security, "The tenant column does not compare byte for byte.";
    TenantPath = "ERR_TENANT_PATH", Security, "The way from a row to its tenant is not bound to a unique parent.";
    SideEffect = "ERR_SIDE_EFFECT", Data, "The database would change something that the plan does not show.";
    Referenced = "ERR_REFERENCED", Data, "Rows of other tables hang on what would be written.";
    ResourceShared = "ERR_RESOURCE_SHARED", Security, "The resource is reference data that no job may write.";
    // plans
    PlanDrifted = "ERR_PLAN_DRIFTED", Data, "The world no longer matches the plan.";
    PlanUsed = "ERR_PLAN_USED", Security, "The plan was applied before.";
    PlanExpired = "ERR_PLAN_EXPIRED", Security, "The plan is too old to be applied.";
    PlanTampered = "ERR_PLAN_TAMPERED", Security, "The stored plan is not the one that was made.";
    PlanBinding = "ERR_PLAN_BINDING", Security, "The binding, a grant, the job or the table changed since the plan was made.";
    PlanRefused = "ERR_PLAN_REFUSED", Data, "A change that the plan needs cannot be made.";
    ReadsDrifted = "ERR_READS_DRIFTED", Data, "Rows that the job read and did not write have changed since.";
    WriteDiffers = "ERR_WRITE_DIFFERS", Data, "After the write the database held something else than planned.";
    ConstraintViolated = "ERR_CONSTRAINT_VIOLATED", Data, "A constraint of the tenant's own database forbids a planned change.";
    RehearsalFailed = "ERR_REHEARSAL_FAILED", Data, "Flush and restore did not arrive where they began.";
    VerifyFailed = "ERR_VERIFY_FAILED", Data, "After the commit a planned row did not hold what was written.";
    // undo
    JournalTampered = "ERR_JOURNAL_TAMPERED", Security, "A row of the journal is not the one that the host wrote.";
    JournalExpired = "ERR_JOURNAL_EXPIRED", Data, "The journal of the run was kept only for a time, and that is over.";
    RollbackConflict = "ERR_ROLLBACK_CONFLICT", Data, "Somebody changed a row since the run wrote it.";
    CompensationRows = "ERR_COMPENSATION_ROWS", Data, "The run changed more rows than a component can be asked about.";
    CompensationMasked = "ERR_COMPENSATION_MASKED", Security, "A row that the run changed is named by a sensitive column, which no component is told.";
    TargetDiverged = "ERR_TARGET_DIVERGED", Data, "The target lacks a write that the control store knows to be committed.";
    FenceLost = "ERR_FENCE_LOST", Security, "Another host took the run over.";
    // people and the audit log
    KeyInvalid = "ERR_KEY_INVALID", Security, "The text is no ed25519 key that Mendwright can use.";
    RegistryInvalid = "ERR_REGISTRY_INVALID", Security, "The registry of people and keys is not one that those entitled to change it signed.";
    ApprovalInvalid = "ERR_APPROVAL_INVALID", Security, "The approval, rejection or withdrawal is not a statement that its key signed.";
    ApprovalNotCounted = "ERR_APPROVAL_NOT_COUNTED", Security, "The statement is genuine and does not count for this run.";
    AuditTampered = "ERR_AUDIT_TAMPERED", Security, "The audit log, a checkpoint or a proof is not what was signed.";
    Halted = "ERR_HALTED", Security, "A switch stops every apply, or the host could not see whether one was thrown.";
    AuditForked = "ERR_AUDIT_FORKED", Security, "The audit log does not go on from a checkpoint that was signed before.";
    AnchorUnavailable = "ERR_ANCHOR_UNAVAILABLE", Integration, "A place for checkpoints did not take one.";
    WitnessUntrue = "ERR_WITNESS_UNTRUE", Security, "A witness answered with something else than its word.";
    BundleInvalid = "ERR_BUNDLE_INVALID", Security, "The exported run is none, or not what its trust roots lead to.";
    BackupInvalid = "ERR_BACKUP_INVALID", Data, "The directory is no backup of a control store, or not as it was made.";
    // the running host
    HostRunning = "ERR_HOST_RUNNING", Ux, "A host runs already where this one would listen.";
    HostUnavailable = "ERR_HOST_UNAVAILABLE", Integration, "The running host did not answer.";
    HostStopping = "ERR_HOST_STOPPING", Integration, "The host is being stopped and takes nothing new.";
    RequestInvalid = "ERR_REQUEST_INVALID", Ux, "A request to the API is not what its endpoint takes.";
    RequestTooLarge = "ERR_REQUEST_TOO_LARGE", Ux, "A request to the API is larger than it may be.";
    RequestTimeout = "ERR_REQUEST_TIMEOUT", Integration, "A request to the API took longer than it may.";
    EndpointUnknown = "ERR_ENDPOINT_UNKNOWN", Ux, "The API has no such endpoint.";
    MethodUnknown = "ERR_METHOD_UNKNOWN", Ux, "The endpoint of the API does not take this method.";
    // our own store
    StoreUnavailable = "ERR_STORE_UNAVAILABLE", Integration, "The control store cannot be opened or written.";
    StoreCorrupt = "ERR_STORE_CORRUPT", Data, "The control store holds something that cannot be.";
    StoreVersion = "ERR_STORE_VERSION", Integration, "The control store was made by another version.";
    KeyFile = "ERR_KEY_FILE", Security, "The host's key file cannot be read, or others can read it.";
    Io = "ERR_IO", Integration, "A file could not be read or written.";
    Internal = "ERR_INTERNAL", Integration, "Mendwright contradicted itself.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The text is no code of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an error code")]
pub struct UnknownCode(pub String);

impl std::str::FromStr for Code {
    type Err = UnknownCode;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|code| code.text() == text).ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_parse_back() {
        let texts: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.text()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(code.text().parse(), Ok(*code));
            assert!(code.text().starts_with("ERR_") || code.text().starts_with("WARN_"));
        }
    }
}
