//! A running host, and ways to speak with it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mendwright_store::{RunNumber, RunRecord, Store};
use mendwright_tests::postgres::{Cluster, Database};
use serde_json::{Value, json};

use crate::shop::{TENANT, mixed};
use crate::world::{Engine, World};

/// What anything here may take on a busy machine before it counts as stuck.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// Between two looks at whether something holds.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until something holds.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = later(PATIENCE);
    while !holds().await {
        assert!(now() < end, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(LOOK).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has a deadline")]
pub(super) fn now() -> Instant {
    Instant::now()
}

fn later(by: Duration) -> Instant {
    now() + by
}

/// Where the control store of a house is.
pub(super) enum Control {
    Sqlite,
    Postgres(Database),
}

impl Control {
    /// A new one.
    pub(super) async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::Sqlite,
            Engine::Postgres => Self::Postgres(Cluster::shared().empty_database("control").await.unwrap()),
        }
    }

    pub(super) fn url(&self) -> &str {
        match self {
            Self::Sqlite => "",
            Self::Postgres(database) => &database.url,
        }
    }
}

/// The port of a proxy, by which a host goes to its servers.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// To all of them.
    All(u16),
    /// To its control store.
    Control(u16),
}

/// A world whose configuration a host may run beside.
pub(super) struct House {
    pub(super) world: World,
    pub(super) control: Control,
    /// What is added to the configuration.
    pub(super) more: &'static str,
    /// Hosts that go another way than straight to their servers.
    pub(super) ways: BTreeMap<String, Way>,
}

impl House {
    pub(super) async fn new(world: World, control: Engine) -> Self {
        Self::with(world, Control::new(control).await)
    }

    /// The same, with this control store.
    pub(super) fn with(world: World, control: Control) -> Self {
        if let Control::Postgres(_) = control {
            let place = world.directory();
            std::fs::copy(place.join("control.db.key"), place.join("mendwright.key")).unwrap();
            std::fs::rename(place.join("control.db.cache"), place.join("mendwright.cache")).unwrap();
        }
        Self::beside(world, control)
    }

    /// The same, of a world that a host ran in before.
    pub(super) const fn beside(world: World, control: Control) -> Self {
        Self { world, control, more: "", ways: BTreeMap::new() }
    }

    /// The configuration of one host of the house.
    pub(super) fn config(&self, name: &str) -> PathBuf {
        let path = self.world.directory().join(format!("{name}.toml"));
        let mut text = self.world.config_text();
        if let Control::Postgres(_) = self.control {
            text = text.replace("\"sqlite:control.db\"", "{ env = \"CONTROL_URL\" }");
        }
        std::fs::write(&path, format!("{text}\n[host]\nsocket = \"{name}.sock\"\n{}", self.more)).unwrap();
        path
    }

    fn command(&self, name: &str, typed: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
        command.arg(self.config(name)).arg("cli").args(typed).stdin(Stdio::null());
        let by = |port: u16, url: &str| {
            let (head, rest) = url.split_once("@127.0.0.1:").expect("the URL of a server");
            let database = rest.split_once('/').expect("with a database").1;
            format!("{head}@127.0.0.1:{port}/{database}")
        };
        let (target, control) = (self.world.url(), self.control.url());
        let (target, control) = match self.ways.get(name) {
            None => (target, control.to_owned()),
            Some(Way::All(port)) => (by(*port, &target), by(*port, control)),
            Some(Way::Control(port)) => (target, by(*port, control)),
        };
        command.env("TARGET_URL", target).env("CONTROL_URL", control);
        command
            .env("USER", user())
            .env("MENDWRIGHT_LOG", "mendwright=info")
            .env("NO_COLOR", "1")
            .env_remove("CRASH_AT");
        command
    }

    /// Types a command.
    pub(super) fn cli(&self, name: &str, typed: &[&str]) -> Output {
        self.command(name, typed).env("MENDWRIGHT_LOG", "error").output().unwrap()
    }

    /// The file of the key that the demo made for somebody.
    pub(super) fn keys_of(&self, person: &str) -> String {
        let found = std::fs::read_dir(self.world.directory()).unwrap().map(|entry| entry.unwrap().path());
        let name = format!("{person}.key");
        let key = found.map(|path| path.join(&name)).find(|key| key.exists()).expect("a key of the demo's");
        key.display().to_string()
    }

