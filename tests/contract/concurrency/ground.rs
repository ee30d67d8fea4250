//! The small ledger that the races are run on, and how a test waits without sleeping.

use std::time::Duration;

use mendwright_gateway::{Computed, Error};

use crate::direct::{Direct, Edit};
use crate::world::{App, Engine, World};
use tokio::sync::Mutex;

/// `line` hangs on `invoice` by a foreign key, `loose` without one; `zeal` is written last of all.
const SCHEMA: &str = "
CREATE TABLE invoice (id integer PRIMARY KEY, country text NOT NULL, total integer NOT NULL);
CREATE TABLE line (id integer PRIMARY KEY, invoice_id integer NOT NULL REFERENCES invoice (id),
                   quantity integer NOT NULL, memo text);
CREATE TABLE loose (id integer PRIMARY KEY, invoice_id integer NOT NULL, quantity integer NOT NULL);
CREATE TABLE zeal (id integer PRIMARY KEY, country text NOT NULL, quantity integer NOT NULL);
CREATE TABLE app_log (line integer NOT NULL, delta integer NOT NULL);";

/// Two invoices of A, one of B, and what hangs on them.
const ROWS: &str = "
DELETE FROM app_log; DELETE FROM zeal; DELETE FROM loose; DELETE FROM line; DELETE FROM invoice;
INSERT INTO invoice VALUES (1, 'A', 0), (2, 'A', 0), (3, 'B', 0);
INSERT INTO line VALUES (10, 1, 1, NULL), (11, 1, 1, NULL), (20, 2, 1, NULL), (30, 3, 1, NULL);
INSERT INTO loose VALUES (10, 1, 1), (30, 3, 1);
INSERT INTO zeal VALUES (1, 'A', 1), (2, 'A', 1), (3, 'B', 1)";

/// Longer than anything here takes, shorter than a person's patience.
const DEADLINE: Duration = Duration::from_secs(20);

/// A world with that ledger.
pub(super) struct Ground {
    pub(super) world: World,
    pub(super) direct: Direct,
    /// A connection that stays, for looking and for starting again.
    watch: Mutex<App>,
}

fn bindings(stable: bool) -> String {
    let table = |name: &str, tenant: &str, columns: &str| {
        format!(
            "[resource.{name}]\nadapter = \"sql\"\ndatabase = \"target\"\ntable = \"{name}\"\nkey = [\"id\"]\n\
             tenant = {tenant}\nguest_keys = true\nstable_reads = {stable}\n[resource.{name}.columns]\nid = \"id\"\n\
             {columns}\n"
        )
    };
    let through = "{ through = \"invoice\", on = { invoice_id = \"id\" } }";
    let column = "{ column = \"country\" }";
    let mut text = table("invoice", column, "country = \"country\"\ntotal = \"total\"");
    text += &table("line", through, "invoice_id = \"invoice_id\"\nquantity = \"quantity\"\nmemo = \"memo\"");
    text += &table("loose", through, "invoice_id = \"invoice_id\"\nquantity = \"quantity\"");
    text += &table("zeal", column, "country = \"country\"\nquantity = \"quantity\"");
    text += "[grant.patch]\njob = \"patch_rows@^1\"\ntenants = [\"A\", \"B\"]\n";
    for (name, columns) in [("line", "[\"quantity\", \"memo\"]"), ("zeal", "[\"quantity\"]")] {
        text += &format!("allow.{name} = {{ read = {columns}, write = {columns}, operations = [\"update\"] }}\n");
    }
    text
}

impl Ground {
    pub(super) async fn of(engine: Engine) -> Self {
        Self::with(engine, "", false).await
    }

    /// With more keys of `[database.target]`, and reads that must stay true or need not.
    pub(super) async fn with(engine: Engine, keys: &str, stable: bool) -> Self {
        let mut world = World::of(engine, SCHEMA, &bindings(stable)).await;
        keys.clone_into(&mut world.database_keys);
        world.sql(ROWS).await;
        let direct = Direct::of(&world);
        let watch = Mutex::new(world.app().await);
        Self { world, direct, watch }
    }

