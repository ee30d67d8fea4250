//! A repair's logic in WebAssembly against the same function compiled for this machine.
//! `cargo bench -p mendwright-tests --bench logic`
//!
//! Both run `reconcile_invoices` over the same rows in memory, in pages of 1,000. Native, a row is
//! copied once within the process; the component's side copies it once and then across the boundary,
//! under fuel, epochs and a memory limit.

#![expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]

use std::time::Duration;

use criterion::{BatchSize, Criterion};
use mendwright_sandbox::{Answer, Capability, Config, Sandbox};
use mendwright_tests::bench::{Ledger, Times, dry_run, ratio};
use mendwright_tests::guests;
use reconcile_invoices::ThisJob;

const LEDGER: Ledger = Ledger { invoices: 10_000, lines: 5, wrong_each: 100_000 };

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tables = LEDGER.rows().expect("rows");
    let sandbox = Sandbox::new(Config::default()).expect("a sandbox");
    let wasm = guests::component("reconcile_invoices");
    let job = runtime.block_on(sandbox.load(wasm, &Capability::ALL.into())).expect("a job");
    let (invoices, lines) = LEDGER.text();
    let native = mendwright_sdk::testing::tables().with("invoices", &invoices).with("invoice_lines", &lines);

    let (own_times, rival_times) = (Times::default(), Times::default());
    let mut said = (String::new(), String::new());
    let mut group = criterion.benchmark_group("reconcile 10,000 invoices with 50,000 lines");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    group.bench_function("native", |b| {
        b.iter(|| {
            let outcome = rival_times.note(|| native.run::<ThisJob>("{}"));
            assert_eq!(outcome.changes.len(), LEDGER.wrong(), "{:?}", outcome.failure);
            said.0 = outcome.summary;
        });
    });
    group.bench_function("WebAssembly", |b| {
        b.iter_batched(
            || dry_run("reconcile_invoices", "{}", tables.clone()),
            |call| {
                let finished = own_times.note(|| runtime.block_on(sandbox.call(&job, call)));
                assert_eq!(finished.tables.changed, LEDGER.wrong(), "{:?}", finished.result);
                if let Ok(Answer::Summary(summary)) = finished.result {
                    said.1 = summary;
                }
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
    criterion.final_summary();
    assert_eq!(said.0, said.1, "both did the same");
    println!("\nmedians of one run:");
    let (own, other) = (own_times.median(), rival_times.median());
    println!(
        "  {}",
        ratio("reconcile 50,000 lines in WebAssembly", own, "the same function, native", other, "aim ≤ 1.5")
    );
}
