//! Each rule of `reconcile_invoices`, natively.

use mendwright_sdk::testing::{Outcome, Tables, tables};
use reconcile_invoices::ThisJob;

const INVOICES: &str = "id | total:decimal(10,2) USD";
const LINES: &str = "id | invoice_id | track | unit_price:decimal | quantity:decimal";

fn bound(invoices: &str, lines: &str) -> Tables {
    tables().with("invoices", invoices).with("invoice_lines", lines)
}

fn billing(invoices: &str, lines: &str) -> Outcome {
    let outcome = bound(&format!("{INVOICES}\n{invoices}"), &format!("{LINES}\n{lines}")).run::<ThisJob>("{}");
    assert_eq!(outcome.failure, None);
    outcome
}

/// The outcome must be stable: what was approved and applied leaves nothing to do.
fn settled(outcome: &Outcome) {
    let again = outcome.tables.run::<ThisJob>("{}");
    assert!(again.changes.is_empty(), "{:?}", again.changes);
}

#[test]
fn a_total_becomes_the_sum_of_its_lines_and_a_right_one_stays() {
    let outcome = billing("6 | 9.90\n 7 | 1.98", "1 | 7 | a | 0.99 | 1\n 2 | 6 | b | 0.99 | 1\n 3 | 7 | c | 0.99 | 1");
    assert_eq!(outcome.updates, ["invoices 6 total=0.99"]);
    assert_eq!(outcome.reasons, ["invoices 6: sum of 1 line"]);
    assert_eq!(outcome.summary, "1 of 2 invoices agree with their lines; 1 change, 0 are left for a person.");
    assert_eq!(outcome.tables.run::<ThisJob>("{}").summary, "2 invoices agree with their lines.");
    settled(&outcome);
}

#[test]
fn a_total_with_more_digits_than_its_column_keeps_says_so() {
    let outcome = billing("40 | 1.9799999999999998", "1 | 40 | a | 0.99 | 1\n 2 | 40 | b | 0.99 | 1");
    assert_eq!(outcome.reasons, ["invoices 40: sum of 2 lines; more than 2 digits after the point"]);
    settled(&outcome);
}

#[test]
fn a_total_of_null_is_filled_in() {
    let outcome = billing("6 | ∅", "1 | 6 | a | 0.99 | 2");
    assert_eq!(outcome.updates, ["invoices 6 total=1.98"]);
    assert_eq!(outcome.reasons, ["invoices 6: sum of 1 line; there was no total"]);
}

#[test]
fn an_invoice_without_lines_is_only_reported() {
    let outcome = billing("321 | 0.99", "");
    assert_eq!(outcome.findings, ["invoice_without_lines invoices 321"]);
    assert!(outcome.changes.is_empty());
    assert_eq!(outcome.summary, "0 of 1 invoices agree with their lines; 0 change, 1 are left for a person.");
}

#[test]
fn equal_lines_are_reported_and_the_invoice_stays() {
    let lines = "1063 | 196 | a | 0.99 | 1\n 900001 | 196 | a | 0.99 | 1\n 5 | 196 | a | 0.99 | 2\n 900002 | 196 | a | 0.99 | 1";
    let outcome = billing("196 | 1.00", lines);
    assert_eq!(outcome.findings, ["duplicate_line invoice_lines 900001", "duplicate_line invoice_lines 900002"]);
    assert_eq!(outcome.reported[0].message, "equals line 1063 of invoice 196; the invoice stays as it is");
    assert!(outcome.changes.is_empty());
    let distinct = billing("196 | 1.98", "1 | 196 | a | 0.99 | 1\n 2 | 196 | b | 0.99 | 1");
    assert!(distinct.findings.is_empty(), "another track is another line");
}

#[test]
fn negative_and_incomplete_lines_are_reported_and_the_invoice_stays() {
    let check = |line: &str, code: &str| {
        let outcome = billing("1 | 5.00", &format!("10 | 1 | a | 1.00 | 1\n 11 | 1 | b | {line}"));
        assert_eq!(outcome.findings, [format!("{code} invoice_lines 11")], "{line}");
        assert!(outcome.changes.is_empty(), "{line}");
    };
    check("-0.01 | 1", "negative_line");
    check("1.00 | -1", "negative_line");
    check("NULL | 1", "incomplete_line");
    check("1.00 | NULL", "incomplete_line");
    check("123456789012345678901234567890 | 1", "amount_out_of_range");
    check("99999999999999999999 | 99999999999999999999", "amount_out_of_range");
}

