//! P5, *one tenant*: two worlds that differ only in what other tenants have are the same world to a
//! component. Whatever it asks, its log, its plan and what it cost are equal in both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mendwright::engine::Host;
use mendwright_core::authority::{Allow, Grant, Request, decide};
use mendwright_core::budget::{Budget, Meter, Metric};
use mendwright_core::change::{Action, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{Comparison, Filter, Query, Row, RowChange, Tables as _};
use mendwright_core::run::State;
use mendwright_core::value::Value;
use mendwright_gateway::Session;
use mendwright_gateway::repair::Rehearsed;
use serde_json::{Value as Json, json};

use crate::hostile::{Seen, attack};
use crate::world::{ENGINES, Engine, Short as _, World};

/// Two tables: one says whose its rows are, the other hangs under it and also points to it.
const SCHEMA: &str = "
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
const SOUTH: &str = "
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

async fn world(engine: Engine, schema: &str, more: &str) -> World {
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
    for (column, value) in
        [("tenant", "t:south"), ("id", "i:11"), ("code", "t:S-1"), ("note", "t:southern-secret"), ("balance", "i:777001")]
    {
        all.push(with(accounts("scan-foreign"), &[("column", json!(column)), ("value", json!(value))]));
    }
    for (column, value) in [("id", "i:111"), ("account", "i:11"), ("partner", "i:11"), ("amount", "i:777003")] {
        all.push(with(entries("scan-foreign"), &[("column", json!(column)), ("value", json!(value))]));
    }
    // Uniqueness: a key and a code that south has.
    let code = json!([["code", "t:S-1"]]);
    all.push(with(accounts("insert-probe"), &[("key", json!(["i:11"])), ("cells", code.clone())]));
    all.push(with(accounts("insert-probe"), &[("key", json!(["i:500"])), ("cells", code)]));
    all.push(with(accounts("update-foreign"), &[("key", json!(["i:1"])), ("column", json!("code")), ("value", json!("t:S-1"))]));
    // Pointing to south's account; hanging a line under it is below.
    let partner = [("key", json!(["i:101"])), ("column", json!("partner")), ("value", json!("i:11"))];
    all.push(with(entries("write-column"), &partner));
    all.push(with(entries("foreign-key-probe"), &partner));
    // Moving rows.
    all.push(with(entries("write-column"), &[("key", json!(["i:101"])), ("column", json!("account")), ("value", json!("i:11"))]));
    all.push(with(accounts("write-column"), &[("key", json!(["i:1"])), ("column", json!("tenant")), ("value", json!("t:south"))]));
    let as_south = json!([["code", "n"], ["balance", "i:1"], ["tenant", "t:south"]]);
    all.push(with(accounts("insert-probe"), &[("key", json!(["i:500"])), ("cells", as_south)]));
    // Its own constraint: the message must not print the row.
    all.push(with(accounts("update-foreign"), &[("key", json!(["i:1"])), ("column", json!("balance")), ("value", json!("i:2000000"))]));
    // Its own row: counts, shares, net effects.
    all.push(with(accounts("none"), &[("key", json!(["i:1"])), ("column", json!("balance")), ("value", json!("i:11"))]));
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
                    assert_eq!(visible(&host_with, &there).await, visible(&host_without, &free).await, "{engine:?} {params}");
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
            (json!({"attack": "update-foreign", "table": "accounts", "column": "note", "value": "t:x", "key": ["i:11"]}), "ERR_ROW_UNKNOWN"),
            (json!({"attack": "delete-foreign", "table": "entries", "key": ["i:111"]}), "ERR_ROW_UNKNOWN"),
            (json!({"attack": "delete-foreign", "table": "entries", "key": ["i:191"]}), "ERR_ROW_UNKNOWN"),
            (json!({"attack": "delete-foreign", "table": "entries", "key": ["i:199"]}), "ERR_ROW_UNKNOWN"),
            (json!({"attack": "get-foreign", "table": "accounts", "column": "note", "key": ["i:91"]}), "rows: [None]"),
            (json!({"attack": "write-column", "table": "accounts", "column": "tenant", "value": "t:south"}), "ERR_COLUMN_FIXED"),
            (json!({"attack": "write-column", "table": "entries", "column": "account", "value": "i:2", "key": ["i:101"]}), "ERR_COLUMN_FIXED"),
            (json!({"attack": "write-column", "table": "entries", "column": "partner", "value": "i:11", "key": ["i:101"]}), "ERR_REFERENCE_FOREIGN"),
            (json!({"attack": "write-column", "table": "entries", "column": "partner", "value": "i:91", "key": ["i:101"]}), "ERR_REFERENCE_FOREIGN"),
        ] {
            let seen = attack(&host, "north", params.clone()).await;
            assert_ne!(seen.state(), State::Planned, "{engine:?} {params} {seen:?}");
            assert!(seen.log.iter().any(|line| line.contains(words)), "{engine:?} {params} {seen:?}");
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

/// With the database's own foreign keys and without a single one, where only the binding knows whose a
/// line is. Past the configuration, which refuses to grant that a job writes such a column.
#[tokio::test]
async fn a_line_cannot_hang_under_anothers_parent() {
    for engine in ENGINES {
        for schema in [SCHEMA.to_owned(), SCHEMA.replace(" REFERENCES account (id)", "")] {
            let (with, without) = (world(engine, &schema, SOUTH).await, world(engine, &schema, "").await);
            let before = with.dump_everything().await;
            let mut refusals = Vec::new();
            for parent in [Some(11), Some(91), Some(92), Some(4_711), None] {
                let there = hang_under(&with, parent).await;
                assert_eq!(there, hang_under(&without, parent).await, "{engine:?} {parent:?}: the component can tell");
                refusals.push(there);
            }
            assert!(refusals.iter().all(|refusal| !refusal.is_empty()), "{engine:?} {refusals:?}");
            assert_eq!(hang_under(&with, Some(1)).await, "", "{engine:?}: under its own it may");
            before.assert_unchanged(&with.dump_everything().await);
        }
    }
}

/// Inserts a line under this account as `north`; what refuses it, in the call or in the rehearsal.
async fn hang_under(world: &World, parent: Option<i64>) -> String {
    let mut session = session(world, "north", &[("entries", &["id", "account", "partner", "amount"])]).await;
    let parent = parent.map_or(Value::Null, Value::Integer);
    let cells = vec![("account".to_owned(), parent), ("partner".to_owned(), Value::Null)];
    let row = RowChange { key: Key(vec![Value::Integer(500)]), cells, reason: String::new() };
    if let Err(refusal) = session.insert("entries", vec![row]).await {
        session.close().await;
        return format!("in the call: {refusal:?}");
    }
    let computed = session.finish().await.unwrap();
    let target = mendwright::engine::target(&world.config(), &world.env(), "target").unwrap();
    match computed.rehearse(&target).await {
        Ok(Rehearsed::Passed) => String::new(),
        other => format!("in the rehearsal: {other:?}"),
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
        assert_eq!((applied.run.state, problem.code), (State::Violated, Code::ConstraintViolated), "{engine:?} {problem:?}");
        let told = format!("{problem:?} {:?}", host.log_of(run.number).await);
        assert!(NEVER_SAID.iter().all(|word| !told.contains(word)), "{engine:?} {told}");
        before.assert_unchanged(&world.dump().await);
    }
}

fn words(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

/// A session of `tenant` that may read these columns, and write them.
async fn session(world: &World, tenant: &str, tables: &[(&str, &[&str])]) -> Session {
    try_session(world, tenant, tables).await.unwrap()
}

async fn try_session(world: &World, tenant: &str, tables: &[(&str, &[&str])]) -> mendwright_gateway::Result<Session> {
    let all: BTreeSet<Action> = [Action::Insert, Action::Update, Action::Delete].into();
    let (mut requests, mut allow) = (BTreeMap::new(), BTreeMap::new());
    for (table, columns) in tables {
        // Chinook's tables are only read: what hangs on them is not bound.
        let (write, operations) = match *table {
            "accounts" => (words(&["note"]), all.clone()),
            "entries" => (words(&["account", "partner"]), all.clone()),
            _ => (BTreeSet::new(), BTreeSet::new()),
        };
        let read = words(columns);
        requests.insert(
            (*table).to_owned(),
            Request { read: read.clone(), write: write.clone(), operations: operations.clone(), ..Request::default() },
        );
        allow.insert((*table).to_owned(), Allow { read, write, operations });
    }
    let authority = decide(&requests, &[Grant { name: "all".to_owned(), bind: BTreeMap::new(), allow }]).unwrap();
    let config = world.config();
    let targets = mendwright::engine::targets(&config, &world.env(), ["target"]).unwrap();
    let meter = Arc::new(Meter::new(Budget::default()));
    Session::open(&targets, &config.resources, &authority, tenant, meter).await
}

async fn scan(session: &mut Session, table: &str, columns: &[&str], filters: Vec<Filter>, order: &[&str]) -> Vec<Row> {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let query = Query { table: table.to_owned(), columns: list(columns), filters, order_by: list(order) };
    let cursor = session.scan(query).await.unwrap();
    let mut rows = Vec::new();
    loop {
        let page = session.next_page(cursor).await.unwrap();
        if page.is_empty() {
            session.close(cursor);
            return rows;
        }
        rows.extend(page);
    }
}

fn filter(column: &str, op: Comparison, values: Vec<Value>) -> Filter {
    Filter { column: column.to_owned(), op, values }
}

/// The ids of each tenant in Chinook, by the fixture's own reading.
async fn ids_of_each(world: &World) -> BTreeMap<String, (BTreeSet<i64>, BTreeSet<i64>)> {
    let books = match world.engine {
        Engine::Sqlite => {
            let path = world.directory().join("target.db");
            let mut app = mendwright_tests::chinook::connect_sqlite(&path).await.unwrap();
            mendwright_tests::chinook::books_of_sqlite(&mut app).await.unwrap()
        }
        Engine::Postgres => {
            let mut app = <sqlx::PgConnection as sqlx::Connection>::connect(&world.url()).await.unwrap();
            mendwright_tests::chinook::books_of_postgres(&mut app).await.unwrap()
        }
    };
    let mut all: BTreeMap<String, (BTreeSet<i64>, BTreeSet<i64>)> = BTreeMap::new();
    for invoice in books.invoices.into_values() {
        let (invoices, lines) = all.entry(invoice.tenant).or_default();
        invoices.insert(invoice.id);
        lines.extend(invoice.lines.iter().map(|line| line.id));
    }
    all
}

#[tokio::test]
async fn no_filter_and_no_order_shows_a_row_of_another_of_all_tenants() {
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        let all = ids_of_each(&world).await;
        assert_eq!(all.len(), 24);
        for (tenant, (invoices, lines)) in &all {
            let tables: [(&str, &[&str]); 2] =
                [("invoices", &["id", "total", "country", "customer"]), ("invoice_lines", &["id", "invoice_id", "track", "quantity"])];
            let mut session = session(&world, tenant, &tables).await;
            for (table, own, parent) in [("invoices", invoices, "customer"), ("invoice_lines", lines, "invoice_id")] {
                let int = |id: i64| Value::Integer(id);
                let foreign: Vec<Value> = all
                    .values()
                    .flat_map(|(i, l)| if table == "invoices" { i } else { l })
                    .filter(|id| !own.contains(id))
                    .take(1_000)
                    .map(|id| int(*id))
                    .collect();
                let sweeps: Vec<(Vec<Filter>, bool)> = vec![
                    (vec![], true),
                    (vec![filter("id", Comparison::Ge, vec![int(i32::MIN.into())])], true),
                    (vec![filter("id", Comparison::Le, vec![int(i32::MAX.into())])], true),
                    (vec![filter("id", Comparison::IsIn, foreign.clone())], false),
                    (vec![filter("id", Comparison::IsNull, vec![])], false),
                    (vec![filter(parent, Comparison::IsNull, vec![])], false),
                    (vec![filter(parent, Comparison::Eq, vec![Value::Null])], false),
                ];
                for (filters, whole) in sweeps {
                    let told = format!("{engine:?} {tenant} {table} {:?}", filters.iter().map(|f| f.op).collect::<Vec<_>>());
                    let rows = scan(&mut session, table, &["id"], filters, &[parent]).await;
                    let found: BTreeSet<i64> = rows
                        .iter()
                        .map(|row| match row[0] {
                            Value::Integer(id) => id,
                            ref other => panic!("{told}: {other:?}"),
                        })
                        .collect();
                    assert_eq!(rows.len(), found.len(), "{told}: a row came twice");
                    if whole {
                        assert_eq!(&found, own, "{told}");
                    } else {
                        assert!(found.is_empty(), "{told}: {found:?}");
                    }
                }
                let keys = foreign.iter().map(|id| Key(vec![id.clone()])).collect();
                let got = session.get(table, keys, vec!["id".to_owned()]).await.unwrap();
                assert!(got.iter().all(Option::is_none), "{engine:?} {tenant} {table}");
            }
            let computed = session.finish().await.unwrap();
            assert_eq!(computed.usage["invoices"].rows_of_tenant, invoices.len() as u64, "{engine:?} {tenant}");
            assert_eq!(computed.usage["invoice_lines"].rows_of_tenant, lines.len() as u64, "{engine:?} {tenant}");
        }
    }
}

#[tokio::test]
async fn rows_of_nobody_belong_to_nobody_and_strange_names_are_only_names() {
    for engine in ENGINES {
        let world = world(engine, SCHEMA, SOUTH).await;
        let quoted = "o'brien \"x\"; drop table account; --";
        let cases: [(&str, &[i64], &[i64]); 10] = [
            ("north", &[1, 2], &[101, 102, 103]),
            ("", &[92], &[192]),
            (quoted, &[93], &[193]),
            ("NULL", &[], &[]),
            ("null", &[], &[]),
            ("North", &[], &[]),
            ("north ", &[], &[]),
            ("nor%", &[], &[]),
            ("north' OR '1'='1", &[], &[]),
            ("*", &[], &[]),
        ];
        for (tenant, accounts, entries) in cases {
            let mut session = session(&world, tenant, &[("accounts", &["id", "note"]), ("entries", &["id"])]).await;
            for (table, own) in [("accounts", accounts), ("entries", entries)] {
                let rows = scan(&mut session, table, &["id"], vec![], &[]).await;
                let wanted: Vec<Row> = own.iter().map(|id| vec![Value::Integer(*id)]).collect();
                assert_eq!(rows, wanted, "{engine:?} {tenant:?} {table}");
            }
            session.close().await;
        }
    }
}

/// `02` is nobody where tenants are numbers, although a database would find tenant 2.
#[tokio::test]
async fn a_tenant_that_only_converts_to_another_is_nobody() {
    let schema = "CREATE TABLE account (id BIGINT NOT NULL PRIMARY KEY, tenant BIGINT NOT NULL, code TEXT, note TEXT, balance BIGINT);
        CREATE TABLE entry (id BIGINT NOT NULL PRIMARY KEY, account BIGINT, partner BIGINT, amount BIGINT);
        INSERT INTO account (id, tenant, note) VALUES (1, 2, 'of two'), (2, 20, 'of twenty'), (3, 0, 'of zero');";
    for engine in ENGINES {
        let world = world(engine, schema, "").await;
        let before = world.dump_everything().await;
        for (tenant, wanted) in [
            ("2", vec![1]),
            ("20", vec![2]),
            ("0", vec![3]),
            ("02", vec![]),
            ("+2", vec![]),
            (" 2", vec![]),
            ("2 ", vec![]),
            ("2.0", vec![]),
            ("2e0", vec![]),
            ("0x2", vec![]),
            ("-0", vec![]),
            ("", vec![]),
            ("two", vec![]),
            ("99999999999999999999", vec![]),
        ] {
            let mut session = match try_session(&world, tenant, &[("accounts", &["id", "note"])]).await {
                Ok(session) => session,
                Err(error) => {
                    assert_eq!((error.code(), wanted.len()), (Code::TenantInexact, 0), "{engine:?} {tenant:?}");
                    continue;
                }
            };
            let rows = scan(&mut session, "accounts", &["id"], vec![], &[]).await;
            let wanted: Vec<Row> = wanted.into_iter().map(|id| vec![Value::Integer(id)]).collect();
            assert_eq!(rows, wanted, "{engine:?} {tenant:?}");
            session.close().await;
        }
        // A new row of `02` must not become one of tenant 2.
        let host = world.host().await;
        for tenant in ["02", "+2", "two", ""] {
            let insert = json!({"attack": "insert-probe", "table": "accounts", "column": "note", "value": "t:x", "key": ["i:500"],
                "cells": [["code", "n"], ["balance", "n"]]});
            let seen = attack(&host, tenant, insert).await;
            assert_ne!(seen.state(), State::Planned, "{engine:?} {tenant:?} {seen:?}");
        }
        before.assert_unchanged(&world.dump_everything().await);
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
                format!("CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);{schema}")
            }
        };
        let world = world(engine, &loose, SOUTH).await;
        let host = world.host().await;
        let before = world.dump_everything().await;
        for tenant in ["north", "NORTH"] {
            for table in ["accounts", "entries"] {
                let seen = attack(&host, tenant, json!({"attack": "get-foreign", "table": table, "column": "id"})).await;
                assert_eq!(seen.code(), Some(Code::TenantInexact), "{engine:?} {tenant} {table} {seen:?}");
                assert!(seen.log.is_empty(), "{engine:?}: nothing ran");
            }
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

/// The overlay must not hand out what the snapshot would not.
#[tokio::test]
async fn the_runs_own_changes_open_no_way_to_others_rows() {
    for engine in ENGINES {
        let world = world(engine, SCHEMA, SOUTH).await;
        let mut session = session(&world, "north", &[("accounts", &["id", "code", "note"]), ("entries", &["id"])]).await;
        let key = |id: i64| Key(vec![Value::Integer(id)]);
        let note = |id: i64| RowChange {
            key: key(id),
            cells: vec![("note".to_owned(), Value::Text("x".to_owned()))],
            reason: String::new(),
        };
        session.update("accounts", vec![note(1)]).await.unwrap();
        // One bad row refuses the whole batch.
        assert_eq!(session.update("accounts", vec![note(2), note(11)]).await.unwrap_err().code, Code::RowUnknown);
        session.delete("accounts", vec![]).await.unwrap();
        for op in [Comparison::Eq, Comparison::IsIn] {
            let texts = |text: &str| vec![Value::Text(text.to_owned())];
            let rows = scan(&mut session, "accounts", &["id"], vec![filter("note", op, texts("x"))], &["note"]).await;
            assert_eq!(rows, [[Value::Integer(1)]], "{engine:?} {op:?}");
            let rows = scan(&mut session, "accounts", &["id"], vec![filter("note", op, texts("southern-secret"))], &["note"]).await;
            assert!(rows.is_empty(), "{engine:?} {op:?}");
        }
        let computed = session.finish().await.unwrap();
        let changed: Vec<String> = computed.changes().map(|change| change.key.to_string()).collect();
        assert_eq!(changed, ["1"], "{engine:?}");
    }
}
