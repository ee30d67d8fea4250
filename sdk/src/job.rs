//! What a job is to the SDK, and how an export of the component runs it.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::contract::{Compensation, Failure, Planned};
use crate::error::Result;
use crate::manifest::Manifest;
use crate::run::Run;

/// A repair. One function computes its changes; the rest has defaults. `#[job]` on that function writes
/// this implementation and the component's exports.
pub trait Repair {
    /// Its parameters; [`NoParams`] where it has none.
    type Params: Params;

    /// What `job.toml` says.
    const MANIFEST: Manifest;

    /// Computes the changes. It runs for the dry run, and again for each apply on the data of that day;
    /// given the same data it must do the same.
    ///
    /// # Errors
    /// Whatever keeps it from doing its work; the run then ends as failed, and nothing is changed.
    fn repair(run: &Run, params: Self::Params) -> Result;

    /// Looks at the rows that the plan changed, and reports checks and findings.
    ///
    /// # Errors
    /// Whatever keeps it from looking.
    fn verify(run: &Run, changed: &[Planned]) -> Result {
        let _ = (run, changed);
        Ok(())
    }

    /// Says how to undo. By default the host restores what was there.
    ///
    /// # Errors
    /// Whatever keeps it from saying.
    fn rollback(run: &Run, changed: &[Planned]) -> Result<Compensation> {
        let _ = (run, changed);
        Ok(Compensation::Restore)
    }
}

/// What a job's parameters must be: readable from JSON and, natively, described by a JSON Schema. Write
/// `#[params]` on a struct.
#[cfg(not(target_arch = "wasm32"))]
pub trait Params: DeserializeOwned + schemars::JsonSchema {}
#[cfg(not(target_arch = "wasm32"))]
impl<T: DeserializeOwned + schemars::JsonSchema> Params for T {}

/// What a job's parameters must be: readable from JSON. (Their schema is made natively; nothing of it
/// may weigh on the component.)
#[cfg(target_arch = "wasm32")]
pub trait Params: DeserializeOwned {}
#[cfg(target_arch = "wasm32")]
impl<T: DeserializeOwned> Params for T {}

/// The parameters of a job that has none.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// Runs `dry-run` or `apply`: they are the same.
#[doc(hidden)]
pub fn execute<J: Repair>() -> Result<String, Failure> {
    within::<J, ()>(|run| J::repair(run, run.params()?)).map(|((), summary)| summary)
}

/// Runs `verify`.
#[doc(hidden)]
pub fn verify<J: Repair>(changed: &[Planned]) -> Result<String, Failure> {
    within::<J, ()>(|run| J::verify(run, changed)).map(|((), summary)| summary)
}

/// Runs `rollback`.
#[doc(hidden)]
pub fn rollback<J: Repair>(changed: &[Planned]) -> Result<Compensation, Failure> {
    within::<J, Compensation>(|run| J::rollback(run, changed)).map(|(compensation, _)| compensation)
}

fn within<J: Repair, T>(work: impl FnOnce(&Run) -> Result<T>) -> Result<(T, String), Failure> {
    let run = Run::new(&const { J::MANIFEST });
    let done = work(&run)?;
    run.flush()?;
    Ok((done, run.take_summary()))
}

/// The JSON Schema of a job's parameters, as `params.schema.json` holds it.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub fn params_schema<J: Repair>() -> serde_json::Value {
    schemars::SchemaGenerator::default().into_root_schema_for::<J::Params>().to_value()
}
