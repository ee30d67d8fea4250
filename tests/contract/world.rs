//! A configuration, a control store, jobs and a target database of one test, all in one temporary
//! directory or in a database of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mendwright::config::Config;
use mendwright::config::env::Env;
use mendwright::engine::{Applied, Host, PlanRequest};
use mendwright::view::problem::Problem;
use mendwright_core::approval::{Ballot, Subject, Verb};
use mendwright_core::code::Code;
use mendwright_core::key::SecretKey;
use mendwright_core::plan::BoundChange;
use mendwright_core::policy::Effect;
use mendwright_core::run::State;
use mendwright_store::{ChangeFilter, RunNumber, RunRecord};
use mendwright_tests::chinook::{Journal, SqliteFile};
use mendwright_tests::dump::{Dump, Scope};
use mendwright_tests::postgres::{Cluster, Database};
use mendwright_tests::{guests, workspace_root};
use sqlx::{AssertSqlSafe, Row as _};
use tempfile::TempDir;

/// Which engine a world's target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Both, for tests that run on each.
pub(crate) const ENGINES: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

enum Target {
    Sqlite(PathBuf),
    Postgres(Database),
}

/// One connection of the application, for transactions that stay open.
pub(crate) enum App {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl App {
    /// Runs statements.
    pub(crate) async fn run(&mut self, sql: &str) {
        self.try_run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs statements that may fail.
    pub(crate) async fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(app) => sqlx::raw_sql(sql).execute(app).await.map(drop),
            Self::Postgres(app) => sqlx::raw_sql(sql).execute(app).await.map(drop),
        }
    }

    /// The first column of the first row as text; `NULL` for none.
    pub(crate) async fn value(&mut self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        let text = match self {
            Self::Sqlite(app) => {
                let row = sqlx::query(sql).fetch_optional(app).await.unwrap();
                row.and_then(|row| row.try_get_unchecked::<Option<String>, _>(0).unwrap())
            }
            Self::Postgres(app) => {
                let row = sqlx::query(sql).fetch_optional(app).await.unwrap();
                row.and_then(|row| row.try_get_unchecked::<Option<String>, _>(0).unwrap())
            }
        };
        text.unwrap_or_else(|| "NULL".to_owned())
    }
}

/// Everything that one test stands on.
pub(crate) struct World {
    pub(crate) engine: Engine,
    directory: TempDir,
    target: Target,
    /// What follows `[database.target]` in the configuration.
    pub(crate) bindings: String,
    /// Keys of `[database.target]` besides the URL.
    pub(crate) database_keys: String,
}

/// Chinook's two tables, bound as the examples bind them, and a grant for reconciling.
pub(crate) fn chinook_bindings(engine: Engine) -> String {
    let name = |sqlite: &'static str, postgres: &'static str| match engine {
        Engine::Sqlite => sqlite,
        Engine::Postgres => postgres,
    };
    format!(
        r#"
[resource.invoices]
adapter = "sql"
database = "target"
table = "{invoice}"
key = ["id"]
tenant = {{ column = "country" }}
class = "ledger"

[resource.invoices.columns]
id = "{invoice_id}"
customer = "{customer_id}"
country = "{country}"
date = {{ column = "{date}", type = "timestamp" }}
total = {{ column = "{total}", type = "decimal(10,2)", currency = "USD" }}
address = {{ column = "{address}", sensitive = true }}

[resource.invoice_lines]
adapter = "sql"
database = "target"
table = "{line}"
key = ["id"]
tenant = {{ through = "invoices", on = {{ invoice_id = "id" }} }}
class = "ledger"

[resource.invoice_lines.columns]
id = "{line_id}"
invoice_id = "{line_invoice}"
track = "{track}"
unit_price = {{ column = "{price}", type = "decimal(10,2)", currency = "USD" }}
quantity = {{ column = "{quantity}", type = "integer" }}

[grant.reconcile]
job = "reconcile_invoices@^1"
tenants = ["Germany", "France", "Portugal"]
allow.invoices = {{ read = ["id", "total"], write = ["total"], operations = ["update"] }}
allow.invoice_lines = {{ read = ["id", "invoice_id", "track", "unit_price", "quantity"] }}
"#,
        invoice = name("Invoice", "invoice"),
        invoice_id = name("InvoiceId", "invoice_id"),
        customer_id = name("CustomerId", "customer_id"),
        country = name("BillingCountry", "billing_country"),
        date = name("InvoiceDate", "invoice_date"),
        total = name("Total", "total"),
        address = name("BillingAddress", "billing_address"),
        line = name("InvoiceLine", "invoice_line"),
        line_id = name("InvoiceLineId", "invoice_line_id"),
        line_invoice = name("InvoiceId", "invoice_id"),
        track = name("TrackId", "track_id"),
        price = name("UnitPrice", "unit_price"),
        quantity = name("Quantity", "quantity"),
    )
}

