//! Schemas that nobody designed for this: each thing a real database does by itself is declared and
//! shown, or refused with its reason, and never silently different.
//!
//! Everything goes through the whole engine: plan, rehearsal, apply, undo, and the dump is as before.

mod cascades;
mod constraints;
mod keys;
mod names;
mod remembered;
mod roles;
mod rows;
mod tenancy;
mod triggers;
mod values;

use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::OnceLock;

use mendwright::engine::Host;
use mendwright::view::problem::Problem;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_store::RunRecord;
use mendwright_tests::dump::Dump;
use serde_json::{Value as Json, json};

use crate::world::{Engine, Short as _, World, is_ready, lines};

/// One resource of a test, as its operator would bind it.
#[derive(Clone)]
pub(crate) struct Bound {
    name: String,
    table: String,
    key: Vec<String>,
    tenant: String,
    columns: Vec<(String, String)>,
    fixed: Vec<String>,
    more: String,
}

/// A text as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

impl Bound {
    /// Columns that are called alike on both sides; the first is the key, and `tenant` says whose it is.
    pub(crate) fn new(name: &str, columns: &str) -> Self {
        let columns: Vec<(String, String)> =
            columns.split_whitespace().map(|column| (column.to_owned(), quoted(column))).collect();
        Self {
            name: name.to_owned(),
            table: name.to_owned(),
            key: columns.iter().take(1).map(|(name, _)| name.clone()).collect(),
            tenant: "{ column = \"tenant\" }".to_owned(),
            columns,
            fixed: vec!["tenant".to_owned()],
            more: String::new(),
        }
    }

    pub(crate) fn table(mut self, table: &str) -> Self {
        table.clone_into(&mut self.table);
        self
    }

    pub(crate) fn key(mut self, key: &[&str]) -> Self {
        self.key = key.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// What follows `tenant =`.
    pub(crate) fn tenant(mut self, tenant: &str) -> Self {
        tenant.clone_into(&mut self.tenant);
        self
    }

    /// A column, by what follows its name in the configuration.
    pub(crate) fn column(mut self, name: &str, toml: &str) -> Self {
        self.columns.retain(|(other, _)| other != name);
        self.columns.push((name.to_owned(), toml.to_owned()));
        self
    }

    /// Columns that no grant names for writing.
    pub(crate) fn fixed(mut self, names: &[&str]) -> Self {
        self.fixed.extend(names.iter().map(|&name| name.to_owned()));
        self
    }

    /// Further lines of the resource.
    pub(crate) fn more(mut self, toml: &str) -> Self {
        self.more.push_str(toml);
        self.more.push('\n');
        self
    }

    fn resource(&self) -> String {
        let Self { name, table, key, tenant, more, .. } = self;
        let key: Vec<String> = key.iter().map(|name| quoted(name)).collect();
        let columns: String = self.columns.iter().map(|(name, toml)| format!("{name} = {toml}\n")).collect();
        format!(
            "[resource.{name}]\nadapter = \"sql\"\ndatabase = \"target\"\ntable = {}\nkey = [{}]\ntenant = {tenant}\n\
             {more}[resource.{name}.columns]\n{columns}\n",
            quoted(table),
            key.join(", ")
        )
    }

    fn allow(&self) -> String {
        let list = |names: Vec<&String>| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
        let read = self.columns.iter().map(|(name, _)| name).collect();
        let write: Vec<&String> = self
            .columns
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !self.key.contains(name) && !self.fixed.contains(name))
            .collect();
        let operations = match (self.tenant.as_str(), write.is_empty()) {
            ("\"shared\"", _) => "",
            (_, true) => "\"delete\"",
            (_, false) => "\"insert\", \"update\", \"delete\"",
        };
        let write = if operations.is_empty() { String::new() } else { list(write) };
        format!("allow.{} = {{ read = [{}], write = [{write}], operations = [{operations}] }}\n", self.name, list(read),)
    }
}

/// The configuration that binds these, and a grant of everything for the job that patches rows.
pub(crate) fn bindings(bounds: &[Bound]) -> String {
    let resources: String = bounds.iter().map(Bound::resource).collect();
    let allow: String = bounds.iter().map(Bound::allow).collect();
    format!("{resources}[grant.patch]\njob = \"patch_rows@^1\"\ntenants = \"*\"\n{allow}")
}

/// The job's compiled code, with the host key that signed it: compiling is what these tests would wait
/// for, one world after the other.
struct Compiled {
    key: Vec<u8>,
    files: Vec<(OsString, Vec<u8>)>,
}

static COMPILED: OnceLock<Compiled> = OnceLock::new();

impl Compiled {
    fn of(directory: &Path) -> Self {
        let files = std::fs::read_dir(directory.join("control.db.cache")).unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name(), std::fs::read(entry.path()).unwrap())
        });
        Self { key: std::fs::read(directory.join("control.db.key")).unwrap(), files: files.collect() }
    }

    fn unpack(&self, directory: &Path) {
        let cache = directory.join("control.db.cache");
        std::fs::DirBuilder::new().mode(0o700).create(&cache).unwrap();
        let own = |path: &Path, bytes: &[u8]| {
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
            std::io::Write::write_all(&mut file, bytes).unwrap();
        };
        own(&directory.join("control.db.key"), &self.key);
        self.files.iter().for_each(|(name, bytes)| own(&cache.join(name), bytes));
    }
}

