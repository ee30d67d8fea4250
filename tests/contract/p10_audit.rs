//! P10: the audit trail is complete and tamper-evident.

use std::path::Path;
use std::process::{Command, Output};

use mendwright_core::id::RunId;
use mendwright_core::key::SecretKey;
use mendwright_core::merkle::Tree;
use mendwright_core::note::VerifierKey;
use mendwright_core::run::State;
use mendwright_core::switch::{Kind, Running, Scope, Switch};
use mendwright_core::tlog::{Checkpoint, Damage, TilePath, tile};
use mendwright_store::{AuditDamage, Entry, LogFilter, Logged, NewRun, Store};
use mendwright_tests::postgres::{Cluster, Database};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::crash::{killed, under_test};
use crate::story::break_books;
use crate::world::{ENGINES, Engine, Short as _, World};

const NOW: i64 = 1_763_608_329_000_000;
const ORIGIN: &str = "mendwright/test";

/// A control store that two hosts have open.
struct Shared {
    hosts: [Store; 2],
    database: Option<Database>,
    _directory: tempfile::TempDir,
}

impl Shared {
    async fn open(engine: Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Cluster::shared().empty_database("audit").await.unwrap()),
        };
        let path = directory.path().join("control.db");
        let open = async |name: &str| match &database {
            None => Store::open_file(&path, name, NOW).await.unwrap(),
            Some(database) => Store::open_postgres(&database.url, name, NOW).await.unwrap(),
        };
        let hosts = [open("host-a").await, open("host-b").await];
        Self { hosts, database, _directory: directory }
    }

    fn url(&self) -> &str {
        &self.database.as_ref().expect("a server").url
    }
}

pub(crate) fn secret() -> SecretKey {
    SecretKey::from_random([5; 32])
}

fn key() -> VerifierKey {
    VerifierKey::new(ORIGIN, secret().public()).unwrap()
}

fn switch(n: usize) -> Switch {
    Switch {
        kind: Kind::ALL[0],
        scope: Scope::Everything,
        is_on: n.is_multiple_of(2),
        reason: format!("throw {n}"),
        by: "person:alice".into(),
        at_us: NOW,
        expires_at_us: None,
        running: Running::Wait,
    }
}

fn new_run(n: usize) -> NewRun {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&n.to_be_bytes());
    NewRun {
        id: RunId::from_time(1_763_608_329_000, random),
        tenant: "Germany".into(),
        job_name: "reconcile_invoices".into(),
        job_version: "1.0.0".into(),
        requested_by: "person:alice".into(),
        environment: "test".into(),
        params: serde_json::json!({}),
        frozen_now_us: NOW,
        frozen_seed: "5f1d9ab2c47e0388".into(),
        parent: None,
        compensates: None,
        nonce: "00".repeat(16),
        only: vec![],
    }
}

async fn all(store: &Store) -> Vec<Logged> {
    store.logged(LogFilter { run: None, from: 0, limit: u32::MAX }).await.unwrap()
}

const WRITERS: usize = 6;
const FACTS: usize = 40;

