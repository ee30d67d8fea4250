//! A whole manifest, what a person is told of each mistake, and the jobs of a directory.

use std::fmt::Write as _;
use std::fs;

use super::*;
use crate::jobs;

const EXAMPLE: &str = include_str!("example.toml");
const PARAMS: &str = r#"{ "type": "object", "properties": { "rounding": { "enum": ["half-even", "half-up"] } } }"#;

fn parse(text: &str) -> Result<Manifest, Diagnostics> {
    Manifest::parse(Path::new("jobs/reconcile_invoices"), text, Some(PARAMS))
}

fn valid_by_schema(text: &str) -> bool {
    let plain: toml::Table = toml::from_str(text).unwrap();
    jsonschema::validator_for(&schema()).unwrap().is_valid(&serde_json::to_value(plain).unwrap())
}

#[test]
fn a_whole_manifest_means_what_it_says() {
    assert!(valid_by_schema(EXAMPLE));
    let manifest = parse(EXAMPLE).unwrap_or_else(|all| panic!("{all}"));
    assert_eq!(manifest.component(), Path::new("jobs/reconcile_invoices/reconcile_invoices.wasm"));
    assert_eq!(manifest.apply, Apply { transaction: Transaction::Atomic, changes: Changes::Independent });
    assert_eq!((manifest.level, manifest.category), (Level::Assisted, Area::Data));
    assert_eq!(manifest.budget.share_changed, Some(5_000));
    assert!(manifest.requests["payments"].optional);
    assert!(manifest.requests["invoices"].optional_read.contains("status"));
    assert_eq!(manifest.findings["duplicate_line"].severity, Severity::Error);
    assert!(manifest.check_params(&serde_json::json!({ "rounding": "half-up" })).is_ok());
    assert!(manifest.check_params(&serde_json::json!({ "rounding": "up" })).is_err());
}

#[test]
fn the_schema_for_editors_is_as_reviewed() {
    insta::assert_json_snapshot!("schema", schema());
}

#[test]
fn the_digest_is_frozen_and_covers_the_schema_too() {
    let of = |text: &str, params: Option<&str>| Manifest::parse(Path::new("j"), text, params).unwrap().digest();
    let own = of(EXAMPLE, Some(PARAMS));
    insta::assert_snapshot!("digest", own);
    assert_ne!(own, of(EXAMPLE, None));
    assert_ne!(own, of(&format!("{EXAMPLE}\n"), Some(PARAMS)));
}

#[test]
fn batches_are_for_what_people_need_not_approve() {
    let text = EXAMPLE.replace("\"atomic\"", "{ batched = 1_000 }").replace("level    = 3", "level    = 2");
    assert_eq!(parse(&text).unwrap().apply.transaction, Transaction::Batched(1_000));
    let text = EXAMPLE.replace("[apply]\ntransaction = \"atomic\"\nchanges     = \"independent\"", "");
    assert_eq!(parse(&text).unwrap().apply.changes, Changes::Together, "the careful one is the default");
}

#[test]
fn a_job_may_ask_for_whatever_is_granted() {
    let any = "[request.\"*\"]\nread = [\"*\"]\nwrite = [\"*\"]\noperations = [\"update\"]\n\n[apply]";
    assert!(parse(&EXAMPLE.replace("[apply]", any)).unwrap().requests.contains_key(ANY));
}

/// Name, what stands in the example, what stands there instead.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str)] = &[
    ("a key with a typo", "summary  =", "sumary  ="),
    ("a name in capitals", "\"reconcile_invoices\"", "\"ReconcileInvoices\""),
    ("a version that is none", "\"1.0.0\"", "\"1.0\""),
    ("another contract", "repair@0.1.0", "repair@0.2.0"),
    ("a category with a typo", "\"DATA\"", "\"DATTA\""),
    ("a level that does not exist", "level    = 3", "level    = 4"),
    ("a level left out", "level    = 3\n", ""),
    ("a remedy that is no kind", "\"invoice.total_mismatch\"", "\"Invoice total\""),
    ("a request key with a typo", "operations = [", "operation = ["),
    ("an operation that does not exist", "[\"update\"]", "[\"upsert\"]"),
    ("a write by no operation", "operations = [\"update\"]\n", ""),
    ("an update of no column", "write      = [\"total\"]\n", ""),
    ("a request of nothing", "read     = [\"invoice_id\", \"amount\"]\n", ""),
    ("columns of every table", "[request.payments]", "[request.\"*\"]"),
    ("a table's name in capitals", "[request.payments]", "[request.Payments]"),
    ("batches at level 3", "\"atomic\"", "{ batched = 1000 }"),
    ("batches of nothing", "\"atomic\"", "{ batched = 0 }"),
    ("a transaction that does not exist", "\"atomic\"", "\"atomik\""),
    ("changes that do not exist", "\"independent\"", "\"independant\""),
    ("a budget key with a typo", "wall_time", "walltime"),
    ("a budget in the wrong unit", "\"256KiB\"", "\"256kb\""),
    ("a share in percent", "share_changed = 0.5", "share_changed = 50"),
    ("a severity that does not exist", "\"error\"", "\"fatal\""),
    ("a finding without help", "help     = \"Two", "#\"Two"),
    ("a finding's code with a hyphen", "duplicate_line", "duplicate-line"),
    ("a bracket that does not end", "[budget]", "[budget"),
];

#[test]
fn a_mistake_is_answered_at_its_place() {
    let mut all = String::new();
    for (name, find, replace) in MISTAKES {
        assert_eq!(EXAMPLE.matches(find).count(), 1, "{name}: {find:?} stands in the example exactly once");
        let found = parse(&EXAMPLE.replacen(find, replace, 1)).map(drop).expect_err(name);
        write!(all, "# {name}\n{found}\n\n").unwrap();
    }
    insta::assert_snapshot!("mistakes", all);
}

#[test]
fn a_broken_schema_of_parameters_is_said() {
    let told = |params| Manifest::parse(Path::new("jobs/j"), EXAMPLE, Some(params)).unwrap_err().to_string();
    insta::assert_snapshot!("params_json", told("{\n  \"type\": oops\n}"));
    insta::assert_snapshot!("params_schema", told("{ \"type\": \"objekt\" }"));
    insta::assert_snapshot!("params_list", told("{ \"type\": \"array\" }"));
}

#[test]
fn a_directory_lists_its_jobs_and_the_broken_ones_with_their_errors() {
    let dir = tempfile::tempdir().unwrap();
    let add = |name: &str, text: &str| {
        fs::create_dir_all(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join(FILE), text).unwrap();
    };
    add("reconcile_invoices", EXAMPLE);
    add("broken", "name = 7");
    add("copy", EXAMPLE);
    fs::create_dir_all(dir.path().join("no_job")).unwrap();
    let listed = jobs::list(dir.path()).unwrap();
    let seen: Vec<_> = listed.iter().map(|job| (job.name.as_str(), job.manifest.is_ok())).collect();
    assert_eq!(seen, [("broken", false), ("copy", false), ("reconcile_invoices", true)]);
    assert!(jobs::find(dir.path(), "reconcile_invoices").is_ok());
    let unknown = jobs::find(dir.path(), "reconcile_invoice").unwrap_err();
    assert_eq!(unknown.first().code, Code::JobUnknown);
    assert_eq!(unknown.first().label.as_deref(), Some("did you mean `reconcile_invoices`?"));
    assert_eq!(jobs::list(&dir.path().join("nowhere")).unwrap_err().code, Code::Io);
    assert_eq!(Manifest::read(&dir.path().join("no_job")).unwrap_err().first().code, Code::JobUnknown);
}
