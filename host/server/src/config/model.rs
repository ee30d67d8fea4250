//! The configuration, read and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use mendwright_catalog::diagnostic::Diagnostic;
use mendwright_core::authority::Grant;
use mendwright_core::binding::Resource;
use mendwright_core::budget::Budget;
use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::policy::Settings;
use mendwright_core::witness::WitnessKey;
use mendwright_store::Concurrency;

use crate::config::env::Env;
use crate::config::schedule::Schedule;
use crate::config::url::{Engine, Location, Url};

/// The environment in which unsigned jobs are refused.
pub const PRODUCTION: &str = "production";

/// `mendwright.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// The version of the file's form: 1.
    pub version: u64,
    /// Printed on every plan.
    pub environment: String,
    /// Our own store.
    pub control: Control,
    /// Unsigned jobs that were built here; absent in production.
    pub jobs: Option<Jobs>,
    /// The databases that may be repaired.
    pub databases: BTreeMap<String, Database>,
    /// Whose data there is.
    pub tenants: Tenants,
    /// The tables that jobs may know of.
    pub resources: BTreeMap<String, Resource>,
    /// Who may do what, by name.
    pub grants: Vec<GrantConfig>,
    /// Caps on every job's own budget.
    pub limits: Budget,
    /// The audit log.
    pub audit: Audit,
    /// What may happen by itself, and what takes people.
    pub policy: Policy,
    /// Who is who.
    pub people: People,
    /// How many runs are worked on at a time.
    pub concurrency: Concurrency,
    /// What is planned by the clock, by name.
    pub schedules: Vec<Schedule>,
    /// The socket of the running host, where the configuration names one.
    pub socket: Option<PathBuf>,
}

/// What may happen by itself, and what takes people.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The operator's own policies, beside those that are built in.
    pub directory: Option<PathBuf>,
    /// The numbers that policies compare with.
    pub settings: Settings,
}

/// Who is who.
#[derive(Clone, Debug, Default)]
pub struct People {
    /// The digest of the registry's first version: everything after it is signed by people of the one before.
    pub root: Option<Digest>,
}

/// The audit log: its name, and where what it signs is kept as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The log's name; from the host's key where absent.
    pub origin: Option<String>,
    /// Where each checkpoint goes as well.
    pub anchors: Vec<Anchor>,
    /// How long an entry may wait for a checkpoint.
    pub every: Duration,
}

impl Audit {
    /// What somebody who rewrites the log has at most before it is signed; a signature takes a millisecond.
    pub const EVERY: Duration = Duration::from_secs(60);
}

impl Default for Audit {
    fn default() -> Self {
        Self { origin: None, anchors: Vec::new(), every: Self::EVERY }
    }
}

/// A place for checkpoints that no host can rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// A file that is only appended to.
    File(PathBuf),
    /// An address that takes each by POST.
    Web(Uri),
    /// Somebody who looks at what was added, and countersigns.
    Witness(Box<Witness>),
}

/// Somebody else who looks whether the log only grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Where it takes checkpoints.
    pub url: Uri,
    /// What it countersigns with.
    pub key: WitnessKey,
}

impl std::fmt::Display for Anchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Web(url) => url.fmt(f),
            Self::Witness(witness) => write!(f, "witness {}", witness.key.name()),
        }
    }
}

/// Our own store.
#[derive(Clone, Debug)]
pub struct Control {
    /// Where it is.
    pub url: Url,
}

/// Where jobs lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jobs {
    /// The directory, taken from the configuration's own.
    pub path: PathBuf,
}

/// A database that may be repaired.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its name here.
    pub name: String,
    /// Where it is.
    pub url: Url,
    /// The same database as a role that cannot write.
    pub read_url: Option<Url>,
    /// How long to wait for a lock that the application holds.
    pub lock_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long a dry run may make the application wait.
    pub dry_run_lock_max: Duration,
    /// What is kept to undo.
    pub journal: Journal,
}

/// The journal of a target database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// The schema of our own tables in PostgreSQL.
    pub schema: String,
    /// How long a run can be undone.
    pub keep: Duration,
}

/// Where a database is, its variables looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// For everything, or for applying only where `read` is there.
    pub write: Location,
    /// For dry runs.
    pub read: Option<Location>,
}

impl Connection {
    /// The engine of both.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        self.write.engine()
    }
}

impl Database {
    /// Rather fail than make the application wait.
    pub const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
    /// What takes longer is no repair of a few rows.
    pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
    /// What a person at a screen does not yet notice as an outage.
    pub const DRY_RUN_LOCK_MAX: Duration = Duration::from_millis(500);

