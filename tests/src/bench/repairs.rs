//! A running host with a job that is trusted, and clients that ask it for small repairs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use mendwright::config::Config;
use mendwright::config::env::Env;
use mendwright_gateway::{Engine, Init};

use crate::postgres::{Cluster, Database, Durability};
use crate::{guests, workspace_root};

/// Rows of one repair.
const ROWS: usize = 3;

/// Rows of each tenant: a repair changes the next three.
const ROWS_OF_TENANT: usize = 60;

/// How long anything here may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// The job: `patch_rows` by another name, as an operator would make it who wants it to go by itself.
const JOB: &str = "set_totals";

/// A host, its databases and its jobs.
pub struct House {
    pub(super) engine: Engine,
    pub(super) directory: tempfile::TempDir,
    pub(super) tenants: usize,
    host: Child,
    pub(super) server: Option<Server>,
}

pub(super) struct Server {
    _cluster: Cluster,
    pub(super) target: Database,
    control: Database,
}

impl House {
    /// Starts a host with as many tenants.
    ///
    /// # Errors
    /// There is no PostgreSQL, no disk, or no guest.
    pub async fn new(engine: Engine, tenants: usize) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let server = match engine {
            Engine::Sqlite => {
                std::fs::File::create(directory.path().join("target.db"))?;
                None
            }
            Engine::Postgres => {
                let cluster = Cluster::start(Durability::Full)?;
                let (target, control) =
                    (cluster.empty_database("target").await?, cluster.empty_database("control").await?);
                Some(Server { _cluster: cluster, target, control })
            }
        };
        make_tables(directory.path(), server.as_ref(), tenants).await?;
        install(directory.path())?;
        let path = directory.path().join("mendwright.toml");
        std::fs::write(&path, config(engine, tenants))?;
        let target = server.as_ref().map_or("", |server| server.target.url.as_str());
        let control = server.as_ref().map_or("", |server| server.control.url.as_str());
        let config = Config::load(&path).map_err(|error| anyhow::anyhow!("{error}"))?;
        let env = Env::of([("TARGET_URL", target), ("CONTROL_URL", control)]);
        let bound =
            mendwright::engine::target(&config, &env, "target").map_err(|problem| anyhow::anyhow!("{problem:?}"))?;
        let identity = mendwright_core::id::Id::from_time(1, [7; 10]);
        mendwright_gateway::init(&bound, &Init { switch_to_wal: true, identity, role: None, tables: vec![] }).await?;
        let log = std::fs::File::create(directory.path().join("host.log"))?;
        let mut command = Command::new(under_test()?);
        command.arg(&path).args(["cli", "serve"]).env("TARGET_URL", target).env("CONTROL_URL", control);
        command.env("USER", "bench").env("MENDWRIGHT_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::null());
        let host = command.stderr(log).spawn()?;
        let house = Self { engine, directory, tenants, host, server };
        house.answers().await?;
        Ok(house)
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("host.sock")
    }

