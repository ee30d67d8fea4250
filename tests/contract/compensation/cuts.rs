//! A compensation that is killed at any step is applied once or not at all, and the run that it takes
//! back says the same.

use mendwright_core::run::State;
use mendwright_crash::{FLUSH, Point};
use mendwright_store::RunNumber;
use serde_json::json;

use super::{applied, compensate, in_force, told, with};
use crate::crash::{killed, under_test};
use crate::shop::{TENANT, prefix, shop, shop_where};
use crate::world::{ENGINES, Short as _};

#[tokio::test]
async fn a_compensation_killed_at_any_step_is_applied_once_or_not_at_all() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, told()).await;
        let repaired = world.dump().await;
        drop(host);
        let places = FLUSH.map(Point::name).into_iter().map(|point| (point, point == "after_commit"));
        for (place, committed) in places.chain([("before_read_back", true), ("after_read_back", true)]) {
            let host = world.host().await;
            let back = compensate(&host, &run).await.unwrap();
            drop(host);
            let number = back.number.get().to_string();
            killed(&under_test(&world, Some(place), &["apply", &number, &prefix(&back)]), place);
            let host = world.host().await;
            assert!(host.store().in_flight().await.unwrap().is_empty(), "{engine:?} {place}");
            let state = host.store().run(back.number).await.unwrap().state;
            if committed {
                assert_eq!(state, State::Succeeded, "{engine:?} {place}");
            } else {
                assert_eq!((state, in_force(&host, &run).await), (State::Planned, None), "{engine:?} {place}");
                repaired.assert_unchanged(&world.dump().await);
                assert_eq!(host.confirm(&back).await.unwrap().run.state, State::Succeeded, "{engine:?} {place}");
            }
            assert_eq!(in_force(&host, &run).await, Some(back.number), "{engine:?} {place}");
            assert_eq!(host.undo_all(back.number).await.unwrap().restored, 2, "{engine:?} {place}");
            repaired.assert_unchanged(&world.dump().await);
        }
    }
}

#[tokio::test]
async fn a_compensation_killed_while_it_is_planned_leaves_the_run_as_it_was() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, told()).await;
        let before = world.dump_everything().await;
        drop(host);
        killed(&under_test(&world, Some("in_rehearsal"), &["cli", "undo", "1", "--compensate"]), "in_rehearsal");
        let host = world.host().await;
        let died = host.store().run(RunNumber::new(2)).await.unwrap();
        assert_eq!((died.state, died.compensates), (State::Failed, Some(run.number)), "{engine:?}");
        before.assert_unchanged(&world.dump_everything().await);
        assert_eq!(host.store().run(run.number).await.unwrap().state, State::Succeeded);
        assert_eq!(compensate(&host, &run).await.unwrap().state, State::Planned, "{engine:?}");
    }
}

/// A job that applies in batches is taken back in batches, and gone on with by the same export.
#[tokio::test]
async fn a_compensation_that_dies_between_batches_is_gone_on_with() {
    const BATCHED: &str = "[apply]\ntransaction = { batched = 2 }\nchanges = \"independent\"\n";
    let row = |id: i64| json!([[format!("i:{id}")], [["note", format!("t:mended {id}")]]]);
    let repair = json!({ "attack": "mixed", "table": "articles", "updates": [row(1), row(2), row(3), row(4), row(6)] });
    let each = json!({ "table": "articles", "column": "note", "value": "t:taken back" });
    for engine in ENGINES {
        let world = shop_where(engine, BATCHED).await;
        let host = world.host().await;
        let run = host.attack(TENANT, with(repair.clone(), "told", each.clone())).await.unwrap();
        assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded);
        let back = compensate(&host, &run).await.unwrap();
        drop(host);
        let number = back.number.get().to_string();
        killed(&under_test(&world, Some("after_commit:1"), &["apply", &number, &prefix(&back)]), "after_commit:1");
        let notes = "SELECT CAST(count(*) AS text) FROM article WHERE note = 'taken back'";
        assert_eq!(world.value(notes).await, "2", "{engine:?}");
        let host = world.host().await;
        assert_eq!(host.store().run(back.number).await.unwrap().state, State::Succeeded, "{engine:?}");
        assert_eq!(world.value(notes).await, "5", "{engine:?}");
        assert_eq!(in_force(&host, &run).await, Some(back.number), "{engine:?}");
    }
}