impl World {
    /// A whole copy of Chinook, initialised.
    pub(crate) async fn chinook(engine: Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let target = match engine {
            Engine::Sqlite => {
                let path = directory.path().join("target.db");
                mendwright_tests::chinook::write_sqlite(&path, Journal::Wal).await.unwrap();
                Target::Sqlite(path)
            }
            Engine::Postgres => Target::Postgres(Cluster::shared().database("chinook").await.unwrap()),
        };
        let world =
            Self { engine, directory, target, bindings: chinook_bindings(engine), database_keys: String::new() };
        world.init().await;
        world
    }

    /// A database made by these statements, bound by this part of a configuration, initialised.
    pub(crate) async fn of(engine: Engine, schema: &str, bindings: &str) -> Self {
        match engine {
            Engine::Sqlite => Self::of_database(None, schema, bindings).await,
            Engine::Postgres => {
                let database = Cluster::shared().empty_database("world").await.unwrap();
                Self::of_database(Some(database), schema, bindings).await
            }
        }
    }

    /// The same in this database of a server, or in a file.
    pub(crate) async fn of_database(server: Option<Database>, schema: &str, bindings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (engine, target) = match server {
            None => {
                let path = directory.path().join("target.db");
                let file = SqliteFile::new(Journal::Wal).await.unwrap();
                drop(file);
                let options = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(&path)
                    .create_if_missing(true)
                    .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
                drop(sqlx::ConnectOptions::connect(&options).await.unwrap());
                (Engine::Sqlite, Target::Sqlite(path))
            }
            Some(database) => (Engine::Postgres, Target::Postgres(database)),
        };
        let world = Self { engine, directory, target, bindings: bindings.to_owned(), database_keys: String::new() };
        world.sql(schema).await;
        world.init().await;
        world
    }

    /// A copy as it is now, in another directory and, on a server, with another database. Nobody may have
    /// it open.
    pub(crate) fn copy(&self, server: Option<Database>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy_all(self.directory.path(), directory.path());
        let target = server.map_or_else(|| Target::Sqlite(directory.path().join("target.db")), Target::Postgres);
        let (bindings, database_keys) = (self.bindings.clone(), self.database_keys.clone());
        Self { engine: self.engine, directory, target, bindings, database_keys }
    }

    async fn init(&self) {
        let config = self.config();
        let target = mendwright::engine::target(&config, &self.env(), "target").unwrap();
        let options = mendwright_gateway::Init {
            switch_to_wal: false,
            identity: mendwright_core::id::Id::from_time(1, self.random()),
            role: None,
            tables: vec![],
        };
        mendwright_gateway::init(&target, &options).await.unwrap();
    }

    fn random(&self) -> [u8; 10] {
        let name = self.directory.path().to_string_lossy().into_owned();
        let digest = mendwright_core::plan::Digest::of(name.as_bytes());
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&digest.0[..10]);
        bytes
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    pub(crate) fn url(&self) -> String {
        match &self.target {
            Target::Sqlite(path) => format!("sqlite:{}", path.display()),
            Target::Postgres(database) => database.url.clone(),
        }
    }

    pub(crate) fn env(&self) -> Env {
        Env::of([("TARGET_URL", self.url().as_str())])
    }

    pub(crate) fn config_text(&self) -> String {
        let url = match &self.target {
            Target::Sqlite(_) => "\"sqlite:target.db\"".to_owned(),
            Target::Postgres(_) => "{ env = \"TARGET_URL\" }".to_owned(),
        };
        format!(
            "version = 1\nenvironment = \"demo\"\n[control]\nurl = \"sqlite:control.db\"\n[jobs]\npath = \"jobs\"\n\
             [database.target]\nurl = {url}\n{}\n{}",
            self.database_keys, self.bindings
        )
    }

    /// The configuration as it stands now, written to its file and read back.
    pub(crate) fn config(&self) -> Config {
        let path = self.directory.path().join("mendwright.toml");
        std::fs::write(&path, self.config_text()).unwrap();
        Config::load(&path).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) async fn host(&self) -> Host {
        Host::open(self.config(), self.env()).await.unwrap_or_else(|problem| panic!("{problem:?}"))
    }

