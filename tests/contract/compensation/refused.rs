//! What cannot be compensated, and what a way back may not do.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::{Value as Json, json};

use super::{applied, compensate, in_force, price, proposed, told, with};
use crate::hostile::seen;
use crate::p2_apply_equals_plan::nothing_applied;
use crate::shop::{REQUESTS, TENANT, bindings, edit_control, prices, shop, warm};
use crate::world::{ENGINES, Engine, Short as _, World, code, is_ready};

#[tokio::test]
async fn what_was_not_applied_or_is_undone_or_compensated_cannot_be() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let planned = host.attack(TENANT, told()).await.unwrap();
        assert_eq!(code(compensate(&host, &planned).await), Code::RunState, "{engine:?}");
        let failed = host
            .attack(TENANT, json!({ "attack": "failure", "table": "articles", "column": "price" }))
            .await
            .unwrap_err();
        assert_eq!(failed.code, Code::JobFailed);
        let failed = host.store().find("@last").await.unwrap();
        assert_eq!(code(compensate(&host, &failed).await), Code::RunState, "{engine:?}");

        host.confirm(&planned).await.unwrap();
        let run = planned;
        let first = compensate(&host, &run).await.unwrap();
        let second = compensate(&host, &run).await.unwrap();
        host.undo_all(run.number).await.unwrap();
        assert_eq!(code(compensate(&host, &run).await), Code::RunState, "{engine:?}: it is undone");
        let undone = world.dump_everything().await;
        let problem = host.confirm(&first).await.unwrap_err();
        assert!(problem.code == Code::RunState && problem.message.contains("is undone"), "{problem:?}");
        undone.assert_unchanged(&world.dump_everything().await);

        // Done again, it can be taken back again, by one plan of the two.
        host.undo_all(run.number).await.unwrap();
        assert_eq!(host.confirm(&first).await.unwrap().run.state, State::Succeeded, "{engine:?}");
        for taken in [compensate(&host, &run).await.map(drop), host.confirm(&second).await.map(drop)] {
            let problem = taken.unwrap_err();
            assert!(problem.code == Code::RunState && problem.message.contains("compensated already"), "{problem:?}");
        }
        assert_eq!(code(compensate(&host, &first).await), Code::RunState, "{engine:?}: a way back has none");
        assert_eq!(host.store().run(second.number).await.unwrap().state, State::Planned, "{engine:?}: not begun");
        host.undo_all(first.number).await.unwrap();
        assert_eq!(host.confirm(&second).await.unwrap().run.state, State::Succeeded, "{engine:?}");
        assert_eq!(in_force(&host, &run).await, Some(second.number));
    }
}

/// An undo of the run and the apply of its compensation exclude each other.
#[tokio::test]
async fn a_run_that_somebody_works_on_is_not_compensated_meanwhile() {
    let world = shop(Engine::Sqlite).await;
    let host = world.host().await;
    let run = applied(&host, told()).await;
    let back = compensate(&host, &run).await.unwrap();
    let before = world.dump_everything().await;
    let lease = host.store().claim(run.number).await.unwrap();
    assert!(host.confirm(&back).await.is_err());
    before.assert_unchanged(&world.dump_everything().await);
    host.store().release(lease).await.unwrap();
    assert_eq!(host.confirm(&back).await.unwrap().run.state, State::Succeeded);
}

/// Puts another component in the place of the hostile one: it does the same, and is not the same.
fn rebuild(world: &World) {
    let path = world.directory().join("jobs/hostile/hostile.wasm");
    let mut wasm = std::fs::read(&path).unwrap();
    // A custom section called `x`, without content.
    wasm.extend([0, 2, 1, b'x']);
    std::fs::write(&path, wasm).unwrap();
}

