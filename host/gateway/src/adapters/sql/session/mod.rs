//! One execution of a job against one snapshot: every call it makes is answered here.
//!
//! **Invariant**: a statement of this module is inside the tenant's scope, and none of them writes.
//!
//! - `table`: names and values checked against what the run may do;
//! - `keys`: rows by their keys; `read`: `get`; `scan`: `scan`; `merge`: what the overlay changes in it;
//! - `seen`: what tables came to before; `write`: the overlay's changes; `references`: where they may lead;
//! - `finish`: what is left in the overlay as net changes; `net`: one row of it.

mod finish;
mod keys;
mod merge;
mod net;
mod port;
mod read;
mod references;
mod scan;
pub(crate) mod seen;
mod table;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mendwright_core::authority::{Access, Authority};
use mendwright_core::binding::{Resolved, Resource};
use mendwright_core::budget::{Meter, Metric};
use mendwright_core::code::Code;
use mendwright_core::port::{Refusal, RefusalKind};
use mendwright_core::text::escape_short;

use super::computed::{ResourceUse, StableRead};
use super::install;
use super::overlay::Overlay;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::target::Target;

use finish::refused;
pub(crate) use finish::{declared, stored_columns};
pub(crate) use read::hash_row;
pub(crate) use references::count_statement;
use scan::OpenScan;
use table::{Table, refuse};

/// How many levels of referenced tables are looked up besides the granted ones.
const REFERENCES_DEPTH_MAX: usize = 8;

/// One execution of a job against one snapshot.
pub struct Session {
    tenant: String,
    meter: Arc<Meter>,
    sources: BTreeMap<String, Source>,
    tables: BTreeMap<String, Table>,
    /// Optional tables that this run does without.
    absent: BTreeSet<String>,
    /// Every resource that a statement may name, by the operator's name.
    resources: BTreeMap<String, Arc<Resolved>>,
    overlay: Overlay,
    scans: BTreeMap<u32, OpenScan>,
    scans_opened: u32,
    usage: BTreeMap<String, ResourceUse>,
    columns_read: BTreeMap<String, BTreeSet<String>>,
    /// Set by the first call that names a sensitive column, whatever comes of it.
    sensitive_used: Arc<AtomicBool>,
    stable_reads: Vec<StableRead>,
    database_us: u64,
}

/// A database of the run.
struct Source {
    target: Target,
    snapshot: Snapshot,
    identity: mendwright_core::plan::header::Target,
}

impl Session {
    /// Takes a snapshot of each database that the authority speaks of, and looks up everything in it
    /// that the run may use.
    ///
    /// # Errors
    /// Binding errors of the tables (see `resource check`), and whatever a database answers.
    pub async fn open(
        targets: &BTreeMap<String, Target>,
        resources: &BTreeMap<String, Resource>,
        authority: &Authority,
        tenant: &str,
        meter: Arc<Meter>,
    ) -> Result<Self> {
        let mut session = Self {
            tenant: tenant.to_owned(),
            meter,
            sources: BTreeMap::new(),
            tables: BTreeMap::new(),
            absent: authority.absent().clone(),
            resources: BTreeMap::new(),
            overlay: Overlay::default(),
            scans: BTreeMap::new(),
            scans_opened: 0,
            usage: BTreeMap::new(),
            columns_read: BTreeMap::new(),
            sensitive_used: Arc::default(),
            stable_reads: Vec::new(),
            database_us: 0,
        };
        for (_, access) in authority.tables() {
            let resource = resources.get(access.resource()).ok_or_else(|| unbound(access.resource()))?;
            session.open_source(targets, &resource.database).await?;
            session.resolve(resource, resources).await?;
        }
        session.resolve_referenced(authority, resources).await?;
        session.make_tables(authority)?;
        Ok(session)
    }

    async fn open_source(&mut self, targets: &BTreeMap<String, Target>, database: &str) -> Result<()> {
        if self.sources.contains_key(database) {
            return Ok(());
        }
        let target = targets
            .get(database)
            .ok_or_else(|| Error::refused(Code::DatabaseUnknown, format!("there is no database `{database}`")))?;
        let mut snapshot = Snapshot::open(target).await?;
        let found = install::identity(snapshot.connection(), target).await?;
        let identity = mendwright_core::plan::header::Target {
            database: database.to_owned(),
            engine: target.engine.word().to_owned(),
            identity: found.identity,
            name: found.name,
            system: found.system,
        };
        self.sources.insert(database.to_owned(), Source { target: target.clone(), snapshot, identity });
        Ok(())
    }

    async fn resolve(&mut self, resource: &Resource, all: &BTreeMap<String, Resource>) -> Result<()> {
        if self.resources.contains_key(&resource.name) {
            return Ok(());
        }
        let Some(source) = self.sources.get_mut(&resource.database) else { return Ok(()) };
        let resolved = source.snapshot.resolve(resource, all, &self.tenant).await?;
        self.resources.insert(resource.name.clone(), resolved);
        Ok(())
    }

