//! What the benches stand on: one table of a tenant's accounts, bound as an operator would bind it, and
//! ratios printed against a named rival of the same run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection as _};

use mendwright_core::authority::{Allow, Authority, Grant, Request, decide};
use mendwright_core::binding::{Column, Resource, Tenancy};
use mendwright_core::budget::{Budget, Meter, Metric};
use mendwright_core::change::{Action, Key};
use mendwright_core::class::Class;
use mendwright_core::id::Id;
use mendwright_core::plan::Digest;
use mendwright_core::port::{RowChange, Tables as _};
use mendwright_core::value::Value;
use mendwright_gateway::repair::{Context, MacKey};
use mendwright_gateway::{Computed, Engine, Init, Session, Target, init};

use crate::chinook::connect_sqlite;
use crate::postgres::{Cluster, Database, Durability};

/// Rows of one call of a job; what the SDK buffers.
const BATCH: usize = 500;

/// A database with one table of accounts.
pub struct Accounts {
    target: Target,
    resources: BTreeMap<String, Resource>,
    authority: Authority,
    runs: u64,
    _place: Place,
}

enum Place {
    Directory(tempfile::TempDir),
    Server { _cluster: Cluster, _database: Database },
}

impl Accounts {
    /// `rows` accounts of one tenant, and as many staged new totals for the rival.
    ///
    /// # Errors
    /// The database cannot be made.
    pub async fn new(engine: Engine, rows: usize) -> Result<Self> {
        let (url, place) = match engine {
            Engine::Sqlite => {
                let directory = tempfile::tempdir()?;
                let path = directory.path().join("accounts.db");
                std::fs::File::create(&path)?;
                (format!("sqlite:{}", path.display()), Place::Directory(directory))
            }
            Engine::Postgres => {
                let cluster = Cluster::start(Durability::Full)?;
                let database = cluster.empty_database("bench").await?;
                (database.url.clone(), Place::Server { _cluster: cluster, _database: database })
            }
        };
        let mut target = Target::new("bench", url)?;
        target.statement_timeout = Duration::from_secs(600);
        let accounts = Self { target, resources: resources(), authority: authority()?, runs: 0, _place: place };
        let series = match engine {
            Engine::Sqlite => {
                format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) ")
            }
            Engine::Postgres => format!("WITH s(n) AS (SELECT generate_series(1, {rows})) "),
        };
        let wal = if engine == Engine::Sqlite { "PRAGMA journal_mode = WAL;" } else { "" };
        accounts
            .sql(&format!(
                "{wal} CREATE TABLE account (id INTEGER NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, total NUMERIC(12,2) NOT NULL, note TEXT);
                 CREATE TABLE staged (id INTEGER NOT NULL PRIMARY KEY, total NUMERIC(12,2) NOT NULL);
                 CREATE TABLE saved (id INTEGER NOT NULL, total NUMERIC(12,2) NOT NULL);
                 INSERT INTO account SELECT * FROM ({series} SELECT n, 'acme', n + 0.25, 'account number ' || n FROM s) AS a;
                 INSERT INTO staged SELECT id, total FROM account;"
            ))
            .await?;
        let options =
            Init { switch_to_wal: false, identity: Id::from_time(1, [7; 10]), role: None, tables: Vec::new() };
        init(&accounts.target, &options).await?;
        Ok(accounts)
    }

    /// Runs statements as the rival, or to set things up.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sql(&self, sql: &str) -> Result<()> {
        match self.target.engine {
            Engine::Sqlite => {
                let Place::Directory(directory) = &self._place else { return Ok(()) };
                let mut connection = connect_sqlite(&directory.path().join("accounts.db")).await?;
                // As durable as what it is compared with.
                sqlx::raw_sql("PRAGMA synchronous = FULL").execute(&mut connection).await?;
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
                connection.close().await?;
            }
            Engine::Postgres => {
                let Place::Server { _database: database, .. } = &self._place else { return Ok(()) };
                let mut connection = database.connect().await?;
                sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }

    /// Gives the rival other values to set; not counted as its work.
    #[must_use]
    pub fn stage(n: usize) -> String {
        format!("UPDATE staged SET total = total + 1 WHERE id <= {n}")
    }

    /// The rival: one set-based UPDATE of the first `n` rows that saves its before-images, in one
    /// transaction, from new values that are already in the database.
    #[must_use]
    pub fn rival(n: usize) -> String {
        format!(
            "BEGIN;
             INSERT INTO saved SELECT a.id, a.total FROM account a JOIN staged s ON s.id = a.id WHERE a.id <= {n} AND a.tenant = 'acme';
             UPDATE account SET total = s.total FROM staged s WHERE s.id = account.id AND account.id <= {n} AND account.tenant = 'acme';
             COMMIT"
        )
    }

    /// A plan: the first `n` totals become another.
    ///
    /// # Errors
    /// What the gateway says.
    pub async fn plan(&mut self, n: usize) -> Result<Computed> {
        self.runs += 1;
        let limits = [
            (Metric::RowsChanged, 10_000_000),
            (Metric::HostMemory, u64::MAX),
            (Metric::BytesChanged, u64::MAX),
            (Metric::DatabaseTime, 600_000),
        ];
        let meter = Arc::new(Meter::new(Budget { limits: limits.into(), share_changed: None }));
        let targets = [("bench".to_owned(), self.target.clone())].into();
        let mut session = Session::open(&targets, &self.resources, &self.authority, "acme", meter).await?;
        let value = Value::Decimal(format!("{}.75", self.runs).parse()?);
        let ids: Vec<i64> = (1..=i64::try_from(n)?).collect();
        for batch in ids.chunks(BATCH) {
            let rows = batch.iter().map(|id| RowChange {
                key: Key(vec![Value::Integer(*id)]),
                cells: vec![("total".to_owned(), value.clone())],
                reason: "bench".to_owned(),
            });
            session.update("accounts", rows.collect()).await?;
        }
        Ok(session.finish().await?)
    }

    /// The flush of a plan, journaled and fenced.
    ///
    /// # Errors
    /// What the gateway says.
    pub async fn apply(&self, computed: Computed) -> Result<u64> {
        let run = format!("run_bench_{}", self.runs);
        let key = MacKey([1; 32]);
        let context = Context {
            target: &self.target,
            resources: &self.resources,
            tenant: "acme",
            run: &run,
            key: &key,
            now_us: 1,
        };
        Ok(computed.apply(context, Digest::of(run.as_bytes())).await?.changes)
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn resources() -> BTreeMap<String, Resource> {
    let column = |name: &str| Column { column: name.to_owned(), ..Column::default() };
    let names = ["id", "tenant", "total"];
    let resource = Resource {
        name: "accounts".into(),
        database: "bench".into(),
        schema: None,
        table: "account".into(),
        key: vec!["id".into()],
        tenancy: Tenancy::Column("tenant".into()),
        class: Class::Ordinary,
        module: None,
        columns: names.iter().map(|name| ((*name).to_owned(), column(name))).collect(),
        triggers: BTreeMap::new(),
        cascades: BTreeSet::new(),
        stable_reads: None,
        guest_keys: false,
    };
    [("accounts".to_owned(), resource)].into()
}

fn authority() -> Result<Authority> {
    let request = Request {
        read: set(&["id", "total"]),
        write: set(&["total"]),
        operations: [Action::Update].into(),
        ..Request::default()
    };
    let allow =
        Allow { read: request.read.clone(), write: request.write.clone(), operations: request.operations.clone() };
    let grant = Grant { name: "bench".into(), bind: BTreeMap::new(), allow: [("accounts".to_owned(), allow)].into() };
    Ok(decide(&[("accounts".to_owned(), request)].into(), &[grant])?)
}

/// The median of some durations.
#[must_use]
pub fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}

/// `name  12.3 ms  vs rival  4.5 ms  ratio 2.7  (aim ≤ 3)`.
#[must_use]
pub fn ratio(name: &str, own: Duration, rival: &str, other: Duration, aim: &str) -> String {
    let ms = |d: Duration| d.as_secs_f64() * 1_000.0;
    format!(
        "{name:<44} {:>10.2} ms   {rival:<34} {:>10.2} ms   ratio {:>5.2}   {aim}",
        ms(own),
        ms(other),
        ms(own) / ms(other).max(1e-9)
    )
}
