//! P1: *a dry run changes nothing*, and nobody waits for it.

#![expect(clippy::disallowed_methods, reason = "measures how long an application waits")]

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use mendwright::config::Config;
use mendwright::config::env::Env;
use mendwright::engine::{Host, Progress};
use mendwright::view::problem::Problem;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_store::RunRecord;
use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::shop::{TENANT, mixed, shop};
use crate::story::break_books;
use crate::world::{ENGINES, Engine, Short as _, World, is_ready, request};

/// What the application does while a dry run goes on must be over in this time; a loaded machine is
/// slow, a lock would last for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// `dry_run_lock_ms_max` where a test is about it.
const LOCK_MS_MAX: u64 = 300;

#[tokio::test]
async fn a_dry_run_of_the_real_repair_changes_nothing() {
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        drop(break_books(&world, engine).await);
        world.install("reconcile_invoices");
        let host = world.host().await;
        let before = world.dump_everything().await;
        let run = host.plan_of("reconcile_invoices", "Germany", json!({})).await.unwrap();
        assert!(is_ready(&run), "{engine:?}");
        assert_eq!(host.store().load_plan(run.number).await.unwrap().document.rehearsal.passed, Some(true));
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_dry_run_with_changes_of_every_kind_changes_nothing_and_neither_does_a_refused_one() {
    let refused = [
        json!({ "attack": "write-column", "table": "articles", "column": "tenant", "value": "t:other" }),
        json!({ "attack": "update-foreign", "table": "articles", "column": "price", "key": ["i:7"] }),
        json!({ "attack": "delete-foreign", "table": "articles", "key": ["i:7"] }),
        json!({ "attack": "insert-probe", "table": "articles", "column": "price", "key": ["i:7"],
            "cells": [["name", "n"], ["ratio", "n"], ["picture", "n"], ["note", "n"], ["secret", "n"]] }),
        json!({ "attack": "undeclared-table" }),
        json!({ "attack": "panic" }),
        json!({ "attack": "failure" }),
        json!({ "attack": "giant-cell", "table": "articles", "column": "note", "key": ["i:1"] }),
        json!({ "attack": "none", "table": "articles", "column": "price", "rows": [[["i:1"], "t:no number"]] }),
    ];
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let before = world.dump_everything().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        assert!(is_ready(&run), "{engine:?}");
        let plan = host.store().load_plan(run.number).await.unwrap();
        assert_eq!(plan.document.rehearsal.passed, Some(true), "{engine:?} {:?}", plan.document.rehearsal);
        before.assert_unchanged(&world.dump_everything().await);
        for attack in &refused {
            // Ended or planned, as it may be; other tests look at that.
            drop(host.attack(TENANT, attack.clone()).await);
            before.assert_unchanged(&world.dump_everything().await);
        }
        assert!(host.store().in_flight().await.unwrap().is_empty(), "{engine:?}");
    }
}

/// A dry run that stands still after its reads, until it is let go.
struct Held {
    reached: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
    run: tokio::task::JoinHandle<Result<RunRecord, Problem>>,
}

async fn hold(host: Arc<Host>, params: Json) -> Held {
    let (reach, reached) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let progress: Progress = Arc::new(move |_, _| {
        if reach.send(()).is_ok() {
            // Hands the worker's other work over: a blocked one may be who looks after all connections.
            let _ = tokio::task::block_in_place(|| released.lock().unwrap().recv_timeout(PATIENCE));
        }
    });
    let run = tokio::spawn(async move {
        let mut request = request("hostile", TENANT, params);
        request.progress = Some(progress);
        host.plan(request).await
    });
    Held { reached, release, run }
}

impl Held {
    /// Waits until it stands still.
    fn stands(&self) {
        tokio::task::block_in_place(|| self.reached.recv_timeout(PATIENCE)).unwrap();
    }

    async fn let_go(self) -> Result<RunRecord, Problem> {
        // Nobody listens if the run was ended meanwhile.
        let _ = self.release.send(());
        drop(self.release);
        self.run.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_application_writes_while_a_dry_run_reads_and_the_run_does_not_see_it() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = Arc::new(world.host().await);
        let held = hold(Arc::clone(&host), mixed()).await;
        held.stands();
        // The very rows that it read and others, committed at once.
        let write = world.sql(
            "UPDATE article SET name = 'written meanwhile', price = 1 WHERE id = 6;
             UPDATE article SET hidden = 2 WHERE id = 1; INSERT INTO article (id, tenant) VALUES (50, 'acme');
             DELETE FROM article WHERE id = 50",
        );
        tokio::time::timeout(PATIENCE, write).await.unwrap_or_else(|_| panic!("{engine:?}: it waited"));
        let meanwhile = world.dump_everything().await;
        let run = held.let_go().await.unwrap();
        assert!(is_ready(&run), "{engine:?}");
        meanwhile.assert_unchanged(&world.dump_everything().await);
    }
}