/// Sequences and signs until every fact of every writer has its place.
async fn keep(store: &Store) {
    for round in 0..100_000 {
        store.sequence(7).await.unwrap();
        if round % 5 == 0 {
            store.checkpoint(ORIGIN, &secret()).await.unwrap();
        }
        if store.audit_status().await.unwrap().size == (2 * WRITERS * FACTS) as u64 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("entries are missing: {:?}", store.audit_status().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_append_without_a_gap_or_a_fork() {
    for engine in ENGINES {
        let shared = Shared::open(engine).await;
        let write = async |host: usize, writer: usize| {
            for fact in 0..FACTS {
                let n = (host * WRITERS + writer) * FACTS + fact;
                if writer.is_multiple_of(2) {
                    shared.hosts[host].throw(&switch(n)).await.unwrap();
                } else {
                    shared.hosts[host].create_run(new_run(n), NOW).await.unwrap();
                }
            }
        };
        let writers = (0..2).flat_map(|host| (0..WRITERS).map(move |writer| (host, writer)));
        let writing = futures::future::join_all(writers.map(|(host, writer)| write(host, writer)));
        futures::join!(writing, keep(&shared.hosts[0]), keep(&shared.hosts[1]));

        let [one, two] = &shared.hosts;
        let entries = all(one).await;
        assert_eq!(entries, all(two).await);
        let mut said: Vec<String> = Vec::new();
        let mut tree = Tree::default();
        for (place, logged) in (0..).zip(&entries) {
            assert_eq!(logged.leaf, place, "{engine:?}");
            tree.push(&logged.bytes);
            let Entry { kind, body, .. } = logged.entry().unwrap();
            said.push(format!("{kind} {}", body.get("reason").or(body.get("id")).unwrap()));
        }
        said.sort();
        let mut told: Vec<String> = (0..2 * WRITERS * FACTS)
            .map(|n| match (n / FACTS).is_multiple_of(2) {
                true => format!("switch.thrown {}", switch(n).reason),
                false => format!("run.begun {}", new_run(n).id),
            })
            .collect();
        told.sort();
        assert_eq!(said, told, "{engine:?}: every fact once");
        let last = two.checkpoint(ORIGIN, &secret()).await.unwrap().unwrap();
        let last = Checkpoint::open(&last.note, &key()).unwrap();
        assert_eq!((last.size, last.root), (tree.size(), tree.root()));
        let report = one.verify_audit(&key(), std::slice::from_ref(&last)).await.unwrap();
        assert!(report.is_intact() && report.checkpoints > 1, "{engine:?} {report:?}");
        if engine == Engine::Postgres {
            changed_bytes_are_found(&shared, &last).await;
        }
    }
}

/// On the server: each table of the log, changed by somebody who may.
async fn changed_bytes_are_found(shared: &Shared, trusted: &Checkpoint) {
    let mut conn = sqlx::PgConnection::connect(shared.url()).await.unwrap();
    let signed = |damage| AuditDamage::Signed(trusted.size, damage);
    for (sql, found) in [
        (
            "UPDATE audit_leaves SET entry = replace(entry, 'alice', 'alicf') WHERE leaf = 300",
            signed(Damage::Changed { index: 300 }),
        ),
        ("DELETE FROM audit_leaves WHERE leaf = 5", signed(Damage::Missing { index: 5 })),
        ("UPDATE audit_entries SET actor = 'person:bob' WHERE leaf = 7", AuditDamage::Entry(7)),
        ("DELETE FROM audit_entries WHERE leaf = 8", AuditDamage::Entry(8)),
        ("UPDATE audit_nodes SET hash = upper(hash)", AuditDamage::Node(1, 0)),
        ("DELETE FROM audit_nodes", AuditDamage::Node(1, 0)),
        ("UPDATE audit_checkpoints SET note = note || ' ' WHERE seq = 2", AuditDamage::Checkpoint(2)),
        ("DELETE FROM audit_checkpoints WHERE seq = 1", AuditDamage::Checkpoint(1)),
        ("UPDATE counters SET value = value - 1 WHERE name = 'audit_leaf'", AuditDamage::Counter("entries")),
    ] {
        // The report is asked of a copy: what was done is undone with it.
        let copy = Cluster::shared().empty_database("copy").await.unwrap();
        copy_log(&mut conn, &copy).await;
        let mut other = sqlx::PgConnection::connect(&copy.url).await.unwrap();
        let sql = format!("SET search_path = mendwright_control; {sql}");
        sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&mut other).await.unwrap();
        let store = Store::open_postgres(&copy.url, "auditor", NOW).await.unwrap();
        let report = store.verify_audit(&key(), std::slice::from_ref(trusted)).await.unwrap();
        assert!(report.damages.contains(&found), "{sql}: {:?}", report.damages);
    }
}

/// The tables of the log, row by row, into another database.
async fn copy_log(from: &mut sqlx::PgConnection, to: &Database) {
    drop(Store::open_postgres(&to.url, "copy", NOW).await.unwrap());
    let mut conn = sqlx::PgConnection::connect(&to.url).await.unwrap();
    sqlx::raw_sql("DELETE FROM mendwright_control.counters").execute(&mut conn).await.unwrap();
    for table in ["counters", "audit_entries", "audit_leaves", "audit_nodes", "audit_checkpoints"] {
        let read = format!("SELECT coalesce(json_agg(t)::text, '[]') FROM mendwright_control.{table} t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(read)).fetch_one(&mut *from).await.unwrap();
        let table = format!("mendwright_control.{table}");
        let write = format!(
            "INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)"
        );
        sqlx::query(AssertSqlSafe(write)).bind(rows).execute(&mut conn).await.unwrap();
    }
}

#[tokio::test]
async fn who_commits_late_is_not_passed_over() {
    let shared = Shared::open(Engine::Postgres).await;
    let [one, two] = &shared.hosts;
    let mut late = sqlx::PgConnection::connect(shared.url()).await.unwrap();
    let mut open = late.begin().await.unwrap();
    let insert = "INSERT INTO mendwright_control.audit_entries (at_us, kind, actor, body, times, once) \
                  VALUES (1, 'test.late', 'host', '{}', 1, 'late')";
    sqlx::query(insert).execute(&mut *open).await.unwrap();
    for n in 0..3 {
        one.throw(&switch(n)).await.unwrap();
    }
    assert_eq!(two.sequence(100).await.unwrap(), 3);
    assert_eq!(two.sequence(100).await.unwrap(), 0);
    open.commit().await.unwrap();
    // Somebody counts it up at this moment: it is taken when it stands still, and nobody waits.
    let mut counting = late.begin().await.unwrap();
    let count = "UPDATE mendwright_control.audit_entries SET times = times + 1 WHERE once = 'late'";
    sqlx::query(count).execute(&mut *counting).await.unwrap();
    one.throw(&switch(3)).await.unwrap();
    assert_eq!(one.sequence(100).await.unwrap(), 1);
    counting.commit().await.unwrap();
    assert_eq!(one.sequence(100).await.unwrap(), 1);
    let entries: Vec<Entry> = all(one).await.iter().map(|logged| logged.entry().unwrap()).collect();
    let last = entries.last().unwrap();
    assert_eq!((last.kind.as_str(), last.times), ("test.late", 2));
    assert!(entries.iter().filter(|entry| entry.kind != "test.late").all(|entry| entry.id > last.id));
}

/// What the command line said.
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn cli(world: &World, typed: &[&str]) -> Said {
    cli_where(world, typed, &[])
}

/// The same with these variables.
pub(crate) fn cli_where(world: &World, typed: &[&str], variables: &[(&str, &Path)]) -> Said {
    drop(world.config());
    let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
    command.arg(world.directory().join("mendwright.toml")).arg("cli").args(typed).env_remove("MENDWRIGHT_CONFIG");
    command.envs(variables.iter().copied());
    let Output { status, stdout, stderr } = command.env("TARGET_URL", world.url()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { exit: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

#[track_caller]
pub(crate) fn done(said: &Said) -> &str {
    assert_eq!(said.exit, 0, "{}{}", said.out, said.err);
    &said.out
}

pub(crate) async fn tamper(world: &World, sql: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.directory().join("control.db"));
    let mut conn = sqlx::ConnectOptions::connect(&options.foreign_keys(false)).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
}

/// A world in which a run was applied, undone and done again, with a place for checkpoints.
pub(crate) async fn repaired(engine: Engine) -> World {
    let mut world = World::chinook(engine).await;
    world.bindings.push_str("\n[audit]\nanchor = [\"file:elsewhere\"]\n");
    break_books(&world, engine).await;
    world.install("reconcile_invoices");
    let host = world.host().await;
    let run = host.plan_of("reconcile_invoices", "Germany", serde_json::json!({})).await.unwrap();
    assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded);
    assert_eq!(host.undo_all(run.number).await.unwrap().run.state, State::RolledBack);
    assert_eq!(host.undo_all(run.number).await.unwrap().run.state, State::Succeeded);
    world
}

fn kinds(world: &World) -> Vec<String> {
    let said = cli(world, &["audit", "tail", "-n", "1000", "--json"]);
    let kind = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["entry"]["kind"].as_str().unwrap().to_owned()
    };
    done(&said).lines().map(kind).collect()
}

#[tokio::test]
async fn what_a_target_holds_is_told_once_however_its_host_died() {
    for engine in ENGINES {
        let world = repaired(engine).await;
        let count = |kind: &str| kinds(&world).iter().filter(|found| *found == kind).count();
        assert_eq!((count("target.flushed"), count("target.rolled_back"), count("run.begun")), (1, 2, 1), "{engine:?}");
        // The next one dies between the target's commit and its own step.
        let host = world.host().await;
        let run = host.plan_of("reconcile_invoices", "France", serde_json::json!({})).await.unwrap();
        drop(host);
        let digest = run.plan_digest.unwrap().hex();
        let apply = ["apply", &run.number.get().to_string(), &digest[..16]];
        killed(&under_test(&world, Some("after_commit:1"), &apply), "after_commit");
        assert_eq!(count("target.flushed"), 1);
        assert_eq!(world.host().await.store().run(run.number).await.unwrap().state, State::Succeeded);
        assert_eq!(count("target.flushed"), 2, "{engine:?}");
    }
}

#[tokio::test]
async fn the_command_line_names_the_entry_that_was_changed() {
    let world = repaired(Engine::Sqlite).await;
    let said = cli(&world, &["audit", "checkpoint"]);
    assert!(done(&said).contains("anchored") && !said.out.contains('▲'), "{}", said.out);
    done(&cli(&world, &["audit", "verify"]));
    // What comes after is signed by nobody yet, and shown so.
    world.host().await.plan_of("reconcile_invoices", "France", serde_json::json!({})).await.unwrap();
    let tail = cli(&world, &["audit", "tail"]);
    assert!(done(&tail).contains("●") && tail.out.contains("·"), "{}", tail.out);
    let said = cli(&world, &["audit", "verify"]);
    assert!(done(&said).contains("not anchored yet"), "{}", said.out);

    tamper(&world, "UPDATE audit_leaves SET entry = replace(entry, 'host', 'h0st') WHERE leaf = 0").await;
    let said = cli(&world, &["audit", "verify"]);
    assert_eq!(said.exit, 1, "{}", said.out);
    assert!(said.err.contains("ERR_AUDIT_TAMPERED") && said.err.contains("entry 0 was changed"), "{}", said.err);
    tamper(&world, "UPDATE audit_leaves SET entry = replace(entry, 'h0st', 'host') WHERE leaf = 0").await;
    done(&cli(&world, &["audit", "verify"]));
    tamper(&world, "DELETE FROM audit_entries WHERE leaf = 2").await;
    let said = cli(&world, &["--json", "audit", "verify"]);
    assert_eq!(said.exit, 1, "{}", said.out);
    let record: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((record["intact"].as_bool(), record["damages"].as_array().unwrap().len()), (Some(false), 1), "{record}");
}

#[tokio::test]
async fn a_store_put_back_to_an_earlier_day_signs_nothing() {
    let world = repaired(Engine::Sqlite).await;
    done(&cli(&world, &["audit", "checkpoint"]));
    let elsewhere = world.directory().join("elsewhere");
    let control = world.directory().join("control.db");
    tamper(&world, &format!("VACUUM INTO '{}'", control.with_extension("backup").display())).await;
    world.host().await.plan_of("reconcile_invoices", "France", serde_json::json!({})).await.unwrap();
    done(&cli(&world, &["audit", "checkpoint"]));
    let later = std::fs::read_to_string(&elsewhere).unwrap();
    assert_eq!(later.matches("\u{2014} mendwright/").count(), 2, "{later}");

    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(world.directory().join(format!("control.db{ending}")));
    }
    std::fs::copy(control.with_extension("backup"), &control).unwrap();
    for typed in [["audit", "checkpoint"], ["audit", "verify"]] {
        let said = cli(&world, &typed);
        assert_eq!(said.exit, 1, "{typed:?} {}", said.out);
    }
    // However much happens from here on, it is another log's.
    for tenant in ["France", "Portugal", "Germany"] {
        world.host().await.plan_of("reconcile_invoices", tenant, serde_json::json!({})).await.unwrap();
    }
    let said = cli(&world, &["audit", "checkpoint"]);
    assert!(said.exit == 1 && said.err.contains("ERR_AUDIT_FORKED"), "{}", said.err);
    let kept = world.host().await.keep_audit().await;
    assert!(kept.is_err() || kept.is_ok_and(|kept| kept.signed.is_none()));
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), later, "nothing was written there");
    // Another key is another log.
    let other = elsewhere.with_extension("other");
    let foreign = Checkpoint::new("other/log", 3, [0; 32]).sign(&secret()).unwrap().to_string();
    std::fs::write(&other, foreign).unwrap();
    let said = cli(&world, &["audit", "verify", "--checkpoint", other.to_str().unwrap()]);
    assert!(said.exit == 1 && said.err.contains("holds no checkpoint"), "{}", said.err);
}

