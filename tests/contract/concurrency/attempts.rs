//! P9: a host whose run was taken over writes nothing more, whenever it wakes up.

use std::process::{Child, Command, Stdio};

use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_gateway::repair::{self, Committed, Context, MacKey};
use mendwright_gateway::{Error, Gate, Target};
use mendwright_store::RunRecord;

use super::ground::{Ground, until};
use crate::crash::{places, under_test_command};
use crate::direct::{Direct, update};
use crate::shop::{TENANT, mixed, own, prefix, shop};
use crate::world::{ENGINES, Engine, Short as _, World};

fn edit() -> Vec<crate::direct::Edit> {
    vec![update("line", 10, &[("quantity", 2)])]
}

/// The same host in a later attempt.
fn attempt(direct: &Direct, attempt: u64) -> Direct {
    let mut later = direct.clone();
    later.attempt = attempt;
    later
}

#[tokio::test]
async fn a_host_whose_run_was_taken_over_before_it_connected_writes_nothing() {
    for engine in ENGINES {
        let ground = Ground::of(engine).await;
        let before = ground.state().await;
        let computed = ground.plan("A", &edit()).await;
        let taker = attempt(&ground.direct, 2);
        repair::take_over(taker.context("A", "run")).await.unwrap();
        let error = ground.flush("A", "run", computed).await.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::FenceLost, "{engine:?} {error:?}");
        assert_eq!((ground.state().await, ground.journaled("run").await), (before, (0, 0)), "{engine:?}");
        // Nor does it take the run back, or get told what only the one in charge may act on.
        let context = ground.direct.context("A", "run");
        assert_eq!(repair::take_over(context).await.unwrap_err().code(), Code::FenceLost, "{engine:?}");
        assert_eq!(repair::committed(context, 0).await.unwrap_err().code(), Code::FenceLost, "{engine:?}");
        // A run of its own is another matter, and so is the taker.
        let other = ground.plan("A", &[update("line", 20, &[("quantity", 2)])]).await;
        assert_eq!(ground.flush("A", "another run", other).await.unwrap().unwrap(), 1, "{engine:?}");
        let again = taker.plan("A", &edit()).await.unwrap();
        assert_eq!(taker.apply("A", "run", again).await.unwrap().changes, 1, "{engine:?}");
        assert_eq!(ground.journaled("run").await, (1, 1), "{engine:?}");
    }
}

/// An undo is a flush like any other.
#[tokio::test]
async fn a_former_attempt_restores_nothing() {
    for engine in ENGINES {
        let ground = Ground::of(engine).await;
        let computed = ground.plan("A", &edit()).await;
        let identity = computed.targets[0].identity.clone();
        ground.flush("A", "run", computed).await.unwrap().unwrap();
        let after = ground.state().await;
        let (stale, taker) = (attempt(&ground.direct, 2), attempt(&ground.direct, 3));
        let preview = repair::undo_preview(stale.context("A", "run"), 0).await.unwrap();
        assert_eq!(repair::committed(taker.context("A", "run"), 1).await.unwrap(), None);
        let error = repair::undo_apply(stale.context("A", "run"), &preview, &identity).await.unwrap_err();
        assert_eq!(error.code(), Code::FenceLost, "{engine:?} {error:?}");
        assert_eq!(ground.state().await, after, "{engine:?}");
        repair::undo_apply(taker.context("A", "run"), &preview, &identity).await.unwrap();
        assert_ne!(ground.state().await, after, "{engine:?}");
    }
}

/// The one that is behind neither ends the other's connection nor takes its fence away.
#[tokio::test]
async fn a_host_that_is_behind_does_not_disturb_the_one_in_charge() {
    let ground = Ground::with(Engine::Postgres, "lock_timeout = \"20s\"", false).await;
    let mut stale = ground.direct.clone();
    stale.target.lock_timeout = std::time::Duration::from_millis(200);
    let late = ground.plan("A", &edit()).await;
    let taker = attempt(&ground.direct, 2);
    let computed = taker.plan("A", &edit()).await.unwrap();
    let mut app = ground.app().await;
    app.run("SELECT 1 FROM line WHERE id = 10 FOR UPDATE").await;
    let flush = tokio::spawn({
        let taker = taker.clone();
        async move { taker.apply("A", "run", computed).await }
    });
    ground.until_blocked().await;
    let locks = repair::locks(&ground.direct.target).await.unwrap();
    let held: Vec<_> = locks.held.iter().map(|l| (l.tenant.as_str(), l.run.as_str(), l.attempt, l.is_alive)).collect();
    assert_eq!(held, [("A", "run", 2, true)], "{locks:?}");
    assert!(locks.held[0].relation.ends_with("line") && locks.held[0].since_us > 0, "{locks:?}");
    let error = stale.apply("A", "run", late).await.unwrap_err();
    assert_eq!(error.code(), Code::FenceLost, "{error:?}");
    // Another run waits for the fence, and is seen to.
    let other = ground.plan("A", &[update("line", 11, &[("quantity", 2)])]).await;
    let other = ground.flush("A", "other run", other);
    until("the other run is seen to wait", async || {
        let locks = repair::locks(&ground.direct.target).await.unwrap();
        locks.waiting.iter().any(|waiting| waiting.run == "other run" && waiting.attempt == 1)
    })
    .await;
    app.run("ROLLBACK").await;
    assert_eq!(flush.await.unwrap().unwrap().changes, 1);
    assert_eq!(other.await.unwrap().unwrap(), 1);
    let locks = repair::locks(&ground.direct.target).await.unwrap();
    assert_eq!(locks.held, [], "{locks:?}");
}

