//! P5, *one tenant*: two worlds that differ only in what other tenants have are the same world to a
//! component. Whatever it asks, its log, its plan and what it cost are equal in both.

use mendwright::engine::Host;
use mendwright_core::budget::Metric;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::{Value as Json, json};

use crate::hostile::{Seen, attack};
use crate::world::{ENGINES, Engine, Short as _, World};

/// Two tables: one says whose its rows are, the other hangs under it and also points to it.
pub(crate) const SCHEMA: &str = "
CREATE TABLE account (
    id BIGINT NOT NULL PRIMARY KEY, tenant TEXT, code TEXT UNIQUE, note TEXT, balance BIGINT NOT NULL DEFAULT 0
        CONSTRAINT balance_is_small CHECK (balance < 1000000)
);
CREATE TABLE entry (
    id BIGINT NOT NULL PRIMARY KEY,
    account BIGINT REFERENCES account (id), partner BIGINT REFERENCES account (id),
    amount BIGINT NOT NULL DEFAULT 0
);
INSERT INTO account (id, tenant, code, note, balance) VALUES
    (1, 'north', 'N-1', 'ours', 10), (2, 'north', 'N-2', 'ours', 20),
    (91, NULL, 'nobody-91', 'nobody', 1), (92, '', 'empty-92', 'the empty one', 1),
    (93, 'o''brien \"x\"; drop table account; --', 'q-93', 'quoted', 1);
INSERT INTO entry (id, account, partner, amount) VALUES
    (101, 1, 2, 5), (102, 1, NULL, 6), (103, 2, 1, 7), (191, 91, NULL, 1), (192, 92, NULL, 1), (193, 93, NULL, 1),
    (199, NULL, NULL, 1);
";

/// What another tenant has in one of the two worlds.
pub(crate) const SOUTH: &str = "
INSERT INTO account (id, tenant, code, note, balance) VALUES
    (11, 'south', 'S-1', 'southern-secret', 777001), (12, 'south', 'S-2', 'southern-secret', 777002);
INSERT INTO entry (id, account, partner, amount) VALUES (111, 11, 12, 777003), (112, 12, 11, 777004);
";

const BINDINGS: &str = r#"
[resource.accounts]
adapter = "sql"
database = "target"
table = "account"
key = ["id"]
tenant = { column = "tenant" }

[resource.accounts.columns]
id = "id"
tenant = "tenant"
code = "code"
note = "note"
balance = "balance"

[resource.entries]
adapter = "sql"
database = "target"
table = "entry"
key = ["id"]
tenant = { through = "accounts", on = { account = "id" } }

[resource.entries.columns]
id = "id"
account = "account"
partner = "partner"
amount = "amount"

[grant.hostile]
job = "hostile@^1"
tenants = "*"
allow.accounts = { read = ["id", "tenant", "code", "note", "balance"], write = ["code", "note", "balance"], operations = ["insert", "update", "delete"] }
allow.entries = { read = ["id", "account", "partner", "amount"], write = ["partner", "amount"], operations = ["insert", "update", "delete"] }
"#;

const REQUEST: &str = r#"
[request.accounts]
read = ["id", "tenant", "code", "note", "balance"]
write = ["code", "note", "balance"]
operations = ["insert", "update", "delete"]
[request.entries]
read = ["id", "account", "partner", "amount"]
write = ["partner", "amount"]
operations = ["insert", "update", "delete"]
"#;

/// What would be another tenant's, or the database's own words.
const NEVER_SAID: [&str; 10] = [
    "southern-secret",
    "777",
    "south",
    "Failing row",
    "DETAIL",
    "already exists",
    "duplicate key",
    "is still referenced",
    "UNIQUE constraint failed",
    "SQLSTATE",
];

pub(crate) async fn world(engine: Engine, schema: &str, more: &str) -> World {
    let world = World::of(engine, &format!("{schema}{more}"), BINDINGS).await;
    world.install_hostile(REQUEST);
    world
}

