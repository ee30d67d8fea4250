//! The sandbox against the hostile guests, which are compiled from source.

mod budgets;
mod determinism;
mod loading;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use mendwright_core::budget::{Budget, Meter, Metric};
use mendwright_core::code::Code;
use mendwright_core::port::{Severity, Tables};
use tokio::sync::OnceCell;

use crate::testing::{MemoryTables, guest};
use crate::{Answer, Call, Capability, Config, Ended, Export, Finished, Identity, Job, Sandbox};

/// A small sandbox without a pool and without a cache.
fn config() -> Config {
    Config { pooling: false, instances_max: 4, ..Config::default() }
}

fn all() -> BTreeSet<Capability> {
    Capability::ALL.into()
}

fn identity() -> Identity {
    let text = |text: &str| text.to_owned();
    Identity {
        run: text("run_1"),
        tenant: text("acme"),
        job: text("hostile"),
        version: text("1.0.0"),
        now_us: 1_795_150_800_123_456,
    }
}

fn call<T: Tables>(params: &str, limits: &[(Metric, u64)], tables: T) -> Call<T> {
    let budget = Budget { limits: limits.iter().copied().collect(), share_changed: None };
    Call {
        export: Export::DryRun,
        identity: identity(),
        seed: 42,
        params: params.to_owned(),
        meter: Arc::new(Meter::new(budget)),
        findings: Arc::new(BTreeMap::from([("flood".to_owned(), Severity::Error)])),
        tables,
        progress: None,
    }
}

/// The hostile component, loaded: compiling it takes seconds, so all tests share it.
async fn hostile() -> (&'static Sandbox, Arc<Job>) {
    static SANDBOX: LazyLock<Sandbox> = LazyLock::new(|| Sandbox::new(config()).unwrap());
    static JOB: OnceCell<Arc<Job>> = OnceCell::const_new();
    let load = || async { SANDBOX.load(&guest("hostile"), &all()).await.unwrap() };
    (&SANDBOX, Arc::clone(JOB.get_or_init(load).await))
}

/// Runs one attack as a dry run over three invoices.
async fn attack(params: &str, limits: &[(Metric, u64)]) -> Finished<MemoryTables> {
    let (sandbox, job) = hostile().await;
    sandbox.call(&job, call(params, limits, MemoryTables::invoices(3))).await
}

/// The code with which an attack ended.
fn code<T>(finished: &Finished<T>) -> Option<Code> {
    finished.result.as_ref().err().map(Ended::code)
}

fn log<T>(finished: &Finished<T>) -> Vec<&str> {
    finished.log.iter().map(|line| line.message.as_str()).collect()
}

fn summary(text: &str) -> Result<Answer, Ended> {
    Ok(Answer::Summary(text.to_owned()))
}
