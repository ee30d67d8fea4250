//! Values as they are stored: what would not come back exactly as it was written is refused.

use mendwright_core::code::Code;
use serde_json::json;

use super::{Bound, Shop, by, delete, insert, set};
use crate::world::{ENGINES, Engine};

/// A table with one column `v` of this type; rows of the tenant and one of another's.
async fn one(engine: Engine, before: &str, column: &str, value: &str, bound: &str) -> Shop {
    let rows: Vec<String> = (1..=15).map(|id| format!("({id}, 'acme', {value}, 1)")).collect();
    let schema = format!(
        "{before} CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, v {column}, other integer);
         INSERT INTO item VALUES {}, (99, 'other', {value}, 1);",
        rows.join(", ")
    );
    let item = Bound::new("item", "id tenant other");
    Shop::open(engine, &schema, &[item.column("v", if bound.is_empty() { "\"v\"" } else { bound })]).await
}

fn to(value: Option<&str>) -> serde_json::Value {
    set("item", json!({"id": "1"}), json!({ "v": value }))
}

/// Each type's values there and back, with NULL, inserts and a delete; those that would be stored as
/// something else are refused.
async fn check(engine: Engine, before: &str, column: &str, value: &str, bound: &str, fine: &[&str], wrong: &[&str]) {
    let shop = one(engine, before, column, value, bound).await;
    let row = |id: usize, value: Option<&str>| json!({ "key": { "id": id.to_string() }, "set": { "v": value } });
    let mut changes: Vec<_> = fine.iter().enumerate().map(|(n, value)| row(n + 2, Some(value))).collect();
    changes.push(row(1, None));
    let inserts: Vec<_> = fine
        .iter()
        .enumerate()
        .map(|(n, value)| json!({ "key": { "id": (n + 200).to_string() }, "set": { "v": value, "other": "1" } }))
        .collect();
    let all = json!({ "table": "item", "changes": changes, "insert": inserts, "delete": [{ "key": { "id": "15" } }] });
    let shown = shop.there_and_back("acme", all).await;
    assert_eq!(shown.len(), 2 * fine.len() + 2, "{column}: {shown:?}");
    for new in wrong {
        let problem = shop.plan("acme", to(Some(new))).await.expect_err(new);
        let named = problem.code == Code::ValueRoundTrip || problem.message.contains("ERR_VALUE_ROUND_TRIP");
        assert!(named, "{engine:?} {column} {new}: {problem:?}");
    }
}

#[tokio::test]
async fn postgres_keeps_dates_and_times_in_its_own_writing() {
    let check = |column: &'static str, value: &'static str, fine: &'static [&str], wrong: &'static [&str]| {
        check(Engine::Postgres, "", column, value, "", fine, wrong)
    };
    check(
        "date",
        "'2024-02-29'",
        &["2023-12-31", "infinity", "0044-03-15 BC"],
        &["2024-1-1", "31.12.2023", "2023-02-30"],
    )
    .await;
    check("time", "'12:00'", &["23:59:59.999999", "24:00:00"], &["9:30", "25:00:00"]).await;
    check(
        "timestamp",
        "'2024-03-31 02:30'",
        &["2024-01-01 00:00:00", "2024-01-01 00:00:00.5"],
        &["2024-01-01", "2024-01-01T00:00:00"],
    )
    .await;
    check(
        "timestamp(0)",
        "'2024-03-31 02:30'",
        &["2024-01-01 00:00:00"],
        &["2024-01-01 00:00:00.5", "2024-01-01 00:00:00.4999"],
    )
    .await;
    check(
        "timestamptz",
        "'2024-03-31 02:30+02'",
        &["2024-01-01 00:00:00+00", "-infinity"],
        &["2024-01-01 00:00:00", "2024-01-01 01:00:00+01", "2024-01-01 00:00:00 Europe/Paris"],
    )
    .await;
    check("interval", "'1 day'", &["P1Y2M3DT4H5M6.789S", "PT0S"], &["1 day", "P1W"]).await;
}

