//! Each rule of `patch_rows`, natively.

use mendwright_sdk::testing::{Outcome, Tables, tables};
use patch_rows::ThisJob;

fn customers() -> Tables {
    tables().with(
        "customers",
        "id* | name | credit:decimal(10,2) | blocked:boolean | photo:bytes | seen:timestamp
          1  | Ann  | 10.00 | false | 00ff | 2026-11-20
          2  | Ben  | NULL  | true  | NULL | NULL
          3  | Cyd  | 5     | false | NULL | NULL",
    )
}

fn patch(rest: &str) -> Outcome {
    customers().run::<ThisJob>(&format!(r#"{{"table": "customers", {rest}}}"#))
}

fn code(rest: &str) -> String {
    patch(rest).failure.map_or_else(|| "no failure".to_owned(), |failure| failure.code)
}

#[test]
fn rows_get_the_values_typed_for_their_columns() {
    let outcome = patch(
        r#""because": "ticket 7", "changes": [
            {"key": {"id": "1"}, "set": {"credit": "12.50", "photo": "CAFE", "seen": null}, "because": "ticket 8"},
            {"key": {"id": "2"}, "set": {"name": "Benno", "blocked": "false"}}]"#,
    );
    assert_eq!(outcome.failure, None);
    assert_eq!(
        outcome.updates,
        ["customers 1 credit=12.5 photo=cafe seen=NULL", "customers 2 name=Benno blocked=false"]
    );
    assert_eq!(outcome.reasons, ["customers 1: ticket 8", "customers 2: ticket 7"]);
    assert_eq!(outcome.summary, "2 of 2 rows change; 0 are left for a person.");
}

#[test]
fn a_row_that_has_its_values_is_no_change() {
    let changes = r#""changes": [{"key": {"id": "1"}, "set": {"name": "Ann", "credit": "10.0"}}]"#;
    let outcome = patch(changes);
    assert!(outcome.changes.is_empty());
    assert_eq!(outcome.summary, "1 row is as it shall be.");
    let outcome = patch(r#""changes": [{"key": {"id": "1"}, "set": {"name": "Anna", "credit": "10.0"}}]"#);
    assert_eq!(outcome.updates, ["customers 1 name=Anna"], "only what differs is written");
}

#[test]
fn a_patch_that_was_applied_has_nothing_left_to_do() {
    let params = r#"{"table": "customers",
        "changes": [{"key": {"id": "1"}, "set": {"credit": "11"}, "expect": {"credit": "10"}}],
        "insert": [{"key": {"id": "9"}, "set": {"name": "Eve", "credit": "0", "blocked": "false"}}]}"#;
    let outcome = customers().run::<ThisJob>(params);
    assert_eq!((outcome.updates.len(), outcome.inserts.len()), (1, 1));
    let again = outcome.tables.run::<ThisJob>(params);
    assert_eq!((again.changes.len(), again.findings.len()), (0, 0));
    assert_eq!(again.summary, "2 rows are as they shall be.");
}

#[test]
fn a_row_that_is_not_there_is_a_finding_and_the_others_go_on() {
    let outcome = patch(
        r#""changes": [{"key": {"id": "99"}, "set": {"name": "X"}}, {"key": {"id": "3"}, "set": {"name": "Y"}}],
           "delete": [{"key": {"id": "98"}}]"#,
    );
    assert_eq!(outcome.findings, ["row_not_found customers 99", "row_not_found customers 98"]);
    assert_eq!(outcome.updates, ["customers 3 name=Y"]);
}

#[test]
fn a_row_that_is_not_as_expected_is_a_finding_and_stays() {
    let outcome = patch(
        r#""changes": [
            {"key": {"id": "1"}, "set": {"credit": "0"}, "expect": {"name": "Bob"}},
            {"key": {"id": "2"}, "set": {"credit": "0"}, "expect": {"credit": null}}],
           "delete": [{"key": {"id": "3"}, "expect": {"blocked": "true"}}]"#,
    );
    assert_eq!(outcome.findings, ["unexpected_value customers 1", "unexpected_value customers 3"]);
    assert_eq!(outcome.reported[0].message, "`name` is Ann, not Bob; the row stays as it is");
    assert_eq!(outcome.updates, ["customers 2 credit=0"]);
    assert!(outcome.deletes.is_empty());
}

