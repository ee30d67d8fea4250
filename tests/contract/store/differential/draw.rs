//! Commands, drawn from a seed: mostly such as do something, now and then such as must be refused.

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::port::LogLevel;
use mendwright_core::rollout::{self, Tally, Waves};
use mendwright_core::run::{Event, State};
use mendwright_core::switch::{Kind, Running, Scope, Switch};
use mendwright_core::task::Task;
use mendwright_store::fixtures::{NOW, new_run};
use mendwright_store::{
    ChangeFilter, Concurrency, Decision, Fact, Idempotency, Lease, LogLine, Motion, NewRollout, NewRun, RolloutLease,
    RolloutNumber, RunFilter, RunNumber, Step, TrustMotion, Trusted,
};
use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;

use super::command::{AtOnce, Command, RolloutMove, Verdict};

/// 2050: later than the clock of any database here, so that what is compared with that clock is the same.
pub(super) const LATER: i64 = 2_524_608_000_000_000;

/// Times as callers give them.
const TIMES: [i64; 5] = [NOW, NOW + 1, NOW - 1, LATER, LATER + 1];

/// The attempt of a lease that is whichever the run is in; the size of whichever checkpoint is the last.
pub(super) const ANY: u64 = 99;

/// Names in an order that is another one by letters than by bytes; with a character that PostgreSQL has not.
const TENANTS: [&str; 6] = ["Germany", "France", "germany", "Île \u{0} d'Or", "Z", "ä %_\\"];

const JOBS: [&str; 2] = ["reconcile_invoices", "Other"];

/// What people type, and what comes from jobs.
const TEXTS: [&str; 5] = ["a reason", "with \u{0} in it", "zeile ü\n'\"", "Straße 🛠", " "];

const PEOPLE: [&str; 2] = ["person:alice", "person:bob"];

/// One kind of command: what it is called, how often it comes, how it is drawn.
type Kinds = &'static [(&'static str, u32, fn(&mut ChaCha8Rng) -> Command)];

/// Every kind. What is often in vain comes often.
pub(super) const KINDS: Kinds = &[
    ("create", 3, |r| Command::Create(new(r))),
    ("enqueue", 4, |r| Command::Enqueue(new(r), maybe(r, 0.5, key))),
    ("at once", 3, |r| Command::AtOnce(Box::new(at_once(r)))),
    ("save", 6, |r| Command::Save(run(r), r.random_range(0..4), lines(r))),
    ("step", 8, |r| Command::Step(run(r), step(r))),
    ("advance", 16, |r| Command::Advance(run(r), r.random_range(0..30), *pick(r, &TIMES))),
    ("move many", 3, |r| Command::Move((0..r.random_range(0..4)).map(|_| (run(r), vec![step(r)])).collect())),
    ("decide", 6, |r| Command::Decide(run(r), verdict(r))),
    ("log", 2, |r| Command::Log(run(r), lines(r))),
    ("claim", 6, |r| Command::Claim(run(r))),
    ("claim due", 2, |r| {
        let limits = Concurrency { overall: r.random_range(1..6), per_tenant: r.random_range(1..4) };
        Command::ClaimDue(r.random_range(1..4), limits)
    }),
    ("renew", 3, |r| Command::Renew(lease(r))),
    ("release", 3, |r| Command::Release(lease(r))),
    ("put off", 3, |r| Command::PutOff(lease(r))),
    ("give up", 6, |r| Command::GiveUp(lease(r))),
    ("ask", 5, |r| Command::Ask(run(r), task(r), maybe(r, 0.3, text))),
    ("pass time", 3, |_| Command::PassTime),
    ("throw", 4, |r| Command::Throw(switch(r))),
    ("cancel pending", 2, |r| Command::CancelPending(text(r))),
    ("add people", 3, |r| Command::AddPeople(r.random_range(0..6), envelope(r, "people"))),
    ("move people", 6, |r| Command::MovePeople(maybe(r, 0.6, |r| r.random_range(0..5)), maybe(r, 0.9, motion))),
    ("trust", 2, |r| Command::Trust(trusted(r))),
    ("move trust", 3, |r| Command::MoveTrust(pair(r), maybe(r, 0.9, trust_motion))),
    ("begin rollout", 2, |r| Command::BeginRollout(rollout(r))),
    ("step rollout", 5, |r| Command::StepRollout(rollout_number(r), rollout_move(r))),
    ("drive", 2, |r| Command::Drive(r.random_range(0..4))),
    ("release rollout", 1, |r| {
        Command::ReleaseRollout(RolloutLease { rollout: rollout_number(r), attempt: r.random_range(0..4) })
    }),
    ("seat run", 3, |r| Command::SeatRun(rollout_number(r), r.random_range(0..4), run(r))),
    ("seat asked", 2, |r| Command::SeatAsked(rollout_number(r), r.random_range(0..4), *pick(r, &TIMES))),
    ("know schedule", 2, |r| Command::KnowSchedule(entry(r), *pick(r, &TIMES))),
    ("fire", 3, |r| Command::Fire(entry(r), *pick(r, &TIMES))),
    ("fired run", 4, |r| Command::FiredRun((entry(r), *pick(r, &TIMES)), tenant(r), run(r))),
    ("end firing", 2, |r| Command::EndFiring((entry(r), *pick(r, &TIMES)), text(r))),
    ("fired asked", 2, |r| Command::FiredAsked(run(r), *pick(r, &TIMES))),
    ("deliver", 4, |r| Command::Deliver(run(r), facts(r))),
    ("sequence", 3, |r| Command::Sequence(*pick(r, &[0, 1, 7, 1_000]))),
    ("checkpoint", 2, |_| Command::Checkpoint),
    ("anchor", 3, |r| {
        let size = if r.random_bool(0.7) { ANY } else { r.random_range(0..40) };
        Command::Anchor(pick(r, &["file", "Witness"]).to_string(), size, maybe(r, 0.5, text))
    }),
    ("find", 3, |r| Command::Find(reference(r))),
    ("begun by", 1, |r| Command::BegunBy(key(r))),
    ("list", 3, |r| Command::List(filter(r))),
    ("changes", 2, |r| Command::Changes(run(r), of_changes(r), r.random_range(0..3), r.random_range(0..4))),
    ("look", 4, |r| Command::Look(run(r))),
    ("look around", 2, |_| Command::LookAround),
];