#[tokio::test]
async fn an_application_in_another_time_zone_reads_what_was_planned() {
    let shop = one(Engine::Postgres, "", "timestamptz", "'2024-03-31 00:30+00'", "").await;
    let database = shop.world.value("SELECT current_database()::text").await;
    shop.world.sql(&format!("ALTER DATABASE {database} SET timezone = 'America/New_York'; ALTER DATABASE {database} SET datestyle = 'German'; ALTER DATABASE {database} SET intervalstyle = 'postgres_verbose'; ALTER DATABASE {database} SET bytea_output = 'escape'; ALTER DATABASE {database} SET extra_float_digits = -5")).await;
    let run = shop.applied("acme", to(Some("2024-03-10 07:30:00+00"))).await;
    assert_eq!(shop.shown(&run).await, ["update item 1 v=2024-03-10 07:30:00+00"]);
    let there = "SELECT to_char(v AT TIME ZONE 'America/New_York', 'DD.MM.YYYY HH24:MI') FROM item WHERE id = 1";
    assert_eq!(shop.world.value(there).await, "10.03.2024 03:30");
    shop.undone(&run).await;
    assert_eq!(shop.world.value("SELECT extract(epoch FROM v)::int::text FROM item WHERE id = 1").await, "1711845000");
    shop.refuses("acme", to(Some("10.03.2024 03:30:00 EDT")), Code::ValueRoundTrip).await;
}

#[tokio::test]
async fn json_is_kept_byte_for_byte_and_jsonb_in_its_one_form() {
    let text = "{\"b\":1,  \"a\": [1.0, 1e2, \"\\u0041\"],\"b\":2}";
    check(Engine::Postgres, "", "json", "'{ \"x\" : 1 }'", "", &[text, "null", " 1 "], &["{", "{'a': 1}"]).await;
    check(
        Engine::Postgres,
        "",
        "jsonb",
        "'{ \"x\" : 1.50 }'",
        "",
        &["{\"a\": 1.50, \"b\": [null, true]}", "\"é\"", "12345678901234567.89"],
        &[text, "{\"a\":1}", "{\"b\": 1, \"a\": 2}", "1e2", "\"\\u0041\"", "{"],
    )
    .await;
    // SQLite keeps JSON as the text that it is given.
    check(Engine::Sqlite, "", "JSON", "'{ \"x\" : 1 }'", "", &[text, "null"], &[]).await;
    check(Engine::Sqlite, "", "text", "'{ \"x\" : 1 }'", "{ column = \"v\", type = \"json\" }", &[text], &[]).await;
}

#[tokio::test]
async fn numbers_in_postgres_are_exact_or_refused() {
    let check =
        |column: &'static str,
         value: &'static str,
         bound: &'static str,
         fine: &'static [&str],
         wrong: &'static [&str]| { check(Engine::Postgres, "", column, value, bound, fine, wrong) };
    check("numeric", "1.50", "", &["12345678901234567.89", "0.000000000000000000001", "-1.5"], &[]).await;
    check("numeric(5,2)", "1.5", "", &["9.9", "-999.99", "0"], &["1.239", "1000"]).await;
    check("smallint", "1", "", &["-32768"], &["40000"]).await;
    check("bigint", "1", "", &["9007199254740993", "-9223372036854775808"], &[]).await;
    check(
        "double precision",
        "13.859999999999998",
        "",
        &["13.86", "NaN", "inf", "-inf", "-0.0", "1e300", "5e-324"],
        &[],
    )
    .await;
    check("real", "0.1", "", &["0.25"], &["16777217"]).await;
    let decimal = "{ column = \"v\", type = \"decimal\" }";
    check(
        "double precision",
        "13.859999999999998",
        decimal,
        &["13.86", "-0.1"],
        &["12345678901234567.89", "0.30000000000000000001"],
    )
    .await;
    check("text", "'10.00'", "{ column = \"v\", type = \"decimal(10,2)\" }", &["9.9", "12345678.25"], &["1.005"]).await;
    let nan = one(Engine::Postgres, "", "numeric", "'NaN'", "").await;
    nan.refuses("acme", to(Some("1")), Code::ValueUnreadable).await;
}

