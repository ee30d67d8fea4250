//! P4, *one way to act*: a component can call only what its manifest requests and a grant allows, and
//! no name that it makes up becomes SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::authority::{Allow, Grant, Request, decide};
use mendwright_core::budget::{Budget, Meter};
use mendwright_core::change::{Action, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{Comparison, Filter, Query, RowChange, RowRemoval, Tables as _};
use mendwright_core::run::State;
use mendwright_core::value::Value;
use mendwright_gateway::Session;
use mendwright_tests::guests;
use serde_json::json;

use crate::hostile::{GRANT, REQUEST, Seen, attack, chinook, seen};
use crate::world::{ENGINES, Short as _, World};

const SMUGGLER: &str = "name = \"smuggler\"\nversion = \"1.0.0\"\nsummary = \"Connects.\"\nwit = \
     \"mendwright:repair@0.1.0\"\ncategory = \"DATA\"\nlevel = 1\n[request.invoices]\nread = [\"id\"]\nwrite = \
     [\"total\"]\noperations = [\"insert\", \"update\", \"delete\"]\n";

/// Whether the component was never started: it logs before it does anything else.
fn never_ran(seen: &Seen) {
    assert!(seen.log.is_empty(), "{seen:?}");
    assert!(seen.run.plan_digest.is_none(), "{seen:?}");
}

#[tokio::test]
async fn what_imports_more_than_its_manifest_requests_never_starts() {
    for engine in ENGINES {
        let grants = format!(
            "{GRANT}[grant.smuggler]\njob = \"smuggler@^1\"\ntenants = \"*\"\nallow.invoices = {{ read = [\"id\"], \
             write = [\"total\"], operations = [\"insert\", \"update\", \"delete\"] }}\n"
        );
        let world = chinook(engine, &grants).await;
        world.install_as("smuggler", SMUGGLER, None, guests::component("smuggler"));
        let host = world.host().await;
        let before = world.dump_everything().await;

        // Sockets, which no manifest can request.
        let outcome = host.plan_of("smuggler", "Germany", json!({})).await;
        let smuggled = seen(&host, outcome).await;
        assert_eq!(smuggled.code(), Some(Code::ComponentImport), "{engine:?} {smuggled:?}");
        let problem = smuggled.problem.as_ref().unwrap();
        let told = format!("{} {}", problem.message, problem.detail.join(" "));
        assert!(told.contains("sockets"), "{engine:?}: an author has to see which import: {told}");
        assert_eq!(smuggled.state(), State::Refused);
        never_ran(&smuggled);

        // Writing, where the manifest only reads; reading, where it requests nothing.
        for requests in ["[request.invoices]\nread = [\"id\", \"total\"]\n", ""] {
            world.install_hostile(requests);
            let seen = attack(&host, "Germany", json!({"attack": "clock"})).await;
            assert_eq!(seen.code(), Some(Code::ComponentImport), "{engine:?} {requests} {seen:?}");
            assert_eq!(seen.state(), State::Refused);
            never_ran(&seen);
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn what_was_not_requested_does_not_exist_whatever_is_granted() {
    for engine in ENGINES {
        // The grant is generous; the manifest is not.
        let generous = "[grant.hostile]\njob = \"hostile@^1\"\ntenants = \"*\"\nallow.invoices = { read = [\"id\", \
             \"total\", \"customer\", \"country\"], write = [\"total\", \"customer\"], operations = [\"update\", \
             \"delete\", \"insert\"] }\nallow.invoice_lines = { read = [\"id\", \"quantity\"], write = \
             [\"quantity\"], operations = [\"update\"] }\n";
        let world = chinook(engine, generous).await;
        world.install_hostile(REQUEST.replace("\"total\", \"address\"", "\"total\"").as_str());
        let host = world.host().await;
        let before = world.dump_everything().await;
        for (params, code) in [
            (json!({"attack": "undeclared-table", "table": "invoice_lines", "column": "quantity"}), Code::TableDenied),
            (json!({"attack": "undeclared-table", "table": "customers"}), Code::TableDenied),
            (json!({"attack": "undeclared-column", "column": "customer"}), Code::ColumnDenied),
            (json!({"attack": "undeclared-column", "column": "address"}), Code::ColumnDenied),
            (json!({"attack": "undeclared-column", "column": "BillingCity"}), Code::ColumnDenied),
            (json!({"attack": "scan-foreign", "column": "customer", "value": "i:2"}), Code::ColumnDenied),
            (json!({"attack": "write-column", "column": "customer", "value": "i:2"}), Code::ColumnDenied),
            (json!({"attack": "write-column", "column": "country", "value": "t:France"}), Code::ColumnFixed),
            (json!({"attack": "write-column", "column": "id", "value": "i:999"}), Code::ColumnFixed),
            (json!({"attack": "undeclared-operation"}), Code::OperationDenied),
            (json!({"attack": "insert-probe", "key": ["i:9999"]}), Code::OperationDenied),
        ] {
            let seen = attack(&host, "Germany", params.clone()).await;
            assert_eq!(seen.code(), Some(code), "{engine:?} {params} {seen:?}");
            assert_eq!(seen.state(), State::Refused, "{engine:?} {params}");
            assert!(seen.log.last().is_some_and(|line| line.contains(code.text())), "{engine:?} {params} {seen:?}");
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn catching_a_refusal_and_going_on_ends_refused_and_changes_nothing() {
    for engine in ENGINES {
        let world = chinook(engine, GRANT).await;
        world.install_hostile(REQUEST);
        let host = world.host().await;
        let before = world.dump_everything().await;
        // It asks after a table that it never requested, and then changes one that it may.
        let asked = attack(&host, "Germany", json!({"attack": "shrug"})).await;
        assert_eq!((asked.state(), asked.code()), (State::Refused, Some(Code::TableDenied)), "{engine:?} {asked:?}");
        // `names` meets a wall at its first `get`, and tries a hundred further calls.
        let went_on = attack(&host, "Germany", json!({"attack": "names"})).await;
        assert_eq!(went_on.code(), Some(Code::TableDenied), "{engine:?} {went_on:?}");
        assert_eq!(went_on.state(), State::Refused);
        assert!(went_on.log.len() > 50, "it went on: {}", went_on.log.len());
        assert!(went_on.log.iter().all(|line| !line.ends_with(": ok")), "{engine:?} {:?}", went_on.log);
        assert!(host.changes(went_on.run.number).await.is_empty());
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_manifest_that_requests_more_than_is_granted_is_denied_before_anything_runs() {
    for engine in ENGINES {
        let world = chinook(engine, &format!("{GRANT}[tenants]\nexclude = [\"Norway\"]\n")).await;
        let host = world.host().await;
        let before = world.dump_everything().await;
        let base = |read: &str, write: &str, operations: &str| {
            format!("[request.invoices]\nread = [{read}]\nwrite = [{write}]\noperations = [{operations}]\n")
        };
        for (requests, tenant, code, word) in [
            (base("\"customer\"", "\"total\"", "\"update\""), "Germany", Code::GrantMissing, "invoices.customer"),
            (base("\"id\"", "\"customer\"", "\"update\""), "Germany", Code::GrantMissing, "invoices.customer"),
            (base("\"id\"", "\"total\"", "\"update\", \"delete\""), "Germany", Code::GrantMissing, "delete"),
            (base("\"id\"", "\"total\"", "\"insert\""), "Germany", Code::GrantMissing, "insert"),
            (
                format!("{REQUEST}[request.invoice_lines]\nread = [\"id\"]\n"),
                "Germany",
                Code::GrantMissing,
                "invoice_lines",
            ),
            (format!("{REQUEST}[request.secrets]\nread = [\"id\"]\n"), "Germany", Code::GrantMissing, "secrets"),
            (REQUEST.to_owned(), "Norway", Code::TenantExcluded, "Norway"),
        ] {
            world.install_hostile(&requests);
            let seen = attack(&host, tenant, json!({"attack": "clock"})).await;
            assert_eq!(seen.code(), Some(code), "{engine:?} {requests} {seen:?}");
            assert!(seen.message().contains(word), "{engine:?} {}", seen.message());
            assert_eq!(seen.state(), State::Denied, "{engine:?} {requests}");
            never_ran(&seen);
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_grant_is_for_its_job_its_versions_and_its_tenants_byte_for_byte() {
    for engine in ENGINES {
        let world = chinook(engine, &GRANT.replace("\"*\"", "[\"Germany\"]")).await;
        world.install_hostile(REQUEST);
        let host = world.host().await;
        for tenant in ["germany", "Germany ", "GERMANY", "France", "", "*", "Germany\0"] {
            let seen = attack(&host, tenant, json!({"attack": "clock"})).await;
            assert_eq!(seen.code(), Some(Code::GrantMissing), "{engine:?} {tenant:?} {seen:?}");
            never_ran(&seen);
        }
        for (job, from, to) in
            [("another version", "hostile@^1", "hostile@^2"), ("another job", "hostile@^1", "reconcile_invoices@^1")]
        {
            let other = chinook(engine, &GRANT.replace(from, to)).await;
            other.install_hostile(REQUEST);
            let host = other.host().await;
            let seen = attack(&host, "Germany", json!({"attack": "clock"})).await;
            assert_eq!(seen.code(), Some(Code::GrantMissing), "{engine:?} {job} {seen:?}");
        }
    }
}

#[tokio::test]
async fn a_grant_that_was_taken_back_after_the_plan_stops_its_apply() {
    for engine in ENGINES {
        let mut world = chinook(engine, "").await;
        let bindings = world.bindings.clone();
        for narrower in [
            String::new(),
            GRANT.replace("\"*\"", "[\"France\"]"),
            GRANT.replace("write = [\"total\", \"address\"]", "write = [\"address\"]"),
            format!("{GRANT}[tenants]\nexclude = [\"Germany\"]\n"),
        ] {
            world.bindings = format!("{bindings}{GRANT}");
            world.install_hostile(REQUEST);
            let host = world.host().await;
            let run = host.attack("Germany", json!({"attack": "none", "value": "d:9.90"})).await.unwrap();
            drop(host);
            world.bindings = format!("{bindings}{narrower}");
            let host = world.host().await;
            let before = world.dump().await;
            let applied = host.confirm(&run).await.unwrap();
            let code = applied.problem.map(|problem| problem.code);
            assert!(matches!(code, Some(Code::GrantMissing | Code::TenantExcluded)), "{engine:?} {code:?}");
            assert_eq!(applied.run.state, State::Refused, "{engine:?}");
            before.assert_unchanged(&world.dump().await);
        }
    }
}

const NAMES: [&str; 12] = [
    "x\"; drop table invoice; --",
    "x'; drop table invoice; --",
    "invoices; select 1",
    "invoices\" --",
    "main.sqlite_master",
    "sqlite_master",
    "pg_catalog.pg_class",
    "in\0voices",
    "mendwright_journal",
    "Invoice",
    "",
    "t.total",
];

async fn session(world: &World) -> Session {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    let operations = [Action::Insert, Action::Update, Action::Delete].into();
    let (read, write) = (words(&["id", "total", "customer"]), words(&["total", "customer"]));
    let request = Request { read: words(&["id", "total"]), write: words(&["total"]), operations, ..Request::default() };
    let allow = Allow { read, write, operations: [Action::Insert, Action::Update, Action::Delete].into() };
    let grant = Grant { name: "all".to_owned(), bind: BTreeMap::new(), allow: [("invoices".to_owned(), allow)].into() };
    let authority = decide(&[("invoices".to_owned(), request)].into(), &[grant]).unwrap();
    let config = world.config();
    let targets = mendwright::engine::targets(&config, &world.env(), ["target"]).unwrap();
    let meter = Arc::new(Meter::new(Budget::default()));
    Session::open(&targets, &config.resources, &authority, "Germany", meter).await.unwrap()
}

/// Past the sandbox, which stops asking after the first refusal: every name in every place.
#[tokio::test]
async fn no_name_becomes_sql_in_any_place() {
    for engine in ENGINES {
        let world = chinook(engine, "").await;
        let before = world.dump_everything().await;
        let mut session = session(&world).await;
        let text = |text: &str| text.to_owned();
        let one = || Key(vec![Value::Integer(1)]);
        let change = |column: &str| RowChange {
            key: one(),
            cells: vec![(text(column), Value::Text(text("1")))],
            reason: text("x'; drop table invoice; --"),
        };
        for name in NAMES {
            let query = |table: &str, column: &str, filter: &str, order: &str| Query {
                table: text(table),
                columns: vec![text(column)],
                filters: vec![Filter { column: text(filter), op: Comparison::Eq, values: vec![Value::Null] }],
                order_by: vec![text(order)],
            };
            let mut refusals = vec![
                session.describe(name).await.unwrap_err(),
                session.get(name, vec![one()], vec![text("total")]).await.unwrap_err(),
                session.get("invoices", vec![one()], vec![text(name)]).await.unwrap_err(),
            ];
            for query in [
                query(name, "total", "total", "total"),
                query("invoices", name, "total", "total"),
                query("invoices", "total", name, "total"),
                query("invoices", "total", "total", name),
            ] {
                refusals.push(session.scan(query).await.unwrap_err());
            }
            refusals.push(session.update(name, vec![change("total")]).await.unwrap_err());
            refusals.push(session.update("invoices", vec![change(name)]).await.unwrap_err());
            refusals.push(session.insert("invoices", vec![change(name)]).await.unwrap_err());
            let removal = || RowRemoval { key: Key(vec![Value::Text(text(name))]), reason: text(name) };
            refusals.push(session.delete(name, vec![removal()]).await.unwrap_err());
            refusals.push(session.delete("invoices", vec![removal()]).await.unwrap_err());
            for refusal in refusals {
                let known = matches!(
                    refusal.code,
                    Code::TableDenied | Code::ColumnDenied | Code::ValueKind | Code::CallInvalid
                );
                assert!(known, "{engine:?} {name:?} {refusal:?}");
                assert!(!refusal.message.chars().any(char::is_control), "{engine:?} {refusal:?}");
            }
        }
        let computed = session.finish().await.unwrap();
        assert_eq!(computed.changes().len(), 0);
        before.assert_unchanged(&world.dump_everything().await);
    }
}
