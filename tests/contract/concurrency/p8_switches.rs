//! P8: *switches bite*, in the gateway: no flush begins and no COMMIT is sent without fresh word that no
//! switch was thrown, and a statement in flight is cancelled.

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_gateway::batched::Prefix;
use mendwright_gateway::gate::FRESH;
use mendwright_gateway::{Gate, Halt, repair};
use tokio::time::Instant;

use super::ground::{Ground, until};
use crate::direct::{Direct, update};
use crate::world::{ENGINES, Engine};

fn thrown(restoring: bool) -> Option<Halt> {
    Some(Halt { reason: "the kill switch was thrown by person:alice".to_owned(), restoring })
}

fn edits() -> Vec<crate::direct::Edit> {
    vec![update("line", 10, &[("quantity", 7)]), update("line", 20, &[("quantity", 7)])]
}

/// The guards held and the rows are written, when the switch is thrown.
#[tokio::test]
async fn a_switch_thrown_between_guard_and_commit_leaves_nothing_behind() {
    let ground = Ground::with(Engine::Postgres, "lock_timeout = \"20s\"", false).await;
    let before = ground.state().await;
    for place in ["LOCK TABLE mendwright.journal IN EXCLUSIVE MODE", "LOCK TABLE mendwright.commits IN EXCLUSIVE MODE"]
    {
        let computed = ground.plan("A", &edits()).await;
        let mut app = ground.app().await;
        app.run(place).await;
        let flush = ground.flush("A", "run", computed);
        ground.until_blocked().await;
        ground.direct.gate.tell(Instant::now(), thrown(false));
        // While the application still holds the lock: the statement was cancelled, and nobody waits.
        let error = flush.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Halted, "{place}: {error:?}");
        assert!(error.to_string().contains("person:alice"), "{error}");
        until("its backend is gone", async || !ground.is_blocked(1).await).await;
        app.run("ROLLBACK").await;
        assert_eq!((ground.state().await, ground.journaled("run").await), (before.clone(), (0, 0)), "{place}");
        ground.direct.gate.tell(Instant::now() + 100 * FRESH, None);
    }
    // What was stopped may be started again.
    let computed = ground.plan("A", &edits()).await;
    assert_eq!(ground.flush("A", "run", computed).await.unwrap().unwrap(), 2);
}

/// A ledger where writing a line never ends by itself.
async fn endless(engine: Engine) -> Ground {
    let mut ground = Ground::with(engine, "statement_timeout = \"300s\"", false).await;
    let trigger = match engine {
        Engine::Sqlite => {
            "CREATE VIEW forever AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
               SELECT max(i) AS i FROM n;
             CREATE TRIGGER slow AFTER UPDATE OF quantity ON line BEGIN SELECT i FROM forever; END"
        }
        Engine::Postgres => {
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM pg_sleep(300); RETURN NEW; END $$;
             CREATE TRIGGER slow AFTER UPDATE OF quantity ON line FOR EACH ROW EXECUTE FUNCTION slow()"
        }
    };
    ground.sql(trigger).await;
    let declared = "[resource.line]\ntriggers = { slow = \"takes its time\" }\n";
    ground.world.bindings = ground.world.bindings.replace("[resource.line]\n", declared);
    ground.direct = Direct::of(&ground.world);
    ground
}

/// Whether a flush is in the middle of its transaction.
async fn is_writing(ground: &Ground) -> bool {
    match ground.world.engine {
        Engine::Sqlite => {
            let mut app = ground.world.app().await;
            app.run("PRAGMA busy_timeout = 0").await;
            app.try_run("BEGIN IMMEDIATE").await.is_err()
        }
        Engine::Postgres => {
            let sql = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database()
                 AND application_name LIKE 'mendwright %' AND wait_event = 'PgSleep'";
            ground.value(sql).await != "0"
        }
    }
}

// Of its own threads: on SQLite the statement keeps one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_statement_in_flight_is_cancelled_by_a_switch() {
    for engine in ENGINES {
        let ground = endless(engine).await;
        let before = ground.state().await;
        let computed = ground.plan("A", &edits()).await;
        let flush = ground.flush("A", "run", computed);
        until("the statement runs", async || is_writing(&ground).await).await;
        ground.direct.gate.tell(Instant::now(), thrown(false));
        until("it is cancelled", async || flush.is_finished()).await;
        let error = flush.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Halted, "{engine:?} {error:?}");
        until("nobody writes", async || !is_writing(&ground).await).await;
        assert_eq!((ground.state().await, ground.journaled("run").await), (before, (0, 0)), "{engine:?}");
    }
}

