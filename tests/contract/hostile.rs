//! The hostile component in a world, and what came of an attack.

use mendwright::engine::Host;
use mendwright::view::problem::Problem;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_store::{RunFilter, RunRecord};
use serde_json::Value as Json;

use crate::world::{Engine, Short as _, World};

/// What the hostile component asks for unless a test says otherwise.
pub(crate) const REQUEST: &str =
    "[request.invoices]\nread = [\"id\", \"total\"]\nwrite = [\"total\", \"address\"]\noperations = [\"update\"]\n";

/// A grant of exactly that, for everybody.
pub(crate) const GRANT: &str = "[grant.hostile]\njob = \"hostile@^1\"\ntenants = \"*\"\nallow.invoices = { read = \
     [\"id\", \"total\"], write = [\"total\", \"address\"], operations = [\"update\"] }\n";

/// Chinook with a grant for the hostile component.
pub(crate) async fn chinook(engine: Engine, grant: &str) -> World {
    let mut world = World::chinook(engine).await;
    world.bindings.push_str(grant);
    world
}

/// What came of an attack's dry run.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The run as it is kept.
    pub(crate) run: RunRecord,
    /// What an operator is told, if it made no plan.
    pub(crate) problem: Option<Problem>,
    /// What the component wrote to its log: everything that it learned.
    pub(crate) log: Vec<String>,
}

impl Seen {
    pub(crate) fn code(&self) -> Option<Code> {
        self.problem.as_ref().map(|problem| problem.code)
    }

    pub(crate) fn message(&self) -> &str {
        self.problem.as_ref().map_or("", |problem| problem.message.as_str())
    }

    pub(crate) fn state(&self) -> State {
        self.run.state
    }
}

/// Runs an attack as `tenant`.
pub(crate) async fn attack(host: &Host, tenant: &str, params: Json) -> Seen {
    let outcome = host.attack(tenant, params).await;
    seen(host, outcome).await
}

/// What is kept of a dry run.
pub(crate) async fn seen(host: &Host, outcome: Result<RunRecord, Problem>) -> Seen {
    let (run, problem) = match outcome {
        Ok(run) => (run, None),
        Err(problem) => {
            let all = host.store().list(&RunFilter::default()).await.unwrap();
            let last = all.into_iter().max_by_key(|run| run.number);
            (last.unwrap_or_else(|| panic!("no run was kept: {problem:?}")), Some(problem))
        }
    };
    let log = host.log_of(run.number).await;
    Seen { run, problem, log }
}
