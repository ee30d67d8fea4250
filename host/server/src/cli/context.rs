//! What every command gets: the options, the environment, where its words go; and what it may open.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mendwright_store::{RunRecord, Store};

use crate::cli::args::Global;
use crate::cli::door::{Door, Shelf};
use crate::cli::out::Out;
use crate::cli::problem;
use crate::client::Client;
use crate::config::{Config, Env, locate};
use crate::engine::audit::Opened;
use crate::engine::{Host, open_store, socket_path};
use crate::view::problem::Problem;
use mendwright_core::code::Code;

/// What a command works with.
pub(super) struct Context {
    pub(super) global: Global,
    pub(super) env: Env,
    pub(super) out: Out,
    /// Whether a target may be committing: then the first Control-C waits.
    committing: AtomicBool,
}

impl Context {
    pub(super) fn new(global: Global, env: Env) -> Self {
        let out = Out::new(&global, &env);
        Self { global, env, out, committing: AtomicBool::new(false) }
    }

    /// The configuration, read and checked.
    pub(super) fn config(&self) -> Result<Config, Problem> {
        let here = std::env::current_dir()
            .map_err(|error| Problem::new(Code::Io, format!("the working directory cannot be read: {error}")))?;
        self.config_from(&here)
    }

    fn config_from(&self, here: &Path) -> Result<Config, Problem> {
        let path = locate(self.global.config.as_deref(), &self.env, here).map_err(problem::diagnostic)?;
        Config::load(&path).map_err(problem::diagnostics)
    }

    /// Everything that runs need. What a dead process left half done is finished first.
    pub(super) async fn host(&self) -> Result<Host, Problem> {
        let host = Host::open(self.config()?, self.env.clone()).await?;
        for key in host.demo_keys() {
            let line = format!("A demo: {} can approve with the key {}\n", key.person, key.path.display());
            self.out.stderr(&line);
        }
        Ok(host)
    }

    /// The host that runs beside this configuration; `None` where none does, or nobody is to ask it.
    pub(super) async fn running(&self, config: &Config) -> Result<Option<Client>, Problem> {
        if self.global.no_host {
            return Ok(None);
        }
        Client::connect(&socket_path(config, &self.env)?).await
    }

    /// Whoever acts: the running host, or this process.
    pub(super) async fn door(&self) -> Result<Door, Problem> {
        let config = self.config()?;
        match self.running(&config).await? {
            Some(client) => Ok(Door::Remote(client, Box::new(config))),
            None => Ok(Door::Local(Box::new(Host::open(config, self.env.clone()).await?))),
        }
    }

    /// Whoever can be looked at: the running host, or the control store.
    pub(super) async fn shelf(&self, config: &Config) -> Result<Shelf, Problem> {
        match self.running(config).await? {
            Some(client) => Ok(Shelf::Remote(client)),
            None => Ok(Shelf::Store(Box::new(self.store(config).await?))),
        }
    }

    /// The control store alone, for commands that only look.
    pub(super) async fn store(&self, config: &Config) -> Result<Store, Problem> {
        open_store(config, &self.env).await
    }

    /// The audit log: the control store and the key that signs.
    pub(super) async fn audit(&self, config: &Config) -> Result<Opened, Problem> {
        Opened::open(config, &self.env).await
    }

    /// The run that a person means.
    pub(super) async fn find(&self, store: &Store, reference: &str) -> Result<RunRecord, Problem> {
        store.find(reference).await.map_err(problem::store)
    }

    /// Who types: `person:alice`.
    pub(super) fn person(&self) -> String {
        format!("person:{}", self.env.typist().as_deref().unwrap_or("unknown"))
    }

    /// From here on a target may be committing.
    pub(super) fn begin_commit(&self) {
        self.committing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_committing(&self) -> bool {
        self.committing.load(Ordering::Relaxed)
    }
}
