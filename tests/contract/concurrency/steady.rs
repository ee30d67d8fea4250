//! An application that writes all the time, with a ledger of its own to check by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_core::port::Tables as _;
use mendwright_core::value::Value;
use mendwright_gateway::Error;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::ground::Ground;
use crate::direct::{key, update, wish};
use crate::world::{App, ENGINES, Engine};

/// Repairs that shall succeed, and ones that shall drift, before the application may rest.
const ENOUGH: u32 = 6;

/// Then it is said how far it came.
const LONGEST: Duration = Duration::from_secs(20);

/// What a repair adds.
const ADDED: i64 = 1_000_000;

/// Small transactions, one after the other: a line and the application's own account of it.
async fn application(mut app: App, stop: Arc<AtomicBool>) {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    while !stop.load(Ordering::Relaxed) {
        // Now and then a line that the repairs are about.
        let line = if random.random_range(0..60) == 0 { 10 } else { [11, 30][random.random_range(0..2)] };
        let delta = random.random_range(1..9);
        write(&mut app, line, delta, if random.random_range(0..5) == 0 { "ROLLBACK" } else { "COMMIT" }).await;
        // Room for others; without it SQLite, which queues nobody, would starve them.
        tokio::time::sleep(Duration::from_millis(random.random_range(0..8))).await;
    }
}

/// One transaction: a line and the account of it.
async fn write(app: &mut App, line: i64, delta: i64, end: &str) {
    app.run(if matches!(app, App::Postgres(_)) { "BEGIN" } else { "BEGIN IMMEDIATE" }).await;
    app.run(&format!("UPDATE line SET quantity = quantity + {delta} WHERE id = {line}")).await;
    app.run(&format!("INSERT INTO app_log VALUES ({line}, {delta})")).await;
    app.run(end).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_apply_beside_a_busy_application_is_whole_or_nothing() {
    for engine in ENGINES {
        let ground = Ground::of(engine).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = match engine {
            Engine::Sqlite => vec![tokio::spawn(application(ground.world.app().await, Arc::clone(&stop)))],
            Engine::Postgres => vec![
                tokio::spawn(application(ground.world.app().await, Arc::clone(&stop))),
                tokio::spawn(application(ground.world.app().await, Arc::clone(&stop))),
            ],
        };
        let (mut applied, mut drifted, mut busy) = (0, 0, 0);
        let start = tokio::time::Instant::now();
        let mut beside = ground.world.app().await;
        for attempt in 0.. {
            if start.elapsed() > LONGEST {
                break;
            }

            let run = format!("steady {attempt}");
            // Two lines of A, each as it is now and a million more.
            let planned = plan(&ground).await;
            if attempt % 2 == 1 {
                // This one must drift.
                write(&mut beside, 20, 1, "COMMIT").await;
            }
            let ended = match planned {
                Ok(computed) => ground.direct.apply("A", &run, computed).await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(_) => applied += 1,
                Err(Error::Drifted(_)) => drifted += 1,
                Err(error) => {
                    assert!(matches!(error.code(), Code::TargetLocked | Code::SnapshotBusy), "{engine:?} {error:?}");
                    busy += 1;
                }
            }
            if applied >= ENOUGH && drifted >= ENOUGH {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(
            applied >= ENOUGH && drifted >= ENOUGH,
            "{engine:?}: {applied} applied, {drifted} drifted, {busy} busy"
        );
        for (line, times) in [(10, applied), (20, applied), (11, 0), (30, 0)] {
            let sql = format!(
                "SELECT CAST(quantity - 1 - (SELECT coalesce(sum(delta), 0) FROM app_log WHERE line = {line}) AS text)
                 FROM line WHERE id = {line}"
            );
            assert_eq!(ground.value(&sql).await, (i64::from(times) * ADDED).to_string(), "{engine:?} line {line}");
        }
        let own = if engine == Engine::Sqlite { "mendwright_" } else { "mendwright." };
        let commits = ground.value(&format!("SELECT CAST(count(*) AS text) FROM {own}commits")).await;
        let rows = ground.value(&format!("SELECT CAST(sum(changes) AS text) FROM {own}journal")).await;
        assert_eq!((commits, rows), (applied.to_string(), (2 * applied).to_string()), "{engine:?}");
    }
}

async fn plan(ground: &Ground) -> Result<mendwright_gateway::Computed, Error> {
    let mut session = ground.direct.session("A").await?;
    for line in [10, 20] {
        let rows = session.get("line", vec![key(line)], vec!["quantity".to_owned()]).await.unwrap();
        let Some([Value::Integer(now)]) = rows[0].as_deref() else { panic!("{rows:?}") };
        wish(&mut session, &update("line", line, &[("quantity", now + ADDED)])).await.unwrap();
    }
    session.finish().await
}
