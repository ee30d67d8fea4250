//! P9, the undo harness: the process is killed with SIGKILL at every step of the gateway, and the next
//! one finds the target exactly as before or exactly as after, says so, and goes on.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

use mendwright::engine::Host;
use mendwright_core::run::State;
use mendwright_crash::{FLUSH, Point};
use mendwright_store::RunNumber;
use mendwright_tests::dump::Dump;

use crate::shop::{MIXED, TENANT, mixed, own, prefix, shop};
use crate::world::{ENGINES, Engine, Short as _, World, is_ready};

const SIGKILL: i32 = 9;

/// The host in a process of its own.
pub(crate) fn under_test_command(world: &World, arguments: &[&str]) -> Command {
    // Written for the process to read.
    drop(world.config());
    let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
    command.arg(world.directory().join("mendwright.toml")).args(arguments).env("TARGET_URL", world.url());
    command.env_remove("CRASH_AT").env_remove("STOP_AT");
    command
}

/// Runs the host in a process of its own, which dies at this point.
pub(crate) fn under_test(world: &World, crash_at: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = under_test_command(world, arguments);
    if let Some(point) = crash_at {
        command.env("CRASH_AT", point);
    }
    command.output().unwrap()
}

#[track_caller]
pub(crate) fn killed(output: &Output, point: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(SIGKILL), "{point} was not reached: {} {said}", output.status);
}

/// Every place to die in a flush, and whether the target then holds it.
pub(crate) fn places() -> Vec<(String, bool)> {
    let mut places = Vec::new();
    for point in FLUSH.map(Point::name) {
        let times = if point.starts_with("between") { vec![1, 2, MIXED] } else { vec![1] };
        places.extend(times.into_iter().map(|n| (format!("{point}:{n}"), point == "after_commit")));
    }
    places
}

/// That target, journal and control store say the same of the run, and nothing is left in flight.
async fn agree(world: &World, host: &Host, run: RunNumber, state: State, generations: u64, at: &str) {
    let record = host.store().run(run).await.unwrap();
    assert_eq!(record.state, state, "{:?} {at}", world.engine);
    assert!(host.store().in_flight().await.unwrap().is_empty(), "{at}");
    let (commits, journal) = (own(world.engine, "commits"), own(world.engine, "journal"));
    let count = |sql: String| async move { world.value(&sql).await.parse::<u64>().unwrap() };
    let of_run = format!("WHERE run = '{}'", record.id);
    let committed = count(format!("SELECT CAST(count(*) AS TEXT) FROM {commits} {of_run}")).await;
    assert_eq!(committed, generations, "{:?} {at}", world.engine);
    let rows = count(format!("SELECT CAST(coalesce(sum(changes), 0) AS TEXT) FROM {journal} {of_run}")).await;
    assert_eq!(rows, generations * MIXED, "{:?} {at}: a journal without its commit, or the other way", world.engine);
}

/// The shop before and after the repair.
async fn ends(world: &World) -> (Dump, Dump) {
    let host = world.host().await;
    let before = world.dump().await;
    let run = host.attack(TENANT, mixed()).await.unwrap();
    assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded);
    let after = world.dump().await;
    host.undo_all(run.number).await.unwrap();
    before.assert_unchanged(&world.dump().await);
    (before, after)
}

async fn dies_at_every_step_of_an_apply(engine: Engine) {
    let world = shop(engine).await;
    let (before, after) = ends(&world).await;
    let mut places = places();
    places.extend(["before_read_back", "after_read_back"].map(|point| (point.to_owned(), true)));
    for (place, committed) in places {
        let host = world.host().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        host.approve(run.number).await.unwrap();
        drop(host);
        let number = run.number.get().to_string();
        killed(&under_test(&world, Some(&place), &["apply", &number, &prefix(&run)]), &place);

        let host = world.host().await;
        if committed {
            agree(&world, &host, run.number, State::Succeeded, 1, &place).await;
        } else {
            agree(&world, &host, run.number, State::Approved, 0, &place).await;
            before.assert_unchanged(&world.dump().await);
            let applied = host.confirm(&run).await.unwrap();
            assert_eq!((applied.problem, applied.run.state), (None, State::Succeeded), "{engine:?} {place}");
        }
        after.assert_unchanged(&world.dump().await);
        assert!(host.verify(run.number).await.unwrap().verified.differ.is_empty(), "{place}");
        // What was applied across a death can be undone like anything else.
        assert_eq!(host.undo_all(run.number).await.unwrap().restored, MIXED, "{engine:?} {place}");
        before.assert_unchanged(&world.dump().await);
    }
}