    /// A host of the same configuration with another control store, or another way to the target.
    pub(crate) async fn other_host(&self, control: &str, url: &str) -> Host {
        let path = self.directory.path().join(format!("{control}.toml"));
        let text = self.config_text().replace("sqlite:control.db", &format!("sqlite:{control}.db"));
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        Host::open(config, Env::of([("TARGET_URL", url)])).await.unwrap_or_else(|problem| panic!("{problem:?}"))
    }

    /// A connection as the application has it.
    pub(crate) async fn app(&self) -> App {
        match &self.target {
            Target::Sqlite(path) => App::Sqlite(mendwright_tests::chinook::connect_sqlite(path).await.unwrap()),
            Target::Postgres(database) => App::Postgres(database.connect().await.unwrap()),
        }
    }

    /// Puts one of the project's jobs into the world's jobs directory.
    pub(crate) fn install(&self, job: &str) -> &Self {
        let from = workspace_root().join("jobs").join(job);
        let manifest = std::fs::read_to_string(from.join("job.toml")).unwrap();
        let schema = std::fs::read_to_string(from.join("params.schema.json")).ok();
        self.install_as(job, &manifest, schema.as_deref(), guests::component(job))
    }

    /// Puts the hostile guest there under a manifest with these requests.
    pub(crate) fn install_hostile(&self, requests: &str) -> &Self {
        self.install_hostile_as("", requests)
    }

    /// The same, with more lines at the top of the manifest or in its tables.
    pub(crate) fn install_hostile_as(&self, head: &str, requests: &str) -> &Self {
        let level = if head.contains("level") { "" } else { "level = 1\n" };
        let manifest = format!(
            "name = \"hostile\"\nversion = \"1.0.0\"\nsummary = \"Attacks.\"\nwit = \"mendwright:repair@0.1.0\"\n\
             category = \"DATA\"\n{level}{head}\n{requests}\n[finding.flood]\nseverity = \"info\"\nhelp = \"-\"\n"
        );
        self.install_as("hostile", &manifest, Some("{\"type\": \"object\"}"), guests::component("hostile"))
    }

    pub(crate) fn install_as(&self, name: &str, manifest: &str, schema: Option<&str>, component: &[u8]) -> &Self {
        let to = self.directory.path().join("jobs").join(name);
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(to.join("job.toml"), manifest).unwrap();
        if let Some(schema) = schema {
            std::fs::write(to.join("params.schema.json"), schema).unwrap();
        }
        std::fs::write(to.join(format!("{name}.wasm")), component).unwrap();
        self
    }

    /// Runs statements as the application would.
    pub(crate) async fn sql(&self, sql: &str) {
        self.app().await.run(sql).await;
    }

    /// The first column of the first row as text; `NULL` for none.
    pub(crate) async fn value(&self, sql: &str) -> String {
        self.app().await.value(sql).await
    }

    /// Everything of the application's in the target.
    pub(crate) async fn dump(&self) -> Dump {
        match &self.target {
            Target::Sqlite(path) => Dump::of_sqlite(path, Scope::Application).await.unwrap(),
            Target::Postgres(database) => Dump::of_postgres(&database.url, Scope::Application).await.unwrap(),
        }
    }

    /// Everything in the target, Mendwright's own tables too.
    pub(crate) async fn dump_everything(&self) -> Dump {
        match &self.target {
            Target::Sqlite(path) => Dump::of_sqlite(path, Scope::Everything).await.unwrap(),
            Target::Postgres(database) => Dump::of_postgres(&database.url, Scope::Everything).await.unwrap(),
        }
    }
}

