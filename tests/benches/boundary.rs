//! What a component's reads cost: scans that match nothing, and rows, over memory and through the
//! gateway. `cargo bench -p mendwright-tests --bench boundary`
//!
//! The rival of the component is the same calls made by the host itself; the rival of the gateway is
//! the same rows read with the driver alone.

#![expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]

use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use mendwright_core::port::{Comparison, Filter, Query, Tables};
use mendwright_core::value::Value;
use mendwright_gateway::{Engine, Session};
use mendwright_sandbox::{Capability, Config, Job, Sandbox};
use mendwright_tests::bench::{Database, Ledger, Times, authority, dry_run, rate, ratio, resources, unlimited};
use mendwright_tests::guests;
use tokio::runtime::Runtime;

/// Rows that one pass reads: the invoices and their lines.
const LEDGER: Ledger = Ledger { invoices: 10_000, lines: 5, wrong_each: 100_000 };

const ROWS: u32 = 60_000;

/// Scans of one pass.
const SCANS: u32 = 1_000;

struct Bench {
    runtime: Runtime,
    sandbox: Sandbox,
    hostile: Arc<Job>,
    reconcile: Arc<Job>,
    lines: Vec<String>,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let runtime = Runtime::new().expect("a runtime");
    let sandbox = Sandbox::new(Config::default()).expect("a sandbox");
    let load =
        |name| runtime.block_on(sandbox.load(guests::component(name), &Capability::ALL.into())).expect("a component");
    let (hostile, reconcile) = (load("hostile"), load("reconcile_invoices"));
    let mut bench = Bench { runtime, sandbox, hostile, reconcile, lines: Vec::new() };

    let tables = LEDGER.rows().expect("rows");
    bench.over(&mut criterion, "memory", None, || tables.clone());
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let database = bench.runtime.block_on(ledger(engine)).expect("a database");
        let targets = [("bench".to_owned(), database.target.clone())].into();
        let (resources, authority) = (resources(), authority().expect("a grant"));
        let handle = bench.runtime.handle().clone();
        let open = || {
            let meter = Arc::new(unlimited());
            handle.block_on(Session::open(&targets, &resources, &authority, "acme", meter)).expect("a session")
        };
        bench.over(&mut criterion, engine.word(), Some(&database), open);
    }
    criterion.final_summary();
    println!("\nmedians of one run:");
    bench.lines.iter().for_each(|line| println!("  {line}"));
}

async fn ledger(engine: Engine) -> anyhow::Result<Database> {
    let database = Database::new(engine).await?;
    database.sql(&LEDGER.sql(engine)).await?;
    if engine == Engine::Postgres {
        database.sql("VACUUM ANALYZE").await?;
    }
    database.init().await?;
    Ok(database)
}

impl Bench {
    fn over<T: Tables>(
        &mut self,
        criterion: &mut Criterion,
        name: &str,
        driver: Option<&Database>,
        open: impl Fn() -> T,
    ) {
        let mut group = criterion.benchmark_group(format!("boundary/{name}"));
        group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        let scans = format!("{{\"attack\": \"empty-scans\", \"column\": \"id\", \"n\": {SCANS}}}");
        let guest_scans = self.guest(&mut group, "scans", &Arc::clone(&self.hostile), &scans, &open);
        let host_scans = self.host(&mut group, "scans by the host", &open, |tables| Box::pin(empty_scans(tables)));
        let guest_rows = self.guest(&mut group, "rows", &Arc::clone(&self.reconcile), "{}", &open);
        let host_rows = self.host(&mut group, "rows by the host", &open, |tables| Box::pin(all_rows(tables)));
        self.lines.push(rate(&format!("{name}: scans by a component"), SCANS, guest_scans));
        self.lines.push(ratio(
            &format!("{name}: {SCANS} scans by a component"),
            guest_scans,
            "by the host",
            host_scans,
            "",
        ));
        self.lines.push(rate(&format!("{name}: rows by a component"), ROWS, guest_rows));
        self.lines.push(ratio(
            &format!("{name}: {ROWS} rows, reconciled"),
            guest_rows,
            "read by the host",
            host_rows,
            "",
        ));
        if let Some(database) = driver {
            let times = Times::default();
            group.bench_function("rows by the driver", |b| {
                b.iter(|| {
                    assert_eq!(times.note(|| self.runtime.block_on(database.read(&SQL)).expect("rows")), ROWS as usize)
                });
            });
            let line =
                ratio(&format!("{name}: {ROWS} rows by the gateway"), host_rows, "by the driver", times.median(), "");
            self.lines.push(line);
        }
        group.finish();
    }

    fn guest<T: Tables>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        what: &str,
        job: &Job,
        params: &str,
        open: impl Fn() -> T,
    ) -> Duration {
        let times = Times::default();
        group.bench_function(what, |b| {
            b.iter_batched(
                || dry_run("bench", params, open()),
                |call| {
                    let finished = times.note(|| self.runtime.block_on(self.sandbox.call(job, call)));
                    assert!(finished.result.is_ok(), "{:?}", finished.result);
                    finished.tables
                },
                BatchSize::PerIteration,
            );
        });
        times.median()
    }

    fn host<T: Tables>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        what: &str,
        open: impl Fn() -> T,
        act: impl for<'a> Fn(&'a mut T) -> mendwright_core::port::Future<'a, usize>,
    ) -> Duration {
        let times = Times::default();
        group.bench_function(what, |b| {
            b.iter_batched(
                &open,
                |mut tables| {
                    times.note(|| self.runtime.block_on(act(&mut tables)));
                    tables
                },
                BatchSize::PerIteration,
            );
        });
        times.median()
    }
}

/// What the gateway asks for the two scans of `reconcile_invoices`, without its tenant's scope.
const SQL: [&str; 2] = [
    "SELECT id, total FROM invoice ORDER BY id",
    "SELECT id, invoice_id, track, unit_price, quantity FROM line ORDER BY invoice_id, id",
];

fn query(table: &str, columns: &[&str], order_by: &[&str]) -> Query {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Query { table: table.to_owned(), columns: owned(columns), filters: Vec::new(), order_by: owned(order_by) }
}

async fn empty_scans<T: Tables>(tables: &mut T) -> usize {
    let mut found = 0;
    for _ in 0..SCANS {
        let nothing = Filter { column: "id".to_owned(), op: Comparison::IsIn, values: vec![Value::Null] };
        let query = Query { filters: vec![nothing], ..query("invoices", &["id"], &[]) };
        let cursor = tables.scan(query).await.expect("a scan");
        found += tables.next_page(cursor).await.expect("a page").len();
        tables.close(cursor);
    }
    found
}

async fn all_rows<T: Tables>(tables: &mut T) -> usize {
    let line = query("invoice_lines", &["id", "invoice_id", "track", "unit_price", "quantity"], &["invoice_id"]);
    let mut found = 0;
    for query in [query("invoices", &["id", "total"], &[]), line] {
        let cursor = tables.scan(query).await.expect("a scan");
        loop {
            let page = tables.next_page(cursor).await.expect("a page");
            if page.is_empty() {
                break;
            }
            found += page.len();
        }
        tables.close(cursor);
    }
    assert_eq!(found, ROWS as usize);
    found
}