/// A file in rollback-journal mode: a reader would keep its application from committing.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_sqlite_file_without_wal_is_read_from_a_copy_and_stays_byte_for_byte() {
    let world = shop(Engine::Sqlite).await;
    world.sql("PRAGMA journal_mode = DELETE").await;
    assert_eq!(world.value("PRAGMA journal_mode").await, "delete");
    let file = world.directory().join("target.db");
    let before = std::fs::read(&file).unwrap();
    let host = Arc::new(world.host().await);
    let run =
        host.attack(TENANT, json!({ "attack": "get-foreign", "table": "articles", "key": ["i:1"], "column": "name" }));
    assert_eq!(run.await.unwrap().state, State::NothingToDo);
    assert!(std::fs::read(&file).unwrap() == before, "reading changed the file");

    let held = hold(Arc::clone(&host), mixed()).await;
    held.stands();
    world.sql("UPDATE article SET price = 2 WHERE id = 6").await;
    let meanwhile = world.dump_everything().await;
    assert!(is_ready(&held.let_go().await.unwrap()));
    meanwhile.assert_unchanged(&world.dump_everything().await);
    assert_eq!(world.value("PRAGMA journal_mode").await, "delete", "nobody consented to another");
    for left in ["target.db-wal", "target.db-journal"] {
        assert!(!world.directory().join(left).exists(), "{left}");
    }
}

/// The application has the file open, and its last writes are only in the log.
#[tokio::test]
async fn a_dry_run_does_not_checkpoint_a_sqlite_file() {
    let world = shop(Engine::Sqlite).await;
    let host = world.host().await;
    let path = world.directory().join("target.db");
    let mut app = mendwright_tests::chinook::connect_sqlite(&path).await.unwrap();
    sqlx::raw_sql("UPDATE article SET price = 3 WHERE id = 6").execute(&mut app).await.unwrap();
    let bytes = |name: &str| std::fs::read(world.directory().join(name)).unwrap();
    let (file, log) = (bytes("target.db"), bytes("target.db-wal"));
    assert!(!log.is_empty());
    let reading = json!({ "attack": "get-foreign", "table": "articles", "key": ["i:6"], "column": "price" });
    assert_eq!(host.attack(TENANT, reading).await.unwrap().state, State::NothingToDo);
    assert!(bytes("target.db") == file && bytes("target.db-wal") == log);
    // A rehearsal is a transaction that is rolled back: it may not reach the file either.
    assert!(is_ready(&host.attack(TENANT, mixed()).await.unwrap()));
    assert!(bytes("target.db") == file);
    app.close().await.unwrap();
}

