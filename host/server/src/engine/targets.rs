//! The configuration's databases as the gateway's targets.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mendwright_gateway::Target;

use super::problem;
use crate::config::env::Env;
use crate::config::url::Location;
use crate::config::{Config, model::Database};
use crate::view::problem::Problem;

/// The targets that a host has used. Each is kept: flushes to a SQLite target share its connection and
/// their transactions.
pub(super) struct Targets {
    kept: Mutex<BTreeMap<String, Target>>,
    /// Idle connections of each.
    idle_max: usize,
}

/// Idle connections to one target that a running host keeps: what its tasks use at a time, about.
pub(super) const IDLE_MAX: usize = 16;

impl Targets {
    pub(super) fn new(idle_max: usize) -> Self {
        Self { kept: Mutex::default(), idle_max }
    }

    /// The target of a database, as [`target`] builds it.
    pub(super) fn get(&self, config: &Config, env: &Env, name: &str) -> Result<Target, Problem> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = kept.get(name) {
            return Ok(target.clone());
        }
        let target = target(config, env, name)?.with_pool(self.idle_max);
        kept.insert(name.to_owned(), target.clone());
        Ok(target)
    }
}

/// The target of one database.
///
/// # Errors
/// There is no such database, or a variable of its URL is not set.
pub fn target(config: &Config, env: &Env, name: &str) -> Result<Target, Problem> {
    let database = config.database(name).map_err(problem::diagnostic)?;
    build(database, env)
}

/// The targets of these databases. One whose variables are not set is an error only if it is named.
///
/// # Errors
/// As [`target`].
pub fn targets<'a>(
    config: &Config,
    env: &Env,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, Target>, Problem> {
    names.into_iter().map(|name| Ok((name.to_owned(), target(config, env, name)?))).collect()
}

fn build(database: &Database, env: &Env) -> Result<Target, Problem> {
    let connection = database.connection(env).map_err(problem::diagnostic)?;
    let url = |location: &Location| match location {
        Location::Sqlite(path) => format!("sqlite:{}", path.display()),
        Location::Postgres(secret) => secret.expose().to_owned(),
    };
    let mut target = Target::new(&database.name, url(&connection.write))
        .map_err(|error| problem::gateway(&error))?
        .with_read_url(connection.read.as_ref().map(url));
    target.lock_timeout = database.lock_timeout;
    target.statement_timeout = database.statement_timeout;
    target.dry_run_lock_max = database.dry_run_lock_max;
    target.schema.clone_from(&database.journal.schema);
    target.keep = database.journal.keep;
    Ok(target)
}
