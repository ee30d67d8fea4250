//! What the tests of this crate share: a store in a temporary directory, runs and plans to put in it.

use std::convert::Infallible;

use mendwright_core::commitment::Salt;
use mendwright_core::plan::BoundChange;
use tempfile::TempDir;

pub(crate) use crate::fixtures::{NOW, change, changes, document, header, new_run};
use crate::{Known, Lease, LogLine, NewPlan, RunNumber, RunRecord, Store, Verdict};

pub(crate) async fn opened() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("control.db")).await;
    (dir, store)
}

/// Another name for each store that a test opens.
pub(crate) fn name() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) async fn open(path: &std::path::Path) -> Store {
    Store::open_file(path, &name(), NOW).await.unwrap()
}

/// The control file.
pub(crate) fn path(store: &Store) -> &std::path::Path {
    let crate::Place::File(path) = store.place() else { panic!("a file") };
    path
}

pub(crate) async fn planning(store: &Store, tenant: &str) -> (RunRecord, Lease) {
    store.create_run(new_run(tenant), NOW).await.unwrap()
}

/// Saves a plan of `changes` and gives back what saving said.
pub(crate) async fn save(
    store: &Store,
    run: &RunRecord,
    changes: &[BoundChange],
    log: &[LogLine],
) -> crate::Result<mendwright_core::run::State> {
    let header = header(run, changes);
    let document = document(run, &header);
    let salt = Salt::new([9; 32]);
    let plan = NewPlan { header: &header, document: &document, salt: &salt, log, expires_at_us: NOW + 1, now_us: NOW };
    store.save_plan(run.number, plan, changes, unjudged).await.map(|Ok(state)| state)
}

/// Lets every plan be as it is.
pub(crate) fn unjudged(_: &Known) -> Result<Verdict, Infallible> {
    Ok(Verdict::default())
}

/// A run with a plan of `n` changes that no process holds.
pub(crate) async fn planned(store: &Store, tenant: &str, n: i64) -> RunNumber {
    let (run, _lock) = planning(store, tenant).await;
    save(store, &run, &changes(n), &[]).await.unwrap();
    run.number
}

/// What somebody with an SQLite shell does.
pub(crate) async fn tamper(store: &Store, sql: &str) -> sqlx::Result<()> {
    let mut writer = store.writer().await.unwrap();
    let crate::db::Conn::Sqlite(file) = writer.conn() else { panic!("a file") };
    file.batch(sql).await.map_err(crate::db::sqlite::fault)
}