#[tokio::test]
async fn only_the_component_that_made_the_plan_is_asked() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, told()).await;
        let back = compensate(&host, &run).await.unwrap();
        let before = world.dump().await;
        rebuild(&world);
        let problem = compensate(&host, &run).await.unwrap_err();
        assert_eq!(problem.code, Code::PlanBinding, "{engine:?} {problem:?}");
        assert!(problem.next.iter().any(|next| next.command == format!("mendwright undo {}", run.number.get())));
        let refused = host.store().find("@last").await.unwrap();
        assert_eq!((refused.state, refused.compensates), (State::Refused, Some(run.number)), "{engine:?}");
        let done = nothing_applied(&world, &host, &back, "rebuilt").await;
        assert_eq!((done.run.state, done.problem.unwrap().code), (State::Refused, Code::PlanBinding), "{engine:?}");
        host.undo_all(run.number).await.unwrap();
        assert!(before != world.dump().await, "the host's undo needs no component");
    }
}

fn attack(name: &str, key: &str, column: &str, value: &str) -> Json {
    json!({ "attack": name, "table": "articles", "key": [key], "column": column, "value": value })
}

/// Whatever a plan may not do, a way back may not: each attack ends the same in both.
#[tokio::test]
async fn a_way_back_has_no_more_power_than_a_plan() {
    let attacks = [
        (attack("update-foreign", "i:7", "price", "d:1"), None),
        (attack("get-foreign", "i:7", "price", "d:1"), None),
        (attack("delete-foreign", "i:7", "price", "d:1"), None),
        (attack("write-column", "i:1", "tenant", "t:other"), Some(Code::ColumnFixed)),
        (attack("undeclared-column", "i:1", "hidden", "f:1"), Some(Code::ColumnDenied)),
        (json!({ "attack": "undeclared-table", "table": "invoices" }), Some(Code::TableDenied)),
        (json!({ "attack": "failure", "table": "articles", "column": "price" }), Some(Code::JobFailed)),
        (json!({ "attack": "panic", "table": "articles", "column": "price" }), Some(Code::JobTrapped)),
        (json!({ "attack": "unknown-finding", "table": "articles" }), None),
    ];
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        for (attack, wanted) in &attacks {
            let direct = crate::hostile::attack(&host, TENANT, attack.clone()).await;
            let mut params = proposed(attack.clone());
            params["rows"] =
                json!([[["i:1"], format!("d:{}.5", host.store().find("@last").await.unwrap().number.get())]]);
            let run = applied(&host, params).await;
            let before = world.dump_everything().await;
            let outcome = compensate(&host, &run).await;
            let back = seen(&host, outcome).await;
            before.assert_unchanged(&world.dump_everything().await);
            assert_eq!((direct.code(), direct.state()), (back.code(), back.state()), "{engine:?} {attack} {back:?}");
            if let Some(wanted) = wanted {
                assert_eq!(back.code(), Some(*wanted), "{engine:?} {attack} {back:?}");
            }
            assert_eq!(back.log.get(1..), Some(direct.log.as_slice()), "{engine:?} {attack}: and it learns no more");
            assert_eq!(host.undo_all(run.number).await.unwrap().restored, 1, "{engine:?} {attack}");
        }
    }
}

#[tokio::test]
async fn a_table_that_was_granted_then_and_is_not_now_is_refused() {
    for engine in ENGINES {
        let mut world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, told()).await;
        drop(host);
        let (before, grant) = world.bindings.split_once("[grant.hostile]").unwrap();
        world.bindings = format!("{before}[grant.hostile]{}", grant.replace("[\"acme\", \"other\"]", "[\"other\"]"));
        let host = world.host().await;
        assert_eq!(code(compensate(&host, &run).await), Code::GrantMissing, "{engine:?}");
        assert_eq!(host.store().find("@last").await.unwrap().state, State::Denied, "{engine:?}");
    }
}

/// A table of this many rows, all of one tenant.
async fn big(engine: Engine, n: u64) -> World {
    let numbers = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n}) \
         INSERT INTO article (id, tenant, price) SELECT i, 'acme', 1 FROM n"
    );
    let schema = format!(
        "CREATE TABLE article (id BIGINT NOT NULL PRIMARY KEY, tenant TEXT NOT NULL, price NUMERIC(8,2)); {numbers}"
    );
    let bindings = "
