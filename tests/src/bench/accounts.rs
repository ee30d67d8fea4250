//! One table of a tenant's accounts, bound as an operator would bind it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use mendwright_core::authority::{Allow, Authority, Grant, Request, decide};
use mendwright_core::binding::{Column, Resource, Tenancy};
use mendwright_core::change::{Action, Key};
use mendwright_core::class::Class;
use mendwright_core::plan::Digest;
use mendwright_core::port::{RowChange, Tables as _};
use mendwright_core::value::Value;
use mendwright_gateway::repair::{Context, MacKey};
use mendwright_gateway::{Computed, Engine, Gate, Session};

use super::database::{Database, series};
use super::unlimited;

/// Rows of one call of a job; what the SDK buffers.
const BATCH: usize = 500;

/// A database with one table of accounts.
pub struct Accounts {
    database: Database,
    resources: BTreeMap<String, Resource>,
    authority: Authority,
    runs: u64,
}

impl Accounts {
    /// `rows` accounts of one tenant, and as many staged new totals for the rival.
    ///
    /// # Errors
    /// The database cannot be made.
    pub async fn new(engine: Engine, rows: usize) -> Result<Self> {
        let mut database = Database::new(engine).await?;
        database.target.statement_timeout = Duration::from_secs(600);
        let series = series(engine, rows);
        database
            .sql(&format!(
                "CREATE TABLE account (id INTEGER NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, total NUMERIC(12,2) NOT NULL, note TEXT);
                 CREATE TABLE staged (id INTEGER NOT NULL PRIMARY KEY, total NUMERIC(12,2) NOT NULL);
                 CREATE TABLE saved (id INTEGER NOT NULL, total NUMERIC(12,2) NOT NULL);
                 INSERT INTO account SELECT * FROM ({series} SELECT n, 'acme', n + 0.25, 'account number ' || n FROM s) AS a;
                 INSERT INTO staged SELECT id, total FROM account;"
            ))
            .await?;
        database.init().await?;
        Ok(Self { database, resources: resources(), authority: authority()?, runs: 0 })
    }

    /// Runs statements as the rival, or to set things up.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sql(&self, sql: &str) -> Result<()> {
        self.database.sql(sql).await
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
        let targets = [("bench".to_owned(), self.database.target.clone())].into();
        let meter = Arc::new(unlimited());
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

    /// A plan of one tenant's: one total becomes another.
    ///
    /// # Errors
    /// What the gateway says.
    pub async fn plan_one(&self, tenant: &str, id: i64) -> Result<Computed> {
        let targets = [("bench".to_owned(), self.database.target.clone())].into();
        let mut session =
            Session::open(&targets, &self.resources, &self.authority, tenant, Arc::new(unlimited())).await?;
        let cells = vec![("total".to_owned(), Value::Decimal("0.5".parse()?))];
        let row = RowChange { key: Key(vec![Value::Integer(id)]), cells, reason: "bench".to_owned() };
        session.update("accounts", vec![row]).await?;
        Ok(session.finish().await?)
    }

    /// The flush of a plan, journaled and fenced.
    ///
    /// # Errors
    /// What the gateway says.
    pub async fn apply(&self, computed: Computed) -> Result<u64> {
        self.apply_as("acme", &format!("run_bench_{}", self.runs), computed).await
    }

    /// The same for a tenant's run.
    ///
    /// # Errors
    /// What the gateway says.
    pub async fn apply_as(&self, tenant: &str, run: &str, computed: Computed) -> Result<u64> {
        let key = MacKey([1; 32]);
        let context = Context {
            target: &self.database.target,
            resources: &self.resources,
            tenant,
            run,
            attempt: 1,
            key: &key,
            gate: &Gate::open(),
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