#[tokio::test]
async fn a_host_killed_at_any_step_of_an_apply_on_sqlite_applies_once_or_not_at_all() {
    dies_at_every_step_of_an_apply(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_host_killed_at_any_step_of_an_apply_on_postgres_applies_once_or_not_at_all() {
    dies_at_every_step_of_an_apply(Engine::Postgres).await;
}

/// One run that is undone, redone, undone …; each of these dies first.
async fn dies_at_every_step_of_an_undo(engine: Engine) {
    let world = shop(engine).await;
    let before = world.dump().await;
    let host = world.host().await;
    let run = host.attack(TENANT, mixed()).await.unwrap();
    host.confirm(&run).await.unwrap();
    let after = world.dump().await;
    let number = run.number.get().to_string();
    let (mut state, mut generations) = (State::Succeeded, 1);
    let mut places = places();
    places.insert(0, ("before_preview".to_owned(), false));
    for (place, committed) in places {
        let digest = world.host().await.undo_preview(run.number).await.unwrap().1.digest.hex();
        killed(&under_test(&world, Some(&place), &["undo", &number, &digest[..16]]), &place);
        let host = world.host().await;
        if !committed {
            agree(&world, &host, run.number, state, generations, &place).await;
            let stands = if state == State::Succeeded { &after } else { &before };
            stands.assert_unchanged(&world.dump().await);
            host.undo(run.number, &digest[..16], "person:alice").await.unwrap();
        }
        state = if state == State::Succeeded { State::RolledBack } else { State::Succeeded };
        generations += 1;
        agree(&world, &host, run.number, state, generations, &place).await;
        let stands = if state == State::Succeeded { &after } else { &before };
        stands.assert_unchanged(&world.dump().await);
    }
}

#[tokio::test]
async fn a_host_killed_at_any_step_of_an_undo_on_sqlite_restores_once_or_not_at_all() {
    dies_at_every_step_of_an_undo(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_host_killed_at_any_step_of_an_undo_on_postgres_restores_once_or_not_at_all() {
    dies_at_every_step_of_an_undo(Engine::Postgres).await;
}

#[tokio::test]
async fn a_dry_run_killed_in_its_rehearsal_changes_nothing() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let before = world.dump_everything().await;
        let params = mixed().to_string();
        killed(&under_test(&world, Some("in_rehearsal"), &["plan", TENANT, &params]), "in_rehearsal");
        before.assert_unchanged(&world.dump_everything().await);
        let host = world.host().await;
        assert_eq!(host.store().run(RunNumber::new(1)).await.unwrap().state, State::Failed, "{engine:?}");
        let run = host.attack(TENANT, mixed()).await.unwrap();
        assert!(is_ready(&run), "{engine:?}");
    }
}

#[tokio::test]
async fn a_host_killed_while_it_recovers_is_recovered_by_the_next() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let (_, after) = ends(&world).await;
        let host = world.host().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        host.approve(run.number).await.unwrap();
        drop(host);
        let number = run.number.get().to_string();
        killed(&under_test(&world, Some("after_commit"), &["apply", &number, &prefix(&run)]), "after_commit");
        for point in ["before_read_back", "after_read_back", "before_read_back"] {
            killed(&under_test(&world, Some(point), &["open"]), point);
            after.assert_unchanged(&world.dump().await);
        }
        assert!(under_test(&world, None, &["open"]).status.success());
        let host = world.host().await;
        agree(&world, &host, run.number, State::Succeeded, 1, "recovered").await;
    }
}

/// The target does not answer when the next host begins: the run waits for it, and nobody guesses.
#[tokio::test]
async fn a_run_left_in_flight_waits_for_its_target() {
    let world = shop(Engine::Sqlite).await;
    let (_, after) = ends(&world).await;
    let host = world.host().await;
    let run = host.attack(TENANT, mixed()).await.unwrap();
    host.approve(run.number).await.unwrap();
    drop(host);
    let number = run.number.get().to_string();
    killed(&under_test(&world, Some("after_commit"), &["apply", &number, &prefix(&run)]), "after_commit");
    let rename = |from: &str, to: &str| {
        for ending in ["", "-wal", "-shm"] {
            let path = |name: &str| world.directory().join(format!("{name}{ending}"));
            if path(from).exists() {
                std::fs::rename(path(from), path(to)).unwrap();
            }
        }
    };
    rename("target.db", "away.db");
    let host = world.host().await;
    assert_eq!(host.store().run(run.number).await.unwrap().state, State::Applying);
    assert!(host.confirm(&run).await.is_err(), "and is not begun a second time");
    drop(host);
    rename("away.db", "target.db");
    let host = world.host().await;
    agree(&world, &host, run.number, State::Succeeded, 1, "the target is back").await;
    after.assert_unchanged(&world.dump().await);
}