#[test]
fn rows_are_added_and_removed() {
    let outcome = patch(
        r#""insert": [{"key": {"id": "9"}, "set": {"name": "Eve", "credit": "1", "blocked": "true"}},
                      {"key": {"id": "1"}, "set": {"name": "Eve"}}],
           "delete": [{"key": {"id": "3"}, "because": "twice"}]"#,
    );
    assert_eq!(outcome.inserts, ["customers 9 name=Eve credit=1 blocked=true photo=NULL seen=NULL"]);
    assert_eq!(outcome.deletes, ["customers 3"]);
    assert_eq!(outcome.findings, ["row_exists customers 1"]);
    assert_eq!(outcome.reasons, ["customers 3: twice"]);
}

#[test]
fn a_mistake_fails_the_whole_patch_and_says_where() {
    let good = r#"{"key": {"id": "1"}, "set": {"name": "X"}}"#;
    let check = |bad: &str, expected: &str| {
        assert_eq!(code(&format!(r#""changes": [{good}, {bad}]"#)), expected, "{bad}");
    };
    check(r#"{"key": {"id": "2"}, "set": {"nam": "X"}}"#, "COLUMN_UNKNOWN");
    check(r#"{"key": {"id": "2"}, "set": {"id": "3"}}"#, "COLUMN_NOT_WRITABLE");
    check(r#"{"key": {"id": "2"}, "set": {"credit": "1,5"}}"#, "VALUE_UNREADABLE");
    check(r#"{"key": {"id": "two"}, "set": {"name": "X"}}"#, "VALUE_UNREADABLE");
    check(r#"{"key": {"id": null}, "set": {"name": "X"}}"#, "KEY_INCOMPLETE");
    check(r#"{"key": {}, "set": {"name": "X"}}"#, "KEY_INCOMPLETE");
    check(r#"{"key": {"id": "2", "name": "Ben"}, "set": {"name": "X"}}"#, "KEY_INCOMPLETE");
    check(r#"{"key": {"id": "01"}, "set": {"name": "Y"}}"#, "ROW_TWICE");
    check(r#"{"key": {"id": "2"}}"#, "NOTHING_TO_SET");
    check(r#"{"key": {"id": "2"}, "set": {"credit": 5}}"#, "PARAMS_INVALID");
    assert_eq!(code(r#""delete": [{"key": {"id": "1"}, "set": {"name": "X"}}]"#), "NOTHING_TO_SET");
    let failure = customers().run::<ThisJob>(r#"{"table": "orders"}"#).failure.unwrap();
    assert_eq!(failure.code, "TABLE_NOT_BOUND");
}

#[test]
fn a_key_of_several_columns_is_taken_in_its_order() {
    let stock = tables().with("stock", "shop* | sku* | n:integer\n b | 1 | 5\n a | 2 | 7");
    let params = r#"{"table": "stock", "changes": [{"key": {"sku": "1", "shop": "b"}, "set": {"n": "6"}}]}"#;
    assert_eq!(stock.run::<ThisJob>(params).updates, ["stock b/1 n=6"]);
}

#[test]
fn thousands_of_rows_are_patched_in_one_run() {
    let rows: String = (0..2_500).map(|n| format!("{n} | 0\n")).collect();
    let changes: Vec<String> =
        (0..2_500).map(|n| format!(r#"{{"key": {{"id": "{n}"}}, "set": {{"n": "1"}}}}"#)).collect();
    let params = format!(r#"{{"table": "t", "changes": [{}]}}"#, changes.join(","));
    let outcome = tables().with("t", &format!("id | n:integer\n{rows}")).run::<ThisJob>(&params);
    assert_eq!(outcome.failure, None);
    assert_eq!((outcome.updates.len(), outcome.progress), (2_500, Some((2_500, 2_500))));
}
