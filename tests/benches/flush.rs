//! The flush, journaled and fenced, against one set-based UPDATE that saves its before-images; and
//! planning together with it. `cargo bench -p mendwright-tests --bench flush`

#![expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion};
use mendwright_gateway::Engine;
use mendwright_tests::bench::{Accounts, Times, ratio};
use tokio::runtime::Runtime;

/// Rows of the table; the larger plan changes half of them.
const ROWS: usize = 200_000;

/// How long each kind took.
#[derive(Default)]
struct Taken {
    rival: Times,
    flush: Times,
    whole: Times,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let runtime = Runtime::new().expect("a runtime");
    let mut lines = Vec::new();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let mut accounts = runtime.block_on(Accounts::new(engine, ROWS)).expect("a database");
        for n in [1_000_usize, 100_000] {
            let taken = Taken::default();
            bench(&mut criterion, &runtime, &mut accounts, (engine, n), &taken);
            let (rival, flush, whole) = (taken.rival.median(), taken.flush.median(), taken.whole.median());
            let name = |what: &str| format!("{} {n} updates: {what}", engine.word());
            lines.push(ratio(&name("flush"), flush, "set-based UPDATE + before-images", rival, "aim ≤ 3"));
            lines.push(ratio(&name("plan + flush"), whole, "set-based UPDATE + before-images", rival, ""));
        }
    }
    criterion.final_summary();
    println!("\nmedians of one run:");
    lines.iter().for_each(|line| println!("  {line}"));
}

fn bench(
    criterion: &mut Criterion,
    runtime: &Runtime,
    accounts: &mut Accounts,
    (engine, n): (Engine, usize),
    taken: &Taken,
) {
    let mut group = criterion.benchmark_group(format!("flush/{}", engine.word()));
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(5));
    let rival = Accounts::rival(n);
    group.bench_function(BenchmarkId::new("rival", n), |b| {
        b.iter_batched(
            || runtime.block_on(accounts.sql(&Accounts::stage(n))).expect("SQL"),
            |()| taken.rival.note(|| runtime.block_on(accounts.sql(&rival)).expect("SQL")),
            BatchSize::PerIteration,
        );
    });
    group.bench_function(BenchmarkId::new("plan+flush", n), |b| {
        b.iter_batched(
            || (),
            |()| {
                let changes = taken.whole.note(|| {
                    let computed = runtime.block_on(accounts.plan(n)).expect("a plan");
                    taken.flush.note(|| runtime.block_on(accounts.apply(computed)).expect("a flush"))
                });
                assert_eq!(changes, n as u64);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}
