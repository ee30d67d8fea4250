//! P13, *work is metered*: every budget is attacked through the whole engine, its refusal has its own
//! name, and the target is what it was.

use std::time::{Duration, Instant};

use mendwright_core::budget::Metric;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use serde_json::{Value as Json, json};

use crate::hostile::{GRANT, REQUEST, attack, chinook};
use crate::world::{ENGINES, Short as _};

/// An attack that is not stopped by its budget would take for ever; one that is takes no time.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "an attack has a deadline")]
fn now() -> Instant {
    Instant::now()
}

/// What is set in `[budget]`, the attack, and the name of its refusal.
fn attacks() -> Vec<(&'static str, Json, Code)> {
    vec![
        ("fuel = 50_000_000", json!({"attack": "loop"}), Code::BudgetFuel),
        ("fuel = 50_000_000", json!({"attack": "progress-flood", "n": 100_000_000}), Code::BudgetFuel),
        ("fuel = 9_000_000_000_000\nwall_time = \"300ms\"", json!({"attack": "loop"}), Code::BudgetWallTime),
        ("memory = \"8MiB\"", json!({"attack": "memory-bomb"}), Code::BudgetMemory),
        ("", json!({"attack": "recursion"}), Code::BudgetStack),
        ("host_calls = 1_000", json!({"attack": "host-call-loop"}), Code::BudgetHostCalls),
        ("log = \"10KiB\"", json!({"attack": "log-flood", "n": 20_000}), Code::BudgetLog),
        ("log = \"10KiB\"", json!({"attack": "stdout-flood", "n": 5_000}), Code::BudgetLog),
        ("findings = 100", json!({"attack": "finding-flood", "code": "flood"}), Code::BudgetFindings),
        ("findings = 100", json!({"attack": "check-flood"}), Code::BudgetFindings),
        ("", json!({"attack": "cursors"}), Code::BudgetCursors),
        ("cursors = 1_000_000", json!({"attack": "handles"}), Code::BudgetCursors),
        ("rows_read = 2_000", json!({"attack": "empty-scans"}), Code::BudgetRowsRead),
        ("rows_read = 2_000", json!({"attack": "giant-batch", "n": 5_000}), Code::BudgetRowsRead),
        ("database_time = \"20ms\"", json!({"attack": "empty-scans"}), Code::BudgetDatabaseTime),
        (
            "rows_changed = 1",
            json!({"attack": "none", "rows": [[["i:1"], "d:9.90"], [["i:6"], "d:9.90"]]}),
            Code::BudgetRowsChanged,
        ),
        (
            "bytes_changed = \"1KiB\"",
            json!({"attack": "giant-cell", "column": "address", "n": 5_000}),
            Code::BudgetBytesChanged,
        ),
        (
            "host_memory = \"50KiB\"",
            json!({"attack": "giant-cell", "column": "address", "n": 100_000}),
            Code::BudgetHostMemory,
        ),
        ("host_memory = \"50KiB\"", json!({"attack": "finding-flood", "code": "flood"}), Code::BudgetHostMemory),
        ("share_changed = 0.01", json!({"attack": "none", "value": "d:9.90"}), Code::BudgetShareChanged),
        ("", json!({"attack": "giant-cell", "column": "address"}), Code::BudgetHostcallBytes),
        ("log = \"1GiB\"", json!({"attack": "giant-log"}), Code::BudgetHostcallBytes),
        ("", json!({"attack": "giant-log", "n": 1_000_000}), Code::BudgetLog),
        ("", json!({"attack": "deep-frames"}), Code::JobTrapped),
        ("", json!({"attack": "exit"}), Code::JobTrapped),
        ("", json!({"attack": "panic"}), Code::JobTrapped),
        ("", json!({"attack": "failure"}), Code::JobFailed),
    ]
}

