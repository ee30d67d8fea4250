//! How plans look: each snapshot was read by a person.

use insta::assert_snapshot;
use mendwright_core::change::Action;
use mendwright_core::class::Class;
use mendwright_core::plan::document::{Cell, Document, NetRecord};
use mendwright_core::port::{Check, Severity};

use super::{Options, Plan, Policy, plan};
use crate::view::sample::{cells, change, document, masked, plain, resource, total};
use crate::view::{Look, Next};

const SUMMARY: &str = "Makes each invoice's total the sum of its lines; reports what it cannot decide.";

fn show(document: &Document, options: &Options<'_>) -> String {
    let shown = Plan { document, changes: &document.changes, job_summary: SUMMARY, policy: None, now: "", next: &[] };
    plan(Look::PLAIN, &shown, options)
}

/// Only the blocks of the resources: what differs between the tests below.
fn blocks(document: &Document, options: &Options<'_>) -> String {
    let text = show(document, options);
    let (_, rest) = text.split_once("written.\n\n").unwrap();
    rest.split("\nPlan:").next().unwrap().to_owned()
}

fn bare() -> Document {
    Document { findings: Vec::new(), ..document() }
}

#[test]
fn the_plan_of_the_examples_looks_as_it_does_there() {
    let document = document();
    let policy = Policy {
        text: "needs 1 approver who is not alice: bob".into(),
        by: vec!["builtin:level-3-needs-people".into()],
    };
    let next = [
        Next::new("mendwright run approve 1042", "bob, from his own machine or phone"),
        Next::new("mendwright run show 1042 --full | --sql | --json | --only invoices/6", ""),
    ];
    let shown = Plan {
        document: &document,
        changes: &document.changes,
        job_summary: SUMMARY,
        policy: Some(&policy),
        now: "",
        next: &next,
    };
    assert_snapshot!(plan(Look { colours: false, width: 95 }, &shown, &Options::default()));
}

#[test]
fn a_plan_says_by_itself_what_to_type_next() {
    assert_snapshot!(show(&document(), &Options::default()));
}

#[test]
fn colours_are_those_of_terraform() {
    let document = Document { changes: vec![total("6", "9.9", "0.99", "sum of 1 line")], ..bare() };
    let shown =
        Plan { document: &document, changes: &document.changes, job_summary: "", policy: None, now: "", next: &[] };
    let text = plan(Look { colours: true, width: 100 }, &shown, &Options::default());
    assert_snapshot!(text.replace('\u{1b}', "␛"));
}

#[test]
fn nothing_to_do_is_one_sentence() {
    let mut document =
        Document { summary: "28 invoices agree with their lines.".into(), changes: Vec::new(), ..bare() };
    for resource in &mut document.resources {
        resource.updates = "0".into();
    }
    assert_snapshot!(show(&document, &Options::default()));
}

#[test]
fn twenty_rows_of_each_resource_are_shown_and_the_rest_is_counted() {
    let mut document = bare();
    document.changes = (1..=25).map(|n| total(&n.to_string(), "1", &format!("{n}.5"), "sum of its lines")).collect();
    for resource in document.resources.iter_mut().filter(|r| r.name == "invoices") {
        resource.updates = "100000".into();
        resource.rows_of_tenant = "1000000".into();
        resource.share = "0.1000".into();
        resource.net.clear();
    }
    assert_snapshot!(blocks(&document, &Options::default()));
}

#[test]
fn grep_and_only_say_how_many_match() {
    let document = bare();
    assert_snapshot!("grep", blocks(&document, &Options { grep: Some("14 LINES"), ..Options::default() }));
    let only = ["invoices/6".to_owned(), "127".to_owned()];
    assert_snapshot!("only", blocks(&document, &Options { only: &only, ..Options::default() }));
}

/// A plan that changes text, and long text, of people far away, with two key columns.
fn addresses() -> Document {
    let mut document = bare();
    let mut people = resource(
        "people",
        &[
            ("id", "integer"),
            ("country", "text"),
            ("name", "text"),
            ("city", "text"),
            ("note", "text"),
            ("iban", "text"),
        ],
    );
    people.class = Class::Ordinary;
    people.key = vec!["country".into(), "id".into()];
    people.updates = "5".into();
    people.share = "0.1786".into();
    people.sensitive = vec!["iban".into()];
    let long = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor";
    let one = |country: &str, id: &str, before, after, reason: &str| {
        let mut change =
            change(Action::Update, cells([("country", plain(country)), ("id", plain(id))]), before, after, reason);
        change.resource = "people".into();
        change
    };
    document.changes = vec![
        one("DE", "7", cells([("city", Cell::Plain(None))]), cells([("city", plain("Köln"))]), "from the postcode"),
        one("DE", "12", cells([("name", plain("王小明"))]), cells([("name", plain("王晓明"))]), "as in the passport"),
        one(
            "JP",
            "3",
            cells([("city", plain("")), ("name", plain("山田  太郎"))]),
            cells([("city", plain("東京都千代田区")), ("name", plain("山田 太郎"))]),
            "one space",
        ),
        one(
            "SY",
            "4",
            cells([("name", plain("user\u{202e}txt.exe"))]),
            cells([("name", plain("NULL"))]),
            "a name that \u{202e}turns the line\nand breaks it",
        ),
        one(
            "US",
            "1",
            cells([("note", plain(&format!("{long} A")))]),
            cells([("note", plain(&format!("{long} B")))]),
            "the last letter",
        ),
    ];
    document.resources = vec![people];
    document
}