[resource.articles]
adapter = \"sql\"
database = \"target\"
table = \"article\"
key = [\"id\"]
tenant = { column = \"tenant\" }
[resource.articles.columns]
id = { column = \"id\", type = \"integer\" }
tenant = \"tenant\"
price = { column = \"price\", type = \"decimal\" }
[grant.hostile]
job = \"hostile@^1\"
tenants = [\"acme\"]
allow.articles = { read = [\"id\", \"price\"], write = [\"price\"], operations = [\"update\"] }
";
    let world = World::of(engine, &schema, bindings).await;
    world.install_hostile(
        "[request.articles]\nread = [\"id\", \"price\"]\nwrite = [\"price\"]\noperations = [\"update\"]\n",
    );
    warm(&world).await;
    world
}

#[tokio::test]
async fn a_component_is_told_of_ten_thousand_rows_and_no_more() {
    for engine in ENGINES {
        let mut world = big(engine, 10_001).await;
        // A rehearsal of so many takes its time in a slow build.
        world.database_keys = "dry_run_lock_ms_max = 30000".to_owned();
        let host = world.host().await;
        let repair = |n: u64, value: &str| {
            let repair =
                json!({ "attack": "giant-batch", "table": "articles", "column": "price", "n": n, "value": value });
            with(repair, "proposed", prices("none", &[(1, "0.5")]))
        };
        let run = applied(&host, repair(10_001, "d:2")).await;
        let problem = compensate(&host, &run).await.unwrap_err();
        assert_eq!(problem.code, Code::CompensationRows, "{engine:?} {problem:?}");
        assert!(problem.message.contains("10001") && problem.message.contains("10000"), "{problem:?}");
        assert_eq!(host.store().find("@last").await.unwrap().number, run.number, "{engine:?}: no run is made for it");

        let run = applied(&host, repair(10_000, "d:3")).await;
        let back = compensate(&host, &run).await.unwrap();
        assert!(is_ready(&back), "{engine:?}");
        assert_eq!(host.confirm(&back).await.unwrap().changes, 1, "{engine:?}");
        assert_eq!(price(&world, 1).await, "0.5");
    }
}

#[tokio::test]
async fn a_row_that_only_its_sensitive_key_names_is_not_told() {
    for engine in ENGINES {
        let mut world = shop(engine).await;
        world.bindings = bindings().replace("type = \"integer\" }", "type = \"integer\", sensitive = true }");
        world.install_hostile(REQUESTS);
        let host = world.host().await;
        let run = applied(&host, told()).await;
        let problem = compensate(&host, &run).await.unwrap_err();
        assert_eq!(problem.code, Code::CompensationMasked, "{engine:?} {problem:?}");
        assert!(problem.message.contains("`articles`"), "{problem:?}");
        let refused = host.store().find("@last").await.unwrap();
        assert_eq!(refused.state, State::Refused, "{engine:?}");
        assert_eq!(host.log_of(refused.number).await, Vec::<String>::new(), "{engine:?}: it was not asked");
        assert_eq!(host.undo_all(run.number).await.unwrap().restored, 2, "{engine:?}: the host knows the rows");
    }
}

/// Edits of the control store: which run is taken back, or whether one is.
#[tokio::test]
async fn what_a_plan_takes_back_cannot_be_edited() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, told()).await;
        let other = applied(&host, prices("none", &[(3, "1.75")])).await;
        let back = compensate(&host, &run).await.unwrap();
        let (run, other, number) = (run.number.get(), other.number.get(), back.number.get());
        let before = world.dump_everything().await;
        let row = format!("UPDATE runs SET compensates = NULL WHERE number = {number}");
        let shown = format!(
            "UPDATE runs SET compensates = {other} WHERE number = {number}; UPDATE plans SET document = \
             replace(document, '\"of\":{run}', '\"of\":{other}') WHERE run = {number}"
        );
        edit_control(&world, &row).await;
        assert_eq!(code(host.confirm(&back).await), Code::PlanTampered, "{engine:?}");
        edit_control(&world, &row.replace("NULL", &other.to_string())).await;
        assert_eq!(code(host.confirm(&back).await), Code::PlanTampered, "{engine:?}");
        // Consistently: the digest still says which one it was.
        edit_control(&world, &shown).await;
        let done = host.confirm(&back).await.unwrap();
        assert_eq!((done.run.state, done.problem.unwrap().code), (State::Refused, Code::PlanBinding), "{engine:?}");
        before.assert_unchanged(&world.dump_everything().await);
    }
}
