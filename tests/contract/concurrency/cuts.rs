//! Hosts that are cut off in the middle, and hosts that do not know that they are no longer in charge.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_gateway::{Error, repair};
use mendwright_tests::postgres::Cluster;
use mendwright_tests::proxy::{Cut, Proxy};
use serde_json::json;

use super::ground::Ground;
use crate::direct::{Edit, delete, insert, update};
use crate::world::{Engine, Short as _, is_ready};

/// What a flush can be held at, in the order in which it gets there.
const PLACES: [&str; 8] = [
    "SELECT 1 FROM mendwright.fence WHERE tenant = 'A' FOR UPDATE",
    "LOCK TABLE line IN EXCLUSIVE MODE",
    "SELECT 1 FROM line WHERE id = 11 FOR UPDATE",
    "SELECT 1 FROM invoice WHERE id = 2 FOR UPDATE",
    "SELECT 1 FROM line WHERE id = 20 FOR UPDATE",
    "INSERT INTO line VALUES (12, 1, 1, NULL)",
    "LOCK TABLE mendwright.journal IN EXCLUSIVE MODE",
    "LOCK TABLE mendwright.commits IN EXCLUSIVE MODE",
];

fn edits() -> Vec<Edit> {
    vec![
        delete("line", 11),
        update("line", 10, &[("quantity", 100)]),
        update("line", 20, &[("quantity", 200)]),
        insert("line", 12, &[("invoice_id", 2), ("quantity", 4)]),
    ]
}

/// A ledger where a fence row of A's lines is there already.
async fn ground() -> Ground {
    let ground = Ground::with(Engine::Postgres, "lock_timeout = \"20s\"", false).await;
    let computed = ground.plan("A", &[update("line", 10, &[("quantity", 2)])]).await;
    ground.flush("A", "earlier", computed).await.unwrap().unwrap();
    ground.reset().await;
    ground
}

#[tokio::test]
async fn a_backend_that_is_ended_at_any_statement_leaves_nothing_behind() {
    let ground = ground().await;
    let before = ground.state().await;
    for (n, place) in PLACES.into_iter().enumerate() {
        let run = format!("run {n}");
        let computed = ground.plan("A", &edits()).await;
        let mut app = ground.app().await;
        app.run(place).await;
        let flush = ground.flush("A", &run, computed);
        ground.until_blocked().await;
        let end = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE 'mendwright%' AND wait_event_type = 'Lock'";
        assert_eq!(ground.value(end).await, "true");
        let error = flush.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::TargetUnavailable, "{place}: {error:?}");
        app.run("ROLLBACK").await;
        assert_eq!(ground.state().await, before, "{place}");
        assert_eq!(ground.journaled(&run).await, (0, 0), "{place}");
        // Its fence is nobody's now.
        let computed = ground.plan("A", &edits()).await;
        assert_eq!(ground.flush("A", &format!("after {n}"), computed).await.unwrap().unwrap(), 4, "{place}");
        ground.reset().await;
    }
}

/// The first host stands still in the middle of its flush; another one takes its run over, is told
/// that nothing was applied, and that stays true.
#[tokio::test]
async fn a_stale_host_cannot_commit_after_its_run_was_taken_over() {
    let ground = ground().await;
    let before = ground.state().await;
    for (n, place) in PLACES.into_iter().enumerate() {
        let run = format!("run {n}");
        let computed = ground.plan("A", &edits()).await;
        let mut app = ground.app().await;
        app.run(place).await;
        let stale = ground.flush("A", &run, computed);
        ground.until_blocked().await;
        let found = repair::committed(ground.direct.context("A", &run), 0).await.unwrap();
        assert_eq!(found, None, "{place}");
        app.run("ROLLBACK").await;
        let error = stale.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. } | Error::Refused { code: Code::FenceLost, .. }), "{error:?}");
        assert_eq!(ground.state().await, before, "{place}: a stale host wrote");
        let computed = ground.plan("A", &edits()).await;
        assert_eq!(ground.flush("A", &run, computed).await.unwrap().unwrap(), 4, "{place}");
        assert_eq!(ground.journaled(&run).await, (1, 4), "{place}");
        // And it is used.
        ground.reset().await;
        let computed = ground.plan("A", &edits()).await;
        let again = ground.flush("A", &run, computed).await.unwrap().unwrap_err();
        assert_eq!(again.code(), Code::PlanUsed, "{place}");
        assert_eq!(ground.state().await, before, "{place}");
    }
}

/// The plan of the tests below: line 10 becomes `quantity`, and so does row 1 of `zeal`'s tenant.
fn patch(quantity: u32) -> serde_json::Value {
    let row = |id: u32| json!({"key": {"id": id.to_string()}, "set": {"quantity": quantity.to_string()}});
    json!({"table": "line", "changes": [row(10), row(20)]})
}

#[tokio::test]
async fn a_connection_that_is_cut_at_any_message_ends_as_the_journal_says_and_never_twice() {
    let ground = Ground::with(Engine::Postgres, "dry_run_lock_ms_max = 60000", false).await;
    ground.world.install("patch_rows");
    let proxy = Proxy::start(Cluster::shared().port()).await.unwrap();
    let direct = format!(":{}/", Cluster::shared().port());
    let url = ground.world.url().replace(&direct, &format!(":{}/", proxy.port()));
    assert_ne!(url, ground.world.url());
    let mut cuts = vec![Cut::BeforeCommit(1), Cut::AfterCommit(1), Cut::BeforeCommit(2), Cut::AfterCommit(2)];
    cuts.extend((1..).step_by(29).map(Cut::AtMessage).take(200));
    let (mut quantity, mut applied_despite, mut not_applied) = (1_000, 0, 0);
    for cut in cuts {
        quantity += 1;
        let host = ground.world.other_host("control", &url).await;
        let run = host.plan_of("patch_rows", "A", patch(quantity)).await.unwrap();
        assert!(is_ready(&run));
        proxy.arm(cut);
        let ended = host.confirm(&run).await;
        let fired = proxy.disarm();
        if matches!(cut, Cut::AtMessage(_)) && !fired {
            assert!(ended.is_ok());
            break;
        }
        assert!(fired, "{cut:?} never came: {ended:?}");
        let held = ground.journaled(&run.id.to_string()).await;
        let written =
            ground.value("SELECT string_agg(DISTINCT quantity::text, ' ') FROM line WHERE id IN (10, 20)").await;
        assert_eq!(held == (1, 2), written == quantity.to_string(), "{cut:?}: {held:?} {written}");
        // Whoever comes next finishes what was cut off, as the journal says.
        drop(host);
        let host = ground.world.other_host("control", &url).await;
        let now = host.store().run(run.number).await.unwrap();
        if held == (1, 2) {
            applied_despite += 1;
            assert_eq!(now.state, State::Succeeded, "{cut:?}: {ended:?}");
        } else {
            not_applied += 1;
            assert_eq!(held, (0, 0), "{cut:?}");
            assert!(is_ready(&now), "{cut:?}: {ended:?}");
            let applied = host.confirm(&run).await.unwrap();
            assert_eq!(applied.run.state, State::Succeeded, "{cut:?}: {:?}", applied.problem);
        }
        assert_eq!(ground.journaled(&run.id.to_string()).await, (1, 2), "{cut:?}");
        assert_eq!(crate::world::code(host.confirm(&run).await), Code::PlanUsed, "{cut:?}");
    }
    assert!(applied_despite >= 1 && not_applied >= 3, "{applied_despite} {not_applied}");
}
