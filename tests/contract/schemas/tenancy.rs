//! Whose a row is: by a column, by a schema, by the whole database, or through its parents.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::json;

use super::{Bound, Shop, delete, insert, set};
use crate::world::{ENGINES, Engine};

/// Changes, adds and removes a row of the tenant, and finds none of another's.
async fn works(shop: &Shop, tenant: &str, own: &str, foreign: &str) {
    let touch = |id: &str| set("item", json!({"id": id}), json!({"note": "new"}));
    shop.there_and_back(tenant, touch(own)).await;
    shop.there_and_back(tenant, delete("item", json!({"id": own}))).await;
    for params in [touch(foreign), delete("item", json!({"id": foreign}))] {
        let run = shop.plan(tenant, params).await.unwrap();
        assert_eq!(run.state, State::NothingToDo, "{:?}", shop.shown(&run).await);
    }
}

#[tokio::test]
async fn by_a_column_of_text_or_of_numbers() {
    for engine in ENGINES {
        for (kind, acme, other) in [("text", "acme", "other"), ("varchar(5)", "acme", "other"), ("integer", "2", "3")] {
            let schema = format!(
                "CREATE TABLE item (id integer PRIMARY KEY, tenant {kind}, note text);
                 INSERT INTO item VALUES (1, '{acme}', 'x'), (2, '{other}', 'x'), (3, NULL, 'nobody');"
            );
            let shop = Shop::open(engine, &schema, &[Bound::new("item", "id tenant note")]).await;
            works(&shop, acme, "1", "2").await;
            works(&shop, acme, "1", "3").await;
            shop.there_and_back(acme, insert("item", json!({"id": "9"}), json!({"note": "x"}))).await;
            // A key of another's is neither found nor taken.
            let taken = shop.plan(acme, insert("item", json!({"id": "2"}), json!({"note": "x"}))).await;
            assert_eq!(taken.unwrap_err().code, Code::ConstraintViolated);
            // Names that only look like the tenant's find nobody.
            for like in [format!("{acme} "), format!("0{acme}"), acme.to_uppercase() + "_", format!("{acme}longer")] {
                match shop.plan(&like, set("item", json!({"id": "1"}), json!({"note": "new"}))).await {
                    Ok(run) => assert_eq!(run.state, State::NothingToDo, "{kind} {like:?}"),
                    Err(problem) => assert_eq!(problem.code, Code::TenantInexact, "{kind} {like:?}"),
                }
            }
            let stolen = set("item", json!({"id": "1"}), json!({"tenant": other}));
            shop.refuses(acme, stolen, Code::JobFailed).await;
        }
    }
}

#[tokio::test]
async fn through_one_parent_and_through_two() {
    for engine in ENGINES {
        let schema = "CREATE TABLE customer (id integer PRIMARY KEY, tenant text NOT NULL);
             CREATE TABLE invoice (id integer PRIMARY KEY, customer integer REFERENCES customer, note text);
             CREATE TABLE item (id integer PRIMARY KEY, invoice integer REFERENCES invoice, note text);
             INSERT INTO customer VALUES (1, 'acme'), (2, 'other');
             INSERT INTO invoice VALUES (10, 1, 'x'), (20, 2, 'x'), (30, NULL, 'x');
             INSERT INTO item VALUES (100, 10, 'x'), (200, 20, 'x'), (300, 30, 'x'), (400, NULL, 'x');";
        let tables = [
            Bound::new("customer", "id tenant"),
            Bound::new("invoice", "id customer note")
                .tenant("{ through = \"customer\", on = { customer = \"id\" } }")
                .fixed(&["customer"]),
            Bound::new("item", "id invoice note")
                .tenant("{ through = \"invoice\", on = { invoice = \"id\" } }")
                .fixed(&["invoice"]),
        ];
        let shop = Shop::open(engine, schema, &tables).await;
        for foreign in ["200", "300", "400"] {
            works(&shop, "acme", "100", foreign).await;
        }
        shop.there_and_back("acme", set("invoice", json!({"id": "10"}), json!({"note": "new"}))).await;
        let stolen = set("item", json!({"id": "100"}), json!({"invoice": "20"}));
        shop.refuses("acme", stolen, Code::JobFailed).await;
    }
}

#[tokio::test]
async fn a_new_row_hangs_under_the_tenants_own_parent_or_under_none() {
    for engine in ENGINES {
        let schema = "CREATE TABLE invoice (id integer PRIMARY KEY, tenant text NOT NULL);
             CREATE TABLE item (id integer PRIMARY KEY, invoice integer NOT NULL REFERENCES invoice, note text);
             INSERT INTO invoice VALUES (10, 'acme'), (20, 'other');";
        let item = Bound::new("item", "id invoice note").tenant("{ through = \"invoice\", on = { invoice = \"id\" } }");
        let shop = Shop::open(engine, schema, &[Bound::new("invoice", "id tenant"), item]).await;
        let under = |invoice: &str| insert("item", json!({"id": "1"}), json!({"invoice": invoice, "note": "x"}));
        shop.there_and_back("acme", under("10")).await;
        let foreign = shop.refuses("acme", under("20"), Code::ReferenceForeign).await;
        let nowhere = shop.refuses("acme", under("99"), Code::ReferenceForeign).await;
        assert_eq!(foreign, nowhere);
        // To move a row that is there is another thing than to hang up a new one.
        shop.world.sql("INSERT INTO invoice VALUES (11, 'acme'); INSERT INTO item VALUES (5, 10, 'x')").await;
        let moved = set("item", json!({"id": "5"}), json!({"invoice": "11"}));
        let message = shop.refuses("acme", moved, Code::JobFailed).await;
        assert!(message.contains("COLUMN_NOT_WRITABLE"), "{message}");
    }
}

