//! P6: *the host undoes without the guest.*

use mendwright::engine::Host;
use mendwright_core::code::Code;
use mendwright_core::run::State;
use mendwright_gateway::repair::Fate;
use mendwright_store::RunRecord;

use crate::shop::{INDEPENDENT, MIXED, TENANT, edit_control, mixed, own, prefix, prices, shop, shop_where};
use crate::world::{ENGINES, Engine, Short as _, World, code};

/// Plans and applies; the run as it is then.
async fn applied(host: &Host, params: serde_json::Value) -> RunRecord {
    let run = host.attack(TENANT, params).await.unwrap();
    let applied = host.confirm(&run).await.unwrap();
    assert_eq!((applied.problem, applied.run.state), (None, State::Succeeded));
    applied.run
}

#[tokio::test]
async fn an_undo_restores_every_byte_of_inserts_updates_and_deletes_and_can_be_undone() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let before = world.dump().await;
        let run = applied(&host, mixed()).await;
        let after = world.dump().await;
        assert!(before != after);
        // The component is not needed for it, nor is it there.
        std::fs::remove_dir_all(world.directory().join("jobs")).unwrap();
        for _ in 0..2 {
            let undone = host.undo_all(run.number).await.unwrap();
            assert_eq!((undone.run.state, undone.restored), (State::RolledBack, MIXED), "{engine:?}");
            before.assert_unchanged(&world.dump().await);
            let redone = host.undo_all(run.number).await.unwrap();
            assert_eq!((redone.run.state, redone.restored), (State::Succeeded, MIXED), "{engine:?}");
            after.assert_unchanged(&world.dump().await);
        }
        let commits = world.value(&format!("SELECT CAST(count(*) AS TEXT) FROM {}", own(engine, "commits"))).await;
        assert_eq!(commits, "5", "one of the run and one of each undo");
    }
}

#[tokio::test]
async fn an_undo_confirmed_twice_is_done_once() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let before = world.dump().await;
        let run = applied(&host, mixed()).await;
        let (_, preview) = host.undo_preview(run.number).await.unwrap();
        let typed = preview.digest.hex()[..16].to_owned();
        assert_eq!(code(host.undo(run.number, &typed[..15], "person:alice").await), Code::ConfirmMissing);
        assert_eq!(code(host.undo(run.number, &"0".repeat(16), "person:alice").await), Code::ConfirmMismatch);
        assert_eq!(
            code(host.undo(run.number, &prefix(&run), "person:alice").await),
            Code::ConfirmMismatch,
            "the plan's is not it"
        );
        host.undo(run.number, &typed, "person:alice").await.unwrap();
        // The same word would now redo the run: it must not.
        assert_eq!(code(host.undo(run.number, &typed, "person:alice").await), Code::ConfirmMismatch, "{engine:?}");
        before.assert_unchanged(&world.dump().await);

        let other = world.host().await;
        let (a, b) = tokio::join!(host.undo_all(run.number), other.undo_all(run.number));
        let won = [&a, &b].into_iter().filter(|done| done.is_ok()).count();
        // Both may win one after the other: the second then undid what the first did.
        let state = host.store().run(run.number).await.unwrap().state;
        match won {
            1 => assert_eq!(state, State::Succeeded, "{engine:?}"),
            2 => assert_eq!(state, State::RolledBack, "{engine:?}"),
            _ => panic!("{engine:?} {a:?} {b:?}"),
        }
    }
}

/// What the application does after the repair, and what the preview then says of the row.
struct Meddling {
    sql: &'static str,
    row: &'static str,
    why: &'static str,
}

const MEDDLINGS: [Meddling; 6] = [
    Meddling { sql: "UPDATE article SET ratio = 0.7 WHERE id = 1", row: "1", why: "changed since" },
    Meddling { sql: "DELETE FROM article WHERE id = 2", row: "2", why: "is gone" },
    Meddling { sql: "UPDATE article SET tenant = 'other' WHERE id = 3", row: "3", why: "no longer the tenant's" },
    Meddling { sql: "UPDATE article SET secret = 'their own' WHERE id = 4", row: "4", why: "changed since" },
    Meddling { sql: "UPDATE article SET note = 'sold' WHERE id = 100", row: "100", why: "changed since" },
    Meddling {
        sql: "INSERT INTO article (id, tenant, name) VALUES (5, 'other', 'theirs now')",
        row: "5",
        why: "key is taken",
    },
];

