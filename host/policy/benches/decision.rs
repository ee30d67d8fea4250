//! What a decision costs with the default policies: `cargo bench -p mendwright-policy --bench decision`
//!
//! The rival is Cedar alone: the same policies uncut, and a request, its context and entities that
//! are there already. A decision of ours also computes what follows from the facts, builds all three,
//! and says what is missing.

#![expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]

use std::collections::HashSet;
use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

use cedar_policy::{Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression};
use criterion::Criterion;
use mendwright_core::policy::Settings;
use mendwright_policy::Engine;
use mendwright_policy::cases::{Case, Cases};
use mendwright_policy::files::COMPILED_IN;

/// The product's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Decisions of one measurement of the ratio.
const DECISIONS: u32 = 20_000;

/// One question of each kind: a yes to a person, a yes to a machine past every forbid, a wish for
/// approvals, and a no that misses several things.
const QUESTIONS: [(&str, &str); 4] = [
    ("person allowed", "level 3: one other person approved, and the requester applies"),
    ("machine allowed", "auto: everything agrees"),
    ("approvals missing", "level 3 01: nobody approved"),
    ("machine denied", "auto: everything that is missing is said at once"),
];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let engine = Engine::builtin().expect("policies");
    let cases = Cases::parse(include_str!("../tests/cases.toml"), &Settings::default()).expect("cases");
    let rival = Rival::new();
    let mut group = criterion.benchmark_group("decision");
    group.bench_function("cedar alone", |bench| bench.iter(|| rival.ask()));
    for (label, name) in QUESTIONS {
        let case = case(&cases, name);
        group.bench_function(label, |bench| bench.iter(|| engine.decide(&case.facts, &case.settings)));
    }
    group.finish();
    criterion.final_summary();

    let alone = microseconds(|| rival.ask());
    println!("cedar alone          {alone:6.1} us");
    for (label, name) in QUESTIONS {
        let case = case(&cases, name);
        let ours = microseconds(|| engine.decide(&case.facts, &case.settings));
        println!("{label:20} {ours:6.1} us, {:.2} of cedar alone", ours / alone);
    }
}

fn case<'a>(cases: &'a Cases, name: &str) -> &'a Case {
    cases.cases().iter().find(|case| case.name == name).expect("a case of this name")
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn microseconds<T>(mut what: impl FnMut() -> T) -> f64 {
    let begun = Instant::now();
    for _ in 0..DECISIONS {
        black_box(what());
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
}

/// A machine's apply with everything in its favour, all of it prepared.
struct Rival {
    authorizer: Authorizer,
    policies: PolicySet,
    request: Request,
    entities: Entities,
}

impl Rival {
    fn new() -> Self {
        let text: String = COMPILED_IN.map(|(_, text)| text).concat();
        let uid = |text: &str| EntityUid::from_str(text).expect("a uid");
        let alone = |text: &str| Entity::new_no_attrs(uid(text), HashSet::new());
        let (machine, run) = (r#"Machine::"detector/totals""#, r#"Run::"run_1044""#);
        let request = Request::new(uid(machine), uid(r#"Action::"apply""#), uid(run), context(), None);
        Self {
            authorizer: Authorizer::new(),
            policies: PolicySet::from_str(&text).expect("policies"),
            request: request.expect("a request"),
            entities: Entities::from_entities([alone(machine), alone(run)], None).expect("entities"),
        }
    }

    fn ask(&self) -> cedar_policy::Response {
        let response = self.authorizer.is_authorized(&self.request, &self.policies, &self.entities);
        assert_eq!(response.decision(), cedar_policy::Decision::Allow, "the rival answers the same question");
        response
    }
}

fn context() -> Context {
    let numbers = [
        ("level", 1),
        ("level_of_plan", 1),
        ("approvals", 0),
        ("approvals_needed", 0),
        ("severity", 2),
        ("severity_max", 2),
        ("confidence", 930),
        ("confidence_min", 800),
        ("runs_last_hour", 0),
        ("runs_per_hour_max", 5),
        ("changes", 40),
        ("changes_max", 1_000),
        ("share", 500),
        ("share_max", 1_000),
    ];
    let booleans = [
        ("kill_switch", false),
        ("safe_mode", false),
        ("break_glass", false),
        ("own_request", true),
        ("already_approved", false),
        ("whitelisted", true),
        ("canary", true),
        ("auto_heal", true),
        ("cooling_down", false),
        ("cooldown_binds_people", false),
        ("window_open", true),
        ("planned", true),
        ("expired", false),
        ("rehearsed", true),
    ];
    let trust = ("trust".to_owned(), RestrictedExpression::new_string("auto".to_owned()));
    let numbers = numbers.map(|(name, value)| (name.to_owned(), RestrictedExpression::new_long(value)));
    let booleans = booleans.map(|(name, value)| (name.to_owned(), RestrictedExpression::new_bool(value)));
    Context::from_pairs(numbers.into_iter().chain(booleans).chain([trust])).expect("a context")
}
