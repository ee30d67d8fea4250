//! The log grows without a gap, and whatever somebody does to its tables is found and located.

use mendwright_core::key::SecretKey;
use mendwright_core::merkle;
use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::{Checkpoint, Damage, TilePath};

use super::*;
use crate::Store;
use crate::testing::{NOW, opened, tamper};

const ORIGIN: &str = "mendwright/test";

fn secret() -> SecretKey {
    SecretKey::from_random([7; 32])
}

fn key() -> VerifierKey {
    VerifierKey::new(ORIGIN, secret().public()).unwrap()
}

async fn tell(store: &Store, fact: Fact) {
    let failed = store.failed("telling");
    let mut writer = store.writer().await.unwrap();
    record(writer.conn(), fact, failed).await.unwrap();
}

/// Facts without end, written in one statement.
async fn tell_many(store: &Store, n: u32) {
    let sql = format!(
        "INSERT INTO audit_entries (at_us, kind, run, actor, body, times) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n}) \
         SELECT {NOW} + i, 'test.told', i % 7, 'host', '{{\"n\":\"' || i || '\"}}', 1 FROM n"
    );
    tamper(store, &sql).await.unwrap();
}

async fn signed(store: &Store) -> Checkpoint {
    while store.sequence(10_000).await.unwrap() > 0 {}
    let stored = store.checkpoint(ORIGIN, &secret()).await.unwrap().unwrap();
    Checkpoint::open(&stored.note, &key()).unwrap()
}

async fn verify(store: &Store, trusted: &[Checkpoint]) -> AuditReport {
    store.verify_audit(&key(), trusted).await.unwrap()
}

async fn text(store: &Store, sql: &str) -> String {
    let mut reader = store.reader().await.unwrap();
    crate::db::query(sql.to_owned()).scalar::<String>(reader.conn()).await.unwrap().unwrap()
}

#[tokio::test]
async fn facts_become_entries_in_their_order_and_never_change_again() {
    let (_dir, store) = opened().await;
    assert_eq!(store.sequence(100).await.unwrap(), 0);
    assert_eq!(store.checkpoint(ORIGIN, &secret()).await.unwrap(), None);
    let refused = || Fact::new("run.refused", "host", NOW).say("code", "ERR_X").once("refused:1".into());
    let flushed = || Fact::new("target.flushed", "host", NOW).delivery("flush:1:0:0".into());
    for fact in [refused(), flushed(), refused(), refused(), flushed()] {
        tell(&store, fact).await;
    }
    assert_eq!(store.sequence(100).await.unwrap(), 2);
    // What was sequenced stays; told again, a refusal is a new entry, and a delivery is none.
    for fact in [refused(), flushed(), refused()] {
        tell(&store, fact).await;
    }
    assert_eq!(store.audit_status().await.unwrap().waiting, 1);
    assert_eq!(store.sequence(100).await.unwrap(), 1);
    let entries = store.logged(LogFilter { run: None, from: 0, limit: 10 }).await.unwrap();
    let told: Vec<(u64, String, i64)> = entries
        .iter()
        .map(|logged| (logged.leaf, logged.entry().unwrap().kind, logged.entry().unwrap().times))
        .collect();
    let told: Vec<(u64, &str, i64)> = told.iter().map(|(leaf, kind, times)| (*leaf, kind.as_str(), *times)).collect();
    assert_eq!(told, [(0, "run.refused", 3), (1, "target.flushed", 1), (2, "run.refused", 2)]);
    assert!(verify(&store, &[signed(&store).await]).await.is_intact());
    assert_eq!(store.logged_last(None, 2).await.unwrap(), entries[1..]);
}

