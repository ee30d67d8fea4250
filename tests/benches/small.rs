//! Small repairs of many tenants at once, each guarded, fenced and journaled: what a host that has one
//! target of each database can write in a second. `cargo bench -p mendwright-tests --bench small`

#![expect(clippy::print_stdout, reason = "the rate is what the bench is for")]
#![expect(clippy::disallowed_methods, reason = "it measures")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use mendwright_gateway::{Computed, Engine};
use mendwright_tests::bench::Accounts;
use tokio::runtime::Runtime;

/// Tenants that work at the same time.
const TENANTS: usize = 64;

/// Repairs of each.
const REPAIRS: usize = 30;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    for (engine, tenants) in
        [(Engine::Sqlite, 1), (Engine::Sqlite, TENANTS), (Engine::Postgres, 1), (Engine::Postgres, 16)]
    {
        let (took, mut each) = runtime.block_on(measure(engine, tenants));
        each.sort();
        let at = |percent: usize| each.get(each.len() * percent / 100).copied().unwrap_or_default();
        let n = u32::try_from(each.len()).unwrap_or(u32::MAX);
        println!(
            "{} {tenants} tenants: {:.0} repairs/s, p50 {:?}, p99 {:?}",
            engine.word(),
            f64::from(n) / took.as_secs_f64(),
            at(50),
            at(99)
        );
    }
}

/// How long all took, and each.
async fn measure(engine: Engine, tenants: usize) -> (Duration, Vec<Duration>) {
    let accounts = Accounts::new(engine, tenants * REPAIRS).await.expect("a database");
    accounts.sql(&format!("UPDATE account SET tenant = 't' || (id % {tenants})")).await.expect("SQL");
    let mut work: Vec<Vec<(String, Computed)>> = Vec::new();
    for tenant in 0..tenants {
        let mut plans = Vec::new();
        for n in 0..REPAIRS {
            let id = i64::try_from(n * tenants + if tenant == 0 { tenants } else { tenant }).expect("a small number");
            let computed = accounts.plan_one(&format!("t{tenant}"), id).await.expect("a plan");
            plans.push((format!("run {tenant} {n}"), computed));
        }
        work.push(plans);
    }
    let accounts = Arc::new(accounts);
    let start = Instant::now();
    let tasks = work.into_iter().enumerate().map(|(tenant, plans)| {
        let accounts = Arc::clone(&accounts);
        tokio::spawn(async move {
            let mut each = Vec::new();
            for (run, computed) in plans {
                let start = Instant::now();
                accounts.apply_as(&format!("t{tenant}"), &run, computed).await.expect("a flush");
                each.push(start.elapsed());
            }
            each
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut each = Vec::new();
    for task in tasks {
        each.extend(task.await.expect("a task"));
    }
    (start.elapsed(), each)
}
