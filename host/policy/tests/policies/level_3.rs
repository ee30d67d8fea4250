//! What must hold whatever the facts are and whatever an operator writes. The promises are stated here
//! once more, over the raw facts, and not by what `core` computed from them.

use std::collections::BTreeSet;
use std::path::Path;

use mendwright_core::class::Class;
use mendwright_core::level::Level;
use mendwright_core::policy::{
    Action, Actor, Approvals, Category, Decision, Effect, Facts, Held, Levels, Missing, Plan, Rehearsal, Scope,
    Settings, Severity, Stage, Subject, SwitchMove, Trust, Undo, Who,
};
use mendwright_policy::Engine;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What operators might write to get everything through.
const OPERATORS: [&[&str]; 4] = [
    &[],
    &[r#"@id("op:all") @says("Everything.") permit(principal, action, resource);"#],
    // Every default forbid replaced by one that permits.
    &[
        r#"@id("op:all") @says("Everything.") permit(principal, action, resource);"#,
        r#"@id("default:auto-heal") @says("Yes.") permit(principal, action, resource);"#,
        r#"@id("default:whitelist") @says("Yes.") permit(principal, action, resource);"#,
        r#"@id("default:severity") @says("Yes.") permit(principal, action, resource);"#,
        r#"@id("default:confidence") @says("Yes.") permit(principal, action, resource);"#,
        r#"@id("default:cooldown") @says("Yes.") permit(principal, action, resource);"#,
        r#"@id("default:cooldown-people") @says("Yes.") permit(principal, action, resource);"#,
        r#"@id("default:canary") @says("Yes.") permit(principal, action, resource);"#,
    ],
    &[
        r#"@id("op:machines") @says("Machines.") permit(principal is Machine, action, resource);"#,
        r#"@id("op:three") @says("Three people.")
           forbid(principal, action == Action::"apply", resource)
           when { context.level == 3 && context.approvals < 3 };"#,
    ],
];

/// Random questions for each operator and promise.
const CASES: u32 = 1_000;

fn engine(policies: &[&str], dir: &Path) -> Engine {
    for (number, text) in policies.iter().enumerate() {
        std::fs::write(dir.join(format!("{number}.cedar")), text).unwrap();
    }
    Engine::load(dir).unwrap()
}

fn role() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["operator", "approver", "admin", "breaker", "viewer"]).prop_map(str::to_owned)
}

fn roles() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(role(), 0..4)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["alice", "Alice", "bob", "BOB ", "carol", "détective", "DÉTECTIVE"])
        .prop_map(str::to_owned)
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![4 => name().prop_map(Who::Person), 1 => name().prop_map(Who::Machine), 1 => Just(Who::Host)]
}

fn actor() -> impl Strategy<Value = Actor> {
    prop_oneof![
        4 => (name(), roles()).prop_map(|(name, roles)| Actor::Person { name, roles }),
        1 => name().prop_map(|name| Actor::Machine { name }),
        1 => Just(Actor::Host),
    ]
}

fn level() -> impl Strategy<Value = Level> {
    prop::sample::select(vec![Level::Auto, Level::Governed, Level::Assisted])
}

fn plan() -> impl Strategy<Value = Plan> {
    let rehearsal = prop_oneof![
        1 => Just(Rehearsal::Missing),
        1 => Just(Rehearsal::Failed),
        6 => Just(Rehearsal::Passed),
    ];
    (level(), 0_u64..2_000, 0_u32..2_000, rehearsal, 900_i64..1_200).prop_map(
        |(level, n_changes, share, rehearsal, expires_at)| Plan { level, n_changes, share, rehearsal, expires_at },
    )
}

/// Applied long ago, or a moment ago; in microseconds around a clock that says 1,000.
fn undo() -> impl Strategy<Value = Undo> {
    let applied_at = prop_oneof![Just(900), (2..48_i64).prop_map(|hours| 1_000 - hours * 3_600_000_000)];
    (applied_at, 0_u64..3)
        .prop_map(|(applied_at, conflicts)| Undo { digest: "sha256:…".into(), applied_at, conflicts })
}

fn approvals() -> impl Strategy<Value = Approvals> {
    let held = (who(), roles()).prop_map(|(by, roles)| Held { by, roles });
    prop::collection::vec(held, 0..4).prop_map(|held| Approvals { held, uncounted: Vec::new() })
}

