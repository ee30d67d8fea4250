//! The story of the README, on both engines: planned, applied, verified, rolled back.

use mendwright_core::run::State;
use mendwright_tests::damage;

use crate::world::{ENGINES, Engine, Short as _, World, is_ready};

#[tokio::test]
async fn a_damaged_ledger_is_found_repaired_verified_and_rolled_back() {
    for engine in ENGINES {
        let world = World::chinook(engine).await;
        let damage = break_books(&world, engine).await;
        world.install("reconcile_invoices");
        let host = world.host().await;
        let broken = world.dump().await;

        let run = host.plan_of("reconcile_invoices", "Germany", serde_json::json!({})).await.unwrap();
        assert!(is_ready(&run), "{engine:?}");
        broken.assert_unchanged(&world.dump().await);
        let changes = host.changes(run.number).await;
        let wanted = damage.expected_totals("Germany");
        assert_eq!(changes.len(), wanted.len(), "{engine:?}");
        for change in &changes {
            let invoice: i64 = change.key_text().parse().unwrap();
            let cents = mendwright_tests::books::Cents::parse(&change.after["total"].to_string()).unwrap();
            assert_eq!(Some(&cents), wanted.get(&invoice), "{engine:?} {invoice}");
        }
        let plan = host.store().load_plan(run.number).await.unwrap();
        assert_eq!(plan.document.findings.len(), damage.expected_findings("Germany").len());
        assert_eq!(plan.document.rehearsal.passed, Some(true), "{:?}", plan.document.rehearsal);

        let applied = host.confirm(&run).await.unwrap();
        assert_eq!(applied.problem, None, "{engine:?}");
        assert_eq!((applied.run.state, applied.changes), (State::Succeeded, wanted.len() as u64));

        let again = host.plan_of("reconcile_invoices", "Germany", serde_json::json!({})).await.unwrap();
        assert_eq!(again.state, State::NothingToDo, "a second dry run is empty");

        let verified = host.verify(run.number).await.unwrap();
        assert!(verified.verified.differ.is_empty());

        let undone = host.undo_all(run.number).await.unwrap();
        assert_eq!((undone.run.state, undone.restored), (State::RolledBack, wanted.len() as u64));
        broken.assert_unchanged(&world.dump().await);

        let redone = host.undo_all(run.number).await.unwrap();
        assert_eq!(redone.run.state, State::Succeeded, "an undo can be undone");
    }
}

/// Breaks the books of two tenants.
pub(crate) async fn break_books(world: &World, engine: Engine) -> damage::Damage {
    let tenants = ["Germany", "France"];
    match engine {
        Engine::Sqlite => {
            let path = world.directory().join("target.db");
            let mut app = mendwright_tests::chinook::connect_sqlite(&path).await.unwrap();
            let books = mendwright_tests::chinook::books_of_sqlite(&mut app).await.unwrap();
            let damage = damage::plan(&books, 42, &tenants).unwrap();
            damage.on_sqlite(&mut app).await.unwrap();
            damage
        }
        Engine::Postgres => {
            let mut app = <sqlx::PgConnection as sqlx::Connection>::connect(&world.url()).await.unwrap();
            let books = mendwright_tests::chinook::books_of_postgres(&mut app).await.unwrap();
            let damage = damage::plan(&books, 42, &tenants).unwrap();
            damage.on_postgres(&mut app).await.unwrap();
            damage
        }
    }
}
