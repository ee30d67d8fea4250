//! Names that end quotes, begin comments, or are words of SQL: they are names and nothing else.

use mendwright_core::code::Code;
use serde_json::json;

use super::{Bound, Shop, delete, insert, quoted, set};
use crate::world::{ENGINES, Engine};

/// Names of tables and columns that somebody has had. PostgreSQL takes them up to 63 bytes.
const NAMES: [&str; 12] = [
    "select",
    "two words",
    "UPPER",
    "Größe ключ 名前",
    "it's",
    "say \"hi\"",
    "x\"; DROP TABLE item; --",
    "$1 ?1 :a @b",
    "50% /* no",
    "back\\slash",
    "[a] `b`",
    "rowid,(t.k0)",
];

fn sql(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[tokio::test]
async fn any_name_of_a_table_or_column_can_be_bound() {
    for engine in ENGINES {
        let table = "Order \"lines\"; DROP TABLE x; --";
        let columns: String = NAMES.iter().map(|name| format!(", {} text", sql(name))).collect();
        let nulls: String = NAMES.iter().map(|name| format!(", 'old {}'", name.replace('\'', "''"))).collect();
        let (key, tenant) = (sql("the \"key\""), sql("Who's"));
        let schema = format!(
            "CREATE TABLE {t} ({key} integer PRIMARY KEY, {tenant} text NOT NULL {columns});
             CREATE TABLE {parts} ({key} integer PRIMARY KEY, {up} integer REFERENCES {t} ON DELETE CASCADE);
             INSERT INTO {t} VALUES (1, 'o''neill', {old}), (2, 'other', {old}); INSERT INTO {parts} VALUES (5, 1), (6, 2);",
            t = sql(table),
            parts = sql("par\"ts"),
            up = sql("up; --"),
            old = &nulls[2..],
        );
        let named = |name: &str| quoted(name);
        let mut bound = Bound::new("item", "id tenant")
            .table(table)
            .column("id", &named("the \"key\""))
            .column("tenant", &named("Who's"))
            .more("cascades = [\"part\"]");
        for (n, name) in NAMES.iter().enumerate() {
            bound = bound.column(&format!("c{n}"), &named(name));
        }
        let part = Bound::new("part", "id up")
            .table("par\"ts")
            .column("id", &named("the \"key\""))
            .column("up", &named("up; --"))
            .tenant("{ through = \"item\", on = { up = \"id\" } }")
            .fixed(&["up"]);
        let shop = Shop::open(engine, &schema, &[bound, part]).await;
        let cells: serde_json::Map<_, _> = (0..NAMES.len()).map(|n| (format!("c{n}"), json!("new"))).collect();
        let changes = shop.there_and_back("o'neill", set("item", json!({"id": "1"}), json!(cells))).await;
        assert_eq!(changes.len(), 1);
        shop.there_and_back("o'neill", insert("item", json!({"id": "9"}), json!(cells))).await;
        assert_eq!(shop.there_and_back("o'neill", delete("item", json!({"id": "1"}))).await.len(), 2);
    }
}

#[tokio::test]
async fn a_schema_may_have_any_name_and_its_triggers_too() {
    let (schema, name) = (sql("Ünï \"schema\"; --"), sql("touch \"it\"; --"));
    let sql = format!(
        "CREATE SCHEMA {schema}; CREATE TABLE {schema}.item (id integer PRIMARY KEY, tenant text NOT NULL, note text);
         INSERT INTO {schema}.item VALUES (1, 'acme', 'x');
         CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
         CREATE TRIGGER {name} BEFORE UPDATE ON {schema}.item FOR EACH ROW EXECUTE FUNCTION nothing();"
    );
    let item = Bound::new("item", "id tenant note").more(&format!("schema = {}", quoted("Ünï \"schema\"; --")));
    let touch = set("item", json!({"id": "1"}), json!({"note": "new"}));
    let shop = Shop::open(Engine::Postgres, &sql, &[item.clone()]).await;
    shop.refuses("acme", touch.clone(), Code::SideEffect).await;
    let known = item.more(&format!("triggers = {{ {} = \"nothing\" }}", quoted("touch \"it\"; --")));
    let shop = Shop::open(Engine::Postgres, &sql, &[known]).await;
    shop.there_and_back("acme", touch).await;
}

#[tokio::test]
async fn a_name_that_is_nearly_right_is_refused_with_the_right_one() {
    for engine in ENGINES {
        let schema =
            "CREATE TABLE \"Invoice\" (\"Id\" integer PRIMARY KEY, \"Tenant\" text NOT NULL, \"Total\" integer);
             INSERT INTO \"Invoice\" VALUES (1, 'acme', 1);";
        let bound = |table: &str, total: &str| {
            Bound::new("item", "id tenant total")
                .table(table)
                .column("id", "\"Id\"")
                .column("tenant", "\"Tenant\"")
                .column("total", &quoted(total))
        };
        let touch = set("item", json!({"id": "1"}), json!({"total": "2"}));
        let shop = Shop::open(engine, schema, &[bound("Invoice", "Total")]).await;
        shop.there_and_back("acme", touch.clone()).await;
        for (table, total, code) in
            [("invoice", "Total", Code::TableUnknown), ("Invoice", "total", Code::ColumnUnknown)]
        {
            let shop = Shop::open(engine, schema, &[bound(table, total)]).await;
            if engine == Engine::Sqlite {
                // Where the engine does not tell them apart, neither do we.
                shop.there_and_back("acme", touch.clone()).await;
            } else {
                let message = shop.refuses("acme", touch.clone(), code).await;
                assert!(message.contains("did you mean"), "{message}");
            }
        }
        let far = Shop::open(engine, schema, &[bound("Invoice", "Sum")]).await;
        far.refuses("acme", touch, Code::ColumnUnknown).await;
    }
}
