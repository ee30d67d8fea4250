//! What the guest can call, one module for each interface of the contract.
//!
//! The functions are linked by hand on the generated types, because each call costs fuel and only
//! the caller's store has it. **Invariant**: every function goes through [`enter`] first, and every
//! refusal through [`State::answer`].

pub(crate) mod run;
pub(crate) mod table_writes;
pub(crate) mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::budget::{Meter, Metric};
use mendwright_core::port::{Check, Finding, Refusal, Severity, Tables};
use rand_chacha::ChaCha20Rng;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{StoreContextMut, Trap};
use wasmtime_wasi::WasiCtx;

use crate::bindings::mendwright::repair::types;
use crate::call::{Identity, Progress};
use crate::convert;
use crate::ending::Ending;
use crate::limiter::Limiter;
use crate::log::Log;

/// Fuel that each call of the contract costs beside the guest's own instructions: about what the
/// crossing and the host's copying take, at a few instructions a nanosecond. Fixed, so that the same
/// calls always cost the same. Part of what a recording replays: changing it changes the fuel of
/// recorded runs.
pub const HOST_CALL_FUEL: u64 = 2_000;

/// Calls that a guest may still make once its host calls are spent, to say so and return. After
/// them it is stopped.
pub(crate) const GRACE_CALLS: u64 = 1_000;

/// What the host keeps for one call. It lives in the call's store and dies with it.
pub(crate) struct State {
    pub(crate) meter: Arc<Meter>,
    pub(crate) ending: Ending,
    pub(crate) limiter: Limiter,
    pub(crate) log: Log,
    pub(crate) identity: Identity,
    pub(crate) params: Arc<str>,
    pub(crate) random: ChaCha20Rng,
    pub(crate) progress: Option<Progress>,
    pub(crate) findings_known: Arc<BTreeMap<String, Severity>>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) checks: Vec<Check>,
    pub(crate) tables: Box<dyn Tables>,
    pub(crate) cursors_open: u64,
    pub(crate) host_calls: u64,
    pub(crate) wasi: WasiCtx,
    pub(crate) resources: ResourceTable,
}

impl State {
    /// Turns the host's answer into what the guest gets, and keeps a refusal that ends the run.
    fn answer<T>(&self, result: Result<T, Refusal>) -> wasmtime::Result<(Result<T, types::Error>,)> {
        Ok((result.map_err(|refusal| {
            self.ending.set(&refusal);
            convert::refusal_to_guest(&refusal)
        }),))
    }

    /// After a refusal that ends the run nothing is read or planned any more: the guest gets the same
    /// refusal again, and no database works for it.
    fn still_open(&self) -> Result<(), Refusal> {
        self.ending.get().map_or(Ok(()), |refusal| Err(refusal.clone()))
    }
}

/// Counts one call: fuel first, then the number of calls.
///
/// # Errors
/// A trap when the fuel is spent, or when the guest goes on long after its calls are.
fn enter(caller: &mut StoreContextMut<'_, State>) -> wasmtime::Result<()> {
    let fuel = caller.get_fuel()?;
    let Some(left) = fuel.checked_sub(HOST_CALL_FUEL) else {
        caller.set_fuel(0)?;
        return Err(Trap::OutOfFuel.into());
    };
    caller.set_fuel(left)?;
    let state = caller.data_mut();
    state.host_calls = state.host_calls.saturating_add(1);
    if let Err(refusal) = state.meter.charge(Metric::HostCalls, 1) {
        state.ending.set(&refusal);
        let over = state.meter.used(Metric::HostCalls).saturating_sub(state.meter.budget().limit(Metric::HostCalls));
        if over > GRACE_CALLS {
            return Err(wasmtime::Error::msg(refusal.message));
        }
    }
    Ok(())
}

/// Links one function: `link_fn!(instance, "name", |state, argument: Type, …| async expression)`.
/// The expression gives what the guest gets.
macro_rules! link_fn {
    ($instance:ident, $name:literal, |$state:ident $(, $argument:ident : $type:ty)*| $body:expr) => {
        $instance.func_wrap_async(
            $name,
            |mut caller: wasmtime::StoreContextMut<'_, crate::host::State>, ($($argument,)*): ($($type,)*)| {
                Box::new(async move {
                    crate::host::enter(&mut caller)?;
                    let $state = caller.data_mut();
                    $body
                })
            },
        )?
    };
}
pub(crate) use link_fn;

/// Adds the contract's interfaces.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    run::add_to_linker(linker)?;
    tables::add_to_linker(linker)?;
    table_writes::add_to_linker(linker)
}
