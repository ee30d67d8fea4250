//! The same commands, drawn from a seed, to a control store on SQLite and to one on PostgreSQL: the same
//! answers. A failure prints its seed; `MENDWRIGHT_SEED` plays it again.

use mendwright_core::code::Code;
use mendwright_core::commitment::Salt;
use mendwright_core::plan::Digest;
use mendwright_core::run::{Event, State};
use mendwright_core::switch::{Kind, Running, Scope, Switch};
use mendwright_core::task::Task;
use mendwright_store::fixtures::{NOW, changes, document, header, new_run};
use mendwright_store::{
    ChangeFilter, Concurrency, Decision, Error, Fact, Idempotency, Known, Lease, LogLine, NewPlan, NewRun, RunFilter,
    RunNumber, RunRecord, Step, Store, Trusted, Verdict,
};
use mendwright_tests::postgres::Cluster;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Sequences of commands, each against a fresh pair of stores.
const SEQUENCES: u64 = 6;

/// Commands of one sequence.
const COMMANDS: usize = 120;

/// What is asked of both.
#[derive(Clone, Debug)]
enum Command {
    Create(NewRun),
    Enqueue(NewRun, Option<Idempotency>),
    Save(RunNumber, i64),
    Step(RunNumber, State, Event, Option<u64>, bool),
    Claim(RunNumber),
    ClaimDue(u32, Concurrency),
    Renew(Lease),
    Release(Lease),
    PutOff(Lease),
    GiveUp(Lease),
    Ask(RunNumber, Task),
    Throw(Switch),
    Decide(RunNumber, Option<String>, Option<Event>, bool),
    AddPeople(u64, String),
    Trust(Trusted),
    Find(String),
    List(RunFilter),
    Log(RunNumber, String),
    Look(RunNumber),
}

fn pick<'a, T>(random: &mut ChaCha8Rng, of: &'a [T]) -> &'a T {
    &of[random.random_range(0..of.len())]
}

fn run(random: &mut ChaCha8Rng) -> RunNumber {
    RunNumber::new(random.random_range(1..12))
}

fn lease(random: &mut ChaCha8Rng) -> Lease {
    Lease { run: run(random), attempt: random.random_range(0..4) }
}

fn new(random: &mut ChaCha8Rng) -> NewRun {
    let tenant: &str = pick::<&str>(random, &["Germany", "France", "Île \u{0} d'Or"]);
    let mut new = new_run(tenant);
    new.only = if random.random_bool(0.2) { vec!["invoices/6".into()] } else { vec![] };
    new.parent = random.random_bool(0.2).then(|| run(random));
    new
}

/// Events that the state can see more often than not.
fn event(random: &mut ChaCha8Rng) -> (State, Event) {
    let state = *pick(random, &State::ALL);
    let possible: Vec<Event> = Event::ALL.into_iter().filter(|event| state.apply(*event).is_ok()).collect();
    match possible.as_slice() {
        [] => (state, *pick(random, &Event::ALL)),
        possible => (state, *pick(random, possible)),
    }
}

fn switch(random: &mut ChaCha8Rng) -> Switch {
    let scopes = [Scope::Everything, Scope::Tenant("France".into()), Scope::Job("reconcile_invoices".into())];
    Switch {
        kind: *pick(random, &Kind::ALL),
        scope: pick(random, &scopes).clone(),
        is_on: random.random_bool(0.5),
        reason: "a reason".into(),
        by: "person:alice".into(),
        at_us: NOW,
        expires_at_us: random.random_bool(0.5).then_some(NOW + 1),
        running: *pick(random, &[Running::Wait, Running::RollBack]),
    }
}

