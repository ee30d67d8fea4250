//! P2: *apply equals plan.* Whatever changes between a person's word and the flush, either exactly
//! what was approved is written, or nothing is.

use mendwright::engine::{Applied, Host};
use mendwright_core::code::Code;
use mendwright_core::commitment::Bound;
use mendwright_core::compare::What;
use mendwright_core::run::State;
use mendwright_store::RunRecord;
use serde_json::{Value as Json, json};

use crate::shop::{INDEPENDENT, TENANT, mixed, own, prices, shop, shop_where};
use crate::story::break_books;
use crate::world::{ENGINES, Engine, Short as _, World, code, lines, request};

pub(crate) const PRICES: [(i64, &str); 3] = [(1, "1.25"), (2, "2.25"), (3, "3.25")];

/// Confirms a run, and asserts that nothing at all was written.
pub(crate) async fn nothing_applied(world: &World, host: &Host, run: &RunRecord, at: &str) -> Applied {
    let before = world.dump().await;
    let applied = host.confirm(run).await.unwrap_or_else(|problem| panic!("{at}: {problem:?}"));
    before.assert_unchanged(&world.dump().await);
    let journal = own(world.engine, "journal");
    let id = run.id;
    let n = world.value(&format!("SELECT CAST(count(*) AS TEXT) FROM {journal} WHERE run = '{id}'")).await;
    assert_eq!(n, "0", "{at}");
    assert_eq!(applied.changes, 0, "{at}");
    applied
}

#[track_caller]
fn drifted(applied: &Applied, what: What, at: &str) {
    assert_eq!(applied.problem.as_ref().map(|problem| problem.code), Some(Code::PlanDrifted), "{at}");
    assert_eq!(applied.run.state, State::Drifted, "{at}");
    let drift = applied.drift.as_ref().unwrap();
    assert!(drift.differences.iter().any(|difference| difference.what == what), "{at}: {drift:?}");
}

#[tokio::test]
async fn a_component_that_does_something_else_at_apply_does_nothing() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let attacks =
            [("different-at-apply", What::After), ("more-at-apply", What::New), ("fewer-at-apply", What::Missing)];
        for (attack, what) in attacks {
            let run = host.attack(TENANT, prices(attack, &PRICES)).await.unwrap();
            let applied = nothing_applied(&world, &host, &run, attack).await;
            drifted(&applied, what, attack);
            assert_eq!(code(host.confirm(&run).await), Code::RunState, "a drifted run is over");
        }
    }
}

#[tokio::test]
async fn where_each_change_stands_alone_only_what_was_approved_is_applied_and_the_rest_is_named() {
    for engine in ENGINES {
        let world = shop_where(engine, INDEPENDENT).await;
        let host = world.host().await;
        let run = host.attack(TENANT, prices("more-at-apply", &PRICES)).await.unwrap();
        assert_eq!(host.changes(run.number).await.len(), 1);
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!((applied.problem, applied.changes), (None, 1), "{engine:?}");
        assert_eq!(applied.left_for_next, ["articles/2", "articles/3"], "{engine:?}");
        let others = "SELECT CAST(count(*) AS TEXT) FROM article WHERE price IN (2.25, 3.25)";
        assert_eq!(world.value(others).await, "0", "{engine:?}");
        // The relaxation is for new changes only.
        for (attack, what) in [("different-at-apply", What::After), ("fewer-at-apply", What::Missing)] {
            let run = host.attack(TENANT, prices(attack, &[(4, "1.25"), (5, "2.25")])).await.unwrap();
            drifted(&nothing_applied(&world, &host, &run, attack).await, what, attack);
        }
    }
}