#[test]
fn discount_and_tax_count_where_they_are_bound() {
    let lines = "id | invoice_id | track | unit_price | quantity | discount | tax\n\
        1 | 6 | a | 10.00 | 2 | 1.50 | 3.515\n 2 | 6 | b | 1.00 | 1 | NULL | NULL";
    let outcome = bound("id | total:decimal(10,2) USD\n 6 | 0", lines).run::<ThisJob>("{}");
    assert_eq!(outcome.updates, ["invoices 6 total=23.02"], "20 - 1.5 + 3.515 + 1 = 23.015, half to even");
    let lines = "id | invoice_id | track | unit_price | quantity | discount\n 1 | 6 | a | 1.00 | 1 | 1.01";
    let outcome = bound("id | total:decimal(10,2) USD\n 6 | 0", lines).run::<ThisJob>("{}");
    assert_eq!(outcome.findings, ["negative_line invoice_lines 1"], "a discount larger than the line");
}

#[test]
fn the_sum_is_rounded_once_to_the_currencys_minor_unit() {
    let check = |header: &str, price: &str, params: &str, total: &str| {
        let lines = format!("{LINES}\n 1 | 6 | a | {price} | 1");
        let outcome = bound(&format!("id | total:{header}\n 6 | 0"), &lines).run::<ThisJob>(params);
        assert_eq!(outcome.updates, [format!("invoices 6 total={total}")], "{header} {price} {params}");
    };
    check("decimal(10,2) USD", "0.125", "{}", "0.12");
    check("decimal(10,2) USD", "0.125", r#"{"rounding": "half-up"}"#, "0.13");
    check("decimal(10,2) USD", "0.125", r#"{"rounding": "half-even"}"#, "0.12");
    check("decimal JPY", "100.5", "{}", "100");
    check("decimal KWD", "0.1235", "{}", "0.124");
    check("decimal(10,2) KWD", "0.1239", "{}", "0.12");
    check("decimal(12,4) USD", "0.1239", "{}", "0.12");
    check("decimal(12,4)", "0.12395", "{}", "0.124");
    check("decimal", "0.123456789", "{}", "0.123456789");
    let lines = format!("{LINES}\n 1 | 6 | a | 0.004 | 1\n 2 | 6 | b | 0.004 | 1");
    let outcome = bound("id | total:decimal(10,2) USD\n 6 | 0", &lines).run::<ThisJob>("{}");
    assert_eq!(outcome.updates, ["invoices 6 total=0.01"], "each line alone would be nothing");
}

#[test]
fn currencies_are_never_mixed() {
    let invoices = "id | total:decimal(10,3) | currency\n 1 | 0 | USD\n 2 | 0 | JPY\n 3 | 0 | NULL";
    let lines = "id | invoice_id | track | unit_price | quantity | currency\n\
        10 | 1 | a | 1.00 | 1 | USD\n 11 | 1 | b | 1.00 | 1 | EUR\n 12 | 2 | a | 100.5 | 1 | JPY\n\
        13 | 3 | a | 1.2345 | 1 | KWD\n 14 | 3 | b | 1 | 1 | NULL";
    let outcome = bound(invoices, lines).run::<ThisJob>("{}");
    assert_eq!(outcome.findings, ["mixed_currency invoice_lines 11"]);
    assert_eq!(outcome.reported[0].message, "EUR on an invoice in USD; the invoice stays as it is");
    assert_eq!(outcome.updates, ["invoices 2 total=100", "invoices 3 total=2.234"], "each in its own minor unit");
}

#[test]
fn bindings_in_two_currencies_are_a_failure_and_not_a_sum() {
    let lines = "id | invoice_id | track | unit_price:decimal EUR | quantity\n 1 | 6 | a | 1 | 1";
    let failure = bound("id | total:decimal USD\n 6 | 0", lines).run::<ThisJob>("{}").failure.unwrap();
    assert_eq!(failure.code, "CURRENCIES_DIFFER");
    let failure =
        bound("shop* | id* | total:decimal\n a | 6 | 0", &format!("{LINES}\n 1 | 6 | a | 1 | 1")).run::<ThisJob>("{}");
    assert_eq!(failure.failure.unwrap().code, "INVOICE_KEY");
}

#[test]
fn amounts_that_are_floats_are_a_failure() {
    let failure = bound("id | total:float\n 6 | 0.5", &format!("{LINES}\n 1 | 6 | a | 1 | 1")).run::<ThisJob>("{}");
    let failure = failure.failure.unwrap();
    assert_eq!(failure.message, "`invoices.total` is bound as float; it must be decimal");
}

#[test]
fn lines_without_an_invoice_are_reported_wherever_they_stand() {
    let lines = "1 | 5 | a | 1 | 1\n 2 | 6 | a | 1 | 1\n 3 | 7 | a | 1 | 1\n 4 | NULL | a | 1 | 1";
    let outcome = billing("6 | 1", lines);
    assert_eq!(
        outcome.findings,
        ["orphan_line invoice_lines 4", "orphan_line invoice_lines 1", "orphan_line invoice_lines 3"]
    );
    assert_eq!(outcome.reported[0].message, "it names no invoice");
    assert_eq!(outcome.reported[1].message, "there is no invoice 5");
}

fn with_payments(status: &str, payments: &str, params: &str) -> Outcome {
    let invoices = format!("id | total:decimal(10,2) USD | status\n 1 | 9.90 | {status}");
    let tables = bound(&invoices, &format!("{LINES}\n 1 | 1 | a | 9.90 | 1"));
    let payments = format!("id | invoice_id:integer | amount:decimal\n{payments}");
    tables.with("payments", &payments).run::<ThisJob>(params)
}

#[test]
fn the_status_follows_from_the_payments() {
    let check = |status: &str, payments: &str, wanted: &[&str], findings: &[&str]| {
        let outcome = with_payments(status, payments, "{}");
        assert_eq!(outcome.failure, None, "{status} {payments}");
        assert_eq!(outcome.updates, wanted, "{status} {payments}");
        assert_eq!(outcome.findings, findings, "{status} {payments}");
        settled(&outcome);
    };
    check("paid", "", &["invoices 1 status=open"], &[]);
    check("open", "1 | 1 | 4.90", &["invoices 1 status=partly_paid"], &[]);
    check("open", "1 | 1 | 4.90\n 2 | 1 | 5.00", &["invoices 1 status=paid"], &[]);
    check("paid", "1 | 1 | 19.80", &["invoices 1 status=overpaid"], &["overpaid invoices 1"]);
    check("overpaid", "1 | 1 | 19.80\n 2 | 1 | -9.90", &["invoices 1 status=paid"], &[]);
    check("paid", "1 | 1 | 9.9", &[], &[]);
    check("NULL", "1 | 1 | 9.9", &["invoices 1 status=paid"], &[]);
    check("void", "", &[], &[]);
    check("open", "1 | 1 | NULL", &[], &["incomplete_payment payments 1"]);
}

#[test]
fn the_words_of_the_status_are_the_operators() {
    let words = r#"{"status": {"open": "offen", "paid": "bezahlt"}}"#;
    assert_eq!(with_payments("offen", "1 | 1 | 9.90", words).updates, ["invoices 1 status=bezahlt"]);
    assert!(with_payments("open", "1 | 1 | 9.90", words).changes.is_empty(), "`open` is not one of its words");
}

#[test]
fn payments_without_a_status_column_only_warn() {
    let payments = "id | invoice_id | amount\n 1 | 6 | 5";
    let tables = bound("id | total:decimal(10,2) USD\n 6 | 0", &format!("{LINES}\n 1 | 6 | a | 1 | 1"));
    let outcome = tables.with("payments", payments).run::<ThisJob>("{}");
    assert_eq!(outcome.updates, ["invoices 6 total=1"]);
    assert_eq!(outcome.findings, ["overpaid invoices 6"]);
}

#[test]
fn invoices_may_have_text_keys_and_many_pages_of_lines() {
    let invoices: String = (0..1_500).map(|n| format!("INV-{n} | 3\n")).collect();
    let lines: String = (0..4_500).map(|n| format!("{n} | INV-{} | t{} | 1 | 1\n", n % 1_500, n / 1_500)).collect();
    let outcome = billing(&invoices, &lines);
    assert_eq!((outcome.changes.len(), outcome.findings.len()), (0, 0));
    assert_eq!(outcome.summary, "1500 invoices agree with their lines.");
    assert_eq!(outcome.progress, Some((1_000, 0)));
}

#[test]
fn parameters_that_do_not_exist_are_refused() {
    let outcome = bound(INVOICES, LINES).run::<ThisJob>(r#"{"round": "half-up"}"#);
    assert_eq!(outcome.failure.unwrap().code, "PARAMS_INVALID");
}

#[test]
fn what_was_changed_is_verified_from_the_rows_as_they_are() {
    let lines = "1 | 6 | a | 0.99 | 1\n 2 | 7 | b | 0.99 | 1\n 3 | 7 | c | 0.99 | 1";
    let outcome = billing("6 | 9.90\n 7 | 0", lines);
    let planned = outcome.planned();
    assert_eq!(planned.len(), 2);
    let verified = outcome.tables.verify::<ThisJob>(&planned);
    assert_eq!(verified.checks, ["ok each changed invoice agrees with its lines"]);
    let untouched = bound(&format!("{INVOICES}\n6 | 0.99\n 7 | 0"), &format!("{LINES}\n{lines}"));
    let verified = untouched.verify::<ThisJob>(&planned);
    assert_eq!(verified.checks, ["FAILED each changed invoice agrees with its lines: expected 2, was 1"]);
}