#[tokio::test]
async fn a_proof_is_verified_offline_and_fails_with_any_bit_flipped() {
    let world = repaired(Engine::Sqlite).await;
    let file = world.directory().join("proof.json");
    let path = file.to_str().unwrap();
    done(&cli(&world, &["audit", "prove", "@last", "-o", path]));
    let key = cli(&world, &["audit", "key"]);
    let key = done(&key).trim();
    // Nothing of the host is there: neither its store nor its configuration.
    let alone = tempfile::tempdir().unwrap();
    let check_with = |file: &Path, key: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
        command.arg(alone.path().join("none.toml")).args(["cli", "audit", "check"]).arg(file).args(["--key", key]);
        command.args(more).current_dir(alone.path()).env_clear().output().unwrap()
    };
    let check = |file: &Path, key: &str| check_with(file, key, &[]);
    let whole = check(&file, key);
    assert!(whole.status.success(), "{whole:?}");
    assert!(String::from_utf8_lossy(&whole.stdout).contains("target.flushed"));
    // The checkpoint that it leads to went elsewhere before it was handed out.
    std::fs::copy(world.directory().join("elsewhere"), alone.path().join("anchored")).unwrap();
    assert!(check_with(&file, key, &["--checkpoint", "anchored"]).status.success());
    let text = std::fs::read_to_string(alone.path().join("anchored")).unwrap();
    let fork = Checkpoint::new("x", 1, [0; 32]).sign(&secret()).unwrap().to_string();
    std::fs::write(alone.path().join("anchored"), text.replace("\u{2014}", "-") + &fork).unwrap();
    assert_eq!(check_with(&file, key, &["--checkpoint", "anchored"]).status.code(), Some(1));
    let proof = std::fs::read(&file).unwrap();
    let flipped = alone.path().join("flipped.json");
    for (n, at) in (0..proof.len()).step_by(proof.len() / 120).enumerate() {
        let mut bytes = proof.clone();
        bytes[at] ^= 1 << (n % 7);
        std::fs::write(&flipped, bytes).unwrap();
        assert_eq!(check(&flipped, key).status.code(), Some(1), "byte {at}");
    }
    let other = VerifierKey::new(key.split('+').next().unwrap(), secret().public()).unwrap().to_string();
    assert_eq!(check(&file, &other).status.code(), Some(1), "another key");
}