/// The host is cut off from its control store in the middle of a flush.
#[tokio::test]
async fn a_gate_whose_reader_died_sends_no_commit() {
    for engine in ENGINES {
        let ground = Ground::with(engine, "lock_timeout = \"20s\"", false).await;
        let before = ground.state().await;
        let computed = ground.plan("A", &edits()).await;
        let mut app = ground.app().await;
        if engine == Engine::Postgres {
            app.run("LOCK TABLE mendwright.commits IN EXCLUSIVE MODE").await;
        }
        let heard = Instant::now();
        ground.direct.gate.tell(heard, None);
        let flush = ground.flush("A", "run", computed);
        ground.until_blocked_or_done(&flush).await;
        until("what it heard is old", async || heard.elapsed() > FRESH).await;
        app.run("ROLLBACK").await;
        let error = flush.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Halted, "{engine:?} {error:?}");
        assert_eq!((ground.state().await, ground.journaled("run").await), (before, (0, 0)), "{engine:?}");
        // Nor does one begin that never heard anything.
        let mut deaf = ground.direct.clone();
        deaf.gate = Gate::watched();
        let computed = ground.plan("A", &edits()).await;
        assert_eq!(deaf.apply("A", "run", computed).await.unwrap_err().code(), Code::Halted, "{engine:?}");
        // With a reader that lives, the same goes through.
        let reader = tokio::spawn({
            let gate = deaf.gate.clone();
            async move {
                loop {
                    gate.tell(Instant::now(), None);
                    tokio::time::sleep(FRESH / 10).await;
                }
            }
        });
        let computed = ground.plan("A", &edits()).await;
        assert_eq!(deaf.apply("A", "run", computed).await.unwrap().changes, 2, "{engine:?}");
        reader.abort();
    }
}

#[tokio::test]
async fn what_was_applied_is_restored_under_a_kill_switch_unless_it_says_otherwise() {
    for engine in ENGINES {
        let ground = Ground::of(engine).await;
        let before = ground.state().await;
        let computed = ground.plan("A", &edits()).await;
        let identity = computed.targets[0].identity.clone();
        ground.flush("A", "run", computed).await.unwrap().unwrap();
        let context = ground.direct.context("A", "run");
        let preview = repair::undo_preview(context, 0).await.unwrap();
        // As if it were heard of just now, for as long as the test takes.
        let now = Instant::now() + 600 * FRESH;
        ground.direct.gate.tell(now, thrown(true));
        let error = repair::undo_apply(context, &preview, &identity).await.unwrap_err();
        assert_eq!(error.code(), Code::Halted, "{engine:?} {error:?}");
        ground.direct.gate.tell(now, thrown(false));
        let again = ground.plan("A", &[update("line", 11, &[("quantity", 7)])]).await;
        assert_eq!(ground.flush("A", "next", again).await.unwrap().unwrap_err().code(), Code::Halted, "{engine:?}");
        repair::undo_apply(context, &preview, &identity).await.unwrap();
        assert_eq!(ground.state().await, before, "{engine:?}");
    }
}

/// What was committed stays, the rest is not begun.
#[tokio::test]
async fn a_plan_in_batches_stops_between_two_of_them() {
    let ground = Ground::with(Engine::Postgres, "lock_timeout = \"20s\"", false).await;
    let computed = ground.plan("A", &edits()).await;
    let mut app = ground.app().await;
    app.run("SELECT 1 FROM line WHERE id = 20 FOR UPDATE").await;
    let direct = ground.direct.clone();
    let flush = tokio::spawn(async move {
        computed.apply_batched(direct.context("A", "run"), Digest::of(b"run"), 1, Prefix::default()).await
    });
    ground.until_blocked().await;
    ground.direct.gate.tell(Instant::now(), thrown(false));
    let batched = flush.await.unwrap();
    assert_eq!(batched.stopped.unwrap().code(), Code::Halted);
    assert_eq!(batched.prefix, Prefix { batches: 1, changes: 1 });
    app.run("ROLLBACK").await;
    assert_eq!(ground.journaled("run").await, (1, 1));
}