#[tokio::test]
async fn a_row_that_changed_since_the_plan_drifts_and_the_difference_is_shown() {
    let meddlings = [
        ("UPDATE article SET price = 4.5 WHERE id = 2", What::Before),
        ("UPDATE article SET price = NULL WHERE id = 2", What::Before),
        ("DELETE FROM article WHERE id = 2", What::Missing),
        ("UPDATE article SET tenant = 'other' WHERE id = 2", What::Missing),
        ("UPDATE article SET price = 2.25 WHERE id = 2", What::Missing),
    ];
    for engine in ENGINES {
        for changes in ["", INDEPENDENT] {
            for (sql, what) in meddlings {
                let world = shop_where(engine, changes).await;
                let host = world.host().await;
                let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
                world.sql(sql).await;
                let at = format!("{engine:?} {sql}");
                let applied = nothing_applied(&world, &host, &run, &at).await;
                drifted(&applied, what, &at);
                let differences = &applied.drift.as_ref().unwrap().differences;
                assert!(differences.iter().any(|d| (d.resource.as_str(), d.key.as_str()) == ("articles", "2")), "{at}");
            }
            if changes.is_empty() {
                break;
            }
        }
    }
}

/// What the job neither reads nor writes is not part of the plan.
#[tokio::test]
async fn what_the_job_did_not_look_at_may_change() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
        world.sql("UPDATE article SET hidden = 9, note = 'other' WHERE id = 2").await;
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!((applied.problem, applied.changes), (None, 3), "{engine:?}");
        assert_eq!(world.value("SELECT note FROM article WHERE id = 2").await, "other", "{engine:?}");
    }
}

/// The whole of a row that is deleted is part of the plan, its unbound columns too.
#[tokio::test]
async fn a_row_to_be_deleted_that_changed_anywhere_stays() {
    for engine in ENGINES {
        for sql in ["UPDATE article SET hidden = 9 WHERE id = 5", "UPDATE article SET note = 'kept' WHERE id = 5"] {
            let world = shop(engine).await;
            let host = world.host().await;
            let run =
                host.attack(TENANT, json!({ "attack": "mixed", "table": "articles", "deletes": [[["i:5"], []]] }));
            let run = run.await.unwrap();
            world.sql(sql).await;
            let before = world.dump().await;
            let applied = host.confirm(&run).await.unwrap();
            // A bound column drifts. An unbound one is nobody's business until the row is gone: then the
            // whole of it must be what the journal keeps.
            if applied.problem.is_some() {
                drifted(&applied, What::Before, sql);
                before.assert_unchanged(&world.dump().await);
            } else {
                host.undo_all(run.number).await.unwrap();
                before.assert_unchanged(&world.dump().await);
            }
            assert!(applied.problem.is_some() || sql.contains("hidden"), "{engine:?} {sql}");
        }
    }
}

#[tokio::test]
async fn new_damage_is_left_for_the_next_plan_and_a_new_line_drifts_its_own_invoice() {
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        drop(break_books(&world, engine).await);
        world.install("reconcile_invoices");
        let host = world.host().await;
        let (invoice, id, country, total, line) = match engine {
            Engine::Sqlite => ("Invoice", "InvoiceId", "BillingCountry", "Total", "InvoiceLine"),
            Engine::Postgres => ("invoice", "invoice_id", "billing_country", "total", "invoice_line"),
        };
        let run = host.plan_of("reconcile_invoices", "Germany", json!({})).await.unwrap();
        let planned: Vec<String> = host.changes(run.number).await.iter().map(|change| change.key_text()).collect();
        let list = planned.join(", ");
        let clean = world
            .value(&format!("SELECT CAST(min({id}) AS TEXT) FROM {invoice} WHERE {country} = 'Germany' AND {id} NOT IN ({list}) AND {id} IN (SELECT {id} FROM {line})"))
            .await;
        world.sql(&format!("UPDATE {invoice} SET {total} = 99.5 WHERE {id} = {clean}")).await;
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!((&applied.problem, applied.changes as usize), (&None, planned.len()), "{engine:?}");
        let next = host.plan_of("reconcile_invoices", "Germany", json!({})).await.unwrap();
        let next_lines = lines(&host.changes(next.number).await);
        if applied.left_for_next.is_empty() {
            // The invoice has an error finding, and no job changes it.
            assert_eq!(next.state, State::NothingToDo, "{engine:?} {clean}");
        } else {
            assert_eq!(applied.left_for_next, [format!("invoices/{clean}")], "{engine:?}");
            assert_eq!(next_lines.len(), 1, "{engine:?} {next_lines:?}");
            // Another line of that very invoice: its total is no longer the planned one.
            let sql = match engine {
                Engine::Sqlite => format!("INSERT INTO InvoiceLine VALUES (800001, {clean}, 1, 0.99, 3)"),
                Engine::Postgres => format!("INSERT INTO invoice_line VALUES (800001, {clean}, 1, 0.99, 3)"),
            };
            world.sql(&sql).await;
            let applied = nothing_applied(&world, &host, &next, "a line was inserted").await;
            assert_eq!(applied.run.state, State::Drifted, "{engine:?} {:?}", applied.problem);
        }
    }
}