#[tokio::test]
async fn a_row_that_changed_since_is_a_conflict_that_is_shown_and_left_alone() {
    for engine in ENGINES {
        for Meddling { sql, row, why } in MEDDLINGS {
            let world = shop(engine).await;
            let host = world.host().await;
            let before = world.dump().await;
            let run = applied(&host, mixed()).await;
            world.sql(sql).await;
            let meddled = world.dump().await;

            let (_, preview) = host.undo_preview(run.number).await.unwrap();
            meddled.assert_unchanged(&world.dump().await);
            assert_eq!((preview.conflicts(), preview.restores() as u64), (1, MIXED - 1), "{engine:?} {sql}");
            let shown = preview.rows.iter().find(|shown| shown.key == row).unwrap();
            let Fate::Conflict(said) = &shown.fate else { panic!("{engine:?} {sql}") };
            assert!(said.contains(why), "{sql}: {said}");
            let masked = format!("{preview:?}");
            assert!(!masked.contains("their own") || sql.contains("their own"), "{masked}");
            assert!(shown.cells.iter().all(|cell| cell.column != "secret"), "a sensitive column is not shown");

            let undone = host.undo_all(run.number).await.unwrap();
            assert_eq!((undone.run.state, undone.left.len()), (State::RolledBack, 1), "{engine:?} {sql}");
            // Only what the application wrote differs from what was before.
            let of_row = |line: &String| match engine {
                Engine::Sqlite => line[1..].starts_with(&format!(" row article: | integer {row} |")),
                Engine::Postgres => line[1..].starts_with(&format!(" row \"public\".\"article\": {row}\t")),
            };
            let difference = before.difference(&world.dump().await);
            assert!(!difference.is_empty() && difference.iter().all(of_row), "{engine:?} {sql}: {difference:?}");
            let of_meddled = meddled.difference(&world.dump().await);
            assert!(!of_meddled.iter().any(of_row), "{engine:?} {sql}: the row was written: {of_meddled:?}");
        }
    }
}

#[tokio::test]
async fn a_row_that_changes_between_preview_and_undo_stops_it() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, mixed()).await;
        let (_, preview) = host.undo_preview(run.number).await.unwrap();
        world.sql("UPDATE article SET price = 12.5 WHERE id = 2").await;
        let meddled = world.dump().await;
        assert_eq!(
            code(host.undo(run.number, &preview.digest.hex(), "person:alice").await),
            Code::ConfirmMismatch,
            "{engine:?}"
        );
        meddled.assert_unchanged(&world.dump().await);
        assert_eq!(host.store().run(run.number).await.unwrap().state, State::Succeeded);
    }
}

#[tokio::test]
async fn nothing_is_restored_when_every_row_changed_since() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, prices("none", &[(1, "1.5"), (2, "2.5")])).await;
        world.sql("UPDATE article SET price = 3.5 WHERE tenant = 'acme'").await;
        let meddled = world.dump_everything().await;
        assert_eq!(code(host.undo_all(run.number).await), Code::RollbackConflict, "{engine:?}");
        meddled.assert_unchanged(&world.dump_everything().await);
    }
}

#[tokio::test]
async fn a_column_that_was_dropped_since_is_a_conflict_by_name() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, mixed()).await;
        world.sql("ALTER TABLE article DROP COLUMN hidden").await;
        let altered = world.dump().await;
        let (_, preview) = host.undo_preview(run.number).await.unwrap();
        // Only the deleted row and the inserted one held it.
        let conflicts: Vec<_> = preview
            .rows
            .iter()
            .filter_map(|row| match &row.fate {
                Fate::Conflict(why) => Some((row.key.clone(), why.clone())),
                Fate::Restore => None,
            })
            .collect();
        assert!(conflicts.iter().any(|(key, why)| key == "5" && why.contains("`hidden`")), "{engine:?} {conflicts:?}");
        altered.assert_unchanged(&world.dump().await);
        let undone = host.undo_all(run.number).await.unwrap();
        assert_eq!(undone.restored, MIXED - conflicts.len() as u64, "{engine:?}");
        assert_eq!(world.value("SELECT CAST(count(*) AS TEXT) FROM article WHERE id = 5").await, "0");
    }
}