/// Attacks on rows of `south`, as `north`: each with values that `south` has in one of the worlds.
fn probes() -> Vec<Json> {
    let accounts = |attack: &str| json!({"attack": attack, "table": "accounts", "column": "note", "key": ["i:11"], "value": "t:x"});
    let entries = |attack: &str| json!({"attack": attack, "table": "entries", "column": "amount", "key": ["i:111"], "value": "i:1"});
    let with = |mut base: Json, pairs: &[(&str, Json)]| {
        for (name, value) in pairs {
            base[*name] = value.clone();
        }
        base
    };
    let mut all: Vec<Json> = ["get-foreign", "update-foreign", "delete-foreign", "insert-probe"].map(accounts).into();
    all.extend(["get-foreign", "update-foreign", "delete-foreign"].map(entries));
    for (column, value) in [
        ("tenant", "t:south"),
        ("id", "i:11"),
        ("code", "t:S-1"),
        ("note", "t:southern-secret"),
        ("balance", "i:777001"),
    ] {
        all.push(with(accounts("scan-foreign"), &[("column", json!(column)), ("value", json!(value))]));
    }
    for (column, value) in [("id", "i:111"), ("account", "i:11"), ("partner", "i:11"), ("amount", "i:777003")] {
        all.push(with(entries("scan-foreign"), &[("column", json!(column)), ("value", json!(value))]));
    }
    // Uniqueness: a key and a code that south has.
    let code = json!([["code", "t:S-1"]]);
    all.push(with(accounts("insert-probe"), &[("key", json!(["i:11"])), ("cells", code.clone())]));
    all.push(with(accounts("insert-probe"), &[("key", json!(["i:500"])), ("cells", code)]));
    all.push(with(
        accounts("update-foreign"),
        &[("key", json!(["i:1"])), ("column", json!("code")), ("value", json!("t:S-1"))],
    ));
    // Pointing to south's account; hanging a line under it is below.
    let partner = [("key", json!(["i:101"])), ("column", json!("partner")), ("value", json!("i:11"))];
    all.push(with(entries("write-column"), &partner));
    all.push(with(entries("foreign-key-probe"), &partner));
    // Moving rows.
    all.push(with(
        entries("write-column"),
        &[("key", json!(["i:101"])), ("column", json!("account")), ("value", json!("i:11"))],
    ));
    all.push(with(
        accounts("write-column"),
        &[("key", json!(["i:1"])), ("column", json!("tenant")), ("value", json!("t:south"))],
    ));
    let as_south = json!([["code", "n"], ["balance", "i:1"], ["tenant", "t:south"]]);
    all.push(with(accounts("insert-probe"), &[("key", json!(["i:500"])), ("cells", as_south)]));
    // Its own constraint: the message must not print the row.
    all.push(with(
        accounts("update-foreign"),
        &[("key", json!(["i:1"])), ("column", json!("balance")), ("value", json!("i:2000000"))],
    ));
    // Its own row: counts, shares, net effects.
    all.push(with(
        accounts("none"),
        &[("key", json!(["i:1"])), ("column", json!("balance")), ("value", json!("i:11"))],
    ));
    all.push(with(entries("delete-foreign"), &[("key", json!(["i:101"]))]));
    all
}

/// Everything of a run that a component, or whoever reads its plan, can see; without the digest, the
/// ids and the times.
async fn visible(host: &Host, seen: &Seen) -> Json {
    if seen.run.plan_digest.is_none() {
        return Json::Null;
    }
    let plan = host.store().load_plan(seen.run.number).await.unwrap().document;
    let mut measured = plan.measured.clone();
    for metric in [Metric::WallTime, Metric::DatabaseTime] {
        measured.remove(metric.word());
    }
    json!({
        "resources": plan.resources, "findings": plan.findings, "summary": plan.summary, "measured": measured,
        "changes": crate::world::lines(&host.changes(seen.run.number).await), "because": plan.because,
    })
}

#[tokio::test]
async fn whether_another_tenant_has_it_cannot_be_told() {
    for engine in ENGINES {
        let (with, without) = (world(engine, SCHEMA, SOUTH).await, world(engine, SCHEMA, "").await);
        let (host_with, host_without) = (with.host().await, without.host().await);
        let (before_with, before_without) = (with.dump_everything().await, without.dump_everything().await);
        let mut violated = 0;
        for params in probes() {
            let there = attack(&host_with, "north", params.clone()).await;
            let free = attack(&host_without, "north", params.clone()).await;
            assert_eq!(there.log, free.log, "{engine:?} {params}: the component can tell");
            assert!(!there.log.is_empty(), "{engine:?} {params}: nothing was tried");
            for word in NEVER_SAID {
                let given = params.to_string().contains(word);
                let told = format!("{:?} {} {:?}", there.log, there.message(), there.problem);
                assert!(given || !told.contains(word), "{engine:?} {params} says {word}: {told}");
            }
            match there.code() {
                // The operator is told; the component was not, and had returned by then.
                Some(Code::ConstraintViolated) if free.code().is_none() => violated += 1,
                code => {
                    assert_eq!(code, free.code(), "{engine:?} {params} {there:?} {free:?}");
                    assert_eq!(
                        visible(&host_with, &there).await,
                        visible(&host_without, &free).await,
                        "{engine:?} {params}"
                    );
                }
            }
        }
        // The key and the code that south has; in the other world they were free.
        assert!(violated >= 3, "{engine:?}: only {violated} of the probes met a constraint");
        before_with.assert_unchanged(&with.dump_everything().await);
        before_without.assert_unchanged(&without.dump_everything().await);
    }
}

