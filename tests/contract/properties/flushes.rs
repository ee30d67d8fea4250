//! Plans and flushes.

use std::collections::BTreeMap;

use mendwright_core::change::Action;
use mendwright_core::commitment::Salt;
use mendwright_core::plan::{BoundChange, Masking, bound};
use mendwright_gateway::Computed;
use mendwright_gateway::repair::{self, Rehearsed};
use proptest::prelude::{ProptestConfig, any, proptest};

use super::case::{Case, Size};
use super::reads::get_agrees;
use crate::world::ENGINES;

/// The changes as a plan binds them, in a plan's order.
fn bind(computed: &Computed) -> Vec<BoundChange> {
    let masking = Masking { salt: Salt::new([5; 32]), sensitive: BTreeMap::new() };
    let key = |resource: &str| computed.bindings[resource].key.clone();
    let mut changes: Vec<_> = computed.changes().map(|change| masking.bind(&change, &key(&change.resource))).collect();
    changes.sort_by(BoundChange::order);
    changes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 24, ..ProptestConfig::default() })]
    #[test]
    fn both_engines_plan_the_same_in_any_order_and_flush_then_undo_is_the_identity(
        seed in any::<u64>(), tables in 1..=3_usize, rows in 1..8_usize, edits in 1..24_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(Size { seed, tables, rows, edits }));
    }
}

async fn check(size: Size) {
    let mut case = Case::of(size);
    let shuffled = case.shuffled();
    let mut plans = Vec::new();
    for engine in ENGINES {
        let (world, direct) = case.world(engine).await;
        let before = world.dump().await;
        let computed = direct.plan("A", &case.edits).await.unwrap();
        let changes = bind(&computed);
        let again = bind(&direct.plan("A", &shuffled).await.unwrap());
        assert_eq!(bound::root(&changes), bound::root(&again), "{engine:?}: the digest depends on the order of calls");
        assert_eq!(changes, again, "{engine:?}");
        if changes.is_empty() {
            before.assert_unchanged(&world.dump().await);
            plans.push(changes);
            continue;
        }
        let rehearsed = computed.rehearse(&direct.target).await.unwrap();
        if !matches!(rehearsed, Rehearsed::NotHeld(_)) {
            assert_eq!(rehearsed, Rehearsed::Passed, "{engine:?}");
        }
        before.assert_unchanged(&world.dump().await);
        let identity = computed.targets[0].identity.clone();
        let n = direct.apply("A", "run", computed).await.unwrap().changes;
        assert_eq!(n, changes.len() as u64, "{engine:?}");
        let flushed = world.dump().await;
        // Each insert and delete is one line of the difference, each update two: no other row changed.
        let lines = changes.iter().map(|change| if change.action == Action::Update { 2 } else { 1 });
        assert_eq!(before.difference(&flushed).len(), lines.sum::<usize>(), "{engine:?}: other rows changed");
        let mut session = direct.session("A").await.unwrap();
        for (table, rows) in case.after.iter().enumerate() {
            get_agrees(&mut session, &case.schema, table, rows).await;
        }
        session.close().await;
        let context = direct.context("A", "run");
        let preview = repair::undo_preview(context, 0).await.unwrap();
        repair::undo_apply(context, &preview, &identity).await.unwrap();
        before.assert_unchanged(&world.dump().await);
        plans.push(changes);
    }
    assert_eq!(plans[0], plans[1], "SQLite and PostgreSQL do not plan the same");
    assert_eq!(bound::root(&plans[0]), bound::root(&plans[1]));
}