/// The edit is not committed when the apply takes its snapshot, and is when the apply wants the row.
#[tokio::test]
async fn a_row_that_is_edited_during_the_flush_drifts() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
        let applying = async {
            let other = world.host().await;
            match engine {
                Engine::Sqlite => {
                    let path = world.directory().join("target.db");
                    let mut app = mendwright_tests::chinook::connect_sqlite(&path).await.unwrap();
                    let edit = "BEGIN IMMEDIATE; UPDATE article SET price = 8.5 WHERE id = 3";
                    sqlx::raw_sql(edit).execute(&mut app).await.unwrap();
                    let wait = async {
                        until_applying(&other, &run).await;
                        sqlx::raw_sql("COMMIT").execute(&mut app).await.unwrap();
                    };
                    tokio::join!(host.confirm(&run), wait).0
                }
                Engine::Postgres => {
                    let mut app = <sqlx::PgConnection as sqlx::Connection>::connect(&world.url()).await.unwrap();
                    let edit = "BEGIN; UPDATE article SET price = 8.5 WHERE id = 3";
                    sqlx::raw_sql(edit).execute(&mut app).await.unwrap();
                    let wait = async {
                        let waits = "SELECT count(*)::text FROM pg_locks WHERE NOT granted";
                        while world.value(waits).await == "0" {
                            tokio::task::yield_now().await;
                        }
                        sqlx::raw_sql("COMMIT").execute(&mut app).await.unwrap();
                    };
                    tokio::join!(host.confirm(&run), wait).0
                }
            }
        };
        let applied = tokio::time::timeout(std::time::Duration::from_secs(20), applying).await.unwrap().unwrap();
        drifted(&applied, What::Before, &format!("{engine:?}"));
        assert_eq!(
            world.value("SELECT CAST(count(*) AS TEXT) FROM article WHERE price IN (1.25, 2.25, 3.25)").await,
            "0"
        );
        assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM article WHERE price = 8.5").await, "1");
    }
}

