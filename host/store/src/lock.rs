//! Whether the process that works on a run is alive: an advisory lock of the operating system, which
//! goes away with the process however it ends.
//!
//! The locks are files in `<control file>.locks/`. They hold nothing; what counts is who locks them.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use mendwright_core::run::State;

use crate::error::{Error, Result};
use crate::find::RunFilter;
use crate::run::{RunNumber, RunRecord};
use crate::store::{Store, make_directory, private_file};

/// This process works on the run. Released when dropped, or by the system when the process ends.
#[derive(Debug)]
pub struct RunLock {
    run: RunNumber,
    path: PathBuf,
    file: File,
}

impl RunLock {
    /// The run.
    #[must_use]
    pub const fn run(&self) -> RunNumber {
        self.run
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // While it is still locked: whoever opened the file in the meantime sees that it is gone (see
        // `is_current`) and begins again. An error leaves an empty file behind, which harms nobody.
        #[cfg(unix)]
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "an empty lock file stays behind");
        }
        drop(self.file.unlock());
    }
}

impl Store {
    /// Takes the lock of a run, at once or not at all.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process (or another part of this one) holds it.
    pub fn lock_run(&self, run: RunNumber) -> Result<RunLock> {
        take(self.path(), run)?.ok_or(Error::Locked { run })
    }

    /// Runs that some process began to work on and none works on now, the oldest first: what recovery
    /// has to look at. Whoever takes one locks it first and reads it again.
    ///
    /// # Errors
    /// As any read.
    pub async fn in_flight(&self) -> Result<Vec<RunRecord>> {
        let mut found = Vec::new();
        for state in State::ALL.into_iter().filter(|state| state.is_in_flight()) {
            // Without a bound: each of them needs somebody, and there are as many as died hosts left.
            let filter = RunFilter { state: Some(state), limit: u32::MAX, ..RunFilter::default() };
            found.extend(self.list(&filter).await?);
        }
        found.sort_by_key(|record| record.number);
        let mut free = Vec::new();
        for record in found {
            if take(self.path(), record.number)?.is_some() {
                free.push(record);
            }
        }
        Ok(free)
    }
}

/// The directory of a control file's locks.
fn directory(control: &Path) -> PathBuf {
    let mut name = control.as_os_str().to_owned();
    name.push(".locks");
    PathBuf::from(name)
}

pub(crate) fn prepare_directory(control: &Path) -> Result<()> {
    let path = directory(control);
    make_directory(&path).map_err(|e| Error::io(&path, "creating the directory of its locks", e))
}

/// Opens one lock file, without locking it.
pub(crate) fn open_file(control: &Path, name: &str) -> Result<File> {
    let path = directory(control).join(format!("{name}.lock"));
    let opened = private_file().read(true).write(true).create(true).truncate(false).open(&path);
    opened.map_err(|e| Error::io(&path, "opening a lock", e))
}

/// `None` where somebody else holds it.
pub(crate) fn take(control: &Path, run: RunNumber) -> Result<Option<RunLock>> {
    let name = format!("run-{}", run.get());
    let path = directory(control).join(format!("{name}.lock"));
    loop {
        let file = open_file(control, &name)?;
        match file.try_lock() {
            Ok(()) if is_current(&file, &path) => return Ok(Some(RunLock { run, path, file })),
            // Its holder removed it between our two steps.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(Error::io(&path, "locking a run", e)),
        }
    }
}

/// Whether the locked file is still the one that others would open.
#[cfg(unix)]
fn is_current(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_current(_: &File, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use mendwright_core::run::Event;

    use crate::testing::{NOW, opened, planned, planning};
    use crate::{Error, Store};

    #[tokio::test]
    async fn a_run_is_locked_by_one_at_a_time_and_free_again_afterwards() {
        let (dir, store) = opened().await;
        let other = Store::open_file(store.path(), NOW).await.unwrap();
        let (run, lock) = planning(&store, "Germany").await;
        assert!(matches!(other.lock_run(run.number), Err(Error::Locked { .. })));
        assert!(matches!(store.lock_run(run.number), Err(Error::Locked { .. })));
        drop(lock);
        let lock = other.lock_run(run.number).unwrap();
        assert_eq!(lock.run(), run.number);
        drop(lock);
        let left: Vec<_> = std::fs::read_dir(dir.path().join("control.db.locks")).unwrap().collect();
        assert_eq!(left.len(), 1, "only the lock of opening stays: {left:?}");
    }

    #[tokio::test]
    async fn recovery_sees_runs_in_flight_whose_process_is_gone_and_no_others() {
        let (_dir, store) = opened().await;
        let (dead, lock) = planning(&store, "Germany").await;
        drop(lock);
        let (_alive, _held) = planning(&store, "France").await;
        let waiting = planned(&store, "Portugal", 2).await;
        let applying = planned(&store, "Italy", 2).await;
        store.transition(applying, mendwright_core::run::State::Planned, Event::ApplyStarted, NOW, "").await.unwrap();
        let found: Vec<_> = store.in_flight().await.unwrap().into_iter().map(|run| run.number).collect();
        assert_eq!(found, [dead.number, applying]);
        assert!(!found.contains(&waiting));
    }
}
