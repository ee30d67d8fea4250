//! Triggers and rules: an unknown one stops writes, a known one may do what was said of it and no more.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::json;

use super::{Bound, Shop, by, insert, set};
use crate::world::{ENGINES, Engine};

const ITEM: &str = "CREATE TABLE item (id integer PRIMARY KEY, tenant text NOT NULL, q integer, note text,
        unseen text, updated_at text);
    INSERT INTO item VALUES (1, 'acme', 1, 'n', 'u', 'then'), (2, 'other', 1, 'n', 'u', 'then');";

/// A trigger `by_itself` on updates of `q`; what it does, in each engine's words.
fn trigger(engine: Engine, when: &str, sqlite: &str, postgres: &str) -> String {
    let made = match engine {
        Engine::Sqlite => format!("CREATE TRIGGER by_itself AFTER UPDATE OF q ON item BEGIN {sqlite}; END;"),
        Engine::Postgres => format!(
            "CREATE FUNCTION by_itself() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {postgres}; RETURN NEW; END $$;
             CREATE TRIGGER by_itself {when} UPDATE OF q ON item FOR EACH ROW EXECUTE FUNCTION by_itself();"
        ),
    };
    format!("{ITEM} {made}")
}

fn item() -> Bound {
    Bound::new("item", "id tenant q note")
}

fn declared() -> Bound {
    item().more("triggers = { by_itself = \"somebody said it was harmless\" }")
}

fn to(q: &str) -> serde_json::Value {
    set("item", json!({"id": "1"}), json!({"q": q}))
}

#[tokio::test]
async fn a_trigger_that_nobody_declared_stops_writes_and_is_named() {
    for engine in ENGINES {
        let schema = trigger(engine, "BEFORE", "SELECT 1", "NULL");
        let shop = Shop::open(engine, &schema, &[item()]).await;
        let message = shop.refuses("acme", to("2"), Code::SideEffect).await;
        assert!(message.contains("trigger `by_itself` on `item` is not declared"), "{message}");
    }
}