#[tokio::test]
async fn what_is_exported_is_all_that_a_witness_needs() {
    let world = repaired(Engine::Sqlite).await;
    let directory = world.directory().join("log");
    let path = directory.to_str().unwrap();
    let mut seen: Option<(u64, Vec<u8>)> = None;
    for tenant in ["France", "Portugal"] {
        done(&cli(&world, &["audit", "export", path]));
        let key: VerifierKey = done(&cli(&world, &["audit", "key"])).trim().parse().unwrap();
        let note = std::fs::read_to_string(directory.join("checkpoint")).unwrap();
        let checkpoint = Checkpoint::open(&note, &key).unwrap();
        let mut tree = Tree::default();
        for path in TilePath::added(0, checkpoint.size) {
            let bytes = std::fs::read(directory.join(path.to_string())).unwrap();
            if path.tile() == tile::Tile::Entries {
                tile::unbundle(&bytes).unwrap().iter().for_each(|entry| tree.push(entry));
            } else {
                assert_eq!(tile::hashes(&bytes).unwrap().len(), usize::from(path.width()));
            }
        }
        assert_eq!(tree.root(), checkpoint.root);
        // What was there before is a beginning of it, byte for byte.
        let first = TilePath::of_size(tile::Tile::Entries, 0, checkpoint.size).unwrap();
        let bytes = std::fs::read(directory.join(first.to_string())).unwrap();
        if let Some((size, before)) = &seen {
            assert!(checkpoint.size > *size && bytes.starts_with(before));
        }
        seen = Some((checkpoint.size, bytes));
        world.host().await.plan_of("reconcile_invoices", tenant, serde_json::json!({})).await.unwrap();
    }
}
