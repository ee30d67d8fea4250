//! The same inputs give the same run, bit for bit, and a recording gives it again offline.

use std::io::BufReader;
use std::sync::{Arc, Mutex};

use mendwright_core::budget::Metric;
use mendwright_core::code::Code;

use super::{attack, call, code, hostile, identity, log, summary};
use crate::Finished;
use crate::recording::{FORMAT, Header, ReadError, Recorder, Replayer};
use crate::testing::{MemoryTables, guest};

/// Everything of a call but its wall time.
fn story<T>(finished: &Finished<T>) -> String {
    let measured = finished.measured;
    format!(
        "{:?} {:?} {:?} {:?} fuel {} memory {} calls {}",
        finished.result,
        finished.log,
        finished.findings,
        finished.checks,
        measured.fuel,
        measured.memory_peak,
        measured.host_calls
    )
}

const ATTACKS: [&str; 11] = [
    "none",
    "clock",
    "random",
    "look-around",
    "names",
    "floats",
    "decimals",
    "decimal-forms",
    "cursor-order",
    "panic",
    "sleep",
];

#[tokio::test]
async fn two_executions_are_the_same_to_the_last_unit_of_fuel() {
    for name in ATTACKS {
        let params = format!(r#"{{"attack": "{name}"}}"#);
        let (first, second) = (attack(&params, &[]).await, attack(&params, &[]).await);
        assert_eq!(story(&first), story(&second), "{name}");
        assert_eq!(first.tables, second.tables, "{name}");
    }
}

/// The names of all attacks, from the guest's own list.
fn attacks() -> Vec<&'static str> {
    let source = include_str!("../../../../tests/guests/hostile/src/lib.rs");
    source
        .lines()
        .filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" => ").map(|(name, _)| name))
        .collect()
}

#[tokio::test]
async fn every_attack_ends_and_ends_the_same_way_twice() {
    let limits = [
        (Metric::Fuel, 100_000_000),
        (Metric::Memory, 128 << 20),
        (Metric::HostCalls, 5_000),
        (Metric::Log, 10_000),
        (Metric::Findings, 100),
    ];
    let names = attacks();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let params = format!(r#"{{"attack": "{name}"}}"#);
        let (first, second) = (attack(&params, &limits).await, attack(&params, &limits).await);
        assert_eq!(story(&first), story(&second), "{name}");
        assert_ne!(code(&first), Some(Code::Internal), "{name}");
        assert!(!story(&first).contains("ATTACK_UNKNOWN"), "{name}");
    }
}

#[tokio::test]
async fn waiting_for_the_processor_does_not_change_the_fuel() {
    // Long enough for the epoch to interrupt it many times.
    let params = r#"{"attack": "log-flood", "n": 20000}"#;
    let (sandbox, job) = hostile().await;
    let one = || sandbox.call(&job, call(params, &[(Metric::Log, 1 << 30)], MemoryTables::invoices(3)));
    let (first, second, third) = tokio::join!(one(), one(), one());
    assert_eq!(first.measured.fuel, second.measured.fuel);
    assert_eq!(second.measured.fuel, third.measured.fuel);
}

