//! P12, *runs are deterministic*: time, randomness and order come from the host, and a recorded dry run
//! plays again without any database, to the last bit.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;
use std::sync::{Arc, OnceLock};

use mendwright_core::authority::{Allow, Authority, Grant, Request, decide};
use mendwright_core::budget::{Budget, Meter, Metric};
use mendwright_core::change::Action;
use mendwright_core::commitment::Salt;
use mendwright_core::plan::{BoundChange, Masking, bound};
use mendwright_core::port::{Severity, Tables};
use mendwright_core::run::State;
use mendwright_gateway::{Computed, Session};
use mendwright_sandbox::recording::{FORMAT, Header, Recorder, Replayer};
use mendwright_sandbox::{Call, Capability, Export, Finished, Identity, Job, Sandbox};
use mendwright_tests::guests;
use serde_json::json;

use crate::hostile::{GRANT, REQUEST, attack, chinook};
use crate::story::break_books;
use crate::world::{ENGINES, Short as _, World, lines};

const SEED: u64 = 42;

/// One execution's inputs, all but the data.
struct Inputs {
    sandbox: &'static Sandbox,
    job: Arc<Job>,
    authority: Authority,
    findings: Arc<BTreeMap<String, Severity>>,
    params: String,
}

/// The component, compiled once for all of these tests.
async fn loaded(guest: &str) -> (&'static Sandbox, Arc<Job>) {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    static JOBS: OnceLock<tokio::sync::Mutex<BTreeMap<String, Arc<Job>>>> = OnceLock::new();
    let config = || mendwright_sandbox::Config { pooling: false, ..Default::default() };
    let sandbox = SANDBOX.get_or_init(|| Sandbox::new(config()).unwrap());
    let mut jobs = JOBS.get_or_init(Default::default).lock().await;
    if !jobs.contains_key(guest) {
        let job = sandbox.load(guests::component(guest), &BTreeSet::from(Capability::ALL)).await.unwrap();
        jobs.insert(guest.to_owned(), job);
    }
    (sandbox, Arc::clone(&jobs[guest]))
}

impl Inputs {
    async fn of(guest: &str, tables: &[(&str, &[&str], &[&str])], params: &str, findings: &[&str]) -> Self {
        let (sandbox, job) = loaded(guest).await;
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        let (mut requests, mut allow) = (BTreeMap::new(), BTreeMap::new());
        for (table, read, write) in tables {
            let operations: BTreeSet<Action> = if write.is_empty() { [].into() } else { [Action::Update].into() };
            let request = Request {
                read: words(read),
                write: words(write),
                operations: operations.clone(),
                ..Request::default()
            };
            requests.insert((*table).to_owned(), request);
            allow.insert((*table).to_owned(), Allow { read: words(read), write: words(write), operations });
        }
        // What reconcile_invoices asks for and does without here.
        requests.insert("payments".to_owned(), Request { optional: true, ..Request::default() });
        let authority = decide(&requests, &[Grant { name: "all".to_owned(), bind: BTreeMap::new(), allow }]).unwrap();
        let findings = findings.iter().map(|code| ((*code).to_owned(), Severity::Info)).collect();
        Self { sandbox, job, authority, findings: Arc::new(findings), params: params.to_owned() }
    }

    async fn session(&self, world: &World) -> Session {
        let config = world.config();
        let targets = mendwright::engine::targets(&config, &world.env(), ["target"]).unwrap();
        let meter = Arc::new(Meter::new(Budget::default()));
        Session::open(&targets, &config.resources, &self.authority, "Germany", meter).await.unwrap()
    }

    fn identity() -> Identity {
        Identity {
            run: "run_01a1f921307a7b5b9e08efb5220a99a8".to_owned(),
            tenant: "Germany".to_owned(),
            job: "hostile".to_owned(),
            version: "1.0.0".to_owned(),
            now_us: 1_795_181_064_314_962,
        }
    }

    fn call<T>(&self, tables: T) -> Call<T> {
        self.call_with(tables, SEED)
    }

    fn call_with<T>(&self, tables: T, seed: u64) -> Call<T> {
        Call {
            export: Export::DryRun,
            identity: Self::identity(),
            seed,
            params: self.params.clone(),
            meter: Arc::new(Meter::new(Budget::default())),
            findings: Arc::clone(&self.findings),
            tables,
            progress: None,
        }
    }

    fn header(&self) -> Header {
        Header {
            format: FORMAT.to_owned(),
            component: self.job.sha256().to_owned(),
            identity: Self::identity(),
            seed: SEED,
            params: self.params.clone(),
        }
    }
}

/// Everything of a call but its wall time.
fn story<T: Tables>(finished: &Finished<T>) -> String {
    let measured = finished.measured;
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}\nfuel {} memory {} calls {}",
        finished.result,
        finished.log,
        finished.findings,
        finished.checks,
        measured.fuel,
        measured.memory_peak,
        measured.host_calls
    )
}