/// Every file and directory, with the rights that they have.
fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, from, to) = (entry.file_type().unwrap(), entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_all(&from, &to);
            std::fs::set_permissions(&to, entry.metadata().unwrap().permissions()).unwrap();
        } else if kind.is_file() {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// A dry run of `job` for `tenant`.
pub(crate) fn request(job: &str, tenant: &str, params: serde_json::Value) -> PlanRequest {
    PlanRequest {
        job: job.to_owned(),
        tenant: tenant.to_owned(),
        params,
        only: vec![],
        requested_by: "person:alice".to_owned(),
        parent: None,
        compensates: None,
        progress: None,
    }
}

/// What the tests do with a host, in few words.
pub(crate) trait Short {
    /// Plans, and lets bob approve what waits for somebody's word: nothing but an apply is missing.
    async fn plan_of(&self, job: &str, tenant: &str, params: serde_json::Value) -> Result<RunRecord, Problem>;
    /// The same, of the hostile guest.
    async fn attack(&self, tenant: &str, params: serde_json::Value) -> Result<RunRecord, Problem>;
    /// Lets bob say yes to a plan that waits for somebody's word.
    async fn approve(&self, run: RunNumber) -> Result<(), Problem>;
    /// Lets bob say yes to the undo of a run, as it would be done now.
    async fn approve_undo(&self, run: RunNumber) -> Result<(), Problem>;
    async fn confirm(&self, run: &RunRecord) -> Result<Applied, Problem>;
    /// Undoes what can be undone; bob approves what takes somebody's word.
    async fn undo_all(&self, run: RunNumber) -> Result<mendwright::engine::Undone, Problem>;
    async fn changes(&self, run: RunNumber) -> Vec<BoundChange>;
    async fn log_of(&self, run: RunNumber) -> Vec<String>;
}

impl Short for Host {
    async fn plan_of(&self, job: &str, tenant: &str, params: serde_json::Value) -> Result<RunRecord, Problem> {
        let run = self.plan(request(job, tenant, params)).await?;
        self.approve(run.number).await?;
        Ok(self.store().run(run.number).await.unwrap())
    }

    async fn attack(&self, tenant: &str, params: serde_json::Value) -> Result<RunRecord, Problem> {
        self.plan_of("hostile", tenant, params).await
    }

    async fn approve(&self, run: RunNumber) -> Result<(), Problem> {
        if self.store().run(run).await.unwrap().state != State::AwaitingApproval {
            return Ok(());
        }
        bob_approves(self, run, Subject::Plan).await
    }

    async fn approve_undo(&self, run: RunNumber) -> Result<(), Problem> {
        bob_approves(self, run, Subject::Undo).await
    }

    async fn confirm(&self, run: &RunRecord) -> Result<Applied, Problem> {
        self.approve(run.number).await?;
        let digest = run.plan_digest.expect("a planned run has a digest").hex();
        self.apply(run.number, &digest[..16], "person:alice").await
    }

    async fn undo_all(&self, run: RunNumber) -> Result<mendwright::engine::Undone, Problem> {
        let (record, preview) = self.undo_preview(run).await?;
        if preview.restores() > 0
            && self.undo_answer(&record, &preview, "person:alice").await?.effect == Effect::NeedsApproval
        {
            self.approve_undo(run).await?;
        }
        self.undo(run, &preview.digest.hex()[..16], "person:alice").await
    }

    async fn changes(&self, run: RunNumber) -> Vec<BoundChange> {
        let stored = self.store().changes(run, &ChangeFilter::default(), 0, 10_000).await.unwrap();
        stored.into_iter().map(|stored| stored.change).collect()
    }

    async fn log_of(&self, run: RunNumber) -> Vec<String> {
        self.store().log(run).await.unwrap().into_iter().map(|line| line.text).collect()
    }
}

async fn bob_approves(host: &Host, run: RunNumber, about: Subject) -> Result<(), Problem> {
    let ballot = Ballot { verb: Verb::Approve, reason: None, lasts_us: 3_600_000_000 };
    let key = std::fs::read_to_string(host.demo_key("bob")).expect("the demo's second key");
    let envelope = host.ballot(run, &ballot, (&SecretKey::parse(key.trim()).unwrap(), about)).await?;
    host.vote(run, envelope.to_json().as_bytes()).await.map(drop)
}

/// The code of what must not have worked.
#[track_caller]
pub(crate) fn code<T>(result: Result<T, Problem>) -> Code {
    match result {
        Ok(_) => panic!("this must not work"),
        Err(problem) => problem.code,
    }
}

/// `resource key column=after …` of each change.
pub(crate) fn lines(changes: &[BoundChange]) -> Vec<String> {
    changes
        .iter()
        .map(|change| {
            let cells: BTreeMap<_, _> = change.after.iter().map(|(c, v)| (c.clone(), v.to_string())).collect();
            let cells: Vec<String> = cells.into_iter().map(|(c, v)| format!("{c}={v}")).collect();
            format!("{} {} {} {}", change.action, change.resource, change.key_text(), cells.join(" "))
        })
        .collect()
}

/// Whether there is a plan that nothing was done with yet.
pub(crate) fn is_ready(run: &RunRecord) -> bool {
    matches!(run.state, State::Planned | State::AwaitingApproval | State::Approved)
}
