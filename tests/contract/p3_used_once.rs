//! P3: *a plan is used once.*

use mendwright_core::code::Code;
use mendwright_core::run::State;

use crate::shop::{TENANT, host_on_copy, mixed, own, prefix, prices, shop};
use crate::world::{ENGINES, Short as _, World, code};

async fn commits(world: &World) -> String {
    world.value(&format!("SELECT CAST(count(*) AS TEXT) FROM {}", own(world.engine, "commits"))).await
}

#[tokio::test]
async fn the_same_plan_is_applied_once_and_never_again() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        host.confirm(&run).await.unwrap();
        let after = world.dump_everything().await;
        assert_eq!(code(host.confirm(&run).await), Code::PlanUsed, "{engine:?}");
        after.assert_unchanged(&world.dump_everything().await);
        host.undo_all(run.number).await.unwrap();
        let undone = world.dump_everything().await;
        assert_eq!(code(host.confirm(&run).await), Code::PlanUsed, "{engine:?} an undone plan is used, too");
        undone.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn two_hosts_at_once_apply_a_plan_once() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let (one, two) = (world.host().await, world.host().await);
        let run = one.attack(TENANT, mixed()).await.unwrap();
        let (a, b) = tokio::join!(one.confirm(&run), two.confirm(&run));
        let succeeded = |done: &Result<_, _>| {
            done.as_ref().is_ok_and(|done: &mendwright::engine::Applied| {
                done.run.state == State::Succeeded && done.problem.is_none()
            })
        };
        assert!(succeeded(&a) != succeeded(&b), "{engine:?} {a:?} {b:?}");
        let lost = if succeeded(&a) { code(b) } else { code(a) };
        assert!(matches!(lost, Code::RunState | Code::PlanUsed | Code::StoreUnavailable), "{engine:?} {lost:?}");
        assert_eq!(commits(&world).await, "1", "{engine:?}");
    }
}

/// Whatever control stores say, the target knows which plans it has used.
#[tokio::test]
async fn a_copy_of_the_control_store_cannot_use_a_plan_again() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let before = world.dump().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        let copy = host_on_copy(&world, "copy").await;
        let late = host_on_copy(&world, "late").await;
        host.confirm(&run).await.unwrap();

        let applied = world.dump_everything().await;
        let second = copy.confirm(&run).await.unwrap();
        assert!(second.problem.is_some() && second.run.state != State::Succeeded, "{engine:?} {second:?}");
        applied.assert_unchanged(&world.dump_everything().await);

        // All rows are again as they were planned: only the key in the target says no.
        host.undo_all(run.number).await.unwrap();
        before.assert_unchanged(&world.dump().await);
        let third = late.confirm(&run).await.unwrap();
        assert_eq!(third.problem.map(|problem| problem.code), Some(Code::PlanUsed), "{engine:?}");
        before.assert_unchanged(&world.dump().await);
        assert_eq!(commits(&world).await, "2", "{engine:?}: of the run and of its undo");
    }
}

#[tokio::test]
async fn two_control_stores_at_once_use_a_plan_once() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, prices("none", &[(1, "1.25"), (2, "2.25")])).await.unwrap();
        let copy = host_on_copy(&world, "copy").await;
        let (a, b) = tokio::join!(host.confirm(&run), copy.confirm(&run));
        let states = [a.unwrap().run.state, b.unwrap().run.state];
        let won = states.iter().filter(|state| **state == State::Succeeded).count();
        // The other waited for the fence, found the rows changed or the plan used: each is said. Or it
        // asked the target whether its own run was committed, and it was.
        assert!(won >= 1, "{engine:?} {states:?}");
        assert_eq!(commits(&world).await, "1", "{engine:?} {states:?}");
        assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM article WHERE price IN (1.25, 2.25)").await, "2");
    }
}

#[tokio::test]
async fn the_digest_is_a_unique_key_in_the_target() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        host.confirm(&run).await.unwrap();
        let table = own(engine, "commits");
        let digest = world.value(&format!("SELECT digest FROM {table}")).await;
        assert!(digest.contains(&prefix(&run)), "{digest}");
        let same = format!(
            "INSERT INTO {table} SELECT digest, 'run_x', generation, batch, tenant, kind, epoch, committed_at_us, changes, mac, pruned_at_us FROM {table} WHERE 1 = 1 ON CONFLICT DO NOTHING"
        );
        world.sql(&same).await;
        assert_eq!(commits(&world).await, "1", "{engine:?}");
        let other = format!(
            "INSERT INTO {table} SELECT 'x', run, generation, batch, tenant, kind, epoch, committed_at_us, changes, mac, pruned_at_us FROM {table} WHERE 1 = 1 ON CONFLICT DO NOTHING"
        );
        world.sql(&other).await;
        assert_eq!(commits(&world).await, "1", "{engine:?}: nor does a run flush one generation twice");
    }
}