#[tokio::test]
async fn a_declared_trigger_that_changes_more_than_was_said_ends_at_the_rehearsal() {
    for engine in ENGINES {
        for (what, sqlite, before, after) in [
            ("the value written", "q = NEW.q + 1", "NEW.q := NEW.q + 1", "q = NEW.q + 1"),
            ("another column", "note = 'mine'", "NEW.note := 'mine'", "note = 'mine'"),
            ("a column that is not bound", "unseen = 'mine'", "NEW.unseen := 'mine'", "unseen = 'mine'"),
            ("whose the row is", "tenant = 'other'", "NEW.tenant := 'other'", "tenant = 'other'"),
        ] {
            let sqlite = format!("UPDATE item SET {sqlite} WHERE id = NEW.id");
            // Without the condition it would call itself for ever.
            let after = format!("IF pg_trigger_depth() = 1 THEN UPDATE item SET {after} WHERE id = NEW.id; END IF");
            for (when, postgres) in [("BEFORE", before), ("AFTER", after.as_str())] {
                let schema = trigger(engine, when, &sqlite, postgres);
                let shop = Shop::open(engine, &schema, &[declared()]).await;
                let problem = shop.refused("acme", to("5")).await;
                assert_eq!(problem.code, Code::WriteDiffers, "{engine:?} {when} {what}: {problem:?}");
                if engine == Engine::Sqlite {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_trigger_that_waits_for_the_commit_is_heard_before_it() {
    let schema = format!(
        "{ITEM} CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF pg_trigger_depth() = 1 THEN UPDATE item SET q = 99 WHERE id = NEW.id; END IF; RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER by_itself AFTER UPDATE ON item DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION late();"
    );
    let shop = Shop::open(Engine::Postgres, &schema, &[declared()]).await;
    shop.refuses("acme", to("5"), Code::WriteDiffers).await;
}

#[tokio::test]
async fn a_derived_column_is_shown_set_by_its_trigger_and_left_aside_by_the_undo() {
    for engine in ENGINES {
        let schema = trigger(
            engine,
            "BEFORE",
            "UPDATE item SET updated_at = updated_at || '!' WHERE id = NEW.id",
            "NEW.updated_at := OLD.updated_at || '!'",
        );
        let bound = item()
            .column("updated_at", "{ column = \"updated_at\", derived = \"trigger by_itself\" }")
            .fixed(&["updated_at"]);
        let shop = Shop::open(engine, &schema, &[bound]).await;
        let before = shop.world.dump().await;
        let run = shop.applied("acme", to("2")).await;
        let plan = shop.host.store().load_plan(run.number).await.unwrap();
        assert_eq!(plan.document.rehearsal.triggers, ["by_itself"]);
        assert_eq!(shop.shown(&run).await, ["update item 1 q=2"]);
        assert_eq!(shop.world.value("SELECT updated_at FROM item WHERE id = 1").await, "then!");
        shop.undone(&run).await;
        assert_eq!(shop.world.value("SELECT updated_at FROM item WHERE id = 1").await, "then!!");
        shop.world
            .sql(&format!("{} UPDATE item SET updated_at = 'then'", by(engine, "DROP TRIGGER by_itself;", "")))
            .await;
        if engine == Engine::Postgres {
            before.assert_unchanged(&shop.world.dump().await);
        }
        let written = set("item", json!({"id": "1"}), json!({"updated_at": "now"}));
        let message = shop.refuses("acme", written, Code::JobFailed).await;
        assert!(message.contains("COLUMN_NOT_WRITABLE"), "{message}");
    }
}

#[tokio::test]
async fn a_declared_trigger_may_write_what_no_plan_is_about() {
    for engine in ENGINES {
        let audit = "CREATE TABLE audit (item integer, q integer);";
        let write = "INSERT INTO audit VALUES (NEW.id, NEW.q)";
        let schema = format!("{audit} {}", trigger(engine, "AFTER", write, write));
        let shop = Shop::open(engine, &schema, &[declared()]).await;
        let before = shop.world.dump().await;
        let run = shop.applied("acme", to("2")).await;
        let plan = shop.host.store().load_plan(run.number).await.unwrap();
        assert_eq!(plan.document.rehearsal.triggers, ["by_itself"]);
        assert_eq!(
            shop.world.value("SELECT CAST(count(*) AS text) FROM audit").await,
            "1",
            "rehearsed once, applied once"
        );
        shop.undone(&run).await;
        let difference = before.difference(&shop.world.dump().await);
        assert_eq!(difference.len(), 2, "{difference:?}");
        assert!(difference.iter().all(|line| line.contains("audit")), "{difference:?}");
    }
}

#[tokio::test]
async fn a_declared_trigger_that_reaches_into_another_tenant_is_refused() {
    for engine in ENGINES {
        for write in [
            "UPDATE item SET note = 'reached' WHERE id = 2",
            "INSERT INTO item VALUES (3, 'other', 1, 'reached', '', '')",
            "DELETE FROM item WHERE id = 2",
        ] {
            let shop = Shop::open(engine, &trigger(engine, "AFTER", write, write), &[declared()]).await;
            shop.refuses("acme", to("2"), Code::WriteDiffers).await;
        }
    }
}

/// SQLite does not tell which rows of such a table change.
#[tokio::test]
async fn a_table_without_rowid_and_with_triggers_is_not_written() {
    let with = trigger(Engine::Sqlite, "AFTER", "SELECT 1", "");
    let without = with.replacen(");", ") WITHOUT ROWID;", 1);
    assert_ne!(with, without);
    Shop::open(Engine::Sqlite, &with, &[declared()]).await.planned("acme", to("2")).await;
    let shop = Shop::open(Engine::Sqlite, &without, &[declared()]).await;
    let message = shop.refuses("acme", to("2"), Code::SideEffect).await;
    assert!(message.contains("WITHOUT ROWID"), "{message}");
}

#[tokio::test]
async fn a_trigger_that_says_no_is_a_constraint_and_its_words_stay_inside() {
    for engine in ENGINES {
        let schema = trigger(
            engine,
            "BEFORE",
            "SELECT RAISE(ABORT, 'secret hunter2')",
            "RAISE EXCEPTION 'secret % hunter2', OLD",
        );
        let shop = Shop::open(engine, &schema, &[declared()]).await;
        let problem = shop.refused("acme", to("2")).await;
        assert_eq!(problem.code, Code::ConstraintViolated, "{problem:?}");
        assert!(!format!("{problem:?}").contains("hunter2"));
        assert!(problem.message.contains("trigger"), "{problem:?}");
    }
}

#[tokio::test]
async fn a_trigger_that_drops_the_row_silently_is_found() {
    let schema = format!(
        "{ITEM} CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER by_itself BEFORE INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION never();"
    );
    let shop = Shop::open(Engine::Postgres, &schema, &[declared()]).await;
    for params in [
        to("2"),
        insert("item", json!({"id": "3"}), json!({"q": "1", "note": "x"})),
        super::delete("item", json!({"id": "1"})),
    ] {
        let problem = shop.refused("acme", params).await;
        assert!([Code::PlanDrifted, Code::WriteDiffers].contains(&problem.code), "{problem:?}");
    }
}

#[tokio::test]
async fn a_trigger_that_changes_after_the_approval_voids_it() {
    for engine in ENGINES {
        let schema = trigger(engine, "BEFORE", "SELECT 1", "NULL");
        let shop = Shop::open(engine, &schema, &[declared()]).await;
        let run = shop.planned("acme", to("2")).await;
        shop.world
            .sql(by(
                engine,
                "DROP TRIGGER by_itself; CREATE TRIGGER by_itself AFTER UPDATE OF q ON item BEGIN SELECT 2; END",
                "CREATE OR REPLACE FUNCTION by_itself() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN NEW.note := 'now I do'; RETURN NEW; END $$",
            ))
            .await;
        let problem = shop.not_applied(&run).await;
        assert_eq!(problem.code, Code::PlanBinding, "{problem:?}");
        assert_eq!(shop.host.store().run(run.number).await.unwrap().state, State::Refused);
    }
}

#[tokio::test]
async fn a_rule_is_declared_or_stops_writes_and_one_that_swallows_them_is_found() {
    let with =
        |rule: &str| format!("{ITEM} CREATE TABLE log (n integer); CREATE RULE by_itself AS ON UPDATE TO item {rule};");
    let also = with("DO ALSO INSERT INTO log VALUES (1)");
    let shop = Shop::open(Engine::Postgres, &also, &[item()]).await;
    let message = shop.refuses("acme", to("2"), Code::SideEffect).await;
    assert!(message.contains("rule `by_itself`"), "{message}");
    for swallow in ["DO INSTEAD NOTHING", "DO INSTEAD INSERT INTO log VALUES (2)"] {
        let shop = Shop::open(Engine::Postgres, &with(swallow), &[declared()]).await;
        let problem = shop.refused("acme", to("2")).await;
        let named = [Code::WriteDiffers, Code::PlanDrifted, Code::TargetFailed, Code::SideEffect];
        assert!(named.contains(&problem.code), "{swallow}: {problem:?}");
    }
}

/// One group of rows is quick, the other one is not: the time is over in the middle of a statement.
#[tokio::test]
async fn a_rehearsal_that_takes_too_long_holds_nothing_when_it_is_given_up() {
    let schema = format!(
        "{} INSERT INTO item VALUES (3, 'acme', 1, 'n', 'u', 'then');",
        trigger(Engine::Postgres, "BEFORE", "", "PERFORM pg_sleep(CASE NEW.id WHEN 3 THEN 0.2 ELSE 30 END)")
    );
    let mut shop = Shop::open(Engine::Postgres, &schema, &[declared()]).await;
    shop.world.database_keys = "dry_run_lock_ms_max = 400".to_owned();
    shop.host = shop.world.host().await;
    let mut both = to("2");
    both["changes"].as_array_mut().unwrap().push(json!({"key": {"id": "3"}, "set": {"q": "2", "note": "m"}}));
    let run = shop.plan("acme", both).await.unwrap();
    let busy = "SELECT count(*)::text FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'mendwright' AND query LIKE '%UPDATE%item%'";
    assert_eq!(shop.world.value(busy).await, "0");
    let plan = shop.host.store().load_plan(run.number).await.unwrap();
    assert_eq!((run.state, plan.document.rehearsal.passed), (State::Planned, None));
    assert!(plan.document.rehearsal.detail.contains("dry_run_lock_ms_max"), "{}", plan.document.rehearsal.detail);
}
