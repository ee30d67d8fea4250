//! Small repairs through a running host, from request to durable result: three row changes each, planned by a
//! component, decided by policy, flushed with their journal, and told to the audit log. Beside the same guarded
//! writes by the driver alone, as durable, on the same disk, in the same run. `cargo bench -p mendwright-tests
//! --bench whole`; one of its four parts: `… --bench whole -- sqlite/64`

#![expect(clippy::print_stdout, reason = "the figures are what the bench is for")]

use std::time::Duration;

use mendwright_gateway::Engine;
use mendwright_tests::bench::driver::Raw;
use mendwright_tests::bench::repairs::{Clients, House};
use tokio::runtime::Runtime;

/// How long each side is measured, after as long again that is not counted.
const LASTS: Duration = Duration::from_secs(4);

/// How long an idle host is looked at.
const IDLE: Duration = Duration::from_secs(10);

/// What others need for the same (submitted, three guarded writes committed): jobs a second, p50 and p99 in
/// milliseconds. Measured on another machine of two cores, each over its own queue on PostgreSQL 15 or, as
/// Restate and Obelisk, over its own store: to be read for their order.
const PEERS: [(&str, &str, f64, f64); 8] = [
    ("graphile-worker", "1,237", 3.3, 9.0),
    ("pg-boss", "1,220", 5.1, 8.8),
    ("Restate 1.7", "439 to 749", 3.5, 8.6),
    ("Obelisk", "349 to 627", 4.1, 7.4),
    ("awa", "578", 7.2, 25.0),
    ("DBOS (TypeScript)", "336", 4.0, 12.6),
    ("DBOS (Python)", "91", 11.0, 19.0),
    ("ansible-rulebook", "1", 1_000.0, 1_280.0),
];

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let only: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (engine, clients) in [(Engine::Sqlite, 1), (Engine::Sqlite, 64), (Engine::Postgres, 1), (Engine::Postgres, 16)]
    {
        if only.is_empty() || only.contains(&format!("{}/{clients}", engine.word())) {
            runtime.block_on(measure(engine, clients));
        }
    }
    println!();
    for (name, rate, p50, p99) in PEERS {
        println!("{name:<42} {rate:>11} a second   p50 {p50:>8.1} ms   p99 {p99:>8.1} ms   elsewhere");
    }
}

async fn measure(engine: Engine, clients: usize) {
    let house = House::new(engine, clients).await.expect("a host");
    let name = format!("{} {clients} at once", engine.word());
    let raw = Raw::new(&house).await.expect("a driver");
    raw.run(clients, LASTS / 4).await.expect("raw writes");
    let rival = raw.run(clients, LASTS).await.expect("raw writes");
    raw.close().await;
    let host = Clients::new(&house);
    host.run(LASTS / 2).await.expect("repairs");
    let own = host.run(LASTS).await.expect("repairs");
    house.settle().await.expect("every repair is finished");
    println!("{}", rival.line(&format!("{name}: the driver alone")));
    println!("{}", own.line(&format!("{name}: repairs")));
    if own.ordinary() > 0 {
        println!("{:<42} {:>11}", format!("{name}: not made at once"), own.ordinary());
    }
    println!(
        "{:<42} {:>10.1} % of its rate   p50 {:>5.2} times its",
        format!("{name}: beside it"),
        own.rate() / rival.rate() * 100.0,
        own.at(50).as_secs_f64() / rival.at(50).as_secs_f64().max(1e-9)
    );
    if engine == Engine::Postgres {
        let idle = house.transactions_while_idle(IDLE).await.expect("pg_stat_database");
        for (database, each_second) in idle {
            println!("{:<42} {each_second:>11.1} transactions a second", format!("{name}: idle, {database}"));
        }
    }
}
