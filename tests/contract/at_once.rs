//! Repairs that are made at once: one commit of the control store before the target's, none after, and nothing
//! less promised than of any other repair.

use std::process::Command;
use std::sync::Arc;

use mendwright::engine::{Host, PlanRequest, Repaired};
use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::run::{Event, State};
use mendwright_core::switch::{Kind, Running, Scope, Switch};
use mendwright_store::{Idempotency, RunFilter, RunRecord};

use crate::shop::{TENANT, prices, shop};
use crate::world::{App, ENGINES, Engine, Short as _, World, request};

/// The shop, with a guest that is trusted to apply by itself, and rows of this class: what can be made again is
/// repaired at level 1, and what is `ordinary` at level 2, with a rehearsal.
async fn trusting(engine: Engine, class: &str) -> World {
    let mut world = shop(engine).await;
    world.bindings =
        world.bindings.replace("guest_keys = true\n", &format!("guest_keys = true\nclass = \"{class}\"\n"));
    world.bindings += "[policy]\ntrust = [{ job = \"hostile\", tenant = \"acme\", trust = \"auto\" }]\n";
    world
}

fn three() -> PlanRequest {
    request("hostile", TENANT, prices("none", &[(1, "2.5"), (2, "3.5"), (6, "4.5")]))
}

const PRICES: &str =
    "SELECT group_concat(price, ' ') FROM (SELECT price FROM article WHERE id IN (1, 2, 6) ORDER BY id)";
const PRICES_POSTGRES: &str =
    "SELECT string_agg(price::float8::text, ' ' ORDER BY id) FROM article WHERE id IN (1, 2, 6)";

async fn of_three(world: &World) -> String {
    world.value(if world.engine == Engine::Sqlite { PRICES } else { PRICES_POSTGRES }).await
}

async fn runs(host: &Host) -> Vec<RunRecord> {
    host.store().list(&RunFilter { limit: 100, ..RunFilter::default() }).await.unwrap()
}

/// The application, with the rows of a repair in its hands.
async fn holding(world: &World) -> App {
    let mut app = world.app().await;
    match world.engine {
        Engine::Sqlite => app.run("BEGIN IMMEDIATE").await,
        Engine::Postgres => app.run("BEGIN; SELECT 1 FROM article WHERE id IN (1, 2, 6) FOR UPDATE").await,
    }
    app
}