#[tokio::test]
async fn the_tree_is_that_of_its_entries_however_they_came() {
    let (_dir, store) = opened().await;
    tell_many(&store, 1_000).await;
    for limit in [1, 255, 2, 300, 100, 1_000] {
        store.sequence(limit).await.unwrap();
    }
    let first = signed(&store).await;
    tell_many(&store, 70_000).await;
    let second = signed(&store).await;
    let mut tree = merkle::Tree::default();
    let entries = store.logged(LogFilter { run: None, from: 0, limit: 100_000 }).await.unwrap();
    for (at, entry) in (0..).zip(&entries) {
        assert_eq!(entry.leaf, at);
        if tree.size() == first.size {
            assert_eq!(tree.root(), first.root);
        }
        tree.push(&entry.bytes);
    }
    assert_eq!((tree.size(), tree.root()), (71_000, second.root));
    let report = verify(&store, std::slice::from_ref(&first)).await;
    assert!(report.is_intact(), "{:?}", report.damages);
    assert_eq!((report.size, report.checkpoints, report.signed, report.trusted), (71_000, 2, 71_000, Some(1_000)));
    store.continues(&first).await.unwrap();
    let proofs = store.prove_run(crate::RunNumber::new(3), &second).await.unwrap();
    assert_eq!(proofs.len(), entries.iter().filter(|entry| entry.entry().unwrap().run == Some(3)).count());
    for path in ["tile/2/000.p/1", "tile/1/000", "tile/0/003.p/232", "tile/entries/003.p/232"] {
        let path: TilePath = path.parse().unwrap();
        assert!(store.audit_tile(&path).await.unwrap().is_some(), "{path}");
    }
    assert_eq!(store.audit_tile(&"tile/0/x001/000".parse().unwrap()).await.unwrap(), None);
}

/// What is done to the tables, and what must be among the findings.
struct Attack {
    sql: String,
    found: Vec<AuditDamage>,
}

fn attack(sql: String, found: Vec<AuditDamage>) -> Attack {
    Attack { sql, found }
}

/// What somebody does to one entry.
fn attacks_on_entry(size: u64, n: u64) -> Vec<Attack> {
    let signed = |damage| AuditDamage::Signed(size, damage);
    let mut all = Vec::new();
    let changed = |column: &str, change: &str| format!("UPDATE audit_leaves SET {column} = {change} WHERE leaf = {n}");
    all.push(attack(
        changed("entry", "replace(entry, 'test.told', 'test.tolD')"),
        vec![signed(Damage::Changed { index: n }), AuditDamage::Entry(n)],
    ));
    all.push(attack(
        changed("entry", "CAST(x'ff' AS TEXT) || substr(entry, 2)"),
        vec![signed(Damage::Changed { index: n })],
    ));
    all.push(attack(changed("entry", "entry || ' '"), vec![signed(Damage::Changed { index: n })]));
    all.push(attack(changed("hash", "'0' || substr(hash, 2, 62) || 'g'"), vec![AuditDamage::Leaf(n)]));
    all.push(attack(changed("hash", "upper(hash)"), vec![AuditDamage::Leaf(n)]));
    all.push(attack(format!("DELETE FROM audit_leaves WHERE leaf = {n}"), vec![signed(Damage::Missing { index: n })]));
    let entries = |set: &str| format!("UPDATE audit_entries SET {set} WHERE leaf = {n}");
    for set in [
        "kind = 'test.tolD'",
        "at_us = at_us + 1",
        "run = coalesce(run, 0) + 1",
        "run = NULL",
        "tenant = 'x'",
        "actor = 'hosu'",
        "body = replace(body, '}', ' }')",
        "body = replace(body, 'n', 'm')",
        "times = 2",
        "delivery = 'x'",
        "id = id + 100000",
        "leaf = NULL",
    ] {
        all.push(attack(entries(set), vec![AuditDamage::Entry(n)]));
    }
    all.push(attack(format!("DELETE FROM audit_entries WHERE leaf = {n}"), vec![AuditDamage::Entry(n)]));
    // One is inserted, and what follows moves up.
    all.push(attack(
        format!(
            "UPDATE audit_leaves SET leaf = -1 - leaf WHERE leaf >= {n}; \
             UPDATE audit_leaves SET leaf = -leaf WHERE leaf < 0; \
             INSERT INTO audit_leaves SELECT {n}, 'forged', hash FROM audit_leaves WHERE leaf = {n} + 1;"
        ),
        vec![signed(Damage::Inserted { index: n }), AuditDamage::Counter("entries")],
    ));
    all
}

