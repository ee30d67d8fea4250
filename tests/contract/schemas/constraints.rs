//! What a database forbids: said by name, without a word of any row, and nothing is applied.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::json;

use super::{Bound, Shop, by, delete, insert, set};
use crate::world::{ENGINES, Engine, Short as _};

const SEATS: &str = "INSERT INTO seat VALUES (1, 'acme', 10), (2, 'acme', 20), (3, 'other', 30);";

fn swap() -> serde_json::Value {
    json!({ "table": "seat", "changes": [
        { "key": { "id": "1" }, "set": { "place": "20" } },
        { "key": { "id": "2" }, "set": { "place": "10" } },
    ]})
}

#[tokio::test]
async fn a_swap_of_unique_values_is_refused_by_name() {
    for engine in ENGINES {
        let schema = format!(
            "CREATE TABLE seat (id integer PRIMARY KEY, tenant text NOT NULL, place integer NOT NULL,
             CONSTRAINT seat_place UNIQUE (place)); {SEATS}"
        );
        let shop = Shop::open(engine, &schema, &[Bound::new("seat", "id tenant place")]).await;
        let message = shop.refuses("acme", swap(), Code::ConstraintViolated).await;
        assert!(message.contains("uniqueness"), "{message}");
        assert!(engine == Engine::Sqlite || message.contains("`seat_place`"), "{message}");
        // A place that somebody else has: the message does not say who.
        let taken = set("seat", json!({"id": "1"}), json!({"place": "30"}));
        let problem = shop.refused("acme", taken).await;
        assert_eq!(problem.code, Code::ConstraintViolated);
        assert!(!format!("{problem:?}").contains("30"), "{problem:?}");
    }
}

#[tokio::test]
async fn a_swap_works_where_the_constraint_waits_for_the_end() {
    let schema = format!(
        "CREATE TABLE seat (id integer PRIMARY KEY, tenant text NOT NULL, place integer NOT NULL,
         UNIQUE (place) DEFERRABLE INITIALLY DEFERRED); {SEATS}"
    );
    let shop = Shop::open(Engine::Postgres, &schema, &[Bound::new("seat", "id tenant place")]).await;
    let changes = shop.there_and_back("acme", swap()).await;
    assert_eq!(changes, ["update seat 1 place=20", "update seat 2 place=10"]);
    // It waits, and is still heard: before the commit.
    let taken = set("seat", json!({"id": "1"}), json!({"place": "30"}));
    shop.refuses("acme", taken, Code::ConstraintViolated).await;
}

#[tokio::test]
async fn rows_that_point_at_each_other_go_together_and_come_back() {
    for engine in ENGINES {
        let wait = by(engine, "", "DEFERRABLE INITIALLY DEFERRED");
        let schema = format!(
            "CREATE TABLE node (id integer PRIMARY KEY, tenant text NOT NULL, next integer REFERENCES node {wait});
             BEGIN; {} INSERT INTO node VALUES (1, 'acme', 2), (2, 'acme', 3), (3, 'acme', 1), (4, 'acme', 4); COMMIT;",
            by(engine, "PRAGMA defer_foreign_keys = ON;", "")
        );
        let shop = Shop::open(engine, &schema, &[Bound::new("node", "id tenant next")]).await;
        let ring = json!({ "table": "node", "delete": [
            { "key": { "id": "1" } }, { "key": { "id": "2" } }, { "key": { "id": "3" } }, { "key": { "id": "4" } },
        ]});
        assert_eq!(shop.there_and_back("acme", ring).await.len(), 4, "{engine:?}");
        let one = shop.refuses("acme", delete("node", json!({"id": "1"})), Code::ConstraintViolated).await;
        assert!(one.contains("a foreign key"), "{one}");
        let turned = json!({ "table": "node", "changes": [
            { "key": { "id": "1" }, "set": { "next": "3" } }, { "key": { "id": "3" }, "set": { "next": null } },
        ]});
        assert_eq!(shop.there_and_back("acme", turned).await.len(), 2);
    }
}

