//! A restore drill: the control store is lost, or put back to an earlier day, and the targets went on.

use mendwright_core::run::State;
use serde_json::{Value as Json, json};

use crate::p10_audit::{cli, done, repaired};
use crate::world::{ENGINES, Engine, Short as _, World};

fn backup_of(world: &World) -> String {
    world.directory().join("backup").display().to_string()
}

#[tokio::test]
async fn a_store_that_was_lost_comes_back_and_its_runs_can_be_undone() {
    for engine in ENGINES {
        let world = repaired(engine).await;
        let backup = backup_of(&world);
        let host = world.host().await;
        // While a host has it open.
        done(&cli(&world, &["backup", &backup]));
        let again = cli(&world, &["backup", &backup]);
        assert!(again.exit == 1 && again.err.contains("ERR_IO"), "{}", again.err);
        let busy = cli(&world, &["restore", &backup, "--replace"]);
        assert!(busy.exit == 1 && busy.err.contains("ERR_HOST_RUNNING"), "{}", busy.err);
        drop(host);
        let there = cli(&world, &["restore", &backup]);
        assert!(there.exit == 1 && there.err.contains("--replace"), "{}", there.err);
        // The disk is gone, with everything of the host's.
        for entry in std::fs::read_dir(world.directory()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && path.file_name().unwrap().to_string_lossy().starts_with("control.db") {
                std::fs::remove_file(path).unwrap();
            }
        }
        let restored = cli(&world, &["restore", &backup]);
        done(&restored);
        done(&cli(&world, &["audit", "verify"]));
        // Its journal is in the target, sealed with the key that came back.
        let host = world.host().await;
        let run = host.store().find("1").await.unwrap();
        assert_eq!(run.state, State::Succeeded, "{engine:?}");
        assert_eq!(host.undo_all(run.number).await.unwrap().run.state, State::RolledBack, "{engine:?}");
    }
}

#[tokio::test]
async fn what_was_applied_after_the_backup_is_not_applied_again() {
    for engine in ENGINES {
        let world = repaired(engine).await;
        let backup = backup_of(&world);
        let host = world.host().await;
        let run = host.plan_of("reconcile_invoices", "France", json!({})).await.unwrap();
        done(&cli(&world, &["backup", &backup]));
        assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded, "{engine:?}");
        let applied = world.dump().await;
        drop(host);
        let said: Json =
            serde_json::from_str(done(&cli(&world, &["restore", &backup, "--replace", "--json"]))).unwrap();
        assert!(std::path::Path::new(said["moved_aside"].as_str().unwrap()).exists(), "{said}");
        // To the store of that day the plan is young and approved.
        let host = world.host().await;
        let found = host.store().run(run.number).await.unwrap();
        assert!(matches!(found.state, State::Planned | State::Approved), "{engine:?} {}", found.state);
        let second = host.confirm(&run).await;
        applied.assert_unchanged(&world.dump().await);
        let state = host.store().run(run.number).await.unwrap().state;
        assert_ne!(state, State::Applying, "{engine:?} {second:?}");
    }
}

#[tokio::test]
async fn a_backup_that_is_not_as_it_was_made_replaces_nothing() {
    let world = repaired(Engine::Sqlite).await;
    let backup = backup_of(&world);
    done(&cli(&world, &["backup", &backup]));
    let control = world.directory().join("control.db");
    let before = done(&cli(&world, &["run", "list", "--json"])).to_owned();
    for name in ["control.db", "host.key", "backup.json"] {
        let file = world.directory().join("backup").join(name);
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        let at = flipped.len() / 2;
        flipped[at] ^= 1;
        std::fs::write(&file, flipped).unwrap();
        let said = cli(&world, &["restore", &backup, "--replace"]);
        assert!(said.exit == 1 && said.err.contains("ERR_BACKUP_INVALID"), "{name}: {}", said.err);
        std::fs::remove_file(&file).unwrap();
        let said = cli(&world, &["restore", &backup, "--replace"]);
        assert!(said.exit == 1 && said.err.contains("ERR_BACKUP_INVALID"), "{name}: {}", said.err);
        std::fs::write(&file, whole).unwrap();
    }
    assert!(control.exists());
    assert_eq!(done(&cli(&world, &["run", "list", "--json"])), before);
}