/// Begins a repair that goes on by itself, and waits until its run is *applying*.
async fn begun(host: &Arc<Host>) -> tokio::task::JoinHandle<Repaired> {
    let own = Arc::clone(host);
    let task = tokio::spawn(async move { own.repair(&three(), None).await.unwrap() });
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while runs(host).await.first().is_none_or(|run| run.state != State::Applying) {
        assert!(!task.is_finished() && tokio::time::Instant::now() < until, "it never began: {:?}", runs(host).await);
        tokio::task::yield_now().await;
    }
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn one_control_commit_is_awaited_before_the_target_s_and_none_after() {
    for engine in ENGINES {
        let mut world = trusting(engine, "rebuildable").await;
        world.database_keys = "lock_timeout = \"60s\"".to_owned();
        let before = world.dump().await;
        let host = Arc::new(world.host().await);
        let n = host.store().n_writes();
        let mut app = holding(&world).await;
        let task = begun(&host).await;
        assert_eq!(host.store().n_writes() - n, 1, "{engine:?}: before the target commits");
        app.run("ROLLBACK").await;
        let Repaired::Applied(applied) = task.await.unwrap() else { panic!("it is trusted") };
        assert!(applied.problem.is_none(), "{applied:?}");
        assert_eq!(host.store().n_writes() - n, 1, "{engine:?}: when it is answered");
        assert_eq!((applied.changes, applied.run.state), (3, State::Verifying));
        assert_eq!(of_three(&world).await, "2.5 3.5 4.5", "{engine:?}: the answer is true");
        let number = applied.run.number;
        assert_eq!(host.store().run(number).await.unwrap().state, State::Applying, "the store follows behind");
        assert_eq!(host.finish_committed().await.unwrap(), 1);
        let run = host.store().run(number).await.unwrap();
        assert_eq!((run.state, run.attempt, run.asked.is_none()), (State::Succeeded, 1, true));
        let events: Vec<Event> = host.store().events(number).await.unwrap().iter().map(|event| event.event).collect();
        let whole = [Event::ChangesFound, Event::ApplyStarted, Event::FlushCommitted, Event::VerificationPassed];
        assert_eq!(events, whole);
        // Everything that an ordinary repair leaves behind is there.
        let stages: Vec<String> =
            host.store().decisions(number).await.unwrap().into_iter().map(|made| made.decision.stage).collect();
        assert_eq!(stages, ["before_planning", "at_apply"]);
        assert_eq!(host.store().verify_plan(number).await.unwrap().digest, run.plan_digest.unwrap());
        let told = host.store().audit_entries(None, 100).await.unwrap();
        let told: Vec<String> = told.into_iter().map(|entry| entry.kind).collect();
        for kind in ["run.begun", "policy.decided", "run.moved", "target.flushed"] {
            assert!(told.iter().any(|told| told == kind), "{kind}: {told:?}");
        }
        host.undo_all(number).await.unwrap();
        before.assert_unchanged(&world.dump().await);
    }
}

#[tokio::test]
async fn a_job_that_is_not_trusted_so_far_is_only_planned_and_the_same_goes_for_safe_mode_and_the_kill_switch() {
    let world = trusting(Engine::Sqlite, "ordinary").await;
    let before = world.dump().await;
    let host = world.host().await;
    let ordinary = async |request: PlanRequest| match host.repair(&request, None).await.unwrap() {
        Repaired::Begun(run) => assert_eq!(run.state, State::Planning),
        other => panic!("{other:?}"),
    };
    ordinary(PlanRequest { tenant: "other".to_owned(), ..three() }).await;
    // A machine may not what people may not either: nobody whitelisted the tenant.
    ordinary(PlanRequest { requested_by: "machine:detector".to_owned(), ..three() }).await;
    for kind in [Kind::SafeMode, Kind::Kill] {
        let (reason, by) = ("a test".to_owned(), "person:alice".to_owned());
        let on = Switch {
            kind,
            scope: Scope::Everything,
            is_on: true,
            reason,
            by,
            at_us: 1,
            expires_at_us: None,
            running: Running::Wait,
        };
        host.store().throw(&on).await.unwrap();
        ordinary(three()).await;
        host.store().throw(&Switch { is_on: false, ..on }).await.unwrap();
    }
    before.assert_unchanged(&world.dump().await);
    let Repaired::Applied(applied) = host.repair(&three(), None).await.unwrap() else { panic!("trusted again") };
    assert!(applied.problem.is_none(), "{applied:?}");
}

#[tokio::test]
async fn the_same_request_under_one_key_is_made_once() {
    let world = trusting(Engine::Sqlite, "ordinary").await;
    let host = world.host().await;
    let key = |word: &str| Idempotency { key: "k".to_owned(), request: Digest::of(word.as_bytes()) };
    let Repaired::Applied(first) = host.repair(&three(), Some(&key("one"))).await.unwrap() else { panic!("new") };
    let Repaired::Before(again) = host.repair(&three(), Some(&key("one"))).await.unwrap() else { panic!("known") };
    assert_eq!(first.run.number, again.number);
    assert_eq!(host.repair(&three(), Some(&key("two"))).await.unwrap_err().code, Code::KeyReused);
    assert_eq!(runs(&host).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_application_changes_before_the_flush_is_found_and_nothing_is_applied() {
    for engine in ENGINES {
        let mut world = trusting(engine, "rebuildable").await;
        world.database_keys = "lock_timeout = \"60s\"".to_owned();
        let host = Arc::new(world.host().await);
        let mut app = holding(&world).await;
        let task = begun(&host).await;
        app.run("UPDATE article SET price = 77 WHERE id = 2; COMMIT").await;
        let Repaired::Applied(applied) = task.await.unwrap() else { panic!("it is trusted") };
        assert_eq!(applied.run.state, State::Drifted, "{engine:?}: {applied:?}");
        assert_eq!(applied.problem.unwrap().code, Code::PlanDrifted);
        assert!(of_three(&world).await.contains(" 77"), "{engine:?}: what the application wrote");
        assert!(!of_three(&world).await.contains("2.5"), "{engine:?}: nothing of it");
        assert_eq!(host.finish_committed().await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_host_that_dies_leaves_all_of_it_or_nothing_and_the_next_one_knows_which() {
    for engine in ENGINES {
        for (point, applied) in [("before_begin", false), ("before_commit", false), ("after_commit", true)] {
            let world = trusting(engine, "ordinary").await;
            drop(world.config());
            let mut under_test = Command::new(env!("CARGO_BIN_EXE_under-test"));
            under_test.arg(world.directory().join("mendwright.toml")).args(["repair", TENANT]);
            under_test.arg(three().params.to_string()).env("TARGET_URL", world.url()).env("CRASH_AT", point);
            let ended = under_test.output().unwrap();
            assert!(!ended.status.success(), "{point}: {ended:?}");
            let host = world.host().await;
            let found = runs(&host).await;
            let [run] = found.as_slice() else { panic!("{engine:?} {point}: {found:?}") };
            let expected = if applied { State::Succeeded } else { State::Planned };
            assert_eq!(run.state, expected, "{engine:?} {point}");
            assert_eq!(of_three(&world).await == "2.5 3.5 4.5", applied, "{engine:?} {point}");
        }
    }
}
