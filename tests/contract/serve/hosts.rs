//! Hosts that share the work, die, and come back.

use mendwright_core::run::{Event, State};
use mendwright_store::Store;

use super::house::{House, runs, until};
use crate::shop::shop;
use crate::world::{ENGINES, Engine};

/// Runs that are asked for at once.
const MANY: usize = 20;

/// Waits until all of so many runs are planned; each was planned once.
async fn all_planned(store: &Store, many: usize) {
    until("all runs are planned", async || {
        let runs = runs(store).await;
        runs.len() == many && runs.iter().all(|run| run.state == State::AwaitingApproval && run.asked.is_none())
    })
    .await;
    for run in runs(store).await {
        let events = store.events(run.number).await.unwrap();
        let found: Vec<Event> = events.iter().map(|event| event.event).collect();
        assert_eq!(found, [Event::ChangesFound, Event::ApprovalsAsked], "{}", run.number);
        assert_eq!(run.leased, None, "{} is let go", run.number);
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
        let status = host.get("/status").body;
        assert_eq!((&status["host"]["state"], status["runs"].as_array().unwrap().len()), (&"working".into(), 0));
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
    let mut house = House::new(shop(Engine::Postgres).await, Engine::Postgres).await;
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
    all_planned(&house.store().await, asked).await;
}