#[tokio::test]
async fn a_partial_undo_can_be_undone_and_touches_the_same_rows_only() {
    for engine in ENGINES {
        let world = shop_where(engine, INDEPENDENT).await;
        let host = world.host().await;
        let run = applied(&host, prices("none", &[(1, "1.5"), (2, "2.5"), (6, "6.5")])).await;
        world.sql("UPDATE article SET price = 7 WHERE id = 2").await;
        let applied = world.dump().await;
        let undone = host.undo_all(run.number).await.unwrap();
        assert_eq!((undone.restored, undone.left.len()), (2, 1), "{engine:?}");
        let redone = host.undo_all(run.number).await.unwrap();
        assert_eq!((redone.restored, redone.left.len(), redone.run.state), (2, 0, State::Succeeded), "{engine:?}");
        applied.assert_unchanged(&world.dump().await);
    }
}

/// Edits of the journal by somebody who can write the target; `{j}` and `{c}` are its tables.
const FORGERIES: [&str; 11] = [
    "UPDATE {j} SET rows = replace(replace(rows, '13.86', '1.00'), '\"t:new\"', '\"t:old\"')",
    "UPDATE {j} SET rows = replace(rows, ':1\"', ':7\"')",
    "UPDATE {j} SET rows = replace(rows, ']', '] ')",
    "UPDATE {j} SET columns = replace(columns, 'before', 'after ')",
    "UPDATE {j} SET action = 'delete' WHERE action = 'insert'",
    "UPDATE {j} SET relation = 'other' WHERE page = (SELECT min(page) FROM {j})",
    "DELETE FROM {j} WHERE page = (SELECT max(page) FROM {j})",
    "DELETE FROM {j} WHERE page = (SELECT min(page) FROM {j})",
    "INSERT INTO {j} (run, generation, batch, page, resource, relation, action, columns, rows, changes, mac)
       SELECT run, generation, batch, page + 1000, resource, relation, action, columns, rows, changes, mac FROM {j}",
    "UPDATE {c} SET changes = changes - 1",
    "UPDATE {c} SET mac = '0' || substr(mac, 2), tenant = 'other'",
];

#[tokio::test]
async fn a_journal_that_was_edited_by_hand_restores_nothing() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, mixed()).await;
        save_journal(&world, engine).await;
        let after = world.dump().await;
        let (_, preview) = host.undo_preview(run.number).await.unwrap();
        for forgery in FORGERIES {
            let sql = forgery.replace("{j}", &own(engine, "journal")).replace("{c}", &own(engine, "commits"));
            world.sql(&sql).await;
            assert_eq!(code(host.undo_preview(run.number).await), Code::JournalTampered, "{engine:?} {forgery}");
            let typed = preview.digest.hex();
            assert_eq!(
                code(host.undo(run.number, &typed, "person:alice").await),
                Code::JournalTampered,
                "{engine:?} {forgery}"
            );
            assert_eq!(code(host.verify(run.number).await), Code::JournalTampered, "{engine:?} {forgery}");
            after.assert_unchanged(&world.dump().await);
            assert_eq!(host.store().run(run.number).await.unwrap().state, State::Succeeded);
            restore_journal(&world, engine).await;
        }
        assert_eq!(host.undo_all(run.number).await.unwrap().restored, MIXED, "{engine:?}");
    }
}

/// Another host's key is not this host's: it restores nothing by a journal that it did not write.
#[tokio::test]
async fn a_journal_of_another_key_restores_nothing() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, mixed()).await;
        let after = world.dump().await;
        drop(host);
        std::fs::remove_file(world.directory().join("control.db.key")).unwrap();
        let host = world.host().await;
        assert_eq!(code(host.undo_all(run.number).await), Code::JournalTampered, "{engine:?}");
        after.assert_unchanged(&world.dump().await);
    }
}

async fn save_journal(world: &World, engine: Engine) {
    let (j, c) = (own(engine, "journal"), own(engine, "commits"));
    world
        .sql(&format!("CREATE TABLE {j}_saved AS SELECT * FROM {j}; CREATE TABLE {c}_saved AS SELECT * FROM {c}"))
        .await;
}