#[test]
fn text_null_wide_characters_and_attacks_stay_in_their_columns() {
    assert_snapshot!(blocks(&addresses(), &Options::default()));
}

#[test]
fn full_shortens_nothing() {
    assert_snapshot!(blocks(&addresses(), &Options { full: true, ..Options::default() }));
}

#[test]
fn masked_values_show_four_digits_of_their_commitment() {
    let mut document = addresses();
    document.changes = vec![change(
        Action::Update,
        cells([("country", plain("DE")), ("id", masked("5500"))]),
        cells([("iban", masked("ab12"))]),
        cells([("iban", masked("77fe"))]),
        "checksum",
    )];
    document.changes[0].resource = "people".into();
    document.resources[0].updates = "1".into();
    assert_snapshot!(blocks(&document, &Options::default()));
}

#[test]
fn several_resources_insert_update_and_delete() {
    let mut document = bare();
    let mut lines = resource(
        "invoice_lines",
        &[("id", "integer"), ("invoice_id", "integer"), ("quantity", "integer"), ("unit_price", "decimal(10,2) USD")],
    );
    (lines.inserts, lines.deletes, lines.updates) = ("2".into(), "1".into(), "2".into());
    lines.share = "0.0001".into();
    lines.rows_of_tenant = "40000".into();
    lines
        .net
        .insert("unit_price".into(), NetRecord { before: "2.97".into(), after: "1.98".into(), delta: "-0.99".into() });
    let of_lines = |action, id: &str, before, after, reason: &str| {
        let mut change = change(action, cells([("id", plain(id))]), before, after, reason);
        change.resource = "invoice_lines".into();
        change
    };
    let row = |invoice: &str, price: &str, quantity: &str| {
        cells([("invoice_id", plain(invoice)), ("unit_price", plain(price)), ("quantity", plain(quantity))])
    };
    document.changes.extend([
        of_lines(Action::Insert, "2241", cells([("id", plain("2241"))]), row("412", "0.99", "1"), "as in the archive"),
        of_lines(Action::Insert, "2242", cells([]), row("412", "11.99", "2"), ""),
        of_lines(Action::Delete, "900001", row("196", "0.99", "1"), cells([]), "equals line 1063"),
        of_lines(
            Action::Update,
            "17",
            cells([("quantity", plain("-1")), ("unit_price", plain("0.99"))]),
            cells([("quantity", plain("1")), ("unit_price", plain("1.99"))]),
            "sign",
        ),
        of_lines(
            Action::Update,
            "1180",
            cells([("quantity", plain("10"))]),
            cells([("quantity", plain("1"))]),
            "typed a 0 too many",
        ),
    ]);
    document.resources[0] = lines;
    assert_snapshot!(blocks(&document, &Options::default()));
}

#[test]
fn what_a_rehearsal_met_and_what_failed_is_said() {
    let mut document = document();
    document.rehearsal.passed = Some(false);
    document.rehearsal.detail = "trigger invoice_touch left updated_at changed".into();
    document.rehearsal.triggers = vec!["invoice_touch".into(), "audit".into()];
    document.findings[1].severity = Severity::Info;
    document.findings[0].severity = Severity::Warning;
    let check = |name: &str, passed, actual: &str| Check {
        name: name.into(),
        passed,
        expected: "total".into(),
        actual: actual.into(),
    };
    document.checks =
        vec![check("only `total` changes", true, "total"), check("no other column", false, "total, date")];
    assert_snapshot!(show(&document, &Options::default()));
}

#[test]
fn a_key_that_a_shell_would_run_is_not_put_into_a_hint() {
    let mut document = bare();
    document.changes[0].key = cells([("id", plain("6; rm -rf ~"))]);
    assert!(!show(&document, &Options::default()).contains("--only invoices/"));
}
