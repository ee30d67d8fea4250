//! Where a command goes: to the running host, or, where none runs, into the configured store itself. What
//! comes back is the same, in the engine's own types; so is what is printed.

mod people;
mod trust;

use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_core::plan::document::Document;
use mendwright_core::switch::Switch;
use mendwright_store::{
    ChangeFilter, LogLine, RolloutNumber, RunEvent, RunFilter, RunNumber, RunRecord, Store, StoredChange, Switches,
};

use crate::api::act::UndoBody;
use crate::api::rollout::{RolloutBody, RolloutsBody};
use crate::api::run::ListedBody;
use crate::api::status::{RUNS_MAX, StatusBody};
use crate::api::switch::ThrownBody;
use crate::api::vote::DecisionsBody;
use crate::cli::problem;
use crate::cli::rollout::Move;
use crate::client::{Client, Seen};
use crate::config::Config;
use crate::config::model::Audit;
use crate::engine::audit::{Pauses, standing};
use crate::engine::{Applied, Host, PlanRequest, Undone, halt, look, rollout, time};
use crate::view::problem::Problem;

/// Between two looks at a run that is watched where no host runs.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// For commands that act.
pub(super) enum Door {
    /// This process is the host of its own task.
    Local(Box<Host>),
    /// The running host does it. The configuration is this command's own.
    Remote(Client, Box<Config>),
}

/// For commands that only look.
pub(super) enum Shelf {
    /// The control store.
    Store(Box<Store>),
    /// The running host.
    Remote(Client),
}

/// What there is to look at, whoever has it.
#[derive(Clone, Copy)]
pub(super) enum Books<'a> {
    Store(&'a Store),
    Remote(&'a Client),
}

impl Shelf {
    pub(super) const fn books(&self) -> Books<'_> {
        match self {
            Self::Store(store) => Books::Store(store),
            Self::Remote(client) => Books::Remote(client),
        }
    }
}

impl Books<'_> {
    /// The run that a person means.
    pub(super) async fn find(self, reference: &str) -> Result<RunRecord, Problem> {
        match self {
            Self::Store(store) => store.find(reference).await.map_err(problem::store),
            Self::Remote(client) => client.find(reference).await,
        }
    }

    /// Runs, the newest first.
    pub(super) async fn list(self, filter: &RunFilter) -> Result<Vec<ListedBody>, Problem> {
        match self {
            Self::Store(store) => look::list(store, filter).await,
            Self::Remote(client) => client.list(filter).await,
        }
    }

    /// A plan without its changes.
    pub(super) async fn document(self, run: RunNumber) -> Result<Document, Problem> {
        match self {
            Self::Store(store) => look::document(store, run).await,
            Self::Remote(client) => client.document(run).await,
        }
    }

    /// A page of a plan's changes.
    pub(super) async fn changes(
        self,
        run: RunNumber,
        filter: &ChangeFilter,
        (after, limit): (u64, u32),
    ) -> Result<Vec<StoredChange>, Problem> {
        match self {
            Self::Store(store) => store.changes(run, filter, after, limit).await.map_err(problem::store),
            Self::Remote(client) => client.changes(run, filter, (after, limit)).await,
        }
    }

    /// Everything that happened to a run.
    pub(super) async fn events(self, run: RunNumber) -> Result<Vec<RunEvent>, Problem> {
        match self {
            Self::Store(store) => store.events(run).await.map_err(problem::store),
            Self::Remote(client) => client.events(run).await,
        }
    }

    /// What the job logged.
    pub(super) async fn log(self, run: RunNumber) -> Result<Vec<LogLine>, Problem> {
        match self {
            Self::Store(store) => store.log(run).await.map_err(problem::store),
            Self::Remote(client) => client.log(run).await,
        }
    }

    /// What policy answered about a run, in order.
    pub(super) async fn decisions(self, run: RunNumber) -> Result<DecisionsBody, Problem> {
        let store = match self {
            Self::Store(store) => store,
            Self::Remote(client) => return client.decisions(run).await,
        };
        DecisionsBody::new(store.decisions(run).await.map_err(problem::store)?)
            .map_err(|error| Problem::new(Code::StoreCorrupt, format!("a decision about {run}: {error}")))
    }

    /// The run that takes this one back in the job's own way.
    pub(super) async fn compensation_of(self, run: RunNumber) -> Result<Option<RunRecord>, Problem> {
        match self {
            Self::Store(store) => store.compensation_of(run).await.map_err(problem::store),
            Self::Remote(client) => client.compensation_of(run).await,
        }
    }
}

