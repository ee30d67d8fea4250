//! What a guest gets for its calls, and how its call ends.

use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::port::Severity;
use mendwright_core::value::Value;

use super::{attack, call, code, hostile, log, summary};
use crate::testing::MemoryTables;
use crate::{Answer, Compensation, Ended, Export, LogSource, Planned};

fn total(tables: &MemoryTables, id: i64) -> String {
    tables.tables["invoices"].rows[&Key(vec![Value::Integer(id)])]["total"].to_string()
}

#[tokio::test]
async fn a_job_reads_and_changes_through_the_tables_it_was_given() {
    let finished = attack(r#"{"rows": [[["i:1"], "d:9.90"], [["i:3"], "d:12.5"]]}"#, &[]).await;
    assert_eq!(finished.result, summary(""));
    assert_eq!(["9.9", "10", "12.5"], [1, 2, 3].map(|id| total(&finished.tables, id)).each_ref().map(String::as_str));
    assert_eq!(finished.tables.rows_changed, 2);
    assert!(finished.measured.fuel > 0 && finished.measured.memory_peak > 0);
    // `params`, `update` and `log`.
    assert_eq!(finished.measured.host_calls, 3);
}

#[tokio::test]
async fn each_export_is_called_with_what_it_takes() {
    let (sandbox, job) = hostile().await;
    let rows = vec![Planned { table: "invoices".to_owned(), key: Key(vec![Value::Integer(1)]) }; 3];
    let mut verify = call("{}", &[], MemoryTables::invoices(3));
    verify.export = Export::Verify(rows.clone());
    assert_eq!(sandbox.call(&job, verify).await.result, summary("3 rows looked at"));
    for (params, expect) in [
        (r#"{"compensation": "restore"}"#, Compensation::Restore),
        (r#"{"compensation": "proposed"}"#, Compensation::Proposed),
    ] {
        let mut rollback = call(params, &[], MemoryTables::invoices(3));
        rollback.export = Export::Rollback(rows.clone());
        assert_eq!(sandbox.call(&job, rollback).await.result, Ok(Answer::Compensation(expect)));
    }
    let params = r#"{"attack": "more-at-apply", "rows": [[["i:1"], "d:1"], [["i:2"], "d:2"]]}"#;
    for (export, n_rows) in [(Export::DryRun, 1), (Export::Apply, 2)] {
        let mut changes = call(params, &[], MemoryTables::invoices(3));
        changes.export = export;
        assert_eq!(sandbox.call(&job, changes).await.tables.rows_changed, n_rows);
    }
}

#[tokio::test]
async fn catching_a_refusal_and_going_on_does_not_make_the_run_succeed() {
    let finished = attack(r#"{"attack": "shrug"}"#, &[]).await;
    let Err(Ended::Refused(refusal)) = &finished.result else { panic!("{:?}", finished.result) };
    assert_eq!(refusal.code, Code::TableDenied);
    // The job went on, and got the same refusal again: nothing was changed.
    assert!(log(&finished)[1].starts_with("update: denied ERR_TABLE_DENIED"), "{:?}", log(&finished));
    assert_eq!(finished.tables, MemoryTables::invoices(3));
}

#[tokio::test]
async fn a_mistake_can_be_caught_and_the_run_goes_on() {
    let finished = attack(r#"{"attack": "update-foreign", "key": ["i:99"]}"#, &[]).await;
    assert_eq!(finished.result, summary(""));
    assert_eq!(log(&finished), ["update: not-found ERR_ROW_UNKNOWN no such row"]);
}

#[tokio::test]
async fn a_panic_is_a_trap_whose_message_is_short_and_harmless() {
    let finished = attack(r#"{"attack": "panic"}"#, &[]).await;
    let Err(Ended::Trap { message }) = &finished.result else { panic!("{:?}", finished.result) };
    assert_eq!(code(&finished), Some(Code::JobTrapped));
    assert!(message.contains("a hostile panic \\u{1b}[2J"), "{message}");
    assert!(message.chars().count() <= 300 && !message.contains('\u{1b}') && !message.contains('\u{202e}'));
    assert!(finished.log.iter().any(|line| line.source == LogSource::Stderr));
}

#[tokio::test]
async fn a_failure_is_the_jobs_own_and_neither_a_trap_nor_a_refusal() {
    let finished = attack(r#"{"attack": "failure"}"#, &[]).await;
    let expect = Ended::Failure { code: "HOSTILE".to_owned(), message: "it does not want to".to_owned() };
    assert_eq!(finished.result, Err(expect));
    assert_eq!(code(&finished), Some(Code::JobFailed));
}

#[tokio::test]
async fn leaving_through_wasi_is_no_success() {
    let finished = attack(r#"{"attack": "exit"}"#, &[]).await;
    let Err(Ended::Trap { message }) = &finished.result else { panic!("{:?}", finished.result) };
    assert_eq!(message, "the component exited with status 0 instead of returning");
}

#[tokio::test]
async fn a_finding_must_be_listed_and_cannot_be_played_down() {
    let finished = attack(r#"{"attack": "unknown-finding"}"#, &[]).await;
    assert_eq!(finished.result, summary(""));
    assert!(log(&finished)[0].contains("ERR_FINDING_UNKNOWN"), "{:?}", log(&finished));
    assert_eq!(finished.findings.len(), 1);
    assert_eq!(finished.findings[0].severity, Severity::Error);
}

#[tokio::test]
async fn lists_longer_than_the_contract_says_are_refused() {
    let finished = attack(r#"{"attack": "giant-lists"}"#, &[]).await;
    assert_eq!(finished.result, summary(""));
    for line in log(&finished) {
        assert!(line.contains("invalid ERR_CALL_INVALID") && line.contains("1000"), "{line}");
    }
    assert_eq!(finished.log.len(), 2);
}

#[tokio::test]
async fn what_is_no_decimal_in_plain_digits_is_refused_before_any_adapter_sees_it() {
    let finished = attack(r#"{"attack": "decimals"}"#, &[]).await;
    assert_eq!(finished.log.len(), 13);
    for line in log(&finished) {
        assert!(line.contains("invalid ERR_VALUE_KIND"), "{line}");
    }
    assert_eq!(finished.tables, MemoryTables::invoices(3));
}

#[tokio::test]
async fn a_decimal_in_another_form_than_its_numbers_own_is_refused_by_name() {
    let finished = attack(r#"{"attack": "decimal-forms"}"#, &[]).await;
    let lines = log(&finished);
    assert_eq!(lines.len(), 20);
    for line in &lines {
        assert!(line.contains("invalid ERR_VALUE_KIND"), "{line}");
    }
    let says = |at: usize, why: &str| assert!(lines[at].contains(why), "{}", lines[at]);
    says(0, "coefficient 990 and scale 2 has another form: the coefficient must not end in zero");
    says(3, "the scale is at most 18");
    says(8, "the decimal `9.90` has another form: coefficient 99 and scale 1");
    says(16, "has zeros that its number does not need");
    assert_eq!(finished.tables, MemoryTables::invoices(3));
}

#[tokio::test]
async fn a_decimal_column_takes_no_float_whatever_it_is() {
    let finished = attack(r#"{"attack": "floats"}"#, &[]).await;
    assert_eq!(finished.log.len(), 6);
    assert!(log(&finished).iter().all(|line| line.contains("ERR_VALUE_KIND")));
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    let finished = attack(r#"{"attack": "names"}"#, &[]).await;
    assert_eq!(code(&finished), Some(Code::TableDenied));
    assert_eq!(finished.tables, MemoryTables::invoices(3));
}

#[tokio::test]
async fn a_scan_goes_on_while_others_are_dropped() {
    let finished = attack(r#"{"attack": "cursor-order"}"#, &[]).await;
    assert_eq!(log(&finished).last(), Some(&"3 rows"));
}

#[tokio::test]
async fn a_long_summary_is_cut() {
    let finished = attack(r#"{"attack": "giant-summary", "n": 5000}"#, &[]).await;
    let Ok(Answer::Summary(text)) = finished.result else { panic!("{:?}", finished.result) };
    assert_eq!(text.chars().count(), 2_001);
    assert!(text.ends_with("x…"));
}

#[tokio::test]
async fn calls_can_be_spawned() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (sandbox, job) = hostile().await;
    let finished =
        tokio::spawn(is_send(
            async move { sandbox.call(&job, call("{}", &[], MemoryTables::invoices(3))).await.result },
        ));
    assert_eq!(finished.await.unwrap(), summary(""));
}

#[tokio::test]
async fn a_deeply_nested_document_is_only_text_here() {
    let finished = attack(r#"{"attack": "deep-json"}"#, &[]).await;
    assert!(log(&finished)[0].contains("ERR_VALUE_KIND"), "{:?}", log(&finished));
}