#[tokio::test]
async fn numbers_in_sqlite_keep_their_bits_and_their_storage() {
    let check =
        |column: &'static str,
         value: &'static str,
         bound: &'static str,
         fine: &'static [&str],
         wrong: &'static [&str]| { check(Engine::Sqlite, "", column, value, bound, fine, wrong) };
    let decimal = "{ column = \"v\", type = \"decimal\" }";
    check(
        "REAL",
        "13.859999999999998",
        decimal,
        &["13.86", "10", "-0.1"],
        &["12345678901234567.89", "0.30000000000000000001"],
    )
    .await;
    check("REAL", "13.859999999999998", "", &["13.86", "1e300", "inf", "5e-324"], &["NaN", "-0.0"]).await;
    check("NUMERIC", "10", "", &["10.5", "9007199254740993", "-1"], &["12345678901234567.89"]).await;
    check("NUMERIC(10,2)", "10.5", "", &["10", "10.25"], &["10.005"]).await;
    check("DECIMAL(10,2)", "'10.00'", "", &["9.9"], &[]).await;
    check(
        "TEXT",
        "'10.0'",
        "{ column = \"v\", type = \"decimal(10,2)\" }",
        &["9.9", "12345678901234567.89"],
        &["1.005"],
    )
    .await;
    check("INTEGER", "1", "", &["9223372036854775807"], &[]).await;
    check("INTEGER", "1.5", decimal, &["2", "2.5"], &[]).await;
    check("BOOLEAN", "0", "", &["true"], &[]).await;
    // A stored −0 is not written again by hand, and an undo restores it.
    let shop = one(Engine::Sqlite, "", "BLOB", "-0.0", "{ column = \"v\", type = \"float\" }").await;
    shop.there_and_back("acme", to(Some("1.5"))).await;
    // What is no number at all is not read as one.
    let text = one(Engine::Sqlite, "", "NUMERIC", "'abc'", "").await;
    let message = text.refuses("acme", to(Some("1")), Code::ValueUnreadable).await;
    assert!(message.contains("item.v") && !message.contains("abc"), "{message}");
}

#[tokio::test]
async fn reals_and_integers_lie_side_by_side_in_one_numeric_column() {
    let schema = "CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, v NUMERIC);
         INSERT INTO item VALUES (1, 'acme', 10), (2, 'acme', 10.5), (3, 'acme', '10.00'), (4, 'acme', 1e18), (5, 'acme', NULL);";
    let shop = Shop::open(Engine::Sqlite, schema, &[Bound::new("item", "id tenant v")]).await;
    let all = |value: &str| {
        let change = |id: i32| json!({ "key": { "id": id.to_string() }, "set": { "v": value } });
        json!({ "table": "item", "changes": (1..=5).map(change).collect::<Vec<_>>() })
    };
    assert_eq!(shop.there_and_back("acme", all("10.5")).await.len(), 4);
    assert_eq!(shop.there_and_back("acme", all("10")).await.len(), 3);
    assert_eq!(shop.there_and_back("acme", all("7.25")).await.len(), 5);
}

#[tokio::test]
async fn texts_and_bytes_keep_every_byte() {
    let long = "é".repeat(500_000);
    for engine in ENGINES {
        let texts = ["", " ", "NULL", "e\u{301}", "\u{e9}", "\u{202e}x\u{0007}\n\t\\N'\"", "$1 ?1 :x", long.as_str()];
        check(engine, "", "text", "'x'", "", &texts, &["a\u{0}b"]).await;
        let blob = by(engine, "blob", "bytea");
        let value = by(engine, "x'00ff'", "'\\x00ff'");
        check(engine, "", blob, value, "", &["", "00", "ff00ff", "deadbeef"], &[]).await;
    }
    check(Engine::Postgres, "", "varchar(3)", "'abc'", "", &["", "äöü", "ab "], &["abcd", "abc "]).await;
    check(Engine::Postgres, "", "char(3)", "'ab'", "", &["abc", "a"], &["ab ", "abcd"]).await;
    // SQLite's lengths are a wish, and text in a column of numbers becomes one.
    check(Engine::Sqlite, "", "varchar(3)", "'abc'", "", &["abcd", "02"], &[]).await;
    check(Engine::Sqlite, "", "STRING", "'abc'", "", &["abcd"], &["02", "1e3"]).await;
}

