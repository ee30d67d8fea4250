//! One transaction of the application against one flush, at every moment that matters.

use mendwright_gateway::Error;

use super::ground::Ground;
use crate::direct::{Edit, delete, insert, update};
use crate::world::{ENGINES, Engine};

/// What may come of the plan once the application's transaction is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Holds,
    Drifts,
    Violates,
    /// Rows were taken away and put back as they were: either is right, half is not.
    HoldsOrDrifts,
}

use Wanted::{Drifts, Holds, HoldsOrDrifts, Violates};

/// What the application does, and what that makes of a plan over lines 10, 11, 12 and 20 of tenant A.
const ACTS: [(&str, Wanted); 22] = [
    ("UPDATE invoice SET country = 'B' WHERE id = 1", Drifts),
    ("UPDATE invoice SET country = 'B' WHERE id = 2", Drifts),
    ("UPDATE invoice SET country = 'B' WHERE id = 1; UPDATE invoice SET country = 'A' WHERE id = 1", Holds),
    ("UPDATE invoice SET country = 'A' WHERE id = 3", Holds),
    ("UPDATE invoice SET total = 9 WHERE id = 1", Holds),
    ("UPDATE line SET quantity = 7 WHERE id = 10", Drifts),
    ("UPDATE line SET quantity = 7 WHERE id = 20", Drifts),
    ("UPDATE line SET quantity = 7 WHERE id = 10; UPDATE line SET quantity = 1 WHERE id = 10", Holds),
    ("UPDATE line SET quantity = 100 WHERE id = 10", Drifts),
    ("UPDATE line SET memo = 'x' WHERE id = 10", Holds),
    ("UPDATE line SET memo = 'x' WHERE id = 11", Drifts),
    ("UPDATE line SET quantity = 8 WHERE id = 30", Holds),
    ("UPDATE line SET invoice_id = 3 WHERE id = 10", Drifts),
    ("UPDATE line SET invoice_id = 2 WHERE id = 10", Drifts),
    ("UPDATE line SET invoice_id = 3 WHERE id = 11", Drifts),
    ("UPDATE line SET id = 99 WHERE id = 10", Drifts),
    ("INSERT INTO line VALUES (13, 1, 1, NULL)", Holds),
    ("INSERT INTO line VALUES (12, 1, 5, NULL)", Violates),
    ("INSERT INTO line VALUES (12, 3, 5, NULL)", Violates),
    ("DELETE FROM line WHERE id = 10", Drifts),
    ("DELETE FROM line WHERE id = 11", Drifts),
    ("DELETE FROM line WHERE id = 20; INSERT INTO line VALUES (20, 2, 1, NULL)", HoldsOrDrifts),
];

/// The plan by hand, for comparison.
const PLAN: &str = "DELETE FROM line WHERE id = 11; UPDATE line SET quantity = 100 WHERE id = 10;
    UPDATE line SET quantity = 200 WHERE id = 20; INSERT INTO line VALUES (12, 2, 4, NULL)";

fn edits() -> Vec<Edit> {
    vec![
        update("line", 10, &[("quantity", 100)]),
        update("line", 20, &[("quantity", 200)]),
        delete("line", 11),
        insert("line", 12, &[("invoice_id", 2), ("quantity", 4)]),
    ]
}

/// When the application's transaction happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    BetweenPlanAndApply,
    DuringTheFlush,
    DuringTheFlushAndRolledBack,
}

#[tokio::test]
async fn a_plan_holds_or_drifts_whatever_the_application_does_and_never_half() {
    for engine in ENGINES {
        let ground = Ground::of(engine).await;
        for when in [When::BetweenPlanAndApply, When::DuringTheFlush, When::DuringTheFlushAndRolledBack] {
            for (n, (act, wanted)) in ACTS.into_iter().enumerate() {
                let wanted = if when == When::DuringTheFlushAndRolledBack { Holds } else { wanted };
                let ended = one(&ground, act, when, &format!("{when:?} {n}"), &edits()).await;
                check(wanted, &ended, &format!("{engine:?} {when:?} {act}"));
                compare(&ground, act, when, ended.is_ok(), PLAN).await;
                assert_eq!(
                    ground.journaled(&format!("{when:?} {n}")).await,
                    if ended.is_ok() { (1, 4) } else { (0, 0) },
                    "{engine:?} {when:?} {act}: the journal agrees"
                );
                ground.reset().await;
            }
        }
    }
}

