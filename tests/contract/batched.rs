//! Plans in several transactions: each batch whole or not at all, the rest gone on with after a death,
//! and restored where the world moved on.

use mendwright::engine::Host;
use mendwright_core::code::Code;
use mendwright_core::merkle::Tree;
use mendwright_core::plan::Digest;
use mendwright_core::run::State;
use mendwright_crash::{FLUSH, Point};
use mendwright_store::{RunNumber, RunRecord};
use serde_json::{Value as Json, json};

use crate::crash::{killed, under_test};
use crate::p10_bundle::{Elsewhere, exported, failing};
use crate::shop::{REQUESTS, TENANT, mixed, own, prefix, shop_where};
use crate::world::{ENGINES, Engine, Short as _, World};

const BATCHED: &str = "[apply]\ntransaction = { batched = 2 }\nchanges = \"independent\"\n";

/// Rows 1 and 2, 3 and 4, and 6.
fn five() -> Json {
    let row = |id: i64| json!([[format!("i:{id}")], [["note", format!("t:mended {id}")]]]);
    json!({ "attack": "mixed", "table": "articles", "updates": [row(1), row(2), row(3), row(4), row(6)] })
}

async fn world(engine: Engine) -> World {
    shop_where(engine, BATCHED).await
}

/// Commits and rows of the journal.
async fn journaled(world: &World) -> (String, String) {
    let count = |what: &str, table: &str| format!("SELECT CAST({what} AS text) FROM {}", own(world.engine, table));
    let commits = world.value(&count("count(*)", "commits")).await;
    (commits, world.value(&count("coalesce(sum(changes), 0)", "journal")).await)
}

/// What the audit log tells of a run's batches, each with its rows and the root over its journal, and how many
/// restores it tells of.
async fn told(host: &Host, run: RunNumber) -> (Vec<[String; 3]>, usize) {
    let entries = host.store().audit_entries(None, 1_000).await.unwrap();
    let of = |kind: &str| {
        let of_run = entries.iter().rev().filter(|entry| entry.run == Some(run) && entry.kind == kind);
        of_run.map(|entry| serde_json::from_str::<Json>(&entry.body).unwrap()).collect::<Vec<_>>()
    };
    let batch =
        |body: &Json| ["batch", "changes_count", "journal_root"].map(|what| body[what].as_str().unwrap().into());
    (of("target.flushed").iter().map(batch).collect(), of("target.rolled_back").len())
}

/// The same of the target's own journal, without the host.
async fn held(world: &World, batches: &[(u32, usize)]) -> Vec<[String; 3]> {
    let mut held = Vec::new();
    for (batch, changes) in batches {
        let macs = match world.engine {
            Engine::Sqlite => "group_concat(mac, ' ' ORDER BY page)",
            Engine::Postgres => "string_agg(mac, ' ' ORDER BY page)",
        };
        let own = own(world.engine, "journal");
        let macs = world.value(&format!("SELECT {macs} FROM {own} WHERE generation = 0 AND batch = {batch}")).await;
        let mut tree = Tree::default();
        macs.split(' ').for_each(|mac| tree.push(mac.as_bytes()));
        held.push([batch.to_string(), changes.to_string(), Digest(tree.root()).to_string()]);
    }
    held
}

const WHOLE: [(u32, usize); 3] = [(0, 2), (1, 2), (2, 1)];

async fn note(world: &World, id: i64) -> String {
    world.value(&format!("SELECT note FROM article WHERE id = {id}")).await
}

#[tokio::test]
async fn a_plan_in_batches_is_applied_verified_and_undone_whole() {
    for engine in ENGINES {
        let world = world(engine).await;
        let host = world.host().await;
        let before = world.dump().await;
        let run = host.attack(TENANT, five()).await.unwrap();
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!((applied.problem, applied.run.state, applied.changes), (None, State::Succeeded, 5), "{engine:?}");
        assert_eq!(journaled(&world).await, ("3".to_owned(), "5".to_owned()), "{engine:?}");
        assert_eq!(host.verify(run.number).await.unwrap().verified.held, 5);
        assert_eq!(told(&host, run.number).await, (held(&world, &WHOLE).await, 0), "{engine:?}");
        assert_eq!(host.confirm(&run).await.unwrap_err().code, Code::PlanUsed);
        assert_eq!(host.attack(TENANT, five()).await.unwrap().state, State::NothingToDo);
        assert_eq!(host.undo_all(run.number).await.unwrap().restored, 5, "{engine:?}: in one transaction");
        before.assert_unchanged(&world.dump().await);
    }
}

/// The audit log has the root over each batch's pages, and an exported run is held against it.
#[tokio::test]
async fn an_exported_run_in_batches_is_checked_batch_by_batch() {
    for engine in ENGINES {
        let world = world(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, five()).await.unwrap();
        assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded);
        host.undo_all(run.number).await.unwrap();
        drop(host);
        let (elsewhere, bundle) = (Elsewhere::of(&world), exported(&world, "@last"));
        let whole = elsewhere.verify(&bundle);
        let out = String::from_utf8_lossy(&whole.stdout).into_owned();
        assert!(whole.status.success() && failing(&whole).is_empty(), "{engine:?} {out}");
        assert!(out.contains("5 changes in 3 batches") && out.contains("4 flushes in 4 pages"), "{engine:?} {out}");
        let mut forged = bundle.clone();
        forged["journal"][1]["macs"] = forged["journal"][0]["macs"].clone();
        assert_eq!(failing(&elsewhere.verify(&forged)), ["journal"], "{engine:?}: a page of another batch");
        let mut without = bundle;
        drop(without["journal"].as_array_mut().unwrap().remove(2));
        assert_eq!(failing(&elsewhere.verify(&without)), ["journal"], "{engine:?}: a batch is gone");
    }
}

