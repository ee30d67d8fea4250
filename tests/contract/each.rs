//! Many cases of one test, some at a time, each in a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// Cases at a time: a case mostly waits for its disk.
const AT_ONCE: usize = 4;

/// Does `work` with each and gives what they came to, in the order of their ends. Where one fails, the others
/// are still done, and then all of it has failed.
pub(crate) fn each<T: Send, R: Send>(all: Vec<T>, work: impl AsyncFn(T) -> R + Sync) -> Vec<R> {
    let (left, done, failed) = (Mutex::new(all.into_iter()), Mutex::new(Vec::new()), Mutex::new(None));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(one) = next() {
                    match catch_unwind(AssertUnwindSafe(|| block_on(work(one)))) {
                        Ok(came_to) => done.lock().unwrap_or_else(PoisonError::into_inner).push(came_to),
                        Err(why) => {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
                        }
                    }
                }
            });
        }
    });
    if let Some(why) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        resume_unwind(why);
    }
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for something where no runtime is.
pub(crate) fn block_on<R>(work: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
