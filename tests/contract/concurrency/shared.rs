//! SQLite: flushes of one host that come together are committed together, and each is still its own.

use mendwright_core::code::Code;
use mendwright_gateway::Error;
use tokio::time::Instant;

use super::ground::{Ground, until};
use crate::direct::{Edit, delete, update};
use crate::world::Engine;

/// Begins these flushes while the application keeps the file, so that all of them wait for it together.
async fn together(ground: &Ground, flushes: Vec<(&str, &str, Vec<Edit>)>) -> Vec<Result<u64, Error>> {
    let mut planned = Vec::new();
    for (tenant, run, edits) in flushes {
        planned.push((tenant, run, ground.plan(tenant, &edits).await));
    }
    let mut app = ground.app().await;
    let begun: Vec<_> = planned.into_iter().map(|(tenant, run, plan)| ground.flush(tenant, run, plan)).collect();
    for _ in 0..begun.len() {
        tokio::task::yield_now().await;
    }
    app.run("ROLLBACK").await;
    let mut ended = Vec::new();
    for flush in begun {
        ended.push(flush.await.unwrap());
    }
    ended
}

fn quantity(line: i64, quantity: i64) -> Vec<Edit> {
    vec![update("line", line, &[("quantity", quantity)])]
}

#[tokio::test]
async fn what_one_flush_is_refused_for_leaves_the_others_alone() {
    let ground = Ground::of(Engine::Sqlite).await;
    let statements = ["UPDATE line SET quantity = 2 WHERE id = 10", "UPDATE line SET quantity = 4 WHERE id = 30"];
    let wanted = ground.state_after(&statements).await;
    let ended = together(
        &ground,
        vec![("A", "first", quantity(10, 2)), ("A", "second", quantity(10, 3)), ("B", "third", quantity(30, 4))],
    )
    .await;
    let [first, second, third] = ended.as_slice() else { panic!("{ended:?}") };
    assert!(matches!((first, third), (Ok(1), Ok(1))), "{ended:?}");
    // It met the row of the first, in the same transaction.
    assert_eq!(second.as_ref().unwrap_err().code(), Code::PlanDrifted, "{ended:?}");
    assert_eq!(ground.state().await, wanted);
    for (run, n) in [("first", 1), ("second", 0), ("third", 1)] {
        assert_eq!(ground.journaled(run).await, (n, n), "{run}");
    }
}

/// SQLite looks at a foreign key when it commits: for all, and for the fault of one.
#[tokio::test]
async fn a_commit_that_is_refused_is_the_fault_of_one() {
    let ground = Ground::of(Engine::Sqlite).await;
    let wanted = ground.state_after(&["UPDATE line SET quantity = 2 WHERE id IN (10, 20)"]).await;
    // Who hangs on it came after the plan.
    ground.sql("DELETE FROM line WHERE invoice_id = 3").await;
    let orphaned = ground.plan("B", &[delete("invoice", 3)]).await;
    ground.sql("INSERT INTO line VALUES (30, 3, 1, NULL)").await;
    let first = ground.plan("A", &quantity(10, 2)).await;
    let last = ground.plan("A", &quantity(20, 2)).await;
    let mut app = ground.app().await;
    let flushes = [("A", "first", first), ("B", "orphan", orphaned), ("A", "last", last)];
    let [first, orphan, last] = flushes.map(|(tenant, run, plan)| ground.flush(tenant, run, plan));
    tokio::task::yield_now().await;
    app.run("ROLLBACK").await;
    let ended = [first.await.unwrap(), orphan.await.unwrap(), last.await.unwrap()];
    assert!(matches!(&ended, [Ok(1), Err(Error::Violated { .. }), Ok(1)]), "{ended:?}");
    assert_eq!(ground.state().await, wanted, "{ended:?}");
    assert_eq!(ground.journaled("orphan").await, (0, 0));
}

/// Many at once, and every one of them once; some are given up in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_flushes_at_once_are_each_made_once() {
    let ground = Ground::of(Engine::Sqlite).await;
    let rows: Vec<String> = (1_000..1_060).map(|id| format!("({id}, {}, 1, NULL)", 1 + id % 3)).collect();
    ground.sql(&format!("INSERT INTO line VALUES {}", rows.join(", "))).await;
    let mut flushes = Vec::new();
    for id in 1_000..1_060 {
        let tenant = if id % 3 == 2 { "B" } else { "A" };
        let computed = ground.plan(tenant, &quantity(id, 2)).await;
        flushes.push((id, format!("run {id}"), tenant, computed));
    }
    let begun: Vec<_> = flushes
        .into_iter()
        .map(|(id, run, tenant, plan)| (id, run.clone(), ground.flush(tenant, &run, plan)))
        .collect();
    for (_, _, flush) in begun.iter().filter(|(id, ..)| id % 7 == 0) {
        flush.abort();
    }
    for (id, run, flush) in begun {
        let ended = flush.await;
        let written = ground.value(&format!("SELECT CAST(quantity AS text) FROM line WHERE id = {id}")).await == "2";
        assert_eq!(ground.journaled(&run).await, if written { (1, 1) } else { (0, 0) }, "{run}");
        match ended {
            Ok(ended) => assert!(written && ended.unwrap() == 1, "{run}"),
            Err(given_up) => assert!(given_up.is_cancelled(), "{run}"),
        }
    }
    // Nothing is left open.
    let began = Instant::now();
    until("the file is free", async || {
        let mut app = ground.world.app().await;
        app.run("PRAGMA busy_timeout = 0").await;
        app.try_run("BEGIN IMMEDIATE").await.is_ok()
    })
    .await;
    assert!(began.elapsed() < ground.direct.target.statement_timeout);
}

/// A file in the place of the target is another file: what was opened before is not written.
#[tokio::test]
async fn a_target_that_was_replaced_is_opened_again() {
    let ground = Ground::of(Engine::Sqlite).await;
    let computed = ground.plan("A", &quantity(10, 2)).await;
    ground.flush("A", "first", computed).await.unwrap().unwrap();
    let directory = ground.world.directory();
    ground.world.sql(&format!("VACUUM INTO '{}'", directory.join("copy.db").display())).await;
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(directory.join(format!("target.db{ending}")));
    }
    std::fs::rename(directory.join("copy.db"), directory.join("target.db")).unwrap();
    ground.world.sql("PRAGMA journal_mode = WAL").await;
    let computed = ground.plan("A", &quantity(11, 2)).await;
    ground.flush("A", "second", computed).await.unwrap().unwrap();
    assert_eq!(ground.world.value("SELECT CAST(sum(quantity) AS text) FROM line WHERE id IN (10, 11)").await, "4");
}
