//! The engine, its clock, its linker, and the jobs that are ready to run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mendwright_core::port::Tables;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::bindings::RepairJobPre;
use crate::cache::Cache;
use crate::call::{self, Call, Finished};
use crate::component::{self, Capability, Inspection};
use crate::engine::{self, Allocation, Ticker};
use crate::error::Error;
use crate::host::{self, State};
use crate::wasi;

/// Where compiled code is kept.
#[derive(Clone)]
pub struct CacheConfig {
    /// The directory; made if need be, and shut to others.
    pub directory: PathBuf,
    /// This host's own secret key for the MAC over compiled code. Whoever knows it and can write the
    /// directory runs native code in the host.
    pub mac_key: [u8; 32],
}

impl std::fmt::Debug for CacheConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheConfig").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where compiled code is kept; without it every start compiles anew.
    pub cache: Option<CacheConfig>,
    /// Whether instances come from a pool, which is faster and reserves address space.
    pub pooling: bool,
    /// Calls at the same time; the next waits for its turn.
    pub instances_max: u32,
    /// The most memory that any budget gives a component, in bytes; only the pool needs to know.
    pub memory_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cache: None,
            pooling: true,
            // Runs wait for databases far more than for processors.
            instances_max: 32,
            memory_bytes_max: 512 * 1024 * 1024,
        }
    }
}

type Loaded = BTreeMap<(String, BTreeSet<Capability>), Arc<Job>>;

/// Runs components. One for each process.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<State>,
    cache: Option<Arc<Cache>>,
    loaded: Mutex<Loaded>,
    /// Whoever holds it makes a component ready: many who want the same one wait for the first.
    loading: tokio::sync::Mutex<()>,
    turns: Semaphore,
    _ticker: Ticker,
}

/// A component that was checked and is ready to be instantiated.
pub struct Job {
    inspection: Inspection,
    pre: RepairJobPre<State>,
}

impl Job {
    /// The component's SHA-256, in hex.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.inspection.sha256
    }

    /// What the component imports and exports.
    #[must_use]
    pub const fn inspection(&self) -> &Inspection {
        &self.inspection
    }
}

impl Sandbox {
    /// Starts the engine.
    ///
    /// # Errors
    /// The engine, its clock's thread or the cache's directory.
    pub fn new(config: Config) -> Result<Self, Error> {
        let engine = start_engine(&config)?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker)
            .and_then(|()| host::add_to_linker(&mut linker))
            .map_err(|error| Error::Engine(format!("{error:#}")))?;
        let cache = config.cache.map(|cache| Cache::open(&cache.directory, cache.mac_key));
        Ok(Self {
            _ticker: Ticker::start(&engine)?,
            engine,
            linker,
            cache: cache.transpose().map_err(Error::Cache)?.map(Arc::new),
            loaded: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            turns: Semaphore::new(usize::try_from(config.instances_max.max(1)).unwrap_or(1)),
        })
    }

    /// Makes a component ready: compiles it, or loads its compiled code; checks that it is a job and
    /// imports nothing but WASI's powerless part and `allowed`. Cheap the second time.
    ///
    /// # Errors
    /// It is no component, no job, of another contract, or imports more. Nothing of it has run.
    pub async fn load(&self, wasm: &[u8], allowed: &BTreeSet<Capability>) -> Result<Arc<Job>, Error> {
        let name = (component::sha256(wasm), allowed.clone());
        if let Some(job) = self.lock().get(&name) {
            return Ok(Arc::clone(job));
        }
        let _loading = self.loading.lock().await;
        if let Some(job) = self.lock().get(&name) {
            return Ok(Arc::clone(job));
        }
        let component = self.compile(wasm).await?;
        let inspection = component::inspect(&self.engine, &component, wasm);
        component::check(&inspection, allowed)?;
        let pre = self.linker.instantiate_pre(&component).and_then(RepairJobPre::new).map_err(|error| {
            Error::Invalid(format!("the component is not a job of {}: {error:#}", component::CONTRACT))
        })?;
        let job = Arc::new(Job { inspection, pre });
        self.lock().insert(name, Arc::clone(&job));
        Ok(job)
    }

    /// Says what is in a component, whether or not it may run. It is compiled for that, so inspecting
    /// and then loading compiles once where there is a cache.
    ///
    /// # Errors
    /// It is no component.
    pub async fn inspect(&self, wasm: &[u8]) -> Result<Inspection, Error> {
        let component = self.compile(wasm).await?;
        Ok(component::inspect(&self.engine, &component, wasm))
    }

    /// Runs one export to its end, in a fresh instance that is gone afterwards. Needs a tokio runtime
    /// with its timer.
    ///
    /// When wall time runs out, a call of the tables that is under way is dropped where it stands.
    /// Dropping the future stops the guest; the tables are lost with it then.
    pub async fn call<T: Tables>(&self, job: &Job, call: Call<T>) -> Finished<T> {
        // Never closed, so there is always a turn in the end; waiting for it is not the run's time.
        let _turn = self.turns.acquire().await;
        call::run(&self.engine, &job.pre, call).await
    }

    async fn compile(&self, wasm: &[u8]) -> Result<Component, Error> {
        component::check_bytes(wasm)?;
        let (engine, cache, wasm) = (self.engine.clone(), self.cache.clone(), wasm.to_vec());
        let compiled = tokio::task::spawn_blocking(move || compile(&engine, cache.as_deref(), &wasm)).await;
        compiled.unwrap_or_else(|error| Err(Error::Engine(format!("the compiler died: {error}"))))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_engine(config: &Config) -> Result<Engine, Error> {
    if config.pooling {
        let pool = Allocation::Pool { instances: config.instances_max.max(1), memory_bytes: config.memory_bytes_max };
        match engine::build(pool) {
            Ok(engine) => return Ok(engine),
            Err(error) => tracing::warn!(%error, "no pool of instances; each is made on demand"),
        }
    }
    engine::build(Allocation::OnDemand)
}

fn compile(engine: &Engine, cache: Option<&Cache>, wasm: &[u8]) -> Result<Component, Error> {
    let sha256 = component::sha256(wasm);
    if let Some(component) = cache.and_then(|cache| cache.load(engine, &sha256)) {
        return Ok(component);
    }
    let component = Component::from_binary(engine, wasm)
        .map_err(|error| Error::Invalid(format!("the component is not valid: {error:#}")))?;
    if let Some(cache) = cache {
        match component.serialize() {
            Ok(code) => cache.store(engine, &sha256, &code),
            Err(error) => tracing::warn!(%error, "compiled code cannot be kept"),
        }
    }
    Ok(component)
}