#[tokio::test]
async fn the_codes_of_the_attempts_are_the_ones_of_what_does_not_exist() {
    for engine in ENGINES {
        let world = world(engine, SCHEMA, SOUTH).await;
        let host = world.host().await;
        let before = world.dump_everything().await;
        for (params, words) in [
            (
                json!({"attack": "update-foreign", "table": "accounts", "column": "note", "value": "t:x", "key": ["i:11"]}),
                "ERR_ROW_UNKNOWN",
            ),
            (json!({"attack": "delete-foreign", "table": "entries", "key": ["i:111"]}), "ERR_ROW_UNKNOWN"),
            (json!({"attack": "delete-foreign", "table": "entries", "key": ["i:191"]}), "ERR_ROW_UNKNOWN"),
            (json!({"attack": "delete-foreign", "table": "entries", "key": ["i:199"]}), "ERR_ROW_UNKNOWN"),
            (json!({"attack": "get-foreign", "table": "accounts", "column": "note", "key": ["i:91"]}), "rows: [None]"),
            (
                json!({"attack": "write-column", "table": "accounts", "column": "tenant", "value": "t:south"}),
                "ERR_COLUMN_FIXED",
            ),
            (
                json!({"attack": "write-column", "table": "entries", "column": "account", "value": "i:2", "key": ["i:101"]}),
                "ERR_COLUMN_FIXED",
            ),
            (
                json!({"attack": "write-column", "table": "entries", "column": "partner", "value": "i:11", "key": ["i:101"]}),
                "ERR_REFERENCE_FOREIGN",
            ),
            (
                json!({"attack": "write-column", "table": "entries", "column": "partner", "value": "i:91", "key": ["i:101"]}),
                "ERR_REFERENCE_FOREIGN",
            ),
        ] {
            let seen = attack(&host, "north", params.clone()).await;
            assert!(!matches!(seen.state(), State::Planned | State::Approved), "{engine:?} {params} {seen:?}");
            assert!(seen.log.iter().any(|line| line.contains(words)), "{engine:?} {params} {seen:?}");
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

/// What a constraint says of south's rows at the flush, when the plan was made before they came.
#[tokio::test]
async fn a_row_that_another_tenant_took_since_ends_violated_without_its_data() {
    for engine in ENGINES {
        let world = world(engine, SCHEMA, "").await;
        let host = world.host().await;
        let insert = json!({"attack": "insert-probe", "table": "accounts", "column": "note", "value": "t:x", "key": ["i:500"],
            "cells": [["code", "t:S-1"]]});
        let run = host.attack("north", insert).await.unwrap();
        world.sql(SOUTH).await;
        let before = world.dump().await;
        let applied = host.confirm(&run).await.unwrap();
        let problem = applied.problem.unwrap();
        assert_eq!(
            (applied.run.state, problem.code),
            (State::Violated, Code::ConstraintViolated),
            "{engine:?} {problem:?}"
        );
        let told = format!("{problem:?} {:?}", host.log_of(run.number).await);
        assert!(NEVER_SAID.iter().all(|word| !told.contains(word)), "{engine:?} {told}");
        before.assert_unchanged(&world.dump().await);
    }
}

/// A tenant column that takes `north` and `NORTH` for one would hand rows to whoever spells it so.
#[tokio::test]
async fn a_tenant_column_that_does_not_compare_byte_for_byte_is_refused() {
    for engine in ENGINES {
        let loose = match engine {
            Engine::Sqlite => SCHEMA.replace("tenant TEXT", "tenant TEXT COLLATE NOCASE"),
            Engine::Postgres => {
                let schema = SCHEMA.replace("tenant TEXT", "tenant TEXT COLLATE loose");
                format!(
                    "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);{schema}"
                )
            }
        };
        let world = world(engine, &loose, SOUTH).await;
        let host = world.host().await;
        let before = world.dump_everything().await;
        for tenant in ["north", "NORTH"] {
            for table in ["accounts", "entries"] {
                let seen =
                    attack(&host, tenant, json!({"attack": "get-foreign", "table": table, "column": "id"})).await;
                assert_eq!(seen.code(), Some(Code::TenantInexact), "{engine:?} {tenant} {table} {seen:?}");
                assert!(seen.log.is_empty(), "{engine:?}: nothing ran");
            }
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}
