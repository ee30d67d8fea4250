use mendwright_core::code::Code;

use super::*;
use crate::testing::{NOW, opened, planned};

fn new(tenants: &[&str]) -> NewRollout {
    let waves: Waves = "1,100%".parse().unwrap();
    let tenants: Vec<String> = tenants.iter().map(|tenant| (*tenant).to_owned()).collect();
    NewRollout {
        job: "reconcile_invoices".into(),
        params: serde_json::json!({"rounding": "half-even"}),
        seats: waves.seat(&tenants),
        waves,
        stop_if: "rollbacks > 2%".parse().unwrap(),
        started_by: "person:alice".into(),
    }
}

fn step<'a>(from: &'a RolloutRecord, event: Event, because: &'a str) -> RolloutStep<'a> {
    RolloutStep { from, event, by: "person:bob", because, seen: None, now_us: NOW + 1 }
}

#[tokio::test]
async fn a_rollout_comes_back_as_it_was_begun_and_moves_once() {
    let (_dir, store) = opened().await;
    let begun = store.begin_rollout(new(&["Germany", "France"]), NOW).await.unwrap();
    assert_eq!((begun.number.get(), begun.state, begun.wave), (1, State::Running, 0));
    assert_eq!(store.rollouts(9).await.unwrap(), std::slice::from_ref(&begun));
    let waves: Vec<usize> = store.rollout_tenants(begun.number).await.unwrap().iter().map(|seat| seat.wave).collect();
    assert_eq!(waves, [0, 1]);
    let moved = store.step_rollout(step(&begun, Event::WaveEnded, "")).await.unwrap();
    assert_eq!((moved.state, moved.wave, moved.updated_at_us), (State::Running, 1, NOW + 1));
    // Whoever knows it as it was before changes nothing.
    let late = store.step_rollout(step(&begun, Event::WaveEnded, "")).await.unwrap_err();
    assert_eq!(late.code(), Code::RolloutState, "{late}");
    let paused = store.step_rollout(step(&moved, Event::PersonPaused, "lunch")).await.unwrap();
    let twice = store.step_rollout(step(&paused, Event::PersonPaused, "")).await.unwrap_err();
    assert_eq!(twice.code(), Code::RolloutState, "{twice}");
    let seen = Tally { ended: 4, rollbacks: 1, failures: 2, refusals: 1 };
    let resumed = RolloutStep { seen: Some(seen), ..step(&paused, Event::PersonResumed, "seen") };
    assert_eq!(store.step_rollout(resumed).await.unwrap().seen, seen);
    let events = store.rollout_events(begun.number).await.unwrap();
    let events: Vec<_> = events.iter().map(|one| (one.seq, one.event.as_str(), one.because.as_str())).collect();
    assert_eq!(events, [(1, "WaveEnded", ""), (2, "PersonPaused", "lunch"), (3, "PersonResumed", "seen")]);
    let unknown = store.rollout(RolloutNumber::new(7)).await.unwrap_err();
    assert_eq!(unknown.code(), Code::RolloutUnknown);
}

#[tokio::test]
async fn one_host_drives_at_a_time_and_only_what_runs() {
    let (_dir, store) = opened().await;
    let begun = store.begin_rollout(new(&["Germany"]), NOW).await.unwrap();
    let taken = store.claim_rollouts(9).await.unwrap();
    assert_eq!(taken.len(), 1);
    assert!(store.claim_rollouts(9).await.unwrap().is_empty(), "somebody drives it");
    store.release_rollout(taken[0].1).await.unwrap();
    let again = store.claim_rollouts(9).await.unwrap();
    assert_eq!(again[0].1.attempt, taken[0].1.attempt + 1);
    store.release_rollout(taken[0].1).await.unwrap();
    assert!(store.claim_rollouts(9).await.unwrap().is_empty(), "a former driver lets nothing go");
    store.release_rollout(again[0].1).await.unwrap();
    store.step_rollout(step(&begun, Event::PersonPaused, "")).await.unwrap();
    assert!(store.claim_rollouts(9).await.unwrap().is_empty(), "it is paused");
}

#[tokio::test]
async fn a_tenant_has_one_run_for_ever() {
    let (_dir, store) = opened().await;
    let (one, two) = (planned(&store, "Germany", 1).await, planned(&store, "Germany", 1).await);
    let rollout = store.begin_rollout(new(&["Germany"]), NOW).await.unwrap().number;
    store.seat_run(rollout, 0, one).await.unwrap();
    store.seat_run(rollout, 0, two).await.unwrap();
    store.seat_asked(rollout, 0, NOW + 5).await.unwrap();
    let seat = store.rollout_tenants(rollout).await.unwrap().remove(0);
    assert_eq!((seat.run, seat.asked_at_us), (Some(one), Some(NOW + 5)));
    let runs: Vec<_> = store.rollout_runs(rollout).await.unwrap().iter().map(|run| run.number).collect();
    assert_eq!(runs, [one]);
}
