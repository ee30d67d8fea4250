//! A database that runs read and change.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use crate::adapters::sql::engine::Engine;
use crate::adapters::sql::flush::shared::Writer;
use crate::adapters::sql::pool::Pool;
use crate::adapters::sql::session::seen::Seen;
use crate::error::{Error, Result};
use mendwright_core::code::Code;

/// SQLite connections that walk scans. A job rarely walks more than parent and child at once.
const WALKERS: usize = 4;

/// How to reach one `[database.NAME]` and how to behave there. Flushes to a SQLite target and its clones
/// share transactions: a host keeps one target of each database.
#[derive(Clone)]
pub struct Target {
    /// `[database.NAME]`.
    pub name: String,
    /// Which engine.
    pub engine: Engine,
    /// Where runs write.
    pub(crate) url: String,
    /// Where dry runs read, if that is another role.
    pub(crate) read_url: Option<String>,
    /// Rather fail than make the application wait longer than this.
    pub lock_timeout: Duration,
    /// The longest a single statement may take.
    pub statement_timeout: Duration,
    /// The longest an application may wait for a dry run's snapshot or a rehearsal.
    pub dry_run_lock_max: Duration,
    /// PostgreSQL: the schema of our own tables.
    pub schema: String,
    /// How long a run can be undone.
    pub keep: Duration,
    /// SQLite: the connection that flushes to a target and its clones share, and their transactions.
    pub(crate) writer: Writer,
    /// The journal has nothing that is due, as far as this host looked, until this moment.
    pub(crate) is_pruned_until_us: Arc<AtomicI64>,
    /// Connections that wait for their next use.
    pub(crate) pool: Pool,
    /// What was found of the tables.
    pub(crate) seen: Seen,
    /// SQLite: scans that a dry run walks at a time; a further one is read to its end when it opens.
    pub(crate) walkers: usize,
}

impl Target {
    /// A target with the defaults of the configuration.
    ///
    /// # Errors
    /// `ERR_CONFIG_VALUE` for a URL that is neither SQLite's nor PostgreSQL's.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Result<Self> {
        let (name, url) = (name.into(), url.into());
        let engine = Engine::of_url(&url).ok_or_else(|| {
            Error::refused(Code::ConfigValue, format!("`database.{name}.url` must begin with `sqlite:` or `postgres:`"))
        })?;
        Ok(Self {
            name,
            engine,
            url,
            read_url: None,
            lock_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(30),
            dry_run_lock_max: Duration::from_millis(500),
            schema: "mendwright".to_owned(),
            keep: Duration::from_secs(30 * 24 * 3_600),
            writer: Writer::default(),
            is_pruned_until_us: Arc::default(),
            pool: Pool::default(),
            seen: Seen::default(),
            walkers: WALKERS,
        })
    }

    /// What was committed before this moment can no longer be undone, in microseconds since 1970.
    pub(crate) fn kept_since_us(&self, now_us: i64) -> i64 {
        now_us.saturating_sub(i64::try_from(self.keep.as_micros()).unwrap_or(i64::MAX))
    }

    /// Keeps so many idle connections, for a host that runs for long.
    #[must_use]
    pub fn with_pool(mut self, n_idle_max: usize) -> Self {
        self.pool = Pool::of(n_idle_max);
        self
    }

    /// The same target for dry runs of which little is expected: on SQLite no scan is walked beside others.
    #[must_use]
    pub fn small(mut self) -> Self {
        self.walkers = 0;
        self
    }

    /// Dry runs connect here.
    #[must_use]
    pub fn with_read_url(mut self, url: Option<String>) -> Self {
        self.read_url = url;
        self
    }
}

/// Without the URLs: they may hold passwords.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).field("engine", &self.engine).finish_non_exhaustive()
    }
}
