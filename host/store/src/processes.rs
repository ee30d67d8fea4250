//! Tests with real processes: this test binary starts itself, races against itself and kills itself.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mendwright_core::run::{Event, State};

use crate::testing::{NOW, open, opened, path, planned};
use crate::{Error, RunNumber, Store};

/// Tells a started copy of this binary which part to play; absent in an ordinary test run.
const PART: &str = "MENDWRIGHT_STORE_TEST_PART";
const STORE: &str = "MENDWRIGHT_STORE_TEST_PATH";

const RUNS: u64 = 30;
const READY: &str = "ready";
const WON: &str = "won ";

fn start(part: &str, store: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::a_started_copy_plays_its_part", "--nocapture"])
        .env(PART, part)
        .env(STORE, store)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn wait_until_ready(child: &mut Child) -> BufReader<std::process::ChildStdout> {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(READY) {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "the child ended before it was ready");
    }
    out
}

#[tokio::test]
async fn a_started_copy_plays_its_part() {
    #[expect(clippy::disallowed_methods, reason = "the one way to tell a copy of a test binary what to do")]
    let (Ok(part), Ok(path)) = (std::env::var(PART), std::env::var(STORE)) else { return };
    let path = PathBuf::from(path);
    let store = open(&path).await;
    match part.as_str() {
        "race" => race(&store).await,
        "die" => wait_for_death(&store).await,
        other => panic!("no part `{other}`"),
    }
}

/// Starts to apply every run, as the other copies do.
async fn race(store: &Store) {
    println!("\n{READY}");
    let go = path(store).with_file_name("go");
    for _ in 0..1_000 {
        if go.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for run in (1..=RUNS).map(RunNumber::new) {
        match store.transition(run, State::Planned, Event::ApplyStarted, NOW, "").await {
            Ok(_) => println!("{WON}{}", run.get()),
            Err(Error::Overtaken { found: State::Applying, .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Holds a run's lease and an open transaction until it is killed.
async fn wait_for_death(store: &Store) {
    let run = RunNumber::new(1);
    let _lease = store.claim(run).await.unwrap();
    store.transition(run, State::Planned, Event::ApplyStarted, NOW, "").await.unwrap();
    let mut writer = store.writer().await.unwrap();
    let mut tx = writer.begin().await.unwrap();
    crate::db::query("UPDATE runs SET state = 'succeeded'").execute(tx.conn()).await.unwrap();
    println!("\n{READY}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    panic!("nobody killed this process");
}

#[tokio::test]
async fn of_several_processes_that_start_to_apply_at_once_exactly_one_wins_each_run() {
    let (dir, store) = opened().await;
    for _ in 0..RUNS {
        planned(&store, "Germany", 1).await;
    }
    let mut copies: Vec<_> = (0..3).map(|_| start("race", path(&store))).collect();
    let outs: Vec<_> = copies.iter_mut().map(wait_until_ready).collect();
    std::fs::write(dir.path().join("go"), "").unwrap();
    let mut won = Vec::new();
    for (mut out, mut copy) in outs.into_iter().zip(copies) {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        assert!(copy.wait().unwrap().success(), "{text}");
        won.extend(text.lines().filter_map(|line| line.strip_prefix(WON)).map(|n| n.parse::<u64>().unwrap()));
    }
    won.sort_unstable();
    assert_eq!(won, (1..=RUNS).collect::<Vec<_>>());
    for run in won.into_iter().map(RunNumber::new) {
        assert_eq!(store.events(run).await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_killed_process_leaves_what_it_committed_and_frees_its_run() {
    let (_dir, store) = opened().await;
    let run = planned(&store, "Germany", 1).await;
    let mut copy = start("die", path(&store));
    let _out = wait_until_ready(&mut copy);
    assert!(store.in_flight().await.unwrap().is_empty(), "its process is alive");
    copy.kill().unwrap();
    copy.wait().unwrap();
    let left = store.in_flight().await.unwrap();
    assert_eq!(left.iter().map(|left| (left.number, left.state)).collect::<Vec<_>>(), [(run, State::Applying)]);
    let lease = store.claim(run).await.unwrap();
    assert_eq!(lease.attempt, left[0].attempt + 1);
    store.transition(run, State::Applying, Event::ApplyAbandoned, NOW, "recovered").await.unwrap();
}