/// The root over the changes, as a plan's header binds it, and the changes themselves.
fn changes(computed: &Computed) -> (String, Vec<String>) {
    let masking = Masking { salt: Salt::new([7; 32]), sensitive: BTreeMap::new() };
    let key = |resource: &str| computed.bindings[resource].key.clone();
    let mut all: Vec<BoundChange> =
        computed.changes().map(|change| masking.bind(&change, &key(&change.resource))).collect();
    all.sort_by(BoundChange::order);
    (hex::encode(bound::root(&all)), lines(&all))
}

async fn reconcile() -> Inputs {
    let manifest = mendwright_tests::workspace_root().join("jobs/reconcile_invoices/job.toml");
    let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
    let findings: Vec<&str> = manifest["finding"].as_table().unwrap().keys().map(String::as_str).collect();
    let tables: [(&str, &[&str], &[&str]); 2] = [
        ("invoices", &["id", "total"], &["total"]),
        ("invoice_lines", &["id", "invoice_id", "track", "unit_price", "quantity"], &[]),
    ];
    Inputs::of("reconcile_invoices", &tables, "{}", &findings).await
}

async fn hostile(name: &str) -> Inputs {
    let params = json!({
        "attack": name, "n": 50, "code": "flood", "rows": [[["i:1"], "d:9.90"], [["i:6"], "d:3.30"], [["i:2"], "d:1"]],
    });
    Inputs::of("hostile", &[("invoices", &["id", "total"], &["total"])], &params.to_string(), &["flood"]).await
}

const ATTACKS: [&str; 10] = [
    "none",
    "clock",
    "random",
    "look-around",
    "cursor-order",
    "scan-foreign",
    "names",
    "finding-flood",
    "panic",
    "empty-scans",
];

#[tokio::test]
async fn the_same_inputs_give_the_same_run_to_the_last_unit_of_fuel() {
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        break_books(&world, engine).await;
        let inputs = reconcile().await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let finished = inputs.sandbox.call(&inputs.job, inputs.call(inputs.session(&world).await)).await;
            let story = story(&finished);
            seen.push((story, changes(&finished.tables.finish().await.unwrap())));
        }
        assert!(seen[0].1.1.len() > 3, "{engine:?}: something was repaired: {:?}", seen[0]);
        assert!(seen[0].0.contains("Ok(Summary"), "{engine:?} {}", seen[0].0);
        assert_eq!(seen[0], seen[1], "{engine:?}");
        assert_eq!(seen[1], seen[2], "{engine:?}");
    }
}

#[tokio::test]
async fn both_engines_give_the_same_changes_log_and_findings() {
    let mut roots = Vec::new();
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        // The same damage where both engines can hold it: floats' noise is none in exact decimals.
        let set = match engine {
            crate::world::Engine::Sqlite => r#"UPDATE "Invoice" SET "Total" = "InvoiceId" WHERE "InvoiceId" % 3 = 0"#,
            crate::world::Engine::Postgres => "UPDATE invoice SET total = invoice_id WHERE invoice_id % 3 = 0",
        };
        world.sql(set).await;
        let inputs = reconcile().await;
        let finished = inputs.sandbox.call(&inputs.job, inputs.call(inputs.session(&world).await)).await;
        let (log, findings) = (finished.log.clone(), finished.findings.clone());
        let (_, changes) = changes(&finished.tables.finish().await.unwrap());
        assert!(changes.len() > 3, "{changes:?}");
        roots.push((format!("{:?}", finished.result), changes, log, findings));
    }
    assert_eq!(roots[0], roots[1]);
}

#[tokio::test]
async fn an_application_that_works_at_the_same_time_changes_nothing_of_a_run() {
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        break_books(&world, engine).await;
        let inputs = reconcile().await;
        // Both snapshots are taken; between the runs the application writes every row.
        let (first, second) = (inputs.session(&world).await, inputs.session(&world).await);
        let first = inputs.sandbox.call(&inputs.job, inputs.call(first)).await;
        let set = match engine {
            crate::world::Engine::Sqlite => r#"UPDATE "Invoice" SET "Total" = 0.01"#,
            crate::world::Engine::Postgres => "UPDATE invoice SET total = 0.01",
        };
        world.sql(set).await;
        let second = inputs.sandbox.call(&inputs.job, inputs.call(second)).await;
        assert_eq!(story(&first), story(&second), "{engine:?}");
        let (first, second) = (first.tables.finish().await.unwrap(), second.tables.finish().await.unwrap());
        assert_eq!(changes(&first), changes(&second), "{engine:?}");
    }
}

