//! Deletes that take other rows along: planned with what they take, or refused.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::json;

use super::{Bound, Shop, bindings, delete, set};
use crate::world::{ENGINES, Short as _};

const SHOP: &str = "CREATE TABLE invoice (id integer PRIMARY KEY, tenant text NOT NULL, note text);
    CREATE TABLE line (id integer PRIMARY KEY, invoice integer NOT NULL REFERENCES invoice ON DELETE CASCADE, q integer);
    CREATE TABLE remark (id integer PRIMARY KEY, line integer REFERENCES line ON DELETE CASCADE, body text, extra text);
    INSERT INTO invoice VALUES (1, 'acme', 'x'), (2, 'acme', 'y'), (3, 'other', 'z');
    INSERT INTO line VALUES (10, 1, 1), (11, 1, 2), (20, 2, 3), (30, 3, 4);
    INSERT INTO remark VALUES (100, 10, 'a', 'unseen'), (101, 10, 'b', NULL), (300, 30, 'c', NULL);";

fn invoice() -> Bound {
    Bound::new("invoice", "id tenant note")
}

fn line() -> Bound {
    Bound::new("line", "id invoice q")
        .tenant("{ through = \"invoice\", on = { invoice = \"id\" } }")
        .fixed(&["invoice"])
}

fn remark() -> Bound {
    Bound::new("remark", "id line body").tenant("{ through = \"line\", on = { line = \"id\" } }").fixed(&["line"])
}

#[tokio::test]
async fn a_cascade_that_is_not_declared_refuses_the_delete_and_only_that() {
    for engine in ENGINES {
        let shop = Shop::open(engine, SHOP, &[invoice(), line(), remark()]).await;
        let message = shop.refuses("acme", delete("invoice", json!({"id": "1"})), Code::Referenced).await;
        assert!(message.contains("list `line` in `cascades`"), "{message}");
        shop.there_and_back("acme", set("invoice", json!({"id": "1"}), json!({"note": "new"}))).await;
        let unbound = Shop::open(engine, SHOP, &[invoice()]).await;
        let message = unbound.refuses("acme", delete("invoice", json!({"id": "1"})), Code::Referenced).await;
        assert!(message.contains("bind it as a resource"), "{message}");
        // One level further down nobody said anything either.
        let half = Shop::open(engine, SHOP, &[invoice().more("cascades = [\"line\"]"), line(), remark()]).await;
        half.refuses("acme", delete("invoice", json!({"id": "1"})), Code::Referenced).await;
    }
}

#[tokio::test]
async fn a_declared_cascade_is_planned_shown_and_undone_whole() {
    for engine in ENGINES {
        let tables = [invoice().more("cascades = [\"line\"]"), line().more("cascades = [\"remark\"]"), remark()];
        let shop = Shop::open(engine, SHOP, &tables).await;
        let before = shop.world.dump().await;
        let run = shop.applied("acme", delete("invoice", json!({"id": "1"}))).await;
        let shown: Vec<String> = shop.shown(&run).await.iter().map(|line| line.trim().to_owned()).collect();
        assert_eq!(
            shown,
            ["delete invoice 1", "delete line 10", "delete line 11", "delete remark 100", "delete remark 101"],
            "{engine:?}"
        );
        assert_eq!(shop.world.value("SELECT CAST(count(*) AS text) FROM remark").await, "1");
        shop.undone(&run).await;
        before.assert_unchanged(&shop.world.dump().await);
    }
}

#[tokio::test]
async fn a_cascade_into_a_table_that_the_job_was_not_granted_is_refused() {
    for engine in ENGINES {
        let tables = [invoice().more("cascades = [\"line\"]"), line().more("cascades = [\"remark\"]"), remark()];
        let shop = Shop::open(engine, SHOP, &tables).await;
        let Shop { mut world, host: _ } = shop;
        let kept: Vec<String> = bindings(&tables)
            .lines()
            .filter(|text| !text.starts_with("allow.line") && !text.starts_with("allow.remark"))
            .map(str::to_owned)
            .collect();
        world.bindings = kept.join("\n");
        let host = world.host().await;
        let shop = Shop { world, host };
        shop.refuses("acme", delete("invoice", json!({"id": "1"})), Code::Referenced).await;
    }
}