fn command(random: &mut ChaCha8Rng) -> Command {
    match random.random_range(0..24) {
        0 | 1 => Command::Create(new(random)),
        2 | 3 => {
            let key = random.random_bool(0.5).then(|| Idempotency {
                key: pick(random, &["a", "b"]).to_string(),
                request: Digest::of(pick::<&str>(random, &["x", "y"]).as_bytes()),
            });
            Command::Enqueue(new(random), key)
        }
        4 | 5 => Command::Save(run(random), random.random_range(0..4)),
        6..=8 => {
            let (state, event) = event(random);
            let attempt = random.random_bool(0.3).then(|| random.random_range(0..4));
            Command::Step(run(random), state, event, attempt, random.random_bool(0.2))
        }
        9 => Command::Claim(run(random)),
        10 => {
            let limits = Concurrency { overall: random.random_range(1..6), per_tenant: random.random_range(1..4) };
            Command::ClaimDue(random.random_range(1..4), limits)
        }
        11 => Command::Renew(lease(random)),
        12 => Command::Release(lease(random)),
        13 => Command::PutOff(lease(random)),
        14 => Command::GiveUp(lease(random)),
        15 => Command::Ask(run(random), *pick(random, &Task::ALL)),
        16 => Command::Throw(switch(random)),
        17 => {
            let vote = random.random_bool(0.5).then(|| format!("vote {}", random.next_u32()));
            let event = random.random_bool(0.6).then(|| event(random).1);
            Command::Decide(run(random), vote, event, random.random_bool(0.2))
        }
        18 => Command::AddPeople(random.random_range(0..4), format!("people {}", random.next_u32())),
        19 => Command::Trust(Trusted {
            job: "reconcile_invoices".into(),
            tenant: pick(random, &["Germany", "France"]).to_string(),
            trust: pick(random, &["suggest", "auto"]).to_string(),
            by: "person:alice".into(),
            reason: "because".into(),
            at_us: NOW,
        }),
        20 => Command::Find(pick(random, &["1", "#3", "@last", "abcd", "nobody", "18446744073709551615"]).to_string()),
        21 => Command::List(RunFilter {
            tenant: random.random_bool(0.5).then(|| "Germany".into()),
            state: random.random_bool(0.3).then(|| *pick(random, &State::ALL)),
            before: random.random_bool(0.3).then(|| run(random)),
            limit: random.random_range(1..6),
            ..RunFilter::default()
        }),
        22 => Command::Log(run(random), pick(random, &["a line", "with \u{0} in it", "zeile ü"]).to_string()),
        _ => Command::Look(run(random)),
    }
}

/// A run without what differs between two stores by nature: whose process, and the database's clock.
fn plain(mut run: RunRecord) -> RunRecord {
    if let Some(leased) = &mut run.leased {
        leased.owner.clear();
        leased.until_us = 0;
    }
    if let Some(asked) = &mut run.asked {
        asked.due_at_us = 0;
    }
    run
}

fn said(error: Error) -> String {
    // A rule of the schema is said in each driver's own words; everything else is the same.
    let words = error.to_string();
    let words = words.split("error returned from database").next().unwrap_or_default();
    format!("{:?} {words} | {}", error.code(), error.hint())
}

fn told<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => said(error),
    }
}

/// Whether this is about time that only one of the two clocks measured: nothing here is.
async fn act(store: &Store, command: &Command) -> String {
    match command.clone() {
        Command::Create(new) => told(store.create_run(new, NOW).await.map(|(run, lease)| (plain(run), lease))),
        Command::Enqueue(new, key) => told(store.enqueue_run(new, key.as_ref(), NOW).await.map(|begun| match begun {
            mendwright_store::Begun::New(run) => ("new", plain(run)),
            mendwright_store::Begun::Before(run) => ("before", plain(run)),
        })),
        Command::Save(run, n) => save(store, run, n).await,
        Command::Step(run, state, event, attempt, again) => {
            let mut step = Step::new(state, event, NOW).note("a note").outcome(Code::LockWait, "why");
            step = attempt.map_or(step.clone(), |attempt| step.attempt(attempt));
            step = if again { step.again_after(5) } else { step };
            told(store.step(run, step).await)
        }
        Command::Claim(run) => told(store.claim(run).await),
        Command::ClaimDue(n, limits) => {
            told(store.claim_due(n, limits).await.map(|claimed| {
                claimed.into_iter().map(|(run, lease)| (run.number, run.state, lease)).collect::<Vec<_>>()
            }))
        }
        Command::Renew(lease) => told(store.renew(lease).await),
        Command::Release(lease) => told(store.release(lease).await),
        Command::PutOff(lease) => told(store.put_off(lease, 3_600_000_000).await),
        Command::GiveUp(lease) => told(store.give_up(lease, Code::LockWait, "no").await),
        Command::Ask(run, task) => match store.run(run).await {
            Ok(record) => told(store.ask(&record, task, "person:bob", Some("0123")).await),
            Err(error) => said(error),
        },
        Command::Throw(switch) => told(store.throw(&switch).await),
        Command::Decide(run, vote, event, refuses) => decide(store, run, vote, event, refuses).await,
        Command::AddPeople(version, envelope) => told(store.add_people(version, &envelope, "person:alice", NOW).await),
        Command::Trust(trusted) => told(store.set_trust(&trusted).await),
        Command::Find(reference) => told(store.find(&reference).await.map(plain)),
        Command::List(filter) => {
            told(store.list(&filter).await.map(|runs| runs.into_iter().map(plain).collect::<Vec<_>>()))
        }
        Command::Log(run, text) => {
            let line = LogLine { level: mendwright_core::port::LogLevel::Info, text };
            told(store.save_log(run, &[line]).await)
        }
        Command::Look(run) => look(store, run).await,
    }
}