#[tokio::test]
async fn what_people_approve_is_never_applied_in_batches() {
    for engine in ENGINES {
        let world = world(engine).await;
        let before = world.dump().await;
        let problem = world.host().await.attack(TENANT, mixed()).await.unwrap_err();
        assert_eq!(problem.code, Code::PlanRefused, "{engine:?}: it deletes, which is level 3");
        before.assert_unchanged(&world.dump().await);
    }
    let text = format!("{REQUESTS}{}", BATCHED.replace("independent", "together"));
    let world = shop_where(Engine::Sqlite, "").await;
    world.install_hostile(&text);
    let problem = world.host().await.attack(TENANT, five()).await.unwrap_err();
    assert_eq!(problem.code, Code::ManifestInvalid, "what belongs together is not taken apart");
}

/// Plans, and dies in the apply.
async fn dead(world: &World, place: &str) -> RunRecord {
    let host = world.host().await;
    let run = host.attack(TENANT, five()).await.unwrap();
    drop(host);
    let number = run.number.get().to_string();
    killed(&under_test(world, Some(place), &["apply", &number, &prefix(&run)]), place);
    run
}

#[tokio::test]
async fn a_host_that_dies_between_batches_is_gone_on_with() {
    for engine in ENGINES {
        let world = world(engine).await;
        let before = world.dump().await;
        for point in FLUSH.map(Point::name) {
            for batch in 1..=3 {
                let place = format!("{point}:{batch}");
                let run = dead(&world, &place).await;
                let committed = point == "after_commit" || batch > 1;
                let host = world.host().await;
                let state = host.store().run(run.number).await.unwrap().state;
                assert_eq!(state, if committed { State::Succeeded } else { State::Planned }, "{engine:?} {place}");
                if committed {
                    assert_eq!(host.verify(run.number).await.unwrap().verified.held, 5, "{engine:?} {place}");
                    assert_eq!(told(&host, run.number).await, (held(&world, &WHOLE).await, 0), "{engine:?} {place}");
                    assert_eq!(host.undo_all(run.number).await.unwrap().restored, 5, "{engine:?} {place}");
                    assert_eq!(told(&host, run.number).await.1, 1, "{engine:?} {place}");
                }
                before.assert_unchanged(&world.dump().await);
                world
                    .sql(&format!("DELETE FROM {}; DELETE FROM {}", own(engine, "journal"), own(engine, "commits")))
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn a_prefix_whose_rest_no_longer_holds_is_restored() {
    for engine in ENGINES {
        let world = world(engine).await;
        let run = dead(&world, "after_commit:1").await;
        assert_eq!((note(&world, 2).await, note(&world, 3).await), ("mended 2".into(), "n".into()));
        world.sql("UPDATE article SET note = 'theirs now' WHERE id = 4").await;
        let host = world.host().await;
        let found = host.store().run(run.number).await.unwrap();
        assert_eq!(found.state, State::RolledBack, "{engine:?} {found:?}");
        assert_eq!((note(&world, 1).await, note(&world, 2).await), ("NULL".into(), String::new()), "{engine:?}");
        assert_eq!(note(&world, 4).await, "theirs now");
        assert_eq!(told(&host, run.number).await, (held(&world, &WHOLE[..1]).await, 1), "{engine:?}");
        assert!(host.store().in_flight().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_prefix_that_cannot_be_restored_is_stuck_and_listed() {
    for engine in ENGINES {
        let world = world(engine).await;
        let run = dead(&world, "after_commit:1").await;
        world.sql("UPDATE article SET note = 'theirs now' WHERE id IN (1, 4)").await;
        let host = world.host().await;
        let found = host.store().run(run.number).await.unwrap();
        let said = found.outcome.map(|outcome| outcome.message).unwrap_or_default();
        assert_eq!(found.state, State::Stuck, "{engine:?} {said}");
        assert!(said.contains("articles/1, articles/2") && said.contains("1 of them changed"), "{said}");
        assert_eq!((note(&world, 1).await, note(&world, 2).await), ("theirs now".into(), "mended 2".into()));
        assert_eq!(told(&host, run.number).await, (held(&world, &WHOLE[..1]).await, 0), "{engine:?}");
        // A person looks at it, and restores what still can be.
        let undone = host.undo_all(run.number).await.unwrap();
        assert_eq!((undone.restored, undone.left.len()), (1, 1), "{engine:?}");
        assert_eq!((note(&world, 1).await, note(&world, 2).await), ("theirs now".into(), String::new()));
    }
}

/// A lock in the way of the second batch: the first one stays, and the next command goes on.
#[tokio::test]
async fn a_batch_that_has_to_wait_in_vain_leaves_the_rest_to_the_next_command() {
    let mut world = world(Engine::Postgres).await;
    world.database_keys = "lock_timeout = \"100ms\"".to_owned();
    let host = world.host().await;
    let run = host.attack(TENANT, five()).await.unwrap();
    let mut app = world.app().await;
    app.run("BEGIN; SELECT 1 FROM article WHERE id = 3 FOR UPDATE").await;
    let applied = host.confirm(&run).await.unwrap();
    assert_eq!(applied.run.state, State::Applying);
    let problem = applied.problem.unwrap();
    assert_eq!(problem.code, Code::TargetLocked, "{problem:?}");
    assert!(format!("{problem:?}").contains("2 of 5 rows were written before"), "{problem:?}");
    app.run("COMMIT").await;
    drop(host);
    let host = world.host().await;
    assert_eq!(host.store().run(run.number).await.unwrap().state, State::Succeeded);
    assert_eq!(journaled(&world).await, ("3".to_owned(), "5".to_owned()));
}