/// A command, and which kind it is.
pub(super) fn command(random: &mut ChaCha8Rng) -> (usize, Command) {
    let mut left = random.random_range(0..KINDS.iter().map(|kind| kind.1).sum());
    let drawn = KINDS.iter().position(|(_, often, _)| {
        let is_it = left < *often;
        left = left.saturating_sub(*often);
        is_it
    });
    let kind = drawn.unwrap();
    (kind, KINDS[kind].2(random))
}

/// A command that no store refuses, tells of no time but its own, and counts nothing that was told before.
pub(super) fn steady(random: &mut ChaCha8Rng, n: i64) -> Command {
    match random.random_range(0..6) {
        0 => Command::Create(NewRun { parent: None, compensates: None, ..new(random) }),
        1 => Command::Throw(Switch { reason: "because".into(), ..switch(random) }),
        2 => Command::BeginRollout(rollout(random)),
        3 => Command::Trust(trusted(random)),
        4 => Command::Fire(entry(random), NOW + n),
        _ => Command::Sequence(random.random_range(1..9)),
    }
}

fn pick<'a, T>(random: &mut ChaCha8Rng, of: &'a [T]) -> &'a T {
    &of[random.random_range(0..of.len())]
}

fn maybe<T>(random: &mut ChaCha8Rng, often: f64, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> Option<T> {
    random.random_bool(often).then(|| draw(random))
}

fn run(random: &mut ChaCha8Rng) -> RunNumber {
    RunNumber::new(if random.random_bool(0.02) { u64::MAX } else { random.random_range(1..12) })
}

fn rollout_number(random: &mut ChaCha8Rng) -> RolloutNumber {
    RolloutNumber::new(if random.random_bool(0.02) { u64::MAX } else { random.random_range(1..4) })
}

fn lease(random: &mut ChaCha8Rng) -> Lease {
    let attempt = if random.random_bool(0.6) { ANY } else { random.random_range(0..4) };
    Lease { run: run(random), attempt }
}

fn task(random: &mut ChaCha8Rng) -> Task {
    if random.random_bool(0.5) { Task::Apply } else { *pick(random, &Task::ALL) }
}

fn tenant(random: &mut ChaCha8Rng) -> String {
    // Mostly the first: some things happen only to several runs of one tenant.
    let first = random.random_bool(0.4);
    if first { TENANTS[0].into() } else { pick(random, &TENANTS).to_string() }
}

fn text(random: &mut ChaCha8Rng) -> String {
    pick(random, &TEXTS).to_string()
}

fn person(random: &mut ChaCha8Rng) -> String {
    pick(random, &PEOPLE).to_string()
}

fn entry(random: &mut ChaCha8Rng) -> String {
    pick(random, &["nightly", "Weekly", "n\u{0}n"]).to_string()
}

/// What somebody signed, as far as the store knows.
fn envelope(random: &mut ChaCha8Rng, of: &str) -> String {
    let says = *pick(random, &["approve", "reject", "withdraw"]);
    let (who, n) = (person(random), random.next_u32());
    serde_json::json!({ "payloadType": of, "payload": format!("{says} {n}"), "signatures": [{ "keyid": who }] })
        .to_string()
}

fn new(random: &mut ChaCha8Rng) -> NewRun {
    let mut new = new_run(&tenant(random));
    new.job_name = if random.random_bool(0.9) { JOBS[0].into() } else { JOBS[1].into() };
    new.only = if random.random_bool(0.2) { vec!["invoices/6".into()] } else { vec![] };
    new.parent = maybe(random, 0.1, run);
    new.compensates = maybe(random, 0.1, run);
    new
}

fn key(random: &mut ChaCha8Rng) -> Idempotency {
    let request = Digest::of(pick::<&str>(random, &["x", "y"]).as_bytes());
    Idempotency { key: pick(random, &["a", "b", "A\u{0}"]).to_string(), request }
}

fn lines(random: &mut ChaCha8Rng) -> Vec<LogLine> {
    let level = |random: &mut ChaCha8Rng| *pick(random, &[LogLevel::Info, LogLevel::Warn]);
    (0..random.random_range(0..4)).map(|_| LogLine { level: level(random), text: text(random) }).collect()
}

/// A step out of a state, by an event that can happen there more often than not.
fn step(random: &mut ChaCha8Rng) -> Step {
    // Mostly one in which runs are.
    let usual = [State::Planning, State::Planned, State::AwaitingApproval, State::Applying];
    let state = if random.random_bool(0.8) { *pick(random, &usual) } else { *pick(random, &State::ALL) };
    let possible: Vec<Event> = Event::ALL.into_iter().filter(|event| state.apply(*event).is_ok()).collect();
    let event = if possible.is_empty() { *pick(random, &Event::ALL) } else { *pick(random, &possible) };
    let mut step = Step::new(state, event, *pick(random, &TIMES)).note(text(random));
    if random.random_bool(0.5) {
        step = step.outcome(Code::LockWait, text(random));
    }
    if random.random_bool(0.3) {
        step = step.attempt(random.random_range(0..4));
    }
    if random.random_bool(0.2) {
        step = step.again_in(5);
    }
    if random.random_bool(0.2) {
        step = step.by(person(random)).undo_until(LATER);
    }
    facts(random).into_iter().fold(step, Step::fact)
}

fn decision(random: &mut ChaCha8Rng) -> Decision {
    let said = |random: &mut ChaCha8Rng, of: &[&str]| pick(random, of).to_string();
    Decision {
        stage: said(random, &["before_planning", "with_plan", "at_apply"]),
        effect: said(random, &["allow", "deny", "needs_approval"]),
        decision: serde_json::json!({ "why": text(random) }).to_string(),
        facts: "{}".into(),
    }
}

fn verdict(random: &mut ChaCha8Rng) -> Verdict {
    Verdict {
        vote: maybe(random, 0.6, |random| envelope(random, "approval")),
        decision: maybe(random, 0.7, decision),
        event: maybe(random, 0.4, |random| *pick(random, &Event::ALL)),
        facts: facts(random),
        refuses: random.random_bool(0.2),
    }
}

fn at_once(random: &mut ChaCha8Rng) -> AtOnce {
    let event = if random.random_bool(0.9) { Event::ApplyStarted } else { *pick(random, &Event::ALL) };
    let started = maybe(random, 0.9, |random| Step::new(State::Planned, event, *pick(random, &TIMES)));
    let decisions = (0..random.random_range(1..3)).map(|_| decision(random)).collect();
    AtOnce { new: new(random), key: maybe(random, 0.5, key), changes: random.random_range(0..4), decisions, started }
}

fn fact(random: &mut ChaCha8Rng) -> Fact {
    let fact = Fact::new("test", &person(random), *pick(random, &TIMES)).say("text", text(random));
    match random.random_range(0..3) {
        0 => fact.once(pick(random, &["the same", "another"]).to_string()),
        1 => fact.delivery(format!("delivery {}", random.random_range(0..6))),
        _ => fact,
    }
}

fn facts(random: &mut ChaCha8Rng) -> Vec<Fact> {
    (0..random.random_range(0..4)).map(|_| fact(random)).collect()
}

/// Every kind with every scope that it takes, thrown and put back.
fn switch(random: &mut ChaCha8Rng) -> Switch {
    let tenant = tenant(random);
    let category = pick(random, &["DATA", "data"]).to_string();
    let job = pick(random, &JOBS).to_string();
    let scopes = [
        Scope::Everything,
        Scope::Tenant(tenant),
        Scope::Module("billing".into()),
        Scope::Category(category),
        Scope::Job(job),
    ];
    let all: Vec<(Kind, &Scope)> = Kind::ALL
        .into_iter()
        .flat_map(|kind| scopes.iter().map(move |scope| (kind, scope)))
        .filter(|(kind, scope)| kind.takes(scope))
        .collect();
    let (kind, scope) = *pick(random, &all);
    Switch {
        kind,
        scope: scope.clone(),
        is_on: random.random_bool(0.5),
        reason: if random.random_bool(0.05) { String::new() } else { text(random) },
        by: person(random),
        at_us: *pick(random, &TIMES),
        expires_at_us: maybe(random, 0.6, |random| *pick(random, &[NOW + 1, LATER, i64::MIN, i64::MAX])),
        running: *pick(random, &[Running::Wait, Running::RollBack]),
    }
}

fn motion(random: &mut ChaCha8Rng) -> (Motion, String) {
    let (envelope, reason) = (envelope(random, "people"), text(random));
    let is_enough = random.random_bool(0.3);
    let motion = match random.random_range(0..5) {
        0..=1 => Motion::Propose { version: random.random_range(0..6), envelope, reason, is_enough },
        2..=3 => Motion::Sign { envelope, is_enough },
        _ => Motion::Discard { reason },
    };
    (motion, person(random))
}

fn pair(random: &mut ChaCha8Rng) -> (String, String) {
    (pick(random, &JOBS).to_string(), tenant(random))
}

fn trusted(random: &mut ChaCha8Rng) -> Trusted {
    let (job, tenant) = pair(random);
    let trust = pick(random, &["suggest", "approve", "auto"]).to_string();
    Trusted { job, tenant, trust, by: person(random), reason: text(random), at_us: *pick(random, &TIMES) }
}

fn trust_motion(random: &mut ChaCha8Rng) -> (TrustMotion, String) {
    let motion = if random.random_bool(0.5) {
        TrustMotion::Wait { envelope: envelope(random, "trust"), asked_by: person(random) }
    } else {
        let facts = vec![("signed_by", person(random)), ("policies", text(random))];
        TrustMotion::Set { trust: "auto".into(), reason: text(random), facts }
    };
    (motion, person(random))
}

fn rollout(random: &mut ChaCha8Rng) -> NewRollout {
    let waves: Waves = pick(random, &["1,100%", "2,50%,100%", "100%"]).parse().unwrap();
    let tenants: Vec<String> = (0..random.random_range(0..4)).map(|_| tenant(random)).collect();
    NewRollout {
        job: pick(random, &JOBS).to_string(),
        params: serde_json::json!({ "text": text(random), "n": random.next_u32() }),
        seats: waves.seat(&tenants),
        waves,
        stop_if: "rollbacks > 2%".parse().unwrap(),
        started_by: person(random),
    }
}

fn rollout_move(random: &mut ChaCha8Rng) -> RolloutMove {
    // Mostly such as it goes on after.
    let events = [&rollout::Event::ALL[..1], &rollout::Event::ALL[2..5], &rollout::Event::ALL].concat();
    let n = |random: &mut ChaCha8Rng| *pick(random, &[0, 1, u64::MAX]);
    let tally = |random: &mut ChaCha8Rng| Tally {
        ended: n(random),
        rollbacks: n(random),
        failures: n(random),
        refusals: n(random),
    };
    RolloutMove {
        event: *pick(random, &events),
        because: text(random),
        seen: maybe(random, 0.3, tally),
        is_stale: random.random_bool(0.1),
    }
}

fn reference(random: &mut ChaCha8Rng) -> String {
    let some = ["1", "#3", "@last", "abcd", "ABCD", "0000", "c0c0", "%", "_", "nobody\u{0}", "18446744073709551615"];
    pick(random, &some).to_string()
}

fn filter(random: &mut ChaCha8Rng) -> RunFilter {
    RunFilter {
        tenant: maybe(random, 0.5, tenant),
        job: maybe(random, 0.2, |random| pick(random, &JOBS).to_string()),
        state: maybe(random, 0.3, |random| *pick(random, &State::ALL)),
        applied_since_us: maybe(random, 0.2, |random| *pick(random, &TIMES)),
        before: maybe(random, 0.3, run),
        limit: *pick(random, &[0, 1, 2, 5, u32::MAX]),
    }
}

fn of_changes(random: &mut ChaCha8Rng) -> ChangeFilter {
    ChangeFilter {
        resource: maybe(random, 0.3, |random| pick(random, &["invoices", "Invoices"]).to_string()),
        key: maybe(random, 0.2, |random| pick(random, &["1", "i:1"]).to_string()),
        text: maybe(random, 0.6, |random| pick(random, &["of 2", "OF 2", "%", "", "\u{0}"]).to_string()),
    }
}