async fn app(world: &World) -> PgConnection {
    PgConnection::connect(&world.url()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_schema_change_does_not_wait_for_a_dry_run_and_nobody_waits_behind_it() {
    let mut world = shop(Engine::Postgres).await;
    world.database_keys = format!("dry_run_lock_ms_max = {LOCK_MS_MAX}");
    let host = Arc::new(world.host().await);
    let held = hold(Arc::clone(&host), mixed()).await;
    held.stands();
    let (mut alters, mut writes) = (app(&world).await, app(&world).await);
    let start = Instant::now();
    let alter = sqlx::raw_sql("ALTER TABLE article ADD COLUMN colour TEXT").execute(&mut alters);
    let write = sqlx::raw_sql("UPDATE article SET price = 4 WHERE id = 6").execute(&mut writes);
    let both = tokio::time::timeout(PATIENCE / 2, async { tokio::join!(alter, write) });
    let (altered, written) = both.await.expect("the application waits for a dry run");
    altered.unwrap();
    written.unwrap();
    // The dry run held them for no longer than it may; the rest is a slow machine's.
    assert!(start.elapsed() < Duration::from_millis(LOCK_MS_MAX * 20), "{:?}", start.elapsed());
    let altered = world.dump_everything().await;
    let problem = held.let_go().await.unwrap_err();
    assert_eq!(problem.code, Code::LockWait, "{problem:?}");
    let run = host.store().run(mendwright_store::RunNumber::new(1)).await.unwrap();
    assert_eq!(run.state, State::Failed, "it can be planned again");
    altered.assert_unchanged(&world.dump_everything().await);
    assert!(is_ready(&host.attack(TENANT, mixed()).await.unwrap()));
}

/// A dry run that nobody waits for is left alone, however long it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_long_dry_run_that_nobody_waits_for_goes_on() {
    let mut world = shop(Engine::Postgres).await;
    world.database_keys = format!("dry_run_lock_ms_max = {LOCK_MS_MAX}");
    let host = Arc::new(world.host().await);
    let held = hold(host, json!({ "attack": "mixed", "table": "articles", "updates": mixed()["updates"] })).await;
    held.stands();
    let mut connection = app(&world).await;
    let until = Instant::now() + Duration::from_millis(LOCK_MS_MAX * 4);
    while Instant::now() < until {
        sqlx::raw_sql("UPDATE article SET price = price + 1 WHERE id = 6").execute(&mut connection).await.unwrap();
    }
    let run = held.let_go().await.unwrap();
    assert!(is_ready(&run));
}

#[tokio::test]
async fn a_rehearsal_gives_up_when_the_application_holds_a_lock_and_holds_nothing_itself() {
    for engine in ENGINES {
        let mut world = shop(engine).await;
        world.database_keys = format!("dry_run_lock_ms_max = {LOCK_MS_MAX}");
        let host = world.host().await;
        let run = match engine {
            Engine::Sqlite => {
                let path = world.directory().join("target.db");
                let mut app = mendwright_tests::chinook::connect_sqlite(&path).await.unwrap();
                sqlx::raw_sql("BEGIN IMMEDIATE; UPDATE article SET note = 'mine' WHERE id = 1")
                    .execute(&mut app)
                    .await
                    .unwrap();
                let run = tokio::time::timeout(PATIENCE, host.attack(TENANT, mixed())).await.unwrap().unwrap();
                sqlx::raw_sql("COMMIT").execute(&mut app).await.unwrap();
                run
            }
            Engine::Postgres => {
                let mut app = app(&world).await;
                sqlx::raw_sql("BEGIN; UPDATE article SET note = 'mine' WHERE id = 1").execute(&mut app).await.unwrap();
                let run = tokio::time::timeout(PATIENCE, host.attack(TENANT, mixed())).await.unwrap().unwrap();
                sqlx::raw_sql("COMMIT").execute(&mut app).await.unwrap();
                run
            }
        };
        let plan = host.store().load_plan(run.number).await.unwrap();
        assert_eq!((is_ready(&run), plan.document.rehearsal.passed), (true, None), "{engine:?}");
        assert!(!plan.document.rehearsal.detail.is_empty(), "it says why");
        assert_eq!(world.value("SELECT note FROM article WHERE id = 1").await, "mine", "{engine:?}");
    }
}

/// Dry runs need no right to write anything, nor a role that has one.
#[tokio::test]
async fn a_role_that_cannot_write_is_enough_for_a_dry_run() {
    let mut world = shop(Engine::Postgres).await;
    let mut app = app(&world).await;
    let database: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut app).await.unwrap();
    let role = format!("reader_{database}");
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA mendwright TO {role};
         GRANT SELECT ON article, mendwright.meta TO {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&mut app).await.unwrap();
    world.database_keys = "read_url = { env = \"READ_URL\" }".to_owned();
    let url_as = |role: &str| world.url().replacen("postgres://postgres@", &format!("postgres://{role}@"), 1);
    assert_ne!(url_as("x"), world.url());
    // The role that would write does not even exist.
    let (write, read) = (url_as("nobody_at_all"), url_as(&role));
    let env = Env::of([("TARGET_URL", write.as_str()), ("READ_URL", read.as_str())]);
    let path = world.directory().join("mendwright.toml");
    std::fs::write(&path, world.config_text()).unwrap();
    let host = Host::open(Config::load(&path).unwrap(), env).await.unwrap();
    let before = world.dump_everything().await;
    let run = host.attack(TENANT, crate::shop::prices("none", &[(1, "2.5")])).await.unwrap();
    assert!(is_ready(&run));
    let plan = host.store().load_plan(run.number).await.unwrap();
    assert_eq!(plan.document.rehearsal.passed, None, "there is nobody to rehearse it");
    let applied = host.confirm(&run).await;
    assert!(applied.is_err() || applied.is_ok_and(|applied| applied.problem.is_some()));
    before.assert_unchanged(&world.dump_everything().await);

    // The reading role could not have written, whatever had asked it to.
    let mut reader = PgConnection::connect(&read).await.unwrap();
    let denied = sqlx::raw_sql("UPDATE article SET price = 0").execute(&mut reader).await;
    assert!(denied.is_err());
}

/// Neither one that made a plan nor one whose component died leaves anything open in the target.
#[tokio::test]
async fn a_dry_run_leaves_no_transaction_open() {
    let world = shop(Engine::Postgres).await;
    let host = world.host().await;
    assert!(is_ready(&host.attack(TENANT, mixed()).await.unwrap()));
    host.attack(TENANT, json!({ "attack": "panic" })).await.unwrap_err();
    let open = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND \
                application_name = 'mendwright'";
    let deadline = Instant::now() + PATIENCE;
    while world.value(open).await != "0" {
        assert!(Instant::now() < deadline, "connections of a dry run stay open");
        tokio::task::yield_now().await;
    }
}
