//! Counters of many tenants. A repair counts some of them up by one: whatever is done twice shows. A
//! trigger of the application's own writes down what it saw, and no host can write there by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_checker::{Db, LogKey, Promises, Scene};
use mendwright_tests::postgres::{Cluster, Database};

use crate::serve::house::{Control, House};
use crate::shop::warm;
use crate::world::{Engine, World};

/// The tables: one whose repairs need nobody, and one whose repairs a second person approves.
pub(super) const TABLES: [&str; 2] = ["counter", "account"];

/// What each counter has at first.
const FIRST: i64 = 1_000;

/// Whose counters.
pub(super) const TENANTS: u64 = 12;

/// Counters of each tenant, in each table.
pub(super) const COUNTERS: u64 = 8;

fn table(engine: Engine, table: &str) -> String {
    let (seq, trigger) = match engine {
        Engine::Sqlite => (
            "INTEGER PRIMARY KEY AUTOINCREMENT",
            format!(
                "CREATE TRIGGER {table}_seen AFTER UPDATE OF value ON {table} BEGIN \
                 INSERT INTO {table}_history (counter, before, after) VALUES (NEW.id, OLD.value, NEW.value); END;"
            ),
        ),
        Engine::Postgres => (
            "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            format!(
                "CREATE FUNCTION {table}_seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 INSERT INTO {table}_history (counter, before, after) VALUES (NEW.id, OLD.value, NEW.value); \
                 RETURN NULL; END $$; \
                 CREATE TRIGGER {table}_seen AFTER UPDATE OF value ON {table} FOR EACH ROW \
                 EXECUTE FUNCTION {table}_seen();"
            ),
        ),
    };
    let rows = (0..TENANTS * COUNTERS).map(|n| format!("({n}, 't{:02}', {FIRST})", n / COUNTERS));
    format!(
        "CREATE TABLE {table} (id integer PRIMARY KEY, tenant text NOT NULL, value integer NOT NULL);
         CREATE TABLE {table}_history (seq {seq}, counter integer NOT NULL, before integer NOT NULL,
           after integer NOT NULL);
         {trigger} INSERT INTO {table} VALUES {};",
        rows.collect::<Vec<_>>().join(", ")
    )
}

fn bindings() -> String {
    let mut text = String::new();
    for (table, class) in TABLES.into_iter().zip(["ordinary", "ledger"]) {
        text += &format!(
            "[resource.{table}]\nadapter = \"sql\"\ndatabase = \"target\"\ntable = \"{table}\"\nkey = [\"id\"]\n\
             tenant = {{ column = \"tenant\" }}\nclass = \"{class}\"\n\
             triggers = {{ {table}_seen = \"writes down what it saw\" }}\n\
             [resource.{table}.columns]\nid = \"id\"\ntenant = \"tenant\"\nvalue = \"value\"\n"
        );
    }
    text += "[grant.hostile]\njob = \"hostile@^1\"\ntenants = \"*\"\n";
    for table in TABLES {
        text += &format!(
            "allow.{table} = {{ read = [\"id\", \"value\"], write = [\"value\"], operations = [\"update\"] }}\n"
        );
    }
    text
}

/// The world of the counters, in this database or in a file.
pub(super) async fn world(server: Option<Database>) -> World {
    let engine = if server.is_some() { Engine::Postgres } else { Engine::Sqlite };
    let schema: String = TABLES.iter().map(|name| table(engine, name)).collect();
    let mut world = World::of_database(server, &schema, &bindings()).await;
    // Whoever waits for a tenant's table, waits: what is tested is no haste.
    world.database_keys = "lock_timeout = \"20s\"\ndry_run_lock_ms_max = 5000\n".to_owned();
    let requests: String = TABLES
        .iter()
        .map(|name| {
            format!("[request.{name}]\nread = [\"id\", \"value\"]\nwrite = [\"value\"]\noperations = [\"update\"]\n")
        })
        .collect();
    world.install_hostile(&requests);
    warm(&world).await;
    world
}

