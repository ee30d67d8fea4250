//! Bad input: each mistake of a person gives its own code, says what to do, ends with the documented exit
//! code, and changes nothing.

use std::path::Path;

use mendwright::config::Config;
use mendwright::config::env::Env;
use mendwright::engine::Host;
use mendwright::view::problem::Problem;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_store::{RunNumber, RunRecord};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::hostile::{GRANT, REQUEST, attack, chinook, seen};
use crate::world::{ENGINES, Engine, Short as _, World};

/// The code, words for a person, something to do, the exit code that scripts see.
#[track_caller]
fn clear(told: &str, problem: &Problem, code: Code, exit: u8) {
    assert_eq!(problem.code, code, "{told}: {problem:?}");
    assert!(problem.message.len() > 10, "{told}: {problem:?}");
    assert!(!problem.detail.is_empty() || !problem.next.is_empty(), "{told}: no hint in {problem:?}");
    assert_eq!(problem.exit().number(), exit, "{told}: {problem:?}");
    let whole = format!("{problem:?}");
    for ours in ["sqlx::", "panicked", "RustBacktrace", "SqliteError", "PgDatabaseError"] {
        assert!(!whole.contains(ours), "{told}: {problem:?}");
    }
}

pub(crate) async fn ready(engine: Engine) -> World {
    let world = chinook(engine, GRANT).await;
    world.install_hostile(REQUEST);
    world
}