/// What somebody does to any table of the log.
fn attacks(size: u64) -> Vec<Attack> {
    let mut all: Vec<Attack> =
        [0, 1, 255, 256, 511, 512, 598, 599].into_iter().flat_map(|n| attacks_on_entry(size, n)).collect();
    for n in [0, 1] {
        let node = vec![AuditDamage::Node(1, n)];
        let change = "hash = substr(hash, 2) || '0'";
        all.push(attack(format!("UPDATE audit_nodes SET {change} WHERE node = {n}"), node.clone()));
        all.push(attack(format!("DELETE FROM audit_nodes WHERE node = {n}"), node));
    }
    let hash = "'0000000000000000000000000000000000000000000000000000000000000000'";
    for (level, node) in [(1, 2), (1, 9_000_000), (2, 0), (9, 1)] {
        let insert = format!("INSERT INTO audit_nodes VALUES ({level}, {node}, {hash})");
        all.push(attack(insert, vec![AuditDamage::Node(level, node)]));
    }
    for seq in [1, 2, 3] {
        let one = vec![AuditDamage::Checkpoint(seq)];
        for set in ["note = replace(note, 'mendwright', 'mendwrighu')", "note = note || char(10)", "size = size + 1"] {
            all.push(attack(format!("UPDATE audit_checkpoints SET {set} WHERE seq = {seq}"), one.clone()));
        }
        let gone = if seq == 3 { vec![AuditDamage::Counter("checkpoints")] } else { one };
        all.push(attack(format!("DELETE FROM audit_checkpoints WHERE seq = {seq}"), gone));
    }
    all.push(attack("INSERT INTO audit_checkpoints VALUES (4, 7, 'x')".into(), vec![AuditDamage::Checkpoint(4)]));
    all.push(attack(
        "INSERT INTO audit_checkpoints VALUES (9000000000, 7, 'x')".into(),
        vec![AuditDamage::Checkpoint(4)],
    ));
    for (name, what) in [("audit_leaf", "entries"), ("audit_checkpoint", "checkpoints")] {
        for change in ["UPDATE counters SET value = value + 1", "DELETE FROM counters"] {
            all.push(attack(format!("{change} WHERE name = '{name}'"), vec![AuditDamage::Counter(what)]));
        }
    }
    let stray = "INSERT INTO audit_entries (at_us, kind, actor, body, times, leaf) VALUES (0, 'x', 'x', '{}', 1, 601)";
    all.push(attack(stray.into(), vec![AuditDamage::Stray(601)]));
    let far = "INSERT INTO audit_leaves VALUES (9000000000000000, 'x', 'x')";
    all.push(attack(far.into(), vec![AuditDamage::Gap(600, 9_000_000_000_000_000)]));
    all
}

#[tokio::test]
async fn whatever_is_changed_deleted_or_inserted_is_found_and_located() {
    let (dir, store) = opened().await;
    for n in [200, 300, 100] {
        tell_many(&store, n).await;
        signed(&store).await;
    }
    let trusted = signed(&store).await;
    assert!(verify(&store, &[]).await.is_intact());
    let attacks = attacks(trusted.size);
    assert!(attacks.len() > 150);
    for Attack { sql, found } in attacks {
        // Each on a copy, as the file's thief would leave it.
        let copy = dir.path().join("copy.db");
        tamper(&store, &format!("VACUUM INTO '{}'", copy.display())).await.unwrap();
        let other = crate::testing::open(&copy).await;
        tamper(&other, &format!("PRAGMA foreign_keys = off; PRAGMA ignore_check_constraints = on; {sql}"))
            .await
            .unwrap();
        let report = verify(&other, std::slice::from_ref(&trusted)).await;
        for wanted in &found {
            assert!(report.damages.contains(wanted), "{sql}: {wanted:?} in {:?}", report.damages);
        }
        assert!(report.damages.len() < 100 || sql.contains("forged"), "{sql}: {:?}", report.damages);
        other.close().await.unwrap();
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(dir.path().join(format!("copy.db{ending}")));
        }
    }
}

