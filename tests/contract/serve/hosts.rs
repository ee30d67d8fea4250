//! Hosts that share the work, die, and come back.

use mendwright_core::run::{Event, State};
use mendwright_store::{RunRecord, Store};

use super::house::{House, runs, until};
use crate::shop::shop;
use crate::world::{ENGINES, Engine};

/// Runs that are asked for at once.
const MANY: usize = 20;

/// Waits until all of so many runs are planned; each was planned once.
async fn all_planned(store: &Store, many: usize) {
    until("all runs are planned", async || {
        let runs = runs(store).await;
        // A host that was killed before it asked policy leaves a plan that waits for nobody yet: it is asked
        // again at its apply.
        let rests = |run: &RunRecord| matches!(run.state, State::Planned | State::AwaitingApproval);
        runs.len() == many && runs.iter().all(|run| rests(run) && run.asked.is_none() && run.leased.is_none())
    })
    .await;
    for run in runs(store).await {
        let events = store.events(run.number).await.unwrap();
        let planned = events.iter().filter(|event| event.event == Event::ChangesFound).count();
        assert_eq!(planned, 1, "{}", run.number);
    }
}

#[tokio::test]
async fn runs_that_are_asked_for_are_all_planned_once() {
    for control in ENGINES {
        let house = House::new(shop(Engine::Sqlite).await, control).await;
        let before = house.world.dump().await;
        let host = house.serve("host").await;
        for _ in 0..MANY {
            host.plan("");
        }
        let store = house.store().await;
        all_planned(&store, MANY).await;
        before.assert_unchanged(&house.world.dump().await);
        assert_eq!(host.get("/status").body["host"]["state"], "working");
    }
}

#[tokio::test]
async fn a_host_that_is_killed_while_it_plans_leaves_work_that_the_next_one_finishes() {
    for control in ENGINES {
        let house = House::new(shop(Engine::Sqlite).await, control).await;
        let mut host = house.serve("host").await;
        for _ in 0..MANY {
            host.plan("");
        }
        let store = house.store().await;
        until("it has begun", async || runs(&store).await.iter().any(|run| run.attempt > 0)).await;
        host.child.kill().unwrap();
        host.child.wait().unwrap();
        assert!(host.socket.exists(), "a stale socket stays behind");
        let host = house.serve("host").await;
        all_planned(&store, MANY).await;
        drop(host);
    }
}

#[tokio::test]
async fn two_hosts_on_one_postgres_share_the_work() {
    let mut world = shop(Engine::Postgres).await;
    // All of them rehearse on the same rows: none is to be given up for that.
    world.database_keys =
        "dry_run_lock_ms_max = 60000\nlock_timeout = \"60s\"\nstatement_timeout = \"60s\"\n".to_owned();
    let mut house = House::new(world, Engine::Postgres).await;
    house.more = "[limits]\nconcurrency = { overall = 64, per_tenant = 64 }\n";
    let (one, two) = (house.serve("one").await, house.serve("two").await);
    let worked = |log: String| log.matches("working").count();
    (0..MANY).for_each(|_| drop(one.plan("")));
    let mut asked = MANY;
    // How they share it is a matter of luck: whoever looks first takes it.
    until("both have worked", async || {
        one.plan("");
        asked += 1;
        worked(one.log()) > 0 && worked(two.log()) > 0
    })
    .await;
    let store = house.store().await;
    all_planned(&store, asked).await;
    for run in runs(&store).await {
        assert_eq!((run.state, run.attempt), (State::AwaitingApproval, 1), "{} was planned by one of them", run.number);
    }
}

/// A plan that could not be rehearsed because its rows were busy could never be applied: policy wants the
/// rehearsal. So it is planned again when they are free.
#[tokio::test]
async fn a_dry_run_whose_rows_are_busy_is_tried_again() {
    let mut world = shop(Engine::Postgres).await;
    world.database_keys = "dry_run_lock_ms_max = 3000\n".to_owned();
    let house = House::new(world, Engine::Postgres).await;
    let mut app = house.world.app().await;
    app.run("BEGIN; UPDATE article SET price = price WHERE id = 1").await;
    let host = house.serve("host").await;
    let number = super::house::number(&host.plan(""));
    let store = house.store().await;
    let asked = async || store.run(number).await.unwrap().asked.map(|asked| asked.tries);
    until("it was put off", async || asked().await == Some(1)).await;
    app.run("COMMIT").await;
    until("it is planned", async || store.run(number).await.unwrap().state == State::AwaitingApproval).await;
    assert_eq!(store.load_plan(number).await.unwrap().document.rehearsal.passed, Some(true));
}