#[tokio::test]
async fn the_clock_stands_still_at_the_runs_time() {
    let finished = attack(r#"{"attack": "clock"}"#, &[]).await;
    let now = identity().now_us;
    assert_eq!(log(&finished), [format!("now {now} wall {now} then {now} elapsed 0ns")]);
}

#[tokio::test]
async fn randomness_comes_from_the_seed_and_from_nothing_else() {
    let (sandbox, job) = hostile().await;
    let mut other = call(r#"{"attack": "random"}"#, &[], MemoryTables::invoices(3));
    other.seed = 43;
    let (first, other) = (attack(r#"{"attack": "random"}"#, &[]).await, sandbox.call(&job, other).await);
    assert_eq!(first.log.len(), 2);
    for (a, b) in first.log.iter().zip(&other.log) {
        assert_ne!(a, b);
    }
    // Frozen: a plan is computed again from its seed, by later versions too.
    assert_eq!(log(&first)[0], RANDOM_OF_SEED_42);
}

const RANDOM_OF_SEED_42: &str = "run 1370637592031206269 15581680056903857641";

#[tokio::test]
async fn nothing_of_the_host_can_be_seen() {
    let finished = attack(r#"{"attack": "look-around"}"#, &[]).await;
    assert_eq!(finished.result, summary(""));
    let lines = log(&finished);
    assert_eq!(&lines[..2], ["environment []", "arguments []"]);
    assert_eq!(lines.last(), Some(&"input 0 \"\""));
    assert_eq!(lines.len(), 18);
    assert!(lines[2..17].iter().all(|line| line.ends_with(" false")), "{lines:?}");
}

#[tokio::test]
async fn progress_is_told_in_order() {
    let (sandbox, job) = hostile().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut progress = call(r#"{"attack": "progress-flood", "n": 3}"#, &[], MemoryTables::invoices(3));
    let sink = Arc::clone(&seen);
    progress.progress = Some(Arc::new(move |done, total| sink.lock().unwrap().push((done, total))));
    sandbox.call(&job, progress).await;
    assert_eq!(*seen.lock().unwrap(), [(0, u64::MAX), (1, u64::MAX), (2, u64::MAX)]);
}

/// Runs an attack over a recorder and gives what happened and the recording.
async fn record(params: &str) -> (String, Vec<u8>) {
    let (sandbox, job) = hostile().await;
    let header = Header {
        format: FORMAT.to_owned(),
        component: job.sha256().to_owned(),
        identity: identity(),
        seed: 42,
        params: params.to_owned(),
    };
    let recorder = Recorder::new(MemoryTables::invoices(3), Vec::new(), &header).unwrap();
    let finished = sandbox.call(&job, call(params, &[], recorder)).await;
    let story = story(&finished);
    (story, finished.tables.finish().unwrap().1)
}

#[tokio::test]
async fn a_recorded_run_replays_bit_for_bit_without_its_tables() {
    let (sandbox, job) = hostile().await;
    for name in ATTACKS.into_iter().chain(["get-foreign", "scan-foreign", "shrug", "giant-lists", "insert-probe"]) {
        let (recorded, recording) = record(&format!(r#"{{"attack": "{name}"}}"#)).await;
        let (header, replayer) = Replayer::new(BufReader::new(recording.as_slice().to_vec().leak() as &[u8])).unwrap();
        assert_eq!(header.component, job.sha256());
        let finished = sandbox.call(&job, call(&header.params, &[], replayer)).await;
        assert_eq!(story(&finished), recorded, "{name}");
        assert_eq!(finished.tables.finish(), Ok(()), "{name}");
    }
}

#[tokio::test]
async fn a_replay_that_does_something_else_is_refused_at_the_first_difference() {
    let (sandbox, job) = hostile().await;
    let (_, recording) = record(r#"{"attack": "none", "value": "d:1"}"#).await;
    let recording: &'static [u8] = recording.leak();
    for params in [r#"{"attack": "none", "value": "d:2"}"#, r#"{"attack": "get-foreign"}"#] {
        let (_, replayer) = Replayer::new(BufReader::new(recording)).unwrap();
        let finished = sandbox.call(&job, call(params, &[], replayer)).await;
        assert_eq!(code(&finished), Some(Code::ReplayDiverged), "{params}");
    }
    // One that does less differs too.
    let (_, replayer) = Replayer::new(BufReader::new(recording)).unwrap();
    let finished = sandbox.call(&job, call(r#"{"attack": "sleep"}"#, &[], replayer)).await;
    assert_eq!(finished.tables.finish().unwrap_err().code, Code::ReplayDiverged);
}

#[tokio::test]
async fn the_format_of_recordings_is_frozen() {
    let (sandbox, _) = hostile().await;
    let component = sandbox.inspect(&guest("hostile")).await.unwrap().sha256;
    let mut text = String::new();
    for params in [
        r#"{"attack": "get-foreign"}"#,
        r#"{"attack": "cursor-order"}"#,
        r#"{"attack": "insert-probe", "key": ["i:9"], "cells": [["tenant", "n"]]}"#,
        r#"{"attack": "delete-foreign", "key": ["i:99"]}"#,
    ] {
        text += &String::from_utf8(record(params).await.1).unwrap().replace(&component, "COMPONENT");
    }
    assert_eq!(text, include_str!("recording.golden.jsonl"));
}

#[test]
fn what_is_no_recording_is_not_played() {
    for text in ["", "{}\n", "{\"format\": \"mendwright-recording/2\"}\n"] {
        assert!(matches!(Replayer::new(text.as_bytes()), Err(ReadError::Format)), "{text}");
    }
}