    /// Looks up the tables that a written foreign key or a cascading delete leads to, as far as the
    /// operator bound them.
    async fn resolve_referenced(&mut self, authority: &Authority, all: &BTreeMap<String, Resource>) -> Result<()> {
        if !authority.tables().any(|(_, access)| access.is_writable()) {
            return Ok(());
        }
        for _ in 0..REFERENCES_DEPTH_MAX {
            let known: Vec<Arc<Resolved>> = self.resources.values().cloned().collect();
            let leads_to = |from: &Resolved, to: &Resource| {
                from.database == to.database
                    && (from.foreign_keys.iter().any(|key| key.table == to.table) || from.cascades.contains(&to.name))
            };
            let wanted: Vec<&Resource> = all
                .values()
                .filter(|candidate| !self.resources.contains_key(&candidate.name))
                .filter(|candidate| known.iter().any(|resolved| leads_to(resolved, candidate)))
                .collect();
            if wanted.is_empty() {
                break;
            }
            for resource in wanted {
                self.resolve(resource, all).await?;
            }
        }
        Ok(())
    }

    fn make_tables(&mut self, authority: &Authority) -> Result<()> {
        let mut columns: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, access) in authority.tables() {
            let all = columns.entry(access.resource().to_owned()).or_default();
            all.extend(access.readable().map(ToOwned::to_owned));
            if let Some(resolved) = self.resources.get(access.resource()) {
                all.extend(resolved.key.iter().cloned());
            }
        }
        for (name, access) in authority.tables() {
            let resolved = self.resources.get(access.resource()).cloned().ok_or_else(|| unbound(access.resource()))?;
            may_use(&resolved, access)?;
            let engine = self
                .sources
                .get(&resolved.database)
                .map(|source| source.target.engine)
                .ok_or_else(|| unbound(access.resource()))?;
            let own = columns.get(access.resource()).into_iter().flatten().cloned().collect();
            let names = Arc::new(resolved.columns.keys().cloned().collect());
            let table = Table { resolved, access: access.clone(), engine, columns: Arc::new(own), names };
            self.usage.entry(access.resource().to_owned()).or_default();
            self.tables.insert(name.to_owned(), table);
        }
        Ok(())
    }

    fn table(&self, name: &str) -> Result<Table, Refusal> {
        self.tables.get(name).cloned().ok_or_else(|| {
            refuse(
                RefusalKind::Denied,
                Code::TableDenied,
                format!("the job did not request table `{}`, or no grant allows it", escape_short(name, 60)),
            )
        })
    }

    /// The database of a resource.
    fn source(&mut self, table: &Table) -> Result<&mut Source, Refusal> {
        self.sources
            .get_mut(&table.resolved.database)
            .ok_or_else(|| refuse(RefusalKind::Unavailable, Code::Internal, "the table's database is not open"))
    }

    /// Counts the time since `started` as the database's.
    fn spend(&mut self, started: Instant) -> Result<(), Refusal> {
        self.database_us = self.database_us.saturating_add(micros(started.elapsed()));
        let ms = self.database_us / 1_000;
        self.meter.record(Metric::DatabaseTime, ms);
        if ms > self.meter.budget().limit(Metric::DatabaseTime) {
            return Err(self.meter.spent(Metric::DatabaseTime));
        }
        Ok(())
    }

    /// What a database may still do for this run in one statement.
    fn time_left(&self) -> Duration {
        let limit = self.meter.budget().limit(Metric::DatabaseTime).saturating_mul(1_000);
        Duration::from_micros(limit.saturating_sub(self.database_us).max(1_000))
    }

    /// Every granted table's resolved binding, by the operator's name.
    #[must_use]
    pub fn bindings(&self) -> BTreeMap<String, Arc<Resolved>> {
        self.tables.values().map(|table| (table.resolved.name.clone(), Arc::clone(&table.resolved))).collect()
    }

    /// The databases, as a plan binds them.
    #[must_use]
    pub fn identities(&self) -> Vec<mendwright_core::plan::header::Target> {
        self.sources.values().map(|source| source.identity.clone()).collect()
    }

    /// Whether a sensitive column was read, written, compared with, sorted by or part of a key that the
    /// job named: from then on whatever the job says could hold a sensitive value. Set while it runs.
    #[must_use]
    pub fn sensitive_used(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.sensitive_used)
    }

    /// Notes that the job named these columns of a table, or a row of it by its key.
    fn note_use<'a>(&self, table: &str, columns: impl IntoIterator<Item = &'a str>) {
        let Some(table) = self.tables.get(table) else { return };
        let sensitive = |name: &str| table.resolved.columns.get(name).is_some_and(|column| column.sensitive);
        // A column that the job may not name is refused, and nothing is learned of it.
        let used = |name: &str| sensitive(name) && (table.access.reads(name) || table.access.writes(name));
        if table.resolved.key.iter().any(|name| sensitive(name)) || columns.into_iter().any(used) {
            self.sensitive_used.store(true, Ordering::Relaxed);
        }
    }

    /// Why a snapshot was ended before the run was done, if one was: the application waited for it.
    #[must_use]
    pub fn ended(&self) -> Option<Error> {
        self.sources.values().find_map(|source| source.snapshot.ended())
    }

    /// Gives the snapshots up.
    pub async fn close(self) {
        for (_, source) in self.sources {
            source.snapshot.close().await;
        }
    }
}

/// Whether a run with this authority can be held on this table at all: said before anything runs.
fn may_use(resolved: &Resolved, access: &Access) -> Result<()> {
    if !access.is_writable() {
        return Ok(());
    }
    if let Some((code, message)) = resolved.write_refusals.first() {
        return Err(Error::refused(code.parse().unwrap_or(Code::SideEffect), message.clone()));
    }
    Ok(())
}

fn unbound(resource: &str) -> Error {
    Error::refused(Code::ResourceUnknown, format!("there is no resource `{resource}`"))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Now, for metering.
fn clock() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "measures how long a database works")]
    Instant::now()
}