async fn until_applying(host: &Host, run: &RunRecord) {
    while host.store().run(run.number).await.unwrap().state == State::Planned {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_part_of_a_plan_is_a_plan_of_its_own() {
    for engine in ENGINES {
        let world = shop_where(engine, INDEPENDENT).await;
        let host = world.host().await;
        let mut part = request("hostile", TENANT, prices("none", &PRICES));
        part.only = vec!["articles/2".to_owned()];
        let run = host.plan(part.clone()).await.unwrap();
        assert_eq!(lines(&host.changes(run.number).await), ["update articles 2 price=2.25"], "{engine:?}");
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!((applied.problem, applied.changes), (None, 1), "{engine:?}");
        assert_eq!(applied.left_for_next, Vec::<String>::new(), "what was left out by name is not news");
        let others = "SELECT CAST(count(*) AS TEXT) FROM article WHERE price IN (1.25, 3.25)";
        assert_eq!(world.value(others).await, "0", "{engine:?}");
        part.only = vec!["articles/77".to_owned()];
        assert_eq!(code(host.plan(part.clone()).await), Code::OnlyUnknown);

        let together = shop(engine).await;
        part.only = vec!["articles/2".to_owned()];
        assert_eq!(code(together.host().await.plan(part).await), Code::OnlyTogether, "{engine:?}");
    }
}

/// All that the control store holds, as bytes.
fn control_bytes(world: &World) -> Vec<u8> {
    let read = |name: &str| std::fs::read(world.directory().join(name)).unwrap_or_default();
    [read("control.db"), read("control.db-wal")].concat()
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn a_sensitive_value_is_nowhere_to_be_read_and_still_bound() {
    let gossip = json!({ "attack": "gossip", "table": "articles", "column": "secret", "key": ["i:1"], "value": "n" });
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, gossip.clone()).await.unwrap();
        let plan = host.store().load_plan(run.number).await.unwrap();
        let document = serde_json::to_string(&plan.document).unwrap();
        let changes = host.changes(run.number).await;
        let shown = format!("{document} {changes:?} {:?} {run:?}", host.log_of(run.number).await);
        assert!(!shown.contains("red herring"), "{engine:?} {shown}");
        assert!(!holds(&control_bytes(&world), "red herring"), "{engine:?}: the control store holds it");
        assert!(plan.document.findings.len() == 1 && !changes[0].reason.contains("herring"));
        assert!(matches!(changes[0].before["secret"], Bound::Masked(_)), "{engine:?} {changes:?}");
        // Equal values of two rows do not show that they are equal.
        let two = json!({ "attack": "mixed", "table": "articles", "updates": [
            [["i:1"], [["secret", "t:same"]]], [["i:3"], [["secret", "t:same"]]]] });
        let two = host.attack(TENANT, two).await.unwrap();
        let two = host.changes(two.number).await;
        assert_ne!(two[0].after["secret"], two[1].after["secret"], "{engine:?}");

        world.sql("UPDATE article SET secret = 'grey heron' WHERE id = 1").await;
        let applied = nothing_applied(&world, &host, &run, "the masked value changed").await;
        drifted(&applied, What::Before, "the masked value changed");
        let told = format!("{applied:?}");
        assert!(!told.contains("heron") && !told.contains("herring"), "{engine:?} {told}");
        assert!(!holds(&control_bytes(&world), "grey heron"), "{engine:?}");

        let run = host.attack(TENANT, gossip.clone()).await.unwrap();
        assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded, "{engine:?}");
        let (_, preview) = host.undo_preview(run.number).await.unwrap();
        assert!(!format!("{:?}", preview.rows).contains("heron"), "{engine:?}");
        let verified = host.verify(run.number).await.unwrap();
        assert!(!format!("{} {:?} {:?}", verified.summary, verified.checks, verified.findings).contains("heron"));
        assert_eq!(host.undo_all(run.number).await.unwrap().restored, 1);
        assert_eq!(world.value("SELECT secret FROM article WHERE id = 1").await, "grey heron");
    }
}

#[tokio::test]
async fn an_honest_plan_is_applied_exactly() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let params: Json = mixed();
        let run = host.attack(TENANT, params).await.unwrap();
        let planned = host.changes(run.number).await;
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!((applied.problem, applied.changes as usize), (None, planned.len()), "{engine:?}");
        assert_eq!(host.verify(run.number).await.unwrap().verified.held as usize, planned.len());
        let row = "SELECT name || '|' || note FROM article WHERE id = 1";
        assert_eq!(world.value(row).await, "lamp, brass|new", "{engine:?}");
        assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM article WHERE id = 5").await, "0");
        assert_eq!(world.value("SELECT tenant FROM article WHERE id = 100").await, TENANT);
    }
}
