//! P9 where the disk is full: a child process that may write no file beyond a size applies a plan; whatever
//! it meets has a name, and the target is exactly before or exactly after.

use std::path::Path;
use std::process::Command;

use mendwright::config::Config;
use mendwright::config::env::Env;
use mendwright::engine::Host;
use mendwright_core::run::State;
use mendwright_store::RunNumber;
use serde_json::json;

use crate::bad_input::ready;
use crate::world::{ENGINES, Engine, Short as _, World};

/// Where the child of the next test finds its world; nobody else sets it.
const CHILD: &str = "MENDWRIGHT_TEST_FULL_DISK";

/// Runs only as the child of the next test, in a process that may write no file beyond a size.
#[tokio::test]
async fn child_that_applies_on_a_full_disk() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let directory = Path::new(&directory);
    let url = std::fs::read_to_string(directory.join("url")).unwrap();
    let digest = std::fs::read_to_string(directory.join("digest")).unwrap();
    let config = Config::load(&directory.join("mendwright.toml")).unwrap_or_else(|error| panic!("{error}"));
    let problem = match Host::open(config, Env::of([("TARGET_URL", url.as_str())])).await {
        Err(problem) => Some(problem),
        Ok(host) => match host.apply(RunNumber::new(1), &digest, "person:alice").await {
            Err(problem) => Some(problem),
            Ok(applied) => applied.problem,
        },
    };
    println!("CHILD {}", problem.map_or("applied".to_owned(), |problem| format!("{problem:?}")));
}

async fn all_of_germany(world: &World) -> Vec<String> {
    let sql = match world.engine {
        Engine::Sqlite => {
            r#"SELECT group_concat('i:' || "InvoiceId") FROM "Invoice" WHERE "BillingCountry" = 'Germany'"#
        }
        Engine::Postgres => "SELECT string_agg('i:' || invoice_id, ',') FROM invoice WHERE billing_country = 'Germany'",
    };
    world.value(sql).await.split(',').map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn on_a_full_disk_a_plan_is_applied_wholly_or_not_at_all_and_can_go_on_later() {
    let program = std::env::current_exe().unwrap();
    for engine in ENGINES {
        let mut met = 0;
        // Blocks of half a KiB: from nothing, past what SQLite's shared memory takes, to where the target's own
        // log no longer fits. PostgreSQL writes elsewhere, so that only the control store is short.
        let sizes: &[u32] = if engine == Engine::Sqlite { &[0, 72, 88, 104, 120, 136, 160] } else { &[72, 88] };
        for blocks in sizes {
            let world = ready(engine).await;
            let host = world.host().await;
            let rows: Vec<_> = all_of_germany(&world).await.iter().map(|id| json!([[id], "d:9.90"])).collect();
            let run = host.attack("Germany", json!({"attack": "none", "rows": rows})).await.unwrap();
            let digest = run.plan_digest.unwrap().hex();
            drop(host);
            std::fs::write(world.directory().join("url"), world.url()).unwrap();
            std::fs::write(world.directory().join("digest"), &digest).unwrap();
            let before = world.dump().await;
            // A write past the limit fails as on a full disk, once the signal is ignored.
            let child = Command::new("sh")
                .args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &blocks.to_string()])
                .arg(&program)
                .args(["--exact", "full_disk::child_that_applies_on_a_full_disk", "--nocapture"])
                .env(CHILD, world.directory())
                .output()
                .unwrap();
            let out = String::from_utf8_lossy(&child.stdout).into_owned();
            let told = out.lines().find_map(|line| line.split_once("CHILD ").map(|(_, told)| told.to_owned()));
            let told =
                told.unwrap_or_else(|| panic!("{engine:?} {blocks}: {out} {}", String::from_utf8_lossy(&child.stderr)));
            assert!(child.status.success(), "{engine:?} {blocks}: {told}");
            if told != "applied" {
                met += 1;
                assert!(!told.contains("detail: [], next: []"), "{engine:?} {blocks}: no hint in {told}");
                let known = ["StoreUnavailable", "TargetUnavailable", "Io", "TargetFailed", "KeyFile"];
                assert!(
                    known.iter().any(|code| told.contains(&format!("code: {code},"))),
                    "{engine:?} {blocks}: {told}"
                );
            }
            // The disk has room again: whatever was left half done is finished or taken back.
            let host = world.host().await;
            let now = host.store().run(run.number).await.unwrap();
            let unchanged = before.difference(&world.dump().await).is_empty();
            match now.state {
                State::Planned | State::Approved => {
                    assert!(unchanged, "{engine:?} {blocks}: {told}");
                    assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded, "{engine:?} {blocks}");
                }
                State::Refused | State::Failed => assert!(unchanged, "{engine:?} {blocks}: {told}"),
                State::Succeeded => assert!(!unchanged, "{engine:?} {blocks}: {told}"),
                other => panic!("{engine:?} {blocks}: the run is {other}: {told}"),
            }
        }
        assert!(met >= 2, "{engine:?}: the disk was full {met} times only");
    }
}
