//! The command line prints the same whether a host runs or not.

use std::process::Output;

use serde_json::Value;

use super::house::{House, digits};
use crate::shop::{mixed, shop};
use crate::world::Engine;

/// Words that differ from one world to another: whatever has a digit in it.
fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut out = String::new();
    // How long it took.
    let measured = |line: &&str| line.trim_start().starts_with("cost") || line.contains("_time\"");
    for line in text.lines().filter(|line| !measured(line)) {
        let words = line.split_whitespace().map(|word| {
            let differs = word.contains(|c: char| c.is_ascii_digit()) && word.len() > 5 || word.starts_with(['•', '/']);
            let is_time = word.ends_with("ms") || ["ms", "s"].contains(&word);
            if differs || is_time { "…" } else { word }
        });
        let mut words: Vec<&str> = words.collect();
        // `4 ms`, `0.1 s`.
        words.retain(|word| !word.chars().all(|c| c.is_ascii_digit() || c == '.') || word.len() == 1);
        out.push_str(&words.join(" "));
        out.push('\n');
    }
    out
}

#[track_caller]
fn same(one: &Output, two: &Output, typed: &[&str], exactly: bool) {
    assert_eq!(one.status, two.status, "{typed:?}: {one:?} {two:?}");
    if exactly {
        assert_eq!(String::from_utf8_lossy(&one.stdout), String::from_utf8_lossy(&two.stdout), "{typed:?}");
        assert_eq!(String::from_utf8_lossy(&one.stderr), String::from_utf8_lossy(&two.stderr), "{typed:?}");
    } else {
        let words = |output: &Output| (plain(&output.stdout), plain(&output.stderr));
        let (one, two) = (words(one), words(two));
        let differ = one.0.lines().zip(two.0.lines()).find(|(a, b)| a != b);
        assert_eq!((differ, &one.1), (None, &two.1), "{typed:?}");
        assert_eq!(one.0.lines().count(), two.0.lines().count(), "{typed:?}");
    }
}

fn digest(output: &Output) -> String {
    let body: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    digits(&body["digest"])
}

/// What only looks, at a store with one planned run.
const LOOKS: &[&[&str]] = &[
    &["run", "list"],
    &["run", "list", "--json", "--tenant", "acme", "--state", "awaiting_approval"],
    &["run", "show", "1"],
    &["run", "show", "1", "--full"],
    &["run", "show", "1", "--json"],
    &["run", "show", "1", "--format", "ndjson"],
    &["run", "show", "1", "--sql"],
    &["run", "show", "1", "--only", "articles/1"],
    &["run", "show", "7"],
    &["run", "logs", "1"],
    &["run", "logs", "1", "--json"],
    &["run", "watch", "1"],
    &["run", "watch", "1", "--json"],
    &["switch", "list"],
    &["--json", "switch", "list"],
    &["tenant", "list"],
    &["--json", "tenant", "list"],
    &["lock", "list"],
    &["--json", "lock", "list"],
    &["rollout", "list"],
    &["--json", "rollout", "list"],
    &["rollout", "show", "7"],
    &["schedule", "list"],
    &["--json", "schedule", "list"],
    &["undo", "--since", "1h", "--preview"],
];

#[tokio::test]
async fn every_command_prints_the_same_with_and_without_a_host() {
    let house = async || House {
        more: "[tenants]\ndiscover = \"articles\"\n",
        ..House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await
    };
    let (with, without) = (house().await, house().await);
    let host = with.serve("host").await;
    let act = |typed: &[&str]| {
        let outputs = (with.cli("host", typed), without.cli("host", typed));
        same(&outputs.0, &outputs.1, typed, false);
        outputs
    };
    // The same bytes, of the same store.
    let look = |typed: &[&str]| {
        let direct: Vec<&str> = ["--no-host"].iter().chain(typed).copied().collect();
        same(&with.cli("host", typed), &with.cli("host", &direct), typed, true);
    };
    for house in [&with, &without] {
        std::fs::write(house.world.directory().join("mixed.json"), mixed().to_string()).unwrap();
    }
    let params = |house: &House| house.world.directory().join("mixed.json").display().to_string();
    let plan = |house: &House, json: &[&str]| {
        let params = params(house);
        let typed = ["plan", "hostile", "-t", "acme", "--params", &params];
        house.cli("host", &[&typed[..], json].concat())
    };
    let planned = (plan(&with, &[]), plan(&without, &[]));
    same(&planned.0, &planned.1, &["plan"], false);
    let shown = act(&["run", "show", "1", "--json"]);
    LOOKS.iter().for_each(|typed| look(typed));
    act(&["apply", "1", "--confirm", "0123456789abcdef"]);
    [&with, &without].into_iter().for_each(|house| house.approve("host", "1"));
    let confirmed = |house: &House, digest: &str| house.cli("host", &["apply", "1", "--confirm", digest]);
    let applied = (confirmed(&with, &digest(&shown.0)), confirmed(&without, &digest(&shown.1)));
    same(&applied.0, &applied.1, &["apply"], false);
    assert_eq!(applied.0.status.code(), Some(0), "{applied:?}");
    look(&["run", "show", "1"]);
    look(&["undo", "1", "--preview"]);
    look(&["undo", "1", "--preview", "--json"]);
    look(&["undo", "--since", "1h", "--preview"]);
    look(&["--json", "undo", "--since", "1h", "--preview"]);
    let preview = act(&["--json", "undo", "1", "--preview"]);
    let undo = |house: &House, digest: &str| house.cli("host", &["undo", "1", "--json", "--confirm", digest]);
    let undone = (undo(&with, &digest(&preview.0)), undo(&without, &digest(&preview.1)));
    assert_eq!((undone.0.status.code(), undone.1.status.code()), (Some(0), Some(0)), "{undone:?}");
    act(&["run", "plan", "--again", "1"]);
    act(&["plan", "nothing", "-t", "acme"]);
    act(&["plan", "hostile", "-t", "acme", "--param", "attack=failure"]);
    act(&["plan", "hostile", "-t", "acme", "--param", "attack=panic", "--json"]);
    act(&["plan", "hostile", "-t", "*", "--param", "attack=failure"]);
    act(&["plan", "hostile", "-t", "*", "--param", "attack=failure", "--only", "1"]);
    act(&["run", "cancel", "2", "--reason", "not today"]);
    act(&["run", "cancel", "2", "--reason", "not today"]);
    act(&["switch", "on", "safe-mode", "--tenant", "acme", "--reason", "migration", "--expires", "4h"]);
    act(&["switch", "on", "kill", "--tenant", "acme", "--reason", "x"]);
    act(&["stop", "--reason", "enough"]);
    look(&["switch", "list"]);
    act(&["switch", "off", "kill", "--reason", "again"]);
    // What is not the API's works beside the host.
    for house in [&with, &without] {
        assert!(house.cli("host", &["job", "list"]).status.success());
        let healthy = house.cli("host", &["doctor", "--json"]);
        assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    }
    let status: Value = serde_json::from_slice(&with.cli("host", &["--json", "status"]).stdout).unwrap();
    assert_eq!(status["host"]["pid"], host.child.id());
    let status: Value = serde_json::from_slice(&without.cli("host", &["--json", "status"]).stdout).unwrap();
    assert_eq!(status["host"], Value::Null);
}