    /// Runs statements of the application's, each committed at once.
    pub(super) async fn sql(&self, sql: &str) {
        self.watch.lock().await.run(&format!("BEGIN; {sql}; COMMIT")).await;
    }

    pub(super) async fn value(&self, sql: &str) -> String {
        self.watch.lock().await.value(sql).await
    }

    /// The rows as they were in the beginning.
    pub(super) async fn reset(&self) {
        self.sql(ROWS).await;
    }

    /// Every row of the application, as one text.
    pub(super) async fn state(&self) -> String {
        let sql = "SELECT string_agg(r, ' ' ORDER BY r) FROM (
             SELECT 'invoice ' || id || ' ' || country || ' ' || total || ';' AS r FROM invoice
             UNION ALL SELECT 'line ' || id || ' ' || invoice_id || ' ' || quantity || coalesce(' ' || memo, '') || ';' FROM line
             UNION ALL SELECT 'loose ' || id || ' ' || invoice_id || ' ' || quantity || ';' FROM loose
             UNION ALL SELECT 'zeal ' || id || ' ' || country || ' ' || quantity || ';' FROM zeal) AS rows_of_all";
        self.value(sql).await
    }

    /// What the rows would be if these statements alone were run on the first rows.
    pub(super) async fn state_after(&self, statements: &[&str]) -> String {
        self.reset().await;
        for sql in statements {
            self.sql(sql).await;
        }
        let state = self.state().await;
        self.reset().await;
        state
    }

    /// Commits and rows that the journal has of a run.
    pub(super) async fn journaled(&self, run: &str) -> (u32, u32) {
        let own = if self.world.engine == Engine::Sqlite { "mendwright_" } else { "mendwright." };
        let of = |what: &str, table: &str| format!("SELECT CAST({what} AS text) FROM {own}{table} WHERE run = '{run}'");
        let commits = self.value(&of("count(*)", "commits")).await;
        let rows = self.value(&of("coalesce(sum(changes), 0)", "journal")).await;
        (commits.parse().unwrap(), rows.parse().unwrap())
    }

    pub(super) async fn plan(&self, tenant: &str, edits: &[Edit]) -> Computed {
        self.direct.plan(tenant, edits).await.unwrap()
    }

    /// Begins a flush that goes on by itself.
    pub(super) fn flush(&self, tenant: &str, run: &str, computed: Computed) -> Flush {
        let (direct, tenant, run) = (self.direct.clone(), tenant.to_owned(), run.to_owned());
        tokio::spawn(async move { direct.apply(&tenant, &run, computed).await.map(|flushed| flushed.changes) })
    }

    /// An open transaction of the application.
    pub(super) async fn app(&self) -> App {
        let mut app = self.world.app().await;
        app.run(if self.world.engine == Engine::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" }).await;
        app
    }

    /// Whether as many backends of ours wait for a lock.
    pub(super) async fn is_blocked(&self, n: u32) -> bool {
        let sql = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
             AND application_name LIKE 'mendwright%' AND wait_event_type = 'Lock'";
        self.value(sql).await.parse::<u32>().unwrap() >= n
    }

    /// Waits until the flush waits for somebody, or is done. SQLite does not tell; but there the
    /// application's open transaction keeps every flush out, whenever it arrives.
    pub(super) async fn until_blocked_or_done<T>(&self, flush: &tokio::task::JoinHandle<T>) {
        match self.world.engine {
            Engine::Sqlite => tokio::task::yield_now().await,
            Engine::Postgres => {
                until("the flush waits", async || flush.is_finished() || self.is_blocked(1).await).await
            }
        }
    }

    /// Waits until one flush waits for a lock.
    pub(super) async fn until_blocked(&self) {
        until("the flush waits", async || self.is_blocked(1).await).await;
    }
}

pub(super) type Flush = tokio::task::JoinHandle<Result<u64, Error>>;

/// Looks again and again until it holds.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looked = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, looked).await.is_ok(), "in vain: {what}");
}
