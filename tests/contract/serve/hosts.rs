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