    async fn answers(&self) -> Result<()> {
        let until = now() + PATIENCE;
        while UnixStream::connect(self.socket()).await.is_err() {
            ensure!(now() < until, "the host does not answer: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("host.log")).unwrap_or_default()
    }

    /// Waits until nothing is in flight.
    ///
    /// # Errors
    /// It takes too long.
    pub async fn settle(&self) -> Result<()> {
        let mut client = Client::connect(&self.socket()).await?;
        let until = now() + PATIENCE;
        loop {
            let (_, body) = client.ask("GET", "/runs?state=verifying&limit=1", None).await?;
            let (_, applying) = client.ask("GET", "/runs?state=applying&limit=1", None).await?;
            let none = |body: &Value| body["runs"].as_array().is_some_and(Vec::is_empty);
            if none(&body) && none(&applying) {
                return Ok(());
            }
            ensure!(now() < until, "repairs are not finished: {body} {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Transactions that each database of the server counts in a second, while nobody asks the host for
    /// anything.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn transactions_while_idle(&self, lasts: Duration) -> Result<BTreeMap<&'static str, f64>> {
        let Some(server) = &self.server else { return Ok(BTreeMap::new()) };
        // A backend that has nothing more to do tells of its transactions within ten seconds.
        tokio::time::sleep(Duration::from_secs(12)).await;
        let before = counted(server).await?;
        tokio::time::sleep(lasts).await;
        let after = counted(server).await?;
        let each_second = |name: &'static str| {
            let n = after.get(name).copied().unwrap_or(0) - before.get(name).copied().unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
            (name, n as f64 / lasts.as_secs_f64())
        };
        Ok(["control", "target"].into_iter().map(each_second).collect())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.host.kill();
        let _ = self.host.wait();
    }
}

/// Transactions so far. Whoever looks is in a third database.
async fn counted(server: &Server) -> Result<BTreeMap<&'static str, i64>> {
    let options: PgConnectOptions = server.target.url.parse()?;
    let mut watch = options.database("postgres").connect().await?;
    let mut all = BTreeMap::new();
    for (name, database) in [("control", &server.control), ("target", &server.target)] {
        let own: PgConnectOptions = database.url.parse()?;
        let own = own.get_database().unwrap_or_default().to_owned();
        let sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1";
        all.insert(name, sqlx::query_scalar(sql).bind(own).fetch_one(&mut watch).await?);
    }
    watch.close().await?;
    Ok(all)
}

fn under_test() -> Result<PathBuf> {
    // A bench stands in `deps`, beside what it was built with.
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("a bench in a target folder")?;
    let path = folder.join("under-test");
    ensure!(path.is_file(), "{} is not built", path.display());
    Ok(path)
}

fn install(directory: &Path) -> Result<()> {
    let from = workspace_root().join("jobs/patch_rows");
    let to = directory.join("jobs").join(JOB);
    std::fs::create_dir_all(&to)?;
    let manifest = std::fs::read_to_string(from.join("job.toml"))?;
    let manifest = manifest.replace("\"patch_rows\"", &format!("\"{JOB}\"")).replace("level    = 2", "level    = 1");
    std::fs::write(to.join("job.toml"), manifest)?;
    std::fs::copy(from.join("params.schema.json"), to.join("params.schema.json"))?;
    std::fs::write(to.join(format!("{JOB}.wasm")), guests::component("patch_rows"))?;
    Ok(())
}

fn config(engine: Engine, tenants: usize) -> String {
    let (control, target) = match engine {
        Engine::Sqlite => ("\"sqlite:control.db\"", "\"sqlite:target.db\""),
        Engine::Postgres => ("{ env = \"CONTROL_URL\" }", "{ env = \"TARGET_URL\" }"),
    };
    let names: Vec<String> = (0..tenants).map(|n| format!("\"t{n}\"")).collect();
    format!(
        "version = 1\nenvironment = \"demo\"\n[control]\nurl = {control}\n[jobs]\npath = \"jobs\"\n\
         [host]\nsocket = \"host.sock\"\n[database.target]\nurl = {target}\nlock_timeout = \"20s\"\n\
         [policy]\ntrust = [{{ job = \"{JOB}\", tenant = \"*\", trust = \"auto\" }}]\n\
         [resource.accounts]\nadapter = \"sql\"\ndatabase = \"target\"\ntable = \"account\"\nkey = [\"id\"]\n\
         tenant = {{ column = \"tenant\" }}\nclass = \"rebuildable\"\n[resource.accounts.columns]\nid = {{ column = \"id\", type = \"integer\" }}\n\
         tenant = \"tenant\"\n\
         total = {{ column = \"total\", type = \"decimal\" }}\n\
         [grant.bench]\njob = \"{JOB}@^1\"\ntenants = [{}]\n\
         allow.accounts = {{ read = [\"id\", \"total\"], write = [\"total\"], operations = [\"update\"] }}\n",
        names.join(", ")
    )
}

async fn make_tables(directory: &Path, server: Option<&Server>, tenants: usize) -> Result<()> {
    let total = if server.is_some() { "NUMERIC(12,2)" } else { "NUMERIC" };
    let mut sql = format!(
        "CREATE TABLE account (id INTEGER NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, total {total} NOT NULL, note TEXT);
         CREATE INDEX account_tenant ON account (tenant); INSERT INTO account VALUES "
    );
    // Each side has tenants of its own: neither undoes what the other guards.
    for tenant in 0..tenants * 2 {
        for row in 0..ROWS_OF_TENANT {
            let comma = if tenant + row == 0 { "" } else { ", " };
            sql += &format!("{comma}({}, 't{tenant}', 0.25, 'an account')", tenant * ROWS_OF_TENANT + row);
        }
    }
    match server {
        Some(server) => {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut server.target.connect().await?).await?;
        }
        None => {
            let mut file = sqlite(&directory.join("target.db")).await?;
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut file).await?;
            file.close().await?;
        }
    }
    Ok(())
}