fn check(wanted: Wanted, ended: &Result<u64, Error>, place: &str) {
    let fits = match (wanted, ended) {
        (Holds | HoldsOrDrifts, Ok(_)) | (Drifts | HoldsOrDrifts, Err(Error::Drifted(_))) => true,
        (Drifts, Err(Error::Refused { code, .. })) => *code == mendwright_core::code::Code::ReferenceForeign,
        (Violates, Err(Error::Violated { .. })) => true,
        _ => false,
    };
    assert!(fits, "{place}: wanted {wanted:?}, got {ended:?}");
}

/// Runs the plan with the application's transaction at that moment.
async fn one(ground: &Ground, act: &str, when: When, run: &str, edits: &[Edit]) -> Result<u64, Error> {
    let computed = ground.plan("A", edits).await;
    let mut app = ground.app().await;
    app.run(act).await;
    if when == When::BetweenPlanAndApply {
        app.run("COMMIT").await;
        return ground.flush("A", run, computed).await.unwrap();
    }
    let flush = ground.flush("A", run, computed);
    ground.until_blocked_or_done(&flush).await;
    app.run(if when == When::DuringTheFlush { "COMMIT" } else { "ROLLBACK" }).await;
    flush.await.unwrap()
}

/// The rows are what the application's statements and, if it was applied, the plan make of them.
async fn compare(ground: &Ground, act: &str, when: When, applied: bool, plan: &str) {
    let now = ground.state().await;
    let mut statements = Vec::new();
    if when != When::DuringTheFlushAndRolledBack {
        statements.push(act);
    }
    if applied {
        statements.push(plan);
    }
    assert_eq!(now, ground.state_after(&statements).await, "{:?} {when:?} {act}", ground.world.engine);
}

/// Measured before any of this was written: under READ COMMITTED, REPEATABLE READ and SERIALIZABLE a
/// joined UPDATE wrote the line of an invoice that had just become another tenant's.
#[tokio::test]
async fn a_line_is_not_written_when_its_invoice_changes_hands_during_the_flush() {
    for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"] {
        let ground = Ground::of(Engine::Postgres).await;
        let computed = ground.plan("A", &[update("line", 10, &[("quantity", 100)])]).await;
        let mut app = ground.world.app().await;
        app.run(&format!("BEGIN ISOLATION LEVEL {level}; UPDATE invoice SET country = 'B' WHERE id = 1")).await;
        let flush = ground.flush("A", "re-tenanted", computed);
        ground.until_blocked().await;
        assert!(!flush.is_finished());
        app.run("COMMIT").await;
        assert!(matches!(flush.await.unwrap(), Err(Error::Drifted(_))), "{level}");
        assert_eq!(ground.value("SELECT quantity::text FROM line WHERE id = 10").await, "1");
    }
}

/// The other way round: whoever comes second waits until the flush is through.
#[tokio::test]
async fn an_invoice_cannot_change_hands_between_the_write_of_its_line_and_the_commit() {
    let ground = Ground::of(Engine::Postgres).await;
    let edits = [
        update("line", 10, &[("quantity", 100)]),
        insert("line", 12, &[("invoice_id", 2), ("quantity", 4)]),
        update("zeal", 1, &[("quantity", 5)]),
    ];
    let computed = ground.plan("A", &edits).await;
    // Deletes, then updates, then inserts: the last thing that is written is held by the application.
    let mut app = ground.app().await;
    app.run("INSERT INTO line VALUES (12, 3, 9, NULL)").await;
    let flush = ground.flush("A", "holds", computed);
    ground.until_blocked().await;
    let mut thief = ground.world.app().await;
    thief.run("SET lock_timeout = '100ms'").await;
    let stolen = thief.try_run("UPDATE invoice SET country = 'B' WHERE id = 1").await;
    assert!(stolen.is_err(), "the invoice of a written line was free to change hands");
    let touched = thief.try_run("UPDATE line SET quantity = 3 WHERE id = 10").await;
    assert!(touched.is_err(), "a written line was free");
    app.run("ROLLBACK").await;
    assert_eq!(flush.await.unwrap().unwrap(), 3);
    thief.run("UPDATE invoice SET country = 'B' WHERE id = 1").await;
}

