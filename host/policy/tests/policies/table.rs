//! The table of cases.

use mendwright_core::policy::{Effect, Settings};
use mendwright_policy::Engine;
use mendwright_policy::cases::Cases;

const TABLE: &str = include_str!("../cases.toml");

#[test]
fn the_table_of_cases_holds() {
    let engine = Engine::builtin().unwrap();
    let cases = Cases::parse(TABLE, &Settings::default()).unwrap();
    assert!(cases.cases().len() >= 60, "{}", cases.cases().len());
    let report = cases.run(&engine);
    assert!(report.passed(), "\n{report}");
}

#[test]
fn every_attempt_at_level_3_fails() {
    let cases = Cases::parse(TABLE, &Settings::default()).unwrap();
    let attempts: Vec<_> = cases.cases().iter().filter(|case| case.name.starts_with("level 3 ")).collect();
    assert!(attempts.len() >= 16);
    assert!(attempts.iter().all(|case| case.expect != Effect::Allow));
}

/// A policy that no case speaks of may as well not be there.
#[test]
fn every_policy_decides_a_case() {
    let engine = Engine::builtin().unwrap();
    let report = Cases::parse(TABLE, &Settings::default()).unwrap().run(&engine);
    let unused: Vec<_> = engine
        .about()
        .keys()
        .filter(|id| !report.outcomes.iter().any(|outcome| outcome.decision.by.contains(id)))
        .collect();
    assert_eq!(unused, ["builtin:safe-mode-undo"], "decided by permit-all in `level_3.rs`");
}

#[test]
fn a_failed_case_says_how() {
    let table = TABLE.split("[[case]]").next().unwrap().to_owned()
        + r#"
        [[case]]
        name = "a wish"
        base = "level3"
        expect = "allow"
        by = ["default:operators"]
        "#;
    let report = Cases::parse(&table, &Settings::default()).unwrap().run(&Engine::builtin().unwrap());
    insta::assert_snapshot!(report);
}

#[test]
fn a_table_that_makes_no_sense_is_refused_with_its_case() {
    let head = TABLE.split("[[case]]").next().unwrap();
    let bad = |case: &str| {
        let text = format!("{head}\n[[case]]\nname = \"bad\"\nexpect = \"deny\"\n{case}");
        Cases::parse(&text, &Settings::default()).unwrap_err().to_string()
    };
    for (case, expected) in [
        ("base = \"nowhere\"", "case `bad`: there is no base `nowhere`"),
        ("base = \"auto\"\nfacts = { levels = { manifest = 4 } }", "4 is not a level"),
        ("base = \"auto\"\nfacts = { leevel = 3 }", "unknown field `leevel`"),
        ("base = \"auto\"\nsettings = { approvals = 1 }", "unknown field `approvals`"),
        ("base = \"auto\"\nactor = \"alice\"", "`alice` is nobody"),
    ] {
        let error = bad(case);
        assert!(error.contains(expected), "{error}");
    }
}