pub(super) async fn sqlite(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::from_secs(20))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    Ok(options.connect().await?)
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// How long each took of those that were counted.
#[derive(Debug)]
pub struct Took {
    each: Vec<Duration>,
    lasted: Duration,
    /// Repairs that the host did not make at once; not among `each`.
    ordinary: usize,
}

impl Took {
    pub(super) fn new(mut each: Vec<Duration>, lasted: Duration) -> Self {
        each.sort();
        Self { each, lasted, ordinary: 0 }
    }

    /// How many went the ordinary way.
    #[must_use]
    pub const fn ordinary(&self) -> usize {
        self.ordinary
    }

    /// How many in a second.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    pub fn rate(&self) -> f64 {
        self.each.len() as f64 / self.lasted.as_secs_f64().max(1e-9)
    }

    /// How long so many percent took at most.
    #[must_use]
    pub fn at(&self, percent: usize) -> Duration {
        let place = (self.each.len() * percent / 100).min(self.each.len().saturating_sub(1));
        self.each.get(place).copied().unwrap_or_default()
    }

    /// A line with the rate and the latencies.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        let ms = |percent| self.at(percent).as_secs_f64() * 1_000.0;
        format!("{name:<42} {:>11.0} a second   p50 {:>8.2} ms   p99 {:>8.2} ms", self.rate(), ms(50), ms(99))
    }
}

/// Clients of the host, one for each tenant.
pub struct Clients<'h> {
    house: &'h House,
    /// What the next repair sets: another value each time.
    next: Arc<AtomicU64>,
}

impl<'h> Clients<'h> {
    /// As many as the host has tenants.
    #[must_use]
    pub fn new(house: &'h House) -> Self {
        Self { house, next: Arc::new(AtomicU64::new(1)) }
    }

    /// Each asks for one repair after the other.
    ///
    /// # Errors
    /// One is refused.
    pub async fn run(&self, lasts: Duration) -> Result<Took> {
        let (start, mut tasks) = (now(), Vec::new());
        for tenant in 0..self.house.tenants {
            let mut client = Client::connect(&self.house.socket()).await?;
            let next = Arc::clone(&self.next);
            tasks.push(tokio::spawn(async move {
                let (mut each, mut ordinary) = (Vec::new(), 0);
                while start.elapsed() < lasts {
                    let body = repair(tenant, next.fetch_add(1, Ordering::Relaxed));
                    let asked = now();
                    let (status, answer) = client.ask("POST", "/repairs", Some(&body)).await?;
                    if status == 202 {
                        ordinary += 1;
                        continue;
                    }
                    each.push(asked.elapsed());
                    ensure!(status == 201 && answer.get("changes").is_some_and(|n| *n == ROWS), "{status} {answer}");
                }
                Ok::<_, anyhow::Error>((each, ordinary))
            }));
        }
        let (mut each, mut ordinary) = (Vec::new(), 0);
        for task in tasks {
            let (took, others) = task.await?.with_context(|| self.house.log())?;
            each.extend(took);
            ordinary += others;
        }
        Ok(Took { ordinary, ..Took::new(each, start.elapsed()) })
    }
}

/// The `n`-th repair.
fn repair(tenant: usize, n: u64) -> Value {
    let value = format!("{n}.75");
    let rows = rows(tenant, n).map(|id| json!({ "key": { "id": id.to_string() }, "set": { "total": value } }));
    let params = json!({ "table": "accounts", "because": "bench", "changes": rows.collect::<Vec<_>>() });
    json!({ "job": JOB, "tenant": format!("t{tenant}"), "params": params })
}

pub(super) fn rows(tenant: usize, n: u64) -> impl Iterator<Item = usize> {
    let first = usize::try_from(n).unwrap_or(0) * ROWS % ROWS_OF_TENANT;
    (first..first + ROWS).map(move |row| tenant * ROWS_OF_TENANT + row)
}

/// One connection to the host, kept open.
struct Client {
    stream: UnixStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(socket: &Path) -> Result<Self> {
        Ok(Self { stream: UnixStream::connect(socket).await?, buffer: Vec::new() })
    }

    async fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let text = String::from_utf8_lossy(self.buffer.get(..head).unwrap_or_default()).to_ascii_lowercase();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a status")?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).context("a length")?;
        let length: usize = length.trim().parse()?;
        while self.buffer.len() < head + length {
            self.more().await?;
        }
        let body = self.buffer.get(head..).unwrap_or_default();
        Ok((status, serde_json::from_slice(body).unwrap_or(Value::Null)))
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the host hung up");
        }
        Ok(())
    }
}