/// Numbers go with the journal of their run, and not before.
#[tokio::test]
async fn an_attempt_is_kept_while_a_host_could_come_back() {
    for engine in ENGINES {
        let ground = Ground::of(engine).await;
        let (attempts, commits) = (own(engine, "attempts"), own(engine, "commits"));
        let computed = ground.plan("A", &edit()).await;
        ground.flush("A", "applied", computed).await.unwrap().unwrap();
        repair::take_over(ground.direct.context("A", "never applied")).await.unwrap();
        let kept = async |now_us| {
            repair::prune(&ground.direct.target, now_us).await.unwrap();
            ground.value(&format!("SELECT string_agg(run, ' ' ORDER BY run) FROM {attempts}")).await
        };
        assert_eq!(kept(0).await, "applied never applied", "{engine:?}: both are young");
        ground.sql(&format!("UPDATE {attempts} SET raised_at_us = 1")).await;
        assert_eq!(kept(0).await, "applied", "{engine:?}: it still has a journal");
        ground.sql(&format!("UPDATE {commits} SET committed_at_us = -9000000000000000")).await;
        assert_eq!(kept(0).await, "NULL", "{engine:?}");
    }
}

/// A host in a process of its own, which stands still.
struct Stopped(Child);

impl Stopped {
    async fn at(world: &World, point: &str, arguments: &[&str]) -> Self {
        let mut command = under_test_command(world, arguments);
        let child = command.env("STOP_AT", point).stderr(Stdio::piped()).spawn().unwrap();
        let stopped = Self(child);
        let stat = format!("/proc/{}/stat", stopped.0.id());
        until(point, async || {
            let stat = std::fs::read_to_string(&stat).unwrap();
            let state = stat.rsplit(')').next().unwrap().trim_start().chars().next().unwrap();
            assert_ne!(state, 'Z', "{point} was not reached");
            state == 'T'
        })
        .await;
        stopped
    }

    /// Lets it go on to its end; whether it says that all went well, and what it says.
    fn goes_on(self) -> (bool, String) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-CONT", &pid]).status().unwrap().success());
        let output = self.0.wait_with_output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What a host is told that takes the run over.
async fn taken_over(world: &World, target: &Target, run: &RunRecord) -> Result<Option<Committed>, Error> {
    let (resources, id) = (world.config().resources.clone(), run.id.to_string());
    let (key, gate) = (MacKey([0; 32]), Gate::open());
    let attempt = run.attempt + 1;
    let context =
        Context { target, resources: &resources, tenant: TENANT, run: &id, attempt, key: &key, gate: &gate, now_us: 1 };
    repair::committed(context, 0).await
}

/// Stopped at every step of its apply, and woken up after its run was taken over: what the taker was told
/// stays true.
async fn stopped_past_its_lease(engine: Engine) {
    let mut world = shop(engine).await;
    world.database_keys = "lock_timeout = \"200ms\"\ndry_run_lock_ms_max = 60000".to_owned();
    let before = world.dump().await;
    let (mut refused, mut seen) = (0, 0);
    for (place, _) in places() {
        let host = world.host().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        host.approve(run.number).await.unwrap();
        let number = run.number.get().to_string();
        let stale = Stopped::at(&world, &place, &["apply", &number, &prefix(&run)]).await;
        let target = host.target("target").unwrap();
        let running = host.store().run(run.number).await.unwrap();
        assert_eq!((running.state, running.attempt), (State::Applying, 2), "{place}");
        let told = taken_over(&world, &target, &running).await;
        let (is_well, said) = stale.goes_on();
        let told = match told {
            // SQLite: a host that is stopped inside its transaction keeps everybody out, and is waited for.
            Err(Error::Unavailable { code: Code::TargetLocked, .. }) if engine == Engine::Sqlite => {
                taken_over(&world, &target, &running).await.unwrap()
            }
            told => told.unwrap_or_else(|error| panic!("{engine:?} {place}: {error:?}")),
        };
        let commits = format!("SELECT CAST(count(*) AS text) FROM {} WHERE run = '{}'", own(engine, "commits"), run.id);
        let commits = world.value(&commits).await;
        let ended = host.store().run(run.number).await.unwrap().state;
        match told {
            None => {
                refused += 1;
                assert!(!is_well && (said.contains("FenceLost") || said.contains("Target")), "{place}: {said}");
                assert_eq!(commits, "0", "{engine:?} {place}: it wrote after it was taken over");
                before.assert_unchanged(&world.dump().await);
                assert_ne!(ended, State::Succeeded, "{place}");
            }
            Some(committed) => {
                seen += 1;
                assert!(is_well, "{engine:?} {place}: {said}");
                assert_eq!((committed.changes, commits.as_str()), (6, "1"), "{engine:?} {place}");
                assert_eq!(ended, State::Succeeded, "{place}");
                host.undo_all(run.number).await.unwrap();
                before.assert_unchanged(&world.dump().await);
            }
        }
    }
    assert!(refused >= 2 && seen >= 1, "{engine:?}: refused {refused}, seen {seen}");
}

#[tokio::test]
async fn a_host_that_was_stopped_past_its_lease_writes_nothing_on_sqlite() {
    stopped_past_its_lease(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_host_that_was_stopped_past_its_lease_writes_nothing_on_postgres() {
    stopped_past_its_lease(Engine::Postgres).await;
}
