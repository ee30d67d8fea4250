//! Where a command goes: to the running host, or, where none runs, into the configured store itself. What
//! comes back is the same, in the engine's own types; so is what is printed.

use mendwright_core::plan::document::Document;
use mendwright_store::{ChangeFilter, LogLine, RunEvent, RunFilter, RunNumber, RunRecord, Store, StoredChange};

use crate::api::act::UndoBody;
use crate::api::run::ListedBody;
use crate::cli::problem;
use crate::client::Client;
use crate::config::Config;
use crate::engine::{Applied, Host, PlanRequest, Undone, look, time};
use crate::view::problem::Problem;

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

    /// The run that takes this one back in the job's own way.
    pub(super) async fn compensation_of(self, run: RunNumber) -> Result<Option<RunRecord>, Problem> {
        match self {
            Self::Store(store) => store.compensation_of(run).await.map_err(problem::store),
            Self::Remote(client) => client.compensation_of(run).await,
        }
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

    /// Applies a plan.
    pub(super) async fn apply(&self, run: RunNumber, confirm: &str, by: &str) -> Result<Applied, Problem> {
        match self {
            Self::Local(host) => host.apply(run, confirm, by).await,
            Self::Remote(client, _) => client.apply(run, confirm).await,
        }
    }

    /// What undoing a run would restore.
    pub(super) async fn undo_preview(&self, run: RunNumber) -> Result<UndoBody, Problem> {
        match self {
            Self::Local(host) => host.undo_preview(run).await.map(|(run, found)| UndoBody::new(&run, &found)),
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
