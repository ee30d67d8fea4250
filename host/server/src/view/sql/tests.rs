//! How the scripts look, for both engines.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use mendwright_core::change::Action;
use mendwright_core::plan::document::{Cell, ChangeRecord};

use super::{Engine, PhysicalColumn, PhysicalTable, Script, inverse, sql};
use crate::view::sample::{cells, change, document, masked, plain};

fn table(schema: Option<&str>, table: &str, columns: &[(&str, &str, &str, &str)]) -> PhysicalTable {
    PhysicalTable {
        schema: schema.map(str::to_owned),
        table: table.into(),
        key: vec!["id".into()],
        columns: columns
            .iter()
            .map(|(logical, name, kind, declared)| {
                let column =
                    PhysicalColumn { name: (*name).into(), kind: kind.parse().unwrap(), declared: (*declared).into() };
                ((*logical).to_owned(), column)
            })
            .collect(),
    }
}

fn chinook() -> BTreeMap<String, PhysicalTable> {
    let invoices = table(
        None,
        "Invoice",
        &[("id", "InvoiceId", "integer", "INTEGER"), ("total", "Total", "decimal(10,2)", "NUMERIC(10,2)")],
    );
    BTreeMap::from([("invoices".to_owned(), invoices)])
}

fn script(engine: Engine, changes: &[ChangeRecord], tables: &BTreeMap<String, PhysicalTable>) -> String {
    let title =
        ["run #1042, reconcile_invoices 1.0.0, tenant Germany".to_owned(), "plan sha256:b8e96a7449776ac9…".to_owned()];
    sql(&Script { engine, title: &title, changes, tables, parents_first: &["orders".into(), "invoices".into()] })
}

#[test]
fn the_plan_of_the_examples_is_plain_sql() {
    let mut changes = document().changes;
    changes.truncate(3);
    assert_snapshot!("plan_sqlite", script(Engine::Sqlite, &changes, &chinook()));
    assert_snapshot!("plan_postgres", script(Engine::Postgres, &changes, &chinook()));
    assert_snapshot!("undo_sqlite", script(Engine::Sqlite, &inverse(&changes), &chinook()));
}

/// A column of every kind, with names and values that want to break out.
fn every_kind() -> (Vec<ChangeRecord>, BTreeMap<String, PhysicalTable>) {
    let columns = [
        ("id", "Id", "integer", "bigint"),
        ("ok", "OK", "boolean", "boolean"),
        ("ratio", "ratio", "float", "double precision"),
        ("name", "na\"me", "text", "character varying(40)"),
        ("mail", "mail", "text", "citext"),
        ("blob", "blob", "bytes", "bytea"),
        ("seen", "seen", "timestamp", "timestamp with time zone"),
        ("doc", "doc", "json", "json"),
        ("docb", "docb", "json", "jsonb"),
        ("price", "price", "decimal", "text"),
        ("gone", "gone", "text", "text"),
    ];
    let row = |name: &str, ratio: &str| {
        cells([
            ("ok", plain("true")),
            ("ratio", plain(ratio)),
            ("name", plain(name)),
            ("mail", plain("A@b.example")),
            ("blob", plain("00ff")),
            ("seen", plain("2026-11-20 03:12:09+00")),
            ("doc", plain("{\"a\": \"it's\"}")),
            ("docb", plain("{}")),
            ("price", plain("9.9")),
            ("gone", Cell::Plain(None)),
        ])
    };
    let hostile = "O'Brien\\\n\u{202e}; DROP TABLE x; --";
    let changes = vec![
        change(Action::Update, cells([("id", plain("-1"))]), row(hostile, "inf"), row("O'Brien", "0.1"), "two\nlines"),
        change(Action::Insert, cells([("id", plain("2"))]), cells([]), row("日本", "-0.0"), ""),
        change(
            Action::Delete,
            cells([("id", plain("3"))]),
            cells([("name", plain("x")), ("gone", Cell::Plain(None))]),
            cells([]),
            "void",
        ),
        change(
            Action::Update,
            cells([("id", plain("4"))]),
            cells([("gone", masked("ab12"))]),
            cells([("gone", masked("77fe"))]),
            "iban",
        ),
        change(Action::Update, cells([("id", plain("5"))]), cells([]), cells([("lost", plain("1"))]), ""),
        change(Action::Update, cells([("id", plain("5 OR 1=1"))]), cells([]), cells([("name", plain("1"))]), ""),
        change(Action::Update, cells([("id", plain("6"))]), cells([]), cells([("blob", plain("00'; --"))]), ""),
    ];
    (changes, BTreeMap::from([("invoices".to_owned(), table(Some("bill\"ing"), "my \"table", &columns))]))
}

#[test]
fn every_kind_is_quoted_and_nothing_breaks_out() {
    let (changes, tables) = every_kind();
    let sqlite = script(Engine::Sqlite, &changes, &tables);
    let postgres = script(Engine::Postgres, &changes, &tables);
    assert!(!sqlite.contains('\u{202e}') && !postgres.contains('\u{202e}'));
    assert_snapshot!("kinds_sqlite", sqlite);
    assert_snapshot!("kinds_postgres", postgres);
}

#[test]
fn the_inverse_of_an_inverse_writes_the_same_values() {
    let changes = document().changes;
    let mut twice = inverse(&inverse(&changes));
    for (change, original) in twice.iter_mut().zip(&changes) {
        change.reason.clone_from(&original.reason);
    }
    assert_eq!(twice, changes);
}

#[test]
fn rows_are_deleted_child_first_and_inserted_parent_first() {
    let of = |resource: &str, action| {
        let mut one = change(action, cells([("id", plain("1"))]), cells([]), cells([]), "");
        one.resource = resource.into();
        one
    };
    let changes = [
        of("invoices", Action::Insert),
        of("invoices", Action::Delete),
        of("orders", Action::Insert),
        of("orders", Action::Delete),
    ];
    let mut tables = chinook();
    tables.insert("orders".into(), table(None, "Order", &[("id", "OrderId", "integer", "INTEGER")]));
    let text = script(Engine::Sqlite, &changes, &tables);
    let verbs: Vec<&str> = text.lines().filter(|l| l.starts_with("DELETE") || l.starts_with("INSERT")).collect();
    assert_eq!(
        verbs,
        [
            "DELETE FROM \"Invoice\"",
            "DELETE FROM \"Order\"",
            "INSERT INTO \"Order\" (\"OrderId\")",
            "INSERT INTO \"Invoice\" (\"InvoiceId\")"
        ]
    );
}