/// Where hosts run: control store and target of one engine, each a database of its own.
pub(super) struct Ground {
    pub(super) house: House,
    pub(super) cluster: Option<Arc<Cluster>>,
    /// On a server: the target's, and the control store's where that has its own.
    databases: Vec<Database>,
    control_url: String,
}

impl Ground {
    pub(super) async fn new(engine: Engine, cluster: Option<Cluster>) -> Self {
        Self::of(engine, cluster, &["counters", "control"]).await
    }

    /// The same; on a server both are in one database.
    pub(super) async fn in_one(engine: Engine, cluster: Option<Cluster>) -> Self {
        Self::of(engine, cluster, &["counters"]).await
    }

    async fn of(engine: Engine, cluster: Option<Cluster>, names: &[&str]) -> Self {
        let cluster = cluster.map(Arc::new);
        let mut databases = Vec::new();
        if let Some(cluster) = &cluster {
            for name in names {
                databases.push(cluster.empty_database(name).await.unwrap());
            }
        }
        assert_eq!(databases.is_empty(), engine == Engine::Sqlite);
        let world = world(databases.first().cloned()).await;
        Self::with(cluster, databases, |control| House::with(world, control))
    }

    fn with(cluster: Option<Arc<Cluster>>, databases: Vec<Database>, house: impl FnOnce(Control) -> House) -> Self {
        let control = databases.last().cloned().map_or(Control::Sqlite, Control::Postgres);
        let control_url = control.url().to_owned();
        let mut house = house(control);
        house.more = "[audit]\nevery = \"1s\"\n";
        Self { house, cluster, databases, control_url }
    }

    /// A copy of it as it is now, elsewhere. Nobody may have it open.
    pub(super) async fn copy(&self) -> Self {
        let mut databases = Vec::new();
        if let Some(cluster) = &self.cluster {
            for of in &self.databases {
                databases.push(cluster.copy(of).await.unwrap());
            }
        }
        let world = self.house.world.copy(databases.first().cloned());
        let mut copy = Self::with(self.cluster.clone(), databases, |control| House::beside(world, control));
        copy.house.more = self.house.more;
        copy
    }

    /// What the audit log of the house is signed with.
    pub(super) fn key(&self, host: &str) -> LogKey {
        let key = self.house.cli(host, &["--no-host", "audit", "key"]);
        assert!(key.status.success(), "{key:?}");
        LogKey::parse(&String::from_utf8(key.stdout).unwrap()).unwrap()
    }

    pub(super) fn scene(&self, host: &str, promises: Promises) -> Scene {
        self.scene_of(host, self.key(host), promises)
    }

    /// The same where the key is known. Everything in the audit log is signed first.
    pub(super) fn scene_of(&self, host: &str, key: LogKey, promises: Promises) -> Scene {
        let signed = self.house.cli(host, &["--no-host", "audit", "checkpoint"]);
        assert!(signed.status.success(), "{signed:?}");
        Scene { key, tables: TABLES.map(ToOwned::to_owned).to_vec(), first: FIRST, promises }
    }

    /// Connections of the checker's own: to the control store and to the target.
    pub(super) async fn look(&self) -> (Db, Db) {
        let directory = self.house.world.directory();
        match &self.cluster {
            None => (
                Db::file(&directory.join("control.db")).await.unwrap(),
                Db::file(&directory.join("target.db")).await.unwrap(),
            ),
            Some(_) => {
                let mut control = Db::server(&self.control_url).await.unwrap();
                control.run("SET search_path TO mendwright_control").await.unwrap();
                (control, Db::server(&self.house.world.url()).await.unwrap())
            }
        }
    }
}

/// What all clients together were told.
pub(super) fn together(told: impl IntoIterator<Item = Promises>) -> Promises {
    let mut all = Promises { begun: BTreeMap::new(), ..Promises::default() };
    for one in told {
        all.begun.extend(one.begun);
        all.applied.extend(one.applied);
        all.undone.extend(one.undone);
    }
    all
}
