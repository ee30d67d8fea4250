//! P9 under chance: real hosts are killed with `kill -9` at random moments of a workload, the database
//! server is knocked down, and afterwards a checker that shares no code with the host looks at everything.
//!
//! On [`super::ground`]: counters that show whatever is done twice. `clients`: who asks, approves, applies and undoes
//! through the API, whatever dies meanwhile; `killer`: one workload under kills; `found`: that the checker
//! finds what it is there for; `apart`: hosts that sleep, and hosts that are cut off.
//!
//! `cargo test` runs a short form. `make kill KILLS=500` runs the long one; `SEED=…` runs one again, as far
//! as chance is ours.

mod apart;
mod clients;
mod found;
mod killer;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use self::killer::{Plan, Suffered};
use crate::world::Engine;

/// Kills of the short form, on each engine.
const KILLS: u64 = 15;

/// Runs of a workload of the short form; the long one has [`RUNS_LONG`].
const RUNS: u64 = 60;
const RUNS_LONG: u64 = 200;

/// Kills of one workload of the long form: the next one begins with new databases.
const KILLS_OF_WORKLOAD: u64 = 25;

/// A number that whoever runs the tests gives.
fn given(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "how long this goes on is said by who runs it")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Chance that can be had again.
struct Dice(ChaCha8Rng);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }
}

#[expect(clippy::print_stderr, reason = "the seed, for whoever has to look at a failure")]
async fn kills(engine: Engine) {
    let (kills, long) = (given("KILLS").unwrap_or(KILLS), given("KILLS").is_some());
    let seed = given("SEED").unwrap_or_else(|| u64::from(std::process::id()) * 1_000_003 + kills);
    let begun = super::house::now();
    let mut all = Suffered::default();
    let mut workloads = 0;
    while all.kills < kills {
        let plan = Plan {
            seed: seed.wrapping_add(workloads),
            runs: if long { RUNS_LONG } else { RUNS },
            kills: (kills - all.kills).min(if long { KILLS_OF_WORKLOAD } else { kills }),
        };
        eprintln!("{engine:?}: workload {workloads} of SEED={seed}, {} of {kills} kills so far", all.kills);
        all = all.and(killer::workload(engine, &plan).await);
        workloads += 1;
    }
    let took = super::house::now().duration_since(begun).as_secs();
    eprintln!("{engine:?}: SEED={seed}, {workloads} workloads in {took} s: {all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_killed_at_random_on_sqlite_do_everything_once_or_not_at_all() {
    kills(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_and_servers_killed_at_random_on_postgres_do_everything_once_or_not_at_all() {
    kills(Engine::Postgres).await;
}