async fn save(store: &Store, run: RunNumber, n: i64) -> String {
    let record = match store.run(run).await {
        Ok(record) => record,
        Err(error) => return said(error),
    };
    let changes = changes(n);
    let header = header(&record, &changes);
    let document = document(&record, &header);
    let salt = Salt::new([9; 32]);
    let plan =
        NewPlan { header: &header, document: &document, salt: &salt, log: &[], expires_at_us: NOW + 1, now_us: NOW };
    told(store.save_plan(run, plan, &changes).await)
}

async fn decide(store: &Store, run: RunNumber, vote: Option<String>, event: Option<Event>, refuses: bool) -> String {
    let judge = |known: &Known| {
        if refuses {
            return Err(format!("refused with {} votes", known.votes.len()));
        }
        let text = |text: &str| text.to_owned();
        let decision =
            Decision { stage: text("with_plan"), effect: text("deny"), decision: text("{}"), facts: text("{}") };
        let steps = event.map(|event| Step::new(known.run.state, event, NOW)).into_iter().collect();
        let facts = vec![Fact::new("test", "person:alice", NOW).say("x", 1).once("the same".to_owned())];
        let seen = (known.votes.len(), known.around.switches.clone(), known.around.people.clone());
        Ok((Verdict { decision: Some(decision), steps, facts }, seen))
    };
    told(store.decide(run, vote.as_deref(), judge).await)
}

/// Everything that can be read of a run.
async fn look(store: &Store, run: RunNumber) -> String {
    let changes =
        store.changes(run, &ChangeFilter { text: Some("of 2".into()), ..ChangeFilter::default() }, 0, 9).await;
    let decisions: Vec<_> = store.decisions(run).await.unwrap().into_iter().map(|d| (d.seq, d.decision)).collect();
    let votes: Vec<_> = store.votes(run).await.unwrap().into_iter().map(|vote| (vote.seq, vote.envelope)).collect();
    [
        told(store.run(run).await.map(plain)),
        told(store.events(run).await),
        told(store.verify_plan(run).await),
        told(changes),
        told(store.log(run).await),
        format!("{decisions:?} {votes:?}"),
        told(store.switches().await),
        told(store.trust().await),
        told(store.track_record("reconcile_invoices", "Germany").await),
        told(store.compensation_of(run).await.map(|run| run.map(plain))),
        told(store.in_flight().await.map(|runs| runs.len())),
    ]
    .join("\n")
}

fn seeds() -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test that plays one seed again is told so by its caller")]
    match std::env::var("MENDWRIGHT_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=SEQUENCES).collect(),
    }
}

#[tokio::test]
async fn both_engines_give_the_same_answers_to_the_same_commands() {
    for seed in seeds() {
        let directory = tempfile::tempdir().unwrap();
        let database = Cluster::shared().empty_database("control").await.unwrap();
        let sqlite = Store::open_file(&directory.path().join("control.db"), "one", NOW).await.unwrap();
        let postgres = Store::open_postgres(&database.url, "one", NOW).await.unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut worked = 0;
        for n in 0..COMMANDS {
            let command = command(&mut random);
            let (a, b) = (act(&sqlite, &command).await, act(&postgres, &command).await);
            assert_eq!(a, b, "seed {seed}, command {n}: {command:?}");
            worked += usize::from(!a.starts_with("Run") && !a.starts_with("Internal"));
        }
        for run in 1..12 {
            let run = RunNumber::new(run);
            assert_eq!(look(&sqlite, run).await, look(&postgres, run).await, "seed {seed}, at the end: {run}");
        }
        // A differential test in which nothing happens finds nothing.
        assert!(worked > COMMANDS / 4, "seed {seed}: only {worked} commands did something");
    }
}