#[tokio::test]
async fn types_of_postgres_that_have_no_kind_of_their_own_are_texts() {
    let check =
        |before: &'static str,
         column: &'static str,
         value: &'static str,
         fine: &'static [&str],
         wrong: &'static [&str]| { check(Engine::Postgres, before, column, value, "", fine, wrong) };
    check("CREATE TYPE mood AS ENUM ('sad', 'so ''so''', 'OK');", "mood", "'sad'", &["so 'so'", "OK"], &["ok", "bad"])
        .await;
    check(
        "",
        "uuid",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        &["00000000-0000-0000-0000-000000000000"],
        &["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12", "x"],
    )
    .await;
    check("", "inet", "'10.0.0.1'", &["10.0.0.2/32", "10.0.0.0/8", "::1/128"], &["10.0.0.2", "x"]).await;
    check("", "integer[]", "'{1,2}'", &["{1,NULL,3}", "{}", "{{1,2},{3,4}}"], &["{1, 2}", "{1.5}"]).await;
    check("", "varchar(3)[]", "'{abc}'", &["{a,\"b c\"}"], &["{abcd}"]).await;
    check("", "bit(3)", "B'101'", &["111"], &["1", "1111"]).await;
    check("", "point", "'(1,2)'", &["(3,4)"], &["3,4"]).await;
    check("", "money", "1.5", &["$2.50"], &["2.5", "$2.505"]).await;
    check("CREATE DOMAIN cents AS numeric(6,2);", "cents", "1.5", &["2.25"], &["2.255"]).await;
    check("CREATE DOMAIN code AS varchar(3);", "code", "'abc'", &["ab"], &["abcd"]).await;
    let positive = "CREATE DOMAIN positive AS integer CHECK (VALUE > 0);";
    check(positive, "positive", "1", &["2"], &[]).await;
    let shop = one(Engine::Postgres, positive, "positive", "1", "").await;
    shop.refuses("acme", to(Some("-5")), Code::ConstraintViolated).await;
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_refused_by_name_where_it_is_read_and_left_alone_elsewhere() {
    let shop = one(Engine::Sqlite, "", "text", "CAST(x'ff41' AS text)", "").await;
    let message = shop.refuses("acme", to(Some("new")), Code::ValueUnreadable).await;
    assert!(message.contains("column `v`"), "{message}");
    let message = shop.refuses("acme", delete("item", json!({"id": "1"})), Code::ValueUnreadable).await;
    assert!(message.contains("column `v`"), "{message}");
    // Not bound, it is neither read nor touched.
    let schema = "CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, v text, other integer);
         INSERT INTO item VALUES (1, 'acme', CAST(x'ff41' AS text), 1);";
    let shop = Shop::open(Engine::Sqlite, schema, &[Bound::new("item", "id tenant other")]).await;
    shop.there_and_back("acme", set("item", json!({"id": "1"}), json!({"other": "2"}))).await;
    let message = shop.refuses("acme", delete("item", json!({"id": "1"})), Code::ValueUnreadable).await;
    assert!(message.contains("column `v`"), "{message}");
}

#[tokio::test]
async fn defaults_are_left_to_the_database_only_where_they_are_constant() {
    for engine in ENGINES {
        let item = Bound::new("item", "id tenant v other");
        let schema = |v: &str, other: &str| {
            format!(
                "CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, v {v}, other {other});
                 INSERT INTO item (id, tenant) VALUES (1, 'acme');"
            )
        };
        let new = |cells: serde_json::Value| insert("item", json!({"id": "9"}), cells);
        let shop = Shop::open(
            engine,
            &schema("text NOT NULL DEFAULT 'fixed'", "integer DEFAULT 7"),
            std::slice::from_ref(&item),
        )
        .await;
        shop.there_and_back("acme", new(json!({}))).await;
        let run = shop.applied("acme", new(json!({"other": "8"}))).await;
        assert_eq!(shop.world.value("SELECT v FROM item WHERE id = 9").await, "fixed");
        shop.undone(&run).await;
        let now = by(engine, "text NOT NULL DEFAULT CURRENT_TIMESTAMP", "text NOT NULL DEFAULT now()::text");
        let shop = Shop::open(engine, &schema(now, "integer"), std::slice::from_ref(&item)).await;
        shop.refuses("acme", new(json!({})), Code::InsertIncomplete).await;
        shop.there_and_back("acme", new(json!({"v": "then"}))).await;
        let unbound = Bound::new("item", "id tenant other");
        let shop = Shop::open(engine, &schema(now, "integer"), &[unbound]).await;
        let message = shop.refuses("acme", new(json!({})), Code::InsertIncomplete).await;
        assert!(message.contains("`v`"), "{message}");
    }
}

#[tokio::test]
async fn a_generated_column_follows_by_itself_and_is_never_written() {
    for engine in ENGINES {
        let schema = "CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, v integer,
                twice integer GENERATED ALWAYS AS (v * 2) STORED);
             INSERT INTO item (id, tenant, v) VALUES (1, 'acme', 1);";
        let item = Bound::new("item", "id tenant v twice");
        let shop = Shop::open(engine, schema, &[item]).await;
        shop.there_and_back("acme", to(Some("5"))).await;
        let run = shop.applied("acme", to(Some("5"))).await;
        assert_eq!(shop.world.value("SELECT CAST(twice AS text) FROM item").await, "10");
        shop.undone(&run).await;
        shop.there_and_back("acme", delete("item", json!({"id": "1"}))).await;
        shop.there_and_back("acme", insert("item", json!({"id": "9"}), json!({"v": "3"}))).await;
        let written = set("item", json!({"id": "1"}), json!({"twice": "3"}));
        shop.refuses("acme", written, Code::JobFailed).await;
    }
}
