//! One job for many tenants, by a real host: from the canary to all, stopped by itself, killed on the way, undone.
//! `points`: killed at every moment that is a rollout's own.

pub(super) mod points;

use mendwright_core::run::State;
use serde_json::{Value, json};

use super::house::{House, Serving, digits, runs, until};
use crate::shop::shop;
use crate::story::break_books;
use crate::world::{ENGINES, Engine, World};

async fn chinook(control: Engine) -> House {
    let world = World::chinook(Engine::Sqlite).await;
    break_books(&world, Engine::Sqlite).await;
    world.install("reconcile_invoices");
    world.host().await;
    House { more: "[tenants]\ndiscover = \"invoices\"\n", ..House::new(world, control).await }
}

fn begin(host: &Serving, body: &Value) -> Value {
    let answer = host.send("POST", "/rollouts", "", body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body
}

fn shown(host: &Serving) -> Value {
    host.get("/rollouts/1").body
}

/// The tenants with a run, in the order of turns, with where it stands.
fn turns(rollout: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let seats = rollout["tenants"].as_array().unwrap().iter().filter(|seat| !seat["run"].is_null());
    seats.map(|seat| (text(&seat["tenant"]), text(&seat["state"]))).collect()
}

fn awaiting(rollout: &Value) -> usize {
    turns(rollout).iter().filter(|turn| turn.1 == "awaiting_approval").count()
}

fn kinds(rollout: &Value) -> Vec<&str> {
    rollout["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_rollout_goes_from_the_canary_to_all_survives_its_host_and_is_undone() {
    for control in ENGINES {
        let house = chinook(control).await;
        let broken = house.world.dump().await;
        let host = house.serve("host").await;
        let begun = begin(&host, &json!({ "job": "reconcile_invoices", "waves": "1,100%" }));
        let waves: Vec<_> = begun["tenants"].as_array().unwrap().iter().map(|seat| seat["wave"].as_u64()).collect();
        assert_eq!(waves, [Some(1), Some(2), Some(2)], "{begun}");
        let canary = begun["tenants"][0]["tenant"].as_str().unwrap().to_owned();
        assert_eq!(canary, "Germany", "the lowest part of the three");
        until("the canary waits for people", async || awaiting(&shown(&host)) == 1).await;
        let found = shown(&host);
        assert_eq!(turns(&found), [(canary, "awaiting_approval".to_owned())], "nobody else has their turn");
        assert_eq!(found["tenants"][0]["waits_for"], "people to approve it");
        broken.assert_unchanged(&house.world.dump().await);
        // Level 3 waits however long; the host dies meanwhile, and the next one goes on.
        host.signal("KILL");
        drop(host);
        let host = house.serve("host").await;
        assert_eq!(shown(&host)["state"], "running");
        house.approve("host", "1");
        until("the second wave waits for people", async || {
            let turns = turns(&shown(&host));
            turns.len() == 3 && turns.last().is_some_and(|turn| turn.1 == "awaiting_approval")
        })
        .await;
        let last = shown(&host)["tenants"][2]["run"].as_u64().unwrap();
        house.approve("host", &last.to_string());
        until("it is done", async || shown(&host)["state"] == "done").await;
        let found = shown(&host);
        let states: Vec<_> = turns(&found).into_iter().map(|turn| turn.1).collect();
        assert_eq!(states, ["succeeded", "nothing_to_do", "succeeded"], "{found}");
        assert_eq!(kinds(&found), ["WaveEnded", "LastWaveEnded"]);
        let store = house.store().await;
        let all = runs(&store).await;
        assert_eq!(all.len(), 3, "each tenant's run was begun once");
        let mut applies = 0;
        for run in &all {
            applies += store.events(run.number).await.unwrap().iter().filter(|e| e.to == State::Applying).count();
        }
        assert_eq!(applies, 2, "and applied once");
        let preview = house.cli("host", &["rollout", "undo", "1", "--preview", "--json"]);
        let preview: Value = serde_json::from_slice(&preview.stdout).unwrap();
        let order: Vec<_> = preview["runs"].as_array().unwrap().iter().map(|run| run["number"].as_u64()).collect();
        let mut newest = all.iter().filter(|run| run.state == State::Succeeded).collect::<Vec<_>>();
        newest.sort_by_key(|run| std::cmp::Reverse(run.applied_at_us));
        assert_eq!(order, newest.iter().map(|run| Some(run.number.get())).collect::<Vec<_>>());
        let wrong = house.cli("host", &["rollout", "undo", "1", "--confirm", "0123456789abcdef"]);
        assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
        let undone = house.cli("host", &["rollout", "undo", "1", "--confirm", &digits(&preview["digest"])]);
        assert_eq!(undone.status.code(), Some(0), "{undone:?}");
        broken.assert_unchanged(&house.world.dump().await);
        assert_eq!(shown(&host)["state"], "undone");
    }
}

#[tokio::test]
async fn a_rule_bites_before_the_next_wave_and_a_person_lets_it_go_on() {
    let house = House {
        more: "[tenants]\ndiscover = \"articles\"\n",
        ..House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await
    };
    let host = house.serve("host").await;
    let body = json!({ "job": "hostile", "params": { "attack": "failure", "table": "articles", "column": "price" }, "waves": "1,100%", "stop_if": "failures > 0%" });
    begin(&host, &body);
    until("it stops by itself", async || shown(&host)["state"] == "paused").await;
    let found = shown(&host);
    assert_eq!((found["because"].as_str(), turns(&found).len()), (Some("failures > 0%"), 1), "{found}");
    assert_eq!(found["tenants"][0]["code"], "ERR_JOB_FAILED");
    let watched = house.cli("host", &["rollout", "watch", "1"]);
    assert_eq!(watched.status.code(), Some(1), "{watched:?}");
    let resumed = house.cli("host", &["rollout", "resume", "1", "--reason", "that one is known"]);
    assert_eq!(resumed.status.code(), Some(0), "{resumed:?}");
    until("it stops again", async || shown(&host)["state"] == "paused").await;
    let found = shown(&host);
    assert_eq!(kinds(&found), ["RuleBit", "PersonResumed", "WaveEnded", "RuleBit"], "{found}");
    assert_eq!(turns(&found).len(), 2);
    for (verb, code) in [("pause", 1), ("cancel", 0), ("resume", 1)] {
        let said = house.cli("host", &["rollout", verb, "1", "--reason", "enough"]);
        assert_eq!(said.status.code(), Some(code), "{verb}: {said:?}");
    }
    assert_eq!(shown(&host)["state"], "cancelled");
    for (body, code) in [
        (json!({ "job": "hostile", "waves": "5" }), "ERR_REQUEST_INVALID"),
        (json!({ "job": "hostile", "waves": "100%", "stop_if": "luck > 1" }), "ERR_REQUEST_INVALID"),
        (json!({ "job": "nothing", "waves": "100%" }), "ERR_GRANT_MISSING"),
    ] {
        assert_eq!(host.send("POST", "/rollouts", "", &body).code(), code, "{body}");
    }
    assert_eq!(host.get("/rollouts/7").code(), "ERR_ROLLOUT_UNKNOWN");
    assert_eq!(host.send("POST", "/rollouts/1/resume", "", &json!({ "reason": "x" })).code(), "ERR_ROLLOUT_STATE");
}
