//! The same commands, drawn from a seed, to a control store on SQLite and to one on PostgreSQL: the same
//! answers. A failure prints its seed; `MENDWRIGHT_SEED` plays it again.
//!
//! `command`: what is asked, a command for each method that writes; `draw`: making them at random; `act`: doing
//! one; `seen`: what is compared.
//!
//! No command is there for what only one engine has or no store answers for: a control file's backup
//! (`copy_into`, `put_back`), listening to a server (`listen`, `wake`: `serve::hosts` has two hosts on one), and
//! the host's key, which is a file beside the store. What two hosts do at once is `store::hosts`' and
//! `concurrency`'s.

mod act;
mod command;
mod draw;
mod seen;

use mendwright_store::fixtures::NOW;
use mendwright_store::{RunNumber, Store};
use mendwright_tests::postgres::{Cluster, Database};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use act::{ORIGIN, act, log_key};
use draw::{KINDS, command, steady};
use seen::{bytes_of_log, did, look, look_around};

/// Sequences of commands, each against a fresh pair of stores.
const SEQUENCES: u64 = 8;

/// Commands of one sequence.
const COMMANDS: usize = 200;

/// Commands of a sequence in which nothing is refused: more entries of the audit log than a tile has.
const STEADY: i64 = 400;

/// One store on each engine, both empty.
struct Pair {
    sqlite: Store,
    postgres: Store,
    _places: (TempDir, Database),
}

impl Pair {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Cluster::shared().empty_database("control").await.unwrap();
        let sqlite = Store::open_file(&directory.path().join("control.db"), "one", NOW).await.unwrap();
        let postgres = Store::open_postgres(&database.url, "one", NOW).await.unwrap();
        Self { sqlite, postgres, _places: (directory, database) }
    }
}

/// Those of a test, or the one that its caller wants to see again.
fn seeds(usual: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test that plays one seed again is told so by its caller")]
    match std::env::var("MENDWRIGHT_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => usual.collect(),
    }
}

#[tokio::test]
async fn both_engines_give_the_same_answers_to_the_same_commands() {
    let (seeds, mut worked) = (seeds(1..=SEQUENCES), vec![0_usize; KINDS.len()]);
    for seed in &seeds {
        let Pair { sqlite, postgres, _places } = Pair::new().await;
        let mut random = ChaCha8Rng::seed_from_u64(*seed);
        for n in 0..COMMANDS {
            let (kind, command) = command(&mut random);
            let (a, b) = (act(&sqlite, &command).await, act(&postgres, &command).await);
            assert_eq!(a, b, "seed {seed}, command {n}: {command:?}");
            worked[kind] += usize::from(did(&a));
        }
        for run in 1..12 {
            let run = RunNumber::new(run);
            assert_eq!(look(&sqlite, run).await, look(&postgres, run).await, "seed {seed}, at the end: {run}");
        }
        assert_eq!(look_around(&sqlite).await, look_around(&postgres).await, "seed {seed}, at the end");
    }
    // A differential test in which nothing happens finds nothing.
    let in_vain: Vec<&str> = KINDS.iter().zip(worked).filter(|(_, n)| *n == 0).map(|(kind, _)| kind.0).collect();
    assert!(seeds.len() == 1 || in_vain.is_empty(), "never did anything: {in_vain:?}");
}

#[tokio::test]
async fn both_engines_log_hash_and_sign_the_same_bytes() {
    for seed in seeds(1..=2) {
        let Pair { sqlite, postgres, _places } = Pair::new().await;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for n in 0..STEADY {
            let command = steady(&mut random, n);
            let (a, b) = (act(&sqlite, &command).await, act(&postgres, &command).await);
            assert_eq!(a, b, "seed {seed}, command {n}: {command:?}");
            assert!(did(&a), "seed {seed}, command {n}: {command:?}: {a}");
        }
        for store in [&sqlite, &postgres] {
            while store.sequence(100).await.unwrap() > 0 {}
            store.checkpoint(ORIGIN, &log_key()).await.unwrap().unwrap();
        }
        let (a, b) = (bytes_of_log(&sqlite).await, bytes_of_log(&postgres).await);
        assert!(a.len() > 256, "{} entries fit one tile", a.len());
        for (n, (a, b)) in a.iter().zip(&b).enumerate() {
            let text = String::from_utf8_lossy;
            assert_eq!(a, b, "seed {seed}, {n}: {} and {}", text(a), text(b));
        }
        assert_eq!(a.len(), b.len());
    }
}
