//! Locks of the application's: waited for as long as the operator allows, taken in the opposite order,
//! and fences of our own.

use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_gateway::Error;
use tokio::time::Instant;

use super::ground::{Ground, until};
use crate::direct::{Edit, update};
use crate::world::{App, ENGINES, Engine};

/// Row 1 of `zeal` is written before line 10.
fn edits() -> Vec<Edit> {
    vec![update("line", 10, &[("quantity", 100)]), update("zeal", 1, &[("quantity", 5)])]
}

const FIRST: &str = "SELECT 1 FROM zeal WHERE id = 1 FOR UPDATE";
const SECOND: &str = "SELECT 1 FROM line WHERE id = 10 FOR UPDATE";

/// A ledger whose deadlocks are found by our side. A backend looks once in each wait, this long after it
/// began to wait: the application must have come to its own wait by then, on a busy machine too.
async fn ground() -> Ground {
    let ground = Ground::with(Engine::Postgres, "lock_timeout = \"20s\"", false).await;
    ground
        .sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''1500ms''', current_database()); END $$")
        .await;
    ground
}

/// A transaction of the application's that never is the victim, and holds what is written second.
async fn holder(ground: &Ground) -> App {
    let mut app = ground.app().await;
    app.run("SET LOCAL deadlock_timeout = '60s'").await;
    app.run(SECOND).await;
    app
}

/// Waits until the flush has written the first row and waits for the second.
async fn until_half_way(ground: &Ground) {
    until("the flush holds one row and waits for the other", async || {
        ground.value("SELECT id::text FROM zeal WHERE id = 1 FOR UPDATE SKIP LOCKED").await == "NULL"
            && ground.is_blocked(1).await
    })
    .await;
}

#[tokio::test]
async fn a_flush_that_loses_a_deadlock_is_tried_again() {
    let ground = ground().await;
    for (act, wanted) in [("SELECT 1", true), ("UPDATE line SET quantity = 9 WHERE id = 10", false)] {
        let computed = ground.plan("A", &edits()).await;
        let mut app = holder(&ground).await;
        let flush = ground.flush("A", act, computed);
        until_half_way(&ground).await;
        app.run(FIRST).await;
        app.run(act).await;
        app.run("COMMIT").await;
        let ended = flush.await.unwrap();
        if wanted {
            assert_eq!(ended.unwrap(), 2);
        } else {
            assert!(matches!(ended, Err(Error::Drifted(_))), "{ended:?}");
            assert!(ground.state().await.contains("zeal 1 A 1;"), "the first row was not written");
        }
        assert_eq!(ground.journaled(act).await, if wanted { (1, 2) } else { (0, 0) });
        ground.reset().await;
    }
}

#[tokio::test]
async fn a_flush_that_loses_three_deadlocks_gives_up_with_nothing_written() {
    let ground = ground().await;
    let before = ground.state().await;
    let computed = ground.plan("A", &edits()).await;
    let mut app = holder(&ground).await;
    let flush = ground.flush("A", "loser", computed);
    for round in 1..=3 {
        until_half_way(&ground).await;
        // The deadlock; the flush is aborted and this goes on.
        app.run(FIRST).await;
        if round < 3 {
            let mut next = ground.app().await;
            next.run("SET LOCAL deadlock_timeout = '60s'; SET LOCAL application_name = 'next'").await;
            let queued = tokio::spawn(async move {
                next.run(SECOND).await;
                next
            });
            let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
                 AND application_name = 'next' AND wait_event_type = 'Lock'";
            until("the next transaction stands in line", async || ground.value(waits).await == "1").await;
            app.run("COMMIT").await;
            app = queued.await.unwrap();
        }
    }
    let error = flush.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::TargetLocked, "{error:?}");
    app.run("COMMIT").await;
    assert_eq!(ground.state().await, before);
    assert_eq!(ground.journaled("loser").await, (0, 0));
}

/// Every place where an application's lock can stand in the way.
#[tokio::test]
async fn a_lock_is_waited_for_as_long_as_the_operator_says_and_no_longer() {
    for engine in ENGINES {
        let ground = Ground::with(engine, "lock_timeout = \"250ms\"", false).await;
        let before = ground.state().await;
        let locks: &[&str] = match engine {
            Engine::Sqlite => &["UPDATE line SET memo = 'x' WHERE id = 30"],
            Engine::Postgres => &[
                FIRST,
                SECOND,
                "SELECT 1 FROM invoice WHERE id = 1 FOR UPDATE",
                "LOCK TABLE line IN EXCLUSIVE MODE",
                "LOCK TABLE mendwright.journal IN EXCLUSIVE MODE",
                "LOCK TABLE mendwright.fence IN EXCLUSIVE MODE",
            ],
        };
        for lock in locks {
            let computed = ground.plan("A", &edits()).await;
            let mut app = ground.app().await;
            app.run(lock).await;
            let start = Instant::now();
            let error = ground.flush("A", lock, computed).await.unwrap().unwrap_err();
            let took = start.elapsed();
            assert_eq!(error.code(), Code::TargetLocked, "{engine:?} {lock}: {error:?}");
            assert!(took >= Duration::from_millis(240), "{engine:?} {lock}: gave up after {took:?}");
            assert!(took < Duration::from_millis(1_500), "{engine:?} {lock}: waited {took:?}");
            app.run("ROLLBACK").await;
            assert_eq!(ground.state().await, before);
        }
        // Nothing of it stays in the way.
        let computed = ground.plan("A", &edits()).await;
        assert_eq!(ground.flush("A", "last", computed).await.unwrap().unwrap(), 2);
    }
}

#[tokio::test]
async fn a_second_run_waits_for_the_fence_and_names_the_run_that_holds_it() {
    let ground = Ground::with(Engine::Postgres, "lock_timeout = \"20s\"", false).await;
    let first = ground.plan("A", &[update("line", 10, &[("quantity", 100)])]).await;
    let second = ground.plan("A", &[update("line", 20, &[("quantity", 200)])]).await;
    let third = ground.plan("A", &[update("line", 20, &[("quantity", 200)])]).await;
    let mut app = ground.app().await;
    app.run(SECOND).await;
    let first = ground.flush("A", "first", first);
    ground.until_blocked().await;

    // Somebody else's rows of the same table are free.
    let other = ground.plan("B", &[update("line", 30, &[("quantity", 300)])]).await;
    assert_eq!(ground.flush("B", "other", other).await.unwrap().unwrap(), 1);

    let mut hasty = ground.direct.clone();
    hasty.target.lock_timeout = Duration::from_millis(200);
    let start = Instant::now();
    let error = hasty.apply("A", "second", second).await.unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(190) && start.elapsed() < Duration::from_secs(2));
    assert_eq!(error.code(), Code::TargetLocked);
    assert!(error.to_string().starts_with("first is writing"), "{error}");

    let third = ground.flush("A", "third", third);
    until("two wait", async || ground.is_blocked(2).await).await;
    assert!(!first.is_finished() && !third.is_finished());
    app.run("ROLLBACK").await;
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert_eq!(third.await.unwrap().unwrap(), 1);
    let state = ground.state().await;
    assert!(state.contains("line 10 1 100;") && state.contains("line 20 2 200;") && state.contains("line 30 3 300;"));
}
