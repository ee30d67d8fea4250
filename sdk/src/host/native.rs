//! Natively the host is the in-memory tables of the test that runs on this thread.

use std::cell::RefCell;

use crate::contract::{
    Check, ColumnInfo, Detail, Finding, Found, HostResult, Identity, Level, Page, Query, RowChange, RowRemoval, Value,
};
use crate::error::Error;
use crate::row::Row;
use crate::testing::backend::Backend;

thread_local! {
    static BACKEND: RefCell<Option<Backend>> = const { RefCell::new(None) };
}

/// Makes `backend` the host of this thread while `work` runs.
pub(crate) fn with_backend<T>(backend: Backend, work: impl FnOnce() -> T) -> (T, Backend) {
    let before = BACKEND.replace(Some(backend));
    assert!(before.is_none(), "a job cannot run inside another one");
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    let backend = BACKEND.take();
    match (done, backend) {
        (Ok(done), Some(backend)) => (done, backend),
        (Err(panic), _) => std::panic::resume_unwind(panic),
        (Ok(_), None) => unreachable!("nothing else takes the backend"),
    }
}

fn call<T>(work: impl FnOnce(&mut Backend) -> HostResult<T>) -> HostResult<T> {
    BACKEND.with_borrow_mut(|backend| match backend {
        Some(backend) => work(backend),
        None => Err(Error::Unavailable(Detail {
            code: "ERR_TARGET_UNAVAILABLE".to_owned(),
            message: "there is no host here: run the job through `mendwright_sdk::testing`".to_owned(),
        })),
    })
}

/// An open scan of the in-memory tables.
#[derive(Debug)]
pub(crate) struct Cursor(u32);

impl Drop for Cursor {
    fn drop(&mut self) {
        // The thread may be ending, and with it the tables.
        let _ = BACKEND.try_with(|backend| {
            if let Ok(mut backend) = backend.try_borrow_mut()
                && let Some(backend) = backend.as_mut()
            {
                backend.close(self.0);
            }
        });
    }
}

pub(crate) fn note_row<R: Row>() {
    let _ = call(|backend| {
        backend.note_row(R::TABLE, R::COLUMNS);
        Ok(())
    });
}

pub(crate) fn who() -> Identity {
    let nobody = || Identity {
        run: "run_native".to_owned(),
        tenant: String::new(),
        job: String::new(),
        version: String::new(),
        now_us: 0,
    };
    call(|backend| Ok(backend.who())).unwrap_or_else(|_| nobody())
}

pub(crate) fn params() -> String {
    call(|backend| Ok(backend.params())).unwrap_or_else(|_| "{}".to_owned())
}

pub(crate) fn random() -> u64 {
    call(|backend| Ok(backend.random())).unwrap_or_default()
}

pub(crate) fn log(level: Level, message: &str) -> HostResult<()> {
    call(|backend| backend.log(level, message))
}

pub(crate) fn progress(done: u64, total: u64) {
    let _ = call(|backend| {
        backend.progress(done, total);
        Ok(())
    });
}

pub(crate) fn report_finding(finding: &Finding) -> HostResult<()> {
    call(|backend| backend.report_finding(finding))
}

pub(crate) fn report_check(check: &Check) -> HostResult<()> {
    call(|backend| backend.report_check(check))
}

pub(crate) fn describe(table: &str) -> HostResult<Vec<ColumnInfo>> {
    call(|backend| backend.describe(table))
}

pub(crate) fn get(table: &str, keys: &[Vec<Value>], columns: &[String]) -> HostResult<Found> {
    call(|backend| backend.get(table, keys, columns))
}

pub(crate) fn scan(query: &Query) -> HostResult<Cursor> {
    call(|backend| backend.scan(query)).map(Cursor)
}

pub(crate) fn next_page(cursor: &Cursor) -> HostResult<Page> {
    call(|backend| backend.next_page(cursor.0))
}

pub(crate) fn insert(table: &str, rows: Vec<RowChange>) -> HostResult<()> {
    call(|backend| backend.insert(table, rows))
}

pub(crate) fn update(table: &str, rows: Vec<RowChange>) -> HostResult<()> {
    call(|backend| backend.update(table, rows))
}

pub(crate) fn delete(table: &str, rows: Vec<RowRemoval>) -> HostResult<()> {
    call(|backend| backend.delete(table, rows))
}