async fn restore_journal(world: &World, engine: Engine) {
    let (j, c) = (own(engine, "journal"), own(engine, "commits"));
    world
        .sql(&format!(
            "DELETE FROM {j}; DELETE FROM {c}; INSERT INTO {c} SELECT * FROM {c}_saved; INSERT INTO {j} SELECT * FROM {j}_saved"
        ))
        .await;
}

#[tokio::test]
async fn after_the_journal_is_no_longer_kept_there_is_no_undo() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, mixed()).await;
        assert!(run.undo_until_us.is_some_and(|at| at > host.now_us()), "it says until when");
        let after = world.dump().await;
        edit_control(&world, "UPDATE runs SET undo_until_us = 1").await;
        assert_eq!(code(host.undo_preview(run.number).await), Code::JournalExpired, "{engine:?}");
        assert_eq!(
            code(host.undo(run.number, &"0".repeat(16), "person:alice").await),
            Code::JournalExpired,
            "{engine:?}"
        );
        after.assert_unchanged(&world.dump().await);

        // Whatever the control store says: what is not in the journal cannot be restored. That a plan was used is
        // kept for ever: a target that does not know it is not the one that took it.
        edit_control(&world, "UPDATE runs SET undo_until_us = 9000000000000000").await;
        world.sql(&format!("DELETE FROM {}; DELETE FROM {}", own(engine, "journal"), own(engine, "commits"))).await;
        assert_eq!(code(host.undo_preview(run.number).await), Code::TargetDiverged, "{engine:?}");
        after.assert_unchanged(&world.dump().await);
    }
}

/// The pages go; what was consumed stays.
#[tokio::test]
async fn a_journal_that_is_pruned_is_expired_and_its_plan_stays_used() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, mixed()).await;
        let (commits, journal) = (own(engine, "commits"), own(engine, "journal"));
        let target = host.target("target").unwrap();
        let prune = async || mendwright_gateway::repair::prune(&target, host.now_us()).await.unwrap();
        assert_eq!(prune().await, 0, "{engine:?}: it is young");
        host.undo_preview(run.number).await.unwrap();
        world.sql(&format!("UPDATE {commits} SET committed_at_us = 1")).await;
        assert_eq!((prune().await, prune().await), (1, 0), "{engine:?}");
        assert_eq!(world.value(&format!("SELECT CAST(count(*) AS text) FROM {journal}")).await, "0");
        assert_eq!(world.value(&format!("SELECT CAST(count(*) AS text) FROM {commits}")).await, "1");
        assert_eq!(code(host.undo_preview(run.number).await), Code::JournalExpired, "{engine:?}");
        assert_eq!(code(host.verify(run.number).await), Code::JournalExpired, "{engine:?}");
        assert_eq!(code(host.confirm(&run).await), Code::PlanUsed, "{engine:?}");
    }
}

#[tokio::test]
async fn what_was_never_applied_cannot_be_undone() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, mixed()).await.unwrap();
        let before = world.dump_everything().await;
        assert_eq!(code(host.undo_preview(run.number).await), Code::RunState, "{engine:?}");
        assert_eq!(code(host.undo(run.number, &prefix(&run), "person:alice").await), Code::RunState, "{engine:?}");
        before.assert_unchanged(&world.dump_everything().await);
    }
}

/// A job that was taken away must not be the way around whose word its undo takes.
#[tokio::test]
async fn an_undo_with_conflicts_takes_the_same_word_where_the_job_is_gone() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, mixed()).await;
        world.sql("UPDATE article SET ratio = 0.7 WHERE id = 1").await;
        let meddled = world.dump().await;
        std::fs::remove_dir_all(world.directory().join("jobs")).unwrap();
        let (_, preview) = host.undo_preview(run.number).await.unwrap();
        let undo = async || host.undo(run.number, &preview.digest.hex(), "person:alice").await;
        assert_eq!(code(undo().await), Code::ApprovalsMissing, "{engine:?}");
        meddled.assert_unchanged(&world.dump().await);
        host.approve_undo(run.number).await.unwrap();
        assert_eq!(undo().await.unwrap().restored, MIXED - 1, "{engine:?}");
    }
}