#[tokio::test]
async fn by_a_schema_of_each_tenants_own() {
    let schema = ["acme", "other"].map(|tenant| {
        format!(
            "CREATE SCHEMA \"t-{tenant}\";
             CREATE TABLE \"t-{tenant}\".item (id integer PRIMARY KEY, note text);
             CREATE TABLE \"t-{tenant}\".part (id integer PRIMARY KEY, item integer REFERENCES \"t-{tenant}\".item, note text);
             INSERT INTO \"t-{tenant}\".item VALUES (1, 'x'); INSERT INTO \"t-{tenant}\".part VALUES (7, 1, '{tenant}');"
        )
    });
    let more = "INSERT INTO \"t-other\".item VALUES (2, 'x'); CREATE TABLE item (id integer PRIMARY KEY, note text);";
    let tables = [
        Bound::new("item", "id note").tenant("{ schema = \"t-{tenant}\" }"),
        Bound::new("part", "id item note").tenant("{ through = \"item\", on = { item = \"id\" } }").fixed(&["item"]),
    ];
    let shop = Shop::open(Engine::Postgres, &format!("{} {more}", schema.concat()), &tables).await;
    let touch = |tenant_row: &str| set("item", json!({"id": tenant_row}), json!({"note": "new"}));
    shop.there_and_back("acme", touch("1")).await;
    shop.there_and_back("other", touch("2")).await;
    assert_eq!(shop.plan("acme", touch("2")).await.unwrap().state, State::NothingToDo);
    let run = shop.applied("acme", set("part", json!({"id": "7"}), json!({"note": "new"}))).await;
    assert_eq!(shop.world.value("SELECT note FROM \"t-other\".part").await, "other");
    shop.undone(&run).await;
    shop.there_and_back("acme", insert("item", json!({"id": "9"}), json!({"note": "x"}))).await;
    shop.refuses("nobody", touch("1"), Code::TableUnknown).await;
    for hostile in ["x\"; DROP SCHEMA \"t-acme\" CASCADE; --", "acme\".item; --", "../acme", ""] {
        let problem = shop.refused(hostile, touch("1")).await;
        assert!([Code::ConfigValue, Code::GrantMissing].contains(&problem.code), "{hostile:?}: {problem:?}");
    }
}

#[tokio::test]
async fn by_the_whole_database() {
    for engine in ENGINES {
        let schema = "CREATE TABLE item (id integer PRIMARY KEY, note text); INSERT INTO item VALUES (1, 'x');";
        let item = Bound::new("item", "id note").tenant("{ database = \"acme\" }");
        let shop = Shop::open(engine, schema, &[item]).await;
        shop.there_and_back("acme", set("item", json!({"id": "1"}), json!({"note": "new"}))).await;
        shop.there_and_back("acme", insert("item", json!({"id": "2"}), json!({"note": "new"}))).await;
        for nobody in ["other", "ACME", "acme "] {
            let run = shop.plan(nobody, set("item", json!({"id": "1"}), json!({"note": "new"}))).await;
            assert!(run.map_or(true, |run| run.state == State::NothingToDo), "{nobody}");
            let problem = shop.refused(nobody, insert("item", json!({"id": "2"}), json!({"note": "x"}))).await;
            assert_ne!(problem.code, Code::Internal, "{problem:?}");
        }
    }
}

#[tokio::test]
async fn a_tenant_is_not_found_by_a_name_that_its_column_would_make_of_another() {
    let schema = "CREATE TABLE item (id integer PRIMARY KEY, tenant varchar(10) NOT NULL, note text);
         CREATE TABLE thing (id integer PRIMARY KEY, tenant uuid NOT NULL, note text);
         INSERT INTO item VALUES (1, 'ACME-CORPO', 'x');
         INSERT INTO thing VALUES (1, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'x');";
    let item = Shop::open(Engine::Postgres, schema, &[Bound::new("item", "id tenant note")]).await;
    let touch = |table| set(table, json!({"id": "1"}), json!({"note": "new"}));
    item.there_and_back("ACME-CORPO", touch("item")).await;
    item.refuses("ACME-CORPORATION", touch("item"), Code::TenantInexact).await;
    let thing = Shop::open(Engine::Postgres, schema, &[Bound::new("thing", "id tenant note")]).await;
    thing.there_and_back("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", touch("thing")).await;
    for like in ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "acme"] {
        thing.refuses(like, touch("thing"), Code::TenantInexact).await;
    }
}
