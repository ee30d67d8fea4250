//! That the checker finds what it is there for: each damage is done to a workload that is right, in a
//! transaction that is taken back.

use mendwright_checker::{Db, Scene};

use super::killer::{Plan, worked};
use crate::serve::ground::Ground;
use crate::shop::own;
use crate::world::{ENGINES, Engine};

/// Where a damage is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Control,
    Target,
}

/// What is done, and what is said of it.
struct Damage {
    place: In,
    sql: String,
    said: &'static str,
}

fn damages(engine: Engine) -> Vec<Damage> {
    let (commits, journal) = (own(engine, "commits"), own(engine, "journal"));
    let one = "number = (SELECT min(number) FROM runs WHERE state = 'succeeded')";
    let damage = |place, said, sql: String| Damage { place, sql, said };
    let target = |said, sql| damage(In::Target, said, sql);
    let control = |said, sql| damage(In::Control, said, sql);
    let first = "(SELECT min(counter) FROM counter_history)";
    vec![
        // Applied a second time, behind the journal's back.
        target("the journal has", format!("UPDATE counter SET value = value + 1 WHERE id = {first}")),
        // The same with every trace of it gone.
        target(
            "its writes end with",
            format!(
                "UPDATE counter SET value = value + 1 WHERE id = {first}; \
                 DELETE FROM counter_history WHERE seq = (SELECT max(seq) FROM counter_history)"
            ),
        ),
        // Acknowledged and lost.
        target(
            "the journal has",
            "DELETE FROM counter_history WHERE seq = (SELECT max(seq) FROM counter_history)".to_owned(),
        ),
        target("in the journal", format!("DELETE FROM {journal} WHERE run = (SELECT min(run) FROM {journal})")),
        target("and the target holds", format!("DELETE FROM {commits} WHERE run = (SELECT min(run) FROM {commits})")),
        target(
            "which no control store knows",
            format!("UPDATE {commits} SET run = 'run_nobody' WHERE run = (SELECT min(run) FROM {commits})"),
        ),
        control(
            "neither at its end nor at rest",
            format!(
                "UPDATE runs SET state = 'applying', task = 'apply', task_by = 'x', due_at_us = 1, lease_owner = \
                 'gone', lease_until_us = 9000000000000000 WHERE {one}"
            ),
        ),
        control(
            "is still leased to gone",
            format!("UPDATE runs SET lease_owner = 'gone', lease_until_us = 9000000000000000 WHERE {one}"),
        ),
        control(
            "still has the task to undo",
            format!("UPDATE runs SET task = 'undo', task_by = 'x', due_at_us = 1 WHERE {one}"),
        ),
        control("does not follow on", "DELETE FROM run_events WHERE seq = 1".to_owned()),
        control("and its steps end with", format!("UPDATE runs SET state = 'drifted' WHERE {one}")),
        control("and the target holds [0", format!("UPDATE runs SET state = 'planned' WHERE {one}")),
        control(
            "requests became",
            "DELETE FROM idempotency_keys WHERE run = (SELECT min(run) FROM idempotency_keys)".to_owned(),
        ),
        control(
            "does not hash",
            "UPDATE audit_leaves SET entry = replace(entry, '\"v\":1', '\"v\":2') WHERE leaf = 3".to_owned(),
        ),
        // Each entry still hashes to what stands beside it.
        control(
            "are not those signed",
            "UPDATE audit_leaves SET leaf = 1000000 WHERE leaf = 2; UPDATE audit_leaves SET leaf = 2 WHERE leaf = 3; \
             UPDATE audit_leaves SET leaf = 3 WHERE leaf = 1000000"
                .to_owned(),
        ),
        control("entries;", "DELETE FROM audit_leaves WHERE leaf = (SELECT max(leaf) FROM audit_leaves)".to_owned()),
        control("has no place in the log", "UPDATE audit_entries SET leaf = NULL WHERE leaf = 1".to_owned()),
        control(
            "says something else than the log",
            "UPDATE audit_entries SET actor = 'person:mallory' WHERE leaf = 1".to_owned(),
        ),
        control("its signature is not by", "UPDATE audit_checkpoints SET note = replace(note, '— ', '— x')".to_owned()),
        control(
            "entries are signed",
            "DELETE FROM audit_checkpoints WHERE seq = (SELECT max(seq) FROM audit_checkpoints)".to_owned(),
        ),
    ]
}

async fn check(scene: &Scene, control: &mut Db, target: &mut Db) -> Vec<String> {
    mendwright_checker::check(scene, control, target).await.unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_every_damage_that_is_done() {
    for engine in ENGINES {
        let left = worked(engine, &Plan { seed: 7, runs: 24, kills: 0 }).await;
        let (mut control, mut target) = left.ground.look().await;
        assert_eq!(check(&left.scene, &mut control, &mut target).await, Vec::<String>::new(), "{engine:?}");
        for Damage { place, sql, said } in damages(engine) {
            let db = if place == In::Control { &mut control } else { &mut target };
            db.run("BEGIN").await.unwrap();
            db.run(&sql).await.unwrap();
            let found = check(&left.scene, &mut control, &mut target).await;
            assert!(found.iter().any(|found| found.contains(said)), "{engine:?} {sql}: `{said}` is not in {found:#?}");
            let db = if place == In::Control { &mut control } else { &mut target };
            db.run("ROLLBACK").await.unwrap();
        }
        let mut lied_to = left.scene.clone();
        lied_to.promises.applied.push(i64::MAX);
        let found = check(&lied_to, &mut control, &mut target).await;
        assert!(found.iter().any(|found| found.contains("was said to be applied")), "{engine:?} {found:#?}");
        locks_are_found(engine, &left.ground, &left.scene, &mut control, &mut target).await;
    }
}

/// A lock that somebody still holds, on either side; and on PostgreSQL a fence whose backend lives.
async fn locks_are_found(engine: Engine, ground: &Ground, scene: &Scene, control: &mut Db, target: &mut Db) {
    let held =
        async |control: &mut Db, target: &mut Db| mendwright_checker::held(scene, control, target).await.unwrap();
    assert_eq!(held(control, target).await, Vec::<String>::new(), "{engine:?}");
    let (mut other_control, mut other_target) = ground.look().await;
    for (other, sql, said) in [
        (&mut other_control, "UPDATE runs SET number = number WHERE number = 1", "the control store"),
        (&mut other_target, "UPDATE counter SET value = value WHERE id = 1", "the target"),
    ] {
        other.run("BEGIN").await.unwrap();
        other.run(sql).await.unwrap();
        let found = held(control, target).await;
        assert!(found.iter().any(|found| found.contains(said)), "{engine:?} {sql}: {found:#?}");
        other.run("ROLLBACK").await.unwrap();
    }
    if engine == Engine::Postgres {
        let fence = "UPDATE mendwright.fence SET (run, pid, backend_start) = (SELECT 'run_x', pid, backend_start::text \
             FROM pg_stat_activity WHERE pid = pg_backend_pid())";
        other_target.run(fence).await.unwrap();
        let found = held(control, target).await;
        assert!(found.iter().any(|found| found.contains("is still held by")), "{found:#?}");
    }
}