const FAMILY: &str = "CREATE TABLE parent (id integer PRIMARY KEY, tenant text NOT NULL);
    CREATE TABLE child (id integer PRIMARY KEY, tenant text NOT NULL, parent integer REFERENCES parent);
    INSERT INTO parent VALUES (1, 'acme'), (2, 'acme'), (3, 'other');
    INSERT INTO child VALUES (1, 'acme', 1), (2, 'acme', 1);";

#[tokio::test]
async fn a_row_that_others_refer_to_stays() {
    for engine in ENGINES {
        let tables = [Bound::new("parent", "id tenant"), Bound::new("child", "id tenant parent")];
        let shop = Shop::open(engine, FAMILY, &tables).await;
        let message = shop.refuses("acme", delete("parent", json!({"id": "1"})), Code::ConstraintViolated).await;
        assert!(message.contains("a foreign key"), "{message}");
        shop.there_and_back("acme", delete("parent", json!({"id": "2"}))).await;
        // A parent that is not there, and one that is another tenant's, look alike.
        let under = |parent: &str| set("child", json!({"id": "1"}), json!({"parent": parent}));
        let nowhere = shop.refuses("acme", under("9"), Code::ReferenceForeign).await;
        let foreign = shop.refuses("acme", under("3"), Code::ReferenceForeign).await;
        assert_eq!(nowhere, foreign);
        shop.there_and_back("acme", under("2")).await;
    }
}

#[tokio::test]
async fn a_reference_that_appears_after_the_plan_ends_the_apply_at_commit_with_nothing_changed() {
    for engine in ENGINES {
        let tables = [Bound::new("parent", "id tenant"), Bound::new("child", "id tenant parent")];
        let shop = Shop::open(engine, FAMILY, &tables).await;
        let run = shop.planned("acme", delete("parent", json!({"id": "2"}))).await;
        shop.world.sql("INSERT INTO child VALUES (3, 'acme', 2)").await;
        let problem = shop.not_applied(&run).await;
        assert_eq!(problem.code, Code::ConstraintViolated, "{engine:?} {problem:?}");
        let run = shop.host.store().run(run.number).await.unwrap();
        assert_eq!(run.state, State::Violated);
        // Nobody is locked out after it.
        shop.world.sql("DELETE FROM child WHERE id = 3").await;
        shop.there_and_back("acme", delete("parent", json!({"id": "2"}))).await;
    }
}

#[tokio::test]
async fn a_check_is_named_and_tells_nothing_of_the_row() {
    for engine in ENGINES {
        let schema = "CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, q integer,
                secret text, CONSTRAINT q_is_positive CHECK (q > 0));
             INSERT INTO item VALUES (1, 'acme', 4711, 'hunter2');";
        let shop = Shop::open(engine, schema, &[Bound::new("item", "id tenant q secret")]).await;
        let problem = shop.refused("acme", set("item", json!({"id": "1"}), json!({"q": "-815"}))).await;
        assert_eq!(problem.code, Code::ConstraintViolated);
        assert!(problem.message.contains("a CHECK"), "{problem:?}");
        assert!(engine == Engine::Sqlite || problem.message.contains("`q_is_positive`"), "{problem:?}");
        for word in ["hunter2", "815", "4711", "acme"] {
            assert!(!format!("{problem:?}").contains(word), "{problem:?}");
        }
        let null = set("item", json!({"id": "1"}), json!({"q": null}));
        shop.there_and_back("acme", null).await;
    }
}

#[tokio::test]
async fn null_where_the_table_forbids_it_is_refused_before_the_database_is_asked() {
    for engine in ENGINES {
        let schema = "CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, q integer NOT NULL);
             INSERT INTO item VALUES (1, 'acme', 1);";
        let shop = Shop::open(engine, schema, &[Bound::new("item", "id tenant q")]).await;
        shop.refuses("acme", set("item", json!({"id": "1"}), json!({"q": null})), Code::ValueKind).await;
        shop.refuses("acme", insert("item", json!({"id": "2"}), json!({})), Code::InsertIncomplete).await;
    }
}

