//! P5, *one tenant*, past the sandbox: every filter, order and key, for every tenant, and tenants whose names
//! are not what they seem.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mendwright_core::authority::{Allow, Grant, Request, decide};
use mendwright_core::budget::{Budget, Meter};
use mendwright_core::change::{Action, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{Comparison, Filter, Query, Row, RowChange, Tables as _};
use mendwright_core::run::State;
use mendwright_core::value::Value;
use mendwright_gateway::Session;
use mendwright_gateway::repair::Rehearsed;
use serde_json::json;

use crate::hostile::attack;
use crate::p5_one_tenant::{SCHEMA, SOUTH, world};
use crate::world::{ENGINES, Engine, World};

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
            let tables: [(&str, &[&str]); 2] = [
                ("invoices", &["id", "total", "country", "customer"]),
                ("invoice_lines", &["id", "invoice_id", "track", "quantity"]),
            ];
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
                    let told =
                        format!("{engine:?} {tenant} {table} {:?}", filters.iter().map(|f| f.op).collect::<Vec<_>>());
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
            assert!(!matches!(seen.state(), State::Planned | State::Approved), "{engine:?} {tenant:?} {seen:?}");
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

/// The overlay must not hand out what the snapshot would not.
#[tokio::test]
async fn the_runs_own_changes_open_no_way_to_others_rows() {
    for engine in ENGINES {
        let world = world(engine, SCHEMA, SOUTH).await;
        let mut session =
            session(&world, "north", &[("accounts", &["id", "code", "note"]), ("entries", &["id"])]).await;
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
            let rows =
                scan(&mut session, "accounts", &["id"], vec![filter("note", op, texts("southern-secret"))], &["note"])
                    .await;
            assert!(rows.is_empty(), "{engine:?} {op:?}");
        }
        let computed = session.finish().await.unwrap();
        let changed: Vec<String> = computed.changes().map(|change| change.key.to_string()).collect();
        assert_eq!(changed, ["1"], "{engine:?}");
    }
}