/// Without a foreign key nothing of the database's own holds the parent.
#[tokio::test]
async fn a_row_is_not_inserted_under_a_parent_that_changes_hands_even_without_a_foreign_key() {
    for engine in ENGINES {
        for (table, when) in [
            ("loose", When::BetweenPlanAndApply),
            ("loose", When::DuringTheFlush),
            ("line", When::BetweenPlanAndApply),
            ("line", When::DuringTheFlush),
        ] {
            let ground = Ground::of(engine).await;
            let act = "UPDATE invoice SET country = 'B' WHERE id = 2";
            let edits = [insert(table, 12, &[("invoice_id", 2), ("quantity", 4)])];
            let ended = one(&ground, act, when, "insert", &edits).await;
            check(Drifts, &ended, &format!("{engine:?} {table} {when:?}"));
            compare(&ground, act, when, false, "").await;
        }
    }
}

#[tokio::test]
async fn what_a_job_only_read_holds_too_where_the_binding_says_so() {
    for engine in ENGINES {
        for when in [When::BetweenPlanAndApply, When::DuringTheFlush, When::DuringTheFlushAndRolledBack] {
            for act in [
                "UPDATE line SET quantity = 7 WHERE id = 20",
                "INSERT INTO line VALUES (13, 2, 1, NULL)",
                "DELETE FROM line WHERE id = 20",
                "UPDATE line SET invoice_id = 3 WHERE id = 20",
                "UPDATE invoice SET country = 'B' WHERE id = 2",
            ] {
                let ground = Ground::with(engine, "", true).await;
                let mut session = ground.direct.session("A").await.unwrap();
                read_all(&mut session, "line").await;
                crate::direct::wish(&mut session, &update("invoice", 1, &[("total", 50)])).await.unwrap();
                let computed = session.finish().await.unwrap();
                let mut app = ground.app().await;
                app.run(act).await;
                if when == When::BetweenPlanAndApply {
                    app.run("COMMIT").await;
                }
                let flush = ground.flush("A", "reads", computed);
                if when != When::BetweenPlanAndApply {
                    ground.until_blocked_or_done(&flush).await;
                    app.run(if when == When::DuringTheFlush { "COMMIT" } else { "ROLLBACK" }).await;
                }
                let ended = flush.await.unwrap();
                let holds = when == When::DuringTheFlushAndRolledBack;
                match &ended {
                    Ok(_) => assert!(holds, "{engine:?} {when:?} {act}: applied on rows that had changed"),
                    Err(error) => {
                        assert!(!holds, "{engine:?} {when:?} {act}: {error:?}");
                        assert_eq!(error.code(), mendwright_core::code::Code::ReadsDrifted, "{engine:?} {act}");
                    }
                }
                compare(&ground, act, when, ended.is_ok(), "UPDATE invoice SET total = 50 WHERE id = 1").await;
            }
        }
    }
}

async fn read_all(session: &mut mendwright_gateway::Session, table: &str) {
    use mendwright_core::port::{Query, Tables as _};
    let columns = vec!["id".to_owned(), "quantity".to_owned()];
    let query = Query { table: table.to_owned(), columns, filters: vec![], order_by: vec![] };
    let cursor = session.scan(query).await.unwrap();
    while !session.next_page(cursor).await.unwrap().is_empty() {}
    session.close(cursor);
}