#[tokio::test]
async fn an_exclusion_constraint_is_named() {
    let schema = "CREATE TABLE booking (id integer PRIMARY KEY, tenant text NOT NULL, during tsrange NOT NULL,
            CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&));
         INSERT INTO booking VALUES (1, 'acme', '[2024-01-01,2024-01-02)'), (2, 'other', '[2024-02-01,2024-02-02)');";
    let shop = Shop::open(Engine::Postgres, schema, &[Bound::new("booking", "id tenant during")]).await;
    let to = |range: &str| set("booking", json!({"id": "1"}), json!({"during": range}));
    let message =
        shop.refuses("acme", to("[\"2024-02-01 12:00:00\",\"2024-02-03 00:00:00\")"), Code::ConstraintViolated).await;
    assert!(message.contains("an exclusion (`no_overlap`)"), "{message}");
    shop.there_and_back("acme", to("[\"2024-03-01 00:00:00\",\"2024-03-03 00:00:00\")")).await;
    shop.refuses("acme", to("[2024-03-01,2024-03-03)"), Code::ValueRoundTrip).await;
}

#[tokio::test]
async fn a_conflict_clause_of_sqlite_is_declared_and_even_then_deletes_nothing() {
    for how in ["REPLACE", "IGNORE", "ROLLBACK", "FAIL"] {
        let schema = format!(
            "CREATE TABLE seat (id integer PRIMARY KEY, tenant text NOT NULL, place integer NOT NULL,
             UNIQUE (place) ON CONFLICT {how}); {SEATS}"
        );
        let seat = Bound::new("seat", "id tenant place");
        let shop = Shop::open(Engine::Sqlite, &schema, &[seat.clone()]).await;
        let free = set("seat", json!({"id": "1"}), json!({"place": "11"}));
        let message = shop.refuses("acme", free.clone(), Code::SideEffect).await;
        assert!(message.contains(how), "{message}");
        let declared = seat.more(&format!("triggers = {{ \"ON CONFLICT {how}\" = \"as it always was\" }}"));
        let shop = Shop::open(Engine::Sqlite, &schema, &[declared]).await;
        shop.there_and_back("acme", free).await;
        for taken in ["20", "30"] {
            let taken = set("seat", json!({"id": "1"}), json!({"place": taken}));
            shop.refuses("acme", taken, Code::ConstraintViolated).await;
        }
        let taken = insert("seat", json!({"id": "4"}), json!({"place": "30"}));
        shop.refuses("acme", taken, Code::ConstraintViolated).await;
    }
}

#[tokio::test]
async fn an_index_over_some_rows_is_no_key_and_still_forbids() {
    for engine in ENGINES {
        let schema = "CREATE TABLE card (id integer NOT NULL, tenant text NOT NULL, state text NOT NULL, UNIQUE (id));
             CREATE UNIQUE INDEX one_open ON card (tenant) WHERE state = 'open';
             INSERT INTO card VALUES (1, 'acme', 'open'), (2, 'acme', 'shut'), (3, 'other', 'shut');";
        let card = Bound::new("card", "id tenant state");
        let shop = Shop::open(engine, schema, &[card.clone()]).await;
        let open = |id: &str| set("card", json!({"id": id}), json!({"state": "open"}));
        let message = shop.refuses("acme", open("2"), Code::ConstraintViolated).await;
        assert!(message.contains("uniqueness"), "{message}");
        shop.there_and_back("other", open("3")).await;
        let partial = Shop::open(engine, schema, &[card.key(&["tenant"]).fixed(&["id"])]).await;
        let by_tenant = set("card", json!({"tenant": "acme"}), json!({"state": "x"}));
        partial.refuses("acme", by_tenant, Code::KeyUnusable).await;
    }
}