fn facts() -> impl Strategy<Value = Facts> {
    let question = (
        prop::sample::select(Stage::ALL),
        prop_oneof![
            3 => Just(Action::Apply),
            1 => Just(Action::Rollback),
            1 => prop::sample::select(Action::ALL)
        ],
        actor(),
        prop::sample::select(Subject::ALL),
        who(),
    );
    let plans = (prop::option::weighted(0.9, plan()), prop::option::of(undo()));
    let run = ((level(), level(), level()), plans, approvals());
    let around = (
        prop::bool::weighted(0.1),
        prop::collection::btree_set(prop::sample::select(Scope::ALL), 0..2),
        (prop::option::of(prop::sample::select(SwitchMove::ALL)), prop::option::of(prop::sample::select(Trust::ALL))),
        prop::option::of(Just("INC-7".to_owned())),
        prop::collection::vec(0_i64..1_000, 0..3),
        prop::option::of(0_u16..1_001),
    );
    (question, run, around).prop_map(|((stage, action, actor, subject, requester), run, around)| {
        let ((manifest, class, operation), (plan, undo), approvals) = run;
        let (kill_switch, safe_mode, (switch, trust_wanted), break_glass, applied_at, confidence) = around;
        Facts {
            stage,
            action,
            actor,
            subject,
            requester,
            now: 1_000,
            run: "run_1".into(),
            tenant: "Germany".into(),
            module: Some("billing".into()),
            job: "totals".into(),
            resources: ["totals".to_owned()].into(),
            classes: [Class::Ledger].into(),
            category: Category::Data,
            severity: Severity::Warning,
            confidence,
            levels: Levels { manifest, class, operation },
            plan,
            undo,
            approvals,
            applied_at,
            more_last_hour: 0,
            kill_switch,
            safe_mode,
            auto_heal_off: false,
            switch,
            trust_wanted,
            break_glass,
        }
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    (0_u32..3, prop::sample::select(Trust::ALL), any::<bool>()).prop_map(|(approvals_level_3, trust_default, auto)| {
        Settings {
            approvals_level_3,
            trust_default,
            whitelist: if auto { ["*".to_owned()].into() } else { BTreeSet::new() },
            auto_heal: if auto { [Category::Data].into() } else { BTreeSet::new() },
            ..Settings::default()
        }
    })
}

/// Asks every operator's engine random questions, and holds `promise` against each answer.
fn always(promise: impl Fn(&Engine, &Facts, &Settings, &Decision) -> Result<(), TestCaseError>) {
    for policies in OPERATORS {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine(policies, dir.path());
        let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        let asked = runner.run(&(facts(), settings()), |(facts, settings)| {
            let decision = engine.decide(&facts, &settings);
            promise(&engine, &facts, &settings, &decision)
        });
        asked.unwrap_or_else(|error| panic!("{policies:?}: {error}"));
    }
}

fn highest(facts: &Facts) -> u8 {
    [facts.levels.manifest, facts.levels.class, facts.levels.operation].map(u8::from).into_iter().max().unwrap()
}

/// The names of other people in the approver's role, each once, by the plainest reading.
fn others(facts: &Facts) -> BTreeSet<String> {
    let plain = |name: &str| name.trim().to_lowercase();
    let asks = if facts.action == Action::Rollback { facts.actor.who() } else { facts.requester.clone() };
    let requester = match &asks {
        Who::Person(name) => Some(plain(name)),
        Who::Machine(_) | Who::Host => None,
    };
    let named = facts.approvals.held.iter().filter(|held| held.roles.contains("approver"));
    named
        .filter_map(|held| match &held.by {
            Who::Person(name) => Some(plain(name)),
            Who::Machine(_) | Who::Host => None,
        })
        .filter(|name| Some(name) != requester.as_ref())
        .collect()
}

#[test]
fn level_3_is_never_applied_without_another_persons_word() {
    always(|_, facts, settings, decision| {
        if facts.action != Action::Apply || highest(facts) < 3 || !decision.allows() {
            return Ok(());
        }
        let others = others(facts).len();
        let glass = facts.actor.has_role(&settings.break_glass_role) && facts.break_glass.is_some();
        prop_assert!(facts.actor.is_person());
        prop_assert!(others >= 1);
        prop_assert!(glass || others >= settings.approvals_level_3 as usize);
        Ok(())
    });
}

/// The host finishes what it began. Anybody else has others approve what nobody has seen yet.
#[test]
fn a_late_undo_or_one_with_conflicts_is_the_hosts_own_or_approved_by_others() {
    always(|_, facts, settings, decision| {
        let Some(undo) = facts.undo.as_ref().filter(|_| facts.action == Action::Rollback) else { return Ok(()) };
        let is_covered = undo.conflicts == 0 && facts.now - undo.applied_at < 24 * 3_600_000_000;
        if !decision.allows() || is_covered || facts.actor == Actor::Host {
            return Ok(());
        }
        match highest(facts) {
            1 => {}
            2 => prop_assert!(!others(facts).is_empty()),
            _ => prop_assert!(others(facts).len() >= settings.approvals_level_3.max(1) as usize),
        }
        Ok(())
    });
}

#[test]
fn nothing_is_applied_without_a_plan_that_is_young_rehearsed_and_of_todays_level() {
    always(|_, facts, _, decision| {
        if facts.action != Action::Apply || !decision.allows() {
            return Ok(());
        }
        let plan = facts.plan.as_ref().expect("a plan");
        prop_assert!(facts.stage != Stage::BeforePlanning);
        prop_assert!(plan.expires_at > facts.now);
        prop_assert!(highest(facts) < 2 || plan.rehearsal == Rehearsal::Passed);
        prop_assert!(highest(facts) <= u8::from(plan.level));
        Ok(())
    });
}

/// Whoever lets a job apply by itself gets level 1 and 2 through without a word: two people say so, or nobody.
#[test]
fn no_machine_trusts_a_job_further_and_nobody_alone_lets_it_apply_by_itself() {
    always(|_, facts, settings, decision| {
        let before = settings.trust_default;
        let wanted = facts.trust_wanted.unwrap_or(Trust::Auto);
        if facts.action != Action::Trust || !decision.allows() || wanted <= before {
            return Ok(());
        }
        prop_assert!(facts.actor.is_person());
        prop_assert!(wanted != Trust::Auto || !others(facts).is_empty());
        Ok(())
    });
}

#[test]
fn the_switches_bite() {
    always(|_, facts, settings, decision| {
        if !decision.allows() {
            return Ok(());
        }
        match facts.action {
            Action::Preview | Action::Approve => prop_assert!(!facts.kill_switch),
            Action::Apply => {
                prop_assert!(!facts.kill_switch);
                prop_assert!(facts.safe_mode.is_empty() || (facts.actor.is_person() && !others(facts).is_empty()),);
            }
            Action::Publish => {
                prop_assert!(!facts.kill_switch && (facts.safe_mode.is_empty() || facts.actor.is_person()));
            }
            Action::Rollback => {
                let machine = matches!(facts.actor, Actor::Machine { .. });
                prop_assert!(!machine || (!facts.kill_switch && facts.safe_mode.is_empty()));
            }
            Action::Switch => {
                prop_assert!(facts.actor.is_person() || facts.switch == Some(SwitchMove::Throw));
            }
            // Under the kill switch nothing is trusted further.
            Action::Trust => {
                prop_assert!(
                    !facts.kill_switch || facts.trust_wanted.is_some_and(|wanted| wanted <= settings.trust_default)
                );
            }
            Action::Reject | Action::ApproveUndo | Action::Cancel | Action::Read => {}
        }
        Ok(())
    });
}

#[test]
fn an_approval_is_a_persons_their_first_and_not_of_their_own_request() {
    always(|_, facts, _, decision| {
        if !matches!(facts.action, Action::Approve | Action::ApproveUndo) || !decision.allows() {
            return Ok(());
        }
        let Actor::Person { name, .. } = &facts.actor else { panic!("a machine approves") };
        let plain = name.trim().to_lowercase();
        // Nobody has asked for an undo yet.
        prop_assert!(facts.action == Action::ApproveUndo || !facts.actor.is(&facts.requester));
        prop_assert!(facts.actor.is(&facts.requester) || !others(facts).contains(&plain));
        Ok(())
    });
}

#[test]
fn every_no_says_what_is_missing_and_each_of_our_forbids_in_its_own_words() {
    always(|engine, _, _, decision| {
        if decision.allows() {
            prop_assert!(decision.missing.is_empty() && !decision.by.is_empty());
            return Ok(());
        }
        prop_assert!(!decision.missing.is_empty() && !decision.by.is_empty(), "{decision:?}");
        for missing in &decision.missing {
            if let Missing::Policy { policy, says } = missing {
                prop_assert!(policy.starts_with("op:"), "{policy}");
                prop_assert!(engine.about()[policy].says == *says);
            }
        }
        Ok(())
    });
}

#[test]
fn the_approvals_that_are_missing_are_enough() {
    always(|engine, facts, settings, decision| {
        if decision.effect != Effect::NeedsApproval {
            return Ok(());
        }
        let (mut facts, mut n) = (facts.clone(), 0);
        for missing in &decision.missing {
            match missing {
                Missing::Approvals { approvals, role, .. } => {
                    n = *approvals;
                    facts.approvals.held.extend(
                        (0..n).map(|number| Held {
                            by: Who::Person(format!("new-{number}")),
                            roles: [role.clone()].into(),
                        }),
                    );
                }
                Missing::Person { .. } => {
                    facts.actor = Actor::Person { name: "olga".into(), roles: ["operator".to_owned()].into() };
                }
                other => panic!("people cannot do this: {other}"),
            }
        }
        prop_assert!(engine.decide(&facts, settings).allows());
        // And one fewer is not.
        if n > 0 {
            facts.approvals.held.pop();
            prop_assert!(!engine.decide(&facts, settings).allows());
        }
        Ok(())
    });
}