async fn planned(host: &Host) -> RunRecord {
    host.attack("Germany", json!({"attack": "none", "value": "d:9.90"})).await.unwrap()
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    for engine in ENGINES {
        let world = ready(engine).await;
        let host = world.host().await;
        let before = world.dump_everything().await;
        clear("job", &host.plan_of("hostil", "Germany", json!({})).await.unwrap_err(), Code::JobUnknown, 1);
        let nobody = RunNumber::new(4_711);
        clear("apply", &host.apply(nobody, "0123456789abcdef", "person:alice").await.unwrap_err(), Code::RunUnknown, 1);
        clear("undo", &host.undo_preview(nobody).await.unwrap_err(), Code::RunUnknown, 1);
        clear("verify", &host.verify(nobody).await.map(drop).unwrap_err(), Code::RunUnknown, 1);
        clear("database", &host.target("targt").unwrap_err(), Code::DatabaseUnknown, 1);

        // A tenant that is nobody has no rows: nothing to do, and no mistake that could be told apart.
        let nobody = attack(&host, "Atlantis", json!({"attack": "scan-foreign", "column": "id", "value": "i:1"})).await;
        assert_eq!(nobody.state(), State::NothingToDo, "{engine:?} {nobody:?}");
        assert!(nobody.log.iter().any(|line| line == "rows: []"), "{engine:?} {:?}", nobody.log);
        let run = host.plan_of("hostile", "Atlantis", json!({"attack": "update-foreign"})).await.unwrap();
        assert_eq!(run.state, State::NothingToDo);
        clear(
            "nothing",
            &host.apply(run.number, "0123456789abcdef", "person:alice").await.unwrap_err(),
            Code::RunState,
            1,
        );
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_digest_that_is_not_the_plans_applies_nothing() {
    for engine in ENGINES {
        let world = ready(engine).await;
        let host = world.host().await;
        let run = planned(&host).await;
        let before = world.dump_everything().await;
        let digest = run.plan_digest.unwrap().hex();
        for (typed, code, exit) in [
            ("", Code::ConfirmMissing, 5),
            (&digest[..15], Code::ConfirmMissing, 5),
            ("0123456789abcdef", Code::ConfirmMismatch, 3),
            (&digest[1..], Code::ConfirmMismatch, 3),
            (&format!("{digest}00"), Code::ConfirmMismatch, 3),
            ("yes, I am quite sure about it", Code::ConfirmMismatch, 3),
        ] {
            clear(typed, &host.apply(run.number, typed, "person:alice").await.unwrap_err(), code, exit);
        }
        before.assert_unchanged(&world.dump_everything().await);
        assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded, "{engine:?}");
        let used = host.apply(run.number, &digest, "person:alice").await.unwrap_err();
        clear("twice", &used, Code::PlanUsed, 3);
    }
}

#[tokio::test]
async fn a_manifest_or_a_component_that_is_none_says_so() {
    for engine in ENGINES {
        let world = ready(engine).await;
        let host = world.host().await;
        let before = world.dump_everything().await;
        let directory = world.directory().join("jobs/hostile");
        let manifest = std::fs::read_to_string(directory.join("job.toml")).unwrap();
        let mistakes = [
            ("summary =", "sumary =", Code::ManifestInvalid),
            ("level = 1", "level = 7", Code::ManifestInvalid),
            ("level = 1", "level = \"low\"", Code::ManifestInvalid),
            ("version = \"1.0.0\"", "version = \"one\"", Code::ManifestInvalid),
            ("operations = [\"update\"]", "operations = [\"upsert\"]", Code::ManifestInvalid),
            ("[request.invoices]", "[request.invoices", Code::ManifestInvalid),
            ("mendwright:repair@0.1.0", "mendwright:repair@9.0.0", Code::ManifestWit),
        ];
        for (from, to, code) in mistakes {
            assert!(manifest.contains(from), "{from}");
            std::fs::write(directory.join("job.toml"), manifest.replace(from, to)).unwrap();
            let problem = host.attack("Germany", json!({})).await.unwrap_err();
            clear(to, &problem, code, 1);
            assert!(problem.detail.join("\n").contains("job.toml:"), "{to}: it points at the line: {problem:?}");
        }
        std::fs::write(directory.join("job.toml"), &manifest).unwrap();

        let component = std::fs::read(directory.join("hostile.wasm")).unwrap();
        let not_components: [(&str, Option<&[u8]>); 5] = [
            ("a core module", Some(b"\0asm\x01\0\0\0")),
            ("text", Some(b"#!/bin/sh\necho hello\n")),
            ("nothing", Some(b"")),
            ("half of it", component.get(..component.len() / 2)),
            ("no file", None),
        ];
        for (what, bytes) in not_components {
            match bytes {
                Some(bytes) => std::fs::write(directory.join("hostile.wasm"), bytes).unwrap(),
                None => std::fs::remove_file(directory.join("hostile.wasm")).unwrap(),
            }
            clear(what, &host.attack("Germany", json!({})).await.unwrap_err(), Code::ComponentInvalid, 1);
        }
        std::fs::write(directory.join("hostile.wasm"), &component).unwrap();

        let schema = r#"{"type": "object", "required": ["rate"], "properties": {"rate": {"type": "integer"}}}"#;
        std::fs::write(directory.join("params.schema.json"), schema).unwrap();
        for params in [json!({}), json!({"rate": "7"}), json!([])] {
            clear("params", &host.attack("Germany", params).await.unwrap_err(), Code::ParamInvalid, 1);
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_binding_that_the_database_does_not_have_is_refused_before_anything_runs() {
    for engine in ENGINES {
        let mut world = ready(engine).await;
        let bindings = world.bindings.clone();
        let before = world.dump_everything().await;
        let (table, total, customer) = match engine {
            Engine::Sqlite => ("table = \"Invoice\"", "\"Total\"", "\"CustomerId\""),
            Engine::Postgres => ("table = \"invoice\"", "\"total\"", "\"customer_id\""),
        };
        for (what, from, to, code) in [
            ("table", table, "table = \"Invoyce\"", Code::TableUnknown),
            ("column", total, "\"Totl\"", Code::ColumnUnknown),
            ("unlisted column", customer, "\"Customer\"", Code::ColumnUnknown),
            ("key", "key = [\"id\"]\ntenant = { column", "key = [\"customer\"]\ntenant = { column", Code::KeyUnusable),
        ] {
            assert!(bindings.contains(from), "{from}");
            world.bindings = bindings.replacen(from, to, 1);
            let host = world.host().await;
            let outcome = host.attack("Germany", json!({"attack": "clock"})).await;
            let seen = seen(&host, outcome).await;
            clear(what, seen.problem.as_ref().unwrap(), code, 1);
            assert!(seen.log.is_empty(), "{engine:?} {what}: nothing ran");
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_type_that_the_columns_values_do_not_have_is_refused() {
    for engine in ENGINES {
        let mut world = ready(engine).await;
        world.bindings =
            world.bindings.replacen("type = \"decimal(10,2)\", currency = \"USD\"", "type = \"timestamp\"", 1);
        let before = world.dump_everything().await;
        let host = world.host().await;
        let seen = attack(&host, "Germany", json!({"attack": "get-foreign", "column": "total"})).await;
        // What the database holds is no mistake of the job's alone: it is told, and may leave the row out.
        let told = seen.log.iter().any(|line| line.contains("ERR_VALUE_UNREADABLE"));
        let refused = seen.code() == Some(Code::ConfigValue);
        assert!(told || refused, "{engine:?} {seen:?}");
        assert!(!seen.log.iter().any(|line| line.contains("rows: [Some")), "{engine:?} {:?}", seen.log);
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_row_whose_tenant_is_null_is_nobodys() {
    for engine in ENGINES {
        let world = ready(engine).await;
        let set = match engine {
            Engine::Sqlite => r#"UPDATE "Invoice" SET "BillingCountry" = NULL WHERE "InvoiceId" = 1"#,
            Engine::Postgres => "UPDATE invoice SET billing_country = NULL WHERE invoice_id = 1",
        };
        world.sql(set).await;
        let before = world.dump_everything().await;
        let host = world.host().await;
        for tenant in ["Germany", "", "NULL"] {
            let seen = attack(&host, tenant, json!({"attack": "none", "value": "d:9.90"})).await;
            assert_eq!(seen.state(), State::NothingToDo, "{engine:?} {tenant:?} {seen:?}");
            assert!(seen.log.iter().any(|line| line.contains("ERR_ROW_UNKNOWN")), "{engine:?} {:?}", seen.log);
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

async fn content(store: &mut sqlx::SqliteConnection) -> Vec<String> {
    let sql = "SELECT run || digest || header FROM plans UNION ALL SELECT run || seq || leaf FROM plan_changes";
    sqlx::query_scalar(sql).fetch_all(store).await.unwrap()
}

/// Edits the control store as somebody would who has its file.
async fn edit(world: &World, sql: &str) {
    let path = world.directory().join("control.db");
    let mut store = mendwright_tests::chinook::connect_sqlite(&path).await.unwrap();
    let before = content(&mut store).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut store).await.unwrap();
    assert_ne!(before, content(&mut store).await, "{sql} edited nothing, {done:?}");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_plan_that_was_edited_by_hand_is_not_applied() {
    for engine in ENGINES {
        let world = ready(engine).await;
        for sql in [
            "UPDATE plan_changes SET leaf = replace(leaf, '9.9', '9999.9')",
            "UPDATE plan_changes SET leaf = replace(leaf, 'total', 'totals')",
            "DELETE FROM plan_changes",
            "UPDATE plans SET header = replace(header, 'Germany', 'France')",
            "UPDATE plans SET header = replace(header, '\"level\":3', '\"level\":1')",
            "UPDATE plans SET digest = replace(digest, substr(digest, -4), '0000')",
        ] {
            let host = world.host().await;
            let run = planned(&host).await;
            drop(host);
            edit(&world, &format!("{sql} WHERE run = {}", run.number.get())).await;
            let before = world.dump_everything().await;
            let host = world.host().await;
            let problem = host.confirm(&run).await.map(|applied| applied.run.state);
            let Err(problem) = problem else { panic!("{engine:?} {sql}: {problem:?}") };
            assert!(matches!(problem.code, Code::PlanTampered | Code::StoreCorrupt), "{engine:?} {sql} {problem:?}");
            clear(sql, &problem, problem.code, 1);
            before.assert_unchanged(&world.dump_everything().await);
        }
    }
}

#[tokio::test]
async fn what_was_changed_after_the_approval_is_not_applied() {
    for engine in ENGINES {
        let mut world = ready(engine).await;
        let bindings = world.bindings.clone();
        let manifest = world.directory().join("jobs/hostile/job.toml");
        let component = world.directory().join("jobs/hostile/hostile.wasm");
        let (manifest_text, wasm) = (std::fs::read_to_string(&manifest).unwrap(), std::fs::read(&component).unwrap());
        for what in ["class", "sensitive", "another column", "grant's limit", "summary", "budget", "component"] {
            let host = world.host().await;
            let run = planned(&host).await;
            drop(host);
            match what {
                "class" => world.bindings = bindings.replacen("class = \"ledger\"", "class = \"ordinary\"", 1),
                "sensitive" => world.bindings = bindings.replacen(", sensitive = true", "", 1),
                "another column" => world.bindings = bindings.replacen("customer = ", "# customer = ", 1),
                "grant's limit" => world.bindings = format!("{bindings}limits = {{ rows_changed = 7 }}\n"),
                "summary" => std::fs::write(&manifest, manifest_text.replace("Attacks.", "Heals.")).unwrap(),
                "budget" => {
                    std::fs::write(&manifest, format!("{manifest_text}\n[budget]\nrows_changed = 9\n")).unwrap()
                }
                _ => {
                    // A custom section: the same code, other bytes.
                    let mut other = wasm.clone();
                    other.extend([0, 2, 1, b'x']);
                    std::fs::write(&component, other).unwrap();
                }
            }
            let before = world.dump_everything().await;
            let host = world.host().await;
            let applied = host.confirm(&run).await.unwrap();
            let problem = applied.problem.unwrap_or_else(|| panic!("{engine:?} {what} was applied"));
            assert_eq!(
                (problem.code, applied.run.state),
                (Code::PlanBinding, State::Refused),
                "{engine:?} {what} {problem:?}"
            );
            assert_eq!(problem.exit().number(), 1);
            before.assert_unchanged(&world.dump_everything().await);
            world.bindings.clone_from(&bindings);
            std::fs::write(&manifest, &manifest_text).unwrap();
            std::fs::write(&component, &wasm).unwrap();
        }
    }
}

/// Puts another database where the world's own was.
async fn replace_target(world: &World, initialized: bool) -> Env {
    match world.engine {
        Engine::Sqlite => {
            let path = world.directory().join("target.db");
            if initialized {
                let other = World::chinook(Engine::Sqlite).await;
                let from = other.directory().join("target.db");
                let mut app = mendwright_tests::chinook::connect_sqlite(&from).await.unwrap();
                sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut app).await.unwrap();
                app.close().await.unwrap();
                for ending in ["-wal", "-shm"] {
                    let _ = std::fs::remove_file(world.directory().join(format!("target.db{ending}")));
                }
                std::fs::copy(&from, &path).unwrap();
            } else {
                mendwright_tests::chinook::write_sqlite(&path, mendwright_tests::chinook::Journal::Wal).await.unwrap();
            }
            world.env()
        }
        Engine::Postgres => {
            let other = if initialized {
                let other = World::chinook(Engine::Postgres).await;
                other.url()
            } else {
                mendwright_tests::postgres::Cluster::shared().database("bare").await.unwrap().url
            };
            Env::of([("TARGET_URL", other.as_str())])
        }
    }
}

#[tokio::test]
async fn a_plan_for_another_database_is_not_applied() {
    for engine in ENGINES {
        let world = ready(engine).await;
        let host = world.host().await;
        let run = planned(&host).await;
        drop(host);
        let env = replace_target(&world, true).await;
        let host = Host::open(world.config(), env).await.unwrap();
        let applied = host.confirm(&run).await.unwrap();
        let problem = applied.problem.unwrap();
        assert_eq!((problem.code, applied.run.state), (Code::TargetChanged, State::Refused), "{engine:?} {problem:?}");
        assert_eq!(problem.exit().number(), 1);
    }
}

#[tokio::test]
async fn a_target_that_is_not_initialised_or_not_there_says_what_to_type() {
    for engine in ENGINES {
        let world = ready(engine).await;
        let env = replace_target(&world, false).await;
        let host = Host::open(world.config(), env).await.unwrap();
        let problem = host.attack("Germany", json!({"attack": "clock"})).await.unwrap_err();
        clear("bare", &problem, Code::TargetUninitialized, 1);
        assert!(problem.next.iter().any(|next| next.command.contains("database init")), "{engine:?} {problem:?}");

        let gone = match engine {
            Engine::Sqlite => {
                for ending in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(world.directory().join(format!("target.db{ending}")));
                }
                world.env()
            }
            // Port 1 is nobody's.
            Engine::Postgres => Env::of([("TARGET_URL", "postgres://postgres@127.0.0.1:1/x?sslmode=disable")]),
        };
        let host = Host::open(world.config(), gone).await.unwrap();
        let problem = host.attack("Germany", json!({"attack": "clock"})).await.unwrap_err();
        clear("gone", &problem, Code::TargetUnavailable, 1);
        if engine == Engine::Sqlite {
            assert!(!world.directory().join("target.db").exists(), "looking for a database must not make one");
        }
    }
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_named() {
    let world = ready(Engine::Postgres).await;
    let before = world.dump_everything().await;
    let host = Host::open(world.config(), Env::of([])).await.unwrap();
    let problem = host.attack("Germany", json!({"attack": "clock"})).await.unwrap_err();
    clear("variable", &problem, Code::ConfigEnvironment, 1);
    assert!(format!("{problem:?}").contains("TARGET_URL"), "{problem:?}");
    before.assert_unchanged(&world.dump_everything().await);
}

#[tokio::test]
async fn a_control_store_that_cannot_be_opened_is_named() {
    let world = ready(Engine::Sqlite).await;
    let before = world.dump_everything().await;
    let open = async |url: &str| {
        let path = world.directory().join("mendwright.toml");
        std::fs::write(&path, world.config_text().replace("sqlite:control.db", url)).unwrap();
        Host::open(Config::load(&path).unwrap_or_else(|error| panic!("{error}")), world.env()).await
    };
    std::fs::write(world.directory().join("a-file"), "not a directory").unwrap();
    std::fs::write(
        world.directory().join("text.db"),
        "this is no database, and it is long enough to be seen\n".repeat(50),
    )
    .unwrap();
    std::fs::create_dir(world.directory().join("folder.db")).unwrap();
    for url in ["sqlite:a-file/control.db", "sqlite:text.db", "sqlite:folder.db", "sqlite:/proc/mendwright/control.db"]
    {
        let Err(problem) = open(url).await else { panic!("{url} was opened") };
        let code = problem.code;
        assert!(matches!(code, Code::StoreUnavailable | Code::StoreCorrupt | Code::Io), "{url} {problem:?}");
        clear(url, &problem, code, 1);
    }
    before.assert_unchanged(&world.dump_everything().await);
}

#[test]
fn a_mistake_in_the_configuration_is_shown_at_its_line() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(ready(Engine::Sqlite));
    let path = world.directory().join("mendwright.toml");
    for (from, to, code) in [
        ("version = 1", "version = 2", Code::ConfigValue),
        ("[jobs]", "[jobbs]", Code::ConfigKey),
        ("adapter = \"sql\"", "adapter = \"nosql\"", Code::ConfigValue),
        ("key = [\"id\"]\n", "", Code::ConfigKey),
        ("key = [\"id\"]", "key = []", Code::ConfigValue),
        ("key = [\"id\"]", "key = [\"uid\"]", Code::ConfigColumn),
        ("database = \"target\"", "database = \"targt\"", Code::ConfigReference),
        ("tenant = { column = \"country\" }", "tenant = { column = \"land\" }", Code::ConfigColumn),
        ("through = \"invoices\"", "through = \"invoyces\"", Code::ConfigReference),
        ("read = [\"id\", \"total\"]", "read = [\"id\", \"totl\"]", Code::ConfigColumn),
        ("write = [\"total\"]", "write = [\"country\"]", Code::ColumnFixed),
        ("[resource.invoices]", "[resource.invoices", Code::ConfigSyntax),
    ] {
        let text = world.config_text();
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let Err(error) = Config::load(&path) else { panic!("{to} was read") };
        assert_eq!(error.first().code, code, "{to}: {error}");
        assert!(error.to_string().contains("mendwright.toml:"), "{to} points nowhere: {error}");
    }
    let Err(error) = Config::load(Path::new("/nowhere/mendwright.toml")) else { panic!("read") };
    assert_eq!(error.first().code, Code::ConfigUnreadable);
}
