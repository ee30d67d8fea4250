//! What the commands do: a repair is planned, applied, read back and undone.
//!
//! **Invariant**: authority, plan and journal decide; nothing here writes a target by itself, and
//! nothing of a component runs while the gateway writes.
//!
//! - [`Host`]: the open parts; `targets`, `job`: what a run needs to be looked up;
//! - `execute`: one execution of a job; `words`: what of its words may be shown; `document`: what it came
//!   to, for people;
//! - `bind`: changes as a plan binds them, `only`: a part of them; `plan`, `apply`, `undo`: the three acts;
//!   `batched`: an apply in several transactions; `record`: a dry run written down; `compensate`: what a
//!   job says to its being undone;
//! - `held`: working on a run that is leased to this process; `work`: what a worker does; `halt`: holding
//!   still;
//!   `recover`: what a dead process left; `look`: what there is to see of runs.

mod apply;
mod batched;
mod bind;
mod compensate;
mod document;
mod execute;
pub(crate) mod halt;
mod held;
mod job;
pub(crate) mod look;
mod only;
mod plan;
pub(crate) mod problem;
mod record;
mod recover;
mod targets;
pub(crate) mod time;
mod undo;
mod words;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use mendwright_gateway::Target;
use mendwright_gateway::repair::{Context, MacKey};
use mendwright_sandbox::{CacheConfig, Sandbox};
use mendwright_store::{HostKey, KeyUse, Place, RunRecord, Store};

use crate::config::Config;
use crate::config::env::Env;
use crate::config::url::Location;
use crate::view::problem::Problem;
use mendwright_core::code::Code;

pub use apply::Applied;
pub(crate) use job::capabilities;
pub use plan::PlanRequest;
pub use targets::{target, targets};
pub use time::rfc3339;
pub use undo::{Undone, VerifiedRun};
pub use work::Worked;

/// Told how far a job is: done and total, 0 for an unknown total.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// An open host: configuration, control store, sandbox, key and clock.
pub struct Host {
    config: Config,
    env: Env,
    store: Store,
    sandbox: Sandbox,
    journal_key: MacKey,
}

impl Host {
    /// Opens the control store and everything that runs need, and finishes what a process that died
    /// left half done.
    ///
    /// # Errors
    /// The control store, the host's key or the sandbox cannot be opened.
    pub async fn open(config: Config, env: Env) -> Result<Self, Problem> {
        let host = Self::open_to_work(config, env).await?;
        host.recover_all().await?;
        Ok(host)
    }

    /// The same, and leaves what a dead process left half done to the workers: they claim it.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub async fn open_to_work(config: Config, env: Env) -> Result<Self, Problem> {
        let store = open_store(&config, &env).await?;
        let beside = state_path(&config, store.place());
        let key = HostKey::load_or_create(&ending(&beside, ".key"), random).map_err(problem::store)?;
        let sandbox = Sandbox::new(mendwright_sandbox::Config {
            cache: Some(CacheConfig {
                directory: ending(&beside, ".cache"),
                mac_key: *key.derive(KeyUse::CompiledCode).expose(),
            }),
            // One command runs one component; a pool would only reserve address space.
            pooling: false,
            ..mendwright_sandbox::Config::default()
        })
        .map_err(problem::sandbox)?;
        let journal_key = MacKey(*key.derive(KeyUse::Journal).expose());
        Ok(Self { config, env, store, sandbox, journal_key })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The control store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
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
        target(&self.config, &self.env, database)
    }

    fn context<'a>(&'a self, target: &'a Target, run: &'a RunRecord, id: &'a str) -> Context<'a> {
        Context {
            target,
            resources: &self.config.resources,
            tenant: &run.tenant,
            run: id,
            key: &self.journal_key,
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

/// What the names of this host's own files begin with: the control file, or `mendwright` beside the
/// configuration where the control store is a server.
pub(crate) fn state_path(config: &Config, place: &Place) -> PathBuf {
    match place {
        Place::File(path) => path.clone(),
        Place::Server(_) => config.path.with_file_name("mendwright"),
    }
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

/// Bytes from the operating system's random source.
fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