#[tokio::test]
async fn a_recorded_dry_run_plays_again_without_any_database() {
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        break_books(&world, engine).await;
        let mut all = vec![reconcile().await];
        for name in ATTACKS {
            all.push(hostile(name).await);
        }
        let mut recorded = Vec::new();
        for inputs in all {
            let recorder = Recorder::new(inputs.session(&world).await, Vec::new(), &inputs.header()).unwrap();
            let finished = inputs.sandbox.call(&inputs.job, inputs.call(recorder)).await;
            let story = story(&finished);
            let (session, recording) = finished.tables.finish().unwrap();
            session.close().await;
            recorded.push((inputs, story, recording));
        }
        // The database and everything around it is gone.
        drop(world);
        for (inputs, story_then, recording) in recorded {
            let told = format!("{engine:?} {}", inputs.params);
            let recording: &'static [u8] = recording.leak();
            let (header, replayer) = Replayer::new(BufReader::new(recording)).unwrap();
            assert_eq!(header, inputs.header(), "{told}");
            let finished = inputs.sandbox.call(&inputs.job, inputs.call(replayer)).await;
            assert_eq!(story(&finished), story_then, "{told}");
            assert_eq!(finished.tables.finish(), Ok(()), "{told}");
        }
    }
}

#[tokio::test]
async fn another_seed_gives_other_randomness_and_the_same_time() {
    let mut stories = Vec::new();
    for (name, differs) in [("random", true), ("clock", false)] {
        let inputs = hostile(name).await;
        let world = World::chinook(crate::world::Engine::Sqlite).await;
        for seed in [1, 2] {
            let call = inputs.call_with(inputs.session(&world).await, seed);
            let finished = inputs.sandbox.call(&inputs.job, call).await;
            stories.push(finished.log.iter().map(|line| line.message.clone()).collect::<Vec<_>>());
            finished.tables.close().await;
        }
        let (second, first) = (stories.pop().unwrap(), stories.pop().unwrap());
        assert_eq!(first != second, differs, "{name} {first:?} {second:?}");
    }
}

/// What the guest reads twice is equal at the dry run and at the apply, days of real time apart or not.
#[tokio::test]
async fn an_apply_sees_the_clock_and_the_randomness_of_its_plan() {
    for engine in ENGINES {
        let world = chinook(engine, GRANT).await;
        world.install_hostile(REQUEST);
        let host = world.host().await;
        for name in ["clock", "random"] {
            let (first, second) = (
                attack(&host, "Germany", json!({"attack": name})).await,
                attack(&host, "Germany", json!({"attack": name})).await,
            );
            assert_eq!(first.state(), State::NothingToDo, "{engine:?} {first:?}");
            assert_ne!(first.log, second.log, "{engine:?}: each plan has a time and a seed of its own");
            assert!(first.log[0].contains(&first.run.frozen_now_us.to_string()) || name == "random", "{engine:?}");
        }
        let clock = attack(&host, "Germany", json!({"attack": "clock"})).await;
        let now = clock.run.frozen_now_us;
        assert_eq!(clock.log, [format!("now {now} wall {now} then {now} elapsed 0ns")], "{engine:?}");

        // A plan is computed again at apply: equal to the last change, whatever the real clock says.
        let run = host.attack("Germany", json!({"attack": "none", "value": "d:9.90"})).await.unwrap();
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!((applied.problem, applied.run.state), (None, State::Succeeded), "{engine:?}");
    }
}

#[tokio::test]
async fn a_plan_says_what_it_used_and_the_next_one_uses_as_much() {
    for engine in ENGINES {
        let world = chinook(engine, GRANT).await;
        world.install_hostile(REQUEST);
        let host = world.host().await;
        let mut used = Vec::new();
        for _ in 0..2 {
            let run = host.attack("Germany", json!({"attack": "none", "value": "d:9.90"})).await.unwrap();
            let document = host.store().load_plan(run.number).await.unwrap().document;
            let exact = [Metric::Fuel, Metric::Memory, Metric::RowsRead, Metric::BytesChanged, Metric::HostCalls];
            let exact = exact.map(|metric| document.measured[metric.word()].clone());
            used.push((exact, document.header.changes_root, document.header.bindings));
        }
        assert_eq!(used[0], used[1], "{engine:?}");
    }
}

#[tokio::test]
async fn a_component_that_answers_differently_at_apply_merely_drifts() {
    for engine in ENGINES {
        let world = chinook(engine, GRANT).await;
        world.install_hostile(REQUEST);
        let host = world.host().await;
        let rows = json!([[["i:1"], "d:9.90"], [["i:6"], "d:9.90"]]);
        for name in ["different-at-apply", "fewer-at-apply"] {
            let run = host.attack("Germany", json!({"attack": name, "rows": rows})).await.unwrap();
            let before = world.dump().await;
            let applied = host.confirm(&run).await.unwrap();
            assert_eq!(applied.run.state, State::Drifted, "{engine:?} {name} {applied:?}");
            before.assert_unchanged(&world.dump().await);
        }
    }
}
