//! P12 on the command line: a dry run is recorded to a file, and played again without database and control
//! store; and the jobs' own recordings, with what they come to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mendwright_core::plan::Digest;
use mendwright_core::port::Severity;
use mendwright_sandbox::recording::{RECORDING_BYTES_MAX, Recorded};
use mendwright_sandbox::{Capability, Sandbox};
use mendwright_tests::{guests, workspace_root};
use serde_json::{Value as Json, json};

use crate::shop::{TENANT, shop};
use crate::story::break_books;
use crate::world::{ENGINES, Engine, World};

/// Runs a command: all that it wrote, and how it ended.
fn cli(world: &World, typed: &[&str]) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
    command.arg(world.directory().join("mendwright.toml")).arg("cli").args(typed);
    command.env("TARGET_URL", "postgres://nobody@127.0.0.1:1/none").env_remove("MENDWRIGHT_CONFIG");
    if typed.contains(&"plan") {
        command.env("TARGET_URL", world.url());
    }
    let output = command.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (said, output.status.code().unwrap())
}

/// Everything of a world but its configuration and its jobs, gone.
fn without_databases(world: &World) {
    for entry in std::fs::read_dir(world.directory()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("target.db") || name.starts_with("control.db") {
            if path.is_dir() { std::fs::remove_dir_all(&path).unwrap() } else { std::fs::remove_file(&path).unwrap() }
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_dry_run_is_recorded_and_plays_again_without_any_database() {
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        break_books(&world, engine).await;
        world.install("reconcile_invoices").install("patch_rows");
        drop(world.config());
        let file = world.directory().join("run.jsonl");
        let plan = ["run", "plan", "reconcile_invoices", "--tenant", "Germany", "--record", text(&file)];
        let (said, exit) = cli(&world, &plan);
        assert_eq!(exit, 0, "{engine:?} {said}");
        assert!(said.contains("in clear"), "{engine:?} {said}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{engine:?}");
        let first = std::fs::read(&file).unwrap();
        let (said, exit) = cli(&world, &plan);
        assert!(exit == 1 && said.contains("ERR_RECORDING_EXISTS"), "{engine:?} {said}");
        assert_eq!(std::fs::read(&file).unwrap(), first, "{engine:?}");
        let (said, exit) = cli(&world, &[plan.as_slice(), &["--force"]].concat());
        assert_eq!(exit, 0, "{engine:?} {said}");
        assert_ne!(std::fs::read(&file).unwrap(), first, "{engine:?}: another run");

        without_databases(&world);
        for typed in
            [vec!["job", "replay", text(&file)], vec!["job", "replay", text(&file), "--job", "reconcile_invoices"]]
        {
            let (said, exit) = cli(&world, &typed);
            assert_eq!(exit, 0, "{engine:?} {said}");
            assert!(said.contains("The same, to the last bit."), "{engine:?} {said}");
        }
        let (said, exit) = cli(&world, &["job", "replay", text(&file), "--json"]);
        let told: Json = serde_json::from_str(&said).unwrap();
        assert_eq!((exit, &told["same"], &told["diverged"]), (0, &json!(true), &Json::Null), "{engine:?}");
        // Another component is told from it, row by row.
        let other = ["job", "replay", text(&file), "--job", "patch_rows", "--json"];
        let (said, exit) = cli(&world, &other);
        let told: Json = serde_json::from_str(&said).unwrap();
        assert_eq!((exit, &told["same"]), (6, &json!(false)), "{engine:?} {said}");
        assert!(told["changes"].as_array().unwrap().len() > 3, "{engine:?} {said}");
        // It was only looked at.
        assert!(!world.directory().join("control.db").exists() && !world.directory().join("target.db").exists());
    }
}

#[tokio::test]
async fn a_run_that_failed_is_recorded_and_fails_again_and_a_replay_masks_what_a_plan_masks() {
    let world = shop(Engine::Sqlite).await;
    let params = |name: &str, params: Json| {
        let path = world.directory().join(format!("{name}.json"));
        std::fs::write(&path, params.to_string()).unwrap();
        path
    };
    drop(world.config());
    let record = |params: &Path, file: &Path| {
        let plan = ["run", "plan", "hostile", "--tenant", TENANT, "--params", text(params), "--record", text(file)];
        cli(&world, &plan)
    };
    let whisper = params(
        "fails",
        json!({ "attack": "whisper", "table": "articles", "column": "secret",
        "value": "t:red herring", "then": "fail" }),
    );
    let gossip = params(
        "gossip",
        json!({ "attack": "gossip", "table": "articles", "column": "secret",
        "key": ["i:1"], "value": "t:swordfish" }),
    );
    for (params, ends) in [(&whisper, 1), (&gossip, 0)] {
        let file = params.with_extension("jsonl");
        let (said, exit) = record(params, &file);
        assert_eq!(exit, ends, "{said}");
        let kept = std::fs::read_to_string(&file).unwrap();
        assert!(kept.contains("red herring") && kept.contains(r#""sensitive":{"articles":["secret"]}"#));
        let (said, exit) = cli(&world, &["job", "replay", text(&file)]);
        assert_eq!(exit, 0, "{said}");
        // As somebody else's version would do it: other changes, and another text in them.
        let edited = kept.replacen("swordfish", "cuttlefish", 1).replacen("flood", "other", 2);
        let other = params.with_extension("other.jsonl");
        std::fs::write(&other, edited).unwrap();
        for json in [&[][..], &["--json"]] {
            let (said, exit) = cli(&world, &[&["job", "replay", text(&other)], json].concat());
            assert_eq!(exit, 6, "{said}");
            assert!(!["herring", "swordfish", "cuttlefish"].iter().any(|secret| said.contains(secret)), "{said}");
        }
    }
}

#[tokio::test]
async fn what_is_no_recording_is_refused_by_name() {
    let world = World::chinook(Engine::Sqlite).await;
    drop(world.config());
    let file = world.directory().join("no.jsonl");
    let check = |bytes: &[u8], code: &str| {
        std::fs::write(&file, bytes).unwrap();
        let (said, exit) = cli(&world, &["job", "replay", text(&file)]);
        assert!(exit == 1 && said.contains(code), "{code} {said}");
    };
    check(b"", "ERR_RECORDING_INVALID");
    check(b"{}\n", "ERR_RECORDING_INVALID");
    check(b"{\"format\":\"mendwright-dry-run/2\"}\n{}\n", "ERR_RECORDING_INVALID");
    check(&vec![b' '; RECORDING_BYTES_MAX + 1], "ERR_RECORDING_TOO_LARGE");
    let (said, exit) = cli(&world, &["job", "replay", text(&world.directory().join("gone.jsonl"))]);
    assert!(exit == 1 && said.contains("ERR_IO"), "{said}");
}

/// Every recording that lies beside a job.
fn goldens() -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for job in ["patch_rows", "reconcile_invoices"] {
        let plans = workspace_root().join("jobs").join(job).join("tests/plans");
        for entry in std::fs::read_dir(plans).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                found.push((job.to_owned(), path));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_jobs_recordings_come_to_what_they_came_to() {
    let config = mendwright_sandbox::Config { pooling: false, ..Default::default() };
    let sandbox = Sandbox::new(config).unwrap();
    let goldens = goldens();
    assert_eq!(goldens.len(), 2);
    for (job, path) in goldens {
        let file = BufReader::new(std::fs::File::open(&path).unwrap());
        let recorded = Recorded::read(file).unwrap();
        let told = format!("{job} {}: `make recordings` records anew", path.file_name().unwrap().to_string_lossy());
        let component = guests::component(&job);
        let loaded = sandbox.load(component, &BTreeSet::from(Capability::ALL)).await.unwrap();
        let none: BTreeMap<String, Severity> = BTreeMap::new();
        let replayed = sandbox.replay(&loaded, &recorded, &none).await;
        let (then, now) = (&recorded.run.outcome, &replayed.outcome);
        assert_eq!((&now.ended, &now.changes, &now.findings), (&then.ended, &then.changes, &then.findings), "{told}");
        if Digest::of(component).hex() == recorded.header.component {
            assert_eq!((then, replayed.diverged), (now, None), "{told}");
        }
        let mut plan = json!({ "ended": now.ended, "changes": now.changes, "findings": now.findings });
        // The order of the keys is no part of what is reviewed.
        plan.sort_all_objects();
        insta::with_settings!({ snapshot_path => path.parent().unwrap(), prepend_module_to_snapshot => false }, {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            insta::assert_snapshot!(name, serde_json::to_string_pretty(&plan).unwrap());
        });
    }
}
