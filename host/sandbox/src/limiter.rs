//! How much memory a component may have: the sum of all its linear memories and tables.

use std::sync::Arc;

use mendwright_core::budget::{Meter, Metric};
use wasmtime::ResourceLimiter;

use crate::ending::Ending;

/// What an element of a table takes: a pointer.
const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();

/// Core instances in one component. A component of one language has a handful (the module, adapters,
/// shims); each costs the host memory that no other budget sees.
const INSTANCES_MAX: usize = 100;

/// Linear memories and tables in one component, for the same reason.
const MEMORIES_MAX: usize = 20;

/// Sums up what the guest holds and remembers why it said no: wasmtime itself only tells a string.
pub(crate) struct Limiter {
    meter: Arc<Meter>,
    ending: Ending,
    held: u64,
}

impl Limiter {
    pub(crate) fn new(meter: Arc<Meter>, ending: Ending) -> Self {
        Self { meter, ending, held: 0 }
    }

    /// The most that was held at once. Memories and tables only grow, so it is what is held.
    pub(crate) const fn peak(&self) -> u64 {
        self.held
    }

    fn grow(&mut self, current: usize, desired: usize) -> wasmtime::Result<bool> {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX);
        let held = self.held.saturating_add(more);
        if held > self.meter.budget().limit(Metric::Memory) {
            return Err(self.refuse());
        }
        self.held = held;
        Ok(true)
    }

    /// A trap at once instead of a failed `memory.grow`: what a guest does with the failure differs
    /// from language to language, and the budget is spent in any case.
    fn refuse(&self) -> wasmtime::Error {
        let refusal = self.meter.spent(Metric::Memory);
        self.ending.set(&refusal);
        wasmtime::Error::msg(refusal.message)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current, desired)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(self.refuse())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.grow(current.saturating_mul(TABLE_ELEMENT_BYTES), desired.saturating_mul(TABLE_ELEMENT_BYTES))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(self.refuse())
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        MEMORIES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