#[tokio::test]
async fn every_budget_is_refused_by_its_name_and_nothing_is_changed() {
    for engine in ENGINES {
        let world = chinook(engine, GRANT).await;
        world.install_hostile(REQUEST);
        let host = world.host().await;
        let before = world.dump_everything().await;
        // What the first call compiles is no part of what an attack takes.
        assert_eq!(attack(&host, "Germany", json!({"attack": "random"})).await.state(), State::NothingToDo);
        for (budget, params, code) in attacks() {
            world.install_hostile(&format!("{REQUEST}[budget]\n{budget}\n"));
            let started = now();
            let seen = attack(&host, "Germany", params.clone()).await;
            assert!(started.elapsed() < ENDS_WITHIN, "{engine:?} {params} took {:?}", started.elapsed());
            assert_eq!(seen.code(), Some(code), "{engine:?} {params} {seen:?}");
            let ended = if matches!(code, Code::JobTrapped | Code::JobFailed) { State::Failed } else { State::Refused };
            assert_eq!(seen.state(), ended, "{engine:?} {params}");
            assert!(host.changes(seen.run.number).await.is_empty(), "{engine:?} {params}");
            let logged: usize = seen.log.iter().map(String::len).sum();
            assert!(logged <= 256 * 1024, "{engine:?} {params}: {logged} bytes of log");
            assert!(!seen.message().contains(['\u{1b}', '\u{202e}']), "{engine:?} {params}");
        }
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn what_is_too_long_but_harmless_is_refused_to_the_job_or_cut() {
    for engine in ENGINES {
        let mut world = chinook(engine, GRANT).await;
        // The log is what the test reads, and a run that uses a sensitive column shows none.
        world.bindings = world.bindings.replace(", sensitive = true", "");
        world.install_hostile(REQUEST);
        let host = world.host().await;
        let before = world.dump_everything().await;
        for (params, word) in [
            (json!({"attack": "giant-reason", "n": 100_000}), "ERR_CALL_INVALID"),
            (json!({"attack": "giant-lists"}), "ERR_CALL_INVALID"),
            (json!({"attack": "giant-batch", "n": 2_000}), "ERR_ROW_UNKNOWN"),
            (json!({"attack": "deep-json", "column": "address"}), "ERR_VALUE_KIND"),
            (json!({"attack": "unknown-finding", "code": "flood"}), "ERR_FINDING_UNKNOWN"),
        ] {
            let seen = attack(&host, "Germany", params.clone()).await;
            assert_eq!(seen.state(), State::NothingToDo, "{engine:?} {params} {seen:?}");
            assert!(seen.log.iter().any(|line| line.contains(word)), "{engine:?} {params} {:?}", seen.log);
        }
        let seen = attack(&host, "Germany", json!({"attack": "giant-summary", "n": 1_000_000})).await;
        let plan = host.store().load_plan(seen.run.number).await.unwrap();
        assert!(plan.document.summary.chars().count() <= 2_001, "{engine:?}");
        before.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_budget_that_is_spent_at_apply_changes_nothing() {
    for engine in ENGINES {
        let world = chinook(engine, GRANT).await;
        world.install_hostile(&format!("{REQUEST}[budget]\nrows_changed = 1\n"));
        let host = world.host().await;
        let rows = json!([[["i:1"], "d:9.90"], [["i:6"], "d:9.90"]]);
        let run = host.attack("Germany", json!({"attack": "more-at-apply", "rows": rows})).await.unwrap();
        let before = world.dump().await;
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!(applied.problem.map(|problem| problem.code), Some(Code::BudgetRowsChanged), "{engine:?}");
        assert_eq!(applied.run.state, State::Refused, "{engine:?}");
        before.assert_unchanged(&world.dump().await);
    }
}

#[tokio::test]
async fn the_strictest_of_manifest_grant_and_configuration_counts() {
    let world_of = |engine| chinook(engine, "");
    for engine in ENGINES {
        let mut world = world_of(engine).await;
        let bindings = world.bindings.clone();
        let rows = json!([[["i:1"], "d:9.90"], [["i:6"], "d:9.90"]]);
        for (manifest, limits, grant) in [(1, 50, 60), (50, 1, 60), (60, 50, 1), (1, 1, 1), (2, 50, 60)] {
            world.install_hostile(&format!("{REQUEST}[budget]\nrows_changed = {manifest}\n"));
            world.bindings =
                format!("{bindings}{GRANT}limits = {{ rows_changed = {grant} }}\n[limits]\nrows_changed = {limits}\n");
            let host = world.host().await;
            let seen = attack(&host, "Germany", json!({"attack": "none", "rows": rows})).await;
            let strictest = manifest.min(limits).min(grant);
            if strictest < 2 {
                assert_eq!(seen.code(), Some(Code::BudgetRowsChanged), "{engine:?} {manifest} {limits} {grant}");
                assert!(seen.message().contains("`rows_changed` is 1 rows"), "{engine:?} {}", seen.message());
            } else {
                assert!(matches!(seen.state(), State::Planned | State::Approved), "{engine:?} {seen:?}");
                let plan = host.store().load_plan(seen.run.number).await.unwrap();
                assert_eq!(plan.header.budget.limit(Metric::RowsChanged), 2, "the plan binds what was in force");
            }
        }
    }
}

#[tokio::test]
async fn a_share_of_the_tenants_rows_is_held_by_each_of_the_three() {
    for engine in ENGINES {
        let mut world = chinook(engine, "").await;
        let bindings = world.bindings.clone();
        // 28 of Germany's invoices: one is 3.58 %.
        for (manifest, limits, grant) in
            [("0.03", "1", "1"), ("1", "0.03", "1"), ("1", "1", "0.03"), ("1", "0.04", "1")]
        {
            world.install_hostile(&format!("{REQUEST}[budget]\nshare_changed = {manifest}\n"));
            world.bindings = format!(
                "{bindings}{GRANT}limits = {{ share_changed = {grant} }}\n[limits]\nshare_changed = {limits}\n"
            );
            let host = world.host().await;
            let seen = attack(&host, "Germany", json!({"attack": "none", "value": "d:9.90"})).await;
            if limits == "0.04" {
                assert!(matches!(seen.state(), State::Planned | State::Approved), "{engine:?} {seen:?}");
            } else {
                assert_eq!(seen.code(), Some(Code::BudgetShareChanged), "{engine:?} {seen:?}");
                assert!(seen.message().contains("3.58 %"), "{}", seen.message());
            }
        }
    }
}

#[tokio::test]
async fn what_a_run_took_stands_in_its_plan() {
    for engine in ENGINES {
        let world = chinook(engine, GRANT).await;
        world.install_hostile(REQUEST);
        let host = world.host().await;
        let run = host.attack("Germany", json!({"attack": "none", "value": "d:9.90"})).await.unwrap();
        let document = host.store().load_plan(run.number).await.unwrap().document;
        let measured = |metric: Metric| -> u64 {
            let text = document.measured.get(metric.word());
            text.unwrap_or_else(|| panic!("{engine:?} no {}", metric.word())).parse().unwrap()
        };
        for metric in Metric::ALL.into_iter().filter(|metric| *metric != Metric::Cursors) {
            let used = measured(metric);
            match metric {
                Metric::Log | Metric::WallTime | Metric::DatabaseTime | Metric::Findings => {}
                Metric::RowsChanged => assert_eq!(used, 1, "{engine:?}"),
                Metric::Fuel
                | Metric::Memory
                | Metric::HostMemory
                | Metric::RowsRead
                | Metric::BytesChanged
                | Metric::HostCalls
                | Metric::Cursors => assert!(used > 0, "{engine:?} {}", metric.word()),
            }
        }
        // Beside the digest, never in it: the next plan's digest differs by time and seed alone.
        assert_eq!(document.header.digest(), document.digest);
    }
}