impl Books<'_> {
    /// How switches stand.
    pub(super) async fn switches(self) -> Result<Switches, Problem> {
        match self {
            Self::Store(store) => store.switches().await.map_err(problem::store),
            Self::Remote(client) => client.switches().await,
        }
    }

    /// Throws a switch or puts it back, for `expires_in` as it was typed.
    pub(super) async fn throw(self, switch: Switch, expires_in: Option<&str>) -> Result<ThrownBody, Problem> {
        match self {
            Self::Store(store) => {
                let (epoch, taken_back) = halt::throw(store, &switch).await?;
                Ok(ThrownBody::new(epoch, &taken_back))
            }
            Self::Remote(client) => client.throw(&switch, expires_in).await,
        }
    }

    /// Rollouts, the newest first.
    pub(super) async fn rollouts(self) -> Result<RolloutsBody, Problem> {
        match self {
            Self::Store(store) => rollout::list(store).await,
            Self::Remote(client) => client.rollouts().await,
        }
    }

    /// A rollout.
    pub(super) async fn rollout(self, number: u64) -> Result<RolloutBody, Problem> {
        match self {
            Self::Store(store) => rollout::show(store, RolloutNumber::new(number)).await,
            Self::Remote(client) => client.rollout(number).await,
        }
    }

    /// Moves a rollout as a person wants.
    pub(super) async fn move_rollout(
        self,
        number: u64,
        what: Move,
        reason: &str,
        by: &str,
    ) -> Result<RolloutBody, Problem> {
        match self {
            Self::Store(store) => rollout::step(store, RolloutNumber::new(number), what.event(), (by, reason)).await,
            Self::Remote(client) => client.move_rollout(number, what.word(), reason).await,
        }
    }

    /// Calls a run off.
    pub(super) async fn cancel(self, run: RunNumber, reason: &str, by: &str) -> Result<RunRecord, Problem> {
        match self {
            Self::Store(store) => halt::cancel(store, run, reason, by).await,
            Self::Remote(client) => client.cancel(run, reason).await,
        }
    }

    /// The host, the switches, how the audit log of this configuration stands, and what is not settled.
    pub(super) async fn status(self, audit: &Audit) -> Result<StatusBody, Problem> {
        match self {
            Self::Store(store) => {
                let runs = store.unsettled(RUNS_MAX + 1).await.map_err(problem::store)?;
                let switches = store.switches().await.map_err(problem::store)?;
                let found = store.audit_status().await.map_err(problem::store)?;
                let audit = standing(audit, &found, &Pauses::default());
                Ok(StatusBody::new(None, (&switches).into(), audit, &runs))
            }
            Self::Remote(client) => client.status().await,
        }
    }

    /// What happened to a run and happens, until nobody works on it.
    pub(super) async fn watch(self, run: RunNumber, told: impl Fn(&RunEvent)) -> Result<RunRecord, Problem> {
        let client = match self {
            Self::Store(store) => return watch(store, run, told).await,
            Self::Remote(client) => client,
        };
        let mut watch = client.watch(run).await?;
        loop {
            match watch.next().await? {
                Some(Seen::Step(event)) => told(&event),
                Some(Seen::Settled(run)) => return Ok(*run),
                None => {
                    let message = format!("the host was stopped while {run} was watched");
                    return Err(Problem::new(Code::HostStopping, message)
                        .next(format!("mendwright run watch {}", run.get()), "goes on"));
                }
            }
        }
    }
}

async fn watch(store: &Store, run: RunNumber, told: impl Fn(&RunEvent)) -> Result<RunRecord, Problem> {
    let mut seen = 0;
    loop {
        // The run first: what happened until it was settled is then among the events.
        let record = store.run(run).await.map_err(problem::store)?;
        let events = store.events(run).await.map_err(problem::store)?;
        for event in events {
            if event.seq <= seen {
                continue;
            }
            told(&event);
            seen = event.seq;
        }
        if record.asked.is_none() && !record.state.is_in_flight() {
            return Ok(record);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Door {
    pub(super) const fn books(&self) -> Books<'_> {
        match self {
            Self::Local(host) => Books::Store(host.store()),
            Self::Remote(client, _) => Books::Remote(client),
        }
    }

    pub(super) const fn config(&self) -> &Config {
        match self {
            Self::Local(host) => host.config(),
            Self::Remote(_, config) => config,
        }
    }

    pub(super) fn now_us(&self) -> i64 {
        time::now_us()
    }

    /// A dry run.
    pub(super) async fn plan(&self, request: PlanRequest) -> Result<RunRecord, Problem> {
        match self {
            Self::Local(host) => host.plan(request).await,
            Self::Remote(client, _) => client.plan(&request).await,
        }
    }

    /// Applies a plan. `glass` is why the glass is broken for it.
    pub(super) async fn apply(
        &self,
        run: RunNumber,
        confirm: &str,
        (by, glass): (&str, Option<&str>),
    ) -> Result<Applied, Problem> {
        match (self, glass) {
            (Self::Local(host), None) => host.apply(run, confirm, by).await,
            (Self::Local(host), Some(reason)) => host.apply_breaking(run, confirm, by, reason).await,
            (Self::Remote(client, _), glass) => client.apply(run, confirm, glass).await,
        }
    }

    /// What undoing a run would restore, and what policy would answer to `by` who did it.
    pub(super) async fn undo_preview(&self, run: RunNumber, by: &str) -> Result<UndoBody, Problem> {
        match self {
            Self::Local(host) => {
                let (run, found) = host.undo_preview(run).await?;
                let answer = host.undo_answer(&run, &found, by).await?;
                Ok(UndoBody::new(&run, &found, answer))
            }
            Self::Remote(client, _) => client.undo_preview(run).await,
        }
    }

    /// Undoes a run.
    pub(super) async fn undo(&self, run: RunNumber, confirm: &str, by: &str) -> Result<Undone, Problem> {
        match self {
            Self::Local(host) => host.undo(run, confirm, by).await,
            Self::Remote(client, _) => client.undo(run, confirm).await,
        }
    }
}
