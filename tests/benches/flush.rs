//! The flush, journaled and fenced, against one set-based UPDATE that saves its before-images; and
//! planning together with it. `cargo bench -p mendwright-tests --bench flush`

#![expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]
#![expect(clippy::disallowed_methods, reason = "a bench measures")]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion};
use mendwright_gateway::Engine;
use mendwright_tests::bench::{Accounts, median, ratio};
use tokio::runtime::Runtime;

/// Rows of the table; the larger plan changes half of them.
const ROWS: usize = 200_000;

/// Times of each kind, in the order they were measured.
#[derive(Default)]
struct Times {
    rival: Mutex<Vec<Duration>>,
    flush: Mutex<Vec<Duration>>,
    whole: Mutex<Vec<Duration>>,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let runtime = Runtime::new().expect("a runtime");
    let mut lines = Vec::new();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let mut accounts = runtime.block_on(Accounts::new(engine, ROWS)).expect("a database");
        for n in [1_000_usize, 100_000] {
            let times = Times::default();
            bench(&mut criterion, &runtime, &mut accounts, (engine, n), &times);
            let take = |times: &Mutex<Vec<Duration>>| median(times.lock().expect("unpoisoned").clone());
            let (rival, flush, whole) = (take(&times.rival), take(&times.flush), take(&times.whole));
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
    times: &Times,
) {
    let mut group = criterion.benchmark_group(format!("flush/{}", engine.word()));
    group.measurement_time(Duration::from_secs(10));
    let rival = Accounts::rival(n);
    group.bench_function(BenchmarkId::new("rival", n), |b| {
        b.iter_batched(
            || runtime.block_on(accounts.sql(&Accounts::stage(n))).expect("SQL"),
            |()| timed(&times.rival, || runtime.block_on(accounts.sql(&rival)).expect("SQL")),
            BatchSize::PerIteration,
        );
    });
    group.bench_function(BenchmarkId::new("plan+flush", n), |b| {
        b.iter_batched(
            || (),
            |()| {
                let start = Instant::now();
                let computed = runtime.block_on(accounts.plan(n)).expect("a plan");
                let done = timed(&times.flush, || runtime.block_on(accounts.apply(computed)).expect("a flush"));
                times.whole.lock().expect("unpoisoned").push(start.elapsed());
                assert_eq!(done, n as u64);
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn timed<T>(times: &Mutex<Vec<Duration>>, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = act();
    times.lock().expect("unpoisoned").push(start.elapsed());
    done
}
