//! P9: a target that was set back to a time before, failed over to a replica that lagged, or was replaced,
//! lacks what the control store knows to be committed. That is noticed, and left to a person.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_store::RunRecord;

use crate::crash::{killed, under_test};
use crate::shop::{TENANT, mixed, own, prefix, shop};
use crate::world::{ENGINES, Engine, Short as _, World};

/// The target was restored from a backup behind our back: what the control store knows to be committed
/// is not there, and only a person may go on.
#[tokio::test]
async fn a_target_that_lost_a_commit_is_diverged_and_left_alone() {
    let world = shop(Engine::Sqlite).await;
    let host = world.host().await;
    let run = host.attack(TENANT, mixed()).await.unwrap();
    host.approve(run.number).await.unwrap();
    drop(host);
    let backup = world.directory().join("backup.db");
    world.sql(&format!("VACUUM INTO '{}'", backup.display())).await;
    let number = run.number.get().to_string();
    killed(&under_test(&world, Some("before_read_back"), &["apply", &number, &prefix(&run)]), "before_read_back");
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(world.directory().join(format!("target.db{ending}")));
    }
    std::fs::rename(&backup, world.directory().join("target.db")).unwrap();
    let restored = world.dump().await;
    let host = world.host().await;
    assert_eq!(host.store().run(run.number).await.unwrap().state, State::Diverged);
    assert!(host.confirm(&run).await.is_err() && host.undo_all(run.number).await.is_err());
    restored.assert_unchanged(&world.dump().await);
    let of_ours = ["commits", "journal"].map(|table| format!("SELECT CAST(count(*) AS TEXT) FROM mendwright_{table}"));
    for count in of_ours {
        assert_eq!(world.value(&count).await, "0", "{count}");
    }
}

/// What a lagging replica lacks of the run's last flush.
async fn loses(world: &World, run: &RunRecord, generation: u64) {
    for table in ["journal", "commits"] {
        let table = own(world.engine, table);
        world.sql(&format!("DELETE FROM {table} WHERE run = '{}' AND generation = {generation}", run.id)).await;
    }
}

#[tokio::test]
async fn an_undo_of_what_the_target_lost_is_diverged_and_writes_nothing() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        host.confirm(&run).await.unwrap();
        let digest = host.undo_preview(run.number).await.unwrap().1.digest.hex();
        loses(&world, &run, 0).await;
        let before = world.dump_everything().await;
        let problem = host.undo(run.number, &digest[..16], "person:alice").await.unwrap_err();
        assert_eq!(problem.code, Code::TargetDiverged, "{engine:?} {problem}");
        assert_eq!(host.store().run(run.number).await.unwrap().state, State::Diverged, "{engine:?}");
        before.assert_unchanged(&world.dump_everything().await);
    }
}

/// The host dies in its undo, and the target is set back before anybody goes on with it: what it undid is
/// neither undone nor a success.
#[tokio::test]
async fn an_undo_left_half_done_of_what_the_target_lost_is_diverged() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        host.confirm(&run).await.unwrap();
        for generation in 0..2 {
            let digest = host.undo_preview(run.number).await.unwrap().1.digest.hex();
            let number = run.number.get().to_string();
            let undo = ["undo", &number, &digest[..16]];
            if generation == 0 {
                // The undo is lost later, and what it undid is there: its own undo finds that out.
                assert!(under_test(&world, None, &undo).status.success());
                continue;
            }
            killed(&under_test(&world, Some("before_writes"), &undo), "before_writes");
            loses(&world, &run, generation).await;
        }
        let before = world.dump().await;
        let host = world.host().await;
        assert_eq!(host.store().run(run.number).await.unwrap().state, State::Diverged, "{engine:?}");
        before.assert_unchanged(&world.dump().await);
    }
}
