//! Each budget ends the run with its own name.

use std::future::pending;
use std::time::Duration;

use mendwright_core::budget::Metric;
use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::port::{ColumnInfo, CursorId, Future, Query, Refusal, Row, RowChange, RowRemoval, Tables};

use super::{attack, call, code, hostile, summary};
use crate::testing::MemoryTables;
use crate::{Answer, Ended};

async fn check(params: &str, limits: &[(Metric, u64)], expect: Code) {
    let finished = attack(params, limits).await;
    assert_eq!(code(&finished), Some(expect), "{params}: {:?}", finished.result);
    assert!(matches!(finished.result, Err(Ended::Refused(_))), "{params}");
    assert_eq!(finished.tables.tables, MemoryTables::invoices(3).tables, "{params}");
}

#[tokio::test]
async fn an_endless_loop_runs_out_of_fuel() {
    check(r#"{"attack": "loop"}"#, &[(Metric::Fuel, 10_000_000)], Code::BudgetFuel).await;
}

#[tokio::test]
async fn an_endless_loop_with_endless_fuel_runs_out_of_time() {
    let limits = [(Metric::Fuel, u64::MAX / 2), (Metric::WallTime, 150)];
    check(r#"{"attack": "loop"}"#, &limits, Code::BudgetWallTime).await;
}

#[tokio::test]
async fn endless_recursion_runs_out_of_stack() {
    check(r#"{"attack": "recursion"}"#, &[], Code::BudgetStack).await;
}

#[tokio::test]
async fn recursion_that_fills_the_components_own_stack_is_a_trap_that_says_so() {
    let finished = attack(r#"{"attack": "deep-frames"}"#, &[]).await;
    let Err(Ended::Trap { message }) = &finished.result else { panic!("{:?}", finished.result) };
    assert!(message.contains("out of bounds memory access") && message.contains("nested too deeply"), "{message}");
}

#[tokio::test]
async fn a_memory_bomb_is_stopped_at_its_budget() {
    let finished = attack(r#"{"attack": "memory-bomb"}"#, &[]).await;
    assert_eq!(code(&finished), Some(Code::BudgetMemory));
    let limit = Metric::Memory.default_limit();
    assert!(finished.measured.memory_peak <= limit && finished.measured.memory_peak > limit / 2);
}

#[tokio::test]
async fn a_component_that_needs_more_memory_to_start_than_it_may_have_is_refused_by_name() {
    check("{}", &[(Metric::Memory, 64 * 1024)], Code::BudgetMemory).await;
}

#[tokio::test]
async fn a_flood_of_the_log_is_stopped_whichever_way_it_comes() {
    for attack in ["log-flood", "stdout-flood"] {
        check(&format!(r#"{{"attack": "{attack}"}}"#), &[], Code::BudgetLog).await;
    }
}

#[tokio::test]
async fn a_log_is_bounded_even_while_the_guest_ignores_the_refusal() {
    let finished = attack(r#"{"attack": "log-flood"}"#, &[(Metric::Log, 1_000)]).await;
    let bytes: usize = finished.log.iter().map(|line| line.message.len()).sum();
    assert!(bytes <= 1_000 && bytes > 900, "{bytes}");
}

#[tokio::test]
async fn findings_and_checks_share_a_budget_that_is_named() {
    for attack in ["finding-flood", "check-flood"] {
        check(&format!(r#"{{"attack": "{attack}"}}"#), &[], Code::BudgetFindings).await;
    }
}

#[tokio::test]
async fn findings_are_counted_on_the_hosts_memory_too() {
    check(r#"{"attack": "finding-flood"}"#, &[(Metric::HostMemory, 10_000)], Code::BudgetHostMemory).await;
    check(r#"{"attack": "log-flood"}"#, &[(Metric::HostMemory, 10_000)], Code::BudgetHostMemory).await;
}

#[tokio::test]
async fn the_seventeenth_open_scan_is_refused() {
    check(r#"{"attack": "cursors"}"#, &[], Code::BudgetCursors).await;
}

#[tokio::test]
async fn handles_of_wasi_are_bounded_as_scans_are() {
    check(r#"{"attack": "handles"}"#, &[], Code::BudgetCursors).await;
}

#[tokio::test]
async fn a_hundred_thousand_scans_that_match_nothing_are_counted_as_calls() {
    check(r#"{"attack": "empty-scans"}"#, &[(Metric::HostCalls, 1_000)], Code::BudgetHostCalls).await;
}

#[tokio::test]
async fn a_guest_that_never_stops_calling_is_stopped() {
    let finished = attack(r#"{"attack": "host-call-loop"}"#, &[(Metric::HostCalls, 1_000)]).await;
    assert_eq!(code(&finished), Some(Code::BudgetHostCalls));
    assert_eq!(finished.measured.host_calls, 1_000 + crate::host::GRACE_CALLS + 1);
    check(r#"{"attack": "progress-flood"}"#, &[(Metric::HostCalls, 1_000)], Code::BudgetHostCalls).await;
}

#[tokio::test]
async fn calls_cost_fuel() {
    check(r#"{"attack": "progress-flood"}"#, &[(Metric::Fuel, 10_000_000)], Code::BudgetFuel).await;
}

#[tokio::test]
async fn one_call_carries_a_bounded_number_of_bytes() {
    for attack in ["giant-log", "giant-reason", "giant-cell", "giant-batch", "giant-summary"] {
        check(&format!(r#"{{"attack": "{attack}"}}"#), &[(Metric::Memory, 256 << 20)], Code::BudgetHostcallBytes).await;
    }
}

#[tokio::test]
async fn a_thousand_changes_fit_into_one_call() {
    let (sandbox, job) = hostile().await;
    let params = r#"{"attack": "giant-batch", "n": 1000}"#;
    let finished = sandbox.call(&job, call(params, &[], MemoryTables::invoices(1_000))).await;
    assert_eq!(finished.result, summary(""));
    assert_eq!(finished.tables.rows_changed, 1_000);
}

#[tokio::test]
async fn sleeping_takes_no_time() {
    let finished = attack(r#"{"attack": "sleep"}"#, &[]).await;
    assert_eq!(finished.result, Ok(Answer::Summary("slept".to_owned())));
    assert!(finished.measured.wall < Duration::from_secs(10));
}

/// A database that never answers.
struct Stuck;

impl Tables for Stuck {
    fn describe<'a>(&'a mut self, _table: &'a str) -> Future<'a, Result<Vec<ColumnInfo>, Refusal>> {
        Box::pin(pending())
    }

    fn get<'a>(
        &'a mut self,
        _table: &'a str,
        _keys: Vec<Key>,
        _columns: Vec<String>,
    ) -> Future<'a, Result<Vec<Option<Row>>, Refusal>> {
        Box::pin(pending())
    }

    fn scan(&mut self, _query: Query) -> Future<'_, Result<CursorId, Refusal>> {
        Box::pin(pending())
    }

    fn next_page(&mut self, _cursor: CursorId) -> Future<'_, Result<Vec<Row>, Refusal>> {
        Box::pin(pending())
    }

    fn close(&mut self, _cursor: CursorId) {}

    fn insert<'a>(&'a mut self, _table: &'a str, _rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(pending())
    }

    fn update<'a>(&'a mut self, _table: &'a str, _rows: Vec<RowChange>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(pending())
    }

    fn delete<'a>(&'a mut self, _table: &'a str, _rows: Vec<RowRemoval>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn a_guest_that_waits_for_the_host_runs_out_of_time_and_the_tables_come_back() {
    let (sandbox, job) = hostile().await;
    let Stuck = {
        let finished = sandbox.call(&job, call("{}", &[(Metric::WallTime, 100)], Stuck)).await;
        assert_eq!(code(&finished), Some(Code::BudgetWallTime));
        finished.tables
    };
}