/// A world with a host in it and the job that patches rows.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) host: Host,
}

impl Shop {
    pub(crate) async fn open(engine: Engine, schema: &str, bounds: &[Bound]) -> Self {
        let mut world = World::of(engine, schema, &bindings(bounds)).await;
        // A loaded machine must not make a rehearsal look as if it could not be held.
        world.database_keys = "dry_run_lock_ms_max = 20000".to_owned();
        world.install("patch_rows");
        let directory = world.directory();
        if let Some(compiled) = COMPILED.get() {
            compiled.unpack(&directory);
        }
        let host = world.host().await;
        Self { world, host }
    }

    pub(crate) async fn plan(&self, tenant: &str, params: Json) -> Result<RunRecord, Problem> {
        let run = self.host.plan_of("patch_rows", tenant, params).await;
        COMPILED.get_or_init(|| Compiled::of(&self.world.directory()));
        run
    }

    /// Plans, which changes nothing, and is rehearsed.
    pub(crate) async fn planned(&self, tenant: &str, params: Json) -> RunRecord {
        let before = self.world.dump().await;
        let run = self.plan(tenant, params).await.unwrap();
        before.assert_unchanged(&self.world.dump().await);
        let plan = self.host.store().load_plan(run.number).await.unwrap();
        assert!(is_ready(&run), "{:?}", plan.document.findings);
        assert_eq!(plan.document.rehearsal.passed, Some(true), "{:?}", plan.document.rehearsal);
        run
    }

    /// Plans and applies; a second dry run is empty.
    pub(crate) async fn applied(&self, tenant: &str, params: Json) -> RunRecord {
        let run = self.planned(tenant, params.clone()).await;
        let applied = self.host.confirm(&run).await.unwrap();
        assert_eq!(applied.problem, None);
        assert_eq!(applied.run.state, State::Succeeded);
        assert!(self.host.verify(run.number).await.unwrap().verified.differ.is_empty());
        let again = self.plan(tenant, params).await.unwrap();
        assert_eq!(again.state, State::NothingToDo, "{:?}", self.shown(&again).await);
        run
    }

    pub(crate) async fn undone(&self, run: &RunRecord) {
        let undone = self.host.undo_all(run.number).await.unwrap();
        assert_eq!((undone.run.state, undone.left), (State::RolledBack, vec![]));
    }

    /// Plans, applies and undoes, and the database is as it was. The changes, as people see them.
    pub(crate) async fn there_and_back(&self, tenant: &str, params: Json) -> Vec<String> {
        let before = self.world.dump().await;
        let run = self.applied(tenant, params).await;
        assert_ne!(before, self.world.dump().await, "nothing happened");
        self.undone(&run).await;
        before.assert_unchanged(&self.world.dump().await);
        self.shown(&run).await
    }

    /// The changes of a run, one line each.
    pub(crate) async fn shown(&self, run: &RunRecord) -> Vec<String> {
        lines(&self.host.changes(run.number).await)
    }

    /// Is refused before anything is written.
    pub(crate) async fn refused(&self, tenant: &str, params: Json) -> Problem {
        let before = self.world.dump().await;
        let problem = match self.plan(tenant, params).await {
            Err(problem) => problem,
            Ok(run) => panic!("this must not be planned: {:?}", self.shown(&run).await),
        };
        before.assert_unchanged(&self.world.dump().await);
        problem
    }

    /// [`Shop::refused`], with this code; a refusal that a job may answer is its failure, which names it.
    pub(crate) async fn refuses(&self, tenant: &str, params: Json, code: Code) -> String {
        let problem = self.refused(tenant, params).await;
        let answered = problem.code == Code::JobFailed && problem.message.contains(&format!("says {code}: "));
        assert!(problem.code == code || answered, "{code} expected: {problem:?}");
        problem.message
    }

    /// Is planned and then ends with this problem, nothing changed.
    pub(crate) async fn not_applied(&self, run: &RunRecord) -> Problem {
        let before: Dump = self.world.dump().await;
        let applied = self.host.confirm(run).await.unwrap();
        before.assert_unchanged(&self.world.dump().await);
        assert_eq!(applied.changes, 0);
        applied.problem.expect("this must not be applied")
    }
}

/// Parameters that change one row.
pub(crate) fn set(table: &str, key: Json, cells: Json) -> Json {
    json!({ "table": table, "changes": [{ "key": key, "set": cells, "because": "a person said so" }] })
}

/// Parameters that add one row.
pub(crate) fn insert(table: &str, key: Json, cells: Json) -> Json {
    json!({ "table": table, "insert": [{ "key": key, "set": cells }] })
}

/// Parameters that remove one row.
pub(crate) fn delete(table: &str, key: Json) -> Json {
    json!({ "table": table, "delete": [{ "key": key }] })
}

/// The engine's own words.
pub(crate) fn by<'a>(engine: Engine, sqlite: &'a str, postgres: &'a str) -> &'a str {
    match engine {
        Engine::Sqlite => sqlite,
        Engine::Postgres => postgres,
    }
}
