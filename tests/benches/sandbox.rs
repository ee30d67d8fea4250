//! Instantiating a component and dry-running it over one row: the sandbox against wasmtime alone.
//! `cargo bench -p mendwright-tests --bench sandbox`
//!
//! The rival runs the same component with the same pool over the same rows in a vector, through
//! bindings of its own: no fuel, no epochs, no memory limit, no budget, no log, real clocks, and an
//! engine with wasmtime's defaults.

#![expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]

mod raw;

use criterion::{BatchSize, Criterion};
use mendwright_sandbox::{Capability, Config, Sandbox};
use mendwright_tests::bench::{Ledger, Times, dry_run, ratio};
use mendwright_tests::guests;

/// One invoice with one line and a wrong total: three descriptions, two scans of two pages, one update.
const LEDGER: Ledger = Ledger { invoices: 1, lines: 1, wrong_each: 1 };

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let wasm = guests::component("reconcile_invoices");
    let tables = LEDGER.rows().expect("rows");

    let sandbox = Sandbox::new(Config::default()).expect("a sandbox");
    let job = runtime.block_on(sandbox.load(wasm, &Capability::ALL.into())).expect("a job");
    let rival = raw::Host::new(wasm).expect("an engine");

    let (own_times, rival_times) = (Times::default(), Times::default());
    let mut group = criterion.benchmark_group("instantiate + one-row dry run");
    group.bench_function("wasmtime alone", |b| {
        b.iter_batched(
            raw::Rows::one_wrong,
            |rows| assert_eq!(rival_times.note(|| runtime.block_on(rival.dry_run(rows)).expect("a dry run")), 1),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("sandbox", |b| {
        b.iter_batched(
            || dry_run("reconcile_invoices", "{}", tables.clone()),
            |call| {
                let finished = own_times.note(|| runtime.block_on(sandbox.call(&job, call)));
                assert!(finished.result.is_ok() && finished.tables.changed == 1, "{:?}", finished.result);
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
    criterion.final_summary();
    println!("\nmedians of one run:");
    let (own, other) = (own_times.median(), rival_times.median());
    println!("  {}", ratio("sandbox: instantiate + one-row dry run", own, "wasmtime alone", other, "aim ≤ 1.5"));
}
