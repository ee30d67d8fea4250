use std::collections::BTreeSet;

use super::super::facts::{Approvals, Held, Levels, Plan};
use super::super::words::{Action, Actor, Category, Severity, Subject};
use super::*;

const NOW: i64 = 1_795_392_000 * 1_000_000;

fn facts() -> Facts {
    Facts {
        stage: Stage::AtApply,
        action: Action::Apply,
        actor: Actor::Machine { name: "detector/totals".into() },
        subject: Subject::Run,
        requester: Who::Person("alice".into()),
        now: NOW,
        run: "run_1".into(),
        tenant: "Germany".into(),
        module: None,
        job: "reconcile_invoices".into(),
        resources: BTreeSet::new(),
        classes: BTreeSet::new(),
        category: Category::Data,
        severity: Severity::Info,
        confidence: None,
        levels: Levels { manifest: Level::Auto, class: Level::Auto, operation: Level::Auto },
        plan: Some(Plan {
            level: Level::Auto,
            n_changes: 6,
            share: 2_143,
            rehearsal: Rehearsal::Passed,
            expires_at: NOW + HOUR_US,
        }),
        undo: None,
        approvals: Approvals::default(),
        applied_at: Vec::new(),
        more_last_hour: 0,
        kill_switch: false,
        safe_mode: BTreeSet::new(),
        auto_heal_off: false,
        switch: None,
        trust_wanted: None,
        break_glass: None,
    }
}

fn held(who: &str, role: &str) -> Held {
    Held { by: who.parse().unwrap(), roles: [role.to_owned()].into() }
}

#[test]
fn a_person_counts_once_and_the_requester_and_machines_never() {
    let mut facts = facts();
    facts.approvals.held = vec![
        held("person:bob", "approver"),
        held("person:Bob ", "approver"),
        held("person:ALICE", "approver"),
        held("machine:carol", "approver"),
        held("host", "approver"),
        held("person:dave", "operator"),
        held("person:carol", "approver"),
    ];
    let computed = facts.compute(&Settings::default());
    assert_eq!((computed.approvers, computed.approvals), (vec!["bob".to_owned(), "carol".to_owned()], 2));
}

#[test]
fn the_highest_of_the_three_levels_holds() {
    for raised in 0..3 {
        let mut levels = [Level::Auto; 3];
        levels[raised] = Level::Assisted;
        let [manifest, class, operation] = levels;
        assert_eq!(Levels { manifest, class, operation }.highest(), Level::Assisted);
    }
}

#[test]
fn level_3_needs_one_person_even_where_the_settings_say_none() {
    let mut facts = facts();
    facts.levels.class = Level::Assisted;
    let settings = Settings { approvals_level_3: 0, ..Settings::default() };
    assert_eq!(facts.compute(&settings).approvals_needed, 1);
}

#[test]
fn safe_mode_and_a_machine_that_is_trusted_with_approvals_need_one_word() {
    let mut facts = facts();
    let mut settings = Settings::default();
    assert_eq!(facts.compute(&settings).approvals_needed, 0);
    settings.trust_default = Trust::Approve;
    assert_eq!(facts.compute(&settings).approvals_needed, 1);
    facts.actor = Actor::Person { name: "bob".into(), roles: BTreeSet::new() };
    assert_eq!(facts.compute(&settings).approvals_needed, 0);
    facts.safe_mode.insert(super::super::words::Scope::Tenant);
    assert_eq!(facts.compute(&settings).approvals_needed, 1);
}

#[test]
fn a_target_cools_down_for_fifteen_minutes_to_the_microsecond() {
    let mut facts = facts();
    facts.applied_at = vec![NOW - 40 * MINUTE_US, NOW - 15 * MINUTE_US + 1];
    let settings = Settings::default();
    assert_eq!(facts.compute(&settings).cooldown_until, Some(NOW + 1));
    facts.applied_at = vec![NOW - 15 * MINUTE_US];
    assert_eq!(facts.compute(&settings).cooldown_until, None);
    facts.applied_at = vec![NOW + HOUR_US];
    assert!(facts.compute(&settings).cooldown_until.is_some(), "a clock that was wrong opens nothing");
}

#[test]
fn the_hour_has_room_again_when_the_earliest_that_is_too_many_leaves_it() {
    let mut facts = facts();
    facts.applied_at = [50, 10, 40, 30, 20].map(|minutes| NOW - minutes * MINUTE_US).to_vec();
    facts.applied_at.push(NOW - HOUR_US);
    let computed = facts.compute(&Settings::default());
    assert_eq!((computed.runs_last_hour, computed.room_at), (5, Some(NOW + 10 * MINUTE_US)));
    let six = Settings { runs_per_hour_max: 6, ..Settings::default() };
    assert_eq!(facts.compute(&six).room_at, None);
    let three = Settings { runs_per_hour_max: 3, ..Settings::default() };
    assert_eq!(facts.compute(&three).room_at, Some(NOW + 30 * MINUTE_US));
    let never = Settings { runs_per_hour_max: 0, ..Settings::default() };
    assert_eq!(facts.compute(&never).room_at, None);
}

#[test]
fn before_planning_nothing_is_known_of_a_plan() {
    let mut facts = facts();
    facts.stage = Stage::BeforePlanning;
    let computed = facts.compute(&Settings::default());
    assert!(!computed.planned && !computed.rehearsed && computed.level_of_plan.is_none());
}

#[test]
fn the_glass_breaks_for_the_role_with_a_reason() {
    let settings = Settings::default();
    let person = |role: &str| Actor::Person { name: "eve".into(), roles: [role.to_owned()].into() };
    for (actor, reason, breaks) in [
        (person("breaker"), Some("ledger is frozen, see INC-7"), true),
        (person("breaker"), Some("  "), false),
        (person("breaker"), None, false),
        (person("operator"), Some("please"), false),
        (Actor::Machine { name: "breaker".into() }, Some("please"), false),
    ] {
        let facts = Facts { actor, break_glass: reason.map(str::to_owned), ..facts() };
        assert_eq!(facts.compute(&settings).break_glass, breaks);
    }
}

#[test]
fn a_canary_is_stable_and_grows() {
    // SHA-256("abc") begins with ba7816bf8f01cfea.
    assert_eq!(canary_part("abc"), 0xba78_16bf_8f01_cfea % 10_000);
    assert!(!canary("abc", 0) && canary("abc", 10_000));
    let names: Vec<String> = (0..2_000).map(|number| format!("tenant-{number}")).collect();
    let inside = |share| names.iter().filter(|name| canary(name, share)).count();
    assert!((60..140).contains(&inside(500)), "5 % of 2,000 is about 100, not {}", inside(500));
    assert!(names.iter().all(|name| !canary(name, 500) || canary(name, 600)));
}

#[test]
fn a_switch_that_nobody_says_is_thrown_counts_as_released() {
    let mut facts = facts();
    assert!(facts.compute(&Settings::default()).releases);
    facts.switch = Some(SwitchMove::Throw);
    assert!(!facts.compute(&Settings::default()).releases);
}

#[test]
fn facts_survive_json() {
    let mut facts = facts();
    facts.approvals.held.push(held("person:bob", "approver"));
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
}