    /// Makes commands of one kind, for whoever types them later.
    pub(super) fn typist(
        &self,
        name: &str,
        typed: impl Fn(&str) -> Vec<String> + Send + Sync + 'static,
    ) -> Box<dyn Fn(&str) -> Command + Send + Sync> {
        let (config, target, control) = (self.config(name), self.world.url(), self.control.url().to_owned());
        Box::new(move |about| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
            command.arg(&config).arg("cli").args(typed(about)).stdin(Stdio::null());
            command.env("TARGET_URL", &target).env("CONTROL_URL", &control).env("USER", user());
            command.env("MENDWRIGHT_LOG", "error").env("NO_COLOR", "1").env_remove("CRASH_AT");
            command
        })
    }

    /// Lets bob approve a run, with the key that the demo made for him.
    pub(super) fn approve(&self, name: &str, run: &str) {
        let said = self.cli(name, &["run", "approve", run, "--key", &self.keys_of("bob")]);
        assert!(said.status.success(), "{said:?}");
    }

    /// Starts a host.
    pub(super) fn start(&self, name: &str, variables: &[(&str, String)]) -> Serving {
        let log = self.world.directory().join(format!("{name}.log"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = self.command(name, &["serve"]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Serving { child, socket: self.world.directory().join(format!("{name}.sock")), log }
    }

    /// Starts a host and waits until it answers.
    pub(super) async fn serve(&self, name: &str) -> Serving {
        self.serve_where(name, &[]).await
    }

    /// The same, with these variables in its environment.
    pub(super) async fn serve_where(&self, name: &str, variables: &[(&str, String)]) -> Serving {
        let mut serving = self.start(name, variables);
        until("the host answers", async || {
            let ended = serving.child.try_wait().unwrap();
            assert_eq!(ended, None, "{}", serving.log());
            UnixStream::connect(&serving.socket).is_ok()
        })
        .await;
        serving
    }

    /// What the hosts of that name logged.
    pub(super) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.world.directory().join(format!("{name}.log"))).unwrap_or_default()
    }

    /// The control store, as another process has it.
    pub(super) async fn store(&self) -> Store {
        match &self.control {
            Control::Sqlite => Store::open_file(&self.world.directory().join("control.db"), "test", 0).await.unwrap(),
            Control::Postgres(database) => Store::open_postgres(&database.url, "test", 0).await.unwrap(),
        }
    }
}

/// The end of a log.
pub(super) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// Who the kernel says that we are.
pub(super) fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A host that runs; killed when it is dropped.
pub(super) struct Serving {
    pub(super) child: Child,
    pub(super) socket: PathBuf,
    log: PathBuf,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Value,
}

impl Answer {
    /// The code of an error, which must be problem+json.
    #[track_caller]
    pub(super) fn code(&self) -> &str {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert_eq!(self.body["type"], format!("urn:mendwright:error:{}", self.body["code"].as_str().unwrap()));
        self.body["code"].as_str().unwrap()
    }
}

/// One request, one connection.
pub(super) fn ask(socket: &Path, method: &str, path: &str, headers: &str, body: &[u8]) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    // A host that has seen enough need not read the rest.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Ok(Answer { status, head: head.to_ascii_lowercase(), body })
}

const JSON: &str = "Content-Type: application/json\r\n";

impl Serving {
    pub(super) fn get(&self, path: &str) -> Answer {
        ask(&self.socket, "GET", path, "", b"").unwrap()
    }

    pub(super) fn send(&self, method: &str, path: &str, headers: &str, body: &Value) -> Answer {
        self.try_send(method, path, headers, body).unwrap()
    }

    /// The same, of a host that may be dead.
    pub(super) fn try_send(&self, method: &str, path: &str, headers: &str, body: &Value) -> std::io::Result<Answer> {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        ask(&self.socket, method, path, &format!("{JSON}{headers}"), body.as_bytes())
    }

    /// Asks for a run of the shop's repair; gives its number.
    pub(super) fn plan(&self, wait: &str) -> Value {
        let answer = self.send("POST", &format!("/runs{wait}"), "", &plan_body());
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }

    /// What it logged.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// How it ended.
    pub(super) async fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        until("the host ends", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }
}

/// A run of the shop's repair.
pub(super) fn plan_body() -> Value {
    json!({ "job": "hostile", "tenant": TENANT, "params": mixed() })
}

/// The beginning of a digest that a person types.
pub(super) fn digits(digest: &Value) -> String {
    digest.as_str().unwrap().trim_start_matches("sha256:")[..16].to_owned()
}

/// All runs of a store, the oldest first.
pub(super) async fn runs(store: &Store) -> Vec<RunRecord> {
    let filter = mendwright_store::RunFilter { limit: 1_000, ..Default::default() };
    let mut runs = store.list(&filter).await.unwrap();
    runs.reverse();
    runs
}

pub(super) fn number(run: &Value) -> RunNumber {
    RunNumber::new(run["number"].as_u64().unwrap())
}
