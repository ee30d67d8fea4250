//! A host that is told to end, and repairs that are told to hold still.

use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::json;

use super::house::{House, Serving, digits, number, until};
use crate::shop::shop;
use crate::world::{App, ENGINES, Engine};

/// A run that is being applied and waits for a lock of the application's.
async fn held(house: &House, host: &Serving, app: &mut App) -> mendwright_store::RunNumber {
    let run = host.plan("?wait=1m");
    assert_eq!(run["state"], "awaiting_approval", "{run}");
    house.approve("host", &run["number"].to_string());
    app.run("BEGIN IMMEDIATE").await;
    let path = format!("/runs/{}/apply", run["number"]);
    let asked = host.send("POST", &path, "", &json!({ "confirm": digits(&run["digest"]) }));
    assert_eq!(asked.status, 202, "{asked:?}");
    let store = house.store().await;
    let run = number(&run);
    until("it is being applied", async || store.run(run).await.unwrap().state == State::Applying).await;
    run
}

/// A house whose applies wait long for locks.
async fn patient(control: Engine) -> House {
    let mut world = shop(Engine::Sqlite).await;
    world.database_keys = "lock_timeout = \"60s\"\nstatement_timeout = \"60s\"\n".to_owned();
    House::new(world, control).await
}

#[tokio::test]
async fn a_host_that_is_told_to_end_finishes_what_it_has_begun_and_takes_nothing_new() {
    for control in ENGINES {
        let house = patient(control).await;
        let mut host = house.serve("host").await;
        let mut app = house.world.app().await;
        let run = held(&house, &host, &mut app).await;
        host.signal("TERM");
        until("it no longer listens", async || !host.socket.exists()).await;
        assert_eq!(host.child.try_wait().unwrap(), None, "it waits for the apply");
        app.run("COMMIT").await;
        assert_eq!(host.ended().await, Some(0), "{}", host.log());
        let run = house.store().await.run(run).await.unwrap();
        assert_eq!((run.state, run.leased), (State::Succeeded, None));
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_host_at_once_and_the_next_one_goes_on() {
    for control in ENGINES {
        let house = patient(control).await;
        let mut host = house.serve("host").await;
        let mut app = house.world.app().await;
        let run = held(&house, &host, &mut app).await;
        host.signal("TERM");
        until("it has heard it", async || !host.socket.exists()).await;
        host.signal("INT");
        assert_eq!(host.ended().await, Some(130), "{}", host.log());
        let store = house.store().await;
        let left = store.run(run).await.unwrap();
        assert_eq!((left.state, left.leased), (State::Applying, None), "it is let go");
        app.run("COMMIT").await;
        let host = house.serve("host").await;
        until("it is recovered", async || store.run(run).await.unwrap().state == State::Approved).await;
        drop(host);
    }
}

#[tokio::test]
async fn the_kill_switch_takes_back_what_nobody_began_and_refuses_what_comes_later() {
    for control in ENGINES {
        let mut house = patient(control).await;
        house.more = "[limits]\nconcurrency = { overall = 8, per_tenant = 1 }\n";
        let host = house.serve("host").await;
        let mut app = house.world.app().await;
        let waiting = host.plan("?wait=1m");
        let running = held(&house, &host, &mut app).await;
        house.approve("host", &waiting["number"].to_string());
        let path = format!("/runs/{}/apply", waiting["number"]);
        let confirm = json!({ "confirm": digits(&waiting["digest"]) });
        assert_eq!(host.send("POST", &path, "", &confirm).status, 202);

        let kill = json!({ "is_on": true, "reason": "wrong totals", "expires_in": "1h" });
        let thrown = host.send("PUT", "/switches/kill/everything", "", &kill);
        assert_eq!((thrown.status, &thrown.body["taken_back"]), (200, &json!([waiting["number"]])), "{thrown:?}");
        let store = house.store().await;
        let run = store.run(number(&waiting)).await.unwrap();
        assert_eq!((run.state, run.asked), (State::Approved, None));
        let outcome = run.outcome.unwrap();
        assert_eq!(outcome.code, Code::Halted);
        assert!(outcome.message.ends_with("threw the kill switch: wrong totals"), "{}", outcome.message);
        assert_eq!(host.send("POST", &path, "", &confirm).code(), "ERR_HALTED");
        let listed = host.get("/switches").body;
        assert_eq!(listed["switches"][0]["reason"], "wrong totals", "{listed}");

        app.run("COMMIT").await;
        until("what was begun has ended", async || store.run(running).await.unwrap().asked.is_none()).await;
        let off = json!({ "is_on": false, "reason": "they are right" });
        assert_eq!(host.send("PUT", "/switches/kill/everything", "", &off).status, 200);
        assert_eq!(host.send("POST", &path, "", &confirm).status, 202, "it may be asked for again");
    }
}
