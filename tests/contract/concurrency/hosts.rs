//! Several Mendwright processes on one target.

use mendwright::engine::Applied;
use mendwright::view::problem::Problem;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::json;

use super::ground::Ground;
use crate::world::{ENGINES, Short as _};

fn patch(row: u32, quantity: u32) -> serde_json::Value {
    json!({"table": "line", "changes": [{"key": {"id": row.to_string()}, "set": {"quantity": quantity.to_string()}}]})
}

fn state(ended: &Result<Applied, Problem>) -> Option<State> {
    ended.as_ref().ok().map(|applied| applied.run.state)
}

#[tokio::test]
async fn two_hosts_with_control_stores_of_their_own_write_one_after_the_other() {
    for engine in ENGINES {
        let ground = Ground::with(engine, "dry_run_lock_ms_max = 60000", false).await;
        ground.world.install("patch_rows");
        let url = ground.world.url();
        let one = ground.world.other_host("one", &url).await;
        let two = ground.world.other_host("two", &url).await;
        for round in 0..2 {
            // Different rows of one tenant's table: both come through.
            let a = one.plan_of("patch_rows", "A", patch(10, 100 + round)).await.unwrap();
            let b = two.plan_of("patch_rows", "A", patch(20, 200 + round)).await.unwrap();
            let (x, y) = tokio::join!(one.confirm(&a), two.confirm(&b));
            assert_eq!(
                (state(&x), state(&y)),
                (Some(State::Succeeded), Some(State::Succeeded)),
                "{engine:?} {x:?} {y:?}"
            );
            // The same row: one comes through, the other drifts.
            let a = one.plan_of("patch_rows", "A", patch(11, 300 + round)).await.unwrap();
            let b = two.plan_of("patch_rows", "A", patch(11, 400 + round)).await.unwrap();
            let (x, y) = tokio::join!(one.confirm(&a), two.confirm(&b));
            let mut ends = [state(&x), state(&y)];
            ends.sort();
            let mut wanted = [Some(State::Succeeded), Some(State::Drifted)];
            wanted.sort();
            assert_eq!(ends, wanted, "{engine:?} {x:?} {y:?}");
            let left = if state(&x) == Some(State::Succeeded) { 300 } else { 400 } + round;
            assert!(ground.state().await.contains(&format!("line 11 1 {left};")), "{engine:?}");
            // Two tenants.
            let a = one.plan_of("patch_rows", "A", patch(10, 500 + round)).await.unwrap();
            let b = two.plan_of("patch_rows", "B", patch(30, 600 + round)).await.unwrap();
            let (x, y) = tokio::join!(one.confirm(&a), two.confirm(&b));
            assert_eq!(
                (state(&x), state(&y)),
                (Some(State::Succeeded), Some(State::Succeeded)),
                "{engine:?} {x:?} {y:?}"
            );
        }
        let state = ground.state().await;
        for line in ["line 10 1 501;", "line 20 2 201;", "line 30 3 601;"] {
            assert!(state.contains(line), "{engine:?}: {state}");
        }
    }
}

#[tokio::test]
async fn two_hosts_with_one_control_store_use_a_plan_once() {
    for engine in ENGINES {
        let ground = Ground::with(engine, "dry_run_lock_ms_max = 60000", false).await;
        ground.world.install("patch_rows");
        let url = ground.world.url();
        let one = ground.world.other_host("control", &url).await;
        let two = ground.world.other_host("control", &url).await;
        for round in 0..2 {
            let run = one.plan_of("patch_rows", "A", patch(10, 100 + round)).await.unwrap();
            let (x, y) = tokio::join!(one.confirm(&run), two.confirm(&run));
            let done = [&x, &y].into_iter().filter(|ended| state(ended) == Some(State::Succeeded)).count();
            assert_eq!(done, 1, "{engine:?} {x:?} {y:?}");
            let refused = if x.is_err() { x } else { y };
            let problem = refused.unwrap_err();
            assert!(matches!(problem.code, Code::PlanUsed | Code::RunState), "{engine:?} {problem:?}");
            assert_eq!(ground.journaled(&run.id.to_string()).await, (1, 1), "{engine:?}");
            // A third process that starts in between finds nothing to finish.
            let three = ground.world.other_host("control", &url).await;
            assert_eq!(three.store().run(run.number).await.unwrap().state, State::Succeeded);
            // Two undo it: once.
            let (_, preview) = one.undo_preview(run.number).await.unwrap();
            let digest = preview.digest.hex();
            let (x, y) = tokio::join!(
                one.undo(run.number, &digest[..16], "person:alice"),
                two.undo(run.number, &digest[..16], "person:alice")
            );
            assert_eq!(u8::from(x.is_ok()) + u8::from(y.is_ok()), 1, "{engine:?} {:?} {:?}", x.err(), y.err());
            assert_eq!(ground.journaled(&run.id.to_string()).await, (2, 2), "{engine:?}");
            ground.reset().await;
        }
    }
}