    /// Looks up the variables that this database needs.
    ///
    /// # Errors
    /// [`Code::ConfigEnvironment`] or [`Code::ConfigValue`], at the key that names the variable.
    pub fn connection(&self, env: &Env) -> Result<Connection, Diagnostic> {
        let write = self.url.location(env)?;
        let Some(url) = &self.read_url else { return Ok(Connection { write, read: None }) };
        let read = url.location(env)?;
        match (write.engine(), read.engine()) {
            (Engine::Postgres, Engine::Postgres) => Ok(Connection { write, read: Some(read) }),
            (Engine::Sqlite, _) | (_, Engine::Sqlite) => Err(sqlite_has_no_roles(url)),
        }
    }
}

/// The error of a `read_url` where there are no roles.
pub(super) fn sqlite_has_no_roles(url: &Url) -> Diagnostic {
    Diagnostic::new(Code::ConfigValue, "`read_url` is for PostgreSQL")
        .at(url.place().clone())
        .label("SQLite has no roles: dry runs open it read-only anyway")
}

impl Journal {
    /// The schema of our own tables.
    pub const SCHEMA: &str = "mendwright";
    /// A month: somebody closes the books in between and looks.
    pub const KEEP: Duration = Duration::from_secs(30 * 24 * 3_600);
}

impl Default for Journal {
    fn default() -> Self {
        Self { schema: Self::SCHEMA.to_owned(), keep: Self::KEEP }
    }
}

/// Whose data there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tenants {
    /// The resource whose distinct tenants are all there are.
    pub discover: Option<String>,
    /// Never touched, whatever a grant says.
    pub exclude: BTreeSet<String>,
}

/// For whom a grant is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSet {
    /// Every tenant that is not excluded.
    All,
    /// These.
    Named(BTreeSet<String>),
}

impl TenantSet {
    /// Whether `tenant` is one of them, byte for byte.
    #[must_use]
    pub fn contains(&self, tenant: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(tenant),
        }
    }
}

/// One `[grant.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantConfig {
    /// Its name.
    pub name: String,
    /// The job's name.
    pub job: String,
    /// Which versions of it.
    pub versions: semver::VersionReq,
    /// For whom.
    pub tenants: TenantSet,
    /// What is allowed.
    pub grant: Grant,
    /// Caps on the job's own budget.
    pub limits: Budget,
}

/// The tenant is excluded: no grant counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tenant `{tenant}` is excluded by the configuration, whatever a grant says")]
pub struct TenantExcluded {
    /// The tenant.
    pub tenant: String,
}

impl TenantExcluded {
    /// Its stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::TenantExcluded
    }

    /// The next thing to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        "take it out of `exclude` under [tenants] in mendwright.toml, if that is really meant"
    }
}

impl Config {
    /// The grants for this job and this tenant, by name. None is no error: `decide` says so.
    ///
    /// # Errors
    /// [`TenantExcluded`].
    pub fn grants_for(
        &self,
        job: &str,
        version: &semver::Version,
        tenant: &str,
    ) -> Result<Vec<&GrantConfig>, TenantExcluded> {
        if self.tenants.exclude.contains(tenant) {
            return Err(TenantExcluded { tenant: tenant.to_owned() });
        }
        let fits = |grant: &&GrantConfig| {
            grant.job == job && grant.versions.matches(version) && grant.tenants.contains(tenant)
        };
        Ok(self.grants.iter().filter(fits).collect())
    }

    /// The database with this name.
    ///
    /// # Errors
    /// [`Code::DatabaseUnknown`] with the nearest name.
    pub fn database(&self, name: &str) -> Result<&Database, Diagnostic> {
        let names = || self.databases.keys().map(String::as_str);
        self.databases.get(name).ok_or_else(|| unknown(Code::DatabaseUnknown, "database", name, names()))
    }

    /// The resource with this name.
    ///
    /// # Errors
    /// [`Code::ResourceUnknown`] with the nearest name.
    pub fn resource(&self, name: &str) -> Result<&Resource, Diagnostic> {
        let names = || self.resources.keys().map(String::as_str);
        self.resources.get(name).ok_or_else(|| unknown(Code::ResourceUnknown, "resource", name, names()))
    }
}

fn unknown<'a>(code: Code, what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Diagnostic {
    let names: Vec<_> = known.collect();
    let otherwise = if names.is_empty() { format!("there is no {what} yet") } else { names.join(", ") };
    Diagnostic::new(code, format!("there is no {what} `{name}`")).near(name, names, &otherwise)
}
