//! Forms of tables: without row numbers, strict, partitioned, unlogged; many rows at once.

use mendwright_core::code::Code;
use serde_json::json;

use super::{Bound, Shop, by, delete, insert, set};
use crate::world::{ENGINES, Engine};

async fn all_three(engine: Engine, schema: &str) {
    let shop = Shop::open(engine, schema, &[Bound::new("item", "id tenant note")]).await;
    shop.there_and_back("acme", set("item", json!({"id": "1"}), json!({"note": "new"}))).await;
    shop.there_and_back("acme", insert("item", json!({"id": "9"}), json!({"note": "new"}))).await;
    shop.there_and_back("acme", delete("item", json!({"id": "1"}))).await;
}

#[tokio::test]
async fn each_form_of_a_sqlite_table_works() {
    for (columns, end) in [
        ("id integer NOT NULL PRIMARY KEY, tenant text NOT NULL, note text", "WITHOUT ROWID"),
        ("id text PRIMARY KEY, tenant text NOT NULL, note text", "WITHOUT ROWID"),
        ("id integer PRIMARY KEY, tenant text NOT NULL, note text", "STRICT"),
        ("id integer PRIMARY KEY, tenant text NOT NULL, note ANY", "STRICT, WITHOUT ROWID"),
        ("id int NOT NULL UNIQUE, tenant text NOT NULL, note", ""),
        ("id integer NOT NULL, tenant text NOT NULL, note text, PRIMARY KEY (id DESC)", ""),
        ("id integer PRIMARY KEY AUTOINCREMENT, tenant text NOT NULL, note text", "-- no guest keys"),
    ] {
        let schema = format!(
            "CREATE TABLE item ({columns}) {end}\n; INSERT INTO item VALUES (1, 'acme', 'x'), (2, 'other', 'x');"
        );
        if columns.contains("AUTOINCREMENT") {
            let shop = Shop::open(Engine::Sqlite, &schema, &[Bound::new("item", "id tenant note")]).await;
            shop.there_and_back("acme", delete("item", json!({"id": "1"}))).await;
        } else {
            all_three(Engine::Sqlite, &schema).await;
        }
    }
}

#[tokio::test]
async fn a_partitioned_table_works_and_inheritance_does_not() {
    let columns = "id integer, tenant text NOT NULL, note text";
    let rows = "INSERT INTO item VALUES (1, 'acme', 'x'), (2, 'other', 'x');";
    let partitioned = format!(
        "CREATE TABLE item ({columns}, PRIMARY KEY (id)) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF item FOR VALUES FROM (0) TO (5);
         CREATE TABLE high PARTITION OF item DEFAULT; {rows}"
    );
    all_three(Engine::Postgres, &partitioned).await;
    let touch = set("item", json!({"id": "1"}), json!({"note": "new"}));
    let inherited =
        format!("CREATE TABLE item ({columns}, PRIMARY KEY (id)); CREATE TABLE child () INHERITS (item); {rows}");
    let shop = Shop::open(Engine::Postgres, &inherited, &[Bound::new("item", "id tenant note")]).await;
    shop.refuses("acme", touch.clone(), Code::KeyUnusable).await;
    let unlogged = format!("CREATE UNLOGGED TABLE item ({columns}, PRIMARY KEY (id)); {rows}");
    let shop = Shop::open(Engine::Postgres, &unlogged, &[Bound::new("item", "id tenant note")]).await;
    shop.refuses("acme", touch, Code::TargetUnsafe).await;
}

#[tokio::test]
async fn a_trigger_of_one_partition_is_a_trigger_of_the_table() {
    let schema = "CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, note text) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF item FOR VALUES FROM (0) TO (5); CREATE TABLE high PARTITION OF item DEFAULT;
         INSERT INTO item VALUES (1, 'acme', 'x');
         CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
         CREATE TRIGGER hidden BEFORE UPDATE ON high FOR EACH ROW EXECUTE FUNCTION nothing();";
    let shop = Shop::open(Engine::Postgres, schema, &[Bound::new("item", "id tenant note")]).await;
    let touch = set("item", json!({"id": "1"}), json!({"note": "new"}));
    assert!(shop.refuses("acme", touch, Code::SideEffect).await.contains("`hidden`"));
}

#[tokio::test]
async fn more_rows_than_one_statement_takes() {
    for engine in ENGINES {
        let many = by(
            engine,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
             INSERT INTO item SELECT i, CASE WHEN i % 3 = 0 THEN 'other' ELSE 'acme' END, i % 7, NULL FROM n;",
            "INSERT INTO item SELECT i, CASE WHEN i % 3 = 0 THEN 'other' ELSE 'acme' END, i % 7, NULL
             FROM generate_series(1, 1500) AS i;",
        );
        let schema =
            format!("CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, n integer, note text); {many}");
        let shop = Shop::open(engine, &schema, &[Bound::new("item", "id tenant n note")]).await;
        let rows: Vec<_> = (1..=1_500)
            .filter(|id| id % 3 != 0)
            .map(|id| json!({ "key": { "id": id.to_string() }, "set": { "n": "70", "note": format!("row {id}") } }))
            .collect();
        let gone: Vec<_> =
            (1..=1_500).filter(|id| id % 3 != 0).map(|id| json!({"key": {"id": id.to_string()}})).collect();
        assert_eq!(shop.there_and_back("acme", json!({ "table": "item", "changes": rows })).await.len(), 1_000);
        assert_eq!(shop.there_and_back("acme", json!({ "table": "item", "delete": gone })).await.len(), 1_000);
    }
}