#[tokio::test]
async fn who_rewrites_everything_consistently_is_caught_by_what_is_elsewhere() {
    let (_dir, store) = opened().await;
    tell_many(&store, 300).await;
    let first = signed(&store).await;
    tell_many(&store, 300).await;
    let elsewhere = signed(&store).await;
    // Everything after the first checkpoint is made anew, with all its hashes and even with the key.
    tamper(
        &store,
        "DELETE FROM audit_leaves WHERE leaf >= 300; DELETE FROM audit_nodes WHERE node >= 1; \
         DELETE FROM audit_checkpoints WHERE seq > 1; UPDATE counters SET value = 1 WHERE name = 'audit_checkpoint'; \
         UPDATE counters SET value = 300 WHERE name = 'audit_leaf'; \
         UPDATE audit_entries SET kind = 'test.lies' WHERE leaf = 450; \
         UPDATE audit_entries SET leaf = NULL WHERE leaf >= 300",
    )
    .await
    .unwrap();
    signed(&store).await;
    assert!(verify(&store, &[]).await.is_intact(), "by itself it cannot be seen");
    let report = verify(&store, &[first.clone(), elsewhere.clone()]).await;
    let somewhere = AuditDamage::Signed(600, Damage::Somewhere { from: first.size, to: 600 });
    assert_eq!(report.trusted, Some(first.size));
    assert!(report.damages.contains(&somewhere), "{:?}", report.damages);
    let forked = store.continues(&elsewhere).await.unwrap_err();
    assert!(matches!(forked, crate::Error::AuditForked { .. }), "{forked}");
}

#[tokio::test]
async fn nothing_is_signed_or_appended_that_does_not_go_on_from_what_was_signed() {
    let (_dir, store) = opened().await;
    tell_many(&store, 300).await;
    signed(&store).await;
    tell_many(&store, 5).await;
    store.sequence(10).await.unwrap();
    let hash = text(&store, "SELECT hash FROM audit_leaves WHERE leaf = 290").await;
    let flipped = if hash.starts_with('0') { "1" } else { "0" };
    tamper(&store, &format!("UPDATE audit_leaves SET hash = '{flipped}' || substr(hash, 2) WHERE leaf = 290"))
        .await
        .unwrap();
    let forked = store.checkpoint(ORIGIN, &secret()).await.unwrap_err();
    assert!(matches!(forked, crate::Error::AuditForked { .. }), "{forked}");
    // Nor does another key go on from ours.
    let other = store.checkpoint(ORIGIN, &SecretKey::from_random([8; 32])).await.unwrap_err();
    assert!(matches!(other, crate::Error::AuditForked { .. }), "{other}");
    tamper(&store, "DELETE FROM audit_leaves WHERE leaf = 304").await.unwrap();
    tell_many(&store, 1).await;
    let tampered = store.sequence(10).await.unwrap_err();
    assert!(matches!(tampered, crate::Error::AuditTampered { .. }), "{tampered}");
}

#[tokio::test]
async fn where_a_checkpoint_went_is_remembered_and_never_goes_back() {
    let (_dir, store) = opened().await;
    tell_many(&store, 3).await;
    let first = signed(&store).await.size;
    tell_many(&store, 3).await;
    assert_eq!(store.unsigned_since_us().await.unwrap(), None);
    store.sequence(10).await.unwrap();
    assert_eq!(store.unsigned_since_us().await.unwrap(), Some(NOW + 1));
    let second = signed(&store).await.size;
    for size in [first, second, first] {
        store.anchored("file:/elsewhere", size, Some("w"), NOW).await.unwrap();
    }
    let status = store.audit_status().await.unwrap();
    let cosignature = Some("w".to_owned());
    assert_eq!(status.anchors, [Anchored { place: "file:/elsewhere".into(), size: second, at_us: NOW, cosignature }]);
    assert_eq!(store.checkpoint_of(second).await.unwrap(), status.checkpoint);
    assert_eq!(store.checkpoint_of(second + 1).await.unwrap(), None);
    assert_eq!(status.checkpoint.unwrap().size, 6);
    assert!(store.anchored("file:/x", 99, None, NOW).await.is_err(), "there is no such checkpoint");
}
