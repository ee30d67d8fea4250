//! What the commands do: a repair is planned, applied, read back and undone.
//!
//! **Invariant**: authority, plan and journal decide; nothing here writes a target by itself, and
//! nothing of a component runs while the gateway writes.
//!
//! - [`Host`]: the open parts; `targets`, `tenants`, `job`: what a run needs to be looked up;
//! - `execute`: one execution of a job; `words`: what of its words may be shown; `document`: what it came
//!   to, for people;
//! - `bind`: changes as a plan binds them, `only`: a part of them; `plan`, `apply`, `undo`: the three acts;
//!   `policy`: whether they may be, and the word of people;
//!   `at_once`: all of it in one go, `finish`: what follows behind, `claims`: what waits for that;
//!   `batched`: an apply in several transactions; `record`: a dry run written down; `compensate`: what a
//!   job says to its being undone; `audit`: what happened, sequenced, signed and sent elsewhere;
//! - `held`: working on a run that is leased to this process; `watch`: switches meanwhile; `work`: what a
//!   worker does; `rollout`: one job for many tenants; `schedule`: by the clock; `halt`: holding still; `recover`: what a dead process left; `look`, `locks`: what there is to see of
//!   runs.

mod apply;
mod at_once;
pub(crate) mod audit;
mod batched;
mod bind;
mod claims;
mod compensate;
mod document;
mod execute;
mod finish;
pub(crate) mod halt;
mod held;
mod job;
mod kept;
pub(crate) mod locks;
pub(crate) mod look;
mod only;
mod plan;
mod policy;
pub(crate) mod problem;
mod record;
mod recover;
pub(crate) mod rollout;
pub(crate) mod schedule;
mod targets;
pub(crate) mod tenants;
pub(crate) mod time;
mod undo;
mod watch;
mod words;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use mendwright_gateway::repair::{Context, MacKey};
use mendwright_gateway::{Gate, Target};
use mendwright_sandbox::{CacheConfig, Sandbox};
use mendwright_store::{HostKey, KeyUse, Place, RunRecord, Store};

use crate::api::status::AuditBody;
use crate::config::Config;
use crate::config::env::Env;
use crate::config::url::Location;
use crate::view::problem::Problem;
use mendwright_core::code::Code;
use mendwright_core::key::{PublicKey, SecretKey};

pub use apply::Applied;
pub use at_once::Repaired;
pub use audit::{Kept, LogKey};
pub(crate) use job::capabilities;
pub use plan::PlanRequest;
pub use policy::{Answer, DEMO, DemoKey, Voted, Why, sign};
pub(crate) use policy::{Root, write_key};
pub use targets::{target, targets};
pub use time::rfc3339;
pub use undo::{Undone, VerifiedRun};
pub use work::Worked;

/// Told how far a job is: done and total, 0 for an unknown total.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// How long a host is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    OneCommand,
    Long,
}

/// An open host: configuration, control store, sandbox, key and clock.
pub struct Host {
    config: Config,
    env: Env,
    store: Store,
    sandbox: Sandbox,
    journal_key: MacKey,
    authority: policy::Authority,
    demo_keys: Vec<DemoKey>,
    /// What the switches said when they were last looked at.
    gate: Gate,
    /// Whoever holds it looks.
    watching: tokio::sync::Mutex<()>,
    log_key: LogKey,
    /// Places for checkpoints that are not tried for a while.
    pauses: audit::Pauses,
    targets: targets::Targets,
    /// What targets hold and the store does not know of yet.
    finishing: finish::Finishing,
    kept: kept::Kept,
}

impl Host {
    /// Opens the control store and everything that runs need, and finishes what a process that died
    /// left half done.
    ///
    /// # Errors
    /// The control store, the host's key or the sandbox cannot be opened.
    pub async fn open(config: Config, env: Env) -> Result<Self, Problem> {
        let host = Self::open_parts(config, env, Lasts::OneCommand).await?;
        host.recover_all().await?;
        Ok(host)
    }