#[tokio::test]
async fn a_cascade_never_takes_another_tenants_rows_along() {
    for engine in ENGINES {
        let schema = "CREATE TABLE invoice (id integer PRIMARY KEY, tenant text NOT NULL);
             CREATE TABLE line (id integer PRIMARY KEY, tenant text NOT NULL,
                invoice integer REFERENCES invoice ON DELETE CASCADE);
             INSERT INTO invoice VALUES (1, 'acme'), (2, 'acme');
             INSERT INTO line VALUES (10, 'acme', 1), (11, 'other', 1), (20, 'acme', 2);";
        let tables =
            [Bound::new("invoice", "id tenant").more("cascades = [\"line\"]"), Bound::new("line", "id tenant invoice")];
        let shop = Shop::open(engine, schema, &tables).await;
        let message = shop.refuses("acme", delete("invoice", json!({"id": "1"})), Code::Referenced).await;
        assert!(!message.contains("other") && !message.contains("11"), "{message}");
        shop.there_and_back("acme", delete("invoice", json!({"id": "2"}))).await;
        // And not when the other's row comes after the plan, nor one of the tenant's own.
        for newcomer in ["(21, 'other', 2)", "(21, 'acme', 2)"] {
            let run = shop.planned("acme", delete("invoice", json!({"id": "2"}))).await;
            shop.world.sql(&format!("INSERT INTO line VALUES {newcomer}")).await;
            let problem = shop.not_applied(&run).await;
            let expected = [Code::Referenced, Code::PlanDrifted];
            assert!(expected.contains(&problem.code), "{engine:?} {newcomer}: {problem:?}");
            let state = shop.host.store().run(run.number).await.unwrap().state;
            assert!([State::Drifted, State::Refused].contains(&state), "{state}");
            shop.world.sql("DELETE FROM line WHERE id = 21").await;
        }
    }
}

#[tokio::test]
async fn a_delete_that_would_change_other_rows_is_refused() {
    for engine in ENGINES {
        for action in ["SET NULL", "SET DEFAULT"] {
            let schema = format!(
                "CREATE TABLE invoice (id integer PRIMARY KEY, tenant text NOT NULL);
                 CREATE TABLE line (id integer PRIMARY KEY, tenant text NOT NULL,
                    invoice integer DEFAULT NULL REFERENCES invoice ON DELETE {action});
                 INSERT INTO invoice VALUES (1, 'acme'); INSERT INTO line VALUES (10, 'acme', 1);"
            );
            let tables = [
                Bound::new("invoice", "id tenant").more("cascades = [\"line\"]"),
                Bound::new("line", "id tenant invoice"),
            ];
            let shop = Shop::open(engine, &schema, &tables).await;
            let message = shop.refuses("acme", delete("invoice", json!({"id": "1"})), Code::Referenced).await;
            assert!(message.contains("would change rows of `line`"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_column_whose_change_would_cascade_is_not_writable() {
    for engine in ENGINES {
        let schema = "CREATE TABLE product (id integer PRIMARY KEY, tenant text NOT NULL, code text NOT NULL UNIQUE);
             CREATE TABLE stock (id integer PRIMARY KEY, tenant text NOT NULL,
                code text REFERENCES product (code) ON UPDATE CASCADE);
             INSERT INTO product VALUES (1, 'acme', 'a'); INSERT INTO stock VALUES (1, 'other', 'a');";
        let shop = Shop::open(engine, schema, &[Bound::new("product", "id tenant code")]).await;
        let message =
            shop.refuses("acme", set("product", json!({"id": "1"}), json!({"code": "b"})), Code::JobFailed).await;
        assert!(message.contains("COLUMN_NOT_WRITABLE"), "{message}");
    }
}
