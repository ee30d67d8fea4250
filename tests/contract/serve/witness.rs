//! A running host and a witness of its log.

use super::house::{House, until};
use crate::anchors::place::Mood;
use crate::anchors::{witnessed, world};
use crate::world::Engine;

/// Nobody answers at first: the host works on, and what was to go there goes when somebody is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_host_does_not_wait_for_a_witness_that_is_away() {
    let mut world = world().await;
    let witness = witnessed(&mut world).await;
    world.bindings = world.bindings.replace("\n[[audit.witness]]", "\n[audit]\nevery = \"1s\"\n[[audit.witness]]");
    witness.mood(Mood::Broken);
    let house = House::new(world, Engine::Sqlite).await;
    let host = house.serve("one").await;
    until("it was asked", async || !witness.taken().statuses.is_empty()).await;
    let run = host.plan("?wait=60s");
    assert!(run["digest"].is_string(), "{run}");
    until("it says so", async || {
        let audit = host.get("/status").body["audit"].clone();
        assert_eq!(audit["anchors"][0]["size"], 0, "{audit}");
        audit["anchors"][0]["problem"] == "ERR_ANCHOR_UNAVAILABLE" && audit["signed"].as_u64() > Some(0)
    })
    .await;
    let shown = house.cli("one", &["status"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("not anchored yet") && shown.contains("ERR_ANCHOR_UNAVAILABLE"), "{shown}");
    assert!(witness.taken().notes.is_empty());
    witness.mood(Mood::Well);
    let store = house.store().await;
    until("all is anchored", async || {
        let status = store.audit_status().await.unwrap();
        status.anchors.iter().any(|anchored| anchored.size == status.size && anchored.cosignature.is_some())
    })
    .await;
}