    /// The same for a host that runs for long: it keeps instances and connections for the next run, and leaves
    /// what a dead process left half done to the workers: they claim it.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub async fn open_to_work(config: Config, env: Env) -> Result<Self, Problem> {
        Self::open_parts(config, env, Lasts::Long).await
    }

    async fn open_parts(config: Config, env: Env, lasts: Lasts) -> Result<Self, Problem> {
        let store = open_store(&config, &env).await?;
        let beside = state_path(&config, store.place());
        let key = host_key(&beside)?;
        let sandbox = Sandbox::new(mendwright_sandbox::Config {
            cache: Some(CacheConfig {
                directory: ending(&beside, ".cache"),
                mac_key: *key.derive(KeyUse::CompiledCode).expose(),
            }),
            // One command runs one component; a pool would only reserve address space.
            pooling: lasts == Lasts::Long,
            ..mendwright_sandbox::Config::default()
        })
        .map_err(problem::sandbox)?;
        let journal_key = MacKey(*key.derive(KeyUse::Journal).expose());
        let log_key = LogKey::of(&key, config.audit.origin.as_deref());
        let gate = Gate::watched();
        let watching = tokio::sync::Mutex::new(());
        let authority = policy::Authority::open(&config, ending(&beside, ".keys"), session_key(&key))?;
        let typist = env.typist();
        let mut host = Self {
            config,
            env,
            store,
            sandbox,
            journal_key,
            authority,
            demo_keys: Vec::new(),
            gate,
            watching,
            log_key,
            pauses: audit::Pauses::default(),
            targets: targets::Targets::new(if lasts == Lasts::Long { targets::IDLE_MAX } else { 0 }),
            finishing: finish::Finishing::default(),
            kept: kept::Kept::default(),
        };
        host.demo_keys = host.prepare_demo(typist.as_deref()).await?;
        Ok(host)
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The keys that this host made for a demo just now, so that one person can try what takes two.
    #[must_use]
    pub fn demo_keys(&self) -> &[DemoKey] {
        &self.demo_keys
    }

    /// The control store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// Gives entries of the audit log their places, signs what was not signed for too long and sends that
    /// elsewhere: a bounded round, for whoever calls it again and again.
    ///
    /// # Errors
    /// The log does not go on from what was signed, or a place elsewhere cannot be written.
    pub async fn keep_audit(&self) -> Result<Kept, Problem> {
        let (store, key, audit) = (&self.store, &self.log_key, &self.config.audit);
        audit::Log { store, key, audit }.keep(time::now_us(), &self.pauses).await
    }

    /// How far the audit log is signed and out of this host's hands.
    pub(crate) async fn audit_standing(&self) -> Result<AuditBody, Problem> {
        let status = self.store.audit_status().await.map_err(problem::store)?;
        Ok(audit::standing(&self.config.audit, &status, &self.pauses))
    }

    /// Now, in microseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        time::now_us()
    }

    /// The target of a database.
    ///
    /// # Errors
    /// There is no such database, or a variable of its URL is not set.
    pub fn target(&self, database: &str) -> Result<Target, Problem> {
        self.targets.get(&self.config, &self.env, database)
    }

    /// Whose data there is.
    ///
    /// # Errors
    /// As [`tenants::tenants`].
    pub(crate) async fn tenants(&self) -> Result<crate::api::tenant::TenantsBody, Problem> {
        tenants::tenants(&self.config, &self.env).await
    }

    /// Who holds a target's locks, and who waits for them.
    ///
    /// # Errors
    /// As [`locks::locks`].
    pub(crate) async fn locks(&self) -> Result<crate::api::lock::LocksBody, Problem> {
        locks::locks(&self.config, &self.env, &self.store).await
    }

    fn context<'a>(&'a self, target: &'a Target, run: &'a RunRecord, id: &'a str) -> Context<'a> {
        Context {
            target,
            resources: &self.config.resources,
            tenant: &run.tenant,
            run: id,
            attempt: run.attempt,
            key: &self.journal_key,
            gate: &self.gate,
            now_us: time::now_us(),
        }
    }
}

/// Opens the control store that a configuration names, under a name of this process's own.
///
/// # Errors
/// A variable of its URL is not set, or it cannot be opened.
pub(crate) async fn open_store(config: &Config, env: &Env) -> Result<Store, Problem> {
    let location = config.control.url.location(env).map_err(problem::diagnostic)?;
    let bytes = random::<8>().map_err(|error| Problem::new(Code::Io, error.to_string()))?;
    let owner = format!("{}-{}", std::process::id(), hex::encode(bytes));
    let now_us = time::now_us();
    match location {
        Location::Sqlite(path) => Store::open_file(&path, &owner, now_us).await,
        Location::Postgres(url) => Store::open_postgres(url.expose(), &owner, now_us).await,
    }
    .map_err(problem::store)
}

/// The host's key, in its file beside the control file or the configuration.
fn host_key(beside: &std::path::Path) -> Result<HostKey, Problem> {
    HostKey::load_or_create(&ending(beside, ".key"), random).map_err(problem::store)
}

/// What the names of this host's own files begin with: the control file, or `mendwright` beside the
/// configuration where the control store is a server.
pub(crate) fn state_path(config: &Config, place: &Place) -> PathBuf {
    match place {
        Place::File(path) => path.clone(),
        Place::Server(_) => config.path.with_file_name("mendwright"),
    }
}

/// What countersigns the word of people in sessions.
fn session_key(host: &HostKey) -> SecretKey {
    SecretKey::from_random(*host.derive(KeyUse::Session).expose())
}

/// The public half of it, for whoever checks exported runs.
///
/// # Errors
/// The control store or the host's key cannot be opened.
pub(crate) async fn session_public(config: &Config, env: &Env) -> Result<PublicKey, Problem> {
    let store = open_store(config, env).await?;
    Ok(session_key(&host_key(&state_path(config, store.place()))?).public())
}

/// Where the keys of a demo's people are.
///
/// # Errors
/// A variable of the control store's URL is not set.
pub(crate) fn keys_path(config: &Config, env: &Env) -> Result<PathBuf, Problem> {
    Ok(match config.control.url.location(env).map_err(problem::diagnostic)? {
        Location::Sqlite(path) => ending(&path, ".keys"),
        Location::Postgres(_) => ending(&config.path.with_file_name("mendwright"), ".keys"),
    })
}

/// The socket of the host that runs beside this configuration, if one runs.
///
/// # Errors
/// A variable of the control store's URL is not set.
pub(crate) fn socket_path(config: &Config, env: &Env) -> Result<PathBuf, Problem> {
    if let Some(path) = &config.socket {
        return Ok(path.clone());
    }
    Ok(match config.control.url.location(env).map_err(problem::diagnostic)? {
        Location::Sqlite(path) => ending(&path, ".sock"),
        Location::Postgres(_) => ending(&config.path.with_file_name("mendwright"), ".sock"),
    })
}

/// `mendwright.db` → `mendwright.db.key`.
pub(crate) fn ending(path: &std::path::Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

/// Random bytes, for a key.
///
/// # Errors
/// The system has none.
pub(crate) fn random_bytes() -> std::io::Result<[u8; 32]> {
    random()
}

/// Bytes from the operating system's random source.
fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
