//! An operator's files: what is refused and where, what stays in force, and what may be replaced.

use std::path::Path;

use mendwright_core::policy::{Effect, Facts, Settings};
use mendwright_policy::cases::Cases;
use mendwright_policy::{Engine, Reloading};

const GOOD: &str = r#"
@id("acme:fridays")
@says("Nothing is applied on Fridays.")
forbid (principal, action == Action::"apply", resource)
when { context.weekday == 5 };
"#;

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

fn case(name: &str) -> (Facts, Settings) {
    let cases = Cases::parse(include_str!("../cases.toml"), &Settings::default()).unwrap();
    let case = cases.cases().iter().find(|case| case.name == name).unwrap();
    (case.facts.clone(), case.settings.clone())
}

#[test]
fn an_operators_forbid_speaks_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "acme.cedar", GOOD);
    write(dir.path(), "notes.txt", "not a policy");
    let engine = Engine::load(dir.path()).unwrap();
    let (mut facts, settings) = case("by hand: an operator applies level 2");
    assert!(engine.decide(&facts, &settings).allows(), "a Monday");
    facts.now += 4 * 24 * 3_600 * 1_000_000;
    facts.plan.as_mut().unwrap().expires_at = i64::MAX;
    let decision = engine.decide(&facts, &settings);
    assert_eq!((decision.effect, decision.by), (Effect::Deny, vec!["acme:fridays".to_owned()]));
    assert_eq!(decision.missing[0].to_string(), "Nothing is applied on Fridays. [acme:fridays]");
}

#[test]
fn a_default_is_replaced_by_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"@id("default:operators") @says("Only for Germany.")
        permit (principal is Person in Role::"operator", action, resource in Tenant::"Germany");"#;
    // `in Tenant` fits a run, and neither a job nor the system: Cedar knows, and says so where it matters.
    write(dir.path(), "ours.cedar", &text.replace("action, resource", "action == Action::\"apply\", resource"));
    let engine = Engine::load(dir.path()).unwrap();
    let (mut facts, settings) = case("by hand: an operator applies level 2");
    assert!(engine.decide(&facts, &settings).allows());
    facts.tenant = "France".into();
    assert!(!engine.decide(&facts, &settings).allows());
    assert!(engine.about()["default:operators"].file.ends_with("ours.cedar"));
    assert_ne!(engine.digest(), Engine::builtin().unwrap().digest());
}

#[test]
fn a_bad_file_is_refused_with_its_place() {
    for (text, expected) in [
        (
            "\n  forbid (principal, action, resource);",
            "bad.cedar:2:3: the policy has no @id(\"…\"), and so no decision could name it",
        ),
        (
            "@id(\"acme:x\")\nforbid (principal, action, resource);",
            "bad.cedar:1:1: the policy `acme:x` has no @says(\"…\"), and so nobody could be told why",
        ),
        (
            "@id(\"builtin:kill-switch\") @says(\"Off.\")\npermit (principal, action, resource);",
            "bad.cedar:1:1: the id `builtin:kill-switch` is a built-in policy's, and those cannot be replaced",
        ),
        (
            "@id(\"Builtin:x\") @says(\"No.\")\npermit (principal, action, resource);",
            "bad.cedar:1:1: the id `Builtin:x`",
        ),
        (
            "@id(\"acme:x\") @says(\"No.\")\nforbid (principal, action, resource)\nwhen { context.wekday == 5 };",
            "bad.cedar:3:8: ",
        ),
        ("@id(\"acme:x\") @says(\"No.\")\nforbid (principal, action\nwhen { true };", "bad.cedar:3:1: "),
        (
            "@id(\"acme:x\") @says(\"No.\")\nforbid (principal == ?principal, action, resource);",
            "bad.cedar:1:1: a template decides nothing",
        ),
        ("@id(\"acme:x\") @says(\"No.\")\nforbid (principal, action == Action::\"aply\", resource);", "bad.cedar:2:"),
        ("@id(\"acme:x\") @says(\"No.\")\nforbid (principal, action, resource)\nwhen { false };", "bad.cedar:1:"),
        (
            "@id(\"acme:x\") @says(\"No.\") forbid (principal, action, resource);\n@id(\"acme:x\") @says(\"No.\") permit (principal, action, resource);",
            "the id `acme:x` is used twice",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "bad.cedar", text);
        let error = Engine::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n→ {error}");
    }
}

#[test]
fn two_files_do_not_share_an_id() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.cedar", GOOD);
    write(dir.path(), "b.cedar", GOOD);
    let error = Engine::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("b.cedar: the id `acme:fridays` is used in ") && error.contains("a.cedar"), "{error}");
}

#[test]
fn a_bad_reload_keeps_the_last_good_set_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "acme.cedar", GOOD);
    let policies = Reloading::start(Some(dir.path().to_owned())).unwrap();
    let first = policies.now().engine.digest().to_owned();

    write(dir.path(), "other.cedar", "forbid (");
    let refused = policies.reload().unwrap_err();
    assert!(refused.to_string().contains("other.cedar:1:"), "{refused}");
    assert_eq!(policies.now().engine.digest(), first);
    assert_eq!(policies.now().refused, Some(refused));

    write(dir.path(), "other.cedar", &GOOD.replace("fridays", "sundays").replace('5', "7"));
    let second = policies.reload().unwrap().digest().to_owned();
    assert_ne!(second, first);
    assert!(policies.now().refused.is_none() && policies.now().engine.about().contains_key("acme:sundays"));
}

#[test]
fn a_host_does_not_start_without_its_policies() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "bad.cedar", "permit (");
    assert!(Reloading::start(Some(dir.path().to_owned())).is_err());
    assert!(Reloading::start(Some(dir.path().join("gone"))).is_err());
    assert!(Reloading::start(None).is_ok());
}

/// Cedar skips a policy that it cannot evaluate; for a forbid that would be a yes.
#[test]
fn what_cannot_be_evaluated_forbids() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"@id("acme:sum") @says("Not too much.")
        forbid (principal, action == Action::"apply", resource)
        when { context.changes * 9223372036854775807 > 10 };"#;
    write(dir.path(), "acme.cedar", text);
    let engine = Engine::load(dir.path()).unwrap();
    let (facts, settings) = case("by hand: an operator applies level 2");
    let decision = engine.decide(&facts, &settings);
    assert_eq!((decision.effect, decision.by), (Effect::Deny, vec!["acme:sum".to_owned()]));
    assert!(decision.missing[0].to_string().starts_with("policy acme:sum cannot be evaluated, and so it forbids: "));
}
