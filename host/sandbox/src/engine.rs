//! The engine's settings, in one place: the compiler, the runner and the cache's names all come from
//! here and cannot drift apart.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wasmtime::{Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::error::Error;

/// Stack for the guest's calls. Rust's own default for a thread's stack is four times that, and a
/// repair does not recurse.
const WASM_STACK_BYTES: usize = 512 * 1024;

/// The fiber's whole stack: the guest's, and the host's functions above it.
const FIBER_STACK_BYTES: usize = 2 * 1024 * 1024;

/// How often a guest that computes gives way and is asked for the time.
pub(crate) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// Core instances, memories and tables for each component in the pool. A Rust job has four
/// instances, Python's runtime some twenty; the pool only reserves address space for them.
const POOL_CORE_INSTANCES_EACH: u32 = 40;
const POOL_MEMORIES_EACH: u32 = 4;
const POOL_TABLES_EACH: u32 = 40;

/// Elements of one table: the functions that an interpreter calls by pointer.
const POOL_TABLE_ELEMENTS: usize = 100_000;

/// The host's record of one component instance and of one core instance.
const POOL_INSTANCE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much of a slot's memory stays with the process between two calls.
const POOL_KEEP_RESIDENT_BYTES: usize = 1024 * 1024;

/// How the engine keeps instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allocation {
    /// A pool of this many, each with at most this many bytes of memory.
    Pool { instances: u32, memory_bytes: usize },
    /// From the operating system, each time.
    OnDemand,
}

/// The one constructor of the engine.
pub(crate) fn build(allocation: Allocation) -> Result<Engine, Error> {
    let mut config = wasmtime::Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .cranelift_opt_level(OptLevel::Speed)
        // The same bits everywhere: NaNs have one form, and nothing is left to the processor.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        // A trap's message is one line; frames would name addresses that differ between builds.
        .wasm_backtrace_max_frames(None)
        .memory_init_cow(true);
    match allocation {
        Allocation::Pool { instances, memory_bytes } => {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances, memory_bytes)));
        }
        Allocation::OnDemand => {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        }
    }
    Engine::new(&config).map_err(|error| Error::Engine(format!("{error:#}")))
}

fn pool(instances: u32, memory_bytes: usize) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(POOL_CORE_INSTANCES_EACH))
        .total_memories(instances.saturating_mul(POOL_MEMORIES_EACH))
        .total_tables(instances.saturating_mul(POOL_TABLES_EACH))
        .total_stacks(instances)
        .max_core_instances_per_component(POOL_CORE_INSTANCES_EACH)
        .max_memories_per_component(POOL_MEMORIES_EACH)
        .max_tables_per_component(POOL_TABLES_EACH)
        .table_elements(POOL_TABLE_ELEMENTS)
        .max_component_instance_size(POOL_INSTANCE_BYTES_MAX)
        .max_core_instance_size(POOL_INSTANCE_BYTES_MAX)
        .linear_memory_keep_resident(POOL_KEEP_RESIDENT_BYTES)
        .max_memory_size(memory_bytes);
    pool
}

/// Advances the engine's epoch until it is dropped.
pub(crate) struct Ticker {
    _alive: mpsc::Sender<()>,
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> Result<Self, Error> {
        let (alive, dropped) = mpsc::channel::<()>();
        let weak = engine.weak();
        thread::Builder::new()
            .name("mendwright-epoch".to_owned())
            .spawn(move || {
                while dropped.recv_timeout(EPOCH_TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                    let Some(engine) = weak.upgrade() else { return };
                    engine.increment_epoch();
                }
            })
            .map_err(|error| Error::Engine(format!("no thread for the clock: {error}")))?;
        Ok(Self { _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_of_the_default_size_can_be_had() {
        let config = crate::Config::default();
        let pool = Allocation::Pool { instances: config.instances_max, memory_bytes: config.memory_bytes_max };
        assert!(build(pool).unwrap().pooling_allocator_metrics().is_some());
    }

    #[test]
    fn the_same_settings_give_code_for_each_other() {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let hash = |engine: Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash(build(Allocation::OnDemand).unwrap()), hash(build(Allocation::OnDemand).unwrap()));
    }
}
