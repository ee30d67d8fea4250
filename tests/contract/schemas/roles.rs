//! The least that repairs need: a role that may write what is granted, and one that may only read.

use mendwright::config::env::Env;
use mendwright::engine::Host;
use mendwright_core::authority::Allow;
use mendwright_core::change::Action;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_gateway::{Init, bound_tables, check_resource, init};
use serde_json::json;

use super::{Bound, Shop, set};
use crate::world::{Engine, Short as _, code};

const SCHEMA: &str = "CREATE TABLE invoice (id integer PRIMARY KEY, tenant text NOT NULL, note text);
    CREATE TABLE line (id integer PRIMARY KEY, invoice integer NOT NULL REFERENCES invoice, q integer);
    INSERT INTO invoice VALUES (1, 'acme', 'x'), (2, 'other', 'x');
    INSERT INTO line VALUES (1, 1, 1), (2, 2, 2);";

fn tables() -> [Bound; 2] {
    let line = Bound::new("line", "id invoice q")
        .tenant("{ through = \"invoice\", on = { invoice = \"id\" } }")
        .fixed(&["invoice"])
        .more("class = \"ledger\"");
    [Bound::new("invoice", "id tenant note"), line]
}

#[tokio::test]
async fn repairs_work_as_the_role_that_init_makes_and_dry_runs_as_the_one_that_only_reads() {
    let shop = Shop::open(Engine::Postgres, SCHEMA, &tables()).await;
    let config = shop.world.config();
    let target = mendwright::engine::target(&config, &shop.world.env(), "target").unwrap();
    let mut resolved = Vec::new();
    for resource in config.resources.values() {
        resolved.push(check_resource(&target, resource, &config.resources, None).await.unwrap().resolved);
    }
    let allow = Allow {
        read: ["id", "q"].map(str::to_owned).into(),
        write: ["q".to_owned()].into(),
        operations: [Action::Update].into(),
    };
    let options = Init {
        switch_to_wal: false,
        identity: mendwright_core::id::Id::from_time(2, [7; 10]),
        role: Some("mendwright_repair".to_owned()),
        tables: bound_tables(&resolved, &[("line".to_owned(), allow)].into()),
    };
    init(&target, &options).await.unwrap();
    shop.world.sql("ALTER ROLE mendwright_repair LOGIN; ALTER ROLE mendwright_read LOGIN").await;

    let Shop { mut world, host: _ } = shop;
    world.database_keys.push_str("\nread_url = { env = \"READ_URL\" }");
    let url_as = |role: &str| world.url().replace("postgres://postgres@", &format!("postgres://{role}@"));
    let (write, read) = (url_as("mendwright_repair"), url_as("mendwright_read"));
    let env = Env::of([("TARGET_URL", write.as_str()), ("READ_URL", read.as_str())]);
    let host = Host::open(world.config(), env).await.unwrap();
    let before = world.dump().await;

    let run = host.plan_of("patch_rows", "acme", set("line", json!({"id": "1"}), json!({"q": "7"}))).await.unwrap();
    let plan = host.store().load_plan(run.number).await.unwrap();
    assert_eq!(plan.document.rehearsal.passed, Some(true), "{:?}", plan.document.rehearsal);
    let applied = host.confirm(&run).await.unwrap();
    assert_eq!((applied.run.state, applied.problem), (State::Succeeded, None));
    assert_eq!(world.value("SELECT q::text FROM line WHERE id = 1").await, "7");
    host.undo_all(run.number).await.unwrap();
    before.assert_unchanged(&world.dump().await);

    // What the configuration grants and the database does not is refused by the second wall.
    let note = set("invoice", json!({"id": "1"}), json!({"note": "y"}));
    let run = host.plan_of("patch_rows", "acme", note).await.unwrap();
    let refused = host.confirm(&run).await.unwrap_err();
    assert_eq!(refused.code, Code::RehearsalFailed);
    assert!(refused.message.contains("the role that Mendwright connects as may not do this"), "{}", refused.message);
    before.assert_unchanged(&world.dump().await);

    // A dry run that reads as nobody who may is told so.
    world.sql("REVOKE SELECT ON line FROM mendwright_read").await;
    let denied = host.plan_of("patch_rows", "acme", set("line", json!({"id": "1"}), json!({"q": "7"}))).await;
    assert_eq!(code(denied), Code::TargetUnsafe);
}
